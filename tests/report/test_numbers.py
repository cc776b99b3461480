"""Statistics, wording and CSV of the report, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autokd.metrics import METRICS
from autokd.ranges import Choice, Range, Real
from autokd.report import words
from autokd.report.numbers import mean_interval
from autokd.report.sections.choices.importances import importances
from autokd.report.tables import flat
from autokd.study.fidelity import kendall
from autokd.study.records import RungRecord, TrialRecord

ACCURACY = METRICS["accuracy"]


def trial(number: int, scores: list[float], params: dict[str, Any] | None = None, failed: bool = False) -> TrialRecord:
    rungs = [RungRecord(rung=i, epochs=3**i, score=s, loss=0.1, seconds=1.0) for i, s in enumerate(scores)]
    failure = {"kind": "error", "reason": "boom"} if failed else None
    return TrialRecord(
        number=number,
        source="tpe",
        seed=0,
        pipeline={},
        params=params or {},
        cost={"params": 10},
        rungs=tuple(rungs),
        failure=failure,
    )


def test_kendall_without_ties() -> None:
    tau = kendall([1, 2, 3, 4], [1, 3, 2, 4])  # five of six pairs agree, one disagrees
    assert tau is not None
    assert tau.tau == pytest.approx(4 / 6)
    assert tau.n == 4
    assert tau.low is None  # four things are too few for an interval


def test_kendall_counts_ties_in_the_denominator() -> None:
    tau = kendall([1, 1, 2, 3], [1, 2, 2, 3])  # four agree; one tie in each series: 4 / sqrt(5 * 5)
    assert tau is not None
    assert tau.tau == pytest.approx(0.8)


def test_kendall_interval_holds_the_estimate_and_narrows_with_n() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for n in (10, 100):
        x = rng.normal(size=n)
        tau = kendall(x.tolist(), (x + rng.normal(size=n)).tolist())
        assert tau is not None and tau.low is not None and tau.high is not None
        assert tau.low < tau.tau < tau.high
        widths.append(tau.high - tau.low)
    assert widths[1] < widths[0] / 2


def test_kendall_draws_groups_together() -> None:
    x, y = [float(i) for i in range(6)], [0.0, 2.0, 1.0, 3.0, 5.0, 4.0]
    alone, copied = kendall(x, y), kendall(x * 20, y * 20, list(range(6)) * 20)
    assert alone is not None and copied is not None
    assert copied.n == 120
    assert copied.low == pytest.approx(alone.low, abs=1e-9)  # copies of the same six things bring no certainty


def test_kendall_of_a_constant_or_of_two_values_is_none() -> None:
    assert kendall([1, 1, 1, 1], [1, 2, 3, 4]) is None
    assert kendall([1, 2], [1, 2]) is None


def test_mean_interval() -> None:
    low, high = mean_interval([0.90, 0.91, 0.92], ACCURACY) or (
        0,
        0,
    )  # t(0.975, 2) = 4.3027, standard error 0.01 / sqrt(3)
    assert (low, high) == (pytest.approx(0.91 - 0.024842, abs=1e-5), pytest.approx(0.91 + 0.024842, abs=1e-5))
    assert mean_interval([0.9, 1.0], ACCURACY) == (pytest.approx(0.95 - 0.6353, abs=1e-3), 1.0)
    assert mean_interval([0.9], ACCURACY) is None
    low, high = mean_interval([0.1, 1.1], METRICS["log_loss"]) or (0, 0)  # a log loss has no upper bound
    assert (low, high) == (0.0, pytest.approx(0.6 + 6.353, abs=1e-3))


BRANCHES: dict[str, Range] = {"kind": Choice("a", "b"), "kind.a.rate": Real(0.0, 1.0), "idle": Real(0.0, 1.0)}


def branched(n: int, score: Callable[[str, float], float]) -> list[TrialRecord]:
    rng, trials = np.random.default_rng(0), []
    for number in range(n):
        kind, rate = ("a", "b")[number % 2], float(rng.uniform())
        params = {"kind": kind, "idle": float(rng.uniform()), **({"kind.a.rate": rate} if kind == "a" else {})}
        trials.append(trial(number, [score(kind, rate)], params))
    return trials


def test_importances_find_the_parameter_that_decides() -> None:
    found = importances(BRANCHES, branched(60, lambda kind, rate: 0.9 if kind == "a" else 0.1 + 0.1 * rate))
    assert found is not None
    assert next(iter(found.shares)) == "kind"
    assert found.shares["kind"] > 0.6
    assert found.shares["kind"] > found.noise["kind"]
    assert sum(found.shares.values()) == pytest.approx(1.0)
    assert (found.trials, found.top) == (60, 6)


def test_importances_of_a_parameter_that_only_one_branch_has() -> None:
    found = importances(BRANCHES, branched(80, lambda kind, rate: rate if kind == "a" else 0.0))
    assert found is not None
    assert found.shares["kind.a.rate"] > found.noise["kind.a.rate"]
    assert found.shares.get("idle", 0) < found.noise["idle"]


def test_importances_need_enough_trials_and_differences() -> None:
    assert importances(BRANCHES, branched(39, lambda kind, rate: rate)) is None
    assert importances(BRANCHES, branched(40, lambda kind, rate: 0.5)) is None
    assert importances(BRANCHES, []) is None


def test_flat_names_a_component_by_its_slot() -> None:
    plain = {"format": 1, "student": {"use": "cnn", "width": 8}, "losses": {"kd": {"use": "kd", "weight": 2.0}}}
    assert flat(plain) == {"student": "cnn", "student.width": 8, "losses.kd": "kd", "losses.kd.weight": 2.0}


def test_fields_that_hold_nothing_are_not_shown() -> None:
    plain: dict[str, Any] = {
        "use": "timm:lcnet_050",
        "drop_path": None,
        "input_size": 96,
        "mean": [],
        "std": [],
        "network": "",
        "k": 0,
    }
    assert words.component(plain) == "timm:lcnet_050(input_size 96, k 0)"
    assert words.student_in_words({"student": {**plain, "input_size": None}}) == "timm:lcnet_050, k 0"


def test_words() -> None:
    assert words.percent(0.9544) == "95.4 %"
    assert words.difference(-0.012, ACCURACY) == "−1.2"
    assert words.mean_sd([0.94, 0.96], ACCURACY) == "95.0 ± 1.4 % (n = 2)"
    assert words.mean_sd([0.94], ACCURACY) == "94.0 % (n = 1)"
    loss = METRICS["log_loss"]
    assert words.quality(0.21, loss) == "0.210 nats" and words.difference(-0.012, loss) == "−0.012"
    assert words.mean_sd([0.2, 0.3], loss) == "0.250 ± 0.071 nats (n = 2)"
    assert words.mean_sd([-0.2], METRICS["mcc"]) == "−0.200 (n = 1)"
    told = {"accuracy": "95.4 %", "latency": "0.954 ms", "params": "0.954", "size": "1 B", "log_loss": "0.954 nats"}
    assert {name: words.objective(0.9540, name) for name in told} == told
    assert words.compact(1_234_567) == "1.23 M"
    assert [words.duration(s) for s in (0.84, 42.4, 200, 3725)] == ["0.8 s", "42 s", "3 min 20 s", "1 h 02 min"]
    assert words.when("2025-11-03T12:15:00+02:00") == "2025-11-03 10:15 UTC"
    assert [t for t in words.ticks(150, 900) if 150 <= t <= 900] == [200.0, 500.0]


def test_pipelines_in_words() -> None:
    plain = {
        "format": 1,
        "student": {"use": "cnn", "width": 8},
        "augment": {"use": "none"},
        "losses": {"ce": {"use": "ce", "weight": 0.51234}, "kd": {"use": "kd", "temperature": 4.0}},
        "batch_size": 64,
    }
    assert words.brief(plain) == "cnn(width 8) · none · ce + kd · batch size 64"
    assert words.recipe(plain) == [
        ("student", "cnn(width 8)"),
        ("augment", "none"),
        ("losses: ce", "ce(weight 0.512)"),
        ("losses: kd", "kd(temperature 4)"),
        ("batch size", "64"),
    ]
