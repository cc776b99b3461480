"""The model card of a student bundle, `README.md`: what it is, what it reached, how far to trust it, how to load it.

Source: Mitchell et al., Model Cards for Model Reporting, FAT* 2019 (arXiv 1810.03993), whose headings it has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autokd._version import __version__
from autokd.delivery.pipeline_file import CHECKS
from autokd.files import clean
from autokd.metrics import METRICS, Metric
from autokd.types import Task

SHOWN = 20
"""Classes that are named."""
UNITS = {"params": "parameters", "macs": "multiply-adds a sample", "size": "bytes", "latency": "ms a sample"}
"""Of what a student costs."""
WIDTH = 1.96
"""Standard errors of a 95 % interval."""
_SPECIAL = re.compile(r"([\\`*_\[\]<>#|&~$@]|:(?=//))")
"""Signs that Markdown, or what shows it, takes for more than themselves, wherever they stand in a line."""


def model_card(
    task: Task, metrics: Mapping[str, Any], pipeline_doc: Mapping[str, Any], form: str, temperature: float
) -> str:
    """Return the model card as Markdown; names of others are escaped.

    Args:
      task: what the student answers on.
      metrics: what it reached, as in `metrics.json`.
      pipeline_doc: content of the pipeline file, whose provenance tells of the study.
      form: what a sample is, a phrase, or "".
      temperature: what logits are divided by.
    """
    provenance = _mapping(pipeline_doc.get("provenance"))
    pipeline = pipeline_doc["pipeline"]
    taught = "distilled from a teacher" if pipeline_doc.get("teacher") else "trained on labels"
    parts = [
        f"# {text(task.dataset)}: a {text(pipeline['student']['use'])} classifier",
        f"A small classifier, {taught} with losses {_listed(pipeline['losses'])}. It was "
        f"{_of_study(provenance)}trained by autokd {__version__}.",
        "## Use",
        f"It tells {len(task.classes)} classes apart: {_listed(task.classes)}. A sample is {_sample(task, form)}. "
        "Every sample gets one of these classes, also one that is none of them.",
        _code("autokd predict FOLDER INPUT…", "console"),
        _code('import autokd\n\nstudent = autokd.load_student("FOLDER")\nstudent.predict(samples)', "python"),
        "## Data",
        _data(task, metrics),
        "## Figures",
        "\n".join(_figures(metrics, provenance)),
        *_cost(metrics, provenance),
        "## Calibration",
        _calibration(metrics, temperature),
        "## Limits",
        "\n".join(_limits(metrics, provenance)),
    ]
    return "\n\n".join(parts) + "\n"


def text(name: Any) -> str:
    r"""Return a name of somebody else as Markdown that shows it, and nothing but it.

    Example:
      >>> print(text("<b>[x](y)"))
      \<b\>\[x\](y)
    """
    return _SPECIAL.sub(r"\\\1", " ".join(clean(str(name).replace("\n", " ")).split()))


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of a file that anybody may have written; {} for anything else."""
    return value if isinstance(value, Mapping) else {}


def _code(lines: str, language: str) -> str:
    return f"```{language}\n{lines}\n```"


def _listed(names: Sequence[Any] | Mapping[str, Any]) -> str:
    named = [text(name) for name in names]
    return ", ".join(named[:SHOWN]) + (f" and {len(named) - SHOWN} more" if len(named) > SHOWN else "")


def _of_study(provenance: Mapping[str, Any]) -> str:
    return f"found in the study {text(provenance['study'])} and " if provenance.get("study") else ""


def _sample(task: Task, form: str) -> str:
    return text(form) if form else f"{text(task.modality)} data of shape {' × '.join(map(str, task.input_shape))}"


def _data(task: Task, metrics: Mapping[str, Any]) -> str:
    samples = metrics.get("train_samples", task.train_size)
    return (
        f"{text(task.dataset)} ({text(task.modality)}), {samples:,} training samples, fingerprint `{task.fingerprint}`."
    )


def _figures(metrics: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[str]:
    """What this student reached, and what the study claims of its pipeline."""
    yield "| split | metric | value | 95 % interval over samples | samples |"
    yield "|---|---|---|---|---|"
    for split in ("test", "validation"):
        found: Mapping[str, Any] = metrics.get(split) or {}
        for name, metric in METRICS.items():
            if name in found:
                items = found.get("n")
                value, between = metric.text(found[name]), _interval(metric, found[name], items)
                yield f"| {split} | {metric.title} | {value} | {between} | {items or '–'} |"
    note = (metrics.get("test") or {}).get("note")
    if note:
        yield f"\nTest: {text(note)}."
    evidence = _mapping(provenance.get("evidence"))
    if "text" in evidence:
        after = f"trained for {evidence.get('epochs')} epochs"
        yield f"\nThe study says of this pipeline, {after}: {text(evidence['text'])}."


def _interval(metric: Metric, value: float, items: int | None) -> str:
    """Of a share of so many items (Wilson 1927); "–" for other metrics."""
    if metric is not METRICS["accuracy"] or not items:
        return "–"
    square = WIDTH**2 / items
    middle = (value + square / 2) / (1 + square)
    half = WIDTH * math.sqrt(value * (1 - value) / items + square / (4 * items)) / (1 + square)
    return f"{metric.number(middle - half)} to {metric.text(middle + half)}"


def _cost(metrics: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[str]:
    """Parameters, multiply-adds and more, as far as they are known."""
    known = {name: metrics[name] for name in UNITS if name in metrics}
    cost = {name: value for name, value in {**_mapping(provenance.get("cost")), **known}.items() if name in UNITS}
    if cost:
        yield "## Cost"
        yield f"{', '.join(_amount(value, UNITS[name]) for name, value in cost.items())}."


def _amount(value: Any, unit: str) -> str:
    whole = isinstance(value, (int, float)) and float(value).is_integer()
    return f"{value:,.0f} {unit}" if whole else f"{text(value)} {unit}"


def _calibration(metrics: Mapping[str, Any], temperature: float) -> str:
    """What its probabilities are worth."""
    says = f"Logits are divided by {temperature:.3g} before they become probabilities; that was fitted on validation."
    for split in ("test", "validation"):
        found: Mapping[str, Any] = metrics.get(split) or {}
        if "calibration_error" in found:
            after, before = 100 * found["calibration_error"], 100 * found["calibration_error_raw"]
            return (
                f"{says} On {split}, confidence is then off by {after:.1f} points on average, {before:.1f} without it."
            )
    return f"{says} How far confidence is off was not measured for this student."


def _limits(metrics: Mapping[str, Any], provenance: Mapping[str, Any]) -> Iterator[str]:
    """What was found by the checks of the study, and what always holds."""
    checks = provenance.get(CHECKS)
    for line in checks or ():
        yield f"- {text(line)}"
    if checks is None:
        yield "- No checks were made of it: those of a study are of what the study recommends."
    elif not checks:
        yield "- The checks of the study found nothing against it."
    epochs, measured = metrics.get("epochs"), _mapping(provenance.get("evidence")).get("epochs")
    if measured is not None and epochs != measured:
        yield f"- It was trained for {epochs} epochs; the study measured {measured}."
    yield "- Figures hold for samples like those of the data. How it fares on others was not measured."
