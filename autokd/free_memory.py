"""How much memory this process may still take, whoever limits it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from autokd.errors import UserError

VARIABLE = "AUTOKD_MEMORY"
"""Environment variable: bytes that a process is to take at most, such as 2GB."""
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_GROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def free_memory() -> int:
    """Return the bytes that this process may still take.

    It is the least of what the machine has, of what the limits of its control group (Linux) and of `ulimit` leave it,
    and of what `AUTOKD_MEMORY` says.

    Raises:
      UserError: `AUTOKD_MEMORY` is no size.
    """
    left: list[int] = [psutil.virtual_memory().available, *_of_limits(), *_of_groups(_GROUPS, _OWN), *_as_asked()]
    return max(0, min(left))


def _as_asked() -> Iterator[int]:
    given = os.environ.get(VARIABLE)
    if given:
        yield _size(given) - psutil.Process().memory_info().rss


def _size(text: str) -> int:
    body = text.strip().upper().removesuffix("B").removesuffix("I")
    unit = body[-1:] if body[-1:] in _UNITS else ""
    try:
        return int(float(body.removesuffix(unit)) * _UNITS[unit])
    except ValueError:
        raise UserError(f"{VARIABLE}={text} is no size; write for instance 2GB or 500MB") from None


def _of_limits() -> Iterator[int]:
    """What the limits on addresses and on data leave."""
    if platform.system() != "Linux":
        return
    import resource  # it exists on Unix alone

    used = psutil.Process().memory_info()
    for limit, taken in ((resource.RLIMIT_AS, used.vms), (resource.RLIMIT_DATA, used.data)):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY:
            yield soft - taken


def _of_groups(root: Path, own: Path) -> Iterator[int]:
    """What the control groups (versions 1 and 2) that hold this process leave; files that are cached count as free."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        folder, names = (root / "memory", _FIRST) if controllers else (root, _SECOND)
        inside = Path(path.removeprefix("/"))
        for group in (folder / inside, *(folder / parent for parent in inside.parents)):
            most = _text(group / names.limit).strip()
            if most.isdigit():  # it may be "max", and in a container the group's folder is the root
                used = int(_text(group / names.usage) or 0)
                yield int(most) - used + _entry(_text(group / "memory.stat"), names.cached)


class _Names(NamedTuple):
    """What the files of a control group are called, and the cached files among what it uses."""

    limit: str
    usage: str
    cached: str


_FIRST = _Names("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
_SECOND = _Names("memory.max", "memory.current", "inactive_file")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _entry(text: str, name: str) -> int:
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0)
