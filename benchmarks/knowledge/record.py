"""Records studies: on each data set the known recipes and a covering draw of pipelines, all trained to the end.

    OMP_NUM_THREADS=1 python -m benchmarks.knowledge.record --data DIR [--sets digits letter] [--runs 96]

A run that is recorded is not trained again, so the command goes on where it was stopped. Seconds are CPU seconds of one
thread, whatever else the machine does. Only training and validation samples are read; the teacher is the default one.
`benchmarks.knowledge.records` packs what was recorded.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from autokd.engine.context import TrainContext
from autokd.engine.loop import train_rung
from autokd.engine.memory import keep_freed_memory
from autokd.engine.prepare import prepare_artefacts
from autokd.engine.rung import Rung
from autokd.errors import TrialFailure
from autokd.knowledge import CardRun
from autokd.knowledge.learn import facts_of
from autokd.knowledge.shared_form import shared_form
from autokd.recipes import portfolio
from autokd.search.facts import describe_study
from autokd.search.limits import pipeline_cost
from autokd.search.prepare import context_of, prepare
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.seeds import derive
from autokd.spec import fingerprint, from_plain
from benchmarks.knowledge.coverage import covering
from benchmarks.knowledge.crossing import RULES, crossing
from benchmarks.knowledge.records import COVERAGE, RECORDS, runs_of
from benchmarks.knowledge.sets import SETS

RUNS = 96
"""Pipelines of each set: the recipes, the crossed rules, and draws that cover the space."""


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the original files")
    parser.add_argument("--sets", nargs="*", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--seeds", type=int, default=1, help="of the recipes and the crossed rules")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    for name in asked.sets:
        record(name, asked.data, asked.runs, asked.seeds)


def record(name: str, data: Path, runs: int, seeds: int) -> None:
    """Train what is missing of a set; under further seeds the recipes and the crossed rules alone."""
    file, done = RECORDS / f"{name}.jsonl", {(run.key, run.seed) for run in runs_of(name)}
    wanted = SETS[name]
    asked = Request(
        dataset=wanted.read(data),
        limit_train=wanted.train,
        max_params=wanted.params,
        epochs=wanted.epochs,
        cold=True,
        device="cpu",
        seed=0,
    )
    setup = prepare(asked, lambda _: None, for_study=False)
    context = context_of(setup, asked)
    (RECORDS / f"{name}.json").write_text(json.dumps(facts_of(describe_study(setup)).to_plain()) + "\n")
    pipelines = list(_wanted(setup, runs))
    for number, (source, pipeline) in itertools.product(range(seeds), pipelines):
        seed = derive(number, "knowledge", name) % 2**31
        if (fingerprint(shared_form(pipeline)), seed) in done or (number and source == COVERAGE):
            continue
        run = _trained(setup, context, source, pipeline, seed)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(json.dumps(dataclasses.asdict(run)) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        print(name, source, run.score, run.seconds, flush=True)


def _wanted(setup: Setup, runs: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The recipes, the rules that all sets have, and what covers the rest of the space; each pipeline once."""
    seen: set[str] = set()
    recipes = [(f"recipe:{each.rule.name}", each.drawn.plain) for each in setup.portfolio.recipes]
    task = setup.data.task
    crossed = portfolio(setup.space, task, setup.offers, rules=crossing(task.modality)).recipes
    rules = [("crossing", each.drawn.plain) for each in crossed]
    covers = [(COVERAGE, plain) for plain in covering(setup, RUNS - RULES - len(recipes), seed=0)]
    for source, plain in [*recipes, *rules, *covers][:runs]:
        if fingerprint(plain) not in seen:
            seen.add(fingerprint(plain))
            yield source, plain


def _trained(setup: Setup, context: TrainContext, source: str, pipeline: Mapping[str, Any], seed: int) -> CardRun:
    epochs, size = setup.budget.epochs, len(setup.data.train)
    rung = Rung(seed=seed, view_seed=derive(seed, "views"), horizon=epochs * size, until=epochs * size)
    cost = pipeline_cost(pipeline, setup.data.task, setup.offers)
    shared = shared_form(pipeline)
    assert shared is not None
    network = {"params": cost.params, "macs": cost.macs}
    about: dict[str, Any] = {"source": source, "pipeline": shared, "seed": seed, **network}
    spec = from_plain(pipeline)
    began = time.process_time()
    try:
        list(prepare_artefacts(context, spec))
        result, _ = train_rung(context, spec, rung)
    except TrialFailure as error:
        return CardRun(**about, epochs=0, score=None, seconds=0.0, failure=error.kind)
    curve = tuple(float(line["score"]) for line in result.curve if isinstance(line.get("score"), float))
    seconds = round(time.process_time() - began, 3)
    return CardRun(**about, epochs=epochs, score=result.score, curve=curve, seconds=seconds)


if __name__ == "__main__":
    main()
