"""The ladder, the commonest class and a weak teacher, against values worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from autokd.metrics import METRICS
from autokd.study.claim import Arm, ArmRun, Claim
from autokd.study.intervals import Family, half_width
from autokd.study.ladder import Step, additions, all_together, hand_step, ladder
from autokd.study.majority import majority, rare_classes, rare_text
from autokd.study.records import RecordLog
from autokd.study.weak_teacher import weak_teacher

ACCURACY = METRICS["accuracy"]
HAND = {"alone": {"losses": {"ce": {"use": "ce"}}}, "kd": {"losses": {"kd": {"use": "kd"}}}}


def add_hand(log: RecordLog, number: int, name: str, score: float, epochs: int = 9) -> None:
    """A trial of a baseline."""
    log.append("trial", number=number, source=f"recipe:{name}", seed=0, pipeline=HAND[name], params=None, cost={})
    rung = {"rung": 0, "epochs": epochs, "score": score, "loss": 0.1, "seconds": 1.0, "curve": []}
    log.append("rung", number=number, **rung)


def add_run(log: RecordLog, stage: str, pipeline: dict[str, Any], seed: int, score: float) -> None:
    run = {"stage": stage, "round": 0, "arm": "kd", "variant": "", "seed": seed, "pipeline": pipeline}
    log.append("run", **run, score=score, loss=0.1, seconds=1.0, failure=None)


def add_claim(log: RecordLog, runs: dict[str, dict[str, tuple[ArmRun, ...]]]) -> None:
    """A claim with arms that have these runs by purpose."""
    claim = Claim(
        round=0,
        trials=2,
        trial=1,
        use="pick",
        comparators=(),
        evidence="none",
        arms=tuple(Arm(name=n, kind=n, pipeline={}, cost={}, runs=made) for n, made in runs.items()),
        metric="accuracy",
        epochs=9,
        teacher=None,
        comparisons={},
        prediction_interval=None,
        gap_closed=None,
        n_test=0,
    )
    log.append("claim", **claim.to_plain())


def test_the_ladder_goes_from_hand_alone_to_the_pick(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "trials.jsonl")
    add_hand(log, 0, "kd", 0.80)
    add_hand(log, 1, "alone", 0.70)
    add_run(log, "noise", HAND["kd"], 1, 0.82)
    add_run(log, "tune", HAND["kd"], 2, 0.99)  # a maximum of one seed: it does not count
    add_claim(
        log,
        {
            "pick": {"choose": (ArmRun(3, 0.90), ArmRun(4, 0.94)), "explore": (ArmRun(0, 0.99),)},
            "kd": {"choose": (ArmRun(3, 0.88),)},
        },
    )
    steps = ladder(log.records, 9, ACCURACY)
    assert [step.title for step in steps] == [
        "Default recipe, no teacher", "Default recipe, plain KD", "Found recipe, plain KD", "Found recipe, found losses"
    ]  # fmt: skip
    assert [len(step.values) for step in steps] == [1, 2, 1, 2]
    assert steps[1].mean == pytest.approx(0.81) and steps[3].mean == pytest.approx(0.92)
    spread = math.sqrt((0.0002 + 0.0008) / 2)  # both variances, each with one degree of freedom
    assert steps[1].interval == pytest.approx(
        (0.81 - half_width(2) * spread / math.sqrt(2), 0.81 + half_width(2) * spread / math.sqrt(2))
    )
    assert steps[0].interval is None and not any(step.flattered for step in steps)


def step(name: str, *values: float, flattered: bool = False) -> Step:
    return Step(name=name, title=name, values=values, flattered=flattered)


def test_each_step_adds_to_the_one_that_it_is_built_on() -> None:
    steps = [
        step("hand/alone", 0.70),
        step("hand/kd", 0.80, 0.82),
        step("found/alone", 0.90, 0.92, 0.94),
        step("found/kd", 0.93),
    ]
    found = additions(steps, ACCURACY)
    assert {name: (each.what, each.to.name) for name, each in found.items()} == {
        "hand/kd": ("teacher", "hand/alone"),
        "found/alone": ("recipe", "hand/alone"),
        "found/kd": ("teacher", "found/alone"),
    }
    spread = math.sqrt((0.0002 + 0.0008) / 3)  # squares of both over their degrees of freedom, 1 and 2
    half = Family(4, all_pairs=True).half_width(3) * spread * math.sqrt(1 + 1 / 3)
    assert found["found/alone"].interval == pytest.approx((0.22 - half, 0.22 + half))
    assert found["found/alone"].told and not found["found/kd"].told
    whole = all_together(steps, ACCURACY)
    assert whole is not None and whole.difference == pytest.approx(0.23)


def test_of_a_loss_less_is_a_gain_and_a_chosen_trial_has_no_interval() -> None:
    steps = [step("hand/alone", 0.9, 1.0), step("found/alone", 0.4, 0.5), step("found/pick", 0.3, flattered=True)]
    found = additions(steps, METRICS["log_loss"])
    assert found["found/alone"].difference == pytest.approx(0.5)
    assert found["found/pick"].what == "teacher and found losses" and found["found/pick"].interval is None
    assert all(
        each.interval is None for each in additions([step("hand/alone", 0.9), step("hand/kd", 1.0)], ACCURACY).values()
    )


def test_a_trial_that_was_chosen_for_its_score_flatters(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "trials.jsonl")
    add_claim(log, {"pick": {"explore": (ArmRun(0, 0.9),)}})
    [step] = ladder(log.records, 9, ACCURACY)
    assert step.flattered and step.values == (0.9,)


def test_a_baseline_that_was_not_trained_to_the_end_is_no_step(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "trials.jsonl")
    add_hand(log, 0, "alone", 0.7, epochs=3)
    assert hand_step(log.records, "alone", 9, ACCURACY) is None and ladder(log.records, 9, ACCURACY) == []


def test_a_trial_whose_run_the_claim_takes_over_is_one_seed(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "trials.jsonl")
    add_hand(log, 0, "kd", 0.80)
    add_run(log, "claim", HAND["kd"], 0, 0.80)
    [step] = ladder(log.records, 9, ACCURACY)
    assert step.values == (0.80,) and step.interval is None


@pytest.mark.parametrize(
    ("teacher", "told"), [(0.90, ""), (0.71, "no better than"), (0.69, "no better than"), (0.6, "worse than")]
)
def test_a_teacher_has_to_beat_the_student_alone_by_more_than_the_noise(
    tmp_path: Path, teacher: float, told: str
) -> None:
    log = RecordLog(tmp_path / "trials.jsonl")
    add_hand(log, 0, "alone", 0.70)
    weak = weak_teacher(log.records, teacher=teacher, epochs=9, validation=525, metric=ACCURACY)  # noise: 2 points
    assert (weak is None) is (told == "")
    assert weak is None or (told in weak.text and weak.noise == pytest.approx(0.02))


def test_nothing_is_said_of_a_teacher_that_is_not_there(tmp_path: Path) -> None:
    log = RecordLog(tmp_path / "trials.jsonl")
    add_hand(log, 0, "alone", 0.70)
    assert weak_teacher(log.records, teacher=None, epochs=9, validation=100, metric=ACCURACY) is None


def test_the_commonest_class_in_every_metric() -> None:
    values = {name: majority([30, 70], [40, 60], metric) for name, metric in METRICS.items()}
    found = {name: row.value for name, row in values.items() if row is not None}
    assert found["accuracy"] == pytest.approx(0.6) and found["balanced_accuracy"] == pytest.approx(0.5)
    assert found["macro_f1"] == pytest.approx(0.375)  # 0 and 2 * 0.6 / 1.6
    assert found["log_loss"] == pytest.approx(-0.4 * math.log(0.3) - 0.6 * math.log(0.7)) and found["mcc"] == 0.0
    accuracy = values["accuracy"]
    assert accuracy is not None and accuracy.equals(0.6 + 0.048) and not accuracy.equals(0.6 + 0.05)
    assert majority([30, 70], [0, 0], ACCURACY) is None


def test_rare_classes_are_named_and_a_fair_objective_proposed() -> None:
    assert rare_classes([96, 4], ["no", "yes"]) == [("yes", 0.04)]
    assert rare_classes([1] * 100, [str(i) for i in range(100)]) == []  # many classes, all alike
    text = rare_text([96, 4], ["no", "yes"], ACCURACY)
    assert text.startswith("yes (4.0 %) is a rare class") and text.endswith("consider --objective macro_f1")
    assert "--objective" not in rare_text([96, 4], ["no", "yes"], METRICS["balanced_accuracy"])
    assert rare_text([50, 50], ["no", "yes"], ACCURACY) == ""
