"""What the score at a rung says of the full length, for four ways to train and score.

    OMP_NUM_THREADS=1 python -m benchmarks.replay.rungs --dataset digits

Kendall's tau, over pipelines, between the score at a rung in one run (seed 0) and the mean full-length score of the
other seeds at a cosine schedule, with the CPU seconds that a run takes to that score: a cosine over the whole horizon
scored as it is, or as an average of its weights; and, where they were recorded, runs at a constant rate with a short
branch at each rung in which the rate falls. All on the same pipelines; then among those in the better half. Intervals
are 95 % bootstrap intervals over pipelines; differences are paired.

Where they were recorded, a second table has the cosine with a side branch at each rung below the top, in which the rate
falls to 0, beside the cosine scored as it is: at the same epochs, and after so many more epochs that both take as many
seconds, the branches at the rungs before included. Between two epochs tau is interpolated. Tau is the mean over the
recorded seeds, each against the others at full length. A third one says what that is worth to a search: successive
halving (eta 3) of pipelines in random order, on the scores of one seed; what the pick is worth on the other seeds after
as many seconds as so many runs to the top rung take.

`--write 0.25` also writes the table that the searchers of `benchmarks.replay` can be run on as if they were told the
scores of branches of that length: `digits-branch-0.25.parquet`, its seconds with those of the branches. They need more
than one seed, so `benchmarks.replay.record --branches 900` comes before it; 300 of these runs are kept.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from benchmarks.common import machine
from benchmarks.replay.crossing import ALL, Names
from benchmarks.replay.record import TABLE
from benchmarks.replay.table import INDEX, Floats, Table, interval

Rows = NDArray[np.signedinteger[Any]]
"""Indices of pipelines."""
TOPS = (5, 10, 20, 40)
SEARCHES = 300
ETA = 3


def main() -> None:
    """Print the table of a dataset."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--table", type=Path, default=TABLE, help="folder of the tables")
    parser.add_argument("--write", metavar="SHARE", help="also write the replay's table for branches of this length")
    asked = parser.parse_args()
    print(f"{machine()}; {asked.dataset}\n\n{compared(asked.table, asked.dataset)}")
    if asked.write:
        told = told_branches(asked.table, asked.dataset, asked.write)
        told.to_parquet(asked.table / f"{asked.dataset}-branch-{asked.write}.parquet", index=False)


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
        decayed = Table.read(decaying)
        ways["constant, decaying branch"] = decayed.score[:, 0], decayed.seconds[:, 0]
        tables.append(_rows(ways, target, whole.epochs, np.flatnonzero(np.isfinite(decayed.seconds[:, 0, 0]))))
    branches = folder / f"{dataset}-branches.parquet"
    if branches.exists():
        found = Branches.read(branches)
        tables += [branched(found, whole), halved(found, whole)]
    return "\n\n".join(tables)


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Recorded runs with side branches at the rungs below the top.

    Args:
      shares: lengths of the branches, as shares of the epochs before them.
      kept: [kept] indices of the pipelines all of whose recorded seeds trained.
      seeds: that are recorded.
      score: [pipeline, seed, epoch] of the run itself; NaN where it is not recorded.
      seconds: [epoch] mean CPU seconds of training from a run's start.
      branch_score: [share, pipeline, seed, epoch]; NaN where there is no branch.
      branch_seconds: [share, epoch] mean CPU seconds of a branch.
    """

    shares: tuple[str, ...]
    kept: Rows
    seeds: int
    score: Floats
    seconds: Floats
    branch_score: Floats
    branch_seconds: Floats

    @classmethod
    def read(cls, path: Path) -> Branches:
        """Read a table of `benchmarks.replay.record --branches`; a seed counts where all pipelines have it."""
        frame = pd.read_parquet(path)
        frame["pipeline"] = [INDEX[Names(*row)] for row in frame[list(Names._fields)].itertuples(index=False)]
        most = frame.groupby("seed")["pipeline"].nunique()
        seeds = max(1, int((most == len(ALL)).sum()))
        epochs = int(frame["epochs"].max())
        where = pd.MultiIndex.from_product([range(len(ALL)), range(seeds), range(1, epochs + 1)])
        indexed = frame.set_index(["pipeline", "seed", "epochs"]).reindex(where)
        shares = tuple(name.removeprefix("score_") for name in frame.columns if name.startswith("score_"))

        def cube(column: str) -> Floats:
            return indexed[column].to_numpy(float).reshape(len(ALL), seeds, epochs)

        score, branch_seconds = cube("score"), np.stack([cube(f"seconds_{share}") for share in shares])
        return cls(
            shares=shares,
            kept=np.flatnonzero(np.isfinite(score).all((1, 2))),
            seeds=seeds,
            score=score,
            seconds=np.nanmean(cube("seconds"), (0, 1)),
            branch_score=np.stack([cube(f"score_{share}") for share in shares]),
            branch_seconds=np.nan_to_num(branch_seconds).sum((1, 2)) / np.isfinite(score[:, :, 0]).sum(),
        )


def branched(found: Branches, whole: Table) -> str:
    """Return tau of the branches' scores beside that of the run's own, at equal epochs and at equal seconds."""
    truth = np.nan_to_num(whole.score[:, :, -1])
    targets = np.stack([np.delete(truth, seed, 1).mean(1) for seed in range(found.seeds)], 1)
    half = found.kept[truth[found.kept].mean(1) >= np.median(truth[found.kept].mean(1))]
    rows = [
        f"| {len(found.kept)} pipelines, {found.seeds} seed(s): branch, epochs | seconds | epochs at equal seconds "
        "| tau, all | gain at equal epochs | at equal seconds | tau, better half | gain at equal seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lengths = np.arange(1, len(found.seconds) + 1)
    for rung in whole.epochs[:-1]:
        for index, share in enumerate(found.shares):
            seconds = found.seconds[rung - 1] + found.branch_seconds[index, :rung].sum()
            equal = float(np.interp(seconds, found.seconds, lengths))
            scores = found.branch_score[index, :, :, rung - 1]

            def tau(rows: Rows, scores: Floats = scores) -> float:
                pairs = zip(scores[rows].T, targets[rows].T, strict=True)
                return float(np.mean([kendalltau(score, target).statistic for score, target in pairs]))

            def gain(rows: Rows, epochs: float, tau: Callable[..., float] = tau) -> float:
                low, share = int(epochs), epochs - int(epochs)
                below = tau(rows, found.score[:, :, low - 1])
                above = tau(rows, found.score[:, :, low]) if share else below
                return tau(rows) - (1 - share) * below - share * above

            cells = [
                _cell(tau, found.kept, ""),
                _cell(functools.partial(gain, epochs=rung), found.kept, "+"),
                _cell(functools.partial(gain, epochs=equal), found.kept, "+"),
                _cell(tau, half, ""),
                _cell(functools.partial(gain, epochs=equal), half, "+"),
            ]
            rows.append(f"| {share}, {rung} | {seconds:.3f} | {equal:.2f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def halved(found: Branches, whole: Table) -> str:
    """Return what successive halving picks in so many seconds, by what it is told at the rungs below the top."""
    kept, ends = found.kept, np.array(whole.epochs)
    top, truth = whole.score[kept, 0, -1], np.nan_to_num(whole.score[kept, 1:, -1]).mean(1)
    an_epoch = whole.seconds[kept, 0, -1] / ends[-1]
    budgets = [tops * float(an_epoch.mean()) * ends[-1] for tops in TOPS]
    below = {"0": found.score[kept, 0], **dict(zip(found.shares, found.branch_score[:, kept, 0], strict=True))}
    rows = [f"| branch | {' | '.join(f'{tops} runs, %' for tops in TOPS)} |", "|---|" + "---|" * len(TOPS)]
    for share, scores in below.items():
        told = np.column_stack([*(scores[:, rung - 1] for rung in ends[:-1]), top])
        epochs = np.diff(ends, prepend=0) + float(share) * np.append(ends[:-1], 0)
        picks = [_halving(told, epochs, an_epoch, np.random.default_rng(seed), budgets) for seed in range(SEARCHES)]
        worth = 100 * truth[np.array(picks)]
        cells = [
            f"{column.mean():.2f} ({low:.2f} to {high:.2f})" for column in worth.T for low, high in [interval(column)]
        ]
        rows.append(f"| {share} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _halving(
    told: Floats, epochs: Floats, an_epoch: Floats, rng: np.random.Generator, budgets: list[float]
) -> list[int]:
    """Search until each of the budgets is spent, and return what would be picked then.

    Args:
      told: [pipeline, rung] scores.
      epochs: [rung] that a rung takes after the one before.
      an_epoch: [pipeline] seconds.
    """
    waiting, spent, picks = iter(rng.permutation(len(told))), 0.0, list[int]()
    done: list[dict[int, float]] = [{} for _ in epochs]
    while len(picks) < len(budgets):
        rung, pipeline = _promotion(done) or (0, next(waiting, None))
        spent += np.inf if pipeline is None else epochs[rung] * an_epoch[pipeline]
        longest = next((scores for scores in reversed(done) if scores), {0: 0.0})
        pick = max(longest, key=lambda pipeline: longest[pipeline])
        picks += [pick for budget in budgets[len(picks) :] if spent > budget]
        if pipeline is not None:
            done[rung][pipeline] = told[pipeline, rung]
    return picks


def _promotion(done: list[dict[int, float]]) -> tuple[int, int] | None:
    """The highest rung that a pipeline may go on to, and that pipeline; None where none may.

    Args:
      done: scores by pipeline, a mapping a rung.
    """
    for rung in reversed(range(1, len(done))):
        scores = done[rung - 1]
        below = sorted(scores, key=lambda pipeline: -scores[pipeline])
        pipeline = next((p for p in below[: len(below) // ETA] if p not in done[rung]), None)
        if pipeline is not None:
            return rung, pipeline
    return None


def told_branches(folder: Path, dataset: str, share: str) -> pd.DataFrame:
    """Return the dataset's table with the scores of side branches below the top rung, and their seconds in all rungs.

    Only the seeds of which every pipeline's branches are recorded are in it.
    """
    whole = pd.read_parquet(folder / f"{dataset}.parquet").drop(columns=["average", "average_seconds"])
    keys = [*Names._fields, "seed", "epochs"]
    branches = pd.read_parquet(folder / f"{dataset}-branches.parquet")
    told = whole.merge(branches[[*keys, f"score_{share}", f"seconds_{share}"]], on=keys, how="left")
    seeds = told[told[f"score_{share}"].notna()].groupby("seed").size()
    told = told[told["seed"].isin(seeds.index[seeds == 2 * len(ALL)])].sort_values([*Names._fields, "seed", "rung"])
    told["score"] = told[f"score_{share}"].fillna(told["score"])
    extra = told.groupby([*Names._fields, "seed"])[f"seconds_{share}"].transform(lambda taken: taken.fillna(0).cumsum())
    told["seconds"] += extra
    return told.drop(columns=[f"score_{share}", f"seconds_{share}"])


def averaged(path: Path) -> tuple[Floats, Floats]:
    """Return the scores of the average of weights, and the seconds with those of averaging."""
    plain, extra = Table.read(path), Table.read(path, column="average_seconds")
    return Table.read(path, column="average").score[:, 0], plain.seconds[:, 0] + extra.score[:, 0]


def _rows(ways: Mapping[str, tuple[Floats, Floats]], target: Floats, epochs: tuple[int, ...], kept: Rows) -> str:
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


def _tau(score: Floats, target: Floats, kept: Rows, other: Floats | None = None) -> str:
    """Kendall's tau of a score, or by how much it is above another one's, with its interval."""

    def statistic(rows: Rows) -> float:
        found = kendalltau(score[rows], target[rows]).statistic
        return float(found if other is None else found - kendalltau(other[rows], target[rows]).statistic)

    return _cell(statistic, kept, "+" if other is not None else "")


def _cell(statistic: Callable[[Rows], float], kept: Rows, sign: str) -> str:
    """A statistic of the kept pipelines with its interval."""
    low, high = interval(kept, statistic, resamples=500)
    return f"{statistic(kept):{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


if __name__ == "__main__":
    main()
