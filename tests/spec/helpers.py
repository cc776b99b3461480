"""A pipeline for the tests of `autokd.spec`, and one with slots of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from autokd.ranges import Real
from autokd.spec import Number, PipelineSpec, Slot, make


def pipeline(**parts: Any) -> PipelineSpec:
    return PipelineSpec(**_parts(**parts))


def wider(**parts: Any) -> Wider:
    return Wider(**_parts(**parts))


def _parts(**parts: Any) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        "student": make("students", "cnn", {"width": 4}),
        "augment": make("augments", "none", {}),
        "losses": {"ce": make("losses", "ce", {}), "soft": make("losses", "kd", {"temperature": 2.0})},
        "optimizer": make("optimizers", "sgd", {}),
        "schedule": make("schedules", "cosine", {}),
        **parts,
    }
    return chosen


@dataclass(frozen=True, kw_only=True)
class Wider(PipelineSpec):
    """A pipeline with slots of the kinds that the shipped one does not have."""

    rival: Annotated[Any, Slot("students", optional=True)] = None
    extras: Annotated[Mapping[str, Any] | None, Slot("proxies", many=True, optional=True)] = None
    decay: Annotated[float | None, Number(Real(0.9, 0.999), float, least=0.0, optional=True)] = None
    noise: Annotated[float, Number(None, float, least=0.0)] = 0.1
