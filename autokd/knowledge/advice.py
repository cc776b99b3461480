"""Which pipelines are worth trying on new data, by what past studies taught: rules, ranked.

Candidates are the known recipes and the rules behind the best runs of past studies. A rule names no student, so it fits
any data and any limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autokd.knowledge.base import Base
from autokd.knowledge.card import StudyCard, StudyFacts
from autokd.knowledge.features import Subject
from autokd.knowledge.recommender import Evidence, Expected, Recommender, subject_of
from autokd.recipes import RULES, Recipe, Rule
from autokd.spec import fingerprint
from autokd.study.arms import PAST

BEST = 5
"""Runs of each past study whose rules are candidates."""


BY_HAND, ALONE = "kd", "alone"
"""Names of the rules that the others are measured against."""
STATED = frozenset({"format", "student", "head", "augment", "losses", "optimizer", "schedule", "batch_size"})
"""Of a pipeline, what a rule says, and what it leaves to the data and the limits."""


class Advice(NamedTuple):
    """A pipeline that is recommended.

    Args:
      recipe: the rule, and the pipeline that it is here.
      expected: what it is expected to be worth.
      evidence: what past studies saw of it.
    """

    recipe: Recipe
    expected: Expected
    evidence: Evidence


class Neighbour(NamedTuple):
    """A past study that counts.

    Args:
      facts: what it was about.
      weight: its share in what is said, all summing to 1.
    """

    facts: StudyFacts
    weight: float


def neighbours(base: Base, facts: StudyFacts) -> list[Neighbour]:
    """Return the past studies that count, those with the most weight first.

    Args:
      base: past studies.
      facts: what the new study is about.
    """
    recommender = Recommender(base, facts)
    pairs = zip(recommender.cards, recommender.weights, strict=True)
    return sorted((Neighbour(card.facts, float(weight)) for card, weight in pairs), key=lambda each: -each.weight)


def candidates(base: Base, facts: StudyFacts) -> tuple[Rule, ...]:
    """Return the rules that may be recommended: the known recipes, then those that past studies taught, each once.

    Args:
      base: past studies.
      facts: what the new study is about.
    """
    taught = {rule.name: rule for card in Recommender(base, facts).cards for rule in _best(card)}
    return (*RULES, *(taught[name] for name in sorted(taught)))


def advise(base: Base, facts: StudyFacts, recipes: Sequence[Recipe], params: Mapping[str, int]) -> list[Advice]:
    """Return recipes in the order in which they are worth trying.

    Args:
      base: past studies.
      facts: what the new study is about.
      recipes: KD by hand among them, or without a teacher the student alone.
      params: parameters of the student of each pipeline, by the name of its rule.
    """
    recommender = Recommender(base, facts)
    subjects = {each.rule.name: _subject(each, facts, params[each.rule.name]) for each in recipes}
    by_hand = subjects.get(BY_HAND) or subjects[ALONE]
    expected = recommender.expected(list(subjects.values()), by_hand)
    found = [
        Advice(each, value, recommender.evidence(each.rule.name)) for each, value in zip(recipes, expected, strict=True)
    ]
    return [found[place] for place in recommender.order(list(subjects.values()))]


def _subject(recipe: Recipe, facts: StudyFacts, params: int) -> Subject:
    return subject_of(recipe.drawn.plain, params, facts)


def _best(card: StudyCard) -> Iterator[Rule]:
    runs = {run.key: run for run in card.runs if run.key in card.worth and not run.failure}
    best = sorted(runs, key=lambda key: (-card.worth[key], key))[:BEST]
    yield from (rule for key in best if (rule := rule_from(runs[key].pipeline)) is not None)


def rule_from(pipeline: Mapping[str, Any]) -> Rule | None:
    """Return a pipeline of a past study as a rule; None where it has parts that a rule has not.

    Numbers are rounded, so that a rule can be read, and nearly equal ones are one.
    """
    if any(pipeline.get(slot) is not None for slot in pipeline.keys() - STATED):
        return None
    plain = rounded(pipeline)
    losses = {use: {key: value for key, value in loss.items() if key != "use"} for use, loss in plain["losses"].items()}
    if any(use != loss["use"] for use, loss in plain["losses"].items()):
        return None  # the same loss twice
    stated = {slot: plain[slot] for slot in ("optimizer", "augment", "head", "schedule", "batch_size")}
    return Rule(name=PAST + fingerprint({**stated, "losses": losses})[:8], title=_title(plain), losses=losses, **stated)


def _title(plain: Mapping[str, Any]) -> str:
    losses = " + ".join(use for use in plain["losses"] if use != "ce") or "student alone"
    optimizer = f"{plain['optimizer']['use']} {plain['optimizer']['learning_rate']:g}"
    augment = "no augmentation" if plain["augment"]["use"] == "none" else plain["augment"]["use"]
    return f"{losses}, {optimizer}, {augment}, batches of {plain['batch_size']}"


def rounded(value: Any) -> Any:
    """Return a plain value with every number to two figures."""
    if isinstance(value, Mapping):
        return {key: rounded(each) for key, each in value.items()}
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.2g}")
    return value
