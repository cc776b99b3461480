"""The standard streams, where some are closed, missing or stand-ins: services, notebooks, packaged programs."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def open_closed() -> None:
    """Put the null device where a standard descriptor is closed, so that no file of ours gets its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one


def never_fail() -> None:
    """Write signs that a terminal lacks as question marks: they are no reason to stop."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextlib.contextmanager
def in_place() -> Iterator[None]:
    """Have the null device for standard output and error while they are None, as without a console, or closed."""
    with contextlib.ExitStack() as stack:
        if _is_gone(sys.stdout):
            stack.enter_context(contextlib.redirect_stdout(stack.enter_context(_null())))
        if _is_gone(sys.stderr):
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(_null())))
        yield


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; a stand-in that does not say is none."""
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False


def _is_gone(stream: Any) -> bool:
    return stream is None or (isinstance(stream, io.IOBase) and stream.closed)


def _null() -> io.TextIOWrapper:
    return Path(os.devnull).open("w", encoding="utf-8")
