"""What a user asks of a search, and what the search tells back while it runs. Nothing heavy is imported here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from autokd.metrics import METRICS
from autokd.options import (
    Advising,
    Comparison,
    Components,
    DataOptions,
    Execution,
    Knowledge,
    Length,
    Limits,
    Naming,
    Option,
    Past,
    Place,
    Subject,
)


@dataclass(frozen=True, kw_only=True)
class Request(Subject, Length, Limits, Comparison, Past, Naming, Place, DataOptions, Components, Execution):
    """What the user asked of a search: all its options. None means: the space file's value, or the default."""


@dataclass(frozen=True, kw_only=True)
class Screening(Subject, Limits, Place, DataOptions, Components):
    """What the user asked of screening alone."""

    proxy: Annotated[
        list[str] | None,
        Option("A proxy that scores students, in place of those of the space; repeatable. See autokd list proxies."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class Recommending(Subject, Limits, Advising, Place, DataOptions, Components):
    """What the user asked to be recommended, without a search."""

    knowledge: Knowledge = None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands, for a progress display.

    Args:
      stage: "plan" (of the time), "given" (what a given teacher is), "past" (what past studies advise), "teacher",
        "bank" (the plan of it), "screen", "explore", "confirm" or "train"; "start" and "end" are what comes before and
        after the epochs of "train".
      done, total: of the stage's units (epochs, students, trials, runs).
      best: best validation value so far of the first objective, or None.
      metric: that it is of; see `autokd.metrics`.
      failures: failed trials so far.
      note: what is going on, in a few words.
      waiting: for another process.
      at_most: the total is the most that there may be; how many it comes to is found on the way.
      left: seconds that the rest of the stage takes, about; None: not known.
    """

    stage: str
    done: int
    total: int
    best: float | None = None
    metric: str = "accuracy"
    failures: int = 0
    note: str = ""
    waiting: bool = False
    at_most: bool = False
    left: float | None = None


Notify = Callable[[Progress], None]


def epoch_progress(line: Mapping[str, Any]) -> Progress:
    """Return where full training stands.

    Args:
      line: of the curve, with "epochs", their number, and "objective", the metric that its score is of.
    """
    metric, score = METRICS[line["objective"]], line.get("score")
    reached = "" if score is None else f", validation {metric.text(metric.value(score))}"
    return Progress(stage="train", done=line["epoch"], total=line["epochs"], note=f"loss {line['loss']:.3f}{reached}")


def starting(note: str) -> Progress:
    """Return that something is done before anything can be counted.

    Args:
      note: what, in a few words.
    """
    return Progress(stage="start", done=0, total=1, note=note)


def of_teacher(
    notify: Notify, note: str = "training a teacher"
) -> tuple[Callable[[int, int], None], Callable[[], None]]:
    """Return what tells how far the training of a teacher is, and that another process does it."""

    def tell(done: int, total: int) -> None:
        notify(Progress(stage="teacher", done=done, total=total, note=note))

    def wait() -> None:
        notify(Progress(stage="teacher", done=0, total=1, note="waiting for another process", waiting=True))

    return tell, wait
