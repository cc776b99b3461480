"""A study's folder: what was asked (`study.yaml`), the space, the records, the lock."""

from __future__ import annotations

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
from autokd.files import from_yaml, to_yaml, write_text
from autokd.networks.models import shapes_from_plain
from autokd.objective import COSTS, Objective, of_plain
from autokd.space import Space, parse
from autokd.study import pareto
from autokd.study.records import RecordLog, Records, TrialRecord
from autokd.types import Shapes, Task

FORMAT = 1
_CUT_SHORT = {".lock", "holder.json", "space.yaml"}
"""What a study holds that was killed while it was made."""


class StudyStore:
    """A study on disk.

    Args:
      path: its folder.
      settings: the content of `study.yaml`.
      log: the records.

    Make one with `open` or `create`.
    """

    def __init__(self, path: Path, settings: dict[str, Any], log: RecordLog) -> None:
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
    def create(cls, path: Path, settings: dict[str, Any], space_text: str) -> StudyStore:
        """Make a new study and lock it.

        Raises:
          StudyError: the folder exists and holds something else.
        """
        refuse_foreign(path)
        path.mkdir(parents=True, exist_ok=True)
        lock = _acquire(path)
        write_text(path / "space.yaml", space_text)
        settings = {
            "format": FORMAT,
            "name": path.name,
            "created": datetime.now(UTC).isoformat("T", "seconds"),
            **settings,
        }
        write_text(path / "study.yaml", to_yaml(settings))
        store = cls(path, settings, RecordLog(path / "trials.jsonl"))
        store._lock = lock
        return store

    def update(self, settings: Mapping[str, Any]) -> None:
        """Change what may change of the settings and write `study.yaml` again."""
        self.settings = {**self.settings, **settings}
        write_text(self.path / "study.yaml", to_yaml(self.settings))

    def close(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            (self.path / "holder.json").unlink(missing_ok=True)
            self._lock.release()
            self._lock = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def records(self) -> Records:
        return self.log.records

    @property
    def rung_epochs(self) -> list[int]:
        """Epochs trained at the end of each rung."""
        return list(self.settings["identity"]["rungs"])

    @property
    def top_rung(self) -> int:
        return len(self.rung_epochs) - 1

    @property
    def finished(self) -> bool:
        """Whether the study has made a claim and has no trial left to run; with a time limit, fewer may do."""
        settings, claimed = self.settings["settings"], self.records.evidence[-1:]
        asked = len(self.records.trials) if settings["time"]["value"] else int(settings["trials"]["value"])
        return bool(claimed) and claimed[0]["trials"] >= asked

    @property
    def objective(self) -> Objective:
        """What the study is to be good at."""
        return of_plain(self.settings["identity"]["objective"])

    @property
    def front(self) -> list[TrialRecord]:
        """Of the trials that went furthest those that no other one dominates; [] where there is one objective."""
        return pareto.longest_front(self.records.trials.values(), self.objective) if self.objective.several else []

    @property
    def best(self) -> TrialRecord | None:
        """The trial that went furthest with the best validation score, or None."""
        return next(iter(ranked(self.records.trials.values())), None)

    @property
    def task(self) -> Task:
        """The study's task, from `study.yaml`; no data is loaded."""
        data = dict(self.settings["data"]["task"])
        tuples = {key: tuple(value) for key, value in data.items() if isinstance(value, list)}
        return Task(**{**data, **tuples})

    @property
    def offers(self) -> Shapes | None:
        """What the teacher offers; None without a teacher."""
        teacher = self.settings["teacher"]
        return None if teacher is None else shapes_from_plain(teacher["offers"])

    @property
    def space(self) -> Space:
        """The resolved space."""
        constraints = self.settings["identity"]["space"]["constraints"]
        text = (self.path / "space.yaml").read_text(encoding="utf-8")
        return parse(text, str(self.path / "space.yaml")).resolve(
            self.task, self.offers, **{f"max_{name}": constraints.get(name) for name in COSTS}
        )

    def trials_dataframe(self) -> pd.DataFrame:
        """Return one row a trial: number, state, reason, source, rung, score, metrics, seconds, costs, drawn values."""
        return pd.DataFrame([self._row(trial) for trial in self.records.trials.values()])

    def _row(self, trial: TrialRecord) -> dict[str, Any]:
        return {
            "number": trial.number,
            "state": trial.state(self.top_rung),
            "reason": "" if trial.failure is None else f"{trial.failure['kind']}: {trial.failure['reason']}",
            "source": trial.source,
            "rung": trial.rungs[-1].rung if trial.rungs else None,
            "score": trial.score,
            **(trial.rungs[-1].metrics if trial.rungs else {}),
            "seconds": round(trial.seconds, 3),
            **{key: value if key == "latency" else int(value) for key, value in trial.cost.items()},
            "pipeline": json.dumps(dict(trial.pipeline)),
        }


def ranked(trials: Any) -> list[TrialRecord]:
    """Return the trials that finished a rung and did not fail: longest first, then by score, then by loss."""
    alive = [trial for trial in trials if trial.rungs and trial.failure is None]
    return sorted(alive, key=lambda t: (-len(t.rungs), -t.rungs[-1].score, t.rungs[-1].loss, t.number))


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


def read_settings(path: Path) -> dict[str, Any]:
    """Read `study.yaml`.

    Raises:
      StudyError: there is none, or it cannot be read.
    """
    file = path / "study.yaml"
    if not file.is_file():
        raise StudyError(f"{path} is not a study (it has no study.yaml); `autokd studies` lists those here")
    try:
        settings = from_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise StudyError(f"{file} is not a study of format {FORMAT}")
    return settings


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


def _acquire(path: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(path / ".lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise StudyError(
            f"{path.name} is being run by another process ({_holder(path)}); wait for it or stop it"
        ) from None
    holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": datetime.now(UTC).isoformat("T", "seconds")}
    write_text(path / "holder.json", json.dumps(holder))
    return lock


def _holder(path: Path) -> str:
    try:
        holder = json.loads((path / "holder.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "unknown"
    return f"host {holder.get('host')}, process {holder.get('pid')}, since {holder.get('since')}"


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested data as path -> leaf; lists are leaves unless they hold mappings."""
    items: Mapping[Any, Any] = value if isinstance(value, Mapping) else {}
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        items = dict(enumerate(value))
    if items:
        parts = [_flatten(item, f"{prefix}.{key}" if prefix else str(key)) for key, item in items.items()]
        return {key: item for part in parts for key, item in part.items()}
    return {prefix: list(value) if isinstance(value, tuple) else value}
