"""Hand-made records, executors that answer at once, searches in processes of their own, for the search's tests."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial

from autokd import catalog
from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.teacher_bank import TeacherBank
from autokd.execution.executor import Outcome, RungJob
from autokd.files import write_tensors
from autokd.networks.models import NetworkTeacher, seeded
from autokd.ranges import Choice, Integer, Range, Real
from autokd.search.explore.explorer import Explorer
from autokd.search.explore.propose import Proposer
from autokd.space import Drawn, Space, parse
from autokd.spec import component_from_plain, fingerprint, make
from autokd.study.choice import ScreenedStudent
from autokd.study.records import RecordLog, Records, RungRecord, TrialRecord
from autokd.study.store import StudyStore
from autokd.types import Draw, RungResult, Shapes, Task

CPU = torch.device("cpu")
EPOCHS = (1, 2, 4)

SPACE = """
description: Tiny students for the tests.
constraints: {params: 4000}
student:
  one_of:
    cnn: {width: {int: [3, 12]}, layers: {int: [1, 2]}}
augment:
  one_of:
    none: {}
    mixup: {alpha: {choice: [0.1, 0.2, 0.4]}, padding: 0.0, flip: false}
losses:
  always: {ce: {}}
  any_of: {at_most: 2, from: {kd: {}, hint: {}}}
optimizer:
  one_of:
    sgd: {learning_rate: {float: [0.02, 0.5], log: true}}
    adamw: {learning_rate: {float: [2e-3, 5e-2], log: true}}
schedule:
  one_of: {cosine: {}}
batch_size: {choice: [32, 64]}
budget:
  {trials: 8, epochs: 4, rungs: 3, eta: 2, finalists: 2, select_seeds: 2, claim_seeds: 2, confirm_epochs: 2,
   teacher_epochs: 2}
screen: {proxies: [params, nwot], enqueue: 2}
"""


def context(data: Dataset, *, with_teacher: bool = True) -> TrainContext:
    teacher = None
    if with_teacher:
        with seeded(1):
            network = build_student(make("students", "cnn", {"layers": 2, "width": 8}), data.task)
        teacher = NetworkTeacher([network], data.task, origin="test")
    return TrainContext(data=data, teacher=teacher, device=CPU, bank=TeacherBank())


def resolved(data: Dataset, text: str = SPACE, **limits: Any) -> Space:
    teacher = context(data).teacher
    assert teacher is not None
    return parse(text, "test.yaml").resolve(data.task, teacher.offers, **limits)


def trial(
    number: int,
    *scores: float,
    source: str = "tpe",
    failure: str | None = None,
    params: Mapping[str, Any] | None = None,
    pipeline: Mapping[str, Any] | None = None,
) -> TrialRecord:
    """A trial with one score a rung."""
    rungs = tuple(
        RungRecord(rung=k, epochs=EPOCHS[k], score=score, loss=1 - score, seconds=1.0) for k, score in enumerate(scores)
    )
    return TrialRecord(
        number=number,
        source=source,
        seed=number,
        pipeline=pipeline or {"number": number},
        params=params,
        cost={"params": 10, "macs": 10},
        rungs=rungs,
        failure=None if failure is None else {"kind": failure, "reason": "made up"},
    )


class Line:
    """A space of one parameter, x in [-1, 1]."""

    def ranges(self) -> dict[str, Real]:
        return {"x": Real(-1.0, 1.0)}

    def draw(self, draw: Draw, number: int) -> Drawn:
        x = draw.real("x", -1.0, 1.0, False)
        return Drawn({"x": x}, {"x": x})


class TrialDraw:
    """Draws a pipeline's values from an Optuna trial, as its users do."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def real(self, path: str, low: float, high: float, log: bool) -> float:
        return self._trial.suggest_float(path, low, high, log=log)

    def integer(self, path: str, low: int, high: int, step: int, log: bool) -> int:
        return self._trial.suggest_int(path, low, high, step=step, log=log)

    def choice(self, path: str, options: tuple[Any, ...]) -> Any:
        return self._trial.suggest_categorical(path, options)


class Branches:
    """A conditional space: x or the whole numbers n and m stand beside a choice."""

    def ranges(self) -> dict[str, Range]:
        return {
            "which": Choice("x", "n"),
            "x": Real(0.1, 1.0, log=True),
            "n": Integer(1, 9),
            "m": Integer(4, 12, step=4),
        }

    def draw(self, draw: Draw, number: int) -> Drawn:
        params: dict[str, Any] = {"which": draw.choice("which", ("x", "n"))}
        if params["which"] == "x":
            params["x"] = draw.real("x", 0.1, 1.0, True)
        else:
            params |= {"n": draw.integer("n", 1, 9, 1, False), "m": draw.integer("m", 4, 12, 4, False)}
        return Drawn(params, params)


class Screened:
    """Screens by the width of the student alone."""

    ranked_by = ("params",)

    def values(self, student: Mapping[str, Any]) -> dict[str, float]:
        return {"params": float(student["width"])}


Score = Callable[[RungJob], float | Outcome | None]


class Instant:
    """An executor that trains nothing: `score` says what comes of a job, a number or an outcome of its own.

    An untrained student is kept where a job asks for one, so that its predictions can be measured.
    """

    capacity = 1

    def __init__(self, task: Task, score: Score) -> None:
        self.task = task
        self.score = score
        self.jobs: list[RungJob] = []
        self._waiting: list[RungJob] = []

    def submit(self, job: RungJob) -> None:
        self._waiting.append(job)

    def collect(self) -> Outcome:
        job = self._waiting.pop(0)
        self.jobs.append(job)
        score = self.score(job)
        if isinstance(score, Outcome):
            return score
        if score is None:
            return Outcome(failure={"kind": "not_finite", "reason": "made up"})
        with seeded(job.seed):
            student = build_student(component_from_plain("students", job.pipeline["student"]), self.task)
        curve = tuple({"epoch": k + 1, "loss": 1.0, "score": score} for k in range(job.until))
        result = RungResult(score, 1 - score, job.until, 0.5, curve)
        if job.student is not None:
            write_tensors(job.student, student.state_dict())
        return Outcome(result=result)


def fixed_score(job: RungJob) -> float:
    """A score that depends on the pipeline and grows with its length."""
    share = int(fingerprint(dict(job.pipeline)), 16) / 16**16
    return 0.5 + 0.3 * share + 0.02 * job.until


def screen_rows(widths: Sequence[int] = (9, 7, 5)) -> list[ScreenedStudent]:
    """Screened students, best first."""
    count = len(widths)
    return [
        ScreenedStudent(
            student={"use": "cnn", "width": width, "layers": 2},
            params=100 * width,
            macs=1000 * width,
            proxies={"params": float(width)},
            score=1 - k / max(1, count - 1),
        )
        for k, width in enumerate(widths)
    ]


def explorer(
    folder: Path,
    space: Space,
    task: Task,
    score: Score = fixed_score,
    *,
    screen: Sequence[ScreenedStudent] | None = None,
    **changed: Any,
) -> Explorer:
    """An explorer on the records in a folder; they start with a screening."""
    folder.mkdir(exist_ok=True)
    log = RecordLog(folder / "trials.jsonl")
    if not log.records.screen:
        log.append(
            "screen", students=[dataclasses.asdict(row) for row in (screen_rows() if screen is None else screen)]
        )
    proposing = {
        "space": space,
        "task": task,
        "records": log.records,
        "screener": Screened(),
        "seed": 5,
        "offers": Shapes(),
        "enqueue": 2,
    }
    settings: dict[str, Any] = {
        "log": log,
        "executor": Instant(task, score),
        "rung_epochs": EPOCHS,
        "eta": 2,
        "folder": folder / "trials",
    }
    fields = {field.name for field in dataclasses.fields(Proposer)}
    proposing |= {name: value for name, value in changed.items() if name in fields}
    settings |= {name: value for name, value in changed.items() if name not in fields}
    return Explorer(proposer=Proposer(**proposing), **settings)


def explore(made: Explorer, trials: int) -> Explorer:
    made.run(trials, lambda seconds: True, lambda: None)
    return made


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def in_database(url: str, name: str = "mine") -> list[FrozenTrial]:
    """The trials of a mirror."""
    storage = RDBStorage(url)
    try:
        return optuna.load_study(study_name=name, storage=storage).trials
    finally:
        storage.remove_session()
        storage.engine.dispose()


Mirrored = dict[int, tuple[str, float | None, dict[str, Any], dict[int, float]]]


def told(trials: list[FrozenTrial]) -> Mirrored:
    """What a mirror says, by number; each trial must be there once."""
    said = {t.user_attrs["number"]: (t.state.name, t.value, t.params, t.intermediate_values) for t in trials}
    assert len(said) == len(trials)
    return said


def expected(store: StudyStore, *, paused: bool = True) -> Mirrored:
    """What a mirror is to say, from the records of a study with three rungs."""
    said = {}
    for t in store.records.trials.values():
        complete = t.failure is None and len(t.rungs) == 3
        if t.params is not None and (complete or t.failure is not None or (paused and t.rungs)):
            scores = {rung.rung: rung.score for rung in t.rungs}
            said[t.number] = (
                "COMPLETE" if complete else "PRUNED",
                scores[2] if complete else None,
                dict(t.params),
                scores,
            )
    return said


SEARCH = """
import sys
from autokd.cli.commands import run_command
sys.exit(run_command(["search", "--dataset", "digits", "--limit-train", "128", "--device", "cpu", "--seed", "3",
                      "--study", "mine", "--space", *sys.argv[1:]]))
"""


def started(
    folder: Path, space: Path, *options: str, code: str = SEARCH, **environment: str
) -> subprocess.Popen[bytes]:
    """Start Python code, by default a search, in a process of its own in a folder; what it says goes to output.txt."""
    folder.mkdir(exist_ok=True)
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    with (folder / "output.txt").open("ab") as output:
        command = [sys.executable, "-c", code, str(space), *options]
        return subprocess.Popen(command, env=variables, stdout=output, stderr=output, cwd=folder)


def ended(folder: Path, process: subprocess.Popen[bytes], code: int = 0, *, seconds: float = 240) -> Records:
    """Wait for a search and return its records."""
    assert process.wait(timeout=seconds) == code, (folder / "output.txt").read_text()
    return records_in(folder)


def records_in(folder: Path) -> Records:
    return RecordLog(folder / "studies" / "mine" / "trials.jsonl", read_only=True).records


def wait_for(folder: Path, process: subprocess.Popen[bytes], event: str, count: int) -> None:
    """Wait until a search's records hold so many events of a kind."""
    path, mark = folder / "studies/mine/trials.jsonl", f'"event": "{event}"'.encode()
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(mark) < count:
        assert process.poll() is None and time.monotonic() < deadline, (folder / "output.txt").read_text()
        time.sleep(0.001)


def comparable(found: Records) -> dict[str, Any]:
    """All that a search decides and finds; not how long it took."""
    trials = [
        dataclasses.replace(t, rungs=tuple(dataclasses.replace(r, seconds=0.0) for r in t.rungs))
        for t in found.trials.values()
    ]
    return {
        "trials": trials,
        "screen": found.screen,
        "runs": [dataclasses.replace(run, seconds=0.0) for run in found.runs],
        "choices": found.choices,
        "evidence": found.evidence,
    }


PLUGIN = '''
import ctypes
import time
from dataclasses import dataclass

import torch

from autokd.declarations import Loss, Scale


def declared(name):
    return Loss(name=name, teacher="none", scale=Scale(1.0, "made up"))


class Bad:
    """A loss that goes wrong in its step."""

    def build(self, context):
        return self.step


@dataclass(frozen=True, kw_only=True)
class Raises(Bad):
    declares = declared("t_raises")

    weight: float = 1.0

    def step(self, step):
        raise RuntimeError("this loss raises\\nand says more")


@dataclass(frozen=True, kw_only=True)
class NotANumber(Bad):
    declares = declared("t_nan")

    weight: float = 1.0

    def step(self, step):
        return step.student.logits.sum(1) * float("nan")


@dataclass(frozen=True, kw_only=True)
class Memory(Bad):
    declares = declared("t_memory")

    weight: float = 1.0

    def step(self, step):
        raise torch.OutOfMemoryError("this loss needs 80 GB")


@dataclass(frozen=True, kw_only=True)
class HostMemory(Bad):
    declares = declared("t_host_memory")

    weight: float = 1.0

    def step(self, step):
        raise MemoryError


@dataclass(frozen=True, kw_only=True)
class Allocator(Bad):
    declares = declared("t_cpu_allocator")

    weight: float = 1.0

    def step(self, step):
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")


@dataclass(frozen=True, kw_only=True)
class Unbuilt(Bad):
    declares = declared("t_unbuilt")

    weight: float = 1.0

    def build(self, context):
        raise ValueError("this loss cannot be built")


@dataclass(frozen=True, kw_only=True)
class Interrupts(Bad):
    declares = declared("t_interrupts")

    weight: float = 1.0

    def step(self, step):
        raise KeyboardInterrupt


@dataclass(frozen=True, kw_only=True)
class Segfault(Bad):
    declares = declared("t_segfault")

    weight: float = 1.0

    def step(self, step):
        ctypes.string_at(0)


@dataclass(frozen=True, kw_only=True)
class Hangs(Bad):
    declares = declared("t_hangs")

    weight: float = 1.0

    def step(self, step):
        time.sleep(1000)


@dataclass(frozen=True, kw_only=True)
class Eats(Bad):
    declares = declared("t_eats")

    weight: float = 1.0

    def step(self, step):
        kept = []
        while True:
            kept.append(torch.ones(2**24))


@dataclass(frozen=True, kw_only=True)
class Chatters(Bad):
    declares = declared("t_chatters")

    weight: float = 1.0

    def step(self, step):
        print("a loss that prints")
        return step.student.logits.square().mean(1)
'''


@contextlib.contextmanager
def plugin(folder: Path) -> Iterator[Path]:
    """Losses that misbehave, in a plug-in file; gone again afterwards."""
    path = folder / "misbehaving.py"
    path.write_text(PLUGIN)
    catalog.load_plugins(path)
    try:
        yield path
    finally:
        del sys.modules["autokd_plugin_misbehaving"]
