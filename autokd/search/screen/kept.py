"""What proxies have said of students, kept beside a study's records as it comes, so that none is scored twice.

The file is a cache, and may be deleted. A line counts where its key is that of all that decides its scores now; lines
of other keys are passed over, and one that a kill cut short is dropped.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Score(NamedTuple):
    """What a proxy says of a student.

    Args:
      mean: over repeats; None where it cannot judge it, or gave no finite number.
      spread: standard deviation over repeats; None where it was not repeated.
      not_finite: whether it gave no finite number.
      seconds: that scoring took.
    """

    mean: float | None
    spread: float | None
    not_finite: bool
    seconds: float


class KeptScores:
    """Scores by the key of a student and the name of a proxy.

    Args:
      path: of the file; it is read once, and lines are added. None: nothing is read or written.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, dict[str, Score]] = {}
        if path is not None and path.exists():
            content = path.read_bytes()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):
                path.write_bytes(whole)
            for key, scores in _read(whole.splitlines()):
                self._add(key, scores)

    def of(self, key: str) -> Mapping[str, Score]:
        """Return what is known of a student, by the name of the proxy."""
        return self._known.get(key, {})

    def add(self, key: str, scores: Mapping[str, Iterable[Any]]) -> None:
        """Keep what proxies say of a student, each the values of a `Score`."""
        self._add(key, scores)
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps([key, {name: [*each] for name, each in scores.items()}]) + "\n")

    def _add(self, key: str, scores: Mapping[str, Iterable[Any]]) -> None:
        self._known.setdefault(key, {}).update({name: Score(*each) for name, each in scores.items()})


def _read(lines: Iterable[bytes]) -> Iterable[tuple[str, Mapping[str, Iterable[Any]]]]:
    """The lines that are whole."""
    for line in lines:
        try:
            key, scores = json.loads(line)
            yield str(key), {name: Score(*each) for name, each in scores.items()}
        except (ValueError, TypeError, AttributeError):  # damaged: it is scored again
            continue


@functools.cache
def code_of(*modules: str) -> str:
    """Return a hash of the files of some modules, packages with all in their folder, as this process first saw them."""
    digest = hashlib.sha256()
    for name in modules:
        module = sys.modules.get(name) or importlib.import_module(name)
        file = Path(module.__file__ or "")
        for path in sorted(file.parent.glob("*.py")) if file.name == "__init__.py" else [file]:
            digest.update(path.read_bytes())
    return digest.hexdigest()
