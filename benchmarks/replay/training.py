"""Training of the recorded runs: one run to the horizon is scored at every rung, as it is and as its own average."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from autokd import data as autokd_data
from autokd import metrics
from autokd.batching import single
from autokd.data import Dataset
from autokd.declarations import Schedule
from autokd.engine.branch import train_branch
from autokd.engine.build import build_run, build_student
from autokd.engine.checkpoint import restore, take_checkpoint
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict
from autokd.engine.loop import train_epoch, train_rung
from autokd.engine.rung import Epoch, Rung
from autokd.engine.step import LiveRun
from autokd.engine.teacher_bank import TeacherBank
from autokd.networks.models import NetworkTeacher, seeded
from autokd.seeds import derive
from autokd.spec import PipelineSpec, component_from_plain, from_plain
from autokd.types import BuildContext, Split
from benchmarks.replay.crossing import Names, plain

VIEW_SEED = 0
WINDOW = 9.0
"""Exponent of the weight average: step t counts as (t / n) to this power after n steps, the last tenth most."""
WARMUP = 0.05
DECAY = 0.25
"""Length of the branch in which the learning rate falls to 0, as a share of the epochs before it."""


SHARES = (0.1, 0.25, 0.5)
"""Lengths of the side branches that are recorded, as shares of the epochs before them."""


class Setting(NamedTuple):
    """How a dataset is recorded.

    Args:
      pool: training images that are loaded before the parts are drawn; None: all.
      side: of the images in pixels; None: as they are.
      train, validation: sizes of the parts.
      rungs: epochs at the end of each rung.
      teacher_epochs: of the teacher, on the same training part.
    """

    pool: int | None
    side: int | None
    train: int
    validation: int
    rungs: tuple[int, ...]
    teacher_epochs: int


SETTINGS: Mapping[str, Setting] = {
    "digits": Setting(None, None, 500, 938, (2, 6, 18), 60),
    "fashion_mnist": Setting(5000, 14, 800, 2000, (1, 3, 9), 60),
}
TEACHER = {"use": "resnet", "depth": 8, "width": 24}


class Scored(NamedTuple):
    """A run at the end of a rung.

    Args:
      epochs: trained.
      score, average: validation accuracy of the network, and of the average of its weights.
      seconds: CPU time of the process from the start, scoring the network included.
      average_seconds: CPU time of averaging and scoring the average, from the start.
    """

    epochs: int
    score: float
    average: float
    seconds: float
    average_seconds: float


def load(dataset: str, data_dir: str | None) -> Dataset:
    """Return a dataset whose training and validation parts are small; the test split is not touched."""
    setting = SETTINGS[dataset]
    data = autokd_data.load(
        dataset, autokd_data.DataOptions(data_dir=data_dir, image_size=setting.side, limit_train=setting.pool)
    )
    inputs = torch.cat([single(data.train.inputs), single(data.validation.inputs)])
    labels = torch.cat([data.train.labels, data.validation.labels])
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, validation = order[: setting.train], order[setting.train :][: setting.validation]
    fingerprint = f"{data.task.fingerprint}, {len(train)} for the replay"
    return dataclasses.replace(
        data,
        task=dataclasses.replace(data.task, train_size=len(train), fingerprint=fingerprint),
        train=Split(inputs[train], labels[train]),
        validation=Split(inputs[validation], labels[validation]),
    )


def context(dataset: str, data_dir: str | None, teacher: Path) -> TrainContext:
    """Return data and teacher; the teacher is trained where its file is missing."""
    data = load(dataset, data_dir)
    with seeded(0):
        network = build_student(component_from_plain("students", TEACHER), data.task)
    if not teacher.exists():
        alone = TrainContext(data=data, teacher=None, device=torch.device("cpu"), bank=TeacherBank())
        spec = from_plain({**plain(Names("resnet8", "crop", "ce", "0.05")), "student": TEACHER})
        samples = SETTINGS[dataset].teacher_epochs * len(data.train)
        found, trained = train_rung(alone, spec, Rung(seed=0, view_seed=1, horizon=samples, until=samples))
        print(f"teacher: validation accuracy {found.score:.4f}", flush=True)
        torch.save(trained["student"], teacher)
    network.load_state_dict(torch.load(teacher, weights_only=True))
    made = NetworkTeacher([network], data.task, origin="benchmark")
    return TrainContext(data=data, teacher=made, device=torch.device("cpu"), bank=TeacherBank())


class Average:
    """Average of a network's weights and buffers whose window grows with the number of steps.

    Karras et al., CVPR 2024 (arXiv 2312.02696), section 3.1.

    Args:
      network: that is averaged.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._kept = [tensor.detach().clone() for tensor in self._tensors()]
        self._steps = 0
        self.seconds = 0.0

    def update(self, *_: Any) -> None:
        """Take the present weights in; an optimizer's hook after its step."""
        began = time.process_time()
        self._steps += 1
        share = 1 - (1 - 1 / self._steps) ** (WINDOW + 1)
        torch._foreach_lerp_(self._kept, [tensor.detach() for tensor in self._tensors()], share)
        self.seconds += time.process_time() - began

    def score(self, context: TrainContext) -> float:
        """Return the average's validation accuracy."""
        began = time.process_time()
        self._exchange()
        found = accuracy(self._network, context)
        self._exchange()
        self.seconds += time.process_time() - began
        return found

    def _tensors(self) -> list[Tensor]:
        return [t for t in (*self._network.parameters(), *self._network.buffers()) if t.is_floating_point()]

    @torch.no_grad()
    def _exchange(self) -> None:
        for kept, tensor in zip(self._kept, self._tensors(), strict=True):
            present = tensor.clone()
            tensor.copy_(kept)
            kept.copy_(present)


def accuracy(network: nn.Module, context: TrainContext) -> float:
    """Return a network's accuracy on the validation part."""
    logits = predict(network, context.validation_data)
    return metrics.accuracy(metrics.predictions(logits, context.data.validation.labels))


def train(context: TrainContext, names: Names, seed: int, rungs: Sequence[int]) -> Iterator[Scored]:
    """Train a pipeline to the last rung and yield what it is worth at each; `TrialFailure` where it does not train."""
    began = time.process_time()
    spec, size = from_plain(plain(names)), len(context.data.train)
    with seeded(derive(seed, "init"), context.device):
        run = build_run(context, spec, rungs[-1] * size)
        average = Average(run.student.network)
        run.student.optimizer.register_step_post_hook(average.update)
        for epoch in range(rungs[-1]):
            _epoch(context, spec, run, epoch, rungs[-1], seed)
            if epoch + 1 in rungs:
                score = accuracy(run.student.network, context)
                mean = average.score(context)
                seconds = time.process_time() - began - average.seconds
                yield Scored(epoch + 1, score, mean, seconds, average.seconds)


def train_decaying(context: TrainContext, names: Names, seed: int, rungs: Sequence[int]) -> Iterator[Scored]:
    """Train a pipeline at a constant rate and yield, at each rung, what a short branch with a falling rate is worth.

    Warm-up, stable, decay (Hu et al., COLM 2024, arXiv 2404.06395, section 4.2). At the last rung the branch lies
    inside the horizon, so that full lengths are equal; before it, the branch is thrown away and its cost counts. The
    seconds of a rung are those of the constant part before it, and of its own branch and the branches before.
    """
    began = time.process_time()
    spec, size = from_plain(plain(names)), len(context.data.train)
    horizon = rungs[-1]
    lengths = {rung: max(1, round(DECAY * rung)) for rung in rungs}
    with seeded(derive(seed, "init"), context.device):
        steady = dataclasses.replace(spec, schedule=Steady(begin=1.0, end=1.0))
        run = build_run(context, steady, horizon * size)
        for epoch in range(horizon - lengths[horizon] + 1):
            for rung in rungs:
                if epoch == (rung if rung < horizon else horizon - lengths[horizon]):
                    last = epoch + lengths[rung]
                    score = _branch(context, spec, take_checkpoint(run, epoch * size), (epoch, last, horizon), seed)
                    yield Scored(rung, score, score, time.process_time() - began, 0.0)
            _epoch(context, steady, run, epoch, horizon, seed)


class Branched(NamedTuple):
    """A run after an epoch.

    Args:
      epochs: trained.
      score: validation accuracy of the network.
      seconds: CPU time of training from the start, without scoring and branches.
      scoring: CPU time of scoring once.
      branches: at a rung below the top, by length: score: the accuracy at a side branch's end; seconds: its CPU time.
    """

    epochs: int
    score: float
    seconds: float
    scoring: float
    branches: Mapping[str, Mapping[str, float]]


def train_branches(context: TrainContext, names: Names, seed: int, rungs: Sequence[int]) -> Iterator[Branched]:
    """Train a pipeline as `train` does, with side branches at the rungs below the top, and yield it after every epoch.

    In a side branch the rate falls to 0; it is thrown away, and the run goes on as if it had not been. The run ends
    where it has taken as long as one to the rung below the top with its branches.
    """
    spec, size, seconds = from_plain(plain(names)), len(context.data.train), 0.0
    with seeded(derive(seed, "init"), context.device):
        began = time.process_time()
        run = build_run(context, spec, rungs[-1] * size)
        for epoch in range(math.ceil(rungs[-2] + max(SHARES) * sum(rungs[:-1]))):
            _epoch(context, spec, run, epoch, rungs[-1], seed)
            seconds += time.process_time() - began
            began = time.process_time()
            score = accuracy(run.student.network, context)
            scoring = time.process_time() - began
            branches: dict[str, dict[str, float]] = {}
            if epoch + 1 in rungs:
                kept = _cloned(take_checkpoint(run, (epoch + 1) * size))
                for share in SHARES:
                    until = (epoch + 1) * size
                    rung = Rung(seed=seed, view_seed=VIEW_SEED, horizon=rungs[-1] * size, until=until, branch=share)
                    began = time.process_time()
                    train_branch(context, spec, run, rung)
                    taken = time.process_time() - began
                    branches[str(share)] = {"score": accuracy(run.student.network, context), "seconds": taken}
                    restore(run, _cloned(kept))
            yield Branched(epoch + 1, score, seconds, scoring, branches)
            began = time.process_time()


def _branch(context: TrainContext, spec: PipelineSpec, start: Any, span: tuple[int, int, int], seed: int) -> float:
    """Train on a copy of a run while its rate falls to 0 between two epochs of a horizon; return its accuracy."""
    first, last, horizon = span
    falling = dataclasses.replace(spec, schedule=Steady(begin=first / horizon, end=last / horizon))
    run = build_run(context, falling, horizon * len(context.data.train))
    restore(run, {**start, "student": _copied(start["student"]), "optimizer": _cloned(start["optimizer"])})
    for epoch in range(first, last):
        _epoch(context, falling, run, epoch, horizon, seed)
    return accuracy(run.student.network, context)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def _cloned(state: Any) -> Any:
    if isinstance(state, Tensor):
        return state.clone()
    if isinstance(state, Mapping):
        return {key: _cloned(value) for key, value in state.items()}
    return [_cloned(value) for value in state] if isinstance(state, list) else state


@dataclass(frozen=True, kw_only=True)
class Steady:
    """A linear warm-up, a constant rate, and a linear fall to 0 between two shares of training."""

    declares = Schedule(name="steady")

    begin: float
    end: float

    def build(self, context: BuildContext) -> Callable[[float], float]:
        """Return the share of the peak learning rate at u, the share of training done."""

        def factor(u: float) -> float:
            rising = min(1.0, 0.01 + 0.99 * u / WARMUP)
            return (
                rising
                if u < self.begin or self.end <= self.begin
                else max(0.0, (self.end - u) / (self.end - self.begin))
            )

        return factor


def _epoch(context: TrainContext, spec: PipelineSpec, run: LiveRun, number: int, epochs: int, seed: int) -> None:
    train_epoch(context, spec, run, Epoch(number, epochs, seed, VIEW_SEED))
