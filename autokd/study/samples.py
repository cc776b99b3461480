"""Samples that a study keeps for people to look at: what a student sees, and where it differs from the teacher."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autokd.files import write_text

FORMAT = 1


class Sample(NamedTuple):
    """A sample, as a picture.

    Args:
      label: name of its class.
      picture: a PNG file, base64.
      teacher, student: names of the classes that they give to it, where these are told.
    """

    label: str
    picture: str
    teacher: str | None = None
    student: str | None = None


class Samples(NamedTuple):
    """What is shown of the data.

    Args:
      pictures: of samples.
      columns: of a table, each with what it holds and what becomes of a gap.
    """

    pictures: tuple[Sample, ...] = ()
    columns: tuple[tuple[str, str, str], ...] = ()


def samples_file(study: Path) -> Path:
    """Return where a study keeps what a student sees; where there is none, it keeps no samples at all."""
    return study / "samples.json"


def disputed_file(study: Path, round: int) -> Path:
    """Return where the test samples are kept on which a claim's student and the teacher differ."""
    return study / "confirm" / f"round{round}-disputed.json"


def encoded(pictures: Sequence[bytes]) -> list[str]:
    """Return PNG files as base64."""
    return [base64.b64encode(picture).decode("ascii") for picture in pictures]


def write_samples(file: Path, samples: Samples) -> None:
    """Write samples, in place of those that are there."""
    plain = {"format": FORMAT, "pictures": [each._asdict() for each in samples.pictures], "columns": samples.columns}
    write_text(file, json.dumps(plain))


def read_samples(file: Path) -> Samples | None:
    """Return what `write_samples` wrote, or None where there is nothing that can be read."""
    try:
        plain: Any = json.loads(file.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            return None
        pictures = tuple(Sample(**each) for each in plain["pictures"])
        for each in pictures:
            base64.b64decode(each.picture, validate=True)
        return Samples(pictures, tuple((name, what, gap) for name, what, gap in plain["columns"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
