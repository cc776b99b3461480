"""Whole searches with the parts for rare classes and without them, where a class is one in a hundred.

    OMP_NUM_THREADS=1 python -m benchmarks.imbalance_search --data DIR [--sets telco adult] [--seeds 3]

DIR holds the real sets in folders. Of each table 2,000 rows are set aside for testing, which no search sees; of the
others the smaller class is thinned to 1 %, and at most 12,000 rows stay. Under each seed and objective two searches
have the same rows and number of trials: the default one, which adds the parts since a class is rare, and one of the
same space by name, which does not.

The students of the recommended arm's claim answer the rows set aside. Balanced accuracy and macro F1 are computed as in
`benchmarks.imbalance`: macro F1 as if the classes had the shares that they have in training. Each search is appended to
a file (`--runs`) as it ends, and is not repeated. Intervals are of the difference between the searches of a seed and
count seeds alone: what is asked is what another search would find. About a CPU minute a search.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from pandas import DataFrame, concat

import autokd
from autokd.delivery.bundle import load_student
from benchmarks import boosted, common
from benchmarks.imbalance import balanced_accuracy, confusion_of, interval, macro_f1
from benchmarks.losses import append, lines

SHARE, ROWS, TEST = 0.01, 12_000, 2_000
OBJECTIVES = ("balanced_accuracy", "macro_f1")
ARMS: Mapping[str, str | None] = {"with the parts": None, "without": "tabular"}
"""The space that is asked for; None: the default one, which gets the parts."""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["telco", "adult"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--objectives", nargs="+", choices=OBJECTIVES, default=OBJECTIVES)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/imbalance_search.jsonl"))
    parser.add_argument("--table", action="store_true", help="search nothing")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    done = {(run["set"], run["objective"], run["arm"], run["seed"]) for run in lines(asked.runs)}
    for name, objective in [] if asked.table else itertools.product(asked.sets, asked.objectives):
        rows, test = apart(boosted.SETS[name](asked.data))
        for seed, arm in itertools.product(range(asked.seeds), ARMS):
            if (name, objective, arm, seed) not in done:
                asks = {"space": ARMS[arm], "objective": objective, "seed": seed, "trials": asked.trials}
                about = {"set": name, "objective": objective, "arm": arm, "seed": seed}
                append(asked.runs, {**about, **searched(rows, test, asks)})
    print(f"{common.machine()}\n\n{table(lines(asked.runs))}")


def apart(frame: DataFrame) -> tuple[DataFrame, DataFrame]:
    """Return the rows of a search, of which the smaller class is thinned, and those that test."""
    frame = frame.sample(frac=1, random_state=0)
    test, rest = frame[:TEST], frame[TEST:]
    is_rare = rest["label"] == rest["label"].value_counts().idxmin()
    others = rest[~is_rare][: round((1 - SHARE) * ROWS)]
    return concat([others, rest[is_rare][: round(SHARE / (1 - SHARE) * len(others))]]).sample(
        frac=1, random_state=0
    ), test


def searched(rows: DataFrame, test: DataFrame, asks: Mapping[str, Any]) -> dict[str, Any]:
    """Search as asked; return what the recommended students are worth on test, their mean, and the pipeline."""
    began = time.process_time()
    with TemporaryDirectory() as place:
        file = Path(place, "rows.csv")
        rows.to_csv(file, index=False)
        study = autokd.search(
            dataset=str(file),
            target="label",
            **asks,
            studies_dir=Path(place, "studies"),
            reports_dir=Path(place, "reports"),
            device="cpu",
            cold=True,
            notify=lambda progress: None,
        )
        spent, claim = time.process_time() - began, study.recommendation
        assert claim is not None, "three seeds of a claim fit"
        found = measured(study.store.path / "best", rows, test)
    parts = {kind: claim.used.pipeline[kind] for kind in ("losses", "selection") if kind in claim.used.pipeline}
    print(f"{asks}: {found}, {spent:.0f} CPU seconds, {parts}", flush=True)
    return {**found, "rows": len(rows), "trials": asks["trials"], "use": claim.use, **parts, "seconds": round(spent)}


def measured(folder: Path, rows: DataFrame, test: DataFrame) -> dict[str, float]:
    """Return the metrics of a bundle's student on test rows, with the shares of the classes among the rows searched."""
    student = load_student(folder)
    number = {name: place for place, name in enumerate(student.classes)}
    answers = np.array([number[each] for each in student.predict(test.drop(columns=["label"]))["label"]])
    confusion = confusion_of(np.array([number[each] for each in test["label"]], np.int64), answers, len(number))
    counts = np.bincount([number[each] for each in rows["label"]], minlength=len(number))
    shares = counts / counts.sum()
    rare = int(np.argmin(shares))
    return {
        "balanced": round(balanced_accuracy(confusion), 3),
        "macro_f1": round(macro_f1(confusion, shares), 3),
        "recall": round(100 * float(confusion[rare, rare]), 3),
    }


def table(runs: Sequence[Mapping[str, Any]]) -> str:
    """Return the searches as a Markdown table, means over seeds, and the differences between the arms."""
    text = [
        "| set | objective | search | balanced accuracy, % | macro F1, % | recall of the class, % | losses chosen |"
    ]
    text.append("|---|---|---|---|---|---|---|")
    for name, objective in dict.fromkeys((run["set"], run["objective"]) for run in runs):
        here = [run for run in runs if (run["set"], run["objective"]) == (name, objective)]
        own = {arm: {run["seed"]: run for run in here if run["arm"] == arm} for arm in ARMS}
        for arm, found in own.items():
            cells = [told([run[key] for run in found.values()]) for key in ("balanced", "macro_f1", "recall")]
            chosen = "; ".join(map(parts_of, found.values()))
            text.append(f"| {name} | {objective} | {arm} | {' | '.join(cells)} | {chosen} |")
        one, other = own.values()
        seeds = sorted(one.keys() & other.keys())
        if len(seeds) > 1:
            gains = (np.array([one[s][key] - other[s][key] for s in seeds]) for key in ("balanced", "macro_f1"))
            text.append(f"| {name} | {objective} | difference | {' | '.join(interval(g, 0.0) for g in gains)} | | |")
    return "\n".join(text)


def told(values: Sequence[float]) -> str:
    """Return a mean with the spread of seeds."""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}" if values else "–"


def parts_of(run: Mapping[str, Any]) -> str:
    """Return a run's losses and selection, for a cell."""
    chosen = [*run["losses"], *([run["selection"]["use"]] if "selection" in run else [])]
    return " + ".join(f"`{each}`" for each in chosen if each != "all")


if __name__ == "__main__":
    main()
