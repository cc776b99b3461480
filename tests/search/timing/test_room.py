"""Samples that are too large for the memory are refused before anything is allocated; large ones are timed smaller."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch

from autokd.errors import NothingFeasible
from autokd.search.timing import measure, room
from autokd.search.timing.measure import Probe
from autokd.search.timing.samples import LARGE_SIDE, Sample, is_large, small_samples
from autokd.types import Split, Task

CPU = torch.device("cpu")
TASK = Task(dataset="photos", modality="image", input_shape=(3, 512, 512), classes=("a", "b"), train_size=16)


def pipelines(batch_size: int = 64) -> Iterator[Mapping[str, Any]]:
    yield {"student": {"use": "cnn", "layers": 2, "width": 8}, "batch_size": batch_size}


def test_what_a_step_needs_is_said_with_the_size_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda: 10**11)
    room.refuse_too_large(TASK, pipelines(), CPU)
    needed = 16 * room.kept_bytes(room.component_from_plain("students", next(pipelines())["student"]), TASK)
    monkeypatch.setattr(room, "free_memory", lambda: int(needed / room.BOUND_SHARE) + 1)
    room.refuse_too_large(TASK, pipelines(), CPU)
    monkeypatch.setattr(room, "free_memory", lambda: int(0.5 * needed))
    with pytest.raises(NothingFeasible, match=r"512 × 512 pixels needs at least .*choose --image-size 256"):
        room.refuse_too_large(TASK, pipelines(), CPU)
    room.refuse_too_large(TASK, pipelines(batch_size=4), CPU)
    room.refuse_too_large(dataclasses.replace(TASK, modality="table", input_shape=(9,)), pipelines(), CPU)
    monkeypatch.setattr(room, "free_memory", lambda: 1)
    with pytest.raises(NothingFeasible, match="a smaller --image-size or more memory is needed"):
        room.refuse_too_large(TASK, pipelines(), CPU)


def test_a_large_sample_is_timed_smaller_and_scaled_by_what_it_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    split = Split(torch.zeros(4, 3, 512, 512, dtype=torch.uint8), torch.tensor([0, 1, 0, 1]))
    data: Any = Sample(TASK, split, split)
    assert is_large(TASK) and not is_large(dataclasses.replace(TASK, input_shape=(3, LARGE_SIDE, LARGE_SIDE)))
    assert not is_large(dataclasses.replace(TASK, modality="table", input_shape=(512,)))
    small = small_samples(data, 3)
    assert small.task.input_shape == (3, LARGE_SIDE, LARGE_SIDE) and small.task.train_size == 3
    assert len(small.train) == 3 and small.train.labels.tolist() == [0, 1, 0]
    seen = []

    def seconds(probe: Probe, pipeline: Mapping[str, Any], sample: Sample, bank: Any) -> float:
        seen.append(sample.task.input_shape)
        return [9.0, 1.0, 3.0][len(seen) - 1]  # the first one is not warm

    monkeypatch.setattr(measure, "_seconds", seconds)
    probe = Probe(data=data, space=None, teacher=None, offers=None, device=CPU, threads=1, effort=None)  # type: ignore[arg-type]
    assert probe.sample_seconds(next(pipelines())) == pytest.approx(2.0 * 4, rel=0.01)
    assert set(seen) == {(3, LARGE_SIDE, LARGE_SIDE)}
