"""What past studies taught: cards of finished studies, and bases that collect them.

A card holds numbers and names of autokd's own components, and nothing that was computed on a test split.
"""

from __future__ import annotations

from autokd.knowledge.base import Base, read_base, read_shipped, write_card
from autokd.knowledge.card import CardRun, StudyCard, StudyFacts
from autokd.knowledge.learn import learn

__all__ = ["Base", "CardRun", "StudyCard", "StudyFacts", "learn", "read_base", "read_shipped", "write_card"]
