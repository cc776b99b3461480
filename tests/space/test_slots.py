"""Spaces over slots of kinds that the shipped pipeline does not have: optional ones, real numbers, two sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from autokd import spec
from autokd.errors import SpaceError
from autokd.ranges import Choice, Real
from autokd.space import Space, parse
from autokd.types import Shapes, Task
from tests.spec.helpers import Wider

BASE = {
    "student": {"one_of": {"cnn": {"width": 4}, "mlp": {"width": 4}}},
    "augment": {"always": {"none": {}}},
    "losses": {"always": {"ce": {}}, "any_of": {"at_most": 1, "from": {"kd": {}}}},
    "optimizer": {"always": {"sgd": {}}},
    "schedule": {"always": {"cosine": {}}},
}
WIDE = {
    "rival": {"one_of": {"mlp": {"width": {"int": [4, 8]}, "depth": 1, "dropout": 0.0}, "cnn": {"width": 4}}},
    "extras": {"always": {"macs": {}}, "any_of": {"at_most": 1, "from": {"small": {"use": "params"}, "nwot": {}}}},
    "decay": {"float": [0.9, 0.99]},
    "noise": "5e-1",
}
TASK = Task(dataset="pictures", modality="image", input_shape=(1, 8, 8), classes=("no", "yes"), train_size=100)
TEACHER = Shapes(((16, 4, 4),), 16)


def space_of(**parts: Any) -> Space:
    return parse(yaml.safe_dump({**BASE, **parts}, sort_keys=False), slots=spec.slots(Wider))


def mistakes(**parts: Any) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        space_of(**parts)
    return caught.value.problems


def test_a_space_that_names_no_optional_slot_has_none_of_it() -> None:
    wider, plain = space_of(), parse(yaml.safe_dump(BASE, sort_keys=False))
    assert wider.ranges() == plain.ranges()
    assert wider.identity() == {**plain.identity(), "noise": 0.1}
    one, other = (space.resolve(TASK, TEACHER).sample(np.random.default_rng(0), 0) for space in (wider, plain))
    assert one.plain == {**other.plain, "noise": 0.1} and one.params == other.params
    read = spec.from_plain(one.plain, Wider)
    assert isinstance(read, Wider) and (read.rival, read.extras, read.decay, read.noise) == (None, None, None, 0.1)


def test_slots_of_every_kind_are_drawn_and_recognised() -> None:
    space = space_of(**WIDE).resolve(TASK, TEACHER)
    assert space.dropped == ()
    ranges = space.ranges()
    assert ranges["decay"] == Real(0.9, 0.99) and ranges["rival"] == Choice("mlp", "cnn") and "noise" not in ranges
    seen = set()
    for number in range(60):
        drawn = space.sample(np.random.default_rng(number), number)
        assert spec.to_plain(spec.from_plain(drawn.plain, Wider)) == drawn.plain
        assert space.params_of(drawn.plain) == drawn.params and set(drawn.params or {}) <= ranges.keys()
        assert 0.9 <= drawn.plain["decay"] <= 0.99 and drawn.plain["noise"] == 0.5
        seen |= {drawn.plain["rival"]["use"], *drawn.plain["extras"], *drawn.plain["losses"]}
    assert seen == {"mlp", "cnn", "macs", "small", "nwot", "ce", "kd"}
    assert list(space.default().plain)[-5:] == ["batch_size", "rival", "extras", "decay", "noise"]
    assert space.default().plain["decay"] == pytest.approx(0.945)


def test_one_component_that_is_built_on_the_network_must_be_built_on_all_candidates_for_it() -> None:
    """A set keeps out of the way of a student that does not feed one of its components; a single one cannot."""
    table = {**spec.slots(), "aid": spec.Slot("losses", optional=True, on_network=True)}
    text = yaml.safe_dump({**BASE, "aid": {"one_of": {"hint": {}, "kd": {}}}}, sort_keys=False)
    (reason,) = parse(text, slots=table).resolve(TASK, TEACHER).dropped
    assert reason.startswith("aid.one_of.hint: loss 'hint' cannot match student features of shape (4,)")


def test_a_pipeline_that_holds_what_the_space_does_not_lies_outside() -> None:
    bare, full = space_of(), space_of(**WIDE)
    assert bare.misfits({**bare.default().plain, "decay": 0.95}) == ["decay: this space has none"]
    assert bare.misfits(full.default().plain) == [
        "noise: 0.5, but this space fixes it at 0.1",
        *(f"{name}: this space has none" for name in ("rival", "extras", "decay")),
    ]
    assert full.misfits({**full.default().plain, "decay": 0.5}) == ["decay: 0.5 lies outside 0.9 to 0.99"]
    without = {key: value for key, value in full.default().plain.items() if key != "rival"}
    assert full.misfits(without) == full.misfits({**without, "rival": None}) == ["rival: missing"]


def test_an_optional_number_may_be_left_out_in_so_many_words() -> None:
    assert space_of(decay=None).identity() == space_of().identity()
    assert space_of(decay=0.5).default().plain["decay"] == 0.5


def test_mistakes_in_slots_of_every_kind() -> None:
    assert mistakes(decay=-1, noise=-0.5) == [
        "decay: expected at least 0, got -1.0",
        "noise: expected at least 0, got -0.5",
    ]
    assert mistakes(decay={"float": [-0.5, 0.5]}) == ["decay: expected at least 0, got -0.5"]
    assert mistakes(decay={"int": [0, 1]}) == ["decay: is float, which 'int' does not range over; use 'float'"]
    assert mistakes(rival={"one_of": {"mlpp": {}}}) == [
        "rival.one_of.mlpp: there is no student called 'mlpp'; did you mean 'mlp'?"
    ]


def test_warm_starts_name_slots_of_every_kind() -> None:
    start = {"decay": "0.95", "rival": {"use": "mlp", "width": "5"}, "extras": {"small": None}}
    (drawn,) = space_of(**WIDE, warm_starts=[start]).warm_starts
    assert drawn.plain["decay"] == 0.95 and drawn.plain["rival"]["width"] == 5 and drawn.params is not None
    assert list(drawn.plain["extras"]) == ["macs", "small"] and drawn.plain["extras"]["small"]["use"] == "params"
    assert mistakes(warm_starts=[{"decay": 0.95}]) == ["warm_starts.0.decay: this space has none"]
    assert mistakes(**WIDE, warm_starts=[{"decay": None}]) == ["warm_starts.0.decay: missing"]
    line = "warm_starts.0.decay: expected a number of at least 0, got -1"
    assert mistakes(**WIDE, warm_starts=[{"decay": -1}]) == [line]
