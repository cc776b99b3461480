"""What a search does with a folder of pretrained weights: students begin with them, and see pictures of their size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from autokd import compat
from autokd.errors import MissingDependency
from autokd.search.request import Request
from autokd.space import Space, find, parse, with_weights
from autokd.students.library import SUFFIXES

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


def pretrained_in(folder: Path) -> Iterator[str]:
    """Yield what `--teacher` takes for the networks of timm and torchvision in a folder of weights, the largest first.

    A file is called after the network, as NAME.safetensors, NAME.TAG.pth, NAME-HASH.pth (torchvision's) or
    NAME/model.safetensors.
    """
    inside = [path for path in folder.iterdir() if path.suffix in SUFFIXES] if folder.is_dir() else []
    inside += folder.glob("*/model.safetensors")
    for path in sorted(inside, key=lambda path: (-path.stat().st_size, str(path))):
        name = path.parent.name if path.parent != folder else path.stem
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
