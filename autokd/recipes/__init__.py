"""Recipes: known good pipelines as rules that fit any data and any limit, and the records that they are picked by."""

from __future__ import annotations

from autokd.recipes.apply import Portfolio, Recipe, portfolio
from autokd.recipes.rules import RULES, WITH_UNLABELLED, Rule, rule_of, rules_for
from autokd.recipes.students import choose_family, largest_of_families

__all__ = [
    "RULES",
    "WITH_UNLABELLED",
    "Portfolio",
    "Recipe",
    "Rule",
    "choose_family",
    "largest_of_families",
    "portfolio",
    "rule_of",
    "rules_for",
]
