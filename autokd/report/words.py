"""How numbers and pipelines are written for people."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from autokd.metrics import METRICS, Metric
from autokd.options import units


def percent(share: float | None) -> str:
    """0.954 -> "95.4 %"."""
    return "–" if share is None else f"{100 * share:.1f} %"


def quality(value: float | None, metric: Metric) -> str:
    """0.954 -> "95.4 %", or "0.954" with the metric's unit; with a real minus sign."""
    return "–" if value is None else metric.text(value).replace("-", "−")


def difference(value: float | None, metric: Metric) -> str:
    """0.012 -> "+1.2" in points, or "+0.012" in the metric's unit; with a real minus sign, and none for nothing."""
    if value is None:
        return "–"
    text = metric.signed(value)
    return (text if float(text) else text[1:]).replace("-", "−")


def objective(value: float | None, name: str) -> str:
    """What a student reached in one of several objectives, by the objective's name."""
    if value is None:
        return "–"
    if name in METRICS:
        return quality(value, METRICS[name])
    return {"latency": milliseconds, "size": size}.get(name, compact)(value)


def of_which(metric: Metric) -> str:
    """ "accuracy", or "log loss, of which less is better"."""
    return metric.title if metric.higher_is_better else f"{metric.title}, of which less is better"


def milliseconds(time: float | None) -> str:
    """0.12345 -> "0.123 ms"; three significant digits."""
    return "–" if time is None else f"{time:.3g} ms"


def signed(number: float) -> str:
    """0.25 -> "+0.25", with a real minus sign."""
    return f"{number:+.2f}".replace("-", "−")


def signed_points(share: float) -> str:
    """0.0123 -> "+1.2", a difference of shares in points, with a real minus sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def when(time: str) -> str:
    """An ISO time -> "2025-11-03 10:15 UTC"."""
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def mean_sd(values: Sequence[float], metric: Metric) -> str:
    """Values over seeds -> "95.4 ± 1.1 % (n = 5)"; the spread is the standard deviation between seeds."""
    if not values:
        return "–"
    unit = f" {metric.unit}" if metric.unit else ""
    return f"{spread(values, metric)}{unit} (n = {len(values)})".replace("-", "−")


def spread(values: Sequence[float], metric: Metric) -> str:
    """Values over seeds -> "95.4 ± 1.1", without the unit."""
    deviation = f" ± {metric.number(statistics.stdev(values))}" if len(values) > 1 else ""
    return f"{metric.number(statistics.fmean(values))}{deviation}"


def count(number: float | None) -> str:
    """1182 -> "1,182"."""
    return "–" if number is None else f"{number:,.0f}"


def number_of(number: int, thing: str) -> str:
    """(1, "epoch") -> "1 epoch"; (2, "epoch") -> "2 epochs"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def compact(number: float | None) -> str:
    """1234567 -> "1.23 M"; three significant digits."""
    if number is None:
        return "–"
    rounded = float(f"{number:.3g}")
    for size, suffix in ((1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(rounded) >= size:
            return f"{rounded / size:.3g}{suffix}"
    return f"{rounded:.3g}"


def size(nbytes: float | None) -> str:
    """1234567 -> "1.23 MB"; three significant digits."""
    if nbytes is None:
        return "–"
    text = compact(nbytes)
    return f"{text}B" if " " in text else f"{nbytes:.0f} B"


def figure(number: float | None) -> str:
    """0.012345 -> "0.0123", three significant digits; what is whole or large is written out: "1,182"; none as 1e-05."""
    if number is None:
        return "–"
    if not math.isfinite(number) or abs(number) >= 1e15:
        return compact(number)
    if float(number).is_integer() or abs(number) >= 1000:
        return f"{number:,.0f}".replace("-", "−")
    digits = 2 - math.floor(math.log10(abs(number)))
    text = f"{number:.{min(digits, 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def duration(seconds: float | None) -> str:
    """200 -> "3 min 20 s"."""
    return "–" if seconds is None else units.duration(seconds)


def ticks(low: float, high: float) -> list[float]:
    """Values for a logarithmic axis, 1, 2 and 5 of each decade that [low, high] touches."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [step * 10.0**decade for decade in decades for step in (1, 2, 5)]


def value(item: Any) -> str:
    """A field's value, floats to three significant digits."""
    if isinstance(item, float):
        return f"{item:.3g}"
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(value(part) for part in item) + "]"
    return str(item)


def component(plain: Mapping[str, Any]) -> str:
    """{"use": "cnn", "width": 8} -> "cnn(width 8)"; without fields that hold nothing."""
    fields = ", ".join(_fields(plain))
    return f"{plain['use']}({fields})" if fields else str(plain["use"])


def _fields(plain: Mapping[str, Any]) -> list[str]:
    """The fields of a plain component that hold something: an empty list, an empty text and None say nothing."""
    return [f"{key} {value(item)}" for key, item in plain.items() if key != "use" and item not in (None, "", [])]


def recipe(pipeline: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A plain pipeline as (slot, text) lines, every value written out."""
    lines: list[tuple[str, str]] = []
    for slot, item in pipeline.items():
        if slot == "format":
            continue
        if not isinstance(item, Mapping):
            lines.append((slot, value(item)))
        elif "use" in item:
            lines.append((slot, component(item)))
        else:
            lines += [(f"{slot}: {name}", component(part)) for name, part in item.items()]
    return [(slot.replace("_", " "), text) for slot, text in lines]


def brief(pipeline: Mapping[str, Any]) -> str:
    """A plain pipeline in one line: the student with its fields, the names of the rest."""
    parts = []
    for slot, item in pipeline.items():
        if slot == "student":
            parts.append(component(item))
        elif isinstance(item, Mapping):
            parts.append(str(item["use"]) if "use" in item else " + ".join(item))
        elif slot != "format":
            parts.append(f"{slot.replace('_', ' ')} {value(item)}")
    return " · ".join(parts)


def losses(pipeline: Mapping[str, Any]) -> str:
    """The loss names of a plain pipeline: "ce + kd"."""
    return " + ".join(pipeline["losses"])


def student(pipeline: Mapping[str, Any]) -> str:
    """The student of a plain pipeline: "cnn(width 8)"."""
    return component(pipeline["student"])


def student_in_words(pipeline: Mapping[str, Any]) -> str:
    """The student of a plain pipeline: "cnn, width 8"."""
    plain = pipeline["student"]
    return ", ".join([str(plain["use"]), *_fields(plain)])


def times(ratio: float, names: tuple[str, str]) -> str:
    """(485.2, ("smaller", "larger")) -> "485 × smaller"; (0.5, …) -> "2.0 × larger"; two digits below 10."""
    name, factor = (names[0], ratio) if ratio >= 1 else (names[1], 1 / ratio)
    return f"{factor:,.{0 if factor >= 10 else 1}f} × {name}"


def listed(names: Sequence[str]) -> str:
    """["a", "b", "c"] -> "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def capital(text: str) -> str:
    """A sentence's first letter as a capital."""
    return text[:1].upper() + text[1:]


def unbroken(text: str) -> str:
    """A text whose numbers stay beside their units and whose intervals stay whole where a line is broken."""
    return _TOGETHER.sub(lambda found: found.group().replace(" ", "\N{NO-BREAK SPACE}"), text)


_TOGETHER = re.compile(r"\[[^\]\[]{1,24}\]|[\d×] (?=×|[%kMGTs]\b|%|points|ms|[kMG]?B\b|nats)")
"""What no line is broken in: an interval, and the space between a number and its unit."""
