"""What the score at a rung says of the full length, for three ways to train and score.

    OMP_NUM_THREADS=1 python -m benchmarks.replay.rungs --dataset digits

Kendall's tau, over pipelines, between the score at a rung in one run (seed 0) and the mean full-length score of the
other seeds at a cosine schedule, with the CPU seconds that a run takes to that score: a cosine over the whole horizon
scored as it is, or as an average of its weights; and, where they were recorded, runs at a constant rate with a short
branch at each rung in which the rate falls. All on the same pipelines; then among those in the better half. Intervals
are 95 % bootstrap intervals over pipelines; differences are paired.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from benchmarks.common import machine
from benchmarks.replay.record import TABLE
from benchmarks.replay.table import Floats, Table, interval


def main() -> None:
    """Print the table of a dataset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--table", type=Path, default=TABLE, help="folder of the tables")
    asked = parser.parse_args()
    print(f"{machine()}; {asked.dataset}\n\n{compared(asked.table, asked.dataset)}")


def compared(folder: Path, dataset: str) -> str:
    """Return the rank correlations as Markdown."""
    whole = Table.read(folder / f"{dataset}.parquet")
    ways = {
        "cosine, as it is": (whole.score[:, 0], whole.seconds[:, 0]),
        "cosine, average of weights": averaged(folder / f"{dataset}.parquet"),
    }
    target = np.nan_to_num(whole.score[:, 1:, -1]).mean(1)
    tables = [_rows(ways, target, whole.epochs, np.arange(len(target)))]
    decaying = folder / f"{dataset}-decaying.parquet"
    if decaying.exists():
        found = Table.read(decaying)
        ways["constant, decaying branch"] = found.score[:, 0], found.seconds[:, 0]
        tables.append(_rows(ways, target, whole.epochs, np.flatnonzero(np.isfinite(found.seconds[:, 0, 0]))))
    return "\n\n".join(tables)


def averaged(path: Path) -> tuple[Floats, Floats]:
    """Return the scores of the average of weights, and the seconds with those of averaging."""
    plain, extra = Table.read(path), Table.read(path, column="average_seconds")
    return Table.read(path, column="average").score[:, 0], plain.seconds[:, 0] + extra.score[:, 0]


def _rows(ways: Mapping[str, tuple[Floats, Floats]], target: Floats, epochs: tuple[int, ...], kept: Floats) -> str:
    half = kept[target[kept] >= np.median(target[kept])]
    rows = [
        f"| {len(kept)} pipelines: way, epochs | seconds | tau, all | tau, better half | against the first way |",
        "|---|---|---|---|---|",
    ]
    for rung, trained in enumerate(epochs):
        first = np.nan_to_num(ways["cosine, as it is"][0][:, rung])
        for name, (score, seconds) in ways.items():
            score = np.nan_to_num(score[:, rung])
            cells = [_tau(score, target, rows_kept) for rows_kept in (kept, half)]
            gain = "" if name == "cosine, as it is" else _tau(score, target, kept, first)
            cost = float(np.nanmean(seconds[kept, rung]))
            rows.append(f"| {name}, {trained} | {cost:.2f} | {cells[0]} | {cells[1]} | {gain} |")
    return "\n".join(rows)


def _tau(score: Floats, target: Floats, kept: Floats, other: Floats | None = None) -> str:
    """Kendall's tau of a score, or by how much it is above another one's, with its interval."""

    def statistic(rows: Floats) -> float:
        found = kendalltau(score[rows], target[rows]).statistic
        return float(found if other is None else found - kendalltau(other[rows], target[rows]).statistic)

    low, high = interval(kept, statistic, resamples=500)
    sign = "+" if other is not None else ""
    return f"{statistic(kept):{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


if __name__ == "__main__":
    main()
