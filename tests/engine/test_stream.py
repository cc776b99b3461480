"""Data that stay on the host and are streamed: the same batches as from the device."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from autokd.batching import single
from autokd.data import Dataset
from autokd.engine import views
from autokd.engine.views import PREFETCH, DeviceData, Fetched, augmented_view, fetch, raw_view, to_device
from autokd.spec import make
from autokd.types import BuildContext, Rows
from tests.engine.helpers import CPU, assert_same, context, pipeline, teacher, trained

KD = {"ce": make("losses", "ce", {}), "kd": make("losses", "kd", {})}


class Streamed(DeviceData):
    """Data in memory that are treated as those of another device."""

    @property
    def streamed(self) -> bool:
        return True


def streamed(data: DeviceData) -> Streamed:
    return Streamed(*data)


def batches_of(size: int, count: int) -> tuple[Tensor, ...]:
    order: tuple[Tensor, ...] = torch.randperm(size, generator=torch.Generator().manual_seed(3)).tensor_split(count)
    return order


@pytest.fixture
def memory_mapped(digits: Dataset, tmp_path: Path) -> Dataset:
    """Digits whose training images lie in a file."""
    path = tmp_path / "images.npy"
    np.save(path, single(digits.train.inputs).numpy())
    mapped = np.load(path, mmap_mode="r+")
    assert isinstance(mapped, np.memmap)
    return dataclasses.replace(digits, train=dataclasses.replace(digits.train, inputs=torch.from_numpy(mapped)))


@pytest.mark.parametrize("name", ["none", "crop_flip", "mixup", "cutmix"])
def test_streamed_batches_are_those_of_the_device(memory_mapped: Dataset, digits: Dataset, name: str) -> None:
    resident = to_device(digits.train, digits.task, CPU)
    hosted = streamed(to_device(memory_mapped.train, memory_mapped.task, CPU))
    augment = make("augments", name, {}).build(BuildContext(task=digits.task))
    rows = augment.draw(torch.Generator().manual_seed(1), 129, 0.2)
    batches = batches_of(129, 11)
    pairs = list(zip(fetch(resident, rows, batches), fetch(hosted, rows, batches), strict=True))
    assert len(pairs) == 11
    for expected, (one, other) in zip(batches, pairs, strict=True):
        assert torch.equal(one.index, expected) and torch.equal(
            single(one.inputs), single(digits.train.inputs)[expected]
        )
        assert_same(vars(one), vars(other))
        assert_same(augmented_view(resident, augment, rows, one), augmented_view(hosted, augment, rows, other))
    mixes = name in ("mixup", "cutmix")
    assert all((one.partner is not None) == mixes for one, _ in pairs)


def test_a_run_on_streamed_data_is_bit_identical(
    digits: Dataset, memory_mapped: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = pipeline(augment=("mixup", {}), losses=KD)
    resident = trained(context(digits, teacher(digits.task)), spec)
    taken: list[int] = []

    def counted(*arguments: Any) -> Any:
        for fetched in real(*arguments):
            taken.append(len(fetched.index))
            yield fetched

    real = views._streamed
    monkeypatch.setattr(views, "_streamed", counted)
    monkeypatch.setattr("autokd.engine.context.to_device", lambda *arguments: streamed(to_device(*arguments)))
    hosted = trained(context(memory_mapped, teacher(digits.task)), spec)
    assert taken == 2 * [129, 26, 26, 26, 26, 25]  # each epoch: the teacher's block, then the batches
    assert_same((hosted[0].curve, hosted[1]), (resident[0].curve, resident[1]))


def test_raw_views_of_streamed_data(digits: Dataset) -> None:
    resident = to_device(digits.train, digits.task, CPU)
    for index in (torch.tensor([5, 2]), slice(3, 9)):
        assert_same(raw_view(streamed(resident), index), raw_view(resident, index))


class Counting:
    """A table of inputs that counts the batches taken from it, and can wait, or fail."""

    def __init__(self, inputs: Tensor, before: Callable[[int], None] = lambda taken: None) -> None:
        self.inputs = inputs
        self.before = before
        self.taken = 0
        self.threads: set[str] = set()

    def __getitem__(self, index: Tensor) -> Tensor:
        self.before(self.taken)
        self.taken += 1
        self.threads.add(threading.current_thread().name)
        return self.inputs[index]


def stream(inputs: Counting, rows: Rows, batches: Sequence[Tensor]) -> Any:
    labels = torch.zeros(len(inputs.inputs), dtype=torch.int64)
    data = Streamed(inputs, labels, torch.zeros(1), torch.zeros(1), torch.ones(1))  # type: ignore[arg-type]
    return fetch(data, rows, batches)


def test_only_a_few_batches_are_gathered_ahead_in_another_thread() -> None:
    inputs = Counting(torch.arange(40.0))
    batches = torch.arange(40).tensor_split(20)
    stream_of = stream(inputs, {}, batches)
    first: Fetched = next(stream_of)
    assert single(first.inputs).tolist() == [0.0, 1.0]
    stream_of.close()
    assert inputs.taken == PREFETCH + 1
    assert threading.current_thread().name not in inputs.threads
    assert [thread for thread in threading.enumerate() if thread.name in inputs.threads] == []


def test_what_goes_wrong_while_gathering_is_raised_in_its_place() -> None:
    def fails(taken: int) -> None:
        if taken == 2:
            raise OSError("the file is gone")

    found = stream(Counting(torch.arange(40.0), fails), {}, torch.arange(40).tensor_split(20))
    assert [single(next(found).inputs).tolist() for _ in range(2)] == [[0.0, 1.0], [2.0, 3.0]]
    with pytest.raises(OSError, match="the file is gone"):
        next(found)


def test_data_that_do_not_fit_stay_on_the_host(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    images = single(digits.train.inputs)
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * images.numel(), 10**12))
    assert views._fits(images, cuda) and views._fits(images.float(), CPU)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2 * images.numel() - 1, 10**12))
    assert not views._fits(images, cuda)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_streamed_to_a_gpu(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = torch.device("cuda")
    resident = to_device(digits.train, digits.task, cuda)
    monkeypatch.setattr(views, "_fits", lambda inputs, device: False)
    hosted = to_device(digits.train, digits.task, cuda)
    assert not resident.streamed and hosted.streamed and not single(hosted.inputs).is_cuda
    rows = {"partner": torch.randperm(129)}
    batches = batches_of(129, 6)
    for one, other in zip(fetch(resident, rows, batches), fetch(hosted, rows, batches), strict=True):
        assert single(other.inputs).is_cuda
        assert_same(vars(one), vars(other))
