"""What a search does with a folder of pretrained weights: students begin with them, and see pictures of their size."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

from autokd import catalog
from autokd.search.request import Request
from autokd.space import Space, with_weights
from autokd.space.starts import SLOT
from autokd.spec import network_slot

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
