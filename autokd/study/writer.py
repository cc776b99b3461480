"""Which process writes a study, whether it lives, and the command that goes on where it stopped."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from autokd.options import options_of
from autokd.options.option import Listed
from autokd.study.settings import StudySettings

SLACK = 2.0
"""Seconds by which a process may seem younger than the note that it left: that one counts whole seconds."""
NEVER_AGAIN = ("fresh",)
"""Options of a command that is not to be repeated with them."""


class Writer(NamedTuple):
    """A process that holds a study, by the note that it leaves in the folder while it does.

    Args:
      host: it runs on.
      pid: its number there.
      since: ISO time.
      alive: whether it lives; None where that cannot be seen from here, on another machine.
    """

    host: str
    pid: int
    since: str
    alive: bool | None


def writer_of(path: Path) -> Writer | None:
    """Return the process that holds the study in a folder, or that died while it did; None where there is none."""
    try:
        plain = json.loads((path / "holder.json").read_text(encoding="utf-8"))
        host, pid, since = str(plain["host"]), int(plain["pid"]), str(plain["since"])
        began = datetime.fromisoformat(since).timestamp()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Writer(host, pid, since, _lives(pid, began) if host == socket.gethostname() else None)


def _lives(pid: int, since: float) -> bool:
    """Whether a process is there, has not ended, and is no younger one of the same number."""
    try:
        process = psutil.Process(pid)
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= since + SLACK)
    except psutil.Error:
        return False


def resume_command(settings: StudySettings, asked_of: type[Any]) -> str:
    """Return the command that goes on with a study, as far as `study.yaml` tells what was asked.

    Args:
      settings: of the study.
      asked_of: the dataclass of all options of a search.
    """
    words = ["autokd", "search"]
    for option in options_of(asked_of):
        if option.flags and option.name not in NEVER_AGAIN and option.name in settings.settings:
            setting = settings.settings[option.name]
            words += written(option, setting.value) if setting.origin == "asked" else []
    if "--study" not in words:
        words += ["--study", settings.name]
    return shlex.join(words)


def written(option: Listed, value: Any) -> Iterator[str]:
    """Yield an option as the command line has it; a list is the option again and again."""
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if isinstance(item, bool):
            yield from [option.flags[0]] * item
        else:
            yield from (option.flags[0], f"{item:g}" if isinstance(item, float) else str(item))
