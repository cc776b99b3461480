"""Where knowledge lies: the base that comes with autokd, and the user's own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from autokd.errors import UserError
from autokd.knowledge.base import Base, read_base

VARIABLE = "AUTOKD_KNOWLEDGE"
"""Names the user's own base, in place of a folder among the user's data."""
SHIPPED = Path(__file__).with_name("shipped.parquet")
"""The base that comes with autokd."""


def own_folder() -> Path:
    """Return the folder of the user's own base, which may not exist yet.

    It lies among the user's data and not in the cache, since nobody can make it again once its studies are gone.

    Raises:
      UserError: no home folder is known.
    """
    given = os.environ.get(VARIABLE)
    try:
        return Path(given or Path(platformdirs.user_data_dir("autokd"), "knowledge")).expanduser()
    except RuntimeError as error:
        raise UserError(f"no home folder is known; set {VARIABLE} to the folder of your knowledge base") from error


def read_shipped() -> Base:
    """Read the base that comes with autokd; an empty one where a distribution has none."""
    return read_base(SHIPPED) if SHIPPED.exists() else Base()


def base_of(paths: Sequence[Path] = ()) -> Base:
    """Return what is known: the bases at some paths together, or without any the shipped one and the user's own.

    Raises:
      UserError: there is no base at a path, or it is damaged.
    """
    chosen = list(paths) or [path for path in (SHIPPED, own_folder()) if path.exists()]
    return Base.of(card for path in chosen for card in read_base(path).cards)
