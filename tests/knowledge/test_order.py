"""The order in which pipelines are worth trying."""

import numpy as np

from autokd.knowledge.order import believed, worth_trying

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
