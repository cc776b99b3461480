"""What options are worth, from hand-made designs."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from autokd.study.effects import changes, effects
from autokd.study.records import Records, TrialRecord
from tests.search.records import trial

BASE: dict[str, Any] = {
    "student": {"use": "cnn", "width": 8},
    "losses": {"ce": {"use": "ce", "weight": 0.1}, "kd": {"use": "kd", "temperature": 4.0}},
    "optimizer": {"use": "sgd", "learning_rate": 0.1},
    "batch_size": 64,
}


def designed(number: int, score: float, base: int = 0, **changed: Any) -> TrialRecord:
    made = trial(number, score, source="design", pipeline={**BASE, **changed})
    return dataclasses.replace(made, base=base)


def of(*trials: TrialRecord) -> Records:
    return Records(trials={t.number: t for t in (trial(0, 0.60, 0.9, source="recipe:kd", pipeline=BASE), *trials)})


def test_two_changes_at_a_time_are_told_apart_by_hand() -> None:
    """AdamW is worth 0.05, a batch of 32 -0.02, another student 0.01: each pair is the sum of its two."""
    adamw, student = {"use": "adamw"}, {"use": "mlp"}
    found = effects(
        of(
            designed(1, 0.63, optimizer=adamw, batch_size=32),
            designed(2, 0.66, optimizer=adamw, student=student),
            designed(3, 0.59, batch_size=32, student=student),
            designed(4, 0.65, optimizer={**adamw, "learning_rate": 0.01}),
        )
    )
    assert [(e.slot, e.option, e.n) for e in found] == [
        ("optimizer", "adamw", 3),
        ("batch_size", "32", 2),
        ("student", "mlp", 2),
    ]
    assert [e.worth for e in found] == pytest.approx([0.05, -0.02, 0.01])


def test_the_best_of_a_slot_comes_first_and_the_shortest_rung_counts() -> None:
    found = effects(of(designed(1, 0.5, batch_size=32), designed(2, 0.7, batch_size=128)))
    assert [(e.option, e.n) for e in found] == [("128", 1), ("32", 1)]
    assert [e.worth for e in found] == pytest.approx([0.1, -0.1])


def test_what_cannot_be_told_apart_is_shared() -> None:
    found = effects(of(designed(1, 0.7, batch_size=32, student={"use": "mlp"})))
    assert [e.worth for e in found] == pytest.approx([0.05, 0.05])


def test_without_a_design_nothing_is_said() -> None:
    failed = dataclasses.replace(designed(1, 0.7, batch_size=32), failure={"kind": "error", "reason": ""})
    assert effects(of(trial(1, 0.7, pipeline=BASE), failed)) == effects(Records()) == []


def test_changes_are_named_by_what_is_other() -> None:
    assert changes(BASE, {**BASE, "student": {"use": "cnn", "width": 12}}) == [("student", "cnn (width = 12)")]
    hot = {**BASE["losses"], "kd": {"use": "kd", "temperature": 8.0}}
    assert changes(BASE, {**BASE, "losses": hot}) == [("losses", "kd (temperature = 8)")]
    assert changes(BASE, {**BASE, "losses": {"ce": BASE["losses"]["ce"]}}) == [("losses", "less kd")]
    swapped = {"ce": BASE["losses"]["ce"], "dkd": {"use": "dkd"}}
    assert changes(BASE, {**BASE, "losses": swapped}) == [("losses", "dkd")]
    assert changes(BASE, BASE) == []
