"""The texts of a torchdistill pipeline: its YAML, the module with what torchdistill lacks, and what runs it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from autokd._version import __version__
from autokd.errors import ComponentError
from autokd.exports.code.imports import sorted_imports
from autokd.exports.code.parts import WrittenLoss
from autokd.exports.code.pipeline import WrittenPipeline, write_pipeline
from autokd.exports.code.script import USUAL, template
from autokd.spec import PipelineSpec, bare, component_to_plain, keys_of, read_by
from autokd.types import Shapes, Task

COMPANION = "autokd_companion"
"""Name of the module with what torchdistill lacks."""
_IMPORTS = {**USUAL, "Any": "from typing import Any", "Dataset": "from torch.utils.data import Dataset"}
_FROM_TORCHDISTILL = {
    "core.interfaces.post_forward_proc": ("default_post_forward_process",),
    "core.interfaces.pre_epoch_proc": ("default_pre_epoch_process_with_teacher",),
    "core.interfaces.registry": ("register_post_forward_proc_func", "register_pre_epoch_proc_func"),
    "datasets.registry": ("register_collate_func",),
    "losses.registry": ("register_mid_level_loss",),
    "models.registry": ("register_model",),
    "optim.registry": ("register_optimizer", "register_scheduler"),
}
_LOGITS = {
    f"{who}_module_{what}": value for who in ("student", "teacher") for what, value in (("path", "."), ("io", "output"))
}


class Around(NamedTuple):
    """What the texts say beside the pipeline: file names, length and seed of training.

    `scaled` is what is done to stored samples before they are augmented, as code that follows their name.
    """

    config_file: str
    data_file: str
    teacher_file: str
    scaled: str
    epochs: int
    seed: int


class Term(NamedTuple):
    """A loss in the YAML: torchdistill's class, its arguments, and what wraps it."""

    loss: str
    arguments: Mapping[str, Any]
    wrapper: Mapping[str, Any] | None = None


class Texts(NamedTuple):
    """What is written: the YAML, the companion, and the file that runs it; and what losses read of the teacher."""

    config: str
    companion: str
    run: str
    parts: frozenset[str]


def torchdistill_texts(spec: PipelineSpec, task: Task, teacher: Shapes | None, around: Around) -> Texts:
    """Write a pipeline for torchdistill.

    Args:
      spec, task: the pipeline, and what it is trained on.
      teacher: what the teacher offers.
      around: what else they say.

    Raises:
      ComponentError: torchdistill lacks something that no companion can bring, or parts have no plain form.
    """
    own = {key: term for key, loss in spec.losses.items() if (term := _own_term(loss)) is not None}
    written = write_pipeline(spec, task, teacher, without=own.keys())
    _check(spec, written)
    batches = math.ceil(task.train_size / spec.batch_size)
    values: dict[str, Any] = {
        **around._asdict(),
        "version": __version__,
        "companion": COMPANION,
        "steps": around.epochs * math.ceil(task.train_size / math.ceil(task.train_size / batches)),
        "batch_size": math.ceil(task.train_size / batches),
        "input_shape": repr(tuple(task.input_shape)),
        "with_tokens": "tokens" in spec.student.declares.offers,
        "num_classes": task.num_classes,
        "sections": written.sections,
        "student": written.student,
        "augment": written.augment,
        "losses": [_function(loss) for loss in written.losses],
        "one_thread": written.one_thread,
    }
    read = frozenset().union(*(loss.reads for loss in written.losses))
    stages = len(teacher.features) if teacher is not None and "features" in read else 0
    own_stages = _student_stages(written)
    imports = {**written.imports, **_IMPORTS, **_registries(written)}
    companion = template("companion.py.jinja").render(
        values,
        imports=sorted_imports(imports.values()),
        optimizer=written.optimizer,
        student_stages=own_stages,
        teacher_stages=stages,
    )
    optimizer = {"lr": written.optimizer.rate, "weight_decay": written.optimizer.decay, **written.optimizer.options}
    config = template("torchdistill.yaml.jinja").render(
        values,
        optimizer=yaml_text(optimizer),
        max_norm=written.max_norm,
        student_hooks=_hooks(own_stages),
        teacher_hooks=_hooks(stages, pooled="pooled" in read),
        terms=[_in_yaml(key, loss, own, written) for key, loss in spec.losses.items()],
    )
    return Texts(config, companion, template("run_torchdistill.py.jinja").render(values), read)


def _registries(written: WrittenPipeline) -> dict[str, str]:
    """Imports from torchdistill, by name."""
    needed = {module: names for module, names in _FROM_TORCHDISTILL.items() if written.losses or "losses" not in module}
    return {name: f"from torchdistill.{module} import {name}" for module, names in needed.items() for name in names}


def _check(spec: PipelineSpec, written: WrittenPipeline) -> None:
    """Refuse what torchdistill cannot do.

    Raises:
      ComponentError: names what, and why.
    """
    refused = [
        f"losses.{loss.key} (it has parameters of its own, and only models train)"
        for loss in written.losses
        if loss.module
    ]
    if spec.ema:
        refused.append(f"ema ({spec.ema}: it keeps no average of weights)")
    if not any(read_by(loss) for loss in spec.losses.values()):
        refused.append("losses (none reads a teacher, and it distils)")
    if refused:
        raise ComponentError(f"torchdistill has nothing for {'; '.join(refused)}")


def _own_term(placed: Any) -> Term | None:
    """The loss as torchdistill's own class computes it; None where it has none."""
    keys, component = keys_of(placed), bare(placed)
    plain = component_to_plain(component)
    make = _OWN.get(plain["use"])
    always = (keys.begin, keys.end) == (0.0, 1.0) and read_by(placed) in ("", "teacher")
    return make(plain) if make is not None and always else None


def _ce(plain: Mapping[str, Any]) -> Term:
    logits = {"is_from_teacher": False, "module_path": ".", "io": "output"}
    wrapper = {"key": "SimpleLossWrapper", "kwargs": {"input": logits, "target": {"uses_label": True}}}
    return Term("CrossEntropyLoss", {"label_smoothing": plain["label_smoothing"]}, wrapper)


def _kd(plain: Mapping[str, Any]) -> Term | None:
    if plain["standardize"]:
        return None
    # with alpha 0 it leaves out beta and the squared temperature
    return Term("KDLoss", {**_LOGITS, "temperature": plain["temperature"], "alpha": 1e-12, "beta": 1.0})


def _dist(plain: Mapping[str, Any]) -> Term:
    return Term("DISTLoss", {**_LOGITS, "beta": plain["beta"], "gamma": plain["gamma"], "tau": plain["temperature"]})


_OWN: Mapping[str, Callable[[Mapping[str, Any]], Term | None]] = {"ce": _ce, "kd": _kd, "dist": _dist}


def _in_yaml(key: str, placed: Any, own: Mapping[str, Term], written: WrittenPipeline) -> dict[str, Any]:
    """A loss as the YAML has it."""
    if key in own:
        term, component = own[key], bare(placed)
        weight = component.weight * component.declares.scale.value
    else:
        loss = next(each for each in written.losses if each.key == key)
        term, weight = Term("WrittenLoss", {"function": _name(loss), "begin": loss.begin, "end": loss.end}), loss.weight
    wrapper = None if term.wrapper is None else yaml_text(term.wrapper)
    return {
        "key": key,
        "loss": term.loss,
        "kwargs": yaml_text(term.arguments),
        "wrapper": wrapper,
        "weight": yaml_text(weight),
    }


def _function(loss: WrittenLoss) -> dict[str, str]:
    return {"key": loss.key, "function": _name(loss), "value": f"{loss.value}{'' if loss.scalar else '.mean()'}"}


def _name(loss: WrittenLoss) -> str:
    return f"loss_{re.sub(r'[^0-9A-Za-z_]', '_', loss.key)}"


def _student_stages(written: WrittenPipeline) -> int:
    return written.stages if any("features" in loss.reads for loss in written.losses) else 0


def _hooks(stages: int, *, pooled: bool = True) -> str:
    """Paths of the modules whose outputs are kept."""
    return ", ".join([*(f"'features.{i}'" for i in range(stages)), *(["'pooled'"] if pooled else [])])


def yaml_text(value: Any) -> str:
    """Return plain data as YAML on one line, which PyYAML reads as it was.

    >>> yaml_text({"rate": 1e-05, "nesterov": True, "betas": (0.9, 0.5), "key": "x"})
    "{rate: 1.0e-05, nesterov: True, betas: [0.9, 0.5], key: 'x'}"
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {yaml_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(yaml_text, value))}]"
    text = repr(value)
    return text.replace("e", ".0e", 1) if isinstance(value, float) and "e" in text and "." not in text else text
