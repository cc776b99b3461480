"""What a search does with a folder of pretrained weights: students begin with them, and see pictures of their size."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from autokd import catalog, compat
from autokd.errors import MissingDependency
from autokd.search.request import Request
from autokd.space import Space, with_weights
from autokd.space.starts import SLOT
from autokd.spec import network_slot
from autokd.students.library import files_of_weights

_log = logging.getLogger("autokd")
AT_RANDOM = (
    "students begin with random weights; with few pictures, pretrained ones are usually worth more than anything that "
    "is searched: --weights FOLDER with NAME.safetensors (docs/pictures.md)"
)

SIDE = 160
"""Side in pixels that pictures get at most where students begin with weights, which were mostly learned at 224: at half
of the cost of 224 (MobileNets, Howard et al., 2017, arXiv 1704.04861, table 7: 3.4 points less on ImageNet)."""


def begun_with(request: Request, space: Space) -> Space:
    """Return the space whose students begin with the weights in the folder that was given; as it is without one.

    Raises:
      SpaceError: the folder has weights for none of its students.
    """
    if request.weights is None:
        _tell(space)
        return space
    return with_weights(space, Path(request.weights).expanduser().absolute())


def _tell(space: Space) -> None:
    """Say once what pretrained weights, and a library that is missing, would bring."""
    students = space.parts[network_slot(space.slots)].candidates
    if SLOT in space.parts or not any(catalog.family_of(each.kind, each.use) for each in students):
        return
    missing = sum("timm is not installed" in line for line in space.dropped)
    more = f"; pip install 'autokd[timm]' brings {missing} more students" if missing else ""
    _log.warning("%s%s", AT_RANDOM, more)


def sized(request: Request) -> Request:
    """Return the request, with a larger side that pictures of files get at most where students begin with weights."""
    if request.weights is None or request.largest_side is not None:
        return request
    return dataclasses.replace(request, largest_side=SIDE)


def pretrained_in(folder: Path) -> Iterator[str]:
    """Yield what `--teacher` takes for the networks of timm and torchvision in a folder of weights, the largest first.

    Names of torchvision's files have a hash; of a network that has several files, each is one.
    """
    inside = files_of_weights(folder) if folder.is_dir() else ()
    for name, path in sorted(inside, key=lambda each: (-each[1].stat().st_size, str(each[1]))):
        hashed = _HASHED.fullmatch(name)
        if hashed is not None:
            yield f"torchvision:{hashed[1]}@{path}"
        elif _is_of_timm(name):
            yield f"timm:{name}@{path}"


def _is_of_timm(name: str) -> bool:
    try:
        return bool(compat.timm().is_model(name))
    except MissingDependency:
        return False


_HASHED = re.compile(r"(.+)-[0-9a-f]{8}")
"""Names of torchvision's files."""
