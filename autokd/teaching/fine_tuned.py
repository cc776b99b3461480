"""A pretrained network as a teacher of the data's classes: its head is fitted first, then all of it is trained.

The head is a logistic regression on what the network without it answers, which is computed once: the backbone does not
change, so that this is exact. Then the whole network trains from there, at rates below those of a training from
scratch, with weight decay and the light augmentation of default teachers (transfer as in Kornblith et al., CVPR 2019,
section 3; head before backbone as in Kumar et al., ICLR 2022, arXiv 2202.10054, section 4). Rate, augmentation and
length are chosen on validation; test is never read. The teacher is kept in the user's cache by content.
"""

from __future__ import annotations

import json
import logging
import math
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from autokd.data import Dataset, with_finer
from autokd.engine.checkpoint import load_state, save_state
from autokd.files import CACHE_REMEDY, cache_dir, write_tensors, write_text
from autokd.locks import waited_for
from autokd.networks.bare import Bare, FromFile, begin
from autokd.networks.models import NetworkTeacher, state_fingerprint
from autokd.networks.reference import to_component
from autokd.spec import fingerprint
from autokd.teaching.new_head import fit_head
from autokd.teaching.recipe import Effort
from autokd.teaching.sentences import line as said_of
from autokd.teaching.whole_network import BATCH, DECAY, RATES, Runs, policies_of, sees_more, short_of
from autokd.types import Task

log = logging.getLogger("autokd")

FORMAT = 1
KEY = "fine_tune"
"""Of a teacher's plain reference, with the length of its fine-tuning."""
SHORTER = 3
"""Fine-tuning takes a third of the epochs of a default teacher: it need not find the features."""
LEAST_STEPS = 500
"""Steps that it takes at least, as long as that is no longer than a default teacher's training (Kolesnikov et al., ECCV
2020, arXiv 1912.11370, section 3.3)."""


class Told(NamedTuple):
    """Whom to tell how far a training is.

    Args:
      epoch: called with (epochs done, epochs in all).
      wait: called again and again while another process trains the same; what it raises ends the wait.
    """

    epoch: Callable[[int, int], None]
    wait: Callable[[], None]


class FineTuned(NamedTuple):
    """A fine-tuned teacher, and how it came out, in a line."""

    teacher: NetworkTeacher
    line: str


def full_epochs(default: int, samples: int) -> int:
    """Return the full length of fine-tuning in epochs.

    Args:
      default: that of a default teacher.
      samples: to train on.

    >>> full_epochs(30, 100_000), full_epochs(30, 1000), full_epochs(30, 100)
    (10, 16, 30)
    """
    return min(default, max(1, default // SHORTER, math.ceil(LEAST_STEPS / math.ceil(samples / BATCH))))


def compared(task: Task) -> int:
    """Return how many short runs come before the full one."""
    return len(RATES) + len(policies_of(task)) - 1


def reference(base: Mapping[str, Any], effort: Effort) -> dict[str, Any]:
    """Return the plain reference of a fine-tuned teacher, given that of the pretrained network."""
    return {**base, KEY: {"epochs": effort.epochs}}


def obtain(described: Mapping[str, Any], data: Dataset, device: torch.device, told: Told) -> FineTuned:
    """Return a fine-tuned teacher: from the cache, or trained now.

    Args:
      described: its plain reference.
      data: the dataset; its test split is never read here.
      device: where to train, and where it answers.
      told: progress; called only where it trains.

    Raises:
      TeacherError: the pretrained network cannot be loaded.
      UserError: nothing can be kept in the cache.
    """
    base, epochs = {name: value for name, value in described.items() if name != KEY}, int(described[KEY]["epochs"])
    component = to_component(base)
    content = {name: value for name, value in base.items() if name != "file"}
    recipe = [RATES, DECAY, BATCH, policies_of(data.task)]
    key = fingerprint([KEY, FORMAT, data.task.fingerprint, content, recipe, epochs])
    folder, part, lock = (cache_dir("teachers") / f"{key}{end}" for end in ("", ".part", ".lock"))
    with waited_for(lock, "fine-tunes this teacher", CACHE_REMEDY, told.wait):
        found = _found(folder, component, data)
        if found is None:
            facts, state = _train(begin(component, data.task), data, epochs, device, told, part)
            write_tensors(folder / "teacher.safetensors", state)
            write_text(folder / "teacher.json", json.dumps(facts._asdict()))
            shutil.rmtree(part, ignore_errors=True)
            found = _load(folder, component, data)
        return found._replace(teacher=found.teacher.to(device))


class _Facts(NamedTuple):
    """What `teacher.json` says.

    Args:
      format: `FORMAT`.
      weights: fingerprint of the network's state.
      head: share of validation that is right with a new head alone; None: it could not be fitted alone.
      whole: the same of the whole network trained; None: its training diverged.
      epoch, epochs: of which the weights are, and full length.
      learning_rate: peak.
      augment: plain.
      seconds: of all training.
    """

    format: int
    weights: str
    head: float | None
    whole: float | None
    epoch: int
    epochs: int
    learning_rate: float
    augment: Mapping[str, Any]
    seconds: float

    def __str__(self) -> str:
        head = "not fitted alone" if self.head is None else f"{100 * self.head:.1f} %"
        whole = "diverged" if self.whole is None else f"{100 * self.whole:.1f} %"
        kept = f"epoch {self.epoch} of {self.epochs}" if self.epoch else "the head alone is kept"
        rate = f"{self.learning_rate:.0e}".replace("e-0", "e-")
        return f"head {head}, whole {whole} on validation, {kept}, learning rate {rate}, {self.seconds:.0f} s"


def _found(folder: Path, component: FromFile, data: Dataset) -> FineTuned | None:
    """The teacher kept in a folder; None where there is none, or it is damaged."""
    if not (folder / "teacher.json").is_file():
        return None
    try:
        return _load(folder, component, data)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        log.warning("the teacher kept in %s is damaged (%s); fine-tuning it again", folder, why)
        shutil.rmtree(folder)
        return None


def _load(folder: Path, component: FromFile, data: Dataset) -> FineTuned:
    facts = _Facts(**json.loads((folder / "teacher.json").read_text(encoding="utf-8")))
    state = load_file(folder / "teacher.safetensors")
    if state_fingerprint(state) != facts.weights:
        raise ValueError("teacher.safetensors holds other weights than those written")
    bare = begin(component, data.task)
    bare.network.load_state_dict(state)
    teacher = bare.frozen(data.task)
    teacher.origin = f"{bare.source}, fine-tuned by autokd"
    finer = sees_more(data, bare.form.size)
    return FineTuned(teacher, said_of(teacher, data.task, teacher.frozen, {}, f"fine-tuned: {facts}", finer=finer))


class _Head(NamedTuple):
    """What is kept of a fitted head: its score, and the state of the network with it."""

    score: float | None
    network: Mapping[str, Tensor]


def _fitted_head(bare: Bare, data: Dataset, device: torch.device, part: Path) -> float | None:
    """Fit the head, or take it up as it was before a kill; return its score."""
    teacher = bare.frozen(data.task).to(device)
    found = load_state(part / "head.pt", device)
    if found is None:
        score = fit_head(bare.network, teacher, with_finer(data, teacher), device)
        save_state(part / "head.pt", _Head(score, bare.network.state_dict())._asdict())
        return score
    head = _Head(**found)
    bare.network.load_state_dict(head.network)
    return head.score


def _train(
    bare: Bare, data: Dataset, epochs: int, device: torch.device, told: Told, part: Path
) -> tuple[_Facts, Mapping[str, Tensor]]:
    """Fit the head, choose rate and augmentation in short runs, train the whole network; keep what is best."""
    spent, began, task = part / "seconds", time.monotonic(), data.task
    before = float(spent.read_text()) if spent.exists() else 0.0
    total = compared(task) * short_of(epochs) + epochs
    done = 0
    told.epoch(done, total)

    def tell() -> None:
        nonlocal done
        done += 1
        write_text(spent, f"{before + time.monotonic() - began}")
        told.epoch(done, total)

    head = _fitted_head(bare, data, device, part)
    runs = Runs(bare, data, device, tell, part)
    rate, augment = runs.choose(short_of(epochs))
    trained = runs.train(rate, augment, epochs)
    bare.network.cpu()
    best = trained if trained is not None and (head is None or trained.score > head) else None
    state = bare.network.state_dict() if best is None else runs.state_of(best)
    facts = _Facts(
        format=FORMAT,
        weights=state_fingerprint(state),
        head=head,
        whole=None if trained is None else trained.score,
        epoch=0 if best is None else best.epoch,
        epochs=epochs,
        learning_rate=rate,
        augment=augment,
        seconds=before + time.monotonic() - began,
    )
    return facts, state
