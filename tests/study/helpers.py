"""Hand-made settings and claims of studies."""

from __future__ import annotations

from collections.abc import Sequence

from autokd.study.arms import PICK
from autokd.study.claim import Arm, Claim, Comparison, SplitValues, arm_runs
from autokd.study.settings import DataFacts, Identity, Reference, Setting, StudySettings
from autokd.types import Task

PIPELINE = {"format": 1, "student": {"use": "cnn"}}


def settings(*, rungs: Sequence[int] = (1, 2, 4), trials: int = 2, time: float | None = None) -> StudySettings:
    """What `study.yaml` says of a small study."""
    task = Task(dataset="mine", modality="image", input_shape=(1, 8, 8), classes=("a", "b"), train_size=10)
    identity = Identity(
        space={"constraints": {"params": 300}},
        data=Reference({"component": {"use": "mine"}}, "d"),
        teacher=Reference({"use": "trained", "epochs": 2}, "t"),
        objective={"accuracy": "maximize"},
        rungs=list(rungs),
        budget={"epochs": rungs[-1], "train_epochs": 9},
        seed=1,
        slots=1,
    )
    return StudySettings(
        name="mine",
        created="2026-01-02T03:04:05+00:00",
        identity=identity,
        settings={"trials": Setting(trials, "asked"), "time": Setting(time, "default")},
        versions={"autokd": "0"},
        machine={"device": "cpu"},
        data=DataFacts(train=10, validation=4, test=5, card={}, task=task),
        teacher=None,
    )


def claim(*, round: int = 0, trials: int = 2, others: Sequence[str] = ("alone", "kd"), use: str = PICK) -> Claim:
    """A claim on two seeds an arm; the recommended arm is two points better than any other."""
    names = [use, *others]
    arms = [
        Arm(
            name=name,
            kind=name,
            pipeline={**PIPELINE, "losses": {name: {"use": "ce"}}},
            cost={"params": 5, "macs": 7, "size": 20},
            runs={"claim": arm_runs([7, 8], [0.9 - 0.02 * (name != use)] * 2, [0.88 - 0.02 * (name != use)] * 2)},
        )
        for name in names
    ]
    comparison = Comparison(
        difference=0.02,
        low=0.01,
        high=0.03,
        standard_error=0.004,
        df=3.0,
        detectable=0.015,
        verdict="better",
        seeds_needed=None,
        text="better by 2.0 points [+1.0, +3.0]",
    )
    return Claim(
        round=round,
        trials=trials,
        trial=0,
        use=use,
        comparators=tuple(others[:1]),
        evidence="fresh seeds",
        arms=tuple(arms),
        metric="accuracy",
        epochs=4,
        teacher=SplitValues(0.95, 0.94),
        comparisons=dict.fromkeys(others, comparison),
        prediction_interval=(0.8, 0.95),
        gap_closed=0.25,
        n_test=50,
    )
