"""Recipes: known good pipelines as rules that fit any data and any limit, and the records that they are picked by."""

from __future__ import annotations

from autokd.recipes.apply import Portfolio, Recipe, portfolio, tries_rare_classes
from autokd.recipes.rules import (
    FOR_RARE_CLASSES,
    PARTS_FOR_RARE_CLASSES,
    RULES,
    WITH_UNLABELLED,
    Rule,
    rule_of,
    rules_for,
)
from autokd.recipes.students import choose_family, largest_of_families

__all__ = [
    "FOR_RARE_CLASSES",
    "PARTS_FOR_RARE_CLASSES",
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
    "tries_rare_classes",
]
