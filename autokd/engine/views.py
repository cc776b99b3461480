"""The data, on the device or streamed to it, and the augmented views of it.

A view depends on the epoch's table of augmentation parameters and the sample alone, so teacher and student always see
the same one, whoever computes it and when.
"""

from __future__ import annotations

import functools
import hashlib
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from autokd import batching, imaging
from autokd.errors import ComponentError
from autokd.input_values import Feed
from autokd.networks.inputs import feed_of
from autokd.spec import component_to_plain, fingerprint
from autokd.types import Augment, Inputs, Output, Rows, SampleTeacher, Split, Task, Teacher, View

DEVICE_SHARE = 0.5
"""Share of a device's free memory that a split may take; a larger one stays on the host and is streamed."""
PREFETCH = 3
"""Batches prepared ahead of the device where data are streamed."""


class DeviceData(NamedTuple):
    """A split, with what brings it to a network.

    Args:
      inputs: N samples, as stored; on the device where they fit, else on the host, where they may be lazy: see
        `autokd.lazy`.
      labels: [N] int64, on the device.
      targets: [N, C] float32 class probabilities, on the device.
      feed: from stored samples to a network's inputs.
      constants: of the feed, on the device.
      ids: [N] int64, on the device, by which a teacher may know the samples; None: it cannot.
      finer: the samples as the teacher sees them where that is more than the student does, on the host; see `Split`.
    """

    inputs: Inputs
    labels: Tensor
    targets: Tensor
    feed: Feed
    constants: Mapping[str, Tensor]
    ids: Tensor | None = None
    finer: Inputs | None = None

    @property
    def of_teacher(self) -> DeviceData:
        """The split as the teacher sees it."""
        return self if self.finer is None else self._replace(inputs=self.finer)

    @property
    def streamed(self) -> bool:
        """Whether inputs have to be read, or brought to the device, batch by batch."""
        return batching.is_lazy(self.inputs) or batching.device_of(self.inputs) != self.labels.device


def to_device(split: Split, task: Task, device: torch.device) -> DeviceData:
    """Bring a split to the device; inputs that do not fit stay on the host."""
    feed = feed_of(task)
    labels = split.labels.to(device)
    return DeviceData(
        inputs=batching.to(split.inputs, device) if _fits(split.inputs, device) else split.inputs,
        labels=labels,
        targets=one_hot(labels, task.num_classes).float(),
        feed=feed,
        constants={name: constant.to(device) for name, constant in feed.constants.items()},
        ids=None if split.ids is None else split.ids.to(device),
        finer=split.finer,
    )


def _fits(inputs: Inputs, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return batching.nbytes(inputs) <= DEVICE_SHARE * free


@dataclass(frozen=True)
class Fetched:
    """Samples of a batch, on the device, as stored.

    Args:
      index: [B] int64, rows of the split.
      inputs: B samples as stored.
      partner: [B] int64 and partner_inputs like inputs, where the policy mixes samples; else None.
    """

    index: Tensor
    inputs: Inputs
    partner: Tensor | None = None
    partner_inputs: Inputs | None = None


def fetch(data: DeviceData, rows: Rows, batches: Sequence[Tensor]) -> Iterator[Fetched]:
    """Yield batches of samples on the device.

    Args:
      data: the split.
      rows: the epoch's table as drawn, on the CPU.
      batches: indices of each batch, int64, on the CPU.
    """
    partners = rows.get("partner")
    if not data.streamed:
        device = data.labels.device
        on_device = None if partners is None else partners.to(device, non_blocking=True)
        everything = torch.cat(list(batches)).to(device, non_blocking=True)
        for index in torch.split(everything, [len(batch) for batch in batches]):
            own = batching.take(data.inputs, index)
            if on_device is None:
                yield Fetched(index, own)
            else:
                partner = on_device[index]
                yield Fetched(index, own, partner, batching.take(data.inputs, partner))
        return
    yield from _streamed(data, partners, batches)


def _streamed(data: DeviceData, partners: Tensor | None, batches: Sequence[Tensor]) -> Iterator[Fetched]:
    """Gather batches on the host in a thread, a few ahead, and copy them without waiting."""
    device = data.labels.device
    pin = device.type == "cuda"

    def gather(index: Tensor) -> list[tuple[Tensor, Inputs]]:
        indices = [index] if partners is None else [index, partners[index]]
        pairs = [(i, batching.take(data.inputs, i)) for i in indices]
        return [(i.pin_memory(), batching.pin(inputs)) for i, inputs in pairs] if pin else pairs

    def bring(pairs: list[tuple[Tensor, Inputs]]) -> Fetched:
        moved = [(i.to(device, non_blocking=True), batching.to(own, device, non_blocking=True)) for i, own in pairs]
        return Fetched(*moved[0]) if len(moved) == 1 else Fetched(*moved[0], *moved[1])

    waiting = iter(batches)
    with ThreadPoolExecutor(max_workers=1) as thread:
        ahead: deque[Future[list[tuple[Tensor, Inputs]]]] = deque()
        for index in waiting:
            ahead.append(thread.submit(gather, index))
            if len(ahead) > PREFETCH:
                yield bring(ahead.popleft().result())
        while ahead:
            yield bring(ahead.popleft().result())


def raw_view(data: DeviceData, index: Tensor | slice) -> View:
    """Return samples on the device, as augmentation would see them: not augmented, not normalised."""
    where = index if isinstance(index, slice) or not data.streamed else index.cpu()
    stored = batching.to(batching.take(data.inputs, where), data.labels.device)
    return View(data.feed.to_view(stored), data.targets[index])


def augmented_view(data: DeviceData, augment: Augment, rows: Rows, fetched: Fetched) -> View:
    """Return the samples' views of this epoch, not yet normalised.

    Args:
      data: the training split.
      augment: the policy.
      rows: the epoch's table, tensors [N, …] on the device.
      fetched: the batch.
    """
    own = {name: column[fetched.index] for name, column in rows.items()}
    view = View(data.feed.to_view(fetched.inputs), data.targets[fetched.index])
    if fetched.partner is None or fetched.partner_inputs is None:
        return augment.apply(view, own, None, None)
    partner_rows = {name: column[fetched.partner] for name, column in rows.items()}
    partner = View(data.feed.to_view(fetched.partner_inputs), data.targets[fetched.partner])
    return augment.apply(view, own, partner, partner_rows)


def ask(teacher: Teacher, data: DeviceData, index: Tensor | slice, inputs: Inputs) -> Output:
    """Return what a teacher says of some samples of a split.

    Args:
      teacher: one that answers about samples as they are is asked by their ids.
      data: the split.
      index: [B] int64 on the device, or a slice: which of it.
      inputs: their views, normalised.

    Raises:
      ComponentError: it answers about the samples of a dataset, and these are of none.
    """
    if teacher.offers.views:
        return teacher.predict(inputs)
    if data.ids is None:
        raise ComponentError(f"{teacher.origin} answers about the samples of its dataset alone, and these are made up")
    return cast(SampleTeacher, teacher).answer(data.ids[index], inputs)


def normalise(data: DeviceData, inputs: Inputs) -> Inputs:
    """Return augmented samples as a network takes them."""
    return data.feed.to_network(inputs, data.constants)


def rows_key(rows: Rows) -> str:
    """Return 16 hex digits that identify an epoch's table: equal tables make equal views."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(rows):
        column = rows[name].contiguous()
        digest.update(f"{name}{tuple(column.shape)}{column.dtype}".encode())
        digest.update(column.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def policy_key(augment: Any) -> str:
    """Return 16 hex digits that identify a policy and the version of the code that applies it.

    Args:
      augment: the component.
    """
    code = _code_of(sys.modules[type(augment).__module__].__file__, imaging.__path__[0])
    return fingerprint([component_to_plain(augment), code, torch.__version__])


@functools.cache  # what a process runs does not change, and every epoch asks
def _code_of(own: str | None, images: str) -> list[str]:
    """Hashes of a component's file and of those of the image operations."""
    files = [*([] if own is None else [Path(own)]), *sorted(Path(images).glob("*.py"))]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
