"""How well scores without training order distilled students, beside parameters and multiply-accumulates.

    OMP_NUM_THREADS=1 python -m benchmarks.proxy_ranks --data-dir DIR [--repeats 2]

The students are those of `benchmarks.distilled_students`, with the same images and the same trained teacher, which
must be there (`--runs`, and the teacher's weights beside it). Each proxy scores each student under a few seeds, each
with a batch of 64 training images of its own, the same for all students; the mean counts (`few_steps` is asked once).
Scores are appended to a file (`--scores`) and not taken again. Proxies and their settings are
autokd's defaults; nothing is tuned on these students.

The table gives for each space: Kendall's tau-b with the mean test accuracy over seeds and its 95 % interval (bootstrap
over students); the difference to the better of parameters and multiply-accumulates, with the p of a paired bootstrap
corrected for the number of proxies (Holm); the tau of what is left once size is taken off both (in each resample); the
mean tau in three strata whose students, other ones, have the same number of parameters give or take 5 %; how far the
best of a proxy's top 5 stays behind the best student; and the tau between two of its seeds. The noise ceiling is the
tau between two seeds of the training.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats

from autokd import catalog
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.views import normalise, raw_view
from autokd.errors import ComponentError
from autokd.input_kind import takes
from autokd.networks.models import seeded
from autokd.seeds import generator
from autokd.spec import component_from_plain, make
from autokd.study.beyond_size import beyond_size
from autokd.types import BuildContext, ScreenInput
from benchmarks import common
from benchmarks.by_hand.figures import holm
from benchmarks.distilled_students import CPU, SPACES, taught
from benchmarks.losses import append, lines

BATCH, RESAMPLES, TOP, CHANCE = 64, 2_000, 5, 1 / 10
SIZES = ("params", "macs")
ONCE = (*SIZES, "depth", "path_params", "few_steps")
"""Proxies that are asked once: they do not depend on seed and batch, or are dear."""
Values = NDArray[np.float64]


class Scored(NamedTuple):
    """What a proxy says of the students of a space, more is better.

    Args:
      mean: over repeats, [n]; a number that is not finite counts as the worst.
      once: of each repeat, [repeats, n].
      seconds: a score.
    """

    mean: Values
    once: Values
    seconds: float


def main() -> None:
    """Score what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/distilled_students.jsonl"))
    parser.add_argument("--scores", type=Path, default=Path("benchmarks/proxy_ranks.jsonl"))
    parser.add_argument("--table", action="store_true", help="score nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    runs = lines(asked.runs)
    if not asked.table:
        score_missing(taught(asked.data_dir, asked.runs.with_suffix(".teacher.pt")), runs, asked)
    print(common.machine())
    for space in SPACES:
        own = [{"stratum": 0, **run} for run in runs if run["space"] == space]
        print(table(own, lines(asked.scores), space))


def score_missing(context: TrainContext, runs: Sequence[Mapping[str, Any]], asked: Any) -> None:
    """Append the scores that the file does not have."""
    done = {(line["space"], line["number"], line["proxy"], line["repeat"]) for line in lines(asked.scores)}
    students = {(run["space"], run["number"]): run["student"] for run in runs}
    made = usable(context)
    batches = [batch_of(context, repeat) for repeat in range(asked.repeats)]
    for repeat, (space, number) in itertools.product(range(asked.repeats), students):
        for name, proxy in made.items():
            if (space, number, name, repeat) not in done and not (repeat and name in ONCE):
                began = time.process_time()
                score = scored(proxy, context, students[space, number], batches, repeat)
                seconds = round(time.process_time() - began, 4)
                about = {"space": space, "number": number, "proxy": name, "repeat": repeat}
                append(asked.scores, {**about, "score": score, "seconds": seconds})
        print(f"repeat {repeat}, {space} {number}", flush=True)


def usable(context: TrainContext) -> dict[str, Callable[[ScreenInput], float]]:
    """Return all proxies but latency, which measures."""
    assert context.teacher is not None
    about = BuildContext(task=context.data.task, teacher=context.teacher.offers)
    names = (name for name in catalog.names("proxies") if name != "latency")
    loaded = {name: catalog.load("proxies", name) for name in names}
    modality = context.data.task.modality
    return {
        name: make("proxies", name, {}).build(about)
        for name, component in loaded.items()
        if takes(component.declares.modalities, modality)
    }


def batch_of(context: TrainContext, repeat: int) -> tuple[Any, torch.Tensor]:
    """Return a batch of normalised training images and its labels."""
    data = context.train_data
    index = torch.randperm(len(data.labels), generator=generator(0, "proxy ranks", repeat))[:BATCH]
    return normalise(data, raw_view(data, index).inputs), data.labels[index]


def scored(
    proxy: Callable[[ScreenInput], float],
    context: TrainContext,
    student: Mapping[str, Any],
    batches: Sequence[tuple[Any, torch.Tensor]],
    repeat: int,
) -> float | None:
    """Return a proxy's score of a plain student under a repeat; None where it cannot judge it or is not finite."""
    component, task = component_from_plain("students", student), context.data.task

    def build(seed: int) -> torch.nn.Module:
        with seeded(seed, CPU):
            return build_student(component, task, CPU)

    inputs, labels = batches[repeat]
    more = tuple(batch for place, batch in enumerate(batches) if place != repeat)
    try:
        screened = ScreenInput(
            build=build,
            task=task,
            inputs=inputs,
            labels=labels,
            teacher=context.teacher,
            seed=1000 + repeat,
            more=more,
        )
        value = proxy(screened)
    except ComponentError:
        return None
    return value if np.isfinite(value) else None


def gathered(scores: Sequence[Mapping[str, Any]], space: str, numbers: Sequence[int]) -> dict[str, Scored]:
    """Return the scores of a space by proxy."""
    frame = DataFrame([line for line in scores if line["space"] == space])
    found = {}
    for name, own in frame.groupby("proxy"):
        once = own.pivot_table(index="repeat", columns="number", values="score", dropna=False).reindex(
            columns=pandas.Index(numbers)
        )
        up = 1.0 if catalog.load("proxies", str(name)).declares.higher_is_better else -1.0
        values = up * once.to_numpy(dtype=float)
        values = np.where(np.isfinite(values), values, np.nanmin(values) - 1.0)
        found[str(name)] = Scored(values.mean(0), values, float(own["seconds"].mean()))
    return found


class Trained(NamedTuple):
    """What distilled students reach on test.

    Args:
      numbers: of the students, [n].
      accuracy: under each seed of the training, [seeds, n].
      sizes: parameters and multiply-accumulates, [n, 2].
    """

    numbers: list[int]
    accuracy: Values
    sizes: Values

    @property
    def reached(self) -> Values:
        """Mean over seeds, [n]."""
        mean: Values = self.accuracy.mean(0)
        return mean

    @property
    def ceiling(self) -> float:
        """Tau between two seeds."""
        return float(stats.kendalltau(*self.accuracy[:2])[0]) if len(self.accuracy) > 1 else float("nan")

    @classmethod
    def of(cls, runs: Sequence[Mapping[str, Any]]) -> Trained:
        """Return those students that were trained under every seed; a failed run counts as chance."""
        frame = DataFrame([{key: run[key] for key in ("number", "seed", "accuracy", *SIZES)} for run in runs])
        accuracy = frame.pivot_table(index="seed", columns="number", values="accuracy", dropna=False)
        failed = frame[frame["accuracy"].isna()]
        for number, seed in zip(failed["number"], failed["seed"], strict=True):
            accuracy.loc[seed, number] = CHANCE
        accuracy = accuracy.dropna(axis=1)
        numbers = [int(number) for number in accuracy.columns]
        sizes = frame.drop_duplicates("number").set_index("number").loc[numbers, list(SIZES)]
        return cls(numbers, accuracy.to_numpy(dtype=float), sizes.to_numpy(dtype=float))


def table(runs: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]], space: str) -> str:
    """Return what the proxies are worth on a space as a Markdown table, best first."""
    trained = Trained.of([run for run in runs if run["stratum"] == 0])
    strata = [
        Trained.of([run for run in runs if run["stratum"] == stratum])
        for stratum in sorted({run["stratum"] for run in runs} - {0})
    ]
    alike = [gathered(scores, space, stratum.numbers) for stratum in strata]
    rows = dict(judged(gathered(scores, space, trained.numbers), trained))
    reached = trained.reached
    head = (
        f"\n`{space}`: {len(reached)} students, {len(trained.accuracy)} seeds of training, {100 * reached.min():.1f} "
        f"to {100 * reached.max():.1f} %; noise ceiling {trained.ceiling:.2f}\n"
    )
    columns = "proxy | tau | against size | p | beyond size | at fixed size | regret of top 5 | seed to seed | ms"
    ordered = sorted(rows.items(), key=lambda row: -float(row[1][0].split()[0]))
    body = []
    for name, cells in ordered:
        fixed = "" if name == "params" else at_fixed_size([each[name] for each in alike], strata)
        body.append(f"| `{name}` | {' | '.join([*cells[:4], fixed, *cells[4:]])} |")
    return "\n".join([head, f"| {columns} |", f"|{'---|' * 9}", *body])


def at_fixed_size(scored: Sequence[Scored], strata: Sequence[Trained]) -> str:
    """Return the mean tau inside strata with its 95 % interval, from a bootstrap over the students of each."""
    rng = np.random.default_rng(0)

    def mean_tau(rows: Sequence[NDArray[np.int64]]) -> float:
        pairs = zip(scored, strata, rows, strict=True)
        taus = [stats.kendalltau(each.mean[row], stratum.reached[row])[0] for each, stratum, row in pairs]
        return float(np.nanmean(taus)) if np.isfinite(taus).any() else float("nan")

    if not strata:
        return ""
    tau = mean_tau([np.arange(len(stratum.numbers)) for stratum in strata])
    drawn = [[rng.integers(len(s.numbers), size=len(s.numbers)) for s in strata] for _ in range(RESAMPLES)]
    low, high = np.nanpercentile([mean_tau(rows) for rows in drawn], [2.5, 97.5])
    return f"{tau:.2f} [{low:.2f}, {high:.2f}]"


def judged(found: Mapping[str, Scored], trained: Trained) -> Iterator[tuple[str, list[str]]]:
    """Yield the cells of each proxy."""
    reached, sizes = trained.reached, trained.sizes
    better = max(SIZES, key=lambda name: stats.kendalltau(found[name].mean, reached)[0])
    drawn = np.random.default_rng(0).integers(len(reached), size=(RESAMPLES, len(reached)))
    taus = {
        name: np.array([stats.kendalltau(each.mean[rows], reached[rows])[0] for rows in drawn])
        for name, each in found.items()
    }
    over = {name: taus[name] - taus[better] for name in found if name != better}
    p = holm({name: float(np.mean(gain <= 0)) for name, gain in over.items() if name not in SIZES})
    for name, each in found.items():
        tau = stats.kendalltau(each.mean, reached)[0]
        beyond = None if name in SIZES else beyond_size(each.mean, reached, sizes, range(len(reached)))
        yield (
            name,
            [
                f"{tau:.2f} [{', '.join(f'{bound:.2f}' for bound in np.nanpercentile(taus[name], [2.5, 97.5]))}]",
                told(over[name]) if name in over else "",
                f"{p[name]:.2f}" if name in p else "",
                ""
                if beyond is None or beyond.low is None
                else f"{beyond.tau:.2f} [{beyond.low:.2f}, {beyond.high:.2f}]",
                *others(each, reached),
            ],
        )


def others(each: Scored, reached: Values) -> list[str]:
    """Return the cells that compare with no other proxy: regret, seed to seed, milliseconds."""
    top = np.argsort(-each.mean, kind="stable")[:TOP]
    regret = 100 * (reached.max() - reached[top].max())
    pairs = [stats.kendalltau(one, other)[0] for one, other in itertools.combinations(each.once, 2)]
    steady = f"{np.nanmean(pairs):.2f}" if np.isfinite(pairs).any() else ""
    return [f"{regret:.1f}", steady, f"{1000 * each.seconds:.0f}"]


def told(differences: Values) -> str:
    """Return a mean difference of a bootstrap with its 95 % interval."""
    low, high = np.nanpercentile(differences, [2.5, 97.5])
    return f"{np.nanmean(differences):+.2f} [{low:+.2f}, {high:+.2f}]"


if __name__ == "__main__":
    main()
