"""The report: a row for every set, and whether each bar is met."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.by_hand.answers import Answer, Unit
from benchmarks.by_hand.figures import (
    Difference,
    bootstrap_lower,
    difference,
    holm,
    mean_over_sets,
    wins_and_losses,
)

SIGNIFICANT = 0.05
MARGIN = 0.005
"""By how much the search may be worse and still count as not inferior."""
POINT = 0.01
WINS_A_LOSS = 3
MINUS = "\N{MINUS SIGN}"


class Row(NamedTuple):
    """One set.

    Args:
      name: of the set.
      seeds: that all sides have.
      accuracy: on test, by side.
      person, random: search minus that side; None where that side is missing.
    """

    name: str
    seeds: int
    accuracy: Mapping[str, float]
    person: Difference | None
    random: Difference | None


class Bar(NamedTuple):
    """One requirement, whether it is met, and the figures."""

    title: str
    met: bool
    figures: str


def rows(answers: Mapping[Unit, Answer], sets: Iterable[str]) -> list[Row]:
    """Return the sets for which there are at least two seeds of the search and of another side."""
    made = [_row(answers, name) for name in sets]
    return [row for row in made if row.person is not None or row.random is not None]


def bars(found: Sequence[Row]) -> list[Bar]:
    """Return whether the search keeps what is promised."""
    person = {row.name: row.person for row in found if row.person is not None}
    random = [row.random for row in found if row.random is not None]
    made = _against_person(person) if person else []
    if random:
        mean = mean_over_sets(random)
        made.append(Bar("above random draws on average", mean.mean > 0, interval(mean)))
    return made


def _against_person(person: Mapping[str, Difference]) -> list[Bar]:
    worse = holm({name: each.p_worse for name, each in person.items()})
    losing = [f"{name} (p = {p:.3f})" for name, p in worse.items() if p < SIGNIFICANT]
    mean = mean_over_sets(list(person.values()))
    telling = {name: each for name, each in person.items() if each.margin < MARGIN}
    inferior = [f"{name} ({_points(each.lower)})" for name, each in telling.items() if each.lower <= -MARGIN]
    small = [name for name in person if name not in telling]
    lower = bootstrap_lower(list(person.values()))
    wins, losses = wins_and_losses(list(person.values()), POINT)
    return [
        Bar(
            "on no set is the person better (one-sided 95 %, Holm over sets)",
            not losing,
            ", ".join(losing) or f"smallest adjusted p = {min(worse.values()):.3f}",
        ),
        Bar(f"mean over sets not inferior at {_points(-MARGIN)}", mean.lower > -MARGIN, interval(mean)),
        Bar(
            f"not inferior at {_points(-MARGIN)} on each set that can tell",
            not inferior,
            f"inferior: {', '.join(inferior) or 'none'}; too small to tell: {', '.join(small) or 'none'}",
        ),
        Bar(
            "mean gain above zero (bootstrap over sets and seeds)",
            lower > 0,
            f"{_points(mean.mean)}, lower 95 % bound {_points(lower)}",
        ),
        Bar(
            f"where {_points(POINT)} is detectable, {WINS_A_LOSS} times as many wins as losses",
            wins >= WINS_A_LOSS * losses and wins > 0,
            f"{wins} won, {losses} lost",
        ),
    ]


def as_text(found: Sequence[Row], *, markdown: bool) -> str:
    """Return the table and the bars, as Markdown or aligned for a terminal."""
    head = [
        "set",
        "seeds",
        "search",
        "person",
        "random",
        "search \N{MINUS SIGN} person",
        "search \N{MINUS SIGN} random",
    ]
    table = [
        head,
        *(
            [
                row.name,
                str(row.seeds),
                *(_percent(row.accuracy.get(side)) for side in ("search", "person", "random")),
                interval(row.person),
                interval(row.random),
            ]
            for row in found
        ),
    ]
    lines = _markdown(table) if markdown else _aligned(table)
    marks = [
        f"{'- ' if markdown else ''}{'met' if bar.met else 'MISSED'}: {bar.title}: {bar.figures}" for bar in bars(found)
    ]
    return "\n".join([*lines, "", *marks])


def _row(answers: Mapping[Unit, Answer], name: str) -> Row:
    seeds = {
        side: {seed for known, by, seed in answers if (known, by) == (name, side)}
        for side in ("search", "person", "random")
    }
    shared = {side: sorted(seeds["search"] & seeds[side]) for side in ("person", "random")}
    accuracy = {
        side: float(np.mean([answers[name, side, seed].right.mean() for seed in there]))
        for side, there in seeds.items()
        if there
    }
    against = {
        side: difference(_right(answers, name, "search", there), _right(answers, name, side, there))
        for side, there in shared.items()
        if len(there) > 1
    }
    return Row(name, len(seeds["search"]), accuracy, against.get("person"), against.get("random"))


def _right(answers: Mapping[Unit, Answer], name: str, side: str, seeds: Sequence[int]) -> NDArray[np.float64]:
    """[seeds, items]."""
    return np.stack([answers[name, side, seed].right for seed in seeds])


def _points(value: float) -> str:
    return f"{100 * value:+.2f}".replace("-", MINUS)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def interval(found: Difference | None) -> str:
    if found is None:
        return ""
    low, high = found.interval
    return f"{_points(found.mean)} [{_points(low)}, {_points(high)}]"


def _markdown(table: Sequence[Sequence[str]]) -> list[str]:
    written = [f"| {' | '.join(row)} |" for row in table]
    return [written[0], "|" + "---|" * len(table[0]), *written[1:]]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
