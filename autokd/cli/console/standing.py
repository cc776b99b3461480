"""Where a study stands, as lines of at most so many characters, or as one JSON document."""

from __future__ import annotations

import dataclasses
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from autokd.cli.console.output import document
from autokd.metrics import Metric
from autokd.report import words
from autokd.report.sections.recommendation.verdict import headline
from autokd.study.checks import MARKS, check, count
from autokd.study.ranking import ranked

if TYPE_CHECKING:
    from autokd.search.standing import ArmStanding, Flight, Standing
    from autokd.study.checks import Check
    from autokd.study.store import StudyStore

WIDTH = 80
"""Characters of a line."""
INDENT = 10
"""Characters of a line's heading."""
BAR = 14
"""Characters of a full bar."""
STEPS = "▁▂▃▄▅▆▇█"
"""Heights of a point of a small curve."""
POINTS = 40
"""Points of a small curve, at most."""
ROWS = 12
"""Trials that are listed, the best."""
KEYS = "q quit · l log · t trials · r write the report now"


def as_json(at: Standing, store: StudyStore) -> str:
    """Return all facts as one JSON document."""
    claim = store.records.claim
    plain = {field.name: getattr(at, field.name) for field in dataclasses.fields(at)}
    checks = _checks(at, store)
    counts = {severity: count(checks, severity) for severity in MARKS} if checks else None
    told = {"result": claim and headline(claim), "checks": counts}
    return document({**{key: _plain(value) for key, value in plain.items()}, **told})


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if hasattr(type(value), "_fields"):
        return value._asdict()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def lines(at: Standing, store: StudyStore, width: int = WIDTH) -> list[str]:
    """Return where a study stands, the most important first.

    Args:
      at: where it stands.
      store: the study.
      width: of a line; what is longer goes on below its heading.
    """
    metric = store.objective.metric
    named: list[tuple[str | None, str]] = [
        (None, _head(at)),
        (None, _writer(at)),
        *(("!", notice) for notice in at.notices),
        ("stages", _stages(at)),
        *_result(at, store),
        *_leader(at, store, metric),
        *([("rungs", _rungs(at))] if store.records.trials else []),
        *([("best", _curve(at.best, metric))] if len(at.best) > 1 else []),
        *([("now", " · ".join(map(_flight, at.under_way)))] if at.under_way else []),
        *_arms(at.arms, metric),
        *((("last" if place == 0 else ""), _event(*one)) for place, one in enumerate(at.last)),
    ]
    return [line for name, text in named if text for line in _wrapped(name, text, width)]


def _wrapped(name: str | None, text: str, width: int) -> list[str]:
    """A text beside its heading; one without any stands at the margin."""
    begin, below = ("", "  ") if name is None else (f"{name:<{INDENT}}", " " * INDENT)
    return textwrap.wrap(text, width, initial_indent=begin, subsequent_indent=below, break_on_hyphens=False)


def _head(at: Standing) -> str:
    parts = [at.study, at.stage or at.state, f"{at.explore.done} of {at.explore.total} trials"]
    parts.append(f"{words.duration(at.seconds)} so far" if at.state == "running" else words.duration(at.seconds))
    if at.left is not None:
        parts.append(f"about {words.duration(at.left)} left")
    if at.limit is not None:
        parts.append(f"time limit {words.duration(at.limit)}")
    return " · ".join(parts)


def _writer(at: Standing) -> str:
    """Who writes it and when the last event was; "" for a study that nobody writes."""
    if at.writer is None:
        return ""
    seen = {True: "alive", False: "gone", None: "on another machine"}[at.writer.alive]
    parts = [f"process {at.writer.pid} on {at.writer.host}: {seen}"]
    parts += [] if at.quiet is None else [f"last event {words.duration(at.quiet)} ago"]
    parts += [] if not at.workers else [words.number_of(at.workers, "worker")]
    return " · ".join(parts)


def _stages(at: Standing) -> str:
    """All stages, those that are over ticked, with the share of what is done where that is known."""
    place = at.stages.index(at.stage) if at.stage in at.stages else len(at.stages) if at.state == "finished" else None
    parts = []
    for number, name in enumerate(at.stages):
        parts.append(f"{name} ✓" if place is not None and number < place else f"{name}…" if number == place else name)
    whole, known = at.explore.total + at.confirm.total, at.explore.done + at.confirm.done
    return f"{' · '.join(parts)}  {_bar(known, whole)} {words.number_of(at.confirm.done, 'run')} of confirm"


def _bar(done: int, total: int) -> str:
    full = round(BAR * done / total) if total else 0
    return "█" * min(full, BAR) + "░" * (BAR - min(full, BAR))


def _result(at: Standing, store: StudyStore) -> Iterator[tuple[str, str]]:
    claim = store.records.claim
    if claim is not None:
        yield "result", headline(claim)
    checks = _checks(at, store)
    if checks:
        yield "checks", f"✕ {count(checks, 'stop')} ▲ {count(checks, 'warn')}; the report says which"


def _checks(at: Standing, store: StudyStore) -> list[Check]:
    """The checks of a study with a claim, once nobody works on it any more: they take longer than a look at it."""
    return check(store) if store.records.claim is not None and at.state != "running" else []


def _leader(at: Standing, store: StudyStore, metric: Metric) -> Iterator[tuple[str, str]]:
    if at.leader is None:
        return
    best = at.leader
    over = "" if best.over_kd is None else f", {_difference(best.over_kd, metric)} against plain KD by hand"
    spread = "" if best.noise is None else f"; seeds alone move it by {metric.apart(best.noise)}"
    yield "leader", words.brief(store.records.trials[best.trial].pipeline)
    yield (
        "",
        f"trial {best.trial}: {metric.text(best.value)} on validation after "
        f"{words.number_of(best.epochs, 'epoch')}{over} (the best of {best.of} flatters{spread})",
    )


def _difference(scores: float, metric: Metric) -> str:
    return f"{words.difference(metric.value(scores), metric)} {metric.difference_unit}".rstrip()


def _rungs(at: Standing) -> str:
    most = max((count for _, count in at.rungs), default=0) or 1
    bars = [f"{words.number_of(epochs, 'epoch')} {'▇' * round(8 * n / most)} {n}" for epochs, n in at.rungs]
    return "  ".join([*bars, f"failed {at.explore.failures}", f"refused by limits {at.refused}"])


def _curve(values: Sequence[float], metric: Metric) -> str:
    """A small curve: of more values than it has points, the last in each point."""
    points = [values[(place + 1) * len(values) // POINTS - 1] for place in range(POINTS)]
    points = list(values) if len(values) <= POINTS else points
    low, high = min(points), max(points)
    steps = [STEPS[round((len(STEPS) - 1) * (value - low) / ((high - low) or 1.0))] for value in points]
    return f"{metric.number(points[0])} {''.join(steps)} {metric.text(points[-1])}, after each rung"


def _flight(flight: Flight) -> str:
    took = "" if flight.seconds is None else f", {words.duration(flight.seconds)}"
    of = "" if flight.expected is None or not took else f" of about {words.duration(flight.expected)}"
    return f"trial {flight.trial}, {flight.begin} to {flight.end} epochs{took}{of}"


def _arms(arms: Sequence[ArmStanding], metric: Metric) -> Iterator[tuple[str, str]]:
    """One line an arm: its seeds, and their mean on validation."""
    for place, arm in enumerate(arms):
        of = "" if arm.wanted is None else f" of {arm.wanted}"
        text = f"{arm.arm}: {arm.seeds}{of} seeds, {metric.text(arm.validation)} on validation"
        yield arm.stage if place == 0 else "", text


def _event(when: float, text: str) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(when))} {text}"


def best_trials(store: StudyStore, most: int = ROWS) -> list[str]:
    """Return a line a trial, best first, in the order of the report; failed ones last.

    Args:
      store: the study.
      most: lines.
    """
    metric, trials = store.objective.metric, store.records.trials.values()
    found = [
        f"{trial.number:>4}  {metric.text(metric.value(trial.rungs[-1].score)):>8} after {trial.rungs[-1].epochs:>3} ep"
        f"  {words.brief(trial.pipeline)}"
        for trial in ranked(trials)
    ]
    found += [f"{trial.number:>4}  failed, {trial.why_failed}" for trial in trials if trial.failure is not None]
    more = [f"… and {len(found) - most} more: autokd trials"] if len(found) > most else []
    return [*found[:most], *more] or ["no trials yet"]
