"""What past studies recommend, and what the first one was worth where it was trained."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from autokd.cli.console.output import Shown, document, indented
from autokd.delivery.recommended_files import FIRST, compared, difference
from autokd.report import words

if TYPE_CHECKING:
    from autokd.delivery.recommend import Recommendations
    from autokd.delivery.recommended_files import Trained
    from autokd.knowledge import StudyFacts
    from autokd.metrics import Metric
    from autokd.search.recommend import Recommendation, Recommended

ORDER = (
    "The first is what to use without a search. The others follow as a search would try them: each is what helps most "
    "where those before it do not."
)
NEAREST = 5
"""Past studies that are named."""


def recommended(found: Recommendations, *, as_json: bool) -> Shown:
    """Return what is recommended."""
    said = found.recommendation
    if as_json:
        return document(_plain(found))
    parts: list[Any] = [Text(_heading(said)), _table(said), Text(ORDER)]
    for place, each in enumerate(said.pipelines, start=1):
        parts.append(Text(f"{place}  {each.title}: {words.losses(each.pipeline)}"))
        parts += [indented(line) for line in _why(each)]
    parts += [Text("why"), *map(indented, _studies(said))]
    if said.unknown:
        parts += [Text("what is not known"), *map(indented, said.unknown)]
    if found.trained:
        parts += [Text(""), *map(Text, _trained(found.trained, said))]
    return Group(*parts, *map(Text, _next(found)))


def _plain(found: Recommendations) -> dict[str, Any]:
    said = found.recommendation
    return {
        "facts": said.facts.to_plain(),
        "knowledge": {"digest": said.base, "studies": said.known, "count": len(said.neighbours)},
        "epochs": said.epochs,
        "pipelines": [each._asdict() for each in said.pipelines],
        "past_studies": [{"weight": each.weight, "facts": each.facts.to_plain()} for each in said.neighbours],
        "unknown": list(said.unknown),
        "files": [str(path) for path in found.files],
        "trained": list(compared(found.trained, said.metric)),
    }


def _heading(said: Recommendation) -> str:
    near = len(said.neighbours)
    counted = f"{near} of {said.known} past studies are about this kind of input"
    return f"{told(said.facts)}: {counted}"


def told(facts: StudyFacts) -> str:
    """Return what a study was about in a few words."""
    shape = " × ".join(map(str, facts.input_shape))
    limit = f", at most {words.compact(facts.limits['params'])} parameters" if "params" in facts.limits else ""
    return (
        f"{facts.modality}, {shape} numbers a sample, {facts.train:,} training samples, {facts.classes} classes{limit}"
    )


def _table(said: Recommendation) -> Table:
    table = Table(title=None)
    for title in ("", "pipeline", "student", "parameters", "gain over KD by hand", "training"):
        table.add_column(title)
    for place, each in enumerate(said.pipelines, start=1):
        seconds = "not measured" if each.seconds is None else f"about {words.duration(each.seconds)}"
        student = words.student_in_words(each.pipeline)
        cells = (str(place), each.title, student, words.count(each.params), gained(each, said.metric), seconds)
        table.add_row(*map(Text, cells))
    return table


def gained(each: Recommended, metric: Metric) -> str:
    """Return the expected gain, with its interval."""
    if each.name == "kd":
        return "it is KD by hand"
    if each.gain is None:
        return "not known"
    return signed(each.gain, each.interval, metric)


def signed(gain: float, interval: tuple[float, float] | None, metric: Metric) -> str:
    """Return a difference of scores with its interval: "+1.2 [-0.3, 2.7] points"."""
    scale = 100.0 if metric.unit == "%" else 1.0
    unit = "points" if metric.unit == "%" else metric.unit
    within = "" if interval is None else f" [{scale * interval[0]:+.1f}, {scale * interval[1]:+.1f}]"
    return f"{scale * gain:+.1f}{within} {unit}".rstrip()


def _why(each: Recommended) -> Iterator[str]:
    if each.name != "kd" and each.studies:
        yield f"{each.studies} past studies tried it beside KD by hand; it was better in {each.better}"
    yield from each.unknown


def _studies(said: Recommendation) -> Iterator[str]:
    """The past studies that say the most."""
    if not said.neighbours:
        yield "no past study counts"
    for each in said.neighbours[:NEAREST]:
        yield f"{100 * each.weight:.0f} % of what is said: {told(each.facts)}"
    rest = said.neighbours[NEAREST:]
    if rest:
        yield f"{100 * sum(each.weight for each in rest):.0f} %: {len(rest)} more"


def _trained(trained: Sequence[Trained], said: Recommendation) -> Iterator[str]:
    """What each arm reached on validation, and how sure that is."""
    metric, arms = said.metric, {each.name: each for each in trained}
    for each in trained:
        took = words.duration(each.seconds)
        yield f"{each.title}: validation {metric.title} {metric.text(each.mean(metric))}, {took}"
    first = arms.get(FIRST)
    if first is None:
        yield "What is recommended is a recipe by hand, so there is no other to compare it with."
        return
    for name in (name for name in ("kd", "alone") if name in arms):
        mean, interval = difference(first, arms[name])
        yield f"recommended against {arms[name].title}: {signed(mean, interval, metric)}"
    seeds = len(first.scores)
    if seeds < 3:
        yield (
            f"{words.number_of(seeds, 'seed')} and validation alone: such a difference may be chance. --seeds 3 gives "
            "an interval, and autokd search a claim on test."
        )


def _next(found: Recommendations) -> Iterator[str]:
    if found.files:
        yield f"next: autokd train {shlex.quote(str(found.files[0]))}"
    else:
        yield "next: -o FOLDER writes a pipeline file for each, for autokd train"
