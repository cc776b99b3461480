"""Spaces in which some students begin with weights and others at random: each at its own rates."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import save_file

from autokd import spec
from autokd.errors import SpaceError
from autokd.networks.models import seeded
from autokd.ranges import Choice, Integer, Real
from autokd.recipes import portfolio
from autokd.recipes.apply import FINE_TUNING
from autokd.search.explore.design import changed, options_of
from autokd.space import Drawn, Space, begins_with_weights, parse
from autokd.space.recorded import recorded_ranges
from autokd.space.values import translated, written
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Shapes

TASK = task_of((3, 32, 32), classes=4)
TEACHER = Shapes(((16, 8, 8), (32, 4, 4)), 32, head=True, network="resnet:depth=8,width=4")
MIXED = """
student: {always: {cnn: {layers: 2, width: 4}}}
init: {one_of: {random: {}, pretrained: {path: mine.safetensors}}}
augment: {always: {none: {}}}
losses: {always: {ce: {}}, any_of: {from: {kd: {}}}}
optimizer:
  one_of:
    sgd: {learning_rate: {float: [0.02, 0.2], log: true}}
    adamw: {learning_rate: {float: [1.0e-3, 1.0e-2], log: true}}
  from_weights:
    sgd: {learning_rate: {float: [0.004, 0.04], log: true}}
    adamw: {learning_rate: {float: [2.0e-4, 2.0e-3], log: true}}
schedule: {always: {cosine: {}}}
"""
START = "init: {one_of: {random: {}, pretrained: {path: mine.safetensors}}}\n"
OF_EACH = MIXED.replace(START, "").replace(
    "student: {always: {cnn: {layers: 2, width: 4}}}",
    "student: {one_of: {cnn: {layers: 2, width: 4, weights: mine.safetensors}, resnet: {depth: 8, width: 4}}}",
)
CUT = MIXED.replace(START, "").replace("{cnn: {layers: 2, width: 4}}", "{cut_teacher: {}}")


def mixed(folder: Path, text: str = MIXED) -> Space:
    """A resolved space; the file of its student is written."""
    with seeded(0):
        network = spec.make("students", "cnn", {"layers": 2, "width": 4}).build(BuildContext(task=TASK))
    save_file(network.state_dict(), folder / "mine.safetensors")
    return parse(text, folder=folder).resolve(TASK, TEACHER)


def recipes_of(space: Space, **asked: Any) -> dict[str, Drawn]:
    return {recipe.rule.name: recipe.drawn for recipe in portfolio(space, TASK, TEACHER, **asked).recipes}


def rate(drawn: Drawn) -> float:
    return float(drawn.plain["optimizer"]["learning_rate"])


@pytest.mark.parametrize("text", [MIXED, OF_EACH])
def test_a_drawn_rate_is_of_the_range_for_the_drawn_start(tmp_path: Path, text: str) -> None:
    space, rng, seen = mixed(tmp_path, text), np.random.default_rng(0), Counter[str]()
    for number in range(24):
        drawn = space.sample(rng, number)
        weights = drawn.plain["init"]["use"] == "pretrained"
        path = "optimizer.from_weights" if weights else "optimizer"
        use = drawn.plain["optimizer"]["use"]
        assert drawn.params is not None and drawn.params[path] == use
        assert rate(drawn) == drawn.params[f"{path}.{use}.learning_rate"]
        assert space.ranges()[f"{path}.{use}.learning_rate"].contains(rate(drawn))
        assert space.params_of(drawn.plain) == drawn.params
        assert begins_with_weights(space, drawn.plain) == weights
        seen[path + use] += 1
    assert len(seen) == 4
    kept = {path: written(span) for path, span in recorded_ranges(space.identity()).items()}
    assert kept == {path: written(span) for path, span in space.ranges().items()}


def test_recipes_begin_with_the_weights_there_are_at_a_lower_rate(tmp_path: Path) -> None:
    found = recipes_of(mixed(tmp_path))
    assert all(drawn.params is not None and drawn.plain["init"]["use"] == "pretrained" for drawn in found.values())
    assert rate(found["kd"]) == 0.1 / FINE_TUNING and rate(found["kd-adamw-raw"]) == 5e-3 / FINE_TUNING
    each = mixed(tmp_path, OF_EACH)
    plain = {"use": "resnet", "depth": 8, "width": 4}
    for student, start, expected in ((None, "pretrained", 0.1 / FINE_TUNING), (plain, "random", 0.1)):
        drawn = recipes_of(each, student=student)["kd"]
        assert (
            drawn.params is not None and drawn.plain["init"]["use"] == start and rate(drawn) == pytest.approx(expected)
        )


def test_the_teacher_cut_down_begins_with_weights(tmp_path: Path) -> None:
    space = mixed(tmp_path, CUT)
    assert set(space.ranges()) >= {"optimizer.sgd.learning_rate"} and not space.ranges()[
        "optimizer.sgd.learning_rate"
    ].contains(0.1)
    assert rate(recipes_of(space)["kd"]) == 0.1 / FINE_TUNING


@pytest.mark.parametrize("text", [MIXED, OF_EACH])
def test_another_start_in_the_design_brings_its_rate(tmp_path: Path, text: str) -> None:
    space = mixed(tmp_path, text)
    base = recipes_of(space)["kd"].plain
    other = {"use": "resnet", "depth": 8, "width": 4}
    found = options_of(space, [base["student"], *([other] if text == OF_EACH else [])])
    (option,) = (o for o in found if o.slot in ("student", "init") and not o.stands_in(base))
    drawn = changed(space, base, [(option, option.value)])
    assert (
        drawn is not None
        and drawn.plain["init"] == {"use": "random"}
        and rate(drawn) == pytest.approx(0.5 / FINE_TUNING)
    )
    (adamw,) = (o for o in found if o.slot == "optimizer" and o.value["use"] == "adamw")
    made = changed(space, base, [(adamw, adamw.value)])
    assert made is not None and rate(made) == pytest.approx(adamw.value["learning_rate"] / 5)
    back = next(o for o in found if o.slot == option.slot and o.stands_in(base))
    again = changed(space, drawn.plain, [(back, back.value)])
    assert again is not None and rate(again) == pytest.approx(rate(Drawn(base, None)))
    assert changed(space, base, []) == Drawn(base, space.params_of(base))


def test_a_value_keeps_its_place_in_another_range() -> None:
    assert translated(4, Integer(2, 6), Real(0.0, 1.0)) == 0.5
    assert translated(9, Integer(1, 9), Integer(4, 12, step=4)) == 12
    assert translated("a", Choice("a", "b"), Choice("b", "a")) == "a"
    assert translated(64, Choice(32, 64), Integer(8, 32, step=8)) == 32
    assert translated(3.0, Real(3.0, 3.0), Real(1.0, 100.0, log=True)) == pytest.approx(10)


def test_mistakes_are_told_where_they_stand(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"optimizer.from_weights.sgd.learning_rate: "):
        mixed(tmp_path, MIXED.replace("[0.004, 0.04]", "[0.04, 0.004]"))
