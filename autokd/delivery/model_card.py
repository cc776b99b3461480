"""The model card of a student bundle, `README.md`: what it is, what it reached, how far to trust it, how to load it.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* 2019 (arXiv 1810.03993), whose headings it has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from autokd._version import __version__
from autokd.files import clean
from autokd.metrics import METRICS, Metric
from autokd.spec import PipelineSpec, component_to_plain
from autokd.study.int8 import int8_of
from autokd.types import Task

T = TypeVar("T")
SHOWN = 20
"""Classes that are named."""
UNITS = {"params": "parameters", "macs": "multiply-adds a sample", "size": "bytes", "latency": "ms a sample"}
"""Of what a student costs."""
WIDTH = 1.96
"""Standard errors of a 95 % interval."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|&~$@]|:(?=//))")
"""Signs that Markdown, or what shows it, takes for more than themselves, wherever they stand in a line."""


def model_card(
    task: Task, spec: PipelineSpec, metrics: Mapping[str, Any], provenance: Any, *, form: str, temperature: float
) -> str:
    """Return the model card as Markdown; names of others are escaped.

    Args:
      task: what the student answers on.
      spec: how it was trained.
      metrics: what it reached, as in `metrics.json`.
      provenance: of the pipeline file; it tells of the study.
      form: what a sample is, a phrase, or "".
      temperature: what logits are divided by.
    """
    origin, reached = taken(Origin, provenance), taken(Reached, metrics)
    taught = "distilled from a teacher" if spec.needs_teacher else "trained on labels"
    parts = [
        f"# {text(task.dataset)}: a {text(component_to_plain(spec.student)['use'])} classifier",
        f"A small classifier, {taught} with losses {_listed(spec.losses)}. It was "
        f"{_of_study(origin)}trained by autokd {__version__}.",
        "## Use",
        f"It tells {len(task.classes)} classes apart: {_listed(task.classes)}. A sample is {_sample(task, form)}. "
        "Every sample gets one of these classes, also one that is none of them.",
        _code("autokd predict FOLDER INPUT…\nautokd export-model FOLDER --format onnx", "console"),
        _code('import autokd\n\nstudent = autokd.load_student("FOLDER")\nstudent.predict(samples)', "python"),
        "## Data",
        _data(task, reached),
        "## Figures",
        "\n".join(_figures(reached, origin)),
        *_cost(reached, origin),
        *_in_int8(reached),
        "## Calibration",
        _calibration(reached, temperature),
        "## Limits",
        "\n".join(_limits(reached, origin)),
    ]
    return "\n\n".join(parts) + "\n"


def text(name: Any) -> str:
    r"""Return a name of somebody else as Markdown that shows it, and nothing but it.

    Example:
      >>> print(text("<b>[x](y)"))
      \<b\>\[x\](y)
    """
    return _SPECIAL.sub(r"\\\1", " ".join(clean(str(name).replace("\n", " ")).split()))


class Evidence(NamedTuple):
    """What a study claims of a pipeline: in words, and after how many epochs."""

    text: str = ""
    epochs: int | None = None


class Origin(NamedTuple):
    """Where a pipeline comes from, as far as its file says so.

    Args:
      study: its name.
      cost: of the student, by name.
      checks: what those of the study say against it, a line each; None: none were made of it.
      evidence: see `Evidence`.
    """

    study: str = ""
    cost: Any = None
    checks: Sequence[str] | None = None
    evidence: Any = None


class Reached(NamedTuple):
    """What `metrics.json` says of a student, as far as the card tells it."""

    test: Any = None
    validation: Any = None
    epochs: int | None = None
    seed: int | None = None
    train_samples: int | None = None
    params: int | None = None
    macs: int | None = None
    int8: Any = None
    all_data: bool = False


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of a file that anybody may have written; {} for anything else."""
    return value if isinstance(value, Mapping) else {}


def taken(kind: type[T], plain: Any) -> T:
    """Return the fields of a named tuple that a part of a file has, as one."""
    found = _mapping(plain)
    return kind(**{name: found[name] for name in kind._fields if name in found})  # type: ignore[attr-defined]


def _code(lines: str, language: str) -> str:
    return f"```{language}\n{lines}\n```"


def _listed(names: Sequence[Any] | Mapping[str, Any]) -> str:
    named = [text(name) for name in names]
    return ", ".join(named[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")


def _of_study(origin: Origin) -> str:
    return f"found in the study {text(origin.study)} and " if origin.study else ""


def _sample(task: Task, form: str) -> str:
    return text(form) if form else f"{text(task.modality)} data of shape {' × '.join(map(str, task.input_shape))}"


def _data(task: Task, reached: Reached) -> str:
    samples = reached.train_samples or task.train_size
    among = ", those of validation among them" if reached.all_data else ""
    return (
        f"{text(task.dataset)} ({text(task.modality)}), {samples:,} training samples{among}, fingerprint "
        f"`{task.fingerprint}`."
    )


def _figures(reached: Reached, origin: Origin) -> Iterator[str]:
    """What this student reached, and what the study claims of its pipeline."""
    yield "| split | metric | value | 95 % interval over samples | samples |"
    yield "|---|---|---|---|---|"
    for split, measured in (("test", reached.test), ("validation", reached.validation)):
        found = _mapping(measured)
        for name, metric in METRICS.items():
            if name in found:
                items = found.get("n")
                value, between = metric.text(found[name]), _interval(metric, found[name], items)
                yield f"| {split} | {metric.title} | {value} | {between} | {items or '–'} |"
    for split, measured in (("Test", reached.test), ("Validation", reached.validation)):
        note = _mapping(measured).get("note")
        if note:
            yield f"\n{split}: {text(note)}."
    evidence = taken(Evidence, origin.evidence)
    if evidence.text:
        after = f"trained for {evidence.epochs} epochs"
        yield f"\nThe study says of this pipeline, {after}: {text(evidence.text)}."


def _interval(metric: Metric, value: float, items: int | None) -> str:
    """Of a share of so many items (Wilson 1927); "–" for other metrics."""
    if not metric.counts_right or not items:
        return "–"
    square = WIDTH**2 / items
    middle = (value + square / 2) / (1 + square)
    half = WIDTH * math.sqrt(value * (1 - value) / items + square / (4 * items)) / (1 + square)
    return f"{metric.number(middle - half)} to {metric.text(middle + half)}"


def _cost(reached: Reached, origin: Origin) -> Iterator[str]:
    """Parameters, multiply-adds and more, as far as they are known."""
    known = {"params": reached.params, "macs": reached.macs}
    told = {**_mapping(origin.cost), **{name: value for name, value in known.items() if value is not None}}
    cost = {name: value for name, value in told.items() if name in UNITS}
    if cost:
        yield "## Cost"
        yield f"{', '.join(_amount(value, UNITS[name]) for name, value in cost.items())}."


def _in_int8(reached: Reached) -> Iterator[str]:
    """What it loses and gains in 8 bits, where that was measured."""
    found, metric = int8_of({"int8": reached.int8}), METRICS["accuracy"]
    if found is None:
        return
    yield "## In 8 bits"
    splits = {name: each for name, each in (("test", found.test), ("validation", found.validation)) if each}
    heads = " | ".join([*(f"accuracy on {name}" for name in splits), "size of the file", "latency"])
    in_float = [*(metric.text(each.float_accuracy) for each in splits.values()), f"{found.float_size:,} bytes"]
    in_int8 = [*(metric.text(each.accuracy) for each in splits.values()), f"{found.size:,} bytes"]
    yield "\n".join(
        [
            f"| | {heads} |",
            f"|---|{'---|' * (len(splits) + 2)}",
            f"| float | {' | '.join([*in_float, f'{found.float_latency:.3g} ms'])} |",
            f"| int8 | {' | '.join([*in_int8, f'{found.latency:.3g} ms'])} |",
        ]
    )
    lost = "; ".join(f"on {each.n:,} {name} samples {each.text}" for name, each in splits.items())
    warning = f" **{text(found.warning)}.**" if found.warning else ""
    warning += " It was trained on the validation samples, so only the difference there tells." if found.seen else ""
    yield (
        f"The difference in accuracy, with its 95 % interval: {lost}.{warning} Latency is that of the network for one "
        f"sample on one CPU thread, by {text(found.runtime)}. {found.method.capitalize()}, calibrated on "
        f"{found.calibration:,} training samples."
    )


def _amount(value: Any, unit: str) -> str:
    whole = isinstance(value, (int, float)) and float(value).is_integer()
    return f"{value:,.0f} {unit}" if whole else f"{text(value)} {unit}"


def _calibration(reached: Reached, temperature: float) -> str:
    """What its probabilities are worth."""
    says = f"Logits are divided by {temperature:.3g} before they become probabilities; that {_fitted(reached)}."
    for split, measured in (("test", reached.test), ("validation", reached.validation)):
        found = _mapping(measured)
        if "calibration_error" in found:
            after, before = 100 * found["calibration_error"], 100 * found["calibration_error_raw"]
            return (
                f"{says} On {split}, confidence is then off by {after:.1f} points on average, {before:.1f} without it."
            )
    return f"{says} How far confidence is off was not measured for this student."


def _fitted(reached: Reached) -> str:
    """Where the temperature is from."""
    if not reached.all_data:
        return "was fitted on validation"
    if _mapping(reached.validation).get("n") != 0:
        return "was fitted on validation for the same pipeline, trained without it"
    return "was not fitted, for nothing was left to fit it on"


def _limits(reached: Reached, origin: Origin) -> Iterator[str]:
    """What was found by the checks of the study, and what always holds."""
    checks = origin.checks
    for line in checks or ():
        yield f"- {text(line)}"
    if checks is None:
        yield "- No checks were made of it: those of a study are of what the study recommends."
    elif not checks:
        yield "- The checks of the study found nothing against it."
    measured = taken(Evidence, origin.evidence).epochs
    if measured is not None and reached.epochs != measured:
        yield f"- It was trained for {reached.epochs} epochs; the study measured {measured}."
    yield "- Figures hold for samples like those of the data. How it fares on others was not measured."
