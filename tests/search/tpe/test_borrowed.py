"""The private names of Optuna that autokd uses: which they are, and that the installed Optuna has them."""

from __future__ import annotations

import ast
import importlib
import inspect
import logging
from pathlib import Path
from typing import Any

import optuna
import pytest

import autokd
from autokd.search.tpe import borrowed
from autokd.search.tpe.borrowed import BORROWED, CREATION_LOG, Borrowed

ARGUMENTS = {"create_trial": {"state": optuna.trial.TrialState.RUNNING}}


def looked_up(one: Borrowed) -> Any:
    here: Any = importlib.import_module(one.module)
    for step in filter(None, one.name.split(".")):
        name, call, _ = step.partition("()")
        here = getattr(here, name)
        here = here(**ARGUMENTS.get(name, {})) if call else here
    return here


@pytest.mark.parametrize("one", BORROWED, ids=lambda one: f"{one.module}.{one.name}")
def test_optuna_still_has_what_is_borrowed(one: Borrowed) -> None:
    advice = (
        f"optuna {optuna.__version__}: {one.module}.{one.name} is gone, or is not what it was. For "
        f"autokd/search/tpe/borrowed.py it {one.use}; put something in its place there before pyproject.toml allows "
        "this release"
    )
    try:
        there = looked_up(one)
    except (AttributeError, ImportError) as error:
        pytest.fail(f"{advice} ({error})")
    if one.parameters:
        assert tuple(inspect.signature(there).parameters)[: len(one.parameters)] == one.parameters, advice


def test_what_is_missing_is_told() -> None:
    gone = Borrowed("optuna.samplers", "TPESampler._gone", "suggests nothing")
    with pytest.raises(pytest.fail.Exception, match=r"TPESampler._gone is gone, .* it suggests nothing; put something"):
        test_optuna_still_has_what_is_borrowed(gone)


def test_the_logger_that_is_kept_quiet_is_optunas() -> None:
    importlib.import_module(CREATION_LOG)
    assert CREATION_LOG in logging.root.manager.loggerDict


def test_private_names_of_optuna_are_used_in_one_file_alone() -> None:
    listed = {step.removesuffix("()") for one in BORROWED for step in one.name.split(".") if step.startswith("_")}
    used: dict[str, set[str]] = {}
    for path in Path(autokd.__file__).parent.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
        private = {module for module in modules if module.startswith("optuna") and "._" in module}
        attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)} & (listed - {"_rng", "_sample"})
        if private or attributes:
            used[path.name] = private | attributes
    assert set(used) == {Path(borrowed.__file__).name}
    assert listed - {"_sample", "_rng"} <= used["borrowed.py"] | {"_split_trials"}
