"""What an option is: a field of a dataclass whose annotation says everything about it, on one line."""

from __future__ import annotations

import dataclasses
import inspect
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

from autokd.errors import UserError, nearest
from autokd.options.units import Unit


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """An option that exists in Python only: a program can give it, a command line cannot.

    Args:
      help: what it is, a sentence.
    """

    help: str = dataclasses.field(kw_only=False)

    @property
    def in_python(self) -> str:
        """What the documentation of a function says of it."""
        return self.help


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of the command line, and the keyword of the same name in Python.

    Args:
      help: what it is, a sentence, as the command line shows it.
      flags: how it is written on the command line; by default its name after two dashes.
      minimum: the least number that the command line takes.
      unit: of a number that the command line writes with one.
      shown: the default as the command line writes it, where there is a unit.
      python: what is different in Python, or may be given there beside what the command line takes.
      argument: whether it is given without a flag.
      secret: whether no record may show more of it than how it begins.
    """

    help: str = dataclasses.field(kw_only=False)
    flags: tuple[str, ...] = ()
    minimum: int | None = None
    unit: Unit | None = None
    shown: str | None = None
    python: str = ""
    argument: bool = False
    secret: bool = False

    @property
    def in_python(self) -> str:
        """What the documentation of a function says of it."""
        least = "" if self.minimum is None else f"At least {self.minimum}."
        unit = "" if self.unit is None else f"In Python a number of {self.unit.in_python}".removesuffix(" of ") + "."
        return " ".join(text for text in (self.help, least, unit, self.python) if text)


class Listed(NamedTuple):
    """A field as it is listed.

    Args:
      name: its name.
      type: its type, without what is annotated.
      default: its default; `inspect.Parameter.empty` where it must be given.
      about: what it is.
    """

    name: str
    type: Any
    default: Any
    about: Option | Keyword

    @property
    def flags(self) -> tuple[str, ...]:
        """How it is written on the command line; () where it is not."""
        if isinstance(self.about, Keyword):
            return ()
        return self.about.flags or (f"--{self.name.replace('_', '-')}",)

    def read(self, value: Any) -> Any:
        """Return what a value from the command line stands for.

        Of an option that may be one text or a list of them, one value is itself.

        Raises:
          UserError: it is no such value.
        """
        unit = self.about.unit if isinstance(self.about, Option) else None
        may_be_text = get_origin(self.type) is not list and str in get_args(self.type)
        if isinstance(value, list) and len(value) < 2 and may_be_text:
            return value[0] if value else None
        return value if unit is None or value is None else unit.read(self.flags[0], value)

    def check(self, value: Any) -> None:
        """Refuse a number that is too small, as the command line does.

        Raises:
          UserError: it is below the least one.
        """
        least = self.about.minimum if isinstance(self.about, Option) else None
        if least is not None and value is not None and value < least:
            raise UserError(f"{self.name}={value!r} is too small; it is at least {least}")


def options_of(cls: type[Any]) -> list[Listed]:
    """Return the options of a dataclass, those of its bases first, in the order in which these stand.

    Raises:
      TypeError: a field says neither `Option` nor `Keyword`.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = get_type_hints(cls, include_extras=True)
    return [_listed(fields[name], hints[name]) for name in _names(cls)]


def _names(cls: type[Any]) -> Iterator[str]:
    """The names of a dataclass's fields; `dataclasses.fields` has those of the last base first."""
    for base in cls.__bases__:
        yield from _names(base)
    yield from inspect.get_annotations(cls)


def _listed(field: dataclasses.Field[Any], hint: Any) -> Listed:
    plain, about = split(hint)
    if about is None:
        raise TypeError(f"{field.name} is no option: annotate it with Option(…) or Keyword(…)")
    made = field.default_factory is not dataclasses.MISSING
    default = None if made else inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
    return Listed(field.name, plain, default, about)


def split(hint: Any) -> tuple[Any, Option | Keyword | None]:
    """Return the type that an annotation is about, and what it says of the option, if it is one."""
    if get_origin(hint) is not Annotated:
        return hint, None
    plain, *notes = get_args(hint)
    return plain, next((note for note in notes if isinstance(note, (Option, Keyword))), None)


def first_type(hint: Any) -> Any:
    """Return the first type of a union, else the type itself.

    Example:
      >>> first_type(int | str | None), first_type(bool)
      (<class 'int'>, <class 'bool'>)
    """
    return get_args(hint)[0] if get_origin(hint) in (Union, types.UnionType) else hint


def unknown_keyword(function: str, name: str, options: list[Listed]) -> str:
    """Return what is said of a keyword that a function does not take."""
    known = [option.name for option in options]
    return f"{function}() got an unexpected keyword argument {name!r}; {nearest(name, known)}"
