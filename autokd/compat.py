"""Imports of other packages: optional ones, and torchvision, which can fail beside a torch build that it works with."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import torch

from autokd.errors import MissingDependency

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


def import_module(name: str, extra: str) -> Any:
    """Import and return a module of an optional package.

    Args:
      name: of the module, dotted.
      extra: autokd's extra that brings its package.

    Raises:
      MissingDependency: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise MissingDependency(name.partition(".")[0], extra) from error


def timm() -> Any:
    """Import and return timm, which imports torchvision.

    Raises:
      MissingDependency: it is not installed.
    """
    torchvision()
    return import_module("timm", "timm")


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
