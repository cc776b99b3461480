"""A pipeline that differs from another one in one place."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from autokd.errors import ComponentError
from autokd.spec import make, replaced
from tests.spec.helpers import pipeline, wider


def test_one_field_is_replaced_and_all_else_is_the_same() -> None:
    spec = pipeline()
    faster = replaced(spec, "optimizer.learning_rate", "5e-2")
    assert faster.optimizer == make("optimizers", "sgd", {"learning_rate": 0.05})
    assert dataclasses.replace(faster, optimizer=spec.optimizer) == spec == pipeline()
    softer = replaced(spec, "losses.soft.weight", 3)
    assert repr(softer.losses["soft"].weight) == "3.0" and softer.losses["ce"] == spec.losses["ce"]
    assert list(softer.losses) == ["ce", "soft"] and spec.losses["soft"].weight != 3.0
    assert replaced(spec, "batch_size", "128") == pipeline(batch_size=128)


def test_a_component_or_all_of_a_slot_is_replaced() -> None:
    spec = pipeline()
    student, hint = make("students", "mlp", {"width": 8}), make("losses", "hint", {})
    assert replaced(spec, "student", student) == pipeline(student=student)
    assert replaced(spec, "losses.soft", hint).losses == {"ce": spec.losses["ce"], "soft": hint}
    assert replaced(spec, "losses", {"h": hint}) == pipeline(losses={"h": hint})


def test_names_with_a_dot_are_found() -> None:
    spec = pipeline(losses={"k.d": make("losses", "kd", {})})
    assert replaced(spec, "losses.k.d.temperature", 2).losses["k.d"] == make("losses", "kd", {"temperature": 2.0})
    assert replaced(spec, "losses.k.d", make("losses", "ce", {})).losses == {"k.d": make("losses", "ce", {})}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("", 1, "a pipeline has no part ''; one of: augment, batch_size"),
        ("studnt", 1, "a pipeline has no part 'studnt'; did you mean 'student'?"),
        ("optimzer.learning_rate", 1, "the pipeline has no component at 'optimzer'; did you mean 'optimizer'?"),
        ("optimizer.learning_rat", 1, "optimizer.learning_rat: sgd has no such field; did you mean 'learning_rate'?"),
        ("optimizer.learning_rate", "x", "optimizer.learning_rate: could not convert string to float: 'x'"),
        ("optimizer.learning_rate", math.nan, "optimizer.learning_rate: expected float, got nan"),
        ("optimizer.learning_rate.x", 1, "the pipeline has no component at 'optimizer.learning_rate'; one of: "),
        ("losses.sof.weight", 1, "the pipeline has no component at 'losses.sof'; did you mean 'losses.soft'?"),
        ("losses.sof", make("losses", "ce", {}), "the pipeline has no component at 'losses.sof'; did you mean"),
        ("losses", {}, "losses: expected a mapping of at least one name to a component, got {}"),
        ("losses", make("losses", "ce", {}), "losses: expected a mapping of at least one name to a component, got CE"),
        ("losses.ce", make("heads", "simkd", {}), "losses.ce: expected a component of losses, got SimKDHead("),
        ("student", {"use": "cnn"}, "student: expected a component of students, got {'use': 'cnn'}"),
        ("student", None, "student: expected a component of students, got None"),
        ("student", type(make("students", "cnn", {})), "student: expected a component of students, got <class"),
        ("batch_size", 0, "batch_size: expected a whole number of at least 1, got 0"),
        ("batch_size.x", 1, "the pipeline has no component at 'batch_size'; "),
    ],
)
def test_what_cannot_be_replaced_is_one_clear_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(ComponentError) as error:
        replaced(pipeline(), path, value)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_what_a_component_refuses_of_itself_is_one_clear_line() -> None:
    with pytest.raises(ComponentError, match=r"^student.depth: depth must be 6n \+ 2.*, got 18$"):
        replaced(pipeline(student=make("students", "resnet", {})), "student.depth", 18)


def test_slots_of_every_kind_are_replaced() -> None:
    spec, rival = wider(), make("students", "mlp", {})
    assert replaced(spec, "rival", rival) == wider(rival=rival) and replaced(wider(rival=rival), "rival", None) == spec
    assert getattr(replaced(wider(rival=rival), "rival.width", 8), "rival") == make("students", "mlp", {"width": 8})  # noqa: B009
    extras = {"size": make("proxies", "params", {})}
    assert replaced(spec, "extras", extras) == wider(extras=extras)
    assert replaced(spec, "decay", "0.99") == wider(decay=0.99) and replaced(wider(decay=0.99), "decay", None) == spec
    for path, value, message in (
        ("noise", None, "noise: expected a number of at least 0, got None"),
        ("decay", -1, "decay: expected a number of at least 0, got -1"),
        ("rival.width", 8, "the pipeline has no component at 'rival'; "),
        ("extras.size", rival, "the pipeline has no component at 'extras.size'; "),
    ):
        with pytest.raises(ComponentError) as error:
            replaced(spec, path, value)
        assert str(error.value).startswith(message)
