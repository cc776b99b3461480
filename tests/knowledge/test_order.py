"""The order in which pipelines are worth trying."""

import numpy as np

from autokd.knowledge.order import believed, first_choice, worth_trying

SAID = np.array([[2.0, 0.0, 1.0, -1.0], [-2.0, 0.0, 1.0, 2.0]])
EQUAL = np.array([0.5, 0.5])


def test_the_best_on_average_comes_first_and_then_what_helps_where_it_does_not():
    assert worth_trying(SAID, EQUAL) == [2, 3, 0, 1]  # after 2, both 0 and 3 add 0.5; 3 has the better mean


def test_a_study_that_counts_more_decides():
    assert worth_trying(SAID, np.array([0.1, 0.9]))[0] == 3
    assert worth_trying(SAID, np.array([0.9, 0.1]))[0] == 0


def test_what_was_tried_is_passed_over_and_counts_as_reached():
    assert worth_trying(SAID, EQUAL, tried=[0]) == [3, 2, 1]


def test_without_studies_the_order_is_as_given():
    assert worth_trying(np.zeros((0, 3)), np.zeros(0)) == [0, 1, 2]


def test_only_a_study_that_is_significantly_wrong_is_dropped():
    said = np.array([[0.0, 1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0, 0.0], [0.0, 2.0, 1.0, 4.0, 3.0]])
    weights = np.full(3, 1 / 3)
    scores = {place: float(place) for place in range(5)}
    assert believed(said, weights, scores).tolist() == [0.5, 0.0, 0.5]
    few = {place: float(place) for place in range(4)}
    assert believed(said, weights, few).tolist() == weights.tolist()


def test_where_all_studies_are_wrong_none_is_believed():
    said = -np.arange(6.0)[None]
    assert believed(said, np.ones(1), {place: float(place) for place in range(6)}).tolist() == [0.0]


def test_constant_predictions_are_no_evidence_against_a_study():
    assert believed(np.zeros((1, 6)), np.ones(1), {place: float(place) for place in range(6)}).tolist() == [1.0]


def test_by_hand_comes_first_unless_the_past_is_sure_of_a_better_one():
    rng = np.random.default_rng(0)
    said = rng.normal(size=(8, 5))
    equal = np.full(8, 1 / 8)
    said[:, 2] = said[:, 0] + 1.0 + 0.1 * rng.normal(size=8)
    said[0, 4] = 20.0  # a single study is enthusiastic
    assert first_choice(said, equal, by_hand=0, tried=np.ones((8, 5), bool)) == 2
    tried = np.ones((8, 5), bool)
    tried[2:, 2] = False
    assert first_choice(said, equal, by_hand=0, tried=tried) == 0
    said[:, 2] = said[:, 0] + rng.normal(size=8)
    assert first_choice(said, equal, by_hand=0, tried=np.ones((8, 5), bool)) == 0


def test_few_studies_never_outweigh_kd_by_hand():
    said = np.array([[0.0, 5.0], [0.0, 5.0]])
    assert first_choice(said, np.array([0.5, 0.5]), by_hand=0, tried=np.ones((2, 2), bool)) == 0
    assert first_choice(np.zeros((0, 2)), np.zeros(0), by_hand=1, tried=np.ones((0, 2), bool)) == 1


def test_by_chance_something_else_comes_first_in_few_of_many_worlds():
    rng = np.random.default_rng(1)
    equal = np.full(10, 0.1)
    tried = np.ones((10, 2), bool)
    other = sum(first_choice(rng.normal(size=(10, 2)), equal, by_hand=0, tried=tried) != 0 for _ in range(400))
    assert 8 < other < 35  # one in twenty
