"""What each slot of the pick is worth, by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest

from autokd.study.ablation import slot_values
from autokd.study.design import Design, Noise
from autokd.study.intervals import Family
from autokd.study.records import Records, RunRecord


def run(
    stage: str, seed: int, score: float, *, arm: str = "pick", variant: str = "", failed: bool = False
) -> RunRecord:
    failure = {"kind": "error", "reason": "made up"} if failed else None
    return RunRecord(
        stage=stage,
        round=0,
        arm=arm,
        variant=variant,
        seed=seed,
        pipeline={},
        score=score,
        loss=1.0,
        seconds=1.0,
        failure=failure,
    )


def records(
    pick: Sequence[float], swapped: Mapping[str, Sequence[float]], noise: Noise | None, failed: str | None = None
) -> Records:
    made = Records()
    made.runs += [run("choose", seed, score) for seed, score in enumerate(pick)]
    made.runs += [run("choose", seed, 0.1, arm="kd") for seed in range(len(pick))]
    for slot, scores in swapped.items():
        made.runs += [run("ablate", i, score, variant=slot, failed=slot == failed) for i, score in enumerate(scores)]
    made.designs.append(
        Design(stage="ablate", round=0, seeds=2, target=None, detectable=None, noise=noise, reason="", arms=3)
    )
    return made


def test_differences_are_paired_and_hold_together() -> None:
    """The second seed is 2, 1 and 3 points above the first, 2 on average: half of what is beside that is left, df 2."""
    found = slot_values(records([0.90, 0.92], {"losses": [0.88, 0.89], "optimizer": [0.90, 0.93]}, None), 0)
    assert found["losses"].difference == pytest.approx(0.025) and found["optimizer"].difference == pytest.approx(-0.005)
    squares = 2 * ((0.5 * (0.02 - 0.02)) ** 2 + (0.5 * (0.01 - 0.02)) ** 2 + (0.5 * (0.03 - 0.02)) ** 2)
    margin = Family(3).half_width(2) * math.sqrt(2 * squares / 2 / 2)
    assert found["losses"].low == pytest.approx(0.025 - margin) and found["losses"].high == pytest.approx(
        0.025 + margin
    )
    assert {value.seeds for value in found.values()} == {2}


def test_the_noise_that_was_known_narrows_them() -> None:
    swapped = {"losses": [0.88, 0.89], "optimizer": [0.90, 0.93]}
    alone, known = (slot_values(records([0.90, 0.92], swapped, noise), 0) for noise in (None, Noise(0.005, 8, 0.9)))
    widths = [one["losses"].high - one["losses"].low for one in (alone, known)]
    assert widths[1] < widths[0]


def test_a_slot_whose_run_failed_is_left_out_and_without_swaps_there_is_nothing() -> None:
    swapped = {"losses": [0.88, 0.89], "optimizer": [0.90, 0.93]}
    assert set(slot_values(records([0.9, 0.92], swapped, None, failed="optimizer"), 0)) == {"losses"}
    assert slot_values(records([0.9, 0.92], {}, None), 0) == {}
    assert slot_values(records([0.9], {"losses": [0.8]}, None), 0) == {}  # one seed and no noise: no interval
