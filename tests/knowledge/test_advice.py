"""What is recommended for new data, from synthetic studies whose structure is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from autokd.knowledge import Base, CardRun, StudyCard, StudyFacts
from autokd.knowledge.advice import Advice, advise, candidates
from autokd.knowledge.recommender import Recommender
from autokd.knowledge.taught import rule_from
from autokd.recipes import portfolio
from autokd.space import Space, find, parse
from autokd.study.arms import PAST
from autokd.types import Shapes, Task

ROWS = Task(dataset="rows", modality="table", input_shape=(12,), classes=tuple("abcdef"), train_size=600)
OFFERS = Shapes(((64,), (64,)), 64, head=True)
FACTS = StudyFacts(
    data="new",
    modality="table",
    objective="accuracy",
    train=600,
    validation=200,
    class_counts=(100,) * 6,
    input_shape=(12,),
    limits={"params": 2000.0},
    epochs=10,
    seed=0,
    space="0" * 16,
    device="cpu",
)
Plain = Mapping[str, Any]


@pytest.fixture(scope="module")
def space() -> Space:
    return parse(find("tabular")[0]).resolve(ROWS, OFFERS, max_params=2000.0)


@pytest.fixture(scope="module")
def pipelines(space: Space) -> dict[str, list[tuple[str, Plain]]]:
    """Sources and pipelines of six studies: the known recipes, and 30 draws of the space."""
    known = [(f"recipe:{each.rule.name}", each.drawn.plain) for each in portfolio(space, ROWS, OFFERS).recipes]
    rng = np.random.default_rng(0)
    return {f"study {n}": [*known, *(("random", space.sample(rng, n).plain) for _ in range(30))] for n in range(6)}


def base_of(pipelines: Mapping[str, list[tuple[str, Plain]]], score: Callable[[Plain], float]) -> Base:
    rng = np.random.default_rng(1)
    cards = []
    for data, rows in pipelines.items():
        runs = tuple(
            CardRun(
                source=source,
                pipeline=plain,
                seed=0,
                epochs=10,
                score=score(plain) + float(rng.normal(0, 0.003)),
                seconds=1.0,
                params=1000,
                macs=1000,
            )
            for source, plain in rows
        )
        cards.append(StudyCard(facts=dataclasses.replace(FACTS, data=data), runs=runs))
    return Base.of(cards)


def advice_of(base: Base, space: Space, facts: StudyFacts = FACTS) -> list[Advice]:
    recipes = portfolio(space, ROWS, OFFERS, rules=candidates(base, facts)).recipes
    return advise(base, facts, recipes, {each.rule.name: 1000 for each in recipes})


def adamw_helps(plain: Plain) -> float:
    """Where AdamW is worth 5 points, and mixup costs 3."""
    return 0.8 + 0.05 * (plain["optimizer"]["use"] == "adamw") - 0.03 * (plain["augment"]["use"] == "mixup")


def test_what_helped_everywhere_is_recommended_with_its_gain(space, pipelines):
    first = advice_of(base_of(pipelines, adamw_helps), space)[0]
    plain = first.recipe.drawn.plain
    assert plain["optimizer"]["use"] == "adamw" and plain["augment"]["use"] != "mixup"
    assert first.expected.gain == pytest.approx(0.05, abs=0.015)
    assert first.expected.interval is not None
    low, high = first.expected.interval
    assert 0 < low < 0.05 < high


def test_rules_that_several_sources_of_data_tried_are_among_what_is_recommended(space, pipelines):
    shared = space.sample(np.random.default_rng(7), 7).plain
    shared = {**shared, "optimizer": pipelines["study 0"][0][1]["optimizer"]}
    wider = {name: [*rows, ("design", shared)] for name, rows in pipelines.items()}

    def score(plain: Plain) -> float:
        return 0.95 if plain["losses"] == shared["losses"] else 0.8

    base = base_of(wider, score)
    taught = [rule for rule in candidates(base, FACTS) if rule.name.startswith(PAST)]
    assert rule_from(shared) in taught and len({rule.name for rule in taught}) == len(taught)
    first = advice_of(base, space)[0]
    assert first.recipe.rule == rule_from(shared)
    assert (first.evidence.studies, first.evidence.better) == (6, 6)


def test_where_nothing_matters_no_gain_is_claimed(space, pipelines):
    for each in advice_of(base_of(pipelines, lambda _: 0.8), space)[:5]:
        assert each.expected.interval is not None
        low, high = each.expected.interval
        assert low <= 0 <= high


def test_evidence_counts_the_studies_that_tried_a_recipe(space, pipelines):
    by_name = {each.recipe.rule.name: each for each in advice_of(base_of(pipelines, adamw_helps), space)}
    assert by_name["kd-adamw-raw"].evidence.studies == 6
    assert by_name["kd-adamw-raw"].evidence.better == 6
    assert by_name["kd-adamw-raw"].evidence.gain == pytest.approx(0.05, abs=0.01)
    assert by_name["kd"].evidence.better == 0


def test_studies_on_another_kind_of_input_say_nothing(space, pipelines):
    elsewhere = dataclasses.replace(FACTS, modality="image")
    base = base_of(pipelines, adamw_helps)
    assert Recommender(base, elsewhere).cards == []
    advice = advice_of(base, space, elsewhere)
    assert [each.recipe.rule.name for each in advice[:2]] == ["kd", "alone"]
    assert advice[0].expected.gain is None


def test_another_metric_is_heard_only_where_none_has_the_same(space, pipelines):
    base = base_of(pipelines, adamw_helps)
    first = advice_of(base, space, dataclasses.replace(FACTS, objective="macro_f1"))[0]
    assert first.recipe.drawn.plain["optimizer"]["use"] == "adamw"
    assert first.expected.gain is None and first.expected.interval is None
    own = dataclasses.replace(FACTS, objective="macro_f1")
    mixed = Base.of([*base.cards, *(dataclasses.replace(card, facts=own) for card in base.cards[:1])])
    assert len(Recommender(mixed, own).cards) == 1


def test_weights_are_nearly_equal_while_studies_are_few(pipelines):
    base = base_of(pipelines, adamw_helps)
    weights = Recommender(base, FACTS).weights
    assert weights.sum() == pytest.approx(1.0) and weights.max() / weights.min() < 1.5


def test_advice_is_the_same_every_time(space, pipelines):
    base = base_of(pipelines, adamw_helps)
    assert [each.recipe.rule.name for each in advice_of(base, space)] == [
        each.recipe.rule.name for each in advice_of(base, space)
    ]


def test_a_run_becomes_a_rule_that_draws_the_same_training(space):
    plain = space.sample(np.random.default_rng(3), 0).plain
    rule = rule_from(plain)
    assert rule is not None
    (recipe,) = portfolio(space, ROWS, OFFERS, rules=[rule]).recipes
    drawn = recipe.drawn.plain
    assert drawn["optimizer"]["learning_rate"] == pytest.approx(plain["optimizer"]["learning_rate"], rel=0.06)
    for slot in ("augment", "schedule", "head", "losses"):
        assert drawn[slot].keys() == plain[slot].keys()
    assert drawn["batch_size"] == plain["batch_size"]


def test_a_pipeline_with_what_no_rule_has_is_no_rule(space):
    plain = space.sample(np.random.default_rng(3), 0).plain
    assert rule_from({**plain, "ema": 0.5}) is None
