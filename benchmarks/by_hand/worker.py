"""One side on one set with one seed, in a process of its own with one thread.

    python -m benchmarks.by_hand.worker TASK OUT

`TASK` is a `Task` as JSON; what comes of it is written to the file `OUT`, a record a line, the answer last.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.by_hand import clock

if TYPE_CHECKING:
    from autokd.recipes.records import RunRow
    from benchmarks.by_hand.answers import Answer


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a worker is to do.

    Args:
      set, side, seed, label: the answer that is wanted.
      data: folder of the original files.
      records: folder of the records so far.
      clock: whose seconds count.
      seconds: in place of the set's; for a quick look.
    """

    set: str
    side: str
    seed: int
    label: str
    data: str
    records: str
    clock: clock.Clock
    seconds: float | None = None


class Done(NamedTuple):
    """What came of a task.

    Args:
      rows: a record of every run.
      answer: what is recommended.
    """

    rows: list[RunRow]
    answer: Answer


def run(task: Task) -> Done:
    """Let the side find its pipeline, then test that."""
    import torch

    from benchmarks.by_hand import answers, draws, fresh, person, searching
    from benchmarks.by_hand.bench import bench, full_length, own_cache

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, own_cache(Path(folder)):
        made = bench(task.set, Path(task.data), full_length(task.set), task.seed)
        if task.seconds is not None:
            made = dataclasses.replace(made, wanted=dataclasses.replace(made.wanted, seconds=task.seconds))
        side = {"person": person.tune, "random": draws.draw, "search": searching.search}[task.side]
        found = side(made, task.seed)
        known = answers.read(Path(task.records))
        tested = fresh.fresh_runs(made, found.candidate, task.seed, known)
    answer = answers.Answer(
        set=task.set,
        side=task.side,
        label=answers.label_of(task.side, task.label),
        seed=task.seed,
        recipe=found.candidate.recipe,
        pipeline=found.candidate.pipeline,
        epochs=made.epochs,
        runs=len(found.rows),
        seconds=round(found.seconds, 1),
        tested=tuple(each.tested for each in tested),
        notes=found.notes,
    )
    rows = [
        made.row(
            task.side,
            found.candidate.pipeline,
            recipe=found.candidate.recipe,
            epochs=made.epochs,
            seed=each.tested.seed,
            validation=each.tested.validation,
            test=each.tested.test,
            seconds=round(each.seconds, 3),
        )
        for each in tested
        if each.seconds  # the others were recorded before
    ]
    return Done([*found.rows, *rows], answer)


def main() -> None:
    """Do the task and write what came of it."""
    task = Task(**json.loads(sys.argv[1]))
    clock.count(task.clock)
    done = run(task)
    lines = [json.dumps(dataclasses.asdict(row), allow_nan=False) for row in done.rows]
    Path(sys.argv[2]).write_text("\n".join([*lines, done.answer.to_json()]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
