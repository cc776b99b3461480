"""Where the gain comes from: the steps from the default recipe to the pick, what each adds, and what that says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from autokd.metrics import Metric
from autokd.report import words
from autokd.report.scales import Scale, of_metric
from autokd.study.ablation import SlotValue, slot_values
from autokd.study.ladder import (
    LOSSES,
    RECIPE,
    TEACHER,
    TEACHER_AND_LOSSES,
    Addition,
    Step,
    additions,
    all_together,
    ladder,
)

if TYPE_CHECKING:
    from autokd.study.store import StudyStore

FLATTERED = "* One run, the best of many: it flatters the search."
"""What the star at a value says."""
FROM = "Where the gain comes from"
PHRASES = {
    RECIPE: "the recipe",
    TEACHER: "the teacher",
    LOSSES: "the found losses",
    TEACHER_AND_LOSSES: "the teacher and the found losses",
}
"""What is added, inside a sentence."""
SENTENCES = {
    RECIPE: "the found recipe is worth",
    TEACHER: "plain KD on top of the {recipe} adds",
    LOSSES: "the found losses add to plain KD",
    TEACHER_AND_LOSSES: "the found losses add to the {recipe}",
}
"""What a sentence about it begins with."""


class Rung(NamedTuple):
    """A line of the ladder.

    Args:
      step: what was trained.
      adds: what it adds to the line that it is built on; None in the first line, and where that line is not there.
      kind: of arm that it looks like in pictures.
      shows: what its picture shows, in words.
    """

    step: Step
    adds: Addition | None
    kind: str
    shows: str


class Facts(NamedTuple):
    """What the section shows.

    Args:
      heading: the finding.
      sentence: what each part is worth, with intervals.
      rungs: the lines.
      scale: of their pictures.
      flattered: what the star at a value says; "" where there is none.
      swaps: (slot, what it is worth) of the slots of the pick that were swapped back, the most valuable first.
    """

    heading: str
    sentence: str
    rungs: list[Rung]
    scale: Scale
    flattered: str
    swaps: list[tuple[str, SlotValue]]


def found(study: StudyStore) -> Facts | None:
    """Return what the section shows; None with fewer than two steps, which say nothing."""
    metric = study.objective.metric
    steps = ladder(study.records, study.rung_epochs[-1], metric)
    if len(steps) < 2:
        return None
    adds, whole = additions(steps, metric), all_together(steps, metric)
    lines = [Rung(step, adds.get(step.name), step.name.partition("/")[2], _shows(step, metric)) for step in steps]
    return Facts(
        heading=heading(counted(adds), whole),
        sentence=_sentence(counted(adds), whole, metric),
        rungs=lines,
        scale=of_metric([end for step in steps for end in (*step.values, *(step.interval or ()))], metric),
        flattered=FLATTERED if any(step.flattered for step in steps) else "",
        swaps=_swaps(study),
    )


def heading(adds: Sequence[Addition], whole: Addition | None) -> str:
    """Return where the gain comes from, in one line.

    Args:
      adds: what the steps that count add, in order.
      whole: what all of them add together.
    """
    gains, costs = ([each for each in adds if each.told and each.gains is wanted] for wanted in (True, False))
    cost = f"; {_named(costs)} cost{'s' * (len(costs) == 1)} quality" if costs else ""
    if not any(each.interval for each in adds):
        return f"{FROM} cannot be said: these are single runs"
    if gains:
        return f"{FROM}: {_named(gains)}{_smaller(adds, gains)}{cost}"
    if whole is not None and whole.told and whole.gains:
        return f"{FROM}: all steps together, none of which can be told alone{cost}"
    return f"{FROM}: no step can be told from chance{cost}"


def _smaller(adds: Sequence[Addition], gains: Sequence[Addition]) -> str:
    """ ", not the teacher": what certainly adds less than each of the gains, and is not told from chance itself."""
    least = min(each.interval[0] for each in gains if each.interval)
    small = [each for each in adds if each.interval and each.interval[1] < least and not each.told]
    return f", not {_named(small)}" if small else ""


def _named(adds: Sequence[Addition]) -> str:
    return words.listed([PHRASES[each.what] for each in adds])


def counted(adds: Mapping[str, Addition]) -> list[Addition]:
    """Return what the steps of the found recipe add; of the default one where no found one was trained."""
    found = [each for name, each in adds.items() if name.startswith("found/")]
    return found or list(adds.values())


def _sentence(adds: Sequence[Addition], whole: Addition | None, metric: Metric) -> str:
    """What each part is worth, and all together where they are several."""
    parts = [_part(each, metric) for each in adds]
    if whole is not None and len(adds) > 1:
        parts.append(f"all together add {_size(whole, metric)}")
    return f"{words.capital('; '.join(parts))}." if parts else ""


def _part(each: Addition, metric: Metric) -> str:
    recipe = "found recipe" if each.to.name.startswith("found/") else "default recipe"
    return f"{SENTENCES[each.what].format(recipe=recipe)} {_size(each, metric)}"


def _size(each: Addition, metric: Metric) -> str:
    size = f"{worth(each.difference, metric)} {metric.difference_unit}".rstrip()
    if each.interval is None:
        return f"{size}, of which chance may be any part"
    between = f"[{', '.join(worth(end, metric) for end in each.interval)}]"
    return f"{size} {between}{'' if each.told else ', not told from chance'}"


def worth(difference: float, metric: Metric) -> str:
    """Return a difference of scores, above 0 where it is a gain, with its sign and without a unit."""
    return words.difference(difference, metric)


def _shows(step: Step, metric: Metric) -> str:
    runs = words.number_of(len(step.values), "run")
    between = "" if step.interval is None else f", 95 % interval {' to '.join(map(metric.number, step.interval))}"
    return f"{words.quality(step.mean, metric)}{between}, {runs}"


def _swaps(study: StudyStore) -> list[tuple[str, SlotValue]]:
    claim = study.records.claim
    values = {} if claim is None else slot_values(study.records, claim.round)
    return sorted(values.items(), key=lambda row: -row[1].difference)
