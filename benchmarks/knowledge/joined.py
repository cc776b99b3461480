"""Brings full-length runs that the benchmark by hand recorded into the form of the studies here.

    python -m benchmarks.knowledge.joined --data DIR

Of each of its eight sets, what was drawn at random, the crossed rules and the person's own runs are taken, with what
they reached on validation; what was read on test is left behind. Nothing is trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autokd.knowledge import CardRun, StudyCard
from autokd.knowledge.base import SUFFIX, write_base
from autokd.knowledge.learn import facts_of
from autokd.knowledge.shared_form import shared_form
from autokd.recipes.records import RunRow, read_rows
from autokd.search.facts import describe_study
from autokd.search.limits import pipeline_cost
from autokd.search.session import Setup
from autokd.spec import fingerprint
from benchmarks.by_hand.answers import RECORDS as BY_HAND
from benchmarks.by_hand.bench import bench, full_length
from benchmarks.by_hand.sets import SETS
from benchmarks.knowledge.records import COVERAGE, FULL, RECORDS

SIDES = ("random", "rules", "person")
"""Files of records."""


def main() -> None:
    """Write one study for each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the original files")
    data = parser.parse_args().data
    for name in SETS:
        epochs = full_length(name)
        setup = bench(name, data, epochs, seed=0).setup
        rows = [row for side in SIDES for row in read_rows(BY_HAND / f"{side}.jsonl") if row.dataset == name]
        runs = [run for row in rows if row.epochs == epochs and (run := _run(row, setup)) is not None]
        facts = facts_of(describe_study(setup))
        write_base(RECORDS / f"{FULL}{name}{SUFFIX}", [StudyCard(facts=facts, runs=tuple(runs))])
        print(name, len(runs), "runs")


def _run(row: RunRow, setup: Setup) -> CardRun | None:
    """A row as a run; None where its pipeline says more than can be shared."""
    pipeline = shared_form(row.pipeline)
    if pipeline is None:
        return None
    by_hand = {fingerprint(each.drawn.plain): each.rule.name for each in setup.portfolio.recipes}
    recipe = by_hand.get(fingerprint(row.pipeline))
    cost = pipeline_cost(row.pipeline, setup.data.task, setup.offers)
    return CardRun(
        source=f"recipe:{recipe}" if recipe else COVERAGE,
        pipeline=pipeline,
        seed=row.seed,
        epochs=row.epochs,
        score=row.validation,
        seconds=row.seconds,
        params=cost.params,
        macs=cost.macs,
    )


if __name__ == "__main__":
    main()
