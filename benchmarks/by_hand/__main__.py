"""The search beside a person who knows the field, and beside random draws, on eight sets at equal seconds.

    python -m benchmarks.by_hand --data DIR --plan              the full length of each set, recorded once
    python -m benchmarks.by_hand --data DIR --label before      run what is missing, then report
    python -m benchmarks.by_hand --report [--label before] [--markdown]

Three sides have the same seconds on each set (images 3 minutes, tables 1), one thread each and the same teacher, which
was trained before. *search*: what the search recommends. *person*: every known recipe with and without crop and flip,
the best on validation. *random*: random draws of the search's space, the best on validation. Runs of the person and of
random draws are as long as the top rung that the search's plan fixes for the set. Each recommended pipeline is then
trained on three fresh seeds at that length, and only then is test read.

`--clock cpu` (the default) counts the CPU seconds of the side's process, so that other work on the machine decides
nothing; on an idle machine both clocks agree. `DIR` holds the original files, a folder a source: fashion_mnist,
cifar100, adult, letter, telco_churn, ucr; a set whose files are missing is skipped. What was run is kept in
`benchmarks/by_hand/records` as it comes and is not run again; the runs of the person and of random draws count beside
every label.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from autokd.recipes.records import RunRow, append_row
from benchmarks.by_hand import answers, bench, raw, report
from benchmarks.by_hand.sets import SETS
from benchmarks.by_hand.worker import Task


def main() -> int:
    """Plan, run what is missing, or report; return 1 where a task failed."""
    asked = _parser().parse_args()
    sets = asked.sets or [name for name, each in SETS.items() if asked.half in (None, each.half)]
    failed = 0
    if not asked.report:
        if asked.data is None:
            raise SystemExit("say with --data where the original files are")
        there = _prepared(sets, asked.data)
        if asked.plan:
            return max((_plan(name, asked) for name in there), default=0)
        failed = run_missing(tasks(asked, there), asked.jobs, asked.records)
    found = report.rows(answers.of_label(answers.read(asked.records), asked.label), sets)
    print(report.as_text(found, markdown=asked.markdown))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the original files")
    parser.add_argument("--plan", action="store_true", help="plan the sets again and record it")
    parser.add_argument("--report", action="store_true", help="run nothing")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--label", default="after", help="of autokd's version")
    parser.add_argument("--sets", nargs="+", choices=list(SETS))
    parser.add_argument("--half", choices=("dev", "held-out"))
    parser.add_argument("--sides", nargs="+", choices=answers.SIDES, default=list(answers.SIDES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time, of one thread each")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="cpu")
    parser.add_argument("--seconds", type=float, help="in place of each set's; for a quick look")
    parser.add_argument("--records", type=Path, default=answers.RECORDS, help="folder of the records")
    return parser


def tasks(asked: argparse.Namespace, sets: Sequence[str]) -> list[Task]:
    """Return what is asked for and not recorded yet, seed by seed, so that a part of it is a part of every set."""
    there = answers.of_label(answers.read(asked.records), asked.label)
    return [
        Task(
            set=name,
            side=side,
            seed=seed,
            label=asked.label,
            data=str(asked.data),
            records=str(asked.records),
            clock=asked.clock,
            seconds=asked.seconds,
        )
        for seed in asked.seeds
        for name in sets
        for side in asked.sides
        if (name, side, seed) not in there
    ]


def run_missing(wanted: Sequence[Task], jobs: int, records: Path) -> int:
    """Run tasks in processes of their own, and record each as it ends; return how many failed."""
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(_run, task): task for task in wanted}
        for future in as_completed(running):
            task, lines = running[future], future.result()
            if lines is None:
                failed += 1
                continue
            record(lines, task, records)
            answer = answers.from_json(lines[-1])
            test = ", ".join(f"{100 * run.test:.2f}" for run in answer.tested)
            print(
                f"{task.set} {task.side} seed {task.seed}: {test} ({answer.recipe or ''}, {answer.runs} runs)",
                flush=True,
            )
    return failed


def record(lines: Sequence[str], task: Task, records: Path) -> None:
    """Append what a task wrote to the records; the answer last, since what has one is not run again."""
    name = answers.file_name(task.side, task.label)
    for line in lines[:-1]:
        append_row(records / name, RunRow(**json.loads(line)))
    answers.append(records, name, lines[-1])


def _plan(name: str, asked: argparse.Namespace) -> int:
    """Plan a set in a process of its own, and record that; return how the process ended."""
    command = [sys.executable, "-m", "benchmarks.by_hand.plan_worker", name, str(asked.data), asked.clock]
    return subprocess.run(command, env=_one_thread(), check=False).returncode


def _one_thread() -> dict[str, str]:
    """The environment of a process that computes on one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _run(task: Task) -> list[str] | None:
    """Run a task; return the lines that it wrote, or None where it failed, whose last words are printed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.jsonl"
        command = [sys.executable, "-m", "benchmarks.by_hand.worker", json.dumps(dataclasses.asdict(task)), str(out)]
        ended = subprocess.run(command, env=_one_thread(), capture_output=True, text=True, check=False)
        if ended.returncode == 0:
            return out.read_text(encoding="utf-8").splitlines()
    print(f"{task.set} {task.side} seed {task.seed} FAILED:\n{ended.stderr[-3000:]}", file=sys.stderr, flush=True)
    return None


def _prepared(sets: Iterable[str], data: Path) -> list[str]:
    """The sets whose files are there, prepared, with their teachers trained; why the others are skipped is printed."""
    there = []
    for name in sets:
        try:
            raw.prepared(name, data)
        except raw.Missing as missing:
            print(f"{name} is skipped: {missing}", file=sys.stderr)
            continue
        bench.make_teacher(name, data)
        there.append(name)
    return there


if __name__ == "__main__":
    sys.exit(main())
