"""The page that shows what pays where: HTML and small inline SVG, without a script."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autokd.files import write_text
from autokd.knowledge.pays import Effect, Findings, Scope
from autokd.report.page import templates
from autokd.report.pays import facts
from autokd.report.pays.facts import Names
from autokd.report.scales import Scale, linear

KINDS = {"pays": "alone", "may pay": "alone", "costs": "kd", "may cost": "kd", "open": "quiet"}
"""How a verdict is drawn: a colour of the house."""


def write(path: Path, found: Findings, names: Names | None = None) -> None:
    """Write the page."""
    write_text(path, render(found, names))


def render(found: Findings, names: Names | None = None) -> str:
    """Return the page as HTML."""
    return (
        templates()
        .get_template("pays.html.jinja")
        .render(
            extent=facts.extent(found),
            scopes=[_scope(number, scope, names) for number, scope in enumerate(found.scopes)],
            dependences=[
                (each, facts.what(each.choice.place, names), facts.option(*each.choice, names))
                for each in found.dependences
                if each.difference.tells()
            ],
            compared=len(found.dependences),
            interval=facts.interval,
            kinds=KINDS,
        )
    )


def _scope(number: int, scope: Scope, names: Names | None) -> dict[str, Any]:
    told = facts.told(scope)
    return {
        "name": f"data-{number}",
        "heading": facts.heading(scope),
        "title": scope.title,
        "told": [facts.line(effect, names) for effect in told],
        "open": [facts.line(effect, names) for effect in scope.effects if effect not in told],
        "asked": facts.asked(scope),
        "scale": _scale(scope.effects),
    }


def _scale(effects: Sequence[Effect]) -> Scale:
    ends = [end for effect in effects for end in effect.rank if math.isfinite(end)]
    return linear([-0.5, 0.5, *ends], lambda tick: f"{tick:+.6g}".replace("-", "−") if tick else "0")
