"""The files that the components of a space read: found from where the space's file is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autokd import catalog, spec
from autokd.errors import ComponentError
from autokd.networks.located import located
from autokd.space.read_values import Problems


def with_files(top: Mapping[str, Any], table: spec.Slots, folder: Path, problems: Problems) -> dict[str, Any]:
    """Return the sections of a space file with absolute paths and digests of the files that components read.

    Args:
      top: sections by name; what is no component as it should be is left to whoever reads it.
      table: the slots of a pipeline.
      folder: what relative paths are relative to.
      problems: takes every file that is missing, with its path.
    """
    slots = {name: slot for name, slot in table.items() if isinstance(slot, spec.Slot) and not slot.many}
    return {
        name: _section(name, slots[name], body, folder, problems) if name in slots else body
        for name, body in top.items()
    }


def _section(name: str, slot: spec.Slot, body: Any, folder: Path, problems: Problems) -> Any:
    if not isinstance(body, dict):
        return body
    return {
        word: {
            use: _entry(f"{name}.{word}.{use}", slot, use, fields, folder, problems) for use, fields in there.items()
        }
        if isinstance(there, dict)
        else there
        for word, there in body.items()
    }


def _entry(place: str, slot: spec.Slot, use: Any, fields: Any, folder: Path, problems: Problems) -> Any:
    if not catalog.knows(slot.kind, str(use)) or not isinstance(fields or {}, dict):
        return fields
    try:
        return located(fields or {}, catalog.load(slot.kind, str(use)).declares, folder)
    except ComponentError as error:
        problems.append(f"{place}.{error}")
        return fields
