"""Resolving, drawing and recognising pipelines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from autokd import spec
from autokd.errors import SpaceError
from autokd.ranges import Choice, Integer, Real
from autokd.space import parse
from autokd.types import Shapes

OFFERS = Shapes(((8, 4, 4),), 8)
ALL: dict[str, Any] = {"t_a": {}, "t_b": {}, "t_c": {}, "t_d": {}}


def losses(at_most: int, *names: str):
    return {"always": {"t_base": {}}, "any_of": {"at_most": at_most, "from": {name: {} for name in names}}}


@dataclass
class Scripted:
    """A sampler that answers from a script, and the lower end or first option otherwise; notes what it was asked."""

    script: dict[str, Any]
    asked: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def real(self, path, low, high, log):
        return self._answer(path, (low, high, log), low)

    def integer(self, path, low, high, step, log):
        return self._answer(path, (low, high, step, log), low)

    def choice(self, path, options):
        return self._answer(path, options, options[0])

    def _answer(self, path, asked, otherwise):
        assert path not in self.asked, f"{path} was asked for twice"
        self.asked[path] = asked
        return self.script.get(path, otherwise)


def on(*names: str) -> Scripted:
    return Scripted({f"losses.{name}": "on" for name in names})


def test_draw_asks_for_the_chosen_branch_only(make):
    source = Scripted({"student": "t_mlp", "student.t_mlp.units": 7, "losses.t_a": "on", "losses.t_a.heat": 2.5})
    drawn = make().draw(source, 0)
    assert drawn.plain["student"] == {"use": "t_mlp", "units": 7, "sizes": [1, 2], "limit": None}
    assert drawn.plain["losses"] == {
        "t_base": {"use": "t_base", "weight": 0.1},
        "t_a": {"use": "t_a", "weight": 0.1, "heat": 2.5},
    }
    assert drawn.params == {
        "student": "t_mlp",
        "student.t_mlp.units": 7,
        "augment": "none",
        "optimizer.sgd.learning_rate": 0.01,
        "optimizer.sgd.weight_decay": 1e-5,
        "batch_size": 32,
        "losses.t_base.weight": 0.1,
        "losses.t_a": "on",
        "losses.t_d": "off",
        "losses.t_a.weight": 0.1,
        "losses.t_a.heat": 2.5,
    }
    assert source.asked["student.t_mlp.units"] == (2, 64, 1, True)
    assert source.asked["student"] == ("t_net", "t_mlp")
    assert set(source.asked) == set(drawn.params)
    spec.from_plain(drawn.plain)


def test_suggestions_above_the_bound_are_cut_and_recorded_as_off(make):
    space = make(losses=losses(1, "t_a", "t_d"))
    kept = []
    for number in range(200):
        drawn = space.draw(on("t_a", "t_d"), number)
        assert drawn == space.draw(on("t_a", "t_d"), number)
        (name,) = drawn.plain["losses"].keys() - {"t_base"}
        kept.append(name)
        other = {"t_a": "t_d", "t_d": "t_a"}[name]
        assert (drawn.params[f"losses.{name}"], drawn.params[f"losses.{other}"]) == ("on", "off")
        assert ("losses.t_a.heat" in drawn.params) == (name == "t_a")
    assert 60 < kept.count("t_a") < 140


def test_cut_order_is_the_same_in_every_process(make):
    space = make(losses=losses(1, "t_a", "t_d"))
    kept = ["t_a" if "t_a" in space.draw(on("t_a", "t_d"), number).plain["losses"] else "t_d" for number in range(8)]
    # sha256("<number>/0/t_a") against sha256("<number>/0/t_d"), by an independent tool: the smaller one stays
    assert kept == ["t_d", "t_a", "t_a", "t_d", "t_a", "t_a", "t_a", "t_a"]


def test_components_that_exclude_each_other_never_stand_together(make):
    space = make(losses=losses(4, *ALL))
    seen = set()
    for number in range(50):
        drawn = space.draw(on("t_a", "t_b"), number)
        seen.add(tuple(drawn.plain["losses"]))
    assert seen == {("t_base", "t_a"), ("t_base", "t_b")}


def test_exclusion_reaches_other_slots(make):
    source = on("t_b")
    source.script["augment"] = "mixup"
    drawn = make(losses=losses(2, *ALL)).draw(source, 0)
    assert list(drawn.plain["losses"]) == ["t_base"]
    assert drawn.params["losses.t_b"] == "off"


def test_unmet_requirements_are_cut(make):
    space = make(losses=losses(4, *ALL))
    assert list(space.draw(on("t_c"), 0).plain["losses"]) == ["t_base"]
    assert list(space.draw(on("t_c", "t_a"), 0).plain["losses"]) == ["t_base", "t_a", "t_c"]


def test_groups_have_bounds_of_their_own(make):
    groups = [
        {"at_most": 1, "from": {"t_a": {}, "t_b": {}}},
        {"at_most": 1, "from": {"t_d": {}}},
        {"at_most": 0, "from": {"t_c": {}}},
    ]
    space = make(losses={"always": {"t_base": {}}, "any_of": groups})
    drawn = space.draw(on("t_a", "t_b", "t_d"), 3)
    assert len(drawn.plain["losses"]) == 3
    assert "t_d" in drawn.plain["losses"]
    assert not any("t_c" in path for path in space.ranges())


def test_sample_draws_the_count_first(make):
    space = make(
        losses={"always": {"t_base": {}}, "any_of": {"at_most": 3, "from": {f"a{i}": {"use": "t_a"} for i in range(8)}}}
    )
    rng = np.random.default_rng(0)
    counts = Counter(len(space.sample(rng, number).plain["losses"]) - 1 for number in range(2000))
    assert set(counts) == {0, 1, 2, 3}
    # 500 each; sd of a binomial count (2000, 1/4) is 19.4
    assert all(abs(count - 500) < 4 * 19.4 for count in counts.values())


def test_sample_is_uniform_on_each_ranges_own_scale(make):
    space = make(student={"always": {"t_mlp": {}}})
    rng = np.random.default_rng(1)
    drawn = [space.sample(rng, number).params for number in range(2000)]
    rates = [params["optimizer.sgd.learning_rate"] for params in drawn]  # log-uniform in [0.01, 0.5]
    assert abs(np.mean(np.log(rates)) - np.log(np.sqrt(0.01 * 0.5))) < 4 * np.log(50) / np.sqrt(12 * 2000)
    units = Counter(params["student.t_mlp.units"] for params in drawn)
    assert set(units) <= set(range(2, 65))
    assert units[2] > 10 * units[60] > 0 or units[60] == 0
    assert 900 < Counter(params["batch_size"] for params in drawn)[32] < 1100


def test_same_seed_same_sample(make):
    one, two = (make().sample(np.random.default_rng(7), 3) for _ in range(2))
    assert one == two
    assert one != make().sample(np.random.default_rng(8), 3)


def test_no_name_has_two_distributions(make):
    space = make(losses=losses(4, *ALL))
    seen: dict[str, set[tuple[Any, ...]]] = {}
    rng = np.random.default_rng(0)
    for number in range(300):
        source = Scripted(dict(space.sample(rng, number).params))
        space.draw(source, number)
        for path, asked in source.asked.items():
            seen.setdefault(path, set()).add(asked)
    assert all(len(found) == 1 for found in seen.values())
    assert set(seen) == set(space.ranges())
    for path, (asked,) in seen.items():
        span = space.ranges()[path]
        expected = {
            Real: lambda s: (s.low, s.high, s.log),
            Integer: lambda s: (s.low, s.high, s.step, s.log),
            Choice: lambda s: s.options,
        }[type(span)](span)
        assert asked == expected


def test_params_of_is_the_inverse_of_draw(make):
    space = make(losses=losses(3, *ALL))
    rng = np.random.default_rng(0)
    for number in range(60):
        drawn = space.sample(rng, number)
        assert space.params_of(drawn.plain) == drawn.params
        assert space.draw(Scripted(drawn.params), number) == drawn
        assert space.params_of(spec.to_plain(spec.from_plain(drawn.plain))) == drawn.params


@pytest.mark.parametrize(
    "change",
    [
        {"student": {"use": "t_net", "width": 6, "depth": 8}},
        {"student": {"use": "cnn", "width": 8, "layers": 2}},
        {"student": {"use": "t_net", "width": 8}},
        {"batch_size": 48},
        {"losses": {"t_a": {"use": "t_a", "weight": 1.0, "heat": 2.0}}},
        {"losses": {"t_base": {"use": "t_base", "weight": 1.0}, "t_b": {"use": "t_b"}}},
        {"losses": {"t_base": {"use": "t_base", "weight": 2.0}}},
    ],
)
def test_params_of_what_lies_outside_is_none(make, change):
    space = make()
    plain = space.default().plain
    assert space.params_of(plain) is not None
    assert space.params_of({**plain, **change}) is None


def test_params_of_knows_bounds_and_illegal_pairs(make):
    space = make(losses=losses(1, *ALL))
    for names in (("t_a", "t_d"), ("t_a", "t_b"), ("t_c",)):
        assert space.params_of(space.complete({"losses": {name: {} for name in names}})) is None
    assert space.params_of(space.complete({"losses": {"t_a": {}}})) is not None
    assert make(losses=losses(2, *ALL)).params_of(space.complete({"losses": {"t_a": {}, "t_c": {}}})) is not None
    beside_mixup = space.complete({"augment": {"use": "mixup"}, "losses": {"t_b": {}}})
    assert space.misfits(beside_mixup) == ["losses.t_b: must not stand beside augment.mixup"]


def test_default_takes_first_options_and_values_inside_the_ranges(make):
    fields = {"width": {"int": [10, 16], "step": 3}, "depth": {"choice": [20, 26]}}
    space = make(student={"one_of": {"t_net": fields, "t_mlp": {}}})
    drawn = space.default()
    assert drawn.plain["student"] == {"use": "t_net", "width": 10, "depth": 20}
    assert list(drawn.plain["losses"]) == ["t_base"]
    assert drawn.plain["batch_size"] == 64
    assert space.params_of(drawn.plain) == drawn.params
    spec.from_plain(drawn.plain)


def test_default_without_a_default_is_the_middle_of_the_scale(make):
    plain = make(student={"always": {"t_mlp": {}}}).default().plain
    assert plain["student"]["units"] == 11  # sqrt(2 * 64) = 11.3


def test_warm_starts_are_completed_with_defaults(make):
    space = make(warm_starts=[{"student": {"use": "t_net", "depth": "8"}, "losses": {"t_a": {"heat": 2}}}])
    (start,) = space.warm_starts
    assert start.plain["student"] == {"use": "t_net", "width": 8, "depth": 8}
    assert start.plain["losses"]["t_a"] == {"use": "t_a", "weight": 1.0, "heat": 2.0}
    assert start.plain["losses"]["t_base"] == {"use": "t_base", "weight": 1.0}
    assert start.params["losses.t_a"] == "on"


def test_resolve_leaves_out_what_does_not_fit(make, image_task, table_task):
    space = make(losses=losses(2, *ALL), warm_starts=[{"losses": {"t_d": {}}}, {"losses": {"t_a": {}}}])
    assert space.resolve(image_task, OFFERS).dropped == ()
    resolved = space.resolve(table_task, OFFERS)
    assert [line.partition(":")[0] for line in resolved.dropped] == [
        "student.one_of.t_net",
        "losses.any_of.from.t_d",
        "warm_starts.0",
    ]
    assert "student" not in resolved.ranges()
    assert len(resolved.warm_starts) == 1
    assert resolved.warm_starts[0].plain["student"]["use"] == "t_mlp"


def test_resolve_asks_what_the_teacher_offers(make, image_task):
    space = make(losses=losses(2, *ALL))
    (reason,) = space.resolve(image_task, Shapes((), 8)).dropped
    assert reason == "losses.any_of.from.t_d: t_d needs features, which the teacher does not offer"
    alone = space.resolve(image_task, None)
    assert [path for path in alone.ranges() if path.startswith("losses")] == ["losses.t_base.weight"]
    assert len(alone.dropped) == 4


def test_resolve_says_why_nothing_is_left(make, table_task):
    space = make(student={"one_of": {"t_net": {}}}, losses={"always": {"t_a": {}}})
    with pytest.raises(SpaceError) as caught:
        space.resolve(table_task, None)
    assert caught.value.problems == [
        "student: nothing is left to choose from (student.one_of.t_net: t_net takes image input, rows is table)",
        "losses.always: nothing is left; it needs at least one that fits this data",
    ]


def test_resolve_leaves_out_options_that_clash_with_what_is_always_there(make, image_task):
    space = make(losses={"always": {"t_base": {}, "t_b": {}}}).resolve(image_task, OFFERS)
    assert "augment" not in space.ranges()
    assert space.dropped == ("augment.one_of.mixup: mixup must not stand beside t_b",)


def test_flags_override_the_file(make, image_task):
    space = make(constraints={"params": 100, "macs": None}, budget={"trials": 5, "epochs": 18})
    assert space.constraints == {"params": 100.0}
    resolved = space.resolve(image_task, OFFERS, max_params=50, max_macs=1000, trials=7, epochs=None)
    assert resolved.constraints == {"params": 50.0, "macs": 1000.0}
    assert (resolved.budget.trials, resolved.budget.epochs) == (7, 18)


def test_identity_is_plain_data_and_only_what_must_not_change(make, image_task):
    identity = make().resolve(image_task, OFFERS, trials=7).identity()
    assert json.loads(json.dumps(identity)) == identity
    assert identity == make(description="other words", budget={"trials": 9}).resolve(image_task, OFFERS).identity()
    assert identity["student"]["one_of"]["t_net"]["width"] == {"int": [4, 16], "step": 4, "log": False}
    variants = [
        {"student": {"one_of": {"t_net": {"width": {"int": [4, 12], "step": 4}}, "t_mlp": {}}}},
        {"losses": losses(1, "t_a", "t_d")},
        {"constraints": {"params": 5}},
        {"budget": {"epochs": 81}},
        {"screen": {"enqueue": 2}},
        {"warm_starts": [{}]},
        {"batch_size": 64},
    ]
    others = [make(**variant).resolve(image_task, OFFERS).identity() for variant in variants]
    assert all(one != two for one, two in pairwise([identity, *others, identity]))
    assert all(other != identity for other in others)


def test_students_are_distinct_and_exhaust_a_small_space(make):
    space = make(student={"one_of": {"t_net": {}}})
    found = space.students(np.random.default_rng(0), 100)
    assert {(student["width"], student["depth"]) for student in found} == {
        (width, depth) for width in (4, 8, 12, 16) for depth in (8, 14, 20)
    }
    assert len(found) == 12
    assert len(space.students(np.random.default_rng(0), 5)) == 5


def test_text_and_source_are_kept(plugin):
    text = (
        "student: {always: {t_net: {}}}\naugment: {always: {none: {}}}\nlosses: {always: {t_base: {}}}\n"
        "optimizer: {always: {sgd: {}}}\nschedule: {always: {cosine: {}}}\n"
    )
    space = parse(text, "mine.yaml")
    assert (space.text, space.source) == (text, "mine.yaml")
