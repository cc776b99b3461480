"""Values that are written with a unit on the command line: times, sizes, numbers, latencies."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from autokd.errors import UserError
from autokd.objective import amount


class Unit(NamedTuple):
    """How a number is written on the command line.

    Args:
      read: returns the number, given the option's flag, for the message, and the text; raises UserError.
      in_python: what a number in Python counts.
    """

    read: Callable[[str, str], float]
    in_python: str


def seconds(option: str, text: str) -> float:
    """Return the seconds of "90", "90s", "20m", "1h30m".

    Args:
      option: the option it was given to, for the message, here and below.
      text: what was given.

    Raises:
      UserError: it is no time.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    hours, minutes, rest = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    total = 3600 * hours + 60 * minutes + rest
    if not total:
        raise UserError(f"{option} {text!r} is not a time; write for instance 90s, 20m or 1h30m")
    return total


def duration(seconds: float) -> str:
    """Return seconds as people read them.

    Example:
      >>> [duration(each) for each in (0.84, 42.4, 200, 3725)]
      ['0.8 s', '42 s', '3 min 20 s', '1 h 02 min']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def disk_space(option: str, text: str) -> float:
    """Return the bytes of "20GB", "500MB", "1e9".

    Raises:
      UserError: it is no positive size.
    """
    return count(option, text.strip().removesuffix("B").removesuffix("b"))


def weights_size(option: str, text: str) -> float:
    """Return the bytes of "200KB", "1.5MB", "2e5".

    Raises:
      UserError: it is no positive size, or has no such unit.
    """
    return _amount(option, "size", text)


def milliseconds(option: str, text: str) -> float:
    """Return the milliseconds of "5ms", "0.2s", "5".

    Raises:
      UserError: it is no positive time, or has no such unit.
    """
    return _amount(option, "latency", text)


def _amount(option: str, cost: str, text: str) -> float:
    try:
        return amount(cost, text)
    except ValueError as error:
        raise UserError(f"{option} {error}") from None


def count(option: str, text: str) -> float:
    """Return the number of "300000", "300k", "0.3M", "3e5".

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


COUNT = Unit(count, "")
SECONDS = Unit(seconds, "seconds")
MILLISECONDS = Unit(milliseconds, "milliseconds")
WEIGHTS_SIZE = Unit(weights_size, "bytes")
DISK_SPACE = Unit(disk_space, "bytes")
