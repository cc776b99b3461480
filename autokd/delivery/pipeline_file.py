"""The pipeline file: everything that decides how a student is trained, as YAML that people may read and edit.

format: 1
pipeline: {student: {use: cnn, …}, augment: …, losses: …, optimizer: …, schedule: …, batch_size: 64}
data: {…}                 # where the data come from; a relative path is below the work folder, or a folder of this file
data_fingerprint: …       # of content, split and preprocessing; null: not checked
teacher: {…} | null       # where the teacher comes from
teacher_fingerprint: …
objective: accuracy       # the metric that the student is to be good at
train: {epochs: 100, seed: 5}   # all_data: true: train on validation too
provenance: {…} | null    # which study, trial and arm of its claim, with what evidence
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from autokd import catalog
from autokd.data import anchored
from autokd.delivery import teacher_file
from autokd.delivery.files import read_bytes
from autokd.errors import BundleError, ComponentError, nearest
from autokd.files import from_yaml, to_yaml, write_text
from autokd.metrics import METRICS
from autokd.networks.located import located
from autokd.objective import ACCURACY
from autokd.spec import Number, PipelineSpec, Slot, from_plain, slots, to_plain
from autokd.spec import problems as pipeline_problems

FORMAT = 1
_HEADER = "# A distillation pipeline for autokd; the batch size is part of it. Train it with: autokd train {name}\n"
_TRAIN = {"epochs": Number(None, least=1), "seed": Number(None, least=0)}
"""What `train` holds."""

_OF_ITS_DAY = ("provenance.date is ", "provenance.versions.")
"""What differs whenever the same pipeline is exported again."""
_AS_WRITTEN = ("data", "data_fingerprint", "teacher", "teacher_fingerprint", "provenance")
"""Keys that are taken as they stand in the file."""


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
      objective: name of the metric that the student is to be good at.
      all_data: it is trained on validation too.
    """

    spec: PipelineSpec
    data: Mapping[str, Any]
    data_fingerprint: str | None
    teacher: Mapping[str, Any] | None
    teacher_fingerprint: str | None
    epochs: int
    seed: int
    provenance: Mapping[str, Any] | None
    objective: str = ACCURACY.metric.name
    all_data: bool = False

    def with_training(
        self, *, epochs: int | None = None, seed: int | None = None, all_data: bool = False
    ) -> PipelineFile:
        """Return the file with another length or seed of training, or one on validation too.

        Args:
          epochs, seed: None keeps the file's own.
          all_data: False keeps the file's own.

        Raises:
          BundleError: there are less than 1 epochs, or the seed is negative.
        """
        epochs = self.epochs if epochs is None else epochs
        seed = self.seed if seed is None else seed
        if epochs < 1 or seed < 0:
            raise BundleError(f"training needs epochs of at least 1 and a seed of at least 0, got {epochs} and {seed}")
        return replace(self, epochs=epochs, seed=seed, all_data=all_data or self.all_data)

    def to_plain(self) -> dict[str, Any]:
        """Return the file's content as YAML-able data."""
        return {
            "format": FORMAT,
            "pipeline": to_plain(self.spec),
            "data": dict(self.data),
            "data_fingerprint": self.data_fingerprint,
            "teacher": None if self.teacher is None else dict(self.teacher),
            "teacher_fingerprint": self.teacher_fingerprint,
            "objective": self.objective,
            "train": {"epochs": self.epochs, "seed": self.seed, **({"all_data": True} if self.all_data else {})},
            "provenance": None if self.provenance is None else dict(self.provenance),
        }


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


def check_replaceable(path: Path, plain: Mapping[str, Any]) -> None:
    """Refuse to replace a file that holds something else; one that says the same at another date may be written anew.

    Args:
      path: of the file, which may not exist.
      plain: the content that it is to have.

    Raises:
      BundleError: it holds another pipeline, an edited one, or is no pipeline file.
    """
    if not path.is_file():
        return
    try:
        there = from_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        there = None
    if not isinstance(there, Mapping):
        raise BundleError(f"{path} is already there, and no pipeline file; give another file with -o, or --overwrite")
    different = [text for text in differences(from_yaml(dump(plain)), there) if not text.startswith(_OF_ITS_DAY)]
    if different:
        more = f", and {len(different) - 1} more" if len(different) > 1 else ""
        raise BundleError(
            f"{path} is already there, and {different[0]}{more}; give another file with -o, or --overwrite"
        )


def differences(here: Mapping[str, Any], there: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield one text for each value in which two nested mappings differ, with its path."""
    for key in [*here, *(key for key in there if key not in here)]:
        one, other, name = here.get(key), there.get(key), f"{path}{key}"
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differences(one, other, f"{name}.")
        elif one != other:
            yield f"{name} is {other!r} there, {one!r} here"


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
    file = parse(plain, str(path))
    return replace(file, data=anchored(file.data, path), teacher=teacher_file.anchored(file.teacher, path))


def is_pipeline_file(path: Path) -> bool:
    """Whether a file says that it is a pipeline file, whatever mistakes it has."""
    try:
        plain = from_yaml(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (yaml.YAMLError, UnicodeDecodeError):
        return False
    return isinstance(plain, Mapping) and {"format", "pipeline"} <= set(plain)


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
    plain, missing = _with_files(plain, Path(source).absolute().parent)
    problems = [
        *missing,
        *_key_problems(plain),
        *_pipeline_problems(plain),
        *_objective_problems(plain.get("objective")),
        *_train_problems(plain.get("train")),
    ]
    if problems:
        raise BundleError("\n".join([f"{source}: {len(problems)} mistake(s)", *(f"  {line}" for line in problems)]))
    as_written: dict[str, Any] = {key: plain.get(key) for key in _AS_WRITTEN}
    given = plain["train"]
    train: dict[str, Any] = {key: int(number.read(given[key])) for key, number in _TRAIN.items()}
    return PipelineFile(
        spec=from_plain(plain["pipeline"]),
        objective=plain.get("objective") or _metric_of_evidence(as_written["provenance"]),
        all_data=given.get("all_data", False),
        **as_written,
        **train,
    )


def _with_files(plain: Mapping[str, Any], folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The content with the files that the pipeline's components read, found from its folder; and which are missing."""
    pipeline, missing = dict(plain.get("pipeline") or {}), list[str]()
    for name, slot in slots().items():
        component = pipeline.get(name)
        if (
            isinstance(slot, Slot)
            and isinstance(component, Mapping)
            and component.get("use") in catalog.names(slot.kind)
        ):
            try:
                declares = catalog.load(slot.kind, component["use"]).declares
                pipeline[name] = located(component, declares, folder)
            except ComponentError as error:
                missing.append(f"pipeline.{name}.{error}")
    return ({**plain, "pipeline": pipeline} if "pipeline" in plain else dict(plain)), missing


def _key_problems(plain: Mapping[str, Any]) -> Iterator[str]:
    kinds: dict[str, tuple[type, ...]] = {
        "format": (int,),
        "pipeline": (Mapping,),
        "data": (Mapping,),
        "train": (Mapping,),
        "objective": (str, type(None)),
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


def _metric_of_evidence(provenance: Mapping[str, Any] | None) -> str:
    """The metric that a claim in the file is about; accuracy where there is none. Older files say it nowhere else."""
    evidence = (provenance or {}).get("evidence") or {}
    return next((name for name in METRICS if f"test_{name}" in evidence), ACCURACY.metric.name)


def _objective_problems(name: Any) -> Iterator[str]:
    if isinstance(name, str) and name not in METRICS:
        yield f"objective: there is no metric called {name!r}; {nearest(name, METRICS)}"


def _pipeline_problems(plain: Mapping[str, Any]) -> list[str]:
    pipeline = plain.get("pipeline")
    return [f"pipeline.{line}" for line in pipeline_problems(pipeline)] if isinstance(pipeline, Mapping) else []


def _train_problems(plain: Any) -> Iterator[str]:
    if not isinstance(plain, Mapping):
        return
    known = (*_TRAIN, "all_data")
    yield from (f"train.{key}: unknown key; {nearest(key, known)}" for key in plain if key not in known)
    if not isinstance(plain.get("all_data", False), bool):
        yield f"train.all_data: expected true or false, got {plain['all_data']!r}"
    for key, number in _TRAIN.items():
        if key not in plain:
            yield f"train.{key}: missing"
            continue
        try:
            number.read(plain[key])
        except ValueError as error:
            yield f"train.{key}: {error}"
