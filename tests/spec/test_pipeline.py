"""The slots of a pipeline, and the components in it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from autokd.errors import ComponentError
from autokd.ranges import Choice
from autokd.spec import Number, PipelineSpec, Slot, component_at, components, make, network_slot, slots
from tests.spec.helpers import Wider, pipeline, wider


def test_slots_are_the_fields_of_a_pipeline() -> None:
    assert list(slots())[:5] == ["student", "head", "init", "peer", "augment"]
    assert list(slots())[-4:] == ["batch_size", "ema", "qat", "unlabelled"]
    assert slots()["losses"] == Slot("losses", many=True, on_network=True)
    assert slots()["batch_size"] == Number(Choice(32, 64, 128), int, least=1, default=64)
    assert [path for path, _ in components(pipeline())] == [
        "student",
        "head",
        "augment",
        "losses.ce",
        "losses.soft",
        "optimizer",
        "schedule",
    ]


def test_a_pipeline_needs_a_teacher_where_a_loss_does() -> None:
    assert pipeline().needs_teacher
    assert not pipeline(losses={"ce": make("losses", "ce", {})}).needs_teacher


def test_a_component_is_found_by_its_path() -> None:
    spec = pipeline()
    assert all(component_at(spec, path) is component for path, component in components(spec))
    with pytest.raises(ComponentError, match=r"no component at 'losses'; did you mean 'losses.ce'"):
        component_at(spec, "losses")


@pytest.mark.parametrize("cls", [PipelineSpec, Wider])
def test_a_field_that_may_be_left_out_in_python_is_declared_with_the_same_default(cls: type[PipelineSpec]) -> None:
    table = slots(cls)
    for field in dataclasses.fields(cls):
        slot, default = table[field.name], field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if isinstance(slot, Slot) and slot.default:
            assert default == make(slot.kind, slot.default, {})
        elif slot.optional:
            assert default is None
        elif isinstance(slot, Number):
            assert default == slot.default == slot.read(default)
        else:
            assert default is dataclasses.MISSING


def test_one_slot_holds_the_network() -> None:
    table = slots()
    assert [name for name, slot in table.items() if isinstance(slot, Slot) and slot.network] == [network_slot(table)]


@pytest.mark.parametrize(
    ("number", "value", "expected"),
    [
        (Number(None), "3e2", 300),
        (Number(None, least=0), 0, 0),
        (Number(None, float, least=0.0), 1, 1.0),
        (Number(None, float, least=0.5), "0.5", 0.5),
    ],
)
def test_a_number_is_read_as_its_type(number: Number, value: Any, expected: float) -> None:
    assert repr(number.read(value)) == repr(expected)


@pytest.mark.parametrize(
    ("number", "value", "message"),
    [
        (Number(None), 1.5, "expected a whole number of at least 1, got 1.5"),
        (Number(None, least=0), -1, "expected a whole number of at least 0, got -1"),
        (Number(None, float, least=0.5), 0.4, "expected a number of at least 0.5, got 0.4"),
        (Number(None, float, least=0.5), True, "expected a number of at least 0.5, got True"),
        (Number(None, float, least=0.5), None, "expected a number of at least 0.5, got None"),
    ],
)
def test_other_numbers_are_refused(number: Number, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        number.read(value)


def test_what_an_optional_slot_does_not_hold_is_no_component() -> None:
    bare = wider()
    assert [path for path, _ in components(bare)] == [path for path, _ in components(pipeline())]
    full = wider(rival=make("students", "mlp", {}), extras={"size": make("proxies", "params", {})})
    assert [path for path, _ in components(full)][-2:] == ["rival", "extras.size"]
