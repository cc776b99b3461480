"""A study's folder: what was asked (`study.yaml`), the space, the records, the lock."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import yaml

from autokd.errors import StudyError
from autokd.files import as_plain, from_yaml, to_yaml, write_text
from autokd.locks import take
from autokd.objective import Objective
from autokd.ranges import Range
from autokd.space.recorded import recorded_ranges
from autokd.study import pareto
from autokd.study.old import former_arm_name
from autokd.study.ranking import ranked
from autokd.study.records import RecordLog, Records, TrialRecord
from autokd.study.settings import READABLE, StudySettings
from autokd.types import Shapes, Task

_CUT_SHORT = {".lock", "holder.json", "space.yaml"}
"""What a study holds that was killed while it was made."""


class StudyStore:
    """A study on disk.

    Args:
      path: its folder.
      settings: what `study.yaml` says.
      log: the records.

    Make one with `open` or `create`.
    """

    def __init__(self, path: Path, settings: StudySettings, log: RecordLog) -> None:
        self.path = path
        self.settings = settings
        self.log = log
        self._lock: filelock.BaseFileLock | None = None

    @classmethod
    def open(cls, path: Path, *, read_only: bool = True) -> StudyStore:
        """Open an existing study; for writing it is locked until `close`.

        Raises:
          StudyError: no such study, not a study, damaged, or held by another process.
        """
        settings = read_settings(path)
        lock = None if read_only else _acquire(path)
        try:
            store = cls(path, settings, RecordLog(path / "trials.jsonl", read_only=read_only))
        except BaseException:
            if lock is not None:
                lock.release()
            raise
        store._lock = lock
        return store

    @classmethod
    def create(cls, path: Path, settings: StudySettings, space_text: str) -> StudyStore:
        """Make a new study and lock it; its name is the folder's, and it is created now.

        Raises:
          StudyError: the folder exists and holds something else.
        """
        refuse_foreign(path)
        path.mkdir(parents=True, exist_ok=True)
        lock = _acquire(path)
        write_text(path / "space.yaml", space_text)
        settings = dataclasses.replace(settings, name=path.name, created=datetime.now(UTC).isoformat("T", "seconds"))
        write_text(path / "study.yaml", to_yaml(as_plain(settings.to_plain())))
        store = cls(path, settings, RecordLog(path / "trials.jsonl"))
        store._lock = lock
        return store

    def update(self, settings: StudySettings) -> None:
        """Change what may change of the settings and write `study.yaml` again."""
        self.settings = settings
        write_text(self.path / "study.yaml", to_yaml(as_plain(settings.to_plain())))

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            (self.path / "holder.json").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    @property
    def name(self) -> str:
        """Name of the study, that of its folder."""
        return self.path.name

    @property
    def records(self) -> Records:
        """What has happened in the study."""
        return self.log.records

    @property
    def rung_epochs(self) -> list[int]:
        """Epochs trained at the end of each rung."""
        return list(self.settings.identity.rungs)

    @property
    def top_rung(self) -> int:
        """Index of the longest rung."""
        return len(self.rung_epochs) - 1

    @property
    def finished(self) -> bool:
        """Whether the study has made a claim and has no trial left to run; with a time limit, fewer may do."""
        claim, settings = self.records.claim, self.settings
        asked = len(self.records.trials) if settings.setting("time") else int(settings.setting("trials"))
        return claim is not None and claim.trials >= asked

    @property
    def objective(self) -> Objective:
        """What the study is to be good at."""
        return self.settings.identity.goal

    @property
    def front(self) -> list[TrialRecord]:
        """Of the trials that went furthest those that no other one dominates; [] where there is one objective."""
        return pareto.longest_front(self.records.trials.values(), self.objective) if self.objective.several else []

    @property
    def best(self) -> TrialRecord | None:
        """The trial that went furthest with the best validation score, or None."""
        return next(iter(ranked(self.records.trials.values())), None)

    def student_file(self, round: int, arm: str, i: int) -> Path:
        """Where the i-th student of an arm is kept that a round of confirm claimed."""
        return student_file(self.path, round, arm, i)

    @property
    def task(self) -> Task:
        """The study's task, from `study.yaml`; no data is loaded."""
        return self.settings.data.task

    @property
    def offers(self) -> Shapes | None:
        """What the teacher offers; None without a teacher."""
        return None if self.settings.teacher is None else self.settings.teacher.offers

    @property
    def ranges(self) -> dict[str, Range]:
        """The range of every parameter of the resolved space, by path, as `study.yaml` has it."""
        return recorded_ranges(self.settings.identity.space)

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row a trial: number, state, reason, source, rung, score, metrics, seconds, costs, drawn values."""
        return pd.DataFrame([self._row(trial) for trial in self.records.trials.values()])

    def _row(self, trial: TrialRecord) -> dict[str, Any]:
        return {
            "number": trial.number,
            "state": trial.state(self.top_rung),
            "reason": trial.why_failed,
            "source": trial.source,
            "rung": trial.rungs[-1].rung if trial.rungs else None,
            "score": trial.score,
            **(trial.rungs[-1].metrics if trial.rungs else {}),
            "seconds": round(trial.seconds, 3),
            **{key: value if key in ("latency", "step") else int(value) for key, value in trial.cost.items()},
            "pipeline": json.dumps(dict(trial.pipeline)),
        }


def student_file(study: Path, round: int, arm: str, i: int) -> Path:
    """Return where the i-th student of an arm is kept that a round of confirm claims.

    Args:
      study: its folder; a file that an earlier version wrote there has the arm's name of then.
      round: of confirm.
      arm: its name.
      i: which seed of the claim.
    """
    folder = study / "confirm" / f"round{round}"
    file, former = (folder / f"{name}-{i}.safetensors" for name in (arm, former_arm_name(arm)))
    return former if former.exists() and not file.exists() else file


def student_of_trial(trials: Path, number: int) -> Path:
    """Return where the student of a trial is kept, until it is claimed, in a study that ends with a trial.

    Args:
      trials: the folder of the study's trials.
      number: of the trial.
    """
    return trials / f"{number:04d}.safetensors"


def refuse_foreign(path: Path) -> None:
    """Refuse to make a study where something else lies.

    Raises:
      StudyError: the path is a file, or a folder that holds something and is no study.
    """
    if not path.exists() or (path / "study.yaml").is_file():
        return
    names = {item.name for item in path.iterdir() if item.suffix != ".tmp"} if path.is_dir() else {path.name}
    if not names <= (_CUT_SHORT if "holder.json" in names else {".lock"}):
        raise StudyError(f"{path} exists and is not a study; choose another name with --study")


def read_settings(path: Path) -> StudySettings:
    """Read `study.yaml`.

    Raises:
      StudyError: there is none, or it cannot be read.
    """
    file = path / "study.yaml"
    if not file.is_file():
        raise StudyError(f"{path} is not a study (it has no study.yaml); `autokd studies` lists those here")
    try:
        plain = from_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(plain, dict) or plain.get("format") not in READABLE:
        raise StudyError(f"{file} is not a study of format {' or '.join(map(str, READABLE))}")
    try:
        return StudySettings.from_plain(plain)
    except (KeyError, TypeError) as error:
        raise StudyError(f"{file} is damaged: {error} is missing or not what it should be") from error


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one line for every key in which two identities differ."""
    flat_old, flat_new = _flatten(old), _flatten(new)
    missing = "(nothing)"
    return [
        f"{key}: {flat_old.get(key, missing)!r} in the study, {flat_new.get(key, missing)!r} asked"
        for key in sorted({*flat_old, *flat_new})
        if flat_old.get(key, missing) != flat_new.get(key, missing)
    ]


def delete(path: Path) -> None:
    """Remove a study's folder, and nothing that is not one.

    Raises:
      StudyError: the folder is not a study, or another process holds it.
    """
    read_settings(path)
    lock = _acquire(path)
    lock.release()
    shutil.rmtree(path)


def check_free(path: Path) -> None:
    """Refuse a study that another process holds.

    Raises:
      StudyError: it is held, or seems to be.
    """
    _lock(path).release()


def _acquire(path: Path) -> filelock.BaseFileLock:
    lock = _lock(path)
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat("T", "seconds")}
    write_text(path / "holder.json", json.dumps(holder))
    return lock


def _lock(path: Path) -> filelock.BaseFileLock:
    try:
        return take(path / ".lock", "keep studies in a folder on another one")
    except filelock.Timeout:
        raise StudyError(
            f"{path.name} is being run by another process ({_holder(path)}); wait for it or stop it; if there is none, "
            f"delete {path / '.lock'}"
        ) from None


def _holder(path: Path) -> str:
    try:
        holder = json.loads((path / "holder.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "unknown"
    return f"host {holder.get('host')}, process {holder.get('pid')}, since {holder.get('since')}"


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested data as path -> leaf; lists are leaves unless they hold mappings."""
    flat: dict[str, Any] = {}
    for key, item in _items(value).items():
        flat |= _flatten(item, f"{prefix}.{key}" if prefix else str(key))
    return flat or {prefix: list(value) if isinstance(value, tuple) else value}


def _items(value: Any) -> Mapping[Any, Any]:
    """What a mapping, or a list that holds mappings, has inside; nothing for a leaf."""
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        return dict(enumerate(value))
    return value if isinstance(value, Mapping) else {}
