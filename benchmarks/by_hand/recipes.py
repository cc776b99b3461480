"""What the person knows: the field's pipelines on the largest student of the default family inside the limit."""

from __future__ import annotations

from typing import Any

from autokd.search.limits import inside, pipeline_cost
from benchmarks.by_hand.bench import Bench

_LOSSES: dict[str, dict[str, Any]] = {
    "kd": {"ce": {"weight": 0.1}, "kd": {"weight": 0.9, "temperature": 4.0}},
    "alone": {"ce": {"weight": 1.0}},
    "dist": {"ce": {"weight": 1.0}, "dist": {"weight": 1.0, "temperature": 4.0, "beta": 1.0, "gamma": 1.0}},
    "dkd": {"ce": {"weight": 1.0}, "dkd": {"weight": 1.0, "temperature": 4.0, "alpha": 1.0, "beta": 2.0}},
}
_OPTIMIZERS: dict[str, dict[str, Any]] = {
    "sgd": {"use": "sgd", "learning_rate": 0.1},
    "adamw": {"use": "adamw", "learning_rate": 2e-3},
}
_FAMILIES: dict[str, dict[str, Any]] = {"image": {"use": "resnet", "depth": 8}, "table": {"use": "mlp", "depth": 2}}


def recipes(bench: Bench) -> dict[str, dict[str, Any]]:
    """Return the plain pipeline of every recipe by its name, plain KD first."""
    space, student = bench.setup.space, largest_student(bench)
    return {
        loss if optimizer == "sgd" else f"{loss}-{optimizer}": space.complete(
            {"student": student, "losses": losses, "optimizer": _OPTIMIZERS[optimizer]}
        )
        for optimizer in _OPTIMIZERS
        for loss, losses in _LOSSES.items()
    }


def largest_student(bench: Bench) -> dict[str, Any]:
    """Return the widest student of the default family inside the limit."""
    space, task = bench.setup.space, bench.setup.data.task
    student = _FAMILIES[bench.wanted.kind]
    widths = (
        width
        for width in range(128, 3, -1)
        if inside(pipeline_cost({"student": {**student, "width": width}}, task, bench.setup.offers), space.constraints)
    )
    return {**student, "width": next(widths)}
