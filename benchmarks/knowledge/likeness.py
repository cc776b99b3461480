"""Whether it helps to trust those past studies more whose data are like the new ones, and by what likeness.

    python -m benchmarks.knowledge.likeness --data DIR

For each kind of likeness, with weights that are nearly equal ("mild") and with weights by likeness alone ("strong"):
the rank correlation of what the past says of a study's pipelines with what they were worth, and the points that the
first recommendation gains over KD by hand; families are left out one after the other. Landmarks are computed once.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from autokd.knowledge.card import HAND_KD
from autokd.knowledge.order import first_choice
from autokd.knowledge.recommender import TRUST
from autokd.search.prepare import load_data
from autokd.search.request import Request
from benchmarks.knowledge.landmarks import landmarks
from benchmarks.knowledge.records import FAMILIES, FULL
from benchmarks.knowledge.replay import Fold, Target, target
from benchmarks.knowledge.sets import SETS

KEPT = Path(__file__).parent / "landmarks.json"
SAME = {"full-fashion-4000": "fashion-3000", "full-fashion-700": "fashion-1000"}
"""Sets whose landmarks stand for those of another one with the same source; other names differ in "full-" alone."""
Apart = Callable[[Target, Target], Sequence[float]]
"""(one, other) -> differences, each about 1 where it is usual."""


def nothing(one: Target, other: Target) -> Sequence[float]:
    """All studies are alike."""
    return [0.0]


def sizes(one: Target, other: Target) -> Sequence[float]:
    """Samples, classes, size of a sample."""
    a, b = one.card.facts, other.card.facts
    pairs = (a.train, b.train), (a.classes, b.classes), (math.prod(a.input_shape), math.prod(b.input_shape))
    return [math.log(x / y) / math.log(4) for x, y in pairs]


def teachers(one: Target, other: Target) -> Sequence[float]:
    """Accuracy of the teacher, length of training."""
    a, b = one.card.facts, other.card.facts
    return [(a.teacher["accuracy"] - b.teacher["accuracy"]) / 0.15, math.log(a.epochs / b.epochs) / math.log(4)]


def by_landmarks(one: Target, other: Target) -> Sequence[float]:
    """Nearest neighbour, linear probe, noise of labels, dimension."""
    known = json.loads(KEPT.read_text(encoding="utf-8"))
    a, b = (known[SAME.get(each.name, each.name.removeprefix(FULL))] for each in (one, other))
    return [
        (a["nearest_neighbour"] - b["nearest_neighbour"]) / 0.2,
        (a["linear"] - b["linear"]) / 0.2,
        (a["label_noise"] - b["label_noise"]) / 0.03,
        math.log((a["dimension"] + 1) / (b["dimension"] + 1)) / math.log(4),
    ]


def first_rung(one: Target, other: Target) -> Sequence[float]:
    """Accuracy of the student alone by hand after a third of its epochs."""
    return [(_early(one) - _early(other)) / 0.2]


KINDS: dict[str, tuple[Apart, ...]] = {
    "none": (nothing,),
    "sizes": (sizes,),
    "teacher": (teachers,),
    "landmarks": (by_landmarks,),
    "first rung": (first_rung,),
    "sizes, teacher": (sizes, teachers),
    "all": (sizes, teachers, by_landmarks, first_rung),
}


def main() -> None:
    """Compute landmarks where they are missing, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the original files, where landmarks are not there yet")
    asked = parser.parse_args()
    if not KEPT.exists():
        KEPT.write_text(json.dumps({name: _landmarks(name, asked.data) for name in SETS}, indent=1), encoding="utf-8")
    known = [found for name in FAMILIES if (found := target(name)) is not None]
    print("| likeness | weights | images: rank correlation | gain | tables: rank correlation | gain |")
    print("|---|---|---|---|---|---|")
    for name, apart in KINDS.items():
        for word in ("mild", "strong"):
            means = [_judged(known, kind, apart, strong=word == "strong") for kind in ("image", "table")]
            cells = " | ".join(f"{rho:.2f} | {gain:+.2f}" for rho, gain in means)
            print(f"| {name} | {word} | {cells} |")


def _judged(known: Sequence[Target], kind: str, apart: Sequence[Apart], *, strong: bool) -> NDArray[np.float64]:
    """Mean over families of rank correlation and gain."""
    found: dict[str, list[tuple[float, float]]] = {}
    of_kind = [each for each in known if each.card.facts.modality == kind]
    for each in of_kind:
        fold = Fold(each, tuple(one for one in of_kind if FAMILIES[one.name] != FAMILIES[each.name]))
        weights = _weights(fold, apart, strong=strong)
        place = first_choice(fold.said, weights, each.place(HAND_KD), fold.tried)
        rules = fold.tried.any(0)
        rho = float(spearmanr((weights @ fold.said)[rules], each.worth[rules]).statistic)
        found.setdefault(FAMILIES[each.name], []).append((rho, float(each.worth[place]) - each.by_hand))
    means: NDArray[np.float64] = np.mean([np.mean(values, axis=0) for values in found.values()], axis=0)
    return means


def _weights(fold: Fold, apart: Sequence[Apart], *, strong: bool) -> NDArray[np.float64]:
    sources = [FAMILIES[each.name] for each in fold.past]
    equal = np.array([1 / sources.count(source) for source in sources]) / len(set(sources))
    distances = [math.hypot(*(v for how in apart for v in how(fold.target, each))) for each in fold.past]
    alike = equal * np.exp(-np.array(distances))
    share = 1.0 if strong else len(set(sources)) / (len(set(sources)) + TRUST)
    weights: NDArray[np.float64] = (1 - share) * equal + share * alike / alike.sum()
    return weights


def _early(study: Target) -> float:
    curve = study.runs[study.place("recipe:alone")].curve
    return curve[max(0, len(curve) // 3 - 1)] if curve else 0.5


def _landmarks(name: str, data: Path) -> dict[str, float]:
    wanted = SETS[name]
    asked = Request(dataset=wanted.read(data), limit_train=wanted.train, max_params=wanted.params, device="cpu", seed=0)
    return landmarks(load_data(asked))


if __name__ == "__main__":
    main()
