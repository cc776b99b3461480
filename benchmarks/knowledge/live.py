"""The first recommendation, trained at full length, beside the person and the cold search of the benchmark by hand.

    OMP_NUM_THREADS=1 python -m benchmarks.knowledge.live --data DIR [--sets letter fashion-700] [--seeds 3]

The base is the recorded studies without those of the set's family. The recommendation costs no trial; the person and
the search had 60 seconds on tables and 180 on images, and their answers are read from that benchmark's records. All are
trained on the same fresh seeds at the same length with the same teacher, and only then is test read.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from autokd.knowledge.advice import Advice, advise, candidates
from autokd.knowledge.base import Base
from autokd.knowledge.learn import facts_of
from autokd.recipes import portfolio
from autokd.search.facts import describe_study
from autokd.search.limits import pipeline_cost
from benchmarks.by_hand import answers
from benchmarks.by_hand.answers import Answer
from benchmarks.by_hand.bench import Bench, bench, full_length
from benchmarks.by_hand.figures import difference
from benchmarks.by_hand.fresh import fresh_runs
from benchmarks.by_hand.report import interval
from benchmarks.by_hand.sets import SETS
from benchmarks.by_hand.tuning import Candidate
from benchmarks.knowledge.records import FAMILIES, card_of

FILE, SIDE = "recommended.jsonl", "recommended"
FOLDER = Path(__file__).parent
AGAINST = (("person", ""), ("search", "after"))
"""Sides of the benchmark by hand, with the label of their answers."""


def main() -> None:
    """Train what is missing, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the original files; without it nothing is trained")
    parser.add_argument("--sets", nargs="*", choices=sorted(SETS), default=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for name in asked.sets:
        for seed in range(asked.seeds if asked.data else 0):
            train(name, asked.data, seed)
    print(report(asked.sets))


def train(name: str, data: Path, seed: int) -> None:
    """Train what is recommended for a set, where that is not recorded yet."""
    known = answers.read(FOLDER)
    if any(answer.unit == (name, SIDE, seed) for answer in known):
        return
    made = bench(name, data, full_length(name), seed)
    first = recommended(made)[0]
    chosen = Candidate(first.recipe.drawn.plain, first.recipe.rule.name)
    answer = Answer(
        set=name,
        side=SIDE,
        label="",
        seed=seed,
        recipe=chosen.recipe,
        pipeline=chosen.pipeline,
        epochs=made.epochs,
        runs=0,
        seconds=0.0,
        tested=tuple(each.tested for each in fresh_runs(made, chosen, seed, known)),
        notes={"title": first.recipe.rule.title, "gain": first.expected.gain, "interval": first.expected.interval},
    )
    answers.append(FOLDER, FILE, answer.to_json())
    print(name, seed, first.recipe.rule.title, [round(100 * run.test, 2) for run in answer.tested], flush=True)


def recommended(made: Bench) -> list[Advice]:
    """Return what the recorded studies of other families recommend."""
    family, setup = made.wanted.family, made.setup
    cards = [card for name, own in FAMILIES.items() if own != family and (card := card_of(name)) is not None]
    base, facts = Base.of(cards), dataclasses.replace(facts_of(describe_study(setup)), epochs=made.epochs)
    task, space = setup.data.task, setup.space
    recipes = portfolio(space, task, setup.offers, rules=candidates(base, facts)).recipes
    params = {each.rule.name: pipeline_cost(each.drawn.plain, task, setup.offers).params for each in recipes}
    return advise(base, facts, recipes, params)


def report(sets: list[str]) -> str:
    """Return test accuracies and differences as Markdown."""
    lines = [
        "| set | recommended | person | cold search | recommended - person | recommended - search |",
        "|---|---|---|---|---|---|",
    ]
    own = {answer.unit: answer for answer in answers.read(FOLDER)}
    others = {(answer.set, answer.side, answer.label, answer.seed): answer for answer in answers.read()}
    for name in sets:
        seeds = sorted(seed for known, side, seed in own if (known, side) == (name, SIDE))
        if len(seeds) < 2:
            continue
        mine = right_of([own[name, SIDE, seed] for seed in seeds])
        theirs = [right_of([others[name, side, label, seed] for seed in seeds]) for side, label in AGAINST]
        cells = [f"{100 * right.mean():.2f}" for right in (mine, *theirs)]
        cells += [interval(difference(mine, right)) for right in theirs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def right_of(found: list[Answer]) -> NDArray[np.float64]:
    """Return whether test items are right, as shares of the fresh runs, [seeds, items]."""
    return np.stack([answer.right for answer in found])


if __name__ == "__main__":
    main()
