"""Expected seconds of a pipeline: from one trial on, exact where the law is the model's, a function of the records."""

from __future__ import annotations

import dataclasses
import math
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from autokd.data import Dataset
from autokd.search.timing import steps as timing_steps
from autokd.search.timing.pace import expected_seconds, seconds_model
from autokd.search.timing.steps import StepTimes
from autokd.study.records import TrialRecord
from tests.search.records import trial
from tests.search.spaces import CPU, resolved


def pipeline(*losses: str, student: str = "cnn", augment: str = "none", batch_size: int = 64) -> dict[str, Any]:
    return {
        "format": 1,
        "student": {"use": student},
        "augment": {"use": augment},
        "losses": {name: {"use": name} for name in ("ce", *losses)},
        "batch_size": batch_size,
    }


def timed(number: int, made: dict[str, Any], macs: float, per_epoch: float, epochs: int = 4) -> TrialRecord:
    found = trial(number, 0.5, pipeline=made)
    rung = dataclasses.replace(found.rungs[0], epochs=epochs, seconds=per_epoch * epochs)
    return dataclasses.replace(found, cost={"params": 1, "macs": macs}, rungs=(rung,))


def law(made: dict[str, Any], macs: float) -> float:
    factor = 2.0 if "hint" in made["losses"] else 1.0
    return 0.1 * factor * (1.5 if made["augment"]["use"] == "mixup" else 1.0) * (macs / 1e6) ** 0.7


def drawn(count: int, noise: float = 0.0) -> list[TrialRecord]:
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        losses = [name for name in ("kd", "hint") if rng.random() < 0.5]
        made = pipeline(*losses, augment="mixup" if rng.random() < 0.5 else "none")
        macs = float(10 ** rng.uniform(5, 8))
        seconds = law(made, macs) * math.exp(noise * rng.normal())
        found.append(timed(number, made, macs, seconds, epochs=int(rng.integers(1, 9))))
    return found


def test_nothing_is_known_before_a_trial_was_timed() -> None:
    assert seconds_model([]) is None
    assert expected_seconds([trial(0), trial(1, failure="crash")], pipeline(), {"macs": 1e6}, 3) is None


def test_one_trial_is_enough_for_an_answer() -> None:
    one = [timed(0, pipeline("kd"), 1e6, 2.0)]
    assert expected_seconds(one, pipeline("kd"), {"macs": 1e6}, 3) == pytest.approx(6.0)
    assert expected_seconds(one, pipeline("kd"), {"macs": 4e6}, 1) == pytest.approx(4.0)  # the usual slope, a half
    assert expected_seconds(one, pipeline("dkd", augment="mixup", batch_size=32), {"macs": 1e6}, 1) < 3.0  # type: ignore[operator]


@pytest.mark.parametrize(("count", "noise", "error"), [(60, 0.0, 0.05), (60, 0.1, 0.12), (15, 0.1, 0.3)])
def test_slopes_and_effects_are_found(count: int, noise: float, error: float) -> None:
    model = seconds_model(drawn(count, noise))
    assert model is not None
    made = [pipeline(), pipeline("hint"), pipeline("kd", "hint", augment="mixup")]
    off = [math.log(model.per_epoch(p, {"macs": macs}) / law(p, macs)) for p in made for macs in (3e5, 1e6, 3e7)]
    assert float(np.sqrt(np.mean(np.square(off)))) < error


def test_the_model_is_a_function_of_the_trials_and_not_of_their_scores() -> None:
    trials = drawn(12, 0.1)
    better = [dataclasses.replace(t, rungs=(dataclasses.replace(t.rungs[0], score=0.9),)) for t in trials]
    assert seconds_model(trials) == seconds_model(better)
    unfinished = trial(99, pipeline=pipeline())
    assert seconds_model([*trials, unfinished]) == seconds_model(trials)


def test_a_component_that_no_trial_had_changes_nothing() -> None:
    model = seconds_model(drawn(20))
    assert model is not None
    assert model.per_epoch(pipeline("never"), {"macs": 1e6}) == model.per_epoch(pipeline(), {"macs": 1e6})


def test_measured_steps_count_where_all_trials_have_them() -> None:
    one = timed(0, pipeline("kd"), 1e6, 2.0)
    known = dataclasses.replace(one, cost={**one.cost, "step": 5.0})
    slow = {"macs": 1e6, "step": 50.0}
    assert expected_seconds([known], pipeline("kd"), slow, 1) == pytest.approx(2.0 * 10**0.8)
    for trials, cost in (([known, one], slow), ([one], slow), ([known], {"macs": 1e6})):
        assert expected_seconds(trials, pipeline("kd"), cost, 1) == pytest.approx(2.0)


def test_a_step_is_timed_once_a_network_and_one_that_does_not_train_has_none(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = ({"use": "cnn", "width": width, "layers": 3} for width in (3, 96))
    made, trials = resolved(digits).default().plain, dict[int, TrialRecord]()
    steps = StepTimes(task=digits.task, device=CPU, threads=1, teacher=None, trials=trials)
    found = [steps({**made, "student": student}, macs)["step"] for student, macs in ((small, 2e4), (large, 6e6))]
    assert 0 < 2 * found[0] < found[1]
    trials[0] = timed(0, {**made, "student": small, "batch_size": 32}, 2e4, 1.0)
    trials[1] = dataclasses.replace(trials[0], cost={**trials[0].cost, "step": 7.5})
    assert steps({**made, "student": small}, 2e4) == {"step": 7.5}
    fails = mock.Mock(side_effect=torch.OutOfMemoryError)
    monkeypatch.setattr(timing_steps, "step_time", fails)
    assert steps({**made, "student": large}, 6e6) == {} and fails.called
