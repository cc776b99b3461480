"""The one place that imports torchvision, because its import can fail beside a torch build that it works with."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TypeVar

import torch

_MISSING = "operator torchvision::nms does not exist"


def torchvision() -> ModuleType:
    """Import and return torchvision, with `datasets`, `models` and `transforms.v2` loaded.

    A torchvision wheel built for CUDA cannot load its compiled operators beside a CPU build of torch, and its import
    then stops at the registration of two of them. Only in that case these two are declared (they stay without an
    implementation) and the import is done again; everything that is written in Python works afterwards.

    Raises:
      ImportError: torchvision is not installed.
    """
    try:
        return _load()
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    _declare_operators()
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    return _load()


T = TypeVar("T")


def with_torchvision(foreign: Callable[[], T]) -> T:
    """Run code that may import torchvision, and once more where that import fails as `torchvision` knows to mend.

    Args:
      foreign: imports someone else's module, or calls a function of it.
    """
    try:
        return foreign()
    except RuntimeError as error:
        if _MISSING not in str(error):
            raise
    torchvision()
    return foreign()


def _load() -> ModuleType:
    for part in ("datasets", "models", "transforms.v2"):
        importlib.import_module(f"torchvision.{part}")
    return sys.modules["torchvision"]


@functools.cache  # the declarations last as long as the library object does
def _declare_operators() -> torch.library.Library:
    library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    return library
