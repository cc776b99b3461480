"""What past studies taught: cards of finished studies, and bases that collect them.

A card holds numbers and names of autokd's own components, and nothing that was computed on a test split.
"""

from __future__ import annotations

from autokd.knowledge.base import Base, read_base, write_card
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.knowledge.learn import learn
from autokd.knowledge.lessons import learn_into
from autokd.knowledge.places import base_of, own_folder, read_shipped

__all__ = [
    "Base",
    "CardRun",
    "StudyCard",
    "StudyFacts",
    "base_of",
    "learn",
    "learn_into",
    "own_folder",
    "read_base",
    "read_shipped",
    "write_card",
]
