"""What a user asks of a search, and what the search tells back while it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from autokd.engine.teacher_bank import DEFAULT_BYTES
from autokd.errors import UserError
from autokd.metrics import METRICS


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for. None means: the space file's value, or the default.

    Args:
      dataset: a name, a path, arrays (X, y) or a torch Dataset.
      space: a shipped space's name, a path, or None for the dataset's own default.
      teacher: a reference, an nn.Module, or None to train one.
      trials: number of trials, baselines included.
      time: seconds that the whole search is to take, over all sessions; trials and epochs are fitted to it where
        they are not given.
      began: when they begin to count, by `time.monotonic`.
      max_params, max_macs, max_size, max_latency: the student's budget; bytes, and milliseconds of one sample.
      objective: names of metrics and costs, the most important first; see `autokd.objective`.
      epochs: of the top rung and of confirm.
      study: name of the study; by default the dataset's.
      studies_dir: where studies live.
      device: "auto", "cpu", "cuda" or "cuda:i".
      seed: the study's seed.
      data_options: fields of `autokd.data.DataOptions`, but for the seed.
      fresh: delete an existing study of this name first.
      bank_bytes: bound on the teacher outputs kept on disk.
      bank_features: also keep the teacher's feature maps.
      profile: measure where the time goes.
      workers: local processes that train rungs; None: this process trains them. Changes the speed alone.
      slots: rungs under way at a time; None: the study's own, or for a new one as many as workers.
      storage: URL of a database that mirrors the study; None: a journal file in its folder.
      max_failures: failed trials that stop the search; None: as many as may be.
      quick: a quarter of the trials where there is no time limit; two seeds, no grid and no ablation.
      train: the final training is part of the time.
    """

    dataset: Any = "digits"
    space: str | Path | None = None
    teacher: Any = None
    trials: int | None = None
    time: float | None = None
    max_params: float | None = None
    max_macs: float | None = None
    max_size: float | None = None
    max_latency: float | None = None
    objective: tuple[str, ...] | None = None
    epochs: int | None = None
    study: str | None = None
    studies_dir: Path = Path("studies")
    device: str = "auto"
    seed: int = 0
    data_options: Mapping[str, Any] = field(default_factory=dict)
    fresh: bool = False
    bank_bytes: float = DEFAULT_BYTES
    bank_features: bool = False
    profile: bool = False
    workers: int | None = None
    slots: int | None = None
    storage: str | None = None
    max_failures: int | None = None
    quick: bool = False
    train: bool = False
    began: float = field(default_factory=monotonic)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a search stands, for a progress display.

    Args:
      stage: "plan" (of the time), "teacher", "bank" (the plan of it), "screen", "explore" or "confirm".
      done, total: of the stage's units (epochs, students, trials, runs).
      best: best validation value so far of the first objective, or None.
      metric: that it is of; see `autokd.metrics`.
      failures: failed trials so far.
      note: what is going on, in a few words.
    """

    stage: str
    done: int
    total: int
    best: float | None = None
    metric: str = "accuracy"
    failures: int = 0
    note: str = ""


Notify = Callable[[Progress], None]


def epoch_progress(line: Mapping[str, Any]) -> Progress:
    """Return where full training stands.

    Args:
      line: of the curve, with "epochs", their number, and "objective", the metric that its score is of.
    """
    metric, score = METRICS[line["objective"]], line.get("score")
    reached = "" if score is None else f", validation {metric.text(metric.value(score))}"
    return Progress(stage="train", done=line["epoch"], total=line["epochs"], note=f"loss {line['loss']:.3f}{reached}")


def pick_device(name: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "cuda:i".

    Raises:
      UserError: no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: not a device; use auto, cpu, cuda or cuda:0") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"--device {name}: this machine has {torch.cuda.device_count()} CUDA device(s); use cpu or auto"
        )
    if device.type not in ("cpu", "cuda"):
        raise UserError(f"--device {name}: use auto, cpu, cuda or cuda:0")
    return device
