"""What makes a study this study, what may change when it goes on, and refusing another one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autokd.errors import StudyError
from autokd.files import as_plain, cache_dir
from autokd.options import Listed, Option, options_of
from autokd.search.limits import INT8_SIZE, SIZE
from autokd.search.request import Request
from autokd.search.session import Setup
from autokd.study.settings import Identity, Setting, comparable
from autokd.study.store import differences

_LIMITS = "space.constraints."
_OPTION = re.compile(rf"^(budget\.epochs|seed|slots|{re.escape(_LIMITS)}\w+)(?=: )")
"""What an option of its own decides."""
WRITTEN = (str, int, float, Path)
"""Types of values that a record shows as they are."""


def refuse_another(path: Path, old: Identity, new: Identity) -> None:
    """Refuse to go on with a study that differs from what is asked.

    Args:
      path: the study's folder.
      old: its identity.
      new: what is asked.

    Raises:
      StudyError: they differ; the message has a line for each difference.
    """
    different = in_options(differences(*(as_plain(one.to_plain()) for one in comparable(old, new))))
    if different:
        lines = "\n".join(f"  {line}" for line in different)
        raise StudyError(
            f"study {path.name!r} was made with other settings:\n{lines}\n"
            "use --study NAME for a new study, or --fresh to delete this one and start again"
        )


def in_options(different: Sequence[str]) -> list[str]:
    """Return differences with the options that make them, without those that follow from another one.

    Example:
      >>> in_options(["budget.epochs: 3 in the study, 9 asked", "rungs: [3] in the study, [3, 9] asked"])
      ['--epochs: 3 in the study, 9 asked']
    """
    limited = any(line.startswith(_LIMITS) for line in different)
    lengthened = any(line.startswith("budget.epochs: ") for line in different)
    follows = (*(["space."] if limited else []), *(["rungs: "] if lengthened else []))
    own = [line for line in different if line.startswith(_LIMITS) or not line.startswith(follows)]
    return [_OPTION.sub(lambda found: _as_option(found.group()), line) for line in own]


def _as_option(key: str) -> str:
    key = f"{_LIMITS}{SIZE}" if key == f"{_LIMITS}{INT8_SIZE}" else key
    return f"--max-{key.removeprefix(_LIMITS)}" if key.startswith(_LIMITS) else f"--{key.removeprefix('budget.')}"


def collect_settings(request: Request, setup: Setup, source: str) -> dict[str, Setting]:
    """Return every option with its origin: asked, an environment variable, the time, the space file or the default.

    An option has the value that the search uses, where this is another one than what was asked.

    Args:
      request: what was asked.
      setup: what was prepared from it.
      source: where the space is from.
    """
    settings = {
        **{option.name: _as_asked(option, request) for option in options_of(type(request)) if option.flags},
        **_as_used(request, setup, source),
        "cache": _from_environment(None, "AUTOKD_CACHE", cache_dir()),
        "threads": Setting(setup.threads, "the machine"),
    }
    return {name: Setting(as_plain(setting.value), setting.origin) for name, setting in settings.items()}


def _as_used(request: Request, setup: Setup, source: str) -> dict[str, Setting]:
    """The options whose value follows from more than what was asked."""
    planned = setup.time_plan is not None
    constraints = setup.space.constraints
    stated = {**constraints, SIZE: constraints.get(INT8_SIZE, constraints.get(SIZE))}
    limits = {name: (asked, stated.get(name.removeprefix("max_"))) for name, asked in request.limits.items()}
    return {
        "trials": _from_file(request.trials, setup.budget.trials, request.time is not None),
        "epochs": _from_file(request.epochs, setup.budget.epochs, planned),
        **{name: _from_file(asked, limit) for name, (asked, limit) in limits.items()},
        "objective": _from_file(request.objective, setup.objective.names),
        "space": _or_default(request.space, source),
        "device": _or_default(None if request.device == "auto" else request.device, str(setup.device)),
        "data_dir": _from_environment(request.data_dir, "AUTOKD_DATA", None),
        "slots": _or_default(request.slots, setup.identity.slots),
    }


def _as_asked(option: Listed, request: Request) -> Setting:
    asked = getattr(request, option.name)
    is_default = asked is option.default or (isinstance(asked, WRITTEN) and asked == option.default)
    return Setting(_written(option, asked), "default" if is_default else "asked")


def _written(option: Listed, asked: Any) -> Any:
    """What a record says of a value: of a secret how it begins, of what a program handed over its type."""
    if isinstance(option.about, Option) and option.about.secret and asked is not None:
        return f"{str(asked).partition('://')[0]}://…" if "://" in str(asked) else "…"
    items = asked if isinstance(asked, (list, tuple)) else [asked]
    is_written = all(item is None or isinstance(item, WRITTEN) for item in items)
    return asked if is_written else f"given in Python: {type(asked).__name__}"


def _from_file(asked: Any, value: Any, planned: bool = False) -> Setting:
    return Setting(value, "asked" if asked is not None else "the time" if planned else "space file")


def _or_default(asked: Any, value: Any) -> Setting:
    return Setting(value, "default" if asked is None else "asked")


def _from_environment(asked: Any, variable: str, default: Any) -> Setting:
    if asked is None and os.environ.get(variable):
        return Setting(os.environ[variable], variable)
    return _or_default(asked, default if asked is None else asked)
