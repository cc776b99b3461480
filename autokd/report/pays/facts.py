"""What pays where, in words: the same for the terminal, the page and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from autokd.knowledge.certainty import ENOUGH
from autokd.knowledge.choices import OTHER
from autokd.knowledge.pays import PIPELINES, Dependence, Effect, Findings, Scope
from autokd.knowledge.transfer import Transfer
from autokd.report import words
from autokd.report.printed import Grid, Printed
from autokd.study.means import Mean

VERDICTS = {
    "pays": "pays",
    "may pay": "may pay",
    "open": "nothing can be said",
    "may cost": "may cost",
    "costs": "costs",
}
"""A verdict, for people."""
LEGEND = (
    "rise in rank: within a study, in standard deviations, against what else stood in its place; intervals of 95 %. "
    "pays and costs hold for all questions of a table together (Holm); may: so many questions may give it by chance."
)
_SLOTS = {"losses": "loss", "augment": "augmentation"}

Names = Mapping[str, str]
"""What a foreign table calls its factors and their options: "x1" -> "mixup", "x1: c2" -> "yes"."""


class Line(NamedTuple):
    """An effect, for people.

    Args:
      effect: itself.
      what: was chosen, for instance "temperature of kd".
      option: that was chosen there.
      against: what it is compared with.
      rank, score: rises with intervals.
      verdict: in words.
    """

    effect: Effect
    what: str
    option: str
    against: str
    rank: str
    score: str
    verdict: str


def what(place: str, names: Names | None = None) -> str:
    """Return a place of pipelines, for people.

    >>> what("losses.kd.temperature"), what("batch_size")
    ('temperature of kd', 'batch size')
    """
    slot, _, rest = place.partition(".")
    if slot == OTHER:
        return (names or {}).get(rest, rest)
    use, _, field = rest.partition(".")
    name = field or _SLOTS.get(slot, slot)
    return f"{name} of {use}".replace("_", " ") if field else name.replace("_", " ")


def option(place: str, chosen: str, names: Names | None = None) -> str:
    """Return what was chosen in a place, for people."""
    slot, _, rest = place.partition(".")
    return (names or {}).get(f"{rest}: {chosen}", chosen) if slot == OTHER else chosen


def interval(mean: Mean, scale: float, digits: int) -> str:
    """Return a mean with its interval: "+0.39 [+0.24, +0.53]"."""
    middle, low, high = (f"{scale * value:+.{digits}f}".replace("-", "−") for value in mean)
    return f"{middle} [{low}, {high}]" if math.isfinite(mean.low) else f"{middle} [few data]"


def line(effect: Effect, names: Names | None = None) -> Line:
    """Return an effect, for people."""
    place = effect.choice.place
    return Line(
        effect,
        what(place, names),
        option(place, effect.choice.option, names),
        option(place, effect.against, names),
        interval(effect.rank, 1, 2),
        "–" if effect.score is None else interval(effect.score, 100, 1),
        VERDICTS[effect.verdict],
    )


def learnt(found: Transfer) -> str:
    """Return whether studies teach anything about others, a sentence."""
    if found.correlation is None:
        return (
            f"Nothing can be said of other tasks: that takes {ENOUGH} sources of data with {PIPELINES} different runs "
            f"each, and there are {found.sources}."
        )
    ordered = f"the runs of a task are ordered with a rank correlation of {interval(found.correlation, 1, 2)}"
    chance = f"shuffled scores reach it with a probability of {found.p:.2g}"
    if not found.learned:
        return f"Nothing was learnt: predicted from the other tasks, {ordered}; {chance}."
    first = f"The run that is predicted to be the best is at least as good as {words.percent(found.first)} of a task's."
    return f"Something was learnt: predicted from the other tasks, {ordered}; {chance}. {first}"


def key(names: Names) -> str:
    """Return what a base calls a foreign table's columns and their words: "x1 (mixup: c1 = FALSE, c2 = TRUE)"."""
    columns = [name for name in names if ": " not in name]
    parts = []
    for column in columns:
        found = {name.split(": ")[1]: cell for name, cell in names.items() if name.startswith(f"{column}: ")}
        cells = ", ".join(f"{word} = {cell}" for word, cell in found.items())
        parts.append(f"{column} ({names[column]}{': ' if cells else ''}{cells})")
    return "; ".join(parts)


def told(scope: Scope) -> list[Effect]:
    """Return the effects of which something can be said."""
    return [effect for effect in scope.effects if effect.verdict != "open"]


def asked(scope: Scope) -> int:
    """Return how many questions there were enough data for."""
    return sum(effect.sources >= ENOUGH for effect in scope.effects)


def heading(scope: Scope) -> str:
    """Return which data a scope is of: "kind of input: table (6 studies, 6 sources of data)"."""
    title = f"{scope.about}: {scope.title}" if scope.about else scope.title
    counted = words.number_of(scope.studies, "study").replace("studys", "studies")
    return f"{title} ({counted}, {words.number_of(scope.sources, 'source')} of data)"


def extent(found: Findings) -> str:
    """Return what was asked, a sentence."""
    if not found.studies:
        return f"Nothing can be said: no study has {PIPELINES} pipelines that were trained to the end."
    few = f"; {found.left_out} more have too few pipelines" if found.left_out else ""
    return (
        f"{words.count(found.pipelines)} pipelines of {found.studies} studies on {found.sources} sources of data{few}."
    )


def printed(found: Findings, names: Names | None = None) -> Iterator[Printed]:
    """Yield what the terminal shows: all that was asked of all data, and of the others what can be said."""
    yield extent(found)
    for scope in found.scopes:
        effects = told(scope) if scope.about else scope.effects
        if effects:
            yield _grid(scope, effects, names)
        if scope.about:
            silent = asked(scope) - len(effects)
            place = "" if effects else f"{heading(scope)}: "
            yield words.capital(f"{place}nothing can be said of {silent} of {asked(scope)} questions.")
    differ = [each for each in found.dependences if each.difference.tells()]
    if differ:
        yield _dependences(differ, names)
    if found.dependences:
        count = len(found.dependences)
        yield f"Of {count} differences between kinds of data, nothing can be said of {count - len(differ)}."


def _grid(scope: Scope, effects: Sequence[Effect], names: Names | None) -> Grid:
    rows = [_cells(line(effect, names)) for effect in effects]
    strong = [place for place, each in enumerate(effects) if each.verdict in ("pays", "costs")]
    columns = ["choice", "against", "rise in rank", "points", "sources", "verdict"]
    return Grid(heading(scope), columns, rows, left=["choice", "against", "verdict"], strong=strong)


def _cells(each: Line) -> list[str]:
    points = each.score.split(" ")[0]
    return [f"{each.what}: {each.option}", each.against, each.rank, points, str(each.effect.sources), each.verdict]


def _dependences(found: Sequence[Dependence], names: Names | None) -> Grid:
    rows = [
        [
            f"{what(each.choice.place, names)}: {option(*each.choice, names)}",
            f"{each.high} less {each.low}",
            interval(each.difference, 1, 2),
            "differs" if each.p <= 0.05 else "may differ",
        ]
        for each in found
    ]
    texts = ["choice", "data", "verdict"]
    strong = [place for place, each in enumerate(found) if each.p <= 0.05]
    columns = [*texts[:2], "difference in rank", "verdict"]
    return Grid("Where it depends on the data", columns, rows, left=texts, strong=strong)


def document(found: Findings, names: Names | None = None) -> dict[str, Any]:
    """Return all that was found, as plain data; a rise of the score is a share."""
    counted = {key: getattr(found, key) for key in ("studies", "sources", "pipelines", "left_out")}
    return {
        **counted,
        "scopes": [
            {**scope._asdict(), "effects": [_plain(line(effect, names)) for effect in scope.effects]}
            for scope in found.scopes
        ],
        "dependences": [_plain_dependence(each, names) for each in found.dependences],
    }


def _plain(each: Line) -> dict[str, Any]:
    effect = each.effect
    return {
        "place": effect.choice.place,
        "what": each.what,
        "option": each.option,
        "against": each.against,
        "rank": effect.rank._asdict(),
        "score": None if effect.score is None else effect.score._asdict(),
        "p": effect.p,
        "studies": effect.studies,
        "sources": effect.sources,
        "verdict": each.verdict,
    }


def _plain_dependence(each: Dependence, names: Names | None) -> dict[str, Any]:
    chosen = each.choice
    named = {"place": chosen.place, "what": what(chosen.place, names), "option": option(*chosen, names)}
    named["against"] = option(chosen.place, each.against, names)
    rest = {key: value for key, value in each._asdict().items() if key not in ("choice", "against", "difference")}
    return {**named, **rest, "difference": each.difference._asdict()}
