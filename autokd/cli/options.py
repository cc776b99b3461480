"""From options to the command line, and the options that the command line alone has."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import typer

from autokd._version import __version__
from autokd.options import DataDir, Dataset, Listed, Option, Target, TeacherClasses, first_type, options_of, split
from autokd.study.arms import ARM_KINDS


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"autokd {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
]
Study = Annotated[str, Option("Name or folder of a study.", argument=True)]
Arm = Annotated[str | None, Option(f"Export this arm of the final comparison, e.g. {', '.join(ARM_KINDS)}.")]
Json = Annotated[bool, Option("Print one JSON document on stdout and nothing else.", flags=("--json",))]


@dataclass(frozen=True, kw_only=True)
class Printing:
    """What is printed."""

    as_json: Json = False
    quiet: Annotated[bool, Option("Show no progress.", flags=("--quiet", "-q"))] = False
    verbose: Annotated[bool, Option("Show the log in full.", flags=("--verbose", "-v"))] = False


@dataclass(frozen=True, kw_only=True)
class TeachersData:
    """Data that a teacher is described for."""

    dataset: Dataset = "digits"
    data_dir: DataDir = None
    target: Target = None
    teacher_classes: TeacherClasses = None


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """Make a function a command: what typer is to know of it follows from its parameters.

    A parameter that is annotated with an `Option` is that option. One whose type is a dataclass of options becomes
    these options, in their order, and the function is given the dataclass.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters = inspect.signature(command).parameters.values()
    taken = {each.name: list(_options(hints[each.name], each)) for each in parameters}

    @functools.wraps(command)
    def run(**values: Any) -> None:
        command(**{name: _given(hints[name], options, values) for name, options in taken.items()})

    listed = [_parameter(option) for options in taken.values() for option in options]
    run.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in listed}
    return run


def _options(hint: Any, parameter: inspect.Parameter) -> Iterator[Listed]:
    """The options that a command's parameter stands for; what only a program can give is none."""
    plain, about = split(hint)
    if about is not None:
        yield Listed(parameter.name, plain, parameter.default, about)
    else:
        yield from (option for option in options_of(plain) if option.flags)


def _given(hint: Any, options: list[Listed], values: dict[str, Any]) -> Any:
    """What a parameter is given: the value of its option, or the dataclass of its options."""
    read = {option.name: option.read(values[option.name]) for option in options}
    plain, about = split(hint)
    return plain(**read) if about is None else read[options[0].name]


def _parameter(option: Listed) -> inspect.Parameter:
    """An option as typer takes it."""
    about = option.about
    assert isinstance(about, Option)
    kind = str if about.unit is not None else first_type(option.type)
    default = option.default if about.shown is None else about.shown
    info = (
        typer.Argument(help=about.help)
        if about.argument
        else typer.Option(*option.flags, help=about.help, min=about.minimum)
    )
    annotation = Annotated[kind if default is not None else kind | None, info]  # type: ignore[valid-type]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
