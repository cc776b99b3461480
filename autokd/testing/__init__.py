"""Conformance suites for pytest: what every component of a kind must do, one class a kind.

They run over autokd's own components and over anybody else's:

    from autokd.testing import LossSuite

    class TestMine(LossSuite):
        components = (Mine,)
"""

from __future__ import annotations

from autokd.errors import MissingDependency

try:
    import pytest
except ModuleNotFoundError as error:
    raise MissingDependency("pytest", "testing") from error

_FILES = (
    *("suite", "losses", "heads", "inits", "students", "augments", "selections", "optimizers", "schedules", "proxies"),
    *("modalities", "exports"),
)
pytest.register_assert_rewrite(*(f"{__name__}.{name}" for name in _FILES))

# ruff: noqa: E402 - only what is imported after it has its asserts rewritten
from autokd.testing.augments import AugmentSuite
from autokd.testing.exports import ExportSuite
from autokd.testing.heads import HeadSuite
from autokd.testing.inits import InitSuite
from autokd.testing.losses import LossSuite
from autokd.testing.modalities import ModalitySuite
from autokd.testing.optimizers import OptimizerSuite
from autokd.testing.proxies import ProxySuite
from autokd.testing.schedules import ScheduleSuite
from autokd.testing.selections import SelectionSuite
from autokd.testing.students import StudentSuite

__all__ = [
    "AugmentSuite",
    "ExportSuite",
    "HeadSuite",
    "InitSuite",
    "LossSuite",
    "ModalitySuite",
    "OptimizerSuite",
    "ProxySuite",
    "ScheduleSuite",
    "SelectionSuite",
    "StudentSuite",
]
