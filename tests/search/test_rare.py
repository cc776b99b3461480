"""Where training has rare classes, the default space tries the parts for them; elsewhere it stays as it is."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from autokd import spec
from autokd.recipes import FOR_RARE_CLASSES, PARTS_FOR_RARE_CLASSES, RULES, portfolio, rules_for, tries_rare_classes
from autokd.search.baselines import matched_baseline
from autokd.search.rare import asked_space
from autokd.space import Space, find, parse, with_parts
from autokd.study.arms import ARM_KINDS
from autokd.types import Shapes, Task

TASK = Task(dataset="rows", modality="table", input_shape=(9,), classes=("no", "yes"), train_size=1000)
RARE = ("weighted_ce", "focal", "logit_adjusted")


def asked(counts: list[int], space: Path | None = None, before: Any = None) -> Space:
    data: Any = SimpleNamespace(class_counts=counts, task=TASK, default_space="tabular")
    request: Any = SimpleNamespace(space=space)
    return asked_space(request, data, before)[0]


@pytest.fixture(scope="module")
def resolved() -> Space:
    return asked([990, 10]).resolve(TASK, Shapes())


def test_the_default_space_tries_parts_for_rare_classes_where_there_are_some(resolved: Space) -> None:
    text = find("tabular")[0]
    as_it_is = parse(text).identity()
    assert asked([900, 100]).identity() == as_it_is == asked([990, 10], Path("tabular")).identity()
    began: Any = SimpleNamespace(identity=SimpleNamespace(space=as_it_is))
    assert asked([990, 10], before=began).identity() == as_it_is  # a study goes on as it began
    assert {"selection", *(f"losses.{name}" for name in RARE)} <= set(resolved.ranges())
    before = {path for path in parse(text).resolve(TASK, Shapes()).ranges() if path != "selection"}
    assert before <= set(resolved.ranges())


@pytest.mark.parametrize("name", ["digits", "image", "tabular", "tabular_all"])
def test_every_space_can_have_them(name: str) -> None:
    space = with_parts(parse(find(name)[0]), PARTS_FOR_RARE_CLASSES)
    assert {c.full_name for part in space.parts.values() for c in part.candidates} >= set(PARTS_FOR_RARE_CLASSES)


def test_a_loss_stands_in_the_place_of_cross_entropy(resolved: Space) -> None:
    rng, seen = np.random.default_rng(0), set()
    for number in range(150):
        drawn = resolved.sample(rng, number)
        (label,) = [name for name in drawn.plain["losses"] if name in ("ce", *RARE)]
        assert resolved.params_of(drawn.plain) == drawn.params
        seen.add((label, drawn.plain["selection"]["use"]))
    assert len(seen) == 8
    both = {**resolved.default().plain["losses"], "focal": {"use": "focal", "weight": 1.0, "gamma": 2.0}}
    assert any("in its place" in line for line in resolved.misfits({**resolved.default().plain, "losses": both}))


def test_recipes_for_rare_classes_come_behind_kd_and_the_student_alone(resolved: Space) -> None:
    names = [rule.name for rule in rules_for(TASK, rare_classes=tries_rare_classes(resolved))]
    assert names == [*(r.name for r in RULES[:2]), *(r.name for r in FOR_RARE_CLASSES), *(r.name for r in RULES[2:])]
    assert rules_for(TASK) == RULES and not tries_rare_classes(parse(find("tabular")[0]))
    found = portfolio(resolved, TASK, Shapes())
    kept = [recipe.rule.name for recipe in found.recipes]
    assert kept[2:4] == [rule.name for rule in FOR_RARE_CLASSES]
    assert all(recipe.drawn.params is not None for recipe in found.recipes)


def test_a_matched_baseline_keeps_the_loss_on_labels_and_the_selection(resolved: Space) -> None:
    (recipe, *_) = portfolio(resolved, TASK, Shapes(), rules=FOR_RARE_CLASSES).recipes
    plain = {**recipe.drawn.plain, "selection": {"use": "balanced"}}
    pick = spec.from_plain(plain)
    (label,) = [name for name in pick.losses if name != "kd"]
    alone, kd = (matched_baseline(pick, ARM_KINDS[kind]) for kind in ("alone", "kd"))
    assert list(alone.losses) == [label] and list(kd.losses) == [label, "kd"]
    assert alone.losses[label].weight == 1.0 and alone.selection == pick.selection
