"""What a command that failed says, on stderr, and its exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from autokd.errors import DISK_FULL

UsageError: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")
"""Click's base of usage errors: newer versions of typer bring their own copy of click."""
_DISK_ERRORS = (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
_PLACE_ERRORS = (errno.EROFS, errno.ENAMETOOLONG, errno.ENOLCK, errno.ENOTSUP, errno.EIO)
"""What a place refuses that another one may not: a disk that is read-only, without locks, broken, or a long name."""


def complain(message: str, code: int) -> int:
    """Say what is wrong; return the exit code."""
    from autokd.files import printable

    with contextlib.suppress(BrokenPipeError):
        typer.echo(f"error: {printable(message)}", err=True)
    return code


def hinted(message: str, arguments: Sequence[str]) -> str:
    """Return what a usage error says, with what was probably meant.

    Example:
      >>> hinted("Got unexpected extra argument (scans)", ["search", "scans"])
      'Got unexpected extra argument (scans); name the data with --dataset'
    """
    if arguments[:1] in (["search"], ["screen"]) and "unexpected extra argument" in message:
        return f"{message}; name the data with --dataset"
    return message


def mistyped(error: Any) -> str:
    """Return what an option takes and what it was given, where a number was asked for; "" for other usage errors.

    Newer versions of typer let pydantic read the values, and its sentences are about Python's types. Older ones say
    themselves what is no number.
    """
    cause = error.__cause__
    first = cause.errors()[0] if hasattr(cause, "errors") else {}
    kind, about = str(first.get("type")), first.get("ctx", {})
    if kind.startswith(("int_", "float_")):
        takes = "a whole number" if kind.startswith("int_") else "a number"
    elif "ge" in about:
        takes = f"a number of at least {about['ge']}"
    else:
        return ""
    return f"{error.param.opts[0]} takes {takes}, not {str(first['input'])!r}"


def of_system(error: OSError) -> int:
    """Say what the system refused; return the exit code."""
    if isinstance(error, BrokenPipeError):  # whoever read the output has had enough
        with contextlib.suppress(OSError, AttributeError):  # a stand-in may have no descriptor
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    where = f"{error.filename or 'disk'}: {error.strerror}"
    if isinstance(error, _DISK_ERRORS) or error.errno in _PLACE_ERRORS:
        return complain(where, 2)
    if error.errno in DISK_FULL:
        return complain(f"{where}; make room, and the same command goes on", 2)
    return internal(error)


def internal(error: Exception) -> int:
    """Say where the traceback of a mistake of autokd's own is; return the exit code."""
    from autokd.cli.console.output import log_traceback

    where = getattr(error, "__notes__", None) or [f"the traceback is in {log_traceback()}"]
    return complain(f"internal error: {type(error).__name__}: {error}\n{where[-1]}", 1)
