"""The slot `head`: left out of most spaces; a head and its loss stand together or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autokd.errors import SpaceError
from autokd.types import Shapes

TEACHER = Shapes(((8, 4, 4),), 8, head=True)
HEADS: dict[str, Any] = {"one_of": {"plain": {}, "t_head": {}}}


def losses(*names: str, at_most: int = 1, always: tuple[str, ...] = ("t_base",)) -> dict[str, Any]:
    return {"always": {name: {} for name in always}, "any_of": {"at_most": at_most, "from": {n: {} for n in names}}}


def test_a_space_that_names_no_head_has_the_plain_one_and_no_parameter_for_it(make):
    space = make()
    assert not [path for path in space.ranges() if path.startswith("head")]
    assert space.default().plain["head"] == {"use": "plain"}
    assert space.identity()["head"] == {"one_of": {"plain": {"use": "plain"}}}
    drawn = space.sample(np.random.default_rng(0), 0)
    assert drawn.plain["head"] == {"use": "plain"} and list(drawn.plain)[:3] == ["format", "student", "head"]


def test_a_head_brings_its_loss_and_keeps_out_what_it_excludes(make, image_task):
    space = make(head=HEADS, losses=losses("t_a", "t_d", "t_h")).resolve(image_task, TEACHER)
    assert space.dropped == () and "head.t_head.factor" in space.ranges()
    seen = set()
    for number in range(200):
        drawn = space.sample(np.random.default_rng(number), number)
        use, chosen = drawn.plain["head"]["use"], set(drawn.plain["losses"]) - {"t_base"}
        assert (use == "t_head") == (chosen == {"t_h"}) and "t_h" not in chosen - {"t_h"}
        assert drawn.params["losses.t_h"] == ("on" if use == "t_head" else "off")
        assert space.params_of(drawn.plain) == drawn.params
        seen |= {use, *chosen}
    assert seen == {"plain", "t_head", "t_h", "t_a", "t_d"}


def test_what_the_head_does_not_exclude_may_stand_beside_its_loss(make, image_task):
    space = make(head=HEADS, losses=losses("t_a", "t_d", "t_h", at_most=2)).resolve(image_task, TEACHER)
    drawn = [space.sample(np.random.default_rng(n), n).plain for n in range(100)]
    sets = {frozenset(plain["losses"]) - {"t_base"} for plain in drawn if plain["head"]["use"] == "t_head"}
    assert sets == {frozenset({"t_h"}), frozenset({"t_h", "t_d"})}


def test_a_plain_pipeline_needs_both_or_neither(make, image_task):
    space = make(head=HEADS, losses=losses("t_a", "t_h", at_most=2)).resolve(image_task, TEACHER)
    own = {"use": "t_head", "factor": 4}
    both = space.complete({"head": own, "losses": {"t_h": {}}})
    assert space.misfits(both) == [] and both == space.complete({"head": own})
    alone = {**both, "losses": {"t_base": both["losses"]["t_base"]}}
    assert space.misfits(alone) == ["head.t_head: needs losses.t_h beside it"]
    plain = {**both, "head": {"use": "plain"}}
    assert space.misfits(plain) == ["losses.t_h: needs head.t_head beside it"]
    with_a = {**both, "losses": {**both["losses"], "t_a": {"use": "t_a", "weight": 1.0, "heat": 4.0}}}
    assert space.misfits(with_a) == ["losses.t_a: must not stand beside head.t_head"]


def test_a_space_that_begins_with_a_head_has_its_loss_in_the_default(make, image_task):
    heads: dict[str, Any] = {"one_of": {"t_head": {}, "plain": {}}}
    default = make(head=heads, losses=losses("t_h")).resolve(image_task, TEACHER).default()
    assert set(default.plain["losses"]) == {"t_base", "t_h"} and default.params["losses.t_h"] == "on"


@pytest.mark.parametrize("teacher", [Shapes(((8, 4, 4),), 8), Shapes()])
def test_a_teacher_that_lends_no_head_drops_the_head_and_its_loss(make, image_task, teacher):
    space = make(head=HEADS, losses=losses("t_a", "t_h")).resolve(image_task, teacher)
    assert space.dropped == (
        "head.one_of.t_head: t_head needs head, which the teacher does not offer",
        "losses.any_of.from.t_h: t_h needs head.t_head beside it, which this space does not offer",
    )


@pytest.mark.parametrize("offered", [losses("t_d"), losses("t_d", "t_h", at_most=0)])
def test_a_head_whose_loss_is_not_offered_is_dropped(make, image_task, offered):
    space = make(head=HEADS, losses=offered).resolve(image_task, TEACHER)
    assert space.dropped[0].startswith("head.one_of.t_head: t_head needs losses.t_h beside it")
    assert space.default().plain["head"] == {"use": "plain"}


def test_a_loss_that_is_always_there_leaves_its_head_only(make, image_task):
    space = make(head=HEADS, losses=losses("t_d", always=("t_base", "t_h"))).resolve(image_task, TEACHER)
    assert space.dropped == ("head.one_of.plain: t_h cannot stand beside plain",)
    assert space.sample(np.random.default_rng(0), 0).plain["head"]["use"] == "t_head"
    with pytest.raises(SpaceError, match=r"nothing is left to choose from .*t_h cannot stand beside plain"):
        make(losses=losses("t_d", always=("t_base", "t_h"))).resolve(image_task, TEACHER)


def test_a_head_that_must_not_stand_beside_what_is_always_there_is_dropped(make, image_task):
    space = make(head=HEADS, losses=losses("t_h", always=("t_base", "t_a"))).resolve(image_task, TEACHER)
    assert space.dropped[0] == "head.one_of.t_head: t_head must not stand beside t_a"
