"""Functions that take the fields of a dataclass as keywords."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from autokd.options.option import Listed, options_of, unknown_keyword

P = ParamSpec("P")
Asked = TypeVar("Asked")
Result = TypeVar("Result")

WIDTH = 110
"""Of the documentation, in characters."""


def takes(asked: Callable[P, Asked]) -> Callable[[Callable[[Asked], Result]], Callable[P, Result]]:
    """Make a function of one dataclass a function of the dataclass's fields.

    It has their types, for type checkers too. `{options}` in its docstring stands for what they say of themselves.

    Args:
      asked: the dataclass, every field of which is an `Option` or a `Keyword`.

    Raises:
      TypeError: by the function, where it does not know a keyword; the message has the nearest one.
      UserError: by the function, where a number is below the least one.
    """
    options = options_of(cast(type[Asked], asked))
    taken = inspect.signature(asked).parameters
    parameters = [taken[option.name].replace(annotation=option.type) for option in options]

    def decorate(function: Callable[[Asked], Result]) -> Callable[P, Result]:
        @functools.wraps(function)
        def with_keywords(*args: P.args, **kwargs: P.kwargs) -> Result:
            for name in kwargs:
                if name not in taken:
                    raise TypeError(unknown_keyword(function.__name__, name, options))
            call = asked(*args, **kwargs)
            for option in options:
                option.check(getattr(call, option.name))
            return function(call)

        signature = inspect.signature(function, eval_str=True).replace(parameters=parameters)
        with_keywords.__signature__ = signature  # type: ignore[attr-defined]
        with_keywords.__annotations__ = {
            **{option.name: option.type for option in options},
            "return": signature.return_annotation,
        }
        text = "\n".join(_entry(option) for option in options).strip()
        with_keywords.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("{options}", text)
        return with_keywords

    return decorate


def _entry(option: Listed) -> str:
    """What the docstring says of an option."""
    text = f"{option.name}: {option.about.in_python}"
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
