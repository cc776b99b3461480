"""A search for the student that is best in int8 (`--objective accuracy_int8`), beside one for the best float student.

    python -m benchmarks.int8_search --data DIR [--seeds 3]

Letter, 2,000 rows to train on, perceptrons of 1 to 6 layers, quantisation-aware training among what is searched. Under
each seed both searches have the same data, teacher, space and budget. Of each, the students of the recommended arm's
claim are quantised and tested on the last 4,000 rows, on which no choice rests. Each search is appended to a file
(`--runs`) as it ends, and is not repeated. Some 5 core-minutes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

import autokd
from autokd import catalog
from autokd import data as autokd_data
from autokd.data import DataOptions
from autokd.engine.build import build_student
from autokd.graphs.quantise import calibration_samples
from autokd.networks.models import seeded
from autokd.spec import from_plain
from benchmarks import common, int8
from benchmarks.int8_table import interval
from benchmarks.losses import append, lines

OBJECTIVES = ("accuracy", "accuracy_int8")
SPACE = """
description: Perceptrons of many depths, in float or quantisation-aware from 0.8 of training on.
objective: {accuracy: maximize}
student: {always: {mlp: {depth: {int: [1, 6]}, width: {int: [16, 64], step: 16}, dropout: 0.0}}}
augment: {always: {none: {}}}
losses:
  always: {ce: {}}
  any_of: {at_most: 1, from: {kd: {}, dkd: {}, dist: {}}}
optimizer: {one_of: {adamw: {}, sgd: {}}}
schedule: {one_of: {cosine: {}, one_cycle: {}}}
batch_size: 64
qat: {choice: [1.0, 0.8]}
budget: {trials: 16, epochs: 12, rungs: 2, recipes: 4, noise_seeds: 2, finalists: 4, select_seeds: 2, claim_seeds: 3}
"""


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/int8_search.jsonl"))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    done = {(run["objective"], run["seed"]) for run in lines(asked.runs)}
    for seed in range(asked.seeds):
        for objective in OBJECTIVES:
            if (objective, seed) not in done:
                append(asked.runs, searched(objective, seed, asked.data))
    print(f"{common.machine()}\n\n{table(lines(asked.runs))}")


def searched(objective: str, seed: int, folder: Path) -> dict[str, Any]:
    """Search under an objective and a seed, and return what its recommended students are worth on test."""
    catalog.load_plugins(int8.__file__)
    options: dict[str, Any] = {"data_dir": folder, "limit_train": 2000, "seed": seed}
    data = autokd_data.load("published_letter", DataOptions(**options))
    began = time.process_time()
    with tempfile.TemporaryDirectory() as place:
        space = Path(place, "space.yaml")
        space.write_text(SPACE, encoding="utf-8")
        study = autokd.search(
            dataset="published_letter",
            space=space,
            objective=objective,
            studies_dir=Path(place, "studies"),
            reports_dir=Path(place, "reports"),
            device="cpu",
            cold=True,
            notify=lambda progress: None,
            **options,
        )
        spent, claim = time.process_time() - began, study.recommendation
        assert claim is not None, "three seeds of a claim fit"
        pipeline, found = from_plain(claim.used.pipeline), []
        samples, test = calibration_samples(data.train, data.task), data.read_test()
        for number in range(len(claim.used.claimed)):
            with seeded(0):
                network = build_student(pipeline.student, data.task, head=pipeline.head)
            network.load_state_dict(load_file(study.store.student_file(claim.round, claim.used.name, number)))
            found.append(int8.measured(network, data.task, samples, test)["accuracy"])
    run = {"objective": objective, "seed": seed, "use": claim.use, "pipeline": claim.used.pipeline, "test": found}
    print(f"{objective}, seed {seed}: {claim.use}, {found}, {spent:.0f} CPU seconds", flush=True)
    return {**run, "seconds": round(spent)}


def table(runs: list[dict[str, Any]]) -> str:
    """Return the searches as a Markdown table, and the mean difference of students whose claims have the same seed."""
    rows = ["| seed | objective | recommended | student | qat | float, % | int8, % |", "|---|---|---|---|---|---|---|"]
    found: dict[tuple[str, int], list[float]] = {}
    for run in runs:
        scores = {file: [100 * each[file] for each in run["test"]] for file in ("float", "int8")}
        found[run["objective"], run["seed"]] = scores["int8"]
        student, qat = run["pipeline"]["student"], run["pipeline"].get("qat", 1.0)
        size = ", ".join(f"{key} {value}" for key, value in student.items() if key != "use")
        cells = [str(run["seed"]), run["objective"], run["use"], f"{student['use']} ({size})", str(qat)]
        means = [f"{statistics.mean(each):.1f} (n={len(each)})" for each in scores.values()]
        rows.append(f"| {' | '.join([*cells, *means])} |")
    seeds = [seed for objective, seed in found if objective == OBJECTIVES[0] and (OBJECTIVES[1], seed) in found]
    pairs = [zip(found[OBJECTIVES[1], seed], found[OBJECTIVES[0], seed], strict=False) for seed in seeds]
    gains = [statistics.mean(one - other for one, other in pair) for pair in pairs]
    return "\n".join([*rows, "", f"accuracy_int8 over accuracy, int8 files on test, points: {interval(gains)}"])


if __name__ == "__main__":
    main()
