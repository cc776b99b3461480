"""The text of a training script."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from autokd._version import __version__
from autokd.exports.code.imports import sorted_imports
from autokd.exports.code.parts import WrittenLoss
from autokd.exports.code.pipeline import WrittenPipeline, channels_last
from autokd.spec import PipelineSpec, to_plain
from autokd.types import Task

if TYPE_CHECKING:
    from jinja2 import Template

USUAL = {
    "Path": "from pathlib import Path",
    "NamedTuple": "from typing import NamedTuple",
    "np": "import numpy as np",
    "torch": "import torch",
    "F": "import torch.nn.functional as F",
    "Tensor": "from torch import Tensor",
    "nn": "from torch import nn",
}
"""What all written code imports, by the name that it binds."""
_ALWAYS = {**USUAL, "argparse": "import argparse", "math": "import math"}
"""What every script imports."""
_WIDTH = 116


class Beside(NamedTuple):
    """What lies beside a script.

    Args:
      data, teacher: file names.
      answers: how it has the teacher's answers: it asks, or they are stored with the data.
      scaled: what is done to stored samples before they are augmented, as code that follows their name.
    """

    data: str
    teacher: str
    answers: Literal["", "stored", "live"]
    scaled: str


def script_text(written: WrittenPipeline, spec: PipelineSpec, task: Task, beside: Beside, **how: Any) -> str:
    """Return the script.

    Args:
      written: the pipeline's parts.
      spec, task: the pipeline, and what it is trained on.
      beside: the files that it reads.
      how: `epochs` and `seed`.
    """
    modules = [loss for loss in written.losses if loss.module]
    values: Mapping[str, Any] = {
        **how,
        "version": __version__,
        "dataset": task.dataset,
        "about": _about(spec),
        "data_file": beside.data,
        "teacher_file": beside.teacher,
        "teacher": beside.answers,
        "pooled": any("pooled" in loss.reads for loss in written.losses),
        "imports": sorted_imports({**written.imports, **_ALWAYS}.values()),
        "batch_size": spec.batch_size,
        "rate": written.optimizer.rate,
        "classes": _wrapped(f"Classes: {', '.join(task.classes)}"),
        "input_shape": repr(tuple(task.input_shape)),
        "with_tokens": "tokens" in spec.student.declares.offers,
        "num_classes": task.num_classes,
        "sections": written.sections,
        "augment": written.augment,
        "losses": [{"window": _window(loss), "term": _term(loss)} for loss in written.losses],
        "with_step": any("step" in loss.value for loss in written.losses),
        "modules": [{"key": loss.key, "made": loss.module} for loss in modules],
        "student": written.student,
        "channels_last": channels_last(task),
        "optimizer": written.optimizer,
        "options": "".join(f", {key}={value!r}" for key, value in written.optimizer.options.items()),
        "ema": spec.ema,
        "max_norm": written.max_norm,
        "one_thread": written.one_thread,
        "scaled": beside.scaled,
    }
    return template("script.py.jinja").render(values)


def _term(loss: WrittenLoss) -> str:
    """The weighted value of a loss on a step."""
    weight = "" if loss.weight == 1 else f"{loss.weight!r} * "
    return f"{weight}{loss.value}{'' if loss.scalar else '.mean()'}"


def _window(loss: WrittenLoss) -> str:
    """The condition under which a loss counts; "" for always."""
    if (loss.begin, loss.end) == (0.0, 1.0):
        return ""
    return f"{loss.begin!r} <= u < {loss.end!r}"


def _about(spec: PipelineSpec) -> list[str]:
    """The pipeline, a line each part."""
    parts = []
    for slot, value in to_plain(spec).items():
        if slot == "losses":
            parts += [_worded(loss) for loss in value.values()]
        elif isinstance(value, Mapping) and value["use"] not in ("plain", "random", "all"):
            parts.append(_worded(value))
    return textwrap.wrap(f"The pipeline: {', '.join(parts)}.", _WIDTH)


def _worded(part: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{key} {value}" for key, value in part.items() if key != "use")
    return f"{part['use']}({fields})" if fields else str(part["use"])


def _wrapped(text: str) -> list[str]:
    """Lines of a comment; the classes of a long list are cut after the first lines."""
    lines = textwrap.wrap(" ".join(text.split()), _WIDTH)
    return lines if len(lines) <= 3 else [*lines[:3], "…"]


def template(name: str) -> Template:
    """Return a template of written code."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,  # it is code
    )
    return environment.get_template(name)
