"""Samples that are too large for the memory are refused before anything is allocated; large ones are timed smaller."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from autokd.engine.memory import BOUND_SHARE
from autokd.errors import NothingFeasible
from autokd.networks.large import LARGE_SIDE, is_large
from autokd.networks.step_memory import kept_bytes
from autokd.search.timing import measure, room
from autokd.search.timing.measure import Probe
from autokd.search.timing.samples import Sample, small_samples
from autokd.spec import component_from_plain
from autokd.teaching.recipe import Effort
from autokd.types import Split, Task

TASK = Task(dataset="photos", modality="image", input_shape=(3, 512, 512), classes=("a", "b"), train_size=16)


HAND: Mapping[str, Any] = {"student": {"use": "cnn", "layers": 2, "width": 8}, "batch_size": 64}


def probe_of(data: Any, teacher: Any = "given") -> Probe:
    others: dict[str, Any] = {"space": None, "offers": None, "effort": Effort(1), "threads": 1}
    return Probe(data=data, teacher=teacher, device=torch.device("cpu"), **others)


def test_what_a_step_needs_is_said_with_the_size_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Probe, "recipe", lambda probe, distils: HAND)
    needed = kept_bytes(component_from_plain("students", HAND["student"]), TASK)
    probe = probe_of(SimpleNamespace(task=TASK))
    free = int(needed / BOUND_SHARE) + 1
    monkeypatch.setattr(room, "free_memory", lambda: free)
    room.refuse_too_large(probe)
    taught = probe_of(probe.data, teacher=None)  # its network is larger
    room.refuse_too_large(taught, timed=True)
    with pytest.raises(NothingFeasible, match=r"512 × 512 pixels needs at least .*choose --image-size"):
        room.refuse_too_large(taught)
    free = needed // 2
    with pytest.raises(NothingFeasible, match=r"512 × 512 pixels needs at least .*choose --image-size 256"):
        room.refuse_too_large(probe)
    free = 1
    with pytest.raises(NothingFeasible, match="a smaller --image-size or more memory is needed"):
        room.refuse_too_large(probe)
    room.refuse_too_large(probe_of(SimpleNamespace(task=dataclasses.replace(TASK, modality="table", input_shape=(9,)))))


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
    assert probe_of(data).sample_seconds(HAND) == pytest.approx(2.0 * 4, rel=0.01)
    assert set(seen) == {(3, LARGE_SIDE, LARGE_SIDE)}
