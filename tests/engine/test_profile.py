"""The profile: seconds by part, and nothing at all where none was asked for."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest

from autokd.data import Dataset
from autokd.engine.profile import OFF, PARTS, Profile
from autokd.spec import make
from tests.engine.helpers import CPU, assert_same, context, pipeline, teacher, trained

KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr("autokd.engine.profile.time.perf_counter", found)
    return found


def test_seconds_add_up_by_part(clock: Clock) -> None:
    profile = Profile(CPU)
    for name, seconds in (("data", 2.0), ("forward", 1.0), ("data", 0.5)):
        with profile.part(name):
            clock.now += seconds
        clock.now += 10
    assert profile.seconds == {"data": 2.5, "forward": 1.0}


def test_a_part_that_fails_counts_too(clock: Clock) -> None:
    profile = Profile(CPU)
    with pytest.raises(ValueError, match="no"), profile.part("backward"):
        clock.now += 3
        raise ValueError("no")
    assert profile.seconds == {"backward": 3.0}


def test_off_measures_nothing_and_asks_no_clock(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: Any, name: str) -> None:
        raise AssertionError(f"{name} was measured")

    monkeypatch.setattr(Profile, "_measured", never)
    where = context(digits, teacher(digits.task))
    assert where.profile is OFF
    trained(where, pipeline(losses=KD), epochs=1)
    assert OFF.seconds == {} and Profile().part("data") is Profile().part("teacher")


def test_a_runs_parts_add_up_to_at_most_its_seconds_and_most_of_them(digits: Dataset) -> None:
    profile = Profile(CPU)
    where = dataclasses.replace(context(digits, teacher(digits.task)), profile=profile)
    spec = pipeline(losses=KD, augment=("crop_flip", {}), student=("cnn", {"layers": 3, "width": 16}))
    trained(where, spec, epochs=1)  # what is done once only, such as loading code
    profile.seconds.clear()
    began = time.perf_counter()
    result, _ = trained(where, spec, epochs=4)
    total = time.perf_counter() - began
    assert set(profile.seconds) == {"data", "teacher", "forward", "backward", "optimizer", "evaluate"} < set(PARTS)
    assert all(seconds > 0 for seconds in profile.seconds.values())
    assert 0.5 * total < sum(profile.seconds.values()) <= result.seconds <= total


def test_a_profile_changes_nothing(digits: Dataset) -> None:
    where, spec = context(digits, teacher(digits.task)), pipeline(losses=KD)
    plain, measured = (trained(w, spec) for w in (where, dataclasses.replace(where, profile=Profile(CPU))))
    assert_same((plain[0].curve, plain[1]), (measured[0].curve, measured[1]))
