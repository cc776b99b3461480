"""What every schedule must do, and known values of each."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from autokd import catalog, spec
from autokd.ranges import Real
from autokd.testing import ScheduleSuite
from autokd.types import ANY, BuildContext, Task

NAMES = catalog.names("schedules")
CONTEXT = BuildContext(
    task=Task(dataset="synthetic", modality="image", input_shape=(3, 8, 8), classes=("a", "b"), train_size=10)
)
GRID = [i / 1000 for i in range(1001)]


def built(name: str, **values: Any) -> Callable[[float], float]:
    factor: Callable[[float], float] = catalog.load("schedules", name)(**values).build(CONTEXT)
    return factor


def warmups(name: str) -> list[float]:
    info = spec.fields_of(catalog.load("schedules", name))["warmup"]
    assert isinstance(info.range, Real)
    return [info.range.low, info.default, info.range.high]


class TestSchedules(ScheduleSuite):
    components = tuple(catalog.load("schedules", name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_is_for_any_data(name: str) -> None:
    assert catalog.load("schedules", name).declares.modalities == ANY


@pytest.mark.parametrize("name", NAMES)
def test_rises_to_the_peak_at_the_end_of_the_warmup_and_then_falls(name: str) -> None:
    for warmup in warmups(name):
        factor = built(name, warmup=warmup)
        values = [factor(u) for u in GRID]
        assert all(0 < value <= 1 for value in values)
        assert factor(warmup) == pytest.approx(1.0, abs=1e-12)
        rising = [value for u, value in zip(GRID, values, strict=True) if u <= warmup]
        falling = [value for u, value in zip(GRID, values, strict=True) if u >= warmup]
        assert all(a < b for a, b in itertools.pairwise(rising))
        assert all(a > b for a, b in itertools.pairwise(falling))


@pytest.mark.parametrize("name", NAMES)
def test_has_no_jump(name: str) -> None:
    for warmup in warmups(name):
        values = list(map(built(name, warmup=warmup), GRID))
        steepest = 1.6 / 1000 / max(min(warmup or 1.0, 1 - warmup), 1e-3)
        assert max(abs(a - b) for a, b in itertools.pairwise(values)) <= steepest


@pytest.mark.parametrize(
    ("name", "values", "u", "expected"),
    [
        ("cosine", {"warmup": 0.1, "final": 0.01}, 0.0, 0.01),
        ("cosine", {"warmup": 0.1, "final": 0.01}, 0.05, 0.505),
        ("cosine", {"warmup": 0.1, "final": 0.01}, 0.1, 1.0),
        ("cosine", {"warmup": 0.1, "final": 0.01}, 0.55, 0.505),
        ("cosine", {"warmup": 0.1, "final": 0.01}, 0.4, 0.01 + 0.99 * 0.75),
        ("cosine", {"warmup": 0.1, "final": 0.01}, 1.0, 0.01),
        ("cosine", {"warmup": 0.0, "final": 0.01}, 0.0, 1.0),
        ("one_cycle", {"warmup": 0.3, "div_factor": 25.0}, 0.0, 0.04),
        ("one_cycle", {"warmup": 0.3, "div_factor": 25.0}, 0.1, 0.28),
        ("one_cycle", {"warmup": 0.3, "div_factor": 25.0}, 0.15, 0.52),
        ("one_cycle", {"warmup": 0.3, "div_factor": 25.0}, 0.3, 1.0),
        ("one_cycle", {"warmup": 0.3, "final_div_factor": 1e4}, 0.65, 0.50005),
        ("one_cycle", {"warmup": 0.3, "final_div_factor": 1e4}, 1.0, 1e-4),
    ],
)
def test_known_values(name: str, values: dict[str, float], u: float, expected: float) -> None:
    assert built(name, **values)(u) == pytest.approx(expected, abs=1e-12)
