"""Past studies for tests: what they saw is made up, on the pipelines that a space really has."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd.knowledge import CardRun, StudyCard
from autokd.knowledge.base import write_base
from autokd.search.past import facts_before_training
from autokd.search.session import Setup

HOT: Mapping[str, Any] = {"use": "kd", "temperature": 9.0}
WEIGHTS = (2.9, 3.0, 3.1, 3.2, 3.3)
"""A loss of past studies that no known recipe has, and its weights."""


def write_past(path: Path, setup: Setup, *, studies: int = 4, **facts: Any) -> Path:
    """Write a base in which KD at a temperature of 9 was the best, and after it the student alone with AdamW.

    Args:
      path: of the file.
      setup: prepared cold; the past studies had its space.
      studies: that there are.
      facts: in place of the setup's own.
    """
    write_base(path, [_card(setup, number, facts) for number in range(studies)])
    return path


def _card(setup: Setup, number: int, facts: Mapping[str, Any]) -> StudyCard:
    about = dataclasses.replace(facts_before_training(setup), data=f"{number:016}", study=f"{number:016}", **facts)
    known = {f"recipe:{each.rule.name}": each.drawn.plain for each in setup.portfolio.recipes}
    losses = known["recipe:kd"]["losses"]
    hot = [
        {**known["recipe:kd"], "losses": {**losses, "kd": {**losses["kd"], **HOT, "weight": weight}}}
        for weight in WEIGHTS
    ]
    scores = {"recipe:kd": 0.7, "recipe:alone-adamw": 0.8, "tpe": 0.9}
    runs = [
        CardRun(
            source=source,
            pipeline=pipeline,
            seed=number,
            epochs=about.epochs,
            score=scores.get(source, 0.5) + number / 100,
            seconds=1.0,
            params=100,
            macs=100,
        )
        for source, pipeline in [*known.items(), *(("tpe", pipeline) for pipeline in hot)]
    ]
    return StudyCard(facts=about, runs=tuple(runs))
