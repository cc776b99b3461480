"""Intervals of a claim's arms on test: over seeds and items, by the kept answers or without them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from autokd.study.answers import answers_file
from autokd.study.claim import Arm, Claim, SplitValues, arm_runs
from autokd.study.intervals import half_width
from autokd.study.means import TEACHER, means_of

SEEDS, ITEMS = 3, 400
RIGHT = {"alone": 0.6, "pick": 0.8}


def claim_of(tests: dict[str, list[float]], teacher: float | None = 0.9, metric: str = "accuracy") -> Claim:
    arms = tuple(
        Arm(
            name=name,
            kind=name,
            pipeline={"losses": {"ce": {}}},
            cost={},
            runs={"claim": arm_runs(range(len(v)), v, v)},
        )
        for name, v in tests.items()
    )
    return Claim(
        round=0, trials=3, trial=0, use="pick", comparators=(), evidence="fresh seeds", arms=arms, metric=metric,
        epochs=3, teacher=None if teacher is None else SplitValues(teacher, teacher), comparisons={},
        prediction_interval=None, gap_closed=None, n_test=ITEMS,
    )  # fmt: skip


def logits(right: np.ndarray) -> np.ndarray:
    """Answers on items of class 0 that are right where they are to be."""
    return np.stack([right, ~right], axis=1).astype(np.float16)


@pytest.fixture
def study(tmp_path: Path) -> tuple[Path, Claim, dict[str, np.ndarray]]:
    """A claim whose answers are kept: the harder the item, the fewer seeds are right, and the teacher with them."""
    rng = np.random.default_rng(0)
    ease = rng.random(ITEMS)
    right = {
        name: rng.random((SEEDS, ITEMS)) < np.clip(share + 0.6 * (ease - 0.5), 0, 1) for name, share in RIGHT.items()
    }
    teacher = ease > 0.1
    kept = {"labels/test": np.zeros(ITEMS, dtype=np.int64), "teacher/test": logits(teacher)}
    kept |= {f"{name}/{i}/test": logits(made[i]) for name, made in right.items() for i in range(SEEDS)}
    file = answers_file(tmp_path, 0)
    file.parent.mkdir()
    save_file(kept, file)
    tests = {name: [float(run.mean()) for run in made] for name, made in right.items()}
    return tmp_path, claim_of(tests, float(teacher.mean())), {**right, TEACHER: teacher[None]}


def test_the_error_of_a_mean_has_the_part_of_seeds_and_that_of_items(
    study: tuple[Path, Claim, dict[str, np.ndarray]],
) -> None:
    path, claim, right = study
    mean = means_of(path, claim).of("pick")
    assert mean is not None
    by_seed = np.mean([np.var(right[name].mean(axis=1), ddof=1) for name in RIGHT])
    by_item = np.var(right["pick"].mean(axis=0), ddof=1) / ITEMS
    margin = half_width(2 * (SEEDS - 1)) * math.sqrt(by_seed / SEEDS + by_item)
    assert mean.value == pytest.approx(right["pick"].mean())
    assert (mean.low, mean.high) == pytest.approx((mean.value - margin, mean.value + margin))


def test_a_difference_to_the_teacher_is_paired_over_items(study: tuple[Path, Claim, dict[str, np.ndarray]]) -> None:
    path, claim, right = study
    means = means_of(path, claim)
    found, pick, teacher = means.difference(TEACHER, "pick"), means.of("pick"), means.of(TEACHER)
    assert found is not None and pick is not None and teacher is not None
    assert found.value == pytest.approx(right[TEACHER].mean() - right["pick"].mean()) and found.tells()
    apart = math.hypot(pick.high - pick.value, teacher.high - teacher.value)
    assert found.high - found.value < apart, "what is hard for both does not blur their difference"


def test_the_gap_that_was_closed_has_an_interval_that_holds_it(
    study: tuple[Path, Claim, dict[str, np.ndarray]],
) -> None:
    path, claim, right = study
    share = means_of(path, claim).gap_closed("pick", "alone")
    assert share is not None and share.low < share.value < share.high
    alone, pick, teacher = (right[name].mean() for name in ("alone", "pick", TEACHER))
    assert share.value == pytest.approx((pick - alone) / (teacher - alone))
    no_gap = dataclasses.replace(claim, teacher=SplitValues(0.5, 0.5))
    assert means_of(path, no_gap).gap_closed("pick", "alone") is None


def test_without_answers_a_share_has_the_error_of_coins_and_no_difference(tmp_path: Path) -> None:
    means = means_of(tmp_path, claim_of({"pick": [0.8, 0.8], "alone": [0.6, 0.6]}))
    mean = means.of("pick")
    assert mean is not None
    margin = half_width(2) * math.sqrt(0.8 * 0.2 / ITEMS)
    assert (mean.low, mean.high) == pytest.approx((0.8 - margin, 0.8 + margin))
    assert means.difference("pick", "alone") is None and means.gap_closed("pick", "alone") is None
    assert means.of("hand") is None


def test_other_metrics_take_bootstrap_samples(study: tuple[Path, Claim, dict[str, np.ndarray]]) -> None:
    path, claim, _ = study
    means = means_of(path, dataclasses.replace(claim, metric="log_loss"))
    mean, found = means.of("pick"), means.difference("pick", "alone")
    assert mean is not None and mean.low < mean.value < mean.high
    assert found is not None and found.low < found.value < found.high
