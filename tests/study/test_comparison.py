"""What a claim is worth, against numbers worked out by hand and against simulated searches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from autokd.metrics import METRICS, Predictions, predictions
from autokd.study import comparison
from autokd.study.comparison import (
    Pair,
    compare,
    compare_measured,
    gap_closed,
    measure,
    prediction_interval,
)

Correct = dict[str, NDArray[np.bool_]]


def correct(**arms: list[str]) -> Correct:
    """One string of 0 and 1 a seed, one digit a test item."""
    return {arm: np.array([[digit == "1" for digit in seed] for seed in seeds]) for arm, seeds in arms.items()}


POOLED = correct(
    pick=["11110", "11101", "11111"],  # 0.8, 0.8, 1.0
    alone=["10100", "10110", "00110"],  # 0.4, 0.6, 0.4
    kd=["11100", "11010", "11110"],  # 0.6, 0.6, 0.8
)


def test_pooled_seeds_and_paired_items_by_hand() -> None:
    """Every arm's variance is 1/75, so 2 s² / n = 2/225.

    Item by item the mean differences are 1/3, 1, 0, 0, 2/3: their variance over 5 is 17/450. So SE² = 0.0466667, and
    with 6 degrees of freedom t(0.975) = 2.4469119, t(0.8) = 0.9057033.
    """
    found = compare(POOLED, Pair("pick", "alone"))
    assert found.difference == pytest.approx(0.4)
    assert found.standard_error == pytest.approx(0.2160247, rel=1e-6)
    assert found.df == 6
    assert (found.low, found.high) == (pytest.approx(-0.1285934, rel=1e-5), pytest.approx(0.9285934, rel=1e-5))
    assert found.detectable == pytest.approx(0.7242476, rel=1e-5)
    assert found.verdict == "not distinguishable"
    assert found.seeds_needed == 17  # t(0.975, 48) = 2.010635: 0.39883 < 0.4; with 16 seeds 0.40001
    assert found.text == (
        "not distinguishable from training without a teacher: +40.0 points [-12.9, +92.9]; about 17 seeds would be "
        "needed; this comparison sees differences from 72.4 points"
    )


def test_the_other_way_round_is_the_mirror_image() -> None:
    one, other = compare(POOLED, Pair("pick", "kd")), compare(POOLED, Pair("kd", "pick"))
    assert one.difference == pytest.approx(-other.difference) and one.low == pytest.approx(-other.high)
    assert one.standard_error == pytest.approx(other.standard_error) and one.detectable == other.detectable


def test_very_unequal_variances_are_not_pooled() -> None:
    """Variances 0.16 and 0: Welch-Satterthwaite leaves the 2 degrees of freedom of the noisy arm."""
    arms = correct(pick=["11111", "10000", "11100"], alone=["11000", "11000", "11000"], kd=["11100", "11100", "11110"])
    found = compare(arms, Pair("pick", "alone"))
    assert found.df == pytest.approx(2.0)
    # items: 1, 2/3, 2/3, 1/3, 1/3 less 1, 1, 0, 0, 0: variance 13/90 over 5; seeds: 0.16 over 3
    assert found.standard_error == pytest.approx((0.16 / 3 + 13 / 450) ** 0.5)
    quiet = compare(arms, Pair("kd", "alone"))  # 0.0133333 and 0: these two are not pooled with the noisy arm either
    assert quiet.df == pytest.approx(2.0)


def test_variances_that_three_seeds_may_show_by_chance_are_pooled() -> None:
    """0.16 beside 0.0133333 is a ratio of 12; F(0.975; 2, 2) = 39."""
    arms = correct(pick=["11111", "10000", "11100"], alone=["10100", "10110", "00110"], kd=["11100", "11010", "11110"])
    found = compare(arms, Pair("pick", "alone"))
    assert found.df == 6
    items = np.array([1 - 2 / 3, 2 / 3 - 0, 2 / 3 - 1, 1 / 3 - 2 / 3, 1 / 3 - 0])
    seeds = 2 * (0.16 + 2 * 0.04 / 3) / 3
    assert found.standard_error == pytest.approx((seeds / 3 + items.var(ddof=1) / 5) ** 0.5)


def test_verdicts_without_any_noise() -> None:
    arms = correct(pick=["1" * 50] * 2, alone=["0" * 50] * 2, kd=["1" * 50] * 2)
    better, worse, same = (compare(arms, Pair(*pair)) for pair in (("pick", "alone"), ("alone", "kd"), ("pick", "kd")))
    assert (better.verdict, worse.verdict, same.verdict) == ("better", "worse", "not distinguishable")
    assert better.text == "better than training without a teacher by 100.0 points [+100.0, +100.0]"
    assert worse.text == "worse than plain KD by 100.0 points [-100.0, -100.0]"
    assert (better.seeds_needed, worse.seeds_needed, same.seeds_needed) == (None, None, None)
    assert "the test set is too small" in same.text


def test_a_failed_seed_counts_as_all_wrong_and_widens_the_interval() -> None:
    steady = correct(pick=["1110"] * 5, alone=["1100"] * 5)
    failing = correct(pick=["1110"] * 4 + ["0000"], alone=["1100"] * 5)
    assert compare(failing, Pair("pick", "alone")).difference == pytest.approx(0.25 - 0.15)
    # seeds: 0.1125 over 5; items: differences -0.2, -0.2, 0.8, 0, variance 0.68/3 over 4
    assert compare(failing, Pair("pick", "alone")).standard_error == pytest.approx((0.0225 + 0.17 / 3) ** 0.5)
    assert compare(steady, Pair("pick", "alone")).standard_error == pytest.approx(0.25)


def noisy(gap: float, items: int, seeds: int, seed: int) -> Correct:
    """Three arms whose accuracy wobbles from seed to seed, on items of different difficulty."""
    random = np.random.default_rng(seed)
    ease = random.normal(1.2, 1.0, items)
    wobble = 0.15
    centres = {"pick": gap, "alone": 0.0, "kd": 0.0}
    return {
        arm: random.random((seeds, items)) < 1 / (1 + np.exp(-(ease + centre + random.normal(0, wobble, (seeds, 1)))))
        for arm, centre in centres.items()
    }


def test_smaller_differences_need_more_seeds() -> None:
    needed = []
    base = noisy(0.0, 4000, 3, 1)
    for shift in (60, 40, 25, 10):
        arms = {**base, "pick": base["alone"].copy()}
        wrong = np.argwhere(~arms["pick"])
        for row in range(3):
            arms["pick"][row, wrong[wrong[:, 0] == row][:shift, 1]] = True
        found = compare(arms, Pair("pick", "alone"))
        if found.verdict == "not distinguishable":
            needed.append(found.seeds_needed or 10**6)
    assert len(needed) >= 2 and needed == sorted(needed) and needed[0] < needed[-1]


def test_no_number_of_seeds_tells_what_the_test_items_hide() -> None:
    arms = correct(pick=["1101", "1110"], alone=["1011", "1100"], kd=["1010", "0110"])
    found = compare(arms, Pair("pick", "alone"))
    assert found.seeds_needed is None and "more seeds would not tell" in found.text


def test_the_interval_covers_and_the_detectable_difference_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of simulated claims without a difference, about 5 % say there is one; of the detectable one, 80 % see it."""
    monkeypatch.setattr(comparison, "MOST_SEEDS", 2)  # looking for the seeds needed takes most of the time
    quiet = [compare(noisy(0.0, 300, 5, seed), Pair("pick", "alone")) for seed in range(600)]
    wrong = sum(found.verdict != "not distinguishable" for found in quiet) / len(quiet)
    assert 0.01 <= wrong <= 0.065
    detectable = float(np.median([found.detectable for found in quiet]))
    slope = 0.151  # accuracy gained a unit of logit at these difficulties
    told = [compare(noisy(detectable / slope, 300, 5, seed), Pair("pick", "alone")) for seed in range(200)]
    assert np.mean([found.difference for found in told]) == pytest.approx(detectable, rel=0.12)
    assert 0.7 <= sum(found.verdict == "better" for found in told) / len(told) <= 0.92


def test_a_prediction_interval_by_hand() -> None:
    """Mean 0.92, deviation 0.02, t(0.975, 2) = 4.3026527: half width 0.0993653; accuracies end at 1."""
    low, high = prediction_interval([0.90, 0.92, 0.94], 1000)
    assert low == pytest.approx(0.8206347, rel=1e-6) and high == 1.0
    low, high = prediction_interval([0.50, 0.52, 0.54], 1000)
    assert (low, high) == (pytest.approx(0.4206347, rel=1e-6), pytest.approx(0.6193653, rel=1e-6))
    assert prediction_interval([0.01, 0.03], 1000)[0] == 0.0


def test_equal_scores_still_leave_an_item_of_doubt() -> None:
    low, high = prediction_interval([0.9, 0.9, 0.9], 100)
    assert (low, high) == pytest.approx((0.9 - 0.04968, 0.9 + 0.04968), abs=1e-4)  # 4.3027 * 0.01 * sqrt(4 / 3)


def test_one_more_run_falls_inside_the_prediction_interval_in_95_percent() -> None:
    random = np.random.default_rng(4)
    inside = 0
    for _ in range(2000):
        *seen, new = random.normal(0.5, 0.01, 6)
        low, high = prediction_interval(seen, 10**6)
        inside += low <= new <= high
    assert 0.935 <= inside / 2000 <= 0.965


def test_the_gap_closed() -> None:
    assert gap_closed(0.95, 0.90, 1.0) == pytest.approx(0.5)
    assert gap_closed(0.89, 0.90, 1.0) == pytest.approx(-0.1)
    assert gap_closed(0.95, 0.90, 0.90) is None and gap_closed(0.95, 0.90, 0.80) is None


def test_a_comparison_is_plain_data() -> None:
    plain = dataclasses.asdict(compare(POOLED, Pair("pick", "alone")))
    assert plain["verdict"] == "not distinguishable" and plain["df"] == 6.0 and isinstance(plain["low"], float)


def answers(seed: int, skill: float, *, items: int = 300, labels: int = 0) -> Predictions:
    """A student's answers on items of four unequal classes; `labels` says which test set."""
    drawn = np.random.default_rng(labels).choice(4, size=items, p=[0.5, 0.3, 0.15, 0.05])
    hard = torch.from_numpy(np.random.default_rng(labels + 1000).normal(size=(items, 4)))  # alike for all students
    own = torch.randn(items, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    truth = torch.from_numpy(drawn)
    return predictions(skill * torch.eye(4, dtype=torch.float64)[truth] + hard + 0.5 * own, truth)


def claimed(labels: int = 0) -> dict[str, list[Predictions | None]]:
    skills = {"pick": 2.6, "alone": 2.0, "kd": 2.4}
    return {
        arm: [answers(100 * k + i + 10_000 * labels, skill, labels=labels) for i in range(3)]
        for k, (arm, skill) in enumerate(skills.items())
    }


def test_the_bootstrap_says_of_accuracy_what_its_formula_says() -> None:
    found = claimed()
    right = {arm: np.stack([(a.predicted == a.labels).numpy() for a in row if a]) for arm, row in found.items()}
    by_formula, resampled = compare(right, Pair("pick", "alone")), measure(METRICS["accuracy"], found)
    by_bootstrap = compare_measured(METRICS["accuracy"], resampled, Pair("pick", "alone"))
    assert by_bootstrap.difference == pytest.approx(by_formula.difference)
    assert by_bootstrap.standard_error == pytest.approx(by_formula.standard_error, rel=0.1)
    assert by_bootstrap.df == by_formula.df and by_bootstrap.verdict == by_formula.verdict


@pytest.mark.parametrize("name", ["macro_f1", "balanced_accuracy", "log_loss", "mcc"])
def test_the_standard_error_is_the_spread_over_other_test_sets_and_seeds(name: str) -> None:
    metric, differences, errors = METRICS[name], [], []
    for labels in range(40):
        found = claimed(labels)
        means = {arm: np.mean([metric.of(a) for a in row if a]) for arm, row in found.items()}
        differences.append(means["pick"] - means["alone"])
        if labels < 4:
            errors.append(compare_measured(metric, measure(metric, found), Pair("pick", "alone")).standard_error)
    assert 0.75 < np.mean(errors) / np.std(differences, ddof=1) < 1.7  # accuracy's formula, too, errs on the wide side


def test_less_log_loss_is_better_and_said_in_nats() -> None:
    metric = METRICS["log_loss"]
    found = compare_measured(metric, measure(metric, claimed()), Pair("pick", "alone"))
    assert found.verdict == "better" and found.high < 0
    assert found.text.startswith("better than training without a teacher by 0.") and " nats [-0." in found.text
    back = compare_measured(metric, measure(metric, claimed()), Pair("alone", "pick"))
    assert back.verdict == "worse" and back.low == -found.high
    assert gap_closed(0.3, 0.5, 0.1, metric) == pytest.approx(0.5) and gap_closed(0.3, 0.5, 0.6, metric) is None
    low, high = prediction_interval([0.1, 1.1], 100, metric)
    assert low == 0.0 and high > 1.1


def test_a_failed_run_counts_the_worst_value() -> None:
    found: dict[str, list[Predictions | None]] = {
        "pick": [answers(1, 2.0), None],
        "alone": [answers(2, 2.0), answers(3, 2.0)],
    }
    for name, worst in {"macro_f1": 0.0, "log_loss": 16.0, "mcc": -1.0}.items():
        assert measure(METRICS[name], found).scores["pick"][1] == worst
    none: dict[str, list[Predictions | None]] = {"pick": [None, None], "alone": [None, None]}
    nothing = measure(METRICS["mcc"], none)
    assert set(nothing.scores["alone"]) == {-1.0}
