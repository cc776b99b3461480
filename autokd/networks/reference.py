"""The text after `--teacher`, and what it stands for.

    ARCH[:key=value,…]@FILE             an architecture of autokd (`autokd list students`), or resnet20 … resnet110
    timm:NAME[:key=value,…]@FILE        a model of timm
    torchvision:NAME[:key=value,…]@FILE a classifier of torchvision
    package.module:factory@FILE         a function that returns an nn.Module, importable from here
    sklearn:FILE                        a classifier of scikit-learn, saved with skops; sees the rows of a table
    lightgbm:FILE, xgboost:FILE, catboost:FILE
                                        a model in the library's own format; sees the rows of a table
    onnx:FILE                           a model in ONNX, on pictures or on the rows of a table
    predictions:FILE                    what a teacher has said of every sample: .npz, .csv or .parquet
    FILE                                a checkpoint that names its architecture, or the folder of a student bundle

Keys are the architecture's own fields, and for every kind `mean`, `std` (one value, or one a channel:
mean=0.5,0.5,0.5) and `input_size` (pixels). The file's weights are loaded whole or not at all: there is no teacher
with random weights. A teacher may also be an nn.Module, or a fitted object with `predict_proba`; these are taken as
they are.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from autokd import catalog, spec
from autokd.components import TeacherComponent
from autokd.errors import TeacherError, nearest
from autokd.input_kind import takes
from autokd.networks import state_file
from autokd.networks.class_list import read_class_names
from autokd.networks.ensemble import EnsembleTeacher, described_members
from autokd.networks.models import state_fingerprint
from autokd.networks.options import split_options
from autokd.types import BuildContext, Samples, Task, Teacher

Reference = str | Path | nn.Module | Mapping[str, Any] | Any
"""The text after `--teacher`, a network, a description, or an object with `predict_proba`."""
IN_PYTHON = frozenset({"module", "object"})
"""Teachers that were handed over in Python: nobody else can load them."""

NOTHING: Mapping[str, Any] = {}
LATER = ("classes", "key")
"""Fields that earlier versions lack: a description has them only where they are given, so that studies are the same."""

_FORMS = (
    "ARCH[:key=value,…]@FILE, timm:NAME@FILE, torchvision:NAME@FILE, package.module:factory@FILE, "
    "predictions:FILE, or a FILE that names its architecture"
)


def load_teacher(
    reference: Reference, task: Task, given: Mapping[str, Any] = NOTHING, samples: Samples | None = None
) -> Teacher:
    """Load a teacher, frozen, in eval mode, on the CPU.

    Args:
      reference: the text after `--teacher`, a network, what `describe` returned for a text, or the plain reference of
        an ensemble (`autokd.networks.ensemble.describe_together`), which has the fields of its members in it.
      task: what it is to answer on.
      given: fields of its component that were given beside the reference, such as `classes`.
      samples: of the task's dataset, for a teacher that answers about samples.
    Raises:
      TeacherError: it cannot be loaded whole, does not fit the data, or its file is not the described one.
      ComponentError: a field of the architecture does not exist or has a value of the wrong type.
      MissingDependency: the package that has the architecture is not installed.
    """
    members = described_members(reference)
    if members is not None:
        return EnsembleTeacher([load_teacher(member, task, samples=samples) for member in members])
    component: TeacherComponent = to_component(reference, given)
    modalities = component.declares.modalities
    if not takes(modalities, task.modality):
        kinds = " or ".join(sorted(modalities))
        raise TeacherError(
            f"a {catalog.name_of(component)} teacher takes {kinds} data; {task.dataset} is {task.modality}"
        )
    return component.build(BuildContext(task=task, samples=samples))


def given_fields(classes: Any = None, mean: Any = None, std: Any = None, size: int | None = None) -> dict[str, Any]:
    """Return the fields of a teacher's component that are given beside its reference; None: it is not given.

    Args:
      classes: as `autokd.networks.class_list.read_class_names` takes them.
      mean, std: of its input, in shares of 0 to 1: a number, several, or a text of them with commas.
      size: side in pixels of its input.
    Raises:
      TeacherError: the names or the numbers cannot be read.
    """
    given = {} if classes is None else {"classes": read_class_names(classes)}
    numbers = {name: _numbers(name, value) for name, value in (("mean", mean), ("std", std)) if value is not None}
    return {**given, **numbers, **({} if size is None else {"input_size": size})}


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, Iterable) else [value]
    try:
        return tuple(float(part) for part in parts)
    except (TypeError, ValueError) as error:
        raise TeacherError(
            f"the teacher's {name} is a number, or one a channel with commas: 0.485,0.456,0.406; got {value!r}"
        ) from error


def describe(reference: Reference, given: Mapping[str, Any] = NOTHING) -> dict[str, Any]:
    """Return a teacher reference as plain data: what to load, and a fingerprint of the file (or of the network).

    Args:
      reference, given: as for `load_teacher`.
    Raises:
      TeacherError: the text has none of the forms, or there is no such file.
    """
    if isinstance(reference, nn.Module):
        network = f"{type(reference).__module__}.{type(reference).__qualname__}"
        fingerprint = state_fingerprint(reference.state_dict())
        return {"use": "module", "network": network, "fingerprint": fingerprint, **_as_plain(given)}
    if not isinstance(reference, (str, Path, Mapping)):
        return {
            "use": "object",
            "object": f"{type(reference).__module__}.{type(reference).__qualname__}",
            **_as_plain(given),
        }
    component = to_component(reference, given)
    plain = {key: value for key, value in spec.component_to_plain(component).items() if value or key not in LATER}
    if plain.get("arch") == "":
        plain.update(_architecture_in(component.file, component.key))
    return {**plain, "fingerprint": state_file.file_fingerprint(component.file)}


def to_component(reference: Reference, given: Mapping[str, Any] = NOTHING) -> Any:
    """Return the teacher component that a reference stands for; nothing is loaded.

    Args:
      reference, given: as for `load_teacher`.
    Raises:
      TeacherError: the text has none of the forms, or a described file is missing or has changed.
    """
    if isinstance(reference, nn.Module):
        return catalog.load("teachers", "module")(module=reference, **given)
    if is_in_python(reference):
        return _object(reference, given)
    if isinstance(reference, Mapping):
        return dataclasses.replace(_described(reference), **given)
    name, values = parse(str(reference))
    return spec.make("teachers", name, {**values, **_as_plain(given)})


def _object(reference: Any, given: Mapping[str, Any]) -> Any:
    if not hasattr(reference, "predict_proba"):
        raise TeacherError(
            "a teacher in Python is a reference, a network, or a fitted object with predict_proba, got "
            f"{type(reference).__name__}"
        )
    return catalog.load("teachers", "object")(model=reference, **given)


def is_in_python(reference: Reference) -> bool:
    """Whether a teacher was handed over in Python, so that nobody else can load it."""
    return not isinstance(reference, (str, Path, Mapping))


def fields_set(reference: Reference, given: Mapping[str, Any] = NOTHING) -> frozenset[str]:
    """Return the fields of the component that the user set; all of those that a description has.

    Args:
      reference, given: as for `load_teacher`.
    Raises:
      TeacherError: the text has none of the forms.
    """
    if is_in_python(reference):
        return frozenset(given)
    named = reference if isinstance(reference, Mapping) else parse(str(reference))[1]
    return frozenset({*named, *given})


def _as_plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in given.items()}


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """Split the text after `--teacher` into the name and the fields of a teacher component.

    Raises:
      TeacherError: the text has none of the forms.
    """
    if Path(text).expanduser().exists():
        return "autokd", {"file": text}
    kind, colon, rest = text.partition(":")
    if colon and _needs_a_file_alone(kind):
        options, at, file = rest.rpartition("@") if not Path(rest).expanduser().exists() else ("", "", rest)
        if not file:
            raise TeacherError(f"{text!r} names no file; expected {kind}:FILE")
        return kind, {"file": file, **_sort_options(kind, options)}
    head, at, file = text.partition("@")
    if not at:
        raise TeacherError(f"there is no teacher file {text!r}; expected {_FORMS}")
    if not head or not file:
        raise TeacherError(f"{text!r} names no teacher; expected {_FORMS}")
    name, values = parse_network(head)
    return name, {**values, "file": file}


def parse_network(head: str) -> tuple[str, dict[str, Any]]:
    """Split what a reference to a network has before its @ into the name and the fields of a teacher component.

    >>> parse_network("resnet:depth=14,mean=0.5")
    ('autokd', {'arch': 'resnet', 'fields': ['depth=14'], 'mean': ['0.5']})

    Raises:
      TeacherError: the text has none of the forms.
    """
    parts = head.split(":")
    options = parts.pop() if "=" in parts[-1] else ""
    name, named = _named(parts, head)
    return name, {**named, **_sort_options(name, options)}


def _needs_a_file_alone(name: str) -> bool:
    """Whether there is a teacher component of this name that is written NAME:FILE: a file is all that it must have."""
    if name not in catalog.names("teachers") or name == "autokd":
        return False
    fields = dataclasses.fields(catalog.load("teachers", name))
    return [field.name for field in fields if field.default is dataclasses.MISSING] == ["file"]


def _named(parts: list[str], text: str) -> tuple[str, dict[str, str]]:
    """The teacher component, and the field of it, that the text before the options names."""
    match parts:
        case ["timm" | "torchvision" as library, model] if model:
            return library, {"model": model}
        case [module, function] if module and function:
            return "factory", {"factory": f"{module}:{function}"}
        case [arch] if arch and arch not in ("timm", "torchvision"):
            return "autokd", {"arch": arch}
    raise TeacherError(f"{text!r} names no teacher; expected {_FORMS}")


def _sort_options(name: str, options: str) -> dict[str, Any]:
    """Sort "key=value,…" into the component's own fields and the architecture's (`fields`)."""
    items = split_options(options)
    cls: Any = catalog.load("teachers", name)
    own = spec.fields_of(cls)
    foreign = [item for item in items if item.partition("=")[0] not in own]
    if foreign and "fields" not in own:
        key = foreign[0].partition("=")[0]
        raise TeacherError(f"a {name} teacher has no option {key!r}; {nearest(key, set(own) - {'file'})}")
    values: dict[str, Any] = {"fields": foreign} if "fields" in own else {}
    for key, _, value in (item.partition("=") for item in items if item not in foreign):
        values[key] = value.split(",") if typing.get_origin(own[key].type) is tuple else value
    return values


def _described(plain: Mapping[str, Any]) -> Any:
    """The component of a described teacher, its file unchanged."""
    if plain.get("use") in IN_PYTHON:
        what = plain.get("network") or plain.get("object")
        raise TeacherError(f"the teacher was handed over in Python ({what}); hand it over again")
    component = spec.component_from_plain("teachers", {k: v for k, v in plain.items() if k != "fingerprint"})
    found = state_file.file_fingerprint(component.file)
    if plain.get("fingerprint") not in (None, found):
        raise TeacherError(
            f"the teacher file {component.file} has changed: its fingerprint is {found}, not {plain['fingerprint']}"
        )
    return component


def _architecture_in(file: str, key: str) -> dict[str, Any]:
    """The architecture that a file names, as `arch` and `fields`; {} where it names none."""
    student = state_file.read(file, key).student
    if student is None:
        return {}
    component = spec.component_from_plain("students", student)
    values = {field.name: getattr(component, field.name) for field in dataclasses.fields(component)}
    return {"arch": student["use"], "fields": [f"{key}={value}" for key, value in values.items()]}
