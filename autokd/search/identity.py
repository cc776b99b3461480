"""What makes a study this study, what may change when it goes on, and refusing another one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from autokd.errors import StudyError
from autokd.files import as_plain, cache_dir
from autokd.objective import COSTS
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.study.settings import Identity, Setting, comparable
from autokd.study.store import differences


def refuse_another(path: Path, old: Identity, new: Identity) -> None:
    """Refuse to go on with a study that differs from what is asked.

    Args:
      path: the study's folder.
      old: its identity.
      new: what is asked.

    Raises:
      StudyError: they differ; the message has a line for each difference.
    """
    different = differences(*(as_plain(one.to_plain()) for one in comparable(old, new)))
    if different:
        lines = "\n".join(f"  {line}" for line in different)
        raise StudyError(
            f"study {path.name!r} was made with other settings:\n{lines}\n"
            "use --study NAME for a new study, or --fresh to delete this one and start again"
        )


def collect_settings(request: Request, setup: Setup, source: str) -> dict[str, Setting]:
    """Return each value that may change, with its origin: asked, an environment variable, the time, file or default.

    Args:
      request: what was asked.
      setup: what was prepared from it.
      source: where the space is from.
    """
    planned = setup.time_plan is not None
    limits = {f"max_{name}": setup.space.constraints.get(name) for name in COSTS}
    return {
        "trials": _from_file(request.trials, setup.budget.trials, request.time is not None),
        "epochs": _from_file(request.epochs, setup.budget.epochs, planned),
        **{option: _from_file(getattr(request, option), limit) for option, limit in limits.items()},
        "time": _or_default(request.time, request.time),
        "quick": _or_default(request.quick or None, request.quick),
        "space": _or_default(request.space, source),
        "device": _or_default(None if request.device == "auto" else request.device, str(setup.device)),
        "seed": _or_default(request.seed or None, request.seed),
        "data_dir": _from_environment(request.data_options.get("data_dir"), "AUTOKD_DATA", None),
        "cache": _from_environment(None, "AUTOKD_CACHE", cache_dir()),
        "threads": Setting(setup.threads, "the machine"),
    }


def _from_file(asked: Any, value: Any, planned: bool = False) -> Setting:
    return Setting(value, "asked" if asked is not None else "the time" if planned else "space file")


def _or_default(asked: Any, value: Any) -> Setting:
    return Setting(value, "default" if asked is None else "asked")


def _from_environment(asked: Any, variable: str, default: Any) -> Setting:
    if asked is None and os.environ.get(variable):
        return Setting(os.environ[variable], variable)
    return _or_default(asked, default if asked is None else asked)
