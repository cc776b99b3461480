"""Does screening help? Short searches over ten families with it, with random students, and with one student alone.

    OMP_NUM_THREADS=1 python -m benchmarks.screened_search --data DIR [--seconds 120] [--seeds 5] [--jobs 2]

Two sets of `benchmarks.by_hand` (`fashion-700` and `cifar-coarse`: 700 training images of 16x16, at most 30,000
parameters), their teachers trained before. Three sides have equal seconds:

- *screening*: `--space students`, as it is shipped.
- *random*: the same search, but every student that is chosen by its size or by a proxy is drawn instead, uniformly
  inside the limit: the one of each family that recipes are tried on, those of the design, and TPE's.
- *largest*: the same space with one student, the largest of the default family.

The pipeline that a search recommends is trained on two fresh seeds at the set's full length, and only then is test
read. Seconds are those of the CPU (`benchmarks.by_hand.clock`), with one thread, so other work on the machine decides
nothing. *Reached* is how long a search took until its best validation score was that which the random side of the same
seed ended with. Each search is appended to a file (`--runs`) as it ends, and is not repeated. About three CPU minutes
a search.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from benchmarks.by_hand import clock
from benchmarks.losses import append, lines

SETS = ("fashion-700", "cifar-coarse")
SIDES = ("screening", "random", "largest")
FRESH = 2
"""Seeds on which a recommended pipeline is trained."""
COUNTED = ("trials", "students")
"""Numbers of a run of which the table gives means."""
Run = Mapping[str, Any]


def main() -> None:
    """Run what is missing, two at a time, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the original files")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("benchmarks/screened_search.jsonl"))
    parser.add_argument("--one", help="SET SIDE SEED: run this one here", nargs=3)
    parser.add_argument("--table", action="store_true", help="search nothing")
    asked = parser.parse_args()
    if asked.one:
        clock.count("cpu")
        name, side, seed = asked.one
        print(json.dumps(searched(name, side, int(seed), asked)))
        return
    done = {(run["set"], run["side"], run["seed"]) for run in lines(asked.runs)}
    every = itertools.product(range(asked.seeds), asked.sets, asked.sides)
    wanted = [] if asked.table else [(n, side, seed) for seed, n, side in every if (n, side, seed) not in done]
    with ThreadPoolExecutor(asked.jobs) as pool:
        for run in pool.map(lambda each: in_process(each[0], each[1], each[2], asked), wanted):
            append(asked.runs, run)
            print(f"{run['set']} {run['side']} seed {run['seed']}: {run['test']}, {run['trials']} trials", flush=True)
    print(table(lines(asked.runs)))


def in_process(name: str, side: str, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one search in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.screened_search", "--one", name, side, str(seed)]
    command += ["--data", str(asked.data), "--seconds", str(asked.seconds)]
    ended = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def searched(name: str, side: str, seed: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Search on a set, and test what is recommended."""
    import torch

    from autokd.search import run
    from benchmarks.by_hand.bench import bench, full_length, own_cache, request
    from benchmarks.by_hand.fresh import fresh_runs
    from benchmarks.by_hand.searching import recommended

    torch.set_num_threads(1)
    best: list[tuple[float, float]] = []

    def note(progress: run.Progress) -> None:
        if progress.best is not None and (not best or progress.best > best[-1][1]):
            best.append((round(time.monotonic() - began, 2), progress.best))

    with tempfile.TemporaryDirectory() as folder, own_cache(Path(folder)):
        made = bench(name, asked.data, full_length(name), seed)
        space = Path(folder, "space.yaml")
        space.write_text(space_of(side, made), encoding="utf-8")
        began = time.monotonic()
        wanted = request(
            name,
            made.folder,
            seed,
            space=str(space),
            time=asked.seconds,
            studies_dir=Path(folder),
            study="study",
            began=began,
        )
        with students_at_random(seed) if side == "random" else contextlib.nullcontext():
            store = run.search(wanted, note, lambda ended: None)
        seconds, candidate = time.monotonic() - began, recommended(store)
        tested = [each.tested for each in fresh_runs(made, candidate, seed, (), FRESH)]
    records, plan = store.records, store.settings.time_plan
    return {
        "set": name,
        "side": side,
        "seed": seed,
        "limit": asked.seconds,
        "seconds": round(seconds, 1),
        "trials": len(records.trials),
        "tried": [tried(trial) for trial in records.trials.values()],
        "students": len({str(trial.pipeline["student"]) for trial in records.trials.values()}),
        "sources": Counter(trial.source.split(":")[0] for trial in records.trials.values()),
        "validation": [round(each.validation, 5) for each in tested],
        "test": [round(each.test, 5) for each in tested],
        "best": best,
        "pipeline": candidate.pipeline,
        "plan": None if plan is None else plan.reason,
        "stages": {stage: round(spent, 1) for stage, spent in records.seconds.items()},
    }


def tried(trial: Any) -> list[Any]:
    """Return what a trial was: its source, family, parameters, epochs, score and seconds."""
    last = trial.rungs[-1] if trial.rungs else None
    reached = [None, None] if last is None else [last.epochs, round(last.score, 4)]
    return [trial.source, trial.pipeline["student"]["use"], trial.cost["params"], *reached, round(trial.seconds, 1)]


def space_of(side: str, made: Any) -> str:
    """Return the space of a side as text: the shipped one, with one student for *largest*."""
    from autokd.recipes import largest_of_families
    from autokd.space import find, parse

    text, source = find("students")
    if side != "largest":
        return text
    setup = made.setup
    space = parse(text, source).resolve(setup.data.task, setup.offers, max_params=made.wanted.params)
    student = dict(largest_of_families(space, setup.data.task, setup.offers)[0])
    alone = {"one_of": {student.pop("use"): student}}
    return yaml.safe_dump({**yaml.safe_load(text), "student": alone}, sort_keys=False)


@contextlib.contextmanager
def students_at_random(seed: int) -> Iterator[None]:
    """Draw every student that the search would choose by its size or by a proxy."""
    from autokd.search.explore.propose import Proposer
    from autokd.space.architectures import Architectures

    def one_of_each(space: Any, task: Any, offers: Any, **limits: Any) -> list[dict[str, Any]]:
        rng, found = np.random.default_rng([seed, 19]), dict[str, dict[str, Any]]()
        architectures = Architectures.of(space, task)
        for _ in range(200):
            student = architectures.sample(rng)
            found.setdefault(student["use"], student)
        return list(found.values())

    with contextlib.ExitStack() as stack:
        for module in ("past", "timing.plan"):
            stack.enter_context(mock.patch(f"autokd.search.{module}.largest_of_families", one_of_each))
        stack.enter_context(mock.patch("autokd.search.screen.screen.diverse", lambda rows, count: [*rows][:count]))
        stack.enter_context(mock.patch.object(Proposer, "_best_screened", lambda self, found: found[0]))
        yield


def table(runs: Sequence[Run]) -> str:
    """Return the searches as Markdown: what is reached on test, and how soon; differences with 95 % intervals."""
    text = ["| set | side | seeds | trials | students | test, % | minus random | minus largest | reached, s |"]
    text.append("|---|---|---|---|---|---|---|---|---|")
    for name, side in itertools.product(dict.fromkeys(run["set"] for run in runs), SIDES):
        own = {run["seed"]: run for run in runs if (run["set"], run["side"]) == (name, side)}
        other = {
            which: {run["seed"]: run for run in runs if (run["set"], run["side"]) == (name, which)}
            for which in ("random", "largest")
        }
        if not own:
            continue
        scores = [100 * np.mean(run["test"]) for run in own.values()]
        spread = f" ± {np.std(scores, ddof=1):.1f}" if len(scores) > 1 else ""
        cells = [name, side, len(own), *(f"{np.mean([run[key] for run in own.values()]):.0f}" for key in COUNTED)]
        cells += [f"{np.mean(scores):.1f}{spread}"]
        cells += ["" if side == which else gain(own, there) for which, there in other.items()]
        cells += [", ".join(reached(own[seed], other["random"].get(seed)) for seed in sorted(own))]
        text.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(text)


def gain(own: Mapping[int, Run], other: Mapping[int, Run]) -> str:
    """Return the mean difference of test accuracy in points over the seeds that both have, with its interval."""
    from benchmarks.imbalance import interval

    seeds = sorted(own.keys() & other.keys())
    if len(seeds) < 2:
        return ""
    return interval(np.array([100 * (np.mean(own[s]["test"]) - np.mean(other[s]["test"])) for s in seeds]), 0.0)


def reached(run: Run, random: Run | None) -> str:
    """Return the seconds after which a search's best validation score was that of the random one; – for never."""
    if random is None or not random["best"]:
        return ""
    wanted = random["best"][-1][1]
    return next((f"{seconds:.0f}" for seconds, score in run["best"] if score >= wanted), "–")


if __name__ == "__main__":
    main()
