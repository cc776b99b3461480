"""The student bundle: a folder of text and safetensors that answers for new inputs without the teacher.

student.safetensors   the weights
model.json            the student component with its fields, its head, the task
preprocess.json       what turns raw inputs into the network's
metrics.json          what it reached; written last, so a folder with it is whole
pipeline.yaml         how it was made
README.md             the model card: all this for people
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from autokd._version import __version__
from autokd.data import Dataset, from_json
from autokd.delivery import pipeline_file
from autokd.delivery.files import read_bytes, read_json, write_json
from autokd.delivery.model_card import model_card
from autokd.delivery.pipeline_file import dump
from autokd.delivery.student import Student
from autokd.engine.build import build_student
from autokd.errors import BundleError, UserError
from autokd.files import write_bytes, write_text
from autokd.input_values import PREPROCESS_FORMAT
from autokd.networks.inputs import kind_of
from autokd.networks.models import seeded, shapes_from_plain, shapes_to_plain, state_fingerprint
from autokd.networks.state_file import METADATA_KEY
from autokd.spec import PipelineSpec, component_from_plain, component_to_plain
from autokd.types import Shapes, Task

FORMAT = 1
_MODEL_KEYS = {"format", "autokd", "student", "head", "teacher", "task", "weights", "temperature"}


@dataclass(frozen=True, kw_only=True)
class TrainedStudent:
    """The form of a student, and its weights.

    Args:
      spec: the pipeline, with the student and its head.
      teacher: what the teacher offers; kept where the head is built on it.
      state: the student's trained state dict.
      temperature: what its logits are divided by before they become probabilities.
    """

    spec: PipelineSpec
    teacher: Shapes | None
    state: Mapping[str, Tensor]
    temperature: float = 1.0


def write_bundle(
    directory: Path,
    student: TrainedStudent,
    *,
    dataset: Dataset,
    metrics: Mapping[str, Any],
    pipeline_doc: Mapping[str, Any],
) -> None:
    """Write a bundle, in place of one that is already there.

    Args:
      directory: the bundle's folder; made with its parents.
      student: what was trained.
      dataset: what it was trained on: task and preprocessing.
      metrics: what it reached, JSON-able.
      pipeline_doc: content of the pipeline file.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "metrics.json").unlink(missing_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in student.state.items()}
    spec, plain = student.spec, component_to_plain(student.spec.student)
    write_bytes(directory / "student.safetensors", save(tensors, metadata={METADATA_KEY: json.dumps(plain)}))
    model = {
        "format": FORMAT,
        "autokd": __version__,
        "student": plain,
        "head": component_to_plain(spec.head),
        "teacher": _kept_shapes(student),
        "task": dataclasses.asdict(dataset.task),
        "weights": state_fingerprint(tensors),
        "temperature": student.temperature,
    }
    write_json(directory / "model.json", model)
    write_json(directory / "preprocess.json", dataset.preprocess.to_json())
    write_text(directory / "pipeline.yaml", dump(pipeline_doc))
    form = str(kind_of(dataset.task.modality).describe(dataset.preprocess).get("form", ""))
    origin, temperature = pipeline_doc.get("provenance"), student.temperature
    card = model_card(dataset.task, spec, metrics, origin, form=form, temperature=temperature)
    write_text(directory / "README.md", card)
    write_json(directory / "metrics.json", {"format": FORMAT, **metrics})


def add_metrics(directory: Path, more: Mapping[str, Any]) -> None:
    """Add to what a bundle's metrics say, and write its model card anew.

    Args:
      directory: of a whole bundle.
      more: by name; what has such a name already is replaced.

    Raises:
      BundleError: it is damaged.
      OSError: it cannot be written.
    """
    metrics = {**read_json(directory / "metrics.json", FORMAT), **more}
    student, file = load_student(directory), pipeline_file.read(directory / "pipeline.yaml")
    form = str(student.input.get("form", ""))
    origin, temperature = file.provenance, student.temperature
    card = model_card(student.task, file.spec, metrics, origin, form=form, temperature=temperature)
    write_text(directory / "README.md", card)
    write_json(directory / "metrics.json", metrics)


def _kept_shapes(student: TrainedStudent) -> dict[str, Any] | None:
    """What the teacher offers, where the student cannot be built again without it."""
    if student.teacher is None or student.spec.head.declares.teacher == "none":
        return None
    return shapes_to_plain(student.teacher)


def _elsewhere(directory: Path) -> str:
    """Name the bundle of a study that was given in its place; "" where there is none."""
    studies = (directory / "best", Path("studies") / directory / "best")
    found = next((each for each in studies if (each / "model.json").is_file()), None)
    return "" if found is None else f", and {found} is one"


def load_student(directory: str | Path, device: str | torch.device = "cpu") -> Student:
    """Load a trained student from its bundle.

    Args:
      directory: the bundle's folder.
      device: where to put the network.
    Raises:
      BundleError: the folder is no bundle, or a file in it is missing, damaged, or of another format.
    """
    directory, device = Path(directory), torch.device(device)
    if not (directory / "model.json").is_file():
        seen = "has no model.json" if directory.is_dir() else "is no folder" if directory.exists() else "does not exist"
        remedy = f"autokd train makes one{_elsewhere(directory)}"
        raise BundleError(f"{directory} is not a student bundle: it {seen}; {remedy}")
    model = _read_model(directory / "model.json")
    plain = read_json(directory / "preprocess.json", PREPROCESS_FORMAT)
    state = _read_state(directory / "student.safetensors", model["weights"])
    try:
        task = _task(model["task"])
        with seeded(0):
            module = _network(model, task)
        module.load_state_dict(state)
        name, temperature = model["student"]["use"], float(model["temperature"])
        return Student(module.to(device), task, from_json(plain), device, name, temperature)
    except (UserError, RuntimeError, TypeError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(f"{directory} cannot be loaded: {type(error).__name__}: {reason}") from error


def _network(model: Mapping[str, Any], task: Task) -> nn.Module:
    student, head = component_from_plain("students", model["student"]), component_from_plain("heads", model["head"])
    offers = None if model["teacher"] is None else shapes_from_plain(model["teacher"])
    return build_student(student, task, head=head, teacher=offers)


def read_metrics(directory: Path) -> dict[str, Any] | None:
    """Return a bundle's metrics, or None where the folder holds no whole bundle.

    Raises:
      BundleError: the file is damaged.
    """
    path = directory / "metrics.json"
    return read_json(path, FORMAT) if path.is_file() else None


def _read_model(path: Path) -> dict[str, Any]:
    model = read_json(path, FORMAT)
    if isinstance(model.get("head"), str):  # as it was written while there was only the plain one
        model = {**model, "head": {"use": model["head"]}, "teacher": None}
    model = {"temperature": 1.0, **model}  # bundles from before it was fitted
    if model.keys() != _MODEL_KEYS:
        odd = sorted(model.keys() ^ _MODEL_KEYS)
        raise BundleError(f"{path} is damaged: missing or unknown keys: {', '.join(odd)}")
    return model


def _read_state(path: Path, weights: str) -> dict[str, Tensor]:
    try:
        state = load(read_bytes(path))
    except SafetensorError as error:
        raise BundleError(f"{path} is damaged or cut short: {error}") from error
    if state_fingerprint(state) != weights:
        raise BundleError(f"{path} is damaged, or belongs to another model.json: its weights are not the recorded ones")
    return state


def _task(plain: Mapping[str, Any]) -> Task:
    """Inverse of `dataclasses.asdict`, after JSON turned tuples into lists."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in plain.items()}
    return Task(**values)
