"""Where the gain comes from: what each slot of the pick is worth, by swapping it back to that of the recipe by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from autokd.study.arms import PICK
from autokd.study.design import Noise
from autokd.study.intervals import Family
from autokd.study.records import Records
from autokd.study.spread import rest_variance


class SlotValue(NamedTuple):
    """What a slot of the pick is worth on validation: the pick minus the pick with this slot as in the recipe by hand.

    Args:
      difference: of mean scores, above 0 where the pick's own is better.
      low, high: 95 % interval; those of all slots hold at once.
      seeds: of each of the two.
    """

    difference: float
    low: float
    high: float
    seeds: int


def slot_values(records: Records, round: int) -> dict[str, SlotValue]:
    """Return what each slot of the pick is worth, by slot; {} where none was swapped back.

    Args:
      records: the study's.
      round: of confirm. The spread between seeds is what its runs show, pooled with what was known before them.
    """
    swapped: dict[str, dict[int, float]] = {}
    for run in records.runs:
        if (run.stage, run.round) == ("ablate", round) and run.failure is None:
            swapped.setdefault(run.variant, {})[run.seed] = run.score
    pick = {
        run.seed: run.score
        for run in records.runs
        if (run.stage, run.round, run.arm) == ("choose", round, PICK) and run.failure is None
    }
    seeds = [seed for seed in pick if any(seed in row for row in swapped.values())]
    whole = {slot: [row[seed] for seed in seeds] for slot, row in swapped.items() if all(s in row for s in seeds)}
    design = next((d for d in records.designs if (d.stage, d.round) == ("ablate", round)), None)
    noise = None if design is None else design.noise
    return _values([pick[seed] for seed in seeds], whole, noise) if seeds and whole else {}


def _values(pick: Sequence[float], swapped: Mapping[str, Sequence[float]], noise: Noise | None) -> dict[str, SlotValue]:
    variance, df = rest_variance([pick, *swapped.values()], noise)
    if not df:
        return {}
    margin = Family(1 + len(swapped)).half_width(df) * math.sqrt(2 * variance / len(pick))
    differences = {slot: float(np.mean(pick) - np.mean(scores)) for slot, scores in swapped.items()}
    return {slot: SlotValue(d, d - margin, d + margin, len(pick)) for slot, d in differences.items()}
