"""What another process needs so that it can train the jobs of a search, as plain data, and its way back."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch

from autokd import catalog
from autokd.data import load_again, with_finer
from autokd.engine.artefacts import Artefacts
from autokd.engine.context import TrainContext
from autokd.engine.memory import keep_freed_memory
from autokd.engine.profile import Profile
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import AutokdError
from autokd.files import as_plain
from autokd.teaching.taught import load_described

MEMORY_SHARE = 0.9
"""Of the machine's memory that all workers together may take."""


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What a worker is told before its first job.

    Args:
      data, data_fingerprint: reference and content of the data.
      teacher, teacher_fingerprint: of the teacher, or None.
      device, threads: that rungs compute on.
      memory: bytes that it may take, or None.
      bank: folder, bound in bytes, and whether it keeps feature maps.
      parts: of the teacher's outputs that losses may read beside the logits.
      metric: that a rung's score is.
      views: of each sample under a policy; see `autokd.engine.context.TrainContext`.
      artefacts: folder of what components have prepared, or None.
      plugins: files of components.
      profile: measure where the time goes.
      index: the worker's own number.
    """

    data: Mapping[str, Any]
    data_fingerprint: str
    teacher: Mapping[str, Any] | None
    teacher_fingerprint: str | None
    device: str
    threads: int
    memory: int | None
    bank: Mapping[str, Any]
    parts: Sequence[str]
    metric: str
    views: int
    artefacts: str | None
    plugins: Sequence[str]
    profile: bool
    index: int = 0


def make_setup(
    context: TrainContext, teacher_reference: Mapping[str, Any], *, threads: int, workers: int
) -> dict[str, Any]:
    """Return how to load again what this process has loaded, as JSON-able data.

    Args:
      context: data, teacher and device of this process.
      teacher_reference: where its teacher comes from.
      threads: that a rung computes on.
      workers: processes that share the machine's memory.
    """
    bank, teacher = context.bank, context.teacher
    setup: dict[str, Any] = as_plain(
        {
            "data": context.data.reference,
            "data_fingerprint": context.data.task.fingerprint,
            "teacher": None if teacher is None else teacher_reference,
            "teacher_fingerprint": None if teacher is None else teacher.fingerprint,
            "device": str(context.device),
            "threads": threads,
            "memory": int(MEMORY_SHARE * psutil.virtual_memory().total / workers),
            "bank": {"folder": bank.folder, "max_bytes": bank.max_bytes, "features": bank.features},
            "parts": sorted(context.parts),
            "metric": context.metric,
            "views": context.views,
            "artefacts": context.artefacts.folder,
            "plugins": catalog.plugin_files(),
            "profile": context.profile.is_on,
        }
    )
    return setup


def load_context(setup: Mapping[str, Any], alive: Callable[[], None]) -> TrainContext:
    """Load what all jobs share: the inverse of `make_setup`.

    Args:
      setup: what `make_setup` returned, with the worker's own number as "index".
      alive: called at every batch.

    Raises:
      AutokdError: the data or the teacher is gone, or is no longer what it was.
    """
    wanted = WorkerSetup(**setup)
    torch.set_num_threads(wanted.threads)
    for path in wanted.plugins:
        catalog.load_plugins(path)
    device = _device(wanted.device, wanted.index)
    if device.type == "cpu":
        keep_freed_memory()
        _bound_memory(wanted.memory)
    data = load_again(wanted.data)
    if data.task.fingerprint != wanted.data_fingerprint:
        raise AutokdError("the data have changed since the search began")
    teacher = None if wanted.teacher is None else load_described(wanted.teacher, data, device)
    if teacher is not None and teacher.fingerprint != wanted.teacher_fingerprint:
        raise AutokdError("the teacher has changed since the search began")
    bank = wanted.bank
    return TrainContext(
        data=with_finer(data, teacher),
        teacher=teacher,
        device=device,
        bank=TeacherBank(Path(bank["folder"]), bank["max_bytes"], features=bank["features"]),
        parts=frozenset(wanted.parts),
        profile=Profile(device if wanted.profile else None),
        alive=alive,
        metric=wanted.metric,
        views=wanted.views,
        artefacts=Artefacts(None if wanted.artefacts is None else Path(wanted.artefacts)),
    )


def _device(name: str, index: int) -> torch.device:
    """The worker's own GPU where "cuda" means any of several; else the device itself."""
    return torch.device("cuda", index % torch.cuda.device_count()) if name == "cuda" else torch.device(name)


def _bound_memory(most: int | None) -> None:
    """Let allocations beyond a bound fail, so that a job that wants too much fails alone."""
    if most is not None and platform.system() == "Linux":
        import resource  # it exists on Unix alone

        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))
