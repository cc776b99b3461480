"""What components declare is checked when the class is defined."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from autokd.declarations import KINDS, Augment, Dataset, Head, Loss, Optimizer, Part, Proxy, Scale, Student
from autokd.errors import ComponentError
from autokd.types import ANY

LOSS: dict[str, Any] = {"teacher": "stored", "scale": Scale(1.0, "made up")}


def test_only_what_differs_is_written() -> None:
    loss = Loss(**LOSS)
    assert loss.reads == loss.student_reads == loss.excludes == loss.requires == frozenset()
    assert (loss.modalities, loss.min_classes, loss.cost, loss.batch_statistic) == (ANY, 2, 1.0, False)
    assert loss.tunes == ("weight",) and loss.prepared_from is None and loss.name == ""
    assert Head().teacher == "none" and Optimizer().tunes == ("learning_rate",)


def test_a_declaration_is_a_value() -> None:
    kept: set[Part] = {"pooled"}
    loss = Loss(**LOSS, reads=kept, cost=2)
    kept.add("tokens")
    assert loss.reads == frozenset({"pooled"}) and isinstance(loss.reads, frozenset)
    assert loss.cost == 2.0 and isinstance(loss.cost, float)
    assert hash(loss) == hash(dataclasses.replace(loss)) and loss == dataclasses.replace(loss)
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.teacher = "live"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("cls", "wrong", "message"),
    [
        (Loss, {"teacher": "Live"}, "Loss(teacher='Live'): there is no 'Live'; did you mean 'live'?"),
        (Loss, {"teacher": None}, "Loss(teacher=None): there is no None; did you mean 'none'?"),
        (Loss, {"reads": {"poled"}}, "Loss(reads={'poled'}): there is no 'poled'; did you mean 'pooled'?"),
        (Loss, {"reads": {"head"}}, "Loss(reads={'head'}): there is no 'head'"),
        (Loss, {"student_reads": "pooled"}, "Loss(student_reads='pooled'): expected a set of texts"),
        (Loss, {"excludes": "kd"}, "Loss(excludes='kd'): expected a set of texts"),
        (Loss, {"requires": {3}}, "Loss(requires={3}): expected a text"),
        (Loss, {"scale": 0.9}, "Loss(scale=0.9): expected Scale(value, source)"),
        (Loss, {"batch_statistic": "no"}, "Loss(batch_statistic='no'): expected True or False"),
        (Loss, {"min_classes": 1}, "Loss(min_classes=1): expected 2 to 1000000"),
        (Loss, {"min_classes": 2.5}, "Loss(min_classes=2.5): expected a whole number"),
        (Loss, {"cost": "1.2"}, "Loss(cost='1.2'): expected a number"),
        (Loss, {"cost": 0.5}, "Loss(cost=0.5): expected 1 to 1000"),
        (Loss, {"tunes": "weight"}, "Loss(tunes='weight'): expected a tuple of texts"),
        (Loss, {"modalities": {3}}, "Loss(modalities={3}): expected a text"),
        (Loss, {"name": 3}, "Loss(name=3): expected a text"),
        (Head, {"teacher": "stored"}, "Head(teacher='stored'): there is no 'stored'"),
        (Proxy, {"higher_is_better": 1}, "Proxy(higher_is_better=1): expected True or False"),
        (Dataset, {"modality": 3}, "Dataset(modality=3): expected a text"),
        (Student, {"modalities": ANY}, "Student(modalities=…): list the kinds of input that the network takes"),
    ],
)
def test_a_wrong_value_is_told_with_what_was_seen_and_what_would_work(
    cls: type[Any], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ComponentError) as error:
        cls(**{**(LOSS if cls is Loss else {}), **wrong})
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


@pytest.mark.parametrize("word", ["student_need", "min_clases", "need", "kind"])
def test_a_misspelt_word_is_no_argument(word: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{word}'"):
        Loss(**{**LOSS, word: 3})


@pytest.mark.parametrize(("cls", "word"), [(Loss, "teacher"), (Student, "modalities"), (Augment, "modalities")])
def test_what_must_be_said_has_no_default(cls: type[Any], word: str) -> None:
    with pytest.raises(TypeError, match=f"missing .* required keyword-only argument.*'{word}'"):
        cls()


@pytest.mark.parametrize("value", [0, -1.0, float("inf"), float("nan"), True, "1"])
def test_a_scale_is_above_0(value: Any) -> None:
    with pytest.raises(ComponentError, match="expected a number above 0"):
        Scale(value, "made up")


def test_a_scale_says_where_it_is_from() -> None:
    assert isinstance(Scale(30000, "the paper").value, float)
    for nothing in ("", "  "):
        with pytest.raises(ComponentError, match="say in words where the number is from"):
            Scale(1.0, nothing)


def test_each_kind_has_a_declaration_of_its_own() -> None:
    assert [cls.kind for cls in KINDS.values()] == list(KINDS) and len(set(KINDS.values())) == len(KINDS)


@pytest.mark.parametrize("kind", ["heads", "inits"])
def test_what_stands_in_a_finished_student_prepares_nothing(kind: str) -> None:
    with pytest.raises(ComponentError, match=f"{kind} are built where nothing is prepared"):
        KINDS[kind](prepared_from=())  # type: ignore[call-arg]
