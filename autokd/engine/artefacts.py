"""What components prepare before training, kept by fingerprint: made once, in memory and on disk.

On disk an artefact is one safetensors file, written whole by an atomic rename and checked by a checksum; a damaged one
is made again.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from autokd.files import CACHE_REMEDY, read_tensors, write_tensors
from autokd.locks import waited_for
from autokd.networks.models import state_fingerprint

log = logging.getLogger("autokd")

FORMAT = 1
"""Part of every fingerprint: it changes where what is handed to `prepare` does."""

Artefact = Mapping[str, Tensor]
"""What a component's `prepare` returned: tensors by name, on the CPU."""


class Artefacts:
    """Artefacts by fingerprint.

    Args:
      folder: where they are kept; None: in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._memory: dict[str, Artefact] = {}

    def find(self, key: str) -> Artefact | None:
        """Return an artefact, or None where it is missing or damaged."""
        if key not in self._memory and self.folder is not None:
            found = _read(self._path(self.folder, key))
            if found is not None:
                self._memory[key] = found
        return self._memory.get(key)

    def keep(self, key: str, artefact: Artefact) -> None:
        """Keep an artefact; one that cannot be written is kept in memory."""
        self._memory[key] = artefact
        if self.folder is None:
            return
        try:
            write_tensors(self._path(self.folder, key), artefact, {"checksum": state_fingerprint(artefact)})
        except OSError as error:
            log.warning("what was prepared cannot be kept in %s (%s); going on without", self.folder, error)

    def being_made(self, key: str, on_wait: Callable[[], None]) -> AbstractContextManager[object]:
        """Keep other processes from making an artefact at the same time.

        Args:
          key: of the artefact.
          on_wait: called again and again while another one makes it; what it raises ends the wait.
        """
        if self.folder is None:
            return contextlib.nullcontext()
        self.folder.mkdir(parents=True, exist_ok=True)
        return waited_for(self.folder / f"{key}.lock", "prepares the same", CACHE_REMEDY, on_wait)

    def _path(self, folder: Path, key: str) -> Path:
        return folder / f"{key}.safetensors"


def _read(path: Path) -> Artefact | None:
    if not path.exists():
        return None
    try:
        tensors, metadata = read_tensors(path)
    except (OSError, SafetensorError):
        tensors, metadata = {}, {}
    if metadata.get("checksum") != state_fingerprint(tensors):
        log.warning("a prepared artefact is damaged and is made again: %s", path.name)
        return None
    return tensors
