"""What a search does with a folder of pretrained weights: students begin with them, and see pictures of their size."""

from __future__ import annotations

from pathlib import Path

from autokd.search.request import Request
from autokd.space import Space, find, parse, with_weights

SIDE = 160
"""Side in pixels that pictures get at most where students begin with weights, which were mostly learned at 224: at half
of the cost of 224 (MobileNets, Howard et al., 2017, arXiv 1704.04861, table 7: 3.4 points less on ImageNet)."""


def read_space(request: Request, default: str) -> tuple[Space, str]:
    """Return the space that was asked for, else the default, its students with the weights they begin with; its source.

    Raises:
      SpaceError: it has mistakes, or the folder of weights has none for its students.
    """
    text, source = find(request.space or default)
    space = parse(text, source)
    if request.weights is None:
        return space, source
    return with_weights(space, Path(request.weights).expanduser().absolute()), source


def largest_side(request: Request) -> int | None:
    """Return the side that pictures of files get at most where none is asked for; None for the usual one."""
    return SIDE if request.weights is not None else None
