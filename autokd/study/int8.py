"""What a student loses and gains in 8 bits, measured beside its float form on the same samples."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autokd.metrics import METRICS

WIDTH = 1.96
"""Standard errors of a 95 % interval."""


class Beside(NamedTuple):
    """The accuracy of both forms on the same samples.

    Args:
      accuracy, float_accuracy: in 8 bits, and in float.
      n: samples.
      difference: of the two, below 0 where 8 bits are worse.
      low, high: its 95 % interval.
    """

    accuracy: float
    float_accuracy: float
    n: int
    difference: float
    low: float
    high: float

    @property
    def drops(self) -> bool:
        """Whether 8 bits are worse by more than chance."""
        return self.high < 0

    @property
    def text(self) -> str:
        """The difference and its interval, in points."""
        metric = METRICS["accuracy"]
        low, high = metric.signed(self.low), metric.signed(self.high)
        return f"{metric.signed(self.difference)} points [{low}, {high}]".replace("-", "−")


def beside(float_right: NDArray[np.bool_], int8_right: NDArray[np.bool_]) -> Beside:
    """Compare two forms on the same samples.

    Args:
      float_right, int8_right: [N] whether each sample is right.
    Source: Agresti and Min, Statistics in Medicine 24 (2005), 729-740: Wald's interval for a difference of paired
      proportions after half a sample is added to each of the four cells.
    Example:
      >>> right = np.ones(100, dtype=bool)
      >>> found = beside(right, right)
      >>> found.difference, round(found.high, 3)
      (0.0, 0.019)
    """
    n = len(float_right)
    gained, lost = int((~float_right & int8_right).sum()), int((float_right & ~int8_right).sum())
    middle = (gained - lost) / (n + 2)
    spread = math.sqrt((gained + lost + 1) - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    return Beside(
        accuracy=float(int8_right.mean()),
        float_accuracy=float(float_right.mean()),
        n=n,
        difference=(gained - lost) / n,
        low=middle - WIDTH * spread,
        high=middle + WIDTH * spread,
    )


@dataclass(frozen=True, kw_only=True)
class Int8:
    """A student in 8 bits beside the same in float.

    Args:
      validation: accuracies there.
      test: accuracies there; None where test was not read for this student in float.
      size, float_size: of the files, bytes.
      latency, float_latency: of the network under onnxruntime, one sample on one CPU thread, milliseconds.
      calibration: training samples that the ranges of activations come from.
      method: how it was quantised, in words.
      runtime: what measured it, with its version.
      weights: fingerprint of the float weights.
      seen: whether the student was trained on the validation samples: then only the difference tells something.
    """

    validation: Beside
    test: Beside | None
    size: int
    float_size: int
    latency: float
    float_latency: float
    calibration: int
    method: str
    runtime: str
    weights: str
    seen: bool = False

    @property
    def warning(self) -> str:
        """What to say where accuracy drops by more than chance; "" where it does not."""
        if not self.validation.drops:
            return ""
        return (
            f"int8 costs accuracy, by more than chance: {self.validation.text} on {self.validation.n:,} validation "
            "samples; the float file does not"
        )

    @property
    def told(self) -> tuple[str, ...]:
        """What to say of it, a sentence each."""
        splits = {name: each for name, each in (("validation", self.validation), ("test", self.test)) if each}
        metric = METRICS["accuracy"]
        lost = (
            f"accuracy on {name}: {metric.text(each.accuracy)} in 8 bits, {metric.text(each.float_accuracy)} in float, "
            f"{each.text}, {each.n:,} samples"
            for name, each in splits.items()
        )
        size = f"size of the file: {self.size:,} bytes, in float {self.float_size:,}"
        latency = f"latency on one CPU thread: {self.latency:.3g} ms, in float {self.float_latency:.3g} ms"
        seen = ["the student was trained on the validation samples: only the difference tells"] if self.seen else []
        return (*lost, *seen, f"{size}; {latency}", *([self.warning] if self.warning else []))

    def to_plain(self) -> dict[str, Any]:
        """Return it as `metrics.json` has it."""
        plain = dataclasses.asdict(self)
        return {**plain, "validation": self.validation._asdict(), "test": self.test and self.test._asdict()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Int8:
        """Inverse of `to_plain`."""
        test = plain["test"]
        return cls(**{**plain, "validation": Beside(**plain["validation"]), "test": test and Beside(**test)})


def int8_of(metrics: Mapping[str, Any]) -> Int8 | None:
    """Return what a bundle's metrics say of its student in 8 bits; None where it was not measured."""
    try:
        return Int8.from_plain(metrics["int8"])
    except (KeyError, TypeError):
        return None


def measured_int8(bundle: Path) -> Int8 | None:
    """Return what a bundle says of its student in 8 bits; None where there is none, or it was not measured."""
    try:
        return int8_of(json.loads((bundle / "metrics.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None
