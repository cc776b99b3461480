"""autokd: searches for the best knowledge-distillation pipeline for a dataset and hands it to training."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from autokd._version import __version__ as __version__

if TYPE_CHECKING:
    from autokd.api import Study, export_model, load_student, open_study, search, train
    from autokd.delivery.predict import predict
    from autokd.delivery.recommend import recommend
    from autokd.errors import AutokdError, UserError
    from autokd.options.teacher import Teacher
    from autokd.spec import PipelineSpec

__all__ = [
    "AutokdError",
    "PipelineSpec",
    "Study",
    "Teacher",
    "UserError",
    "export_model",
    "load_student",
    "open_study",
    "predict",
    "recommend",
    "search",
    "train",
]

_HOME = {
    "AutokdError": "errors",
    "PipelineSpec": "spec",
    "Study": "api",
    "Teacher": "options.teacher",
    "UserError": "errors",
    "export_model": "api",
    "load_student": "api",
    "open_study": "api",
    "predict": "delivery.predict",
    "recommend": "delivery.recommend",
    "search": "api",
    "train": "api",
}
"""Where each public name lives; imported when it is first asked for, so that `import autokd` is quick."""


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'autokd' has no attribute {name!r}")
    return getattr(importlib.import_module(f"autokd.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


class _Package(ModuleType):
    """Keeps `autokd.search` the function: on import, Python would put the package of that name in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
