"""The pipeline file: everything that decides how a student is trained, as YAML that people may read and edit.

format: 1
pipeline: {student: {use: cnn, …}, augment: …, losses: …, optimizer: …, schedule: …, batch_size: 64}
data: {…}                 # where the data come from
data_fingerprint: …       # of content, split and preprocessing; null: not checked
teacher: {…} | null       # where the teacher comes from
teacher_fingerprint: …
train: {epochs: 100, seed: 5}
provenance: {…} | null    # which study and trial, with what evidence
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from autokd.delivery.files import read_bytes
from autokd.errors import BundleError, NothingFeasible, StudyError, nearest
from autokd.files import from_yaml, to_yaml, write_text
from autokd.seeds import derive
from autokd.spec import Number, PipelineSpec, fingerprint, from_plain, to_plain
from autokd.spec import problems as pipeline_problems
from autokd.types import Budget

FORMAT = 1
_HEADER = "# A distillation pipeline for autokd; the batch size is part of it. Train it with: autokd train {name}\n"
_TRAIN = {"epochs": Number(None, least=1), "seed": Number(None, least=0)}
"""What `train` holds."""


@dataclass(frozen=True, kw_only=True)
class PipelineFile:
    """What a pipeline file says.

    Args:
      spec: the pipeline.
      data: reference of the dataset.
      data_fingerprint: of the data it was searched on; None: any data will do.
      teacher: reference of the teacher, or None.
      teacher_fingerprint: of the teacher it was searched with; None: any.
      epochs: full length of training, the horizon of the schedules.
      seed: decides initialisation, data order, views and dropout.
      provenance: where the pipeline comes from, or None.
    """

    spec: PipelineSpec
    data: Mapping[str, Any]
    data_fingerprint: str | None
    teacher: Mapping[str, Any] | None
    teacher_fingerprint: str | None
    epochs: int
    seed: int
    provenance: Mapping[str, Any] | None

    def to_plain(self) -> dict[str, Any]:
        """Return the file's content as YAML-able data."""
        return {
            "format": FORMAT,
            "pipeline": to_plain(self.spec),
            "data": dict(self.data),
            "data_fingerprint": self.data_fingerprint,
            "teacher": None if self.teacher is None else dict(self.teacher),
            "teacher_fingerprint": self.teacher_fingerprint,
            "train": {"epochs": self.epochs, "seed": self.seed},
            "provenance": None if self.provenance is None else dict(self.provenance),
        }


class Trial(Protocol):
    """What is read of a trial's record."""

    @property
    def number(self) -> int: ...
    @property
    def pipeline(self) -> Mapping[str, Any]: ...
    @property
    def failure(self) -> Mapping[str, str] | None: ...


class StudyRecords(Protocol):
    """What is read of a study's records."""

    @property
    def trials(self) -> Mapping[int, Trial]: ...
    @property
    def evidence(self) -> list[Mapping[str, Any]]: ...


class StudyView(Protocol):
    """What is read of a study."""

    @property
    def name(self) -> str: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...
    @property
    def records(self) -> StudyRecords: ...
    @property
    def best(self) -> Trial | None: ...


def from_study(store: StudyView, trial: int | None = None) -> dict[str, Any]:
    """Return the content of the pipeline file for a study's trial.

    Args:
      store: the study.
      trial: number of the trial, as it was drawn; None: the pipeline that the study recommends, with its evidence, or,
        where confirm has not made its claim yet, that of the best trial.
    Raises:
      StudyError: the study has no such trial.
      NothingFeasible: no trial has finished.
    """
    evidence = store.records.evidence[-1] if store.records.evidence else None
    number, pipeline, note = _chosen(store, trial, evidence)
    proven = evidence is not None and fingerprint(evidence["pipeline"]) == fingerprint(pipeline)
    identity = store.settings["identity"]
    teacher = identity["teacher"] or {"reference": None, "fingerprint": None}
    data, teacher = _in_full(identity["data"], teacher, store.settings.get("time_plan"))
    return {
        "format": FORMAT,
        "pipeline": dict(pipeline),
        "data": data["reference"],
        "data_fingerprint": data["fingerprint"],
        "teacher": teacher["reference"],
        "teacher_fingerprint": teacher["fingerprint"],
        "train": {
            "epochs": identity["budget"].get("train_epochs", Budget.train_epochs),
            "seed": derive(identity["seed"], "train", number) % 2**31,
        },
        "provenance": {
            "study": store.name,
            "trial": number,
            "note": None if proven else note,
            "seed": identity["seed"],
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "versions": dict(store.settings["versions"]),
            "evidence": _summary(evidence) if evidence is not None and proven else None,
        },
    }


def _in_full(
    data: Mapping[str, Any], teacher: Mapping[str, Any], time_plan: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Data and teacher as full training has them, where a study made do with less of both to fit into its time."""
    if time_plan is None:
        return data, teacher
    if time_plan["limit_train"] is not None:
        reference = {key: value for key, value in data["reference"].items() if key != "limit_train"}
        data = {"reference": reference, "fingerprint": time_plan["whole_data"]}
    reference = teacher["reference"] or {}
    if reference.get("use") == "trained" and (
        time_plan["limit_train"] is not None or reference["epochs"] != time_plan["teacher_epochs"]
    ):
        teacher = {"reference": {**reference, "epochs": time_plan["teacher_epochs"]}, "fingerprint": None}
    return data, teacher


def write(path: Path, plain: Mapping[str, Any]) -> None:
    """Write the content of a pipeline file as YAML; parent folders are made.

    Raises:
      BundleError: the file cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, dump(plain, path.name))
    except OSError as error:
        raise BundleError(f"cannot write {path}: {error.strerror or error}") from error


def dump(plain: Mapping[str, Any], name: str = "pipeline.yaml") -> str:
    """Return the YAML text of a pipeline file's content."""
    return _HEADER.format(name=name) + to_yaml(dict(plain))


def read(path: Path) -> PipelineFile:
    """Read a pipeline file.

    Raises:
      BundleError: it is missing, not YAML, of another format, or has mistakes: all of them, each with its path.
    """
    try:
        plain = from_yaml(read_bytes(path).decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BundleError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    return parse(plain, str(path))


def parse(plain: Any, source: str) -> PipelineFile:
    """Translate the content of a pipeline file.

    Args:
      plain: what the file holds.
      source: its name, for messages.
    Raises:
      BundleError: as `read`.
    """
    if not isinstance(plain, Mapping) or "format" not in plain:
        raise BundleError(f"{source} is not a pipeline file of autokd: it should begin with 'format: {FORMAT}'")
    if plain["format"] != FORMAT:
        raise BundleError(f"{source} has format {plain['format']!r}; this version of autokd reads format {FORMAT}")
    problems = [*_key_problems(plain), *_pipeline_problems(plain), *_train_problems(plain.get("train"))]
    if problems:
        raise BundleError("\n".join([f"{source}: {len(problems)} mistake(s)", *(f"  {line}" for line in problems)]))
    return PipelineFile(
        spec=from_plain(plain["pipeline"]),
        data=plain["data"],
        data_fingerprint=plain.get("data_fingerprint"),
        teacher=plain.get("teacher"),
        teacher_fingerprint=plain.get("teacher_fingerprint"),
        epochs=int(_TRAIN["epochs"].read(plain["train"]["epochs"])),
        seed=int(_TRAIN["seed"].read(plain["train"]["seed"])),
        provenance=plain.get("provenance"),
    )


def _chosen(
    store: StudyView, number: int | None, evidence: Mapping[str, Any] | None
) -> tuple[int, Mapping[str, Any], str]:
    """Trial number, pipeline, and what to say where the pipeline is not the one that the evidence is about."""
    if number is None and evidence is not None:
        return evidence["trial"], evidence["pipeline"], ""
    trial = store.best if number is None else _trial(store, number)
    if trial is None:
        raise NothingFeasible(f"study {store.name}: no trial has finished, so there is nothing to export")
    if trial.failure is not None:
        return trial.number, trial.pipeline, f"no evidence: the trial failed ({trial.failure['reason']})"
    note = "the trial as it was drawn" if number is not None else "the best trial so far"
    return trial.number, trial.pipeline, f"no evidence: {note}, not compared with baselines on fresh seeds"


def _trial(store: StudyView, number: int) -> Trial:
    if number not in store.records.trials:
        known = sorted(store.records.trials)
        have = f"it has {known[0]} to {known[-1]}" if known else "it has none yet"
        raise StudyError(f"study {store.name} has no trial {number}; {have}")
    return store.records.trials[number]


def _summary(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """What a claim found, short enough for people: the metric's test values by arm and seed, and the verdicts."""
    values = {arm: list(scores["test"]) for arm, scores in evidence["arms"].items()}
    if evidence["teacher"] is not None:
        values["teacher"] = evidence["teacher"]["test"]
    return {
        "text": "; ".join(comparison["text"] for comparison in evidence["comparisons"].values()),
        "epochs": evidence["epochs"],
        "seeds": list(evidence["seeds"]),
        f"test_{evidence.get('metric', 'accuracy')}": values,
        "prediction_interval": list(evidence["prediction_interval"]),
        "n_test": evidence["n_test"],
    }


def _key_problems(plain: Mapping[str, Any]) -> Iterator[str]:
    kinds: dict[str, tuple[type, ...]] = {
        "format": (int,),
        "pipeline": (Mapping,),
        "data": (Mapping,),
        "train": (Mapping,),
        "data_fingerprint": (str, type(None)),
        "teacher": (Mapping, type(None)),
        "teacher_fingerprint": (str, type(None)),
        "provenance": (Mapping, type(None)),
    }
    yield from (f"{key}: unknown key; {nearest(key, kinds)}" for key in plain if key not in kinds)
    for key, kind in kinds.items():
        if not isinstance(plain.get(key), kind):
            wanted = "a mapping" if Mapping in kind else "a text in quotes"
            yield f"{key}: {f'expected {wanted}, got {plain[key]!r}' if key in plain else 'missing'}"


def _pipeline_problems(plain: Mapping[str, Any]) -> list[str]:
    pipeline = plain.get("pipeline")
    return [f"pipeline.{line}" for line in pipeline_problems(pipeline)] if isinstance(pipeline, Mapping) else []


def _train_problems(plain: Any) -> Iterator[str]:
    if not isinstance(plain, Mapping):
        return
    yield from (f"train.{key}: unknown key; {nearest(key, _TRAIN)}" for key in plain if key not in _TRAIN)
    for key, number in _TRAIN.items():
        if key not in plain:
            yield f"train.{key}: missing"
            continue
        try:
            number.read(plain[key])
        except ValueError as error:
            yield f"train.{key}: {error}"
