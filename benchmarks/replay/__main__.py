"""Compares searchers on a recorded table, without training.

    OMP_NUM_THREADS=1 python -m benchmarks.replay --table benchmarks/replay/table/digits.parquet [--seeds 20]

Prints what each searcher spends, in runs to the top rung and in seconds, until the pipeline that it would pick is
within a standard deviation of the noise of the best one; what its pick is worth after so many runs' worth of budget;
autokd with 25 beside random search with 100; and how many times sooner autokd is where TPE and a pruner are. Noise is
that of the better half of the pipelines. Intervals are 95 % bootstrap intervals over searches. `--variants` compares
autokd with itself instead. Several minutes of one core; see benchmarks/replay/README.md.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import machine
from benchmarks.replay.searchers import SEARCHERS, VARIANTS, run
from benchmarks.replay.table import CLOSE, Point, Table, difference, interval, reached, worth

RANDOM_SEEDS = 200
BUDGETS = {"random": 100.0, "Optuna TPE": 100.0}
BUDGET = 35.0
"""Of the others, in runs to the top rung."""
OURS, THEIRS = 25, 100
"""autokd with so much of a budget beside random search with so much."""
PRUNERS = ("Optuna TPE + SHA pruner", "Optuna TPE + SHA pruner, recipes")
Runs = list[list[Point]]


def main() -> None:
    """Replay every searcher and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20, help="searches of each searcher; random has 200")
    parser.add_argument("--variants", action="store_true", help="compare autokd with variants of itself")
    parser.add_argument("--only", nargs="+", choices=[*SEARCHERS, *VARIANTS])
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    table = Table.read(asked.table)
    print(f"{machine()}\n\n{described(table, asked.table.stem)}\n")
    found: dict[str, Runs] = {}
    with ProcessPoolExecutor(asked.processes) as pool:
        for name in asked.only or (VARIANTS if asked.variants else SEARCHERS):
            seeds = range(RANDOM_SEEDS if name == "random" else asked.seeds)
            found[name] = list(pool.map(functools.partial(points, table, name), seeds))
    print(spent(found, table.target), worths(found, table), sep="\n\n")
    if {"random", "autokd"} <= set(found):
        print("\n" + with_less(found, table))
    for pruner in PRUNERS:
        if {pruner, "autokd"} <= set(found):
            print("\n" + sooner(found, pruner))


def points(table: Table, name: str, seed: int) -> list[Point]:
    """Return one replayed search, rung by rung."""
    searcher = {**SEARCHERS, **VARIANTS}[name]
    return run(searcher, table, seed, BUDGETS.get(name, BUDGET)).points


def described(table: Table, name: str) -> str:
    """Say what a table holds."""
    top = table.seconds[:, :, -1]
    near = int((table.truth >= table.target).sum())
    return (
        f"{name}: {len(table.truth)} pipelines, {table.score.shape[1]} seeds, rungs of {table.epochs} epochs; "
        f"{np.nanmean(top):.2f} s a run to the top rung (at most {np.nanmax(top):.2f}), {np.nansum(top) / 60:.0f} min "
        f"in all. Best {100 * table.truth.max():.2f} %, median {100 * np.median(table.truth):.2f} %, noise "
        f"{100 * table.noise:.2f} points; {near} pipelines are within {CLOSE} of it."
    )


def spent(found: Mapping[str, Runs], target: float) -> str:
    """Return the table of what is spent until the pick is near the best."""
    rows = ["| searcher | searches | reached | runs' worth, median | seconds, median |", "|---|---|---|---|---|"]
    for name, runs in found.items():
        cells = [_median([reached(points, target, by) for points in runs]) for by in ("tops", "seconds")]
        share = np.mean([np.isfinite(reached(points, target, "tops")) for points in runs])
        rows.append(f"| {name} | {len(runs)} | {100 * share:.0f} % | {cells[0]} | {cells[1]} |")
    return "\n".join(rows)


def _median(values: Sequence[float]) -> str:
    low, high = interval([min(value, 1e9) for value in values], _middle)
    texts = [f"{value:.1f}" if value < 1e9 else "never" for value in (min(_middle(values), 1e9), low, high)]
    return f"{texts[0]} ({texts[1]} to {texts[2]})"


def _middle(values: Any) -> float:
    """The upper median: a time that half of the searches have reached."""
    return float(np.sort(values)[len(values) // 2])


def worths(found: Mapping[str, Runs], table: Table) -> str:
    """Return the table of what the picks are worth, as how far they lie below the best, in noise deviations."""
    marks = (5, 10, 25, 35, 100)
    rows = [f"| below the best, in noise deviations, after | {' | '.join(f'{mark} runs' for mark in marks)} |"]
    rows.append("|---|" + "---|" * len(marks))
    for name, runs in found.items():
        cells = []
        for mark in marks:
            below = [(table.truth.max() - worth(points, mark)) / table.noise for points in runs]
            low, high = interval(below)
            kept = mark <= BUDGETS.get(name, BUDGET)
            cells.append(f"{np.mean(below):.2f} ({low:.2f} to {high:.2f})" if kept else "")
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def with_less(found: Mapping[str, Runs], table: Table) -> str:
    """Say how far autokd's picks lie above those of random search with four times the budget."""
    ours = np.array([worth(points, OURS) for points in found["autokd"]]) / table.noise
    theirs = np.array([worth(points, THEIRS) for points in found["random"]]) / table.noise
    low, high = difference(ours, theirs)
    return (
        f"autokd after {OURS} runs' worth less random search after {THEIRS}, in noise deviations: "
        f"{ours.mean() - theirs.mean():+.2f} ({low:+.2f} to {high:+.2f})"
    )


def sooner(found: Mapping[str, Runs], pruner: str) -> str:
    """Say how many times sooner autokd is, at the quality that a pruner's mean has after some runs' worth."""
    lines = []
    for mark in (10, 25, 35):
        ratio, low, high = speed(found["autokd"], found[pruner], mark)
        lines.append(f"- at its mean quality after {mark} runs' worth: {ratio:.2f} ({low:.2f} to {high:.2f})")
    return f"Times sooner than {pruner}, in seconds:\n" + "\n".join(lines)


def speed(ours: Runs, theirs: Runs, mark: float) -> tuple[float, float, float]:
    """How many times fewer seconds ours needs for the mean quality that theirs has at a mark, and its interval."""
    grid = np.linspace(0.0, max(p.seconds for points in theirs for p in points if p.tops <= mark), 1500)
    a, b = (np.array([_sampled(points, grid) for points in runs]) for runs in (ours, theirs))
    final = np.array([worth(points, mark) for points in theirs])

    def ratio(i: Any, j: Any) -> float:
        quality = final[j].mean() - 1e-12
        mine, others = _first(grid, a[i].mean(0), quality), _first(grid, b[j].mean(0), quality)
        return float(min(others, grid[-1]) / mine)

    rng, ratios = np.random.default_rng(0), [ratio(np.arange(len(a)), np.arange(len(b)))]
    for _ in range(1000):
        ratios.append(ratio(rng.integers(0, len(a), len(a)), rng.integers(0, len(b), len(b))))
    low, high = (float(q) for q in np.percentile(ratios[1:], [2.5, 97.5]))
    return ratios[0], low, high


def _sampled(points: Sequence[Point], grid: Any) -> Any:
    """What a pick is worth at each time of a grid."""
    times = np.array([p.seconds for p in points])
    at = np.searchsorted(times, grid, side="right")
    return np.array([0.0, *(p.truth for p in points)])[at]


def _first(grid: Any, mean: Any, quality: float) -> float:
    """The first time from when on a mean curve is good enough; infinity where it never is."""
    enough = np.flatnonzero(mean >= quality)
    return float(grid[enough[0]]) if len(enough) else float("inf")


if __name__ == "__main__":
    main()
