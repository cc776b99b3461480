"""A study's own log file."""

from __future__ import annotations

import contextlib
import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

from autokd.errors import AutokdError

log = logging.getLogger("autokd")


class _LogFile(logging.FileHandler):
    """A log file whose full disk is nobody's concern: the records are."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Pass over it."""


@contextlib.contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Also write autokd's log to the study's folder."""
    handler = _LogFile(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    try:
        yield
    except AutokdError:
        raise
    except Exception as error:  # it goes on its way; the log keeps its traceback, and the error says where that is
        error.add_note(f"the traceback is in {path}")
        with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
            file.write(traceback.format_exc())
        raise
    finally:
        log.removeHandler(handler)
        handler.close()
