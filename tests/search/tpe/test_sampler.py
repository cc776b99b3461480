"""The sampler sees the records at one common rung; what it suggests is a function of them alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import optuna
import pytest
import torch
from optuna.trial import TrialState

from autokd.ranges import Choice, Integer, Real
from autokd.search.tpe.borrowed import AskSampler, good_count
from autokd.search.tpe.sampler import EI_CANDIDATES, candidates, select_trials
from autokd.search.tpe.trials import distribution, optuna_study, trials_for_tpe
from autokd.seeds import derive
from autokd.space import Drawn
from autokd.study.ranking import common_rung
from autokd.study.records import Refused, TrialRecord
from tests.search.records import trial
from tests.search.spaces import Branches, Line, TrialDraw

LINE = Line()
RANGES = LINE.ranges()


def at(number: int, x: float, *scores: float, **kind: str) -> TrialRecord:
    return trial(number, *scores, params={"x": x}, pipeline={"x": x}, **kind)


def value(x: float) -> float:
    """The objective, best at 0."""
    return 0.9 - 0.5 * x**2


def suggestions(trials: Iterable[TrialRecord], count: int = 60, *, seed: int = 1) -> list[float]:
    known = list(trials)
    return [
        float((next(candidates(LINE, known, seed=seed, number=number)).params or {})["x"])  # type: ignore[arg-type]
        for number in range(100, 100 + count)
    ]


def grid(number: int, *, reach: int = 1, start: int = 0) -> list[TrialRecord]:
    xs = np.linspace(-1, 1, number)
    return [at(start + i, float(x), *[value(x)] * reach) for i, x in enumerate(xs)]


def test_all_are_shown_at_the_highest_rung_that_eight_have_finished() -> None:
    eight = [at(i, i / 10, 0.5, 0.6) for i in range(8)]
    two = [at(8, 0.8, 0.4, 0.45, 0.7), at(9, 0.9, 0.3)]
    failed = [at(10, -0.5, failure="not_finite"), at(11, -0.6, 0.9, 0.9, failure="out_of_memory")]
    running = [at(12, -0.7)]
    trials = [*eight, *two, *failed, *running]
    assert common_rung(trials) == 1
    seen = trials_for_tpe(RANGES, trials)
    assert [t.state for t in seen] == [TrialState.COMPLETE] * 9 + [TrialState.PRUNED] * 3 + [TrialState.RUNNING]
    assert [t.value for t in seen[:9]] == [0.6] * 8 + [0.45]
    assert seen[9].intermediate_values == {0: 0.3}
    assert [t.params for t in seen[9:]] == [{"x": 0.9}, {"x": -0.5}, {"x": -0.6}, {"x": -0.7}]
    assert [t.constraints for t in seen[10:12]] == [{"not_finite": 1.0}, {"out_of_memory": 1.0}]


def test_the_common_rung_needs_enough_trials() -> None:
    assert common_rung([]) == 0
    assert common_rung([at(i, 0.0, 0.5, 0.5) for i in range(7)]) == 0
    assert common_rung([at(i, 0.0, 0.5, 0.5) for i in range(8)]) == 1
    assert common_rung([at(i, 0.0, 0.5, 0.5, failure="error") for i in range(8)]) == 0
    assert common_rung([at(i, 0.0, 0.5, 0.5, 0.5) for i in range(9)]) == 2


def test_a_trial_outside_the_space_is_not_shown() -> None:
    assert trials_for_tpe(RANGES, [trial(0, 0.5, params=None)]) == []


def test_ranges_become_distributions() -> None:
    assert distribution(Real(0.1, 1.0, log=True)) == optuna.distributions.FloatDistribution(0.1, 1.0, log=True)
    assert distribution(Integer(4, 12, step=4)) == optuna.distributions.IntDistribution(4, 12, step=4)
    assert distribution(Choice("a", 2)) == optuna.distributions.CategoricalDistribution(("a", 2))


def test_two_bad_completed_baselines_do_not_move_suggestions_from_the_optimum() -> None:
    """Shown as complete beside 20 pruned trials, two bad ones at -0.9 would be the sampler's idea of good."""
    bad = [at(0, -0.9, 0.1, 0.1, 0.1, source="recipe:alone"), at(1, -0.88, 0.1, 0.1, 0.1, source="recipe:kd")]
    mean = float(np.mean(suggestions([*bad, *grid(20, start=2)])))
    assert abs(mean) < 0.1


def test_ten_good_paused_trials_do_not_move_suggestions_from_the_optimum() -> None:
    """Shown as running they would count as bad, and the mean suggestion would move to -0.3."""
    paused = [at(20 + i, float(x), value(float(x))) for i, x in enumerate(np.linspace(-0.3, 0.3, 10))]
    found = suggestions([*grid(20), *paused])
    assert abs(float(np.mean(found))) < 0.1
    assert float(np.mean(np.abs(found))) < 0.2  # blind ones: 0.5


def test_suggestions_come_near_the_optimum() -> None:
    blind = float(np.mean(np.abs(suggestions([]))))
    taught = float(np.mean(np.abs(suggestions(grid(20)))))
    assert 0.35 < blind < 0.65 and taught < 0.3


def test_corners_that_failed_are_avoided() -> None:
    """The score rises up to 0.5, and everything beyond fails."""
    good = [at(i, float(x), 0.5 + 0.3 * float(x)) for i, x in enumerate(np.linspace(-1, 0.5, 15))]
    failed = [at(15 + i, float(x), failure="not_finite") for i, x in enumerate(np.linspace(0.55, 1, 10))]
    untold = np.mean(np.array(suggestions(good)) > 0.55)
    told = np.mean(np.array(suggestions([*good, *failed])) > 0.55)
    assert told < 0.5 * untold and told < 0.25


LIMIT = 0.5


def search_below_a_limit(seed: int, *, told: bool) -> float:
    """Search on a score that rises with x, x itself being what must not exceed a limit; return the share within it."""
    trials = [at(i, x, 0.5 + x / 3) for i, x in enumerate((-0.9, -0.5, -0.1, 0.3))]
    refused: dict[int, Sequence[Refused]] = {}
    drawn = 0
    for number in range(4, 16):
        stream = candidates(LINE, trials, seed=seed, number=number, refused=refused)  # type: ignore[arg-type]
        xs = (float(d.params["x"]) for d in stream if d.params is not None)
        over = list(itertools.takewhile(lambda x: x > LIMIT, itertools.islice(xs, 25)))
        drawn += len(over) + 1
        trials.append(at(number, x := next(xs), 0.5 + x / 3))
        if told:
            refused[number] = [Refused(params={"x": x}, excess=1 + x - LIMIT) for x in over[:8]]
    return 12 / drawn


def test_told_of_refused_suggestions_the_sampler_keeps_within_the_budget() -> None:
    told, untold = ([search_below_a_limit(seed, told=known) for seed in range(6)] for known in (True, False))
    assert np.mean(told) > np.mean(untold) + 0.1
    assert sum(a > b for a, b in zip(told, untold, strict=True)) >= 4


def test_refused_suggestions_are_shown_in_order_as_infeasible_and_make_no_more_good_ones() -> None:
    refused: Mapping[int, Sequence[Refused]] = {1: [Refused(params={"x": 0.9}, excess=1.5)], 9: []}
    told = [(before, draw) for before, draws in refused.items() for draw in draws]
    first, middle, last = trials_for_tpe(RANGES, [at(0, 0.1, 0.5), at(1, 0.2, 0.6)], told)
    assert [t.params["x"] for t in (first, middle, last)] == [0.1, 0.9, 0.2]
    assert middle.state == TrialState.PRUNED and middle.constraints == {"budget": 0.5}
    assert [good_count(count) for count in (0, 1, 10, 11, 250, 300)] == [0, 1, 1, 2, 25, 25]
    many = [(20, Refused(params={"x": 0.9}, excess=1.5))] * 50
    study = optuna_study(RANGES, grid(20), many)
    assert len(AskSampler(study, 1, draws=EI_CANDIDATES, refused=50)._good) == good_count(20)


def test_what_was_refused_later_is_not_known_yet() -> None:
    """A killed search asks again for a trial whose refused suggestions are on record already."""
    known, later = grid(12), {30: [Refused(params={"x": 0.1}, excess=2.0)]}

    def first(number: int, refused: Mapping[int, Sequence[Refused]]) -> float:
        drawn = next(candidates(LINE, known, seed=1, number=number, refused=refused))  # type: ignore[arg-type]
        assert drawn.params is not None
        return float(drawn.params["x"])

    assert first(30, later) == first(30, {}) and first(31, later) != first(31, {})


def test_an_ask_is_a_function_of_records_seed_and_number() -> None:
    known = grid(12)

    def first(seed: int = 1, number: int = 30, trials: list[TrialRecord] = known) -> list[float]:
        drawn = itertools.islice(candidates(LINE, trials, seed=seed, number=number), 3)  # type: ignore[arg-type]
        return [float(d.params["x"]) for d in drawn if d.params is not None]

    asked = first()
    np.random.seed(3)  # noqa: NPY002  # nobody else's random state may matter
    torch.manual_seed(3)
    assert first() == asked
    assert len(set(asked)) == 3
    assert first(seed=2) != asked and first(number=31) != asked and first(trials=grid(13)) != asked


def test_candidates_of_one_ask_do_not_repel_each_other() -> None:
    stream = itertools.islice(candidates(LINE, grid(20), seed=1, number=30), 60)  # type: ignore[arg-type]
    found = [float(d.params["x"]) for d in stream if d.params is not None]
    assert float(np.mean(np.abs(found))) < 0.2


def test_asking_leaves_optunas_log_level_alone() -> None:
    level = optuna.logging.get_verbosity()
    try:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        next(candidates(LINE, grid(3), seed=1, number=5))  # type: ignore[arg-type]
        assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    finally:
        optuna.logging.set_verbosity(level)


def test_a_seed_of_any_size_serves() -> None:
    assert len(set(suggestions(grid(5), 2, seed=2**63 - 1))) == 2


def test_of_a_long_study_the_best_and_the_latest_are_shown_in_order() -> None:
    trials = [at(number, 0.0, 0.9 - number / 1000 if number % 10 else 0.1) for number in range(300)]
    numbers = [t.number for t in select_trials(trials)]
    good = [number for number in range(300) if number % 10][:25]
    assert numbers == [*good, *range(225, 300)]
    assert select_trials(trials[:100]) == trials[:100]
    deeper = [at(number, 0.0, 0.1, 0.2) for number in range(8)]
    kept = select_trials([*deeper, *trials[8:]])
    assert kept[:8] == deeper and common_rung(kept) == 1  # the common rung stays
    running, outside = at(400, 0.5), trial(401, 0.9, params=None)
    assert [t.number for t in select_trials([*trials, running, outside])] == [n for n in numbers if n != 225] + [400]


@pytest.mark.parametrize("better", ["x", "n"])
def test_the_first_candidate_is_what_optuna_itself_would_suggest(better: str) -> None:
    """On a conditional space with trials of every kind: complete, pruned, failed, under way."""
    space, trials = Branches(), branches(40, better)
    found = []
    for number in range(40, 60):
        sampler = optuna.samplers.TPESampler(
            seed=derive(1, "tpe", number) % 2**32, n_startup_trials=1, n_ei_candidates=EI_CANDIDATES
        )
        study = optuna.create_study(direction="maximize", sampler=sampler)
        study.add_trials(trials_for_tpe(space.ranges(), trials))
        first = next(candidates(space, trials, seed=1, number=number))  # type: ignore[arg-type]
        assert first == space.draw(TrialDraw(study.ask()), number)
        found.append(first.plain)
    assert len({str(plain) for plain in found}) > 1 and any(plain["which"] == better for plain in found)


def test_later_candidates_come_from_the_same_densities() -> None:
    """Of many candidates of one ask, and the first ones of many asks: the same shares and means."""
    space, trials = Branches(), branches(40, "x")
    later = list(itertools.islice(candidates(space, trials, seed=1, number=40), 400))  # type: ignore[arg-type]
    first = [next(candidates(space, trials, seed=1, number=number)) for number in range(400)]  # type: ignore[arg-type]
    means, spreads = zip(*((np.mean(xs), np.std(xs)) for xs in map(_logarithms, (later, first))), strict=True)
    assert abs(means[0] - means[1]) < 0.08 and abs(spreads[0] - spreads[1]) < 0.08
    assert len(_logarithms(later)) > 380 and len(set(_logarithms(later))) > 380


def _logarithms(drawn: Iterable[Drawn]) -> list[float]:
    return [math.log(d.plain["x"]) for d in drawn if "x" in d.plain]


def branches(count: int, better: str) -> list[TrialRecord]:
    """Trials of a conditional space; one of its branches scores better."""
    rng = np.random.default_rng(0)
    trials = []
    for number in range(count):
        x, n = float(rng.uniform(0.1, 1.0)), int(rng.integers(1, 10))
        plain = [{"which": "x", "x": x}, {"which": "n", "n": n, "m": 8}][rng.integers(2)]
        score = 0.5 + float(rng.uniform(0, 0.1)) + 0.2 * (plain["which"] == better)
        scores = [[score, score], [score], [], []][number % 4]
        failure = "not_finite" if number % 4 == 2 else None
        trials.append(trial(number, *scores, params=plain, pipeline=plain, failure=failure))
    return trials
