"""Reading a checkpoint, loading it whole into a network, and freezing that into a teacher."""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from autokd.errors import TeacherError, UserError
from autokd.networks.hooks import hooked
from autokd.networks.models import NetworkTeacher, as_output
from autokd.spec import fingerprint
from autokd.types import Task

WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "net")
"""Keys under which training scripts keep the weights beside other things; averaged weights come first."""

PREFIXES = ("module.", "_orig_mod.", "model.", "student.")
"""What wrappers (data-parallel, compiled, Lightning) put before every key."""

METADATA_KEY = "autokd.student"
"""Key of a safetensors file's metadata that holds the student component as JSON."""

BUNDLE_FORMAT = 1
_SHOWN = 3


class StateFile(NamedTuple):
    """What a checkpoint holds.

    Args:
      path: the file; for a bundle, its folder.
      state: names and tensors, on the CPU, as the file has them (prefixes not yet stripped).
      student: the student component in plain form ({"use": name, field: value, …}), or None where the file names none.
      task: the task of a bundle in plain form (mean, std, classes, …); {} for other files.
    """

    path: Path
    state: dict[str, Tensor]
    student: dict[str, Any] | None
    task: Mapping[str, Any] = {}


def read(path: str | Path) -> StateFile:
    """Read a checkpoint: a .safetensors file, a file of `torch.save`, or the folder of a student bundle.

    Only tensors and plain data are read: no code in the file is ever run.

    Raises:
      TeacherError: the file is missing, damaged, holds anything but tensors and plain data, or no state dict.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise TeacherError(f"there is no teacher file {path}")
    if path.is_dir():
        return _read_bundle(path)
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    return _read_torch(path)


def file_fingerprint(path: str | Path) -> str:
    """Return 16 hex digits that identify a checkpoint's bytes (a bundle: those of its weights).

    Raises:
      TeacherError: the file is missing.
    """
    path = Path(path).expanduser()
    path = path / "student.safetensors" if path.is_dir() else path
    if not path.is_file():
        raise TeacherError(f"there is no teacher file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def load_whole(module: nn.Module, state: Mapping[str, Tensor], task: Task, source: str) -> None:
    """Load a state dict into a network; every tensor of both sides must find its partner.

    Prefixes that all keys carry are stripped where that makes the keys fit. Counters of batches
    (`num_batches_tracked`), which old files lack, may be absent.

    Args:
      module: changed in place.
      state: as `read` returns it.
      task: the task, for its class count.
      source: the checkpoint, for the message.
    Raises:
      TeacherError: keys are missing, left over or of another shape, or the class counts differ.
    """
    expected = module.state_dict()
    state = max(_strippings(state), key=lambda candidate: len(expected.keys() & candidate.keys()))
    differing = {key: _differ(state[key], expected[key]) for key in expected.keys() & state.keys()}
    misfits = {key: text for key, text in differing.items() if text}
    missing = [key for key in expected if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in expected]
    if misfits and not missing and not unexpected:
        _check_class_count({key: state[key] for key in misfits}, expected, task, source)
    problems = [
        _listed("missing", missing),
        _listed("unexpected", unexpected),
        _listed("of another shape or type", [f"{key}: {misfits[key]}" for key in expected if key in misfits]),
    ]
    if any(problems):
        raise TeacherError(
            f"{source} does not load whole into this architecture; tensors: "
            f"{'; '.join(problem for problem in problems if problem)}"
        )
    module.load_state_dict(state)


def agreement(module: nn.Module, state: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return how well a state dict fits a network: shared less unshared keys, and tensors of equal shape."""
    expected = module.state_dict()
    state = max(_strippings(state), key=lambda candidate: len(expected.keys() & candidate.keys()))
    common = expected.keys() & state.keys()
    unshared = len(expected) + len(state) - 2 * len(common)
    return len(common) - unshared, sum(not _differ(state[key], expected[key]) for key in common)


def frozen(
    module: nn.Module,
    task: Task,
    *,
    source: str,
    identity: Mapping[str, Any],
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    input_size: int = 0,
    features: Sequence[str] = (),
) -> NetworkTeacher:
    """Freeze a network into a teacher, after a dry run on two zero samples.

    A network that answers with bare logits gets hooks that catch its features and pooled embedding.

    Args:
      module: [B, *input_shape] -> Output or logits [B, C].
      task: the task.
      source: where the network came from, for people and messages.
      identity: plain data that, with the weights, tells the network apart from others.
      mean, std: per channel, of the input that the network was trained on; one value stands for all channels, () for
        the task's own.
      input_size: side in pixels to which images are resized (bilinear) inside the teacher; 0 for no resizing.
      features: paths of the modules whose outputs are the features; () for the last one at each spatial size.
    Raises:
      TeacherError: the network does not take the task's input, or its answer does not fit the task's classes.
    """
    options = {"mean": list(mean), "std": list(std), "input_size": input_size}
    network = f"{type(module).__module__}.{type(module).__qualname__}"
    centre, spread = _normalisation(task, mean, std, source)
    if input_size:
        resized_task(task, input_size)
        module = Resized(module, input_size)
    _dry_run(module, task, source)
    module = hooked(module.eval(), task, features)
    identity_text = fingerprint({"network": network, **identity, **options})
    return NetworkTeacher([module], task, origin=source, mean=centre, std=spread, identity=identity_text)


def resized_task(task: Task, input_size: int) -> Task:
    """Return the task as a network behind a resize to `input_size` pixels sees it; 0 for no resizing.

    Raises:
      TeacherError: the samples are no images, or the size is negative.
    """
    if not input_size:
        return task
    if len(task.input_shape) != 3 or input_size < 0:
        raise TeacherError(f"input_size is for images and positive, got {input_size} for {task.modality} data")
    return replace(task, input_shape=(task.input_shape[0], input_size, input_size))


class Resized(nn.Module):
    """A network behind a bilinear resize of its images to `size` × `size` pixels."""

    def __init__(self, network: nn.Module, size: int) -> None:
        super().__init__()
        self.network = network
        self.size = size

    def forward(self, images: Tensor) -> Any:
        size = (self.size, self.size)
        return self.network(nn.functional.interpolate(images, size=size, mode="bilinear", antialias=True))


@contextlib.contextmanager
def foreign(what: str) -> Iterator[None]:
    """Turn whatever someone else's code raises in the block into a `TeacherError` that says `what` was tried."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a user's or a library's network may raise anything; it becomes one clear line
        raise TeacherError(f"{what}: {type(error).__name__}: {_one_line(error)}") from error


def options(fields: Sequence[str]) -> dict[str, Any]:
    """Translate ("depth=56", "sizes=8,16", "bias=true") to {"depth": 56, "sizes": [8, 16], "bias": True}.

    Raises:
      TeacherError: an item has no "=".
    """
    for field in fields:
        if "=" not in field:
            raise TeacherError(f"expected key=value, got {field!r}")
    return {key: _literal(value) for key, _, value in (field.partition("=") for field in fields)}


def _read_bundle(path: Path) -> StateFile:
    model, weights = path / "model.json", path / "student.safetensors"
    if not model.is_file() or not weights.is_file():
        raise TeacherError(f"the folder {path} is not a student bundle: it needs model.json and student.safetensors")
    try:
        plain = json.loads(model.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TeacherError(f"{model} is not JSON: {_one_line(error)}") from error
    student = _named_student(plain, model)
    return StateFile(path, _read_safetensors(weights).state, student, plain.get("task", {}))


def _read_safetensors(path: Path) -> StateFile:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (the file is no mapping)
        named = json.loads(metadata.get(METADATA_KEY, "null"))
    except (SafetensorError, OSError) as error:
        raise TeacherError(f"{path} is not a whole safetensors file ({_one_line(error)}); get it again") from error
    except ValueError as error:
        raise TeacherError(f"{path}: its metadata {METADATA_KEY!r} is not JSON: {_one_line(error)}") from error
    return StateFile(path, _only_state(state, path), named)


def _read_torch(path: Path) -> StateFile:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TeacherError(_refusal(path, str(error))) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, IndexError, AttributeError, TypeError) as error:
        raise TeacherError(f"{path} is damaged, cut short or no checkpoint ({_one_line(error)})") from error
    named = content.get("autokd") if isinstance(content, Mapping) else None
    student = None if named is None else _named_student(named, path)
    return StateFile(path, _only_state(_unwrapped(content), path), student)


def _refusal(path: Path, message: str) -> str:
    """Say why weights-only loading refused a file, and what to do."""
    found = re.search(r"GLOBAL ([\w.]+)", message)
    if found is None:
        return f"{path} is damaged or no checkpoint of torch.save"
    return (
        f"{path} holds a Python object ({found[1]}) beside or around its tensors, which is not loaded since it could "
        "run code; if you trust the file, save its state dict alone and give that: "
        "torch.save(torch.load(FILE, weights_only=False)[KEY], NEW)"
    )


def _named_student(plain: Any, source: Path) -> dict[str, Any]:
    """The student component that {"format": 1, "student": {"use": …}} names."""
    if not isinstance(plain, Mapping) or not isinstance(plain.get("student"), Mapping):
        raise TeacherError(f"{source} does not name its student: expected {{'format': 1, 'student': {{'use': …}}}}")
    if plain.get("format") != BUNDLE_FORMAT:
        raise TeacherError(
            f"{source} has format {plain.get('format')!r}; this version of autokd reads format {BUNDLE_FORMAT}"
        )
    if plain.get("head", "plain") not in ("plain", {"use": "plain"}):
        raise TeacherError(
            f"{source}: the student has a head of its own ({plain['head']}), which no teacher can have yet"
        )
    return dict(plain["student"])


def _unwrapped(content: Any) -> Any:
    """The innermost mapping under `WRAPPERS`."""
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return content
        content = inner
    return content


def _only_state(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and content and all(isinstance(value, Tensor) for value in content.values()):
        return {str(key): value for key, value in content.items()}
    seen = f"keys {', '.join(map(repr, list(content)[:5]))}" if isinstance(content, Mapping) else type(content).__name__
    raise TeacherError(
        f"{path} holds no state dict (found: {seen}); expected names and tensors, bare or under one of "
        f"{', '.join(WRAPPERS)}"
    )


def _strippings(state: Mapping[str, Tensor]) -> Iterator[dict[str, Tensor]]:
    """The state as it is, then with one more common prefix stripped each time."""
    current = dict(state)
    yield current
    while prefix := next((p for p in PREFIXES if current and all(key.startswith(p) for key in current)), None):
        current = {key.removeprefix(prefix): value for key, value in current.items()}
        yield current


def _differ(found: Tensor, expected: Any) -> str:
    """Say how a tensor of the file differs in shape or kind of number from the network's; "" where it fits."""
    here, there = list(found.shape), list(expected.shape)
    if here != there:
        return f"file {here}, model {there}"
    if found.is_floating_point() != expected.is_floating_point():
        return f"file {found.dtype}, model {expected.dtype}"
    return ""


def _check_class_count(misfits: Mapping[str, Tensor], expected: Mapping[str, Tensor], task: Task, source: str) -> None:
    """Raise where the only misfits are first dimensions that are the task's class count in the network."""
    counts = {found.shape[0] if found.ndim else 0 for found in misfits.values()}
    heads = all(
        found.shape[1:] == expected[key].shape[1:] and expected[key].shape[:1] == (task.num_classes,)
        for key, found in misfits.items()
    )
    if heads and len(counts) == 1 and counts != {task.num_classes}:
        raise _class_counts(counts.pop(), task, source)


def _class_counts(found: int, task: Task, source: str) -> TeacherError:
    return TeacherError(
        f"the teacher {source} tells {found} classes apart, but {task.dataset} has {task.num_classes}; "
        "give a teacher trained on these classes"
    )


def _listed(what: str, items: list[str]) -> str:
    shown = ", ".join(items[:_SHOWN]) + (", …" if len(items) > _SHOWN else "")
    return f"{len(items)} {what} ({shown})" if items else ""


def _normalisation(
    task: Task, mean: Sequence[float], std: Sequence[float], source: str
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and std per channel, the task's where not given; (None, None) where neither is."""
    if not mean and not std:
        return None, None
    channels = task.input_shape[0]
    task_mean, task_std = task.mean or (0.0,) * channels, task.std or (1.0,) * channels
    given = [_per_channel(values, channels, source) for values in (mean or task_mean, std or task_std)]
    if min(given[1]) <= 0:
        raise TeacherError(f"the teacher {source}: std must be positive, got {list(std)}")
    return given[0], given[1]


def _per_channel(values: Sequence[float], channels: int, source: str) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise TeacherError(
            f"the teacher {source}: mean and std need 1 or {channels} values, one a channel, got {len(values)}"
        )
    return tuple(values) if len(values) == channels else tuple(values) * channels


@torch.no_grad()
def _dry_run(module: nn.Module, task: Task, source: str) -> None:
    """Check a network's answer to two zero samples."""
    module.eval()
    parameter = next(module.parameters(), None)
    device = parameter.device if parameter is not None else torch.device("cpu")
    shape = list(task.input_shape)
    with foreign(f"the teacher {source} does not take this data's samples of shape {shape}"):
        answer = module(torch.zeros(2, *shape, device=device))
    logits = as_output(answer).logits
    if not isinstance(logits, Tensor) or logits.ndim != 2 or logits.shape[0] != 2:
        seen = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise TeacherError(
            f"the teacher {source} must answer 2 samples with logits [2, {task.num_classes}] or an Output, got {seen}"
        )
    if logits.shape[1] != task.num_classes:
        raise _class_counts(logits.shape[1], task, source)
    if not logits.isfinite().all():
        raise TeacherError(f"the teacher {source} answers with NaN or infinity; its weights are damaged")


def _literal(text: str) -> Any:
    """A number, true, false, none, a list of these (at commas), or the text itself."""
    words = {"true": True, "false": False, "none": None}
    if "," in text:
        return [_literal(part) for part in text.split(",")]
    if text.lower() in words:
        return words[text.lower()]
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
