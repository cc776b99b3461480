"""Losses in a space that count in a part of training only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autokd import spec
from autokd.errors import SpaceError
from autokd.ranges import Real
from autokd.types import Shapes

OFFERS = Shapes(((8, 4, 4),), 8)
STAGED = {"begin": 0.3}


def losses(always: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"always": always, "any_of": {"at_most": 1, "from": optional or {"t_b": {}}}}


def test_fixed_keys_are_in_every_pipeline(make):
    space = make(losses=losses({"t_a": {"end": 0.3}, "t_base": STAGED}))
    drawn = space.sample(np.random.default_rng(0), 0)
    assert drawn.plain["losses"]["t_base"]["begin"] == 0.3
    assert drawn.plain["losses"]["t_a"]["end"] == 0.3 and "begin" not in drawn.plain["losses"]["t_a"]
    assert space.params_of(drawn.plain) == drawn.params
    assert space.default().params == space.params_of(space.default().plain)
    changed = {**drawn.plain, "losses": {**drawn.plain["losses"], "t_base": {"use": "t_base", "weight": 1.0}}}
    assert "losses.t_base.begin: 0.0, but this space fixes it at 0.3" in space.misfits(changed)


def test_a_range_of_a_key_is_drawn_and_recognised(make):
    space = make(losses=losses({"t_base": {}}, {"t_a": {"begin": {"choice": [0.0, 0.5]}, "end": {"float": [0.6, 1]}}}))
    assert space.ranges()["losses.t_a.end"] == Real(0.6, 1.0)
    begins = set()
    for seed in range(30):
        drawn = space.sample(np.random.default_rng(seed), seed)
        assert space.params_of(drawn.plain) == drawn.params
        if "t_a" in drawn.plain["losses"]:
            begins.add(drawn.params["losses.t_a.begin"])
            assert drawn.plain["losses"]["t_a"].get("begin", 0.0) == drawn.params["losses.t_a.begin"]
            assert drawn.plain["losses"]["t_a"].get("begin") != 0.0  # the default is left out
    assert begins == {0.0, 0.5}


def test_what_a_warm_start_says_counts(make):
    parts = losses({"t_base": {}}, {"t_a": {"begin": {"choice": [0.0, 0.5]}, "end": 0.9}})
    warm = [{"losses": {"t_a": {"begin": 0.5}}}, {"losses": {"t_a": {"begin": 0.0}}}, {"losses": {"t_a": {}}}]
    plains = [drawn.plain["losses"]["t_a"] for drawn in make(losses=parts, warm_starts=warm).warm_starts]
    assert [plain.get("begin") for plain in plains] == [0.5, None, None]
    assert [plain["end"] for plain in plains] == [0.9] * 3
    with pytest.raises(SpaceError, match=r"warm_starts.0.losses.t_a.end: 1.0, but this space fixes it at 0.9"):
        make(losses=parts, warm_starts=[{"losses": {"t_a": {"end": 1.0}}}])


def test_keys_at_their_defaults_make_no_other_space(make):
    said = make(losses=losses({"t_base": {"begin": 0.0, "end": 1}}))
    assert said.identity() == make(losses=losses({"t_base": {}})).identity()
    assert make(losses=losses({"t_base": {}, "t_a": {"end": 0.5}})).identity() != said.identity()


@pytest.mark.parametrize(
    ("always", "line"),
    [
        ({"t_base": {"begin": 0.3}}, "losses.always: no term counts from 0 to 0.3 of training"),
        (
            {"t_base": {"begin": {"float": [0.1, 0.5]}}, "t_a": {"end": 0.3}},
            "losses.always: no term counts from 0.3 to 0.5 of training",
        ),
        ({"t_base": {"weight": {"choice": [0.0, 1.0]}}}, "losses.always: no term counts from 0 to 1 of training"),
        ({"t_base": {"begin": 0.5, "end": 0.2}}, "losses.always.t_base: expected 0 <= begin < end <= 1"),
        (
            {"t_base": {}, "t_a": {"begin": {"float": [0, 0.5]}, "end": {"float": [0.3, 1]}}},
            "losses.always.t_a: expected 0 <= begin < end <= 1, got begin 0.5 and end 0.3",
        ),
        ({"t_base": {"ende": 0.5}}, "losses.always.t_base.ende: t_base has no such field; did you mean 'end'"),
    ],
)
def test_what_some_pipeline_could_not_be_is_refused(make, always, line):
    with pytest.raises(SpaceError) as error:
        make(losses=losses(always))
    assert len(error.value.problems) == 1 and error.value.problems[0].startswith(line)


def test_a_loss_that_is_left_out_must_not_leave_a_gap(make, image_task):
    space = make(losses=losses({"t_d": {"end": 0.3}, "t_base": STAGED}))
    assert space.resolve(image_task, OFFERS).parts["losses"].always
    with pytest.raises(SpaceError, match=r"losses.always: no term counts from 0 to 0.3 of training"):
        space.resolve(image_task, None)


def test_a_known_recipe_counts_all_along(make, image_task):
    from autokd.recipes import portfolio

    parts = {"always": {"ce": STAGED, "hint": {"end": 0.3}}, "any_of": {"from": {"kd": STAGED}}}
    space = make(student={"always": {"cnn": {}}}, losses=parts).resolve(image_task, OFFERS)
    recipes = {recipe.rule.name: recipe.drawn for recipe in portfolio(space, image_task, OFFERS).recipes}
    assert recipes["kd"].params is None  # outside the space, as published
    assert not any({"begin", "end"} & loss.keys() for loss in recipes["kd"].plain["losses"].values())
    assert spec.from_plain(recipes["alone"].plain)
