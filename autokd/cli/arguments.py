"""Values that are written with a unit on the command line: times, sizes, numbers, limits."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from autokd.errors import UserError
from autokd.objective import COSTS, UNITS, amount


def seconds(text: str) -> float:
    """Return the seconds of "90", "90s", "20m", "1h30m".

    Raises:
      UserError: it is no time.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    hours, minutes, rest = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + rest
    if not total:
        raise UserError(f"--time {text!r} is not a time; write for instance 90s, 20m or 1h30m")
    return total


def size(text: str) -> float:
    """Return the bytes of "20GB", "500MB", "1e9".

    Raises:
      UserError: it is no positive size.
    """
    return count("--bank-size", text.strip().removesuffix("B").removesuffix("b"))


def limit(name: str, text: str) -> float:
    """Return a bound on what a student costs.

    Args:
      name: "max_params", "max_macs", "max_size" or "max_latency".
      text: what was given.

    Raises:
      UserError: it is no positive number, or has no such unit.
    """
    option, cost = f"--{name.replace('_', '-')}", name.removeprefix("max_")
    if cost not in UNITS:
        return count(option, text)
    try:
        return amount(cost, text)
    except ValueError as error:
        raise UserError(f"{option} {error}") from None


def count(option: str, text: str) -> float:
    """Return the number of "300000", "300k", "0.3M", "3e5".

    Args:
      option: the option it was given to, for the message.
      text: what was given.

    Raises:
      UserError: it is no positive number.
    """
    units = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
    body, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1.0)
    try:
        value = float(body) * unit
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{option} {text!r} is not a positive number; write for instance 300k, 0.3M or 3e5")
    return value


DATA_OPTIONS = ("data_dir", "target", "group", "validation", "image_size", "skip_bad", "download", "limit_train")


def data_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a command's values that say how the data are read."""
    return {name: given[name] for name in DATA_OPTIONS}


def limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a command's values that bound what a student costs, as numbers."""
    names = [f"max_{cost}" for cost in COSTS]
    return {name: None if given[name] is None else limit(name, given[name]) for name in names}
