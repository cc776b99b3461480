"""Which pipelines are worth trying on new data, by what past studies taught: rules, ranked.

Candidates are the known recipes, and the rules that past studies tried on several sources of data. A rule names no
student, so it fits any data and any limit.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from autokd.knowledge.base import Base
from autokd.knowledge.card import StudyFacts
from autokd.knowledge.recommender import Expected, Recommender, Seen, subject_of
from autokd.knowledge.taught import rule_from
from autokd.recipes import RULES, Recipe, Rule
from autokd.study.arms import ALONE, KD

SHARED = 3
"""Sources of data on which a rule must have been tried: what was best once was also lucky."""


class Evidence(NamedTuple):
    """What past studies saw of a pipeline, on whatever student they had.

    Args:
      studies: in which it was trained to the end, and KD by hand was.
      better: in so many of these it was better than KD by hand.
      gain: mean gain over KD by hand there, in the unit of the score; None where there is none.
    """

    studies: int
    better: int
    gain: float | None


class Advice(NamedTuple):
    """A pipeline that is recommended.

    Args:
      recipe: the rule, and the pipeline that it is here.
      expected: what it is expected to be worth.
      evidence: what past studies saw of it.
      said: quantile of it in each past study that counts, in the order of the base.
    """

    recipe: Recipe
    expected: Expected
    evidence: Evidence
    said: tuple[float, ...]


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
    taught, tried = dict[str, Rule](), dict[str, set[str]]()
    for card in Recommender(base, facts).cards:
        trained = {run.key for run in card.runs if not run.failure}
        for rule in (rule for key, rule in card.rules.items() if key in trained):
            tried.setdefault(rule.name, set()).add(card.facts.source)
            taught[rule.name] = rule
    return (*RULES, *(taught[name] for name in sorted(taught) if len(tried[name]) >= SHARED))


def advise(base: Base, facts: StudyFacts, recipes: Sequence[Recipe], params: Mapping[str, int]) -> list[Advice]:
    """Return recipes in the order in which they are worth trying.

    Args:
      base: past studies.
      facts: what the new study is about.
      recipes: KD by hand among them, or without a teacher the student alone.
      params: parameters of the student of each pipeline, by the name of its rule.
    """
    recommender, recipes = Recommender(base, facts), _distinct(recipes)
    names = [each.rule.name for each in recipes]
    by_hand = names.index(KD if KD in names else ALONE)
    rules = [_name_of(each) for each in recipes]
    subjects = [subject_of(each.drawn.plain, params[each.rule.name], facts) for each in recipes]
    said = recommender.said(subjects, rules)
    evidence = [_evidence([model.seen[rule] for model in recommender.models if rule in model.seen]) for rule in rules]
    found = [
        Advice(each, value, own, tuple(column.round(4).tolist()))
        for each, value, own, column in zip(
            recipes, recommender.expected(said, by_hand), evidence, said.known.T, strict=True
        )
    ]
    return [found[place] for place in recommender.order(said, by_hand)]


def _distinct(recipes: Sequence[Recipe]) -> list[Recipe]:
    """Recipes without those of past studies that only repeat one before them."""
    found: dict[str, Recipe] = {}
    for each in recipes:
        found.setdefault(_name_of(each) or each.rule.name, each)
    return list(found.values())


def _name_of(recipe: Recipe) -> str:
    """Name that a recipe's pipeline has as a rule, whatever the recipe is called; "" where it has none."""
    own = rule_from(recipe.drawn.plain)
    return "" if own is None else own.name


def _evidence(seen: Sequence[Seen]) -> Evidence:
    gains = [each.gain for each in seen if each.gain is not None]
    return Evidence(len(gains), sum(gain > 0 for gain in gains), statistics.fmean(gains) if gains else None)
