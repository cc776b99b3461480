"""One option is one field: command line, keywords of Python and records follow from it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

import autokd
from autokd.api import SearchCall
from autokd.cli.commands import app
from autokd.cli.options import Printing, with_options
from autokd.engine.teacher_bank import DEFAULT_BYTES
from autokd.errors import UserError
from autokd.objective import COSTS
from autokd.options import Execution, FullTraining, Keyword, Limits, Option, options_of, takes, units
from autokd.search.identity import collect_settings
from autokd.search.prepare import prepare
from autokd.search.request import Request, Screening
from autokd.search.session import Setup
from tests.search.spaces import ONE_LAYER

OPTIONS = [option for option in options_of(Request) if option.flags]


@dataclass(frozen=True, kw_only=True)
class Wider(Request):
    """A request with one option more."""

    pause: Annotated[float, Option("Rest between trials, e.g. 5s.", unit=units.SECONDS, shown="1.5s")] = 1.5
    depth: Annotated[int | None, Option("How deep to dig.", minimum=2)] = None


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("options") / "space.yaml"
    path.write_text(ONE_LAYER, encoding="utf-8")
    return path


def prepared(request: Request) -> Setup:
    return prepare(request, lambda at: None, dry=True)


def parameters(name: str) -> dict[str, Any]:
    """The parameters of a command, by the name of the value."""
    group: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in group.commands[name].params}


def test_every_option_is_on_the_command_line_in_python_and_in_the_records(space: Path, tmp_path: Path) -> None:
    shown, taken = parameters("search"), inspect.signature(autokd.search).parameters
    recorded = prepared(Request(dataset="wine", space=space, studies_dir=tmp_path)).settings
    assert len(OPTIONS) > 30
    for option in OPTIONS:
        assert list(option.flags) == shown[option.name].opts
        assert option.about.help == shown[option.name].help
        assert taken[option.name].default is option.default and taken[option.name].annotation == option.type
        assert f"\n  {option.name}: {option.about.help.split()[0]}" in (autokd.search.__doc__ or "")
        assert recorded[option.name].origin
    own = ["dry_run", "as_json", "quiet", "verbose"]
    assert [name for name in shown if name != "help"] == [*(option.name for option in OPTIONS), *own]
    assert set(recorded) == {option.name for option in OPTIONS} | {"cache", "threads"}


def test_screening_and_training_take_their_options() -> None:
    for command, asked in (("screen", Screening), ("train", FullTraining)):
        wanted = [option.name for option in (*options_of(asked), *options_of(Printing)) if option.flags]
        assert [name for name in parameters(command) if name != "help"] == wanted
    screening, searching = ({option.name for option in options_of(asked)} for asked in (Screening, Request))
    assert screening - {"proxy"} < searching


def test_an_option_more_is_a_field_more(space: Path, tmp_path: Path) -> None:
    got: list[Wider] = []
    tool = typer.Typer()

    @tool.command()
    @with_options
    def dig(request: Wider) -> None:
        got.append(request)

    @takes(Wider)
    def search(asked: Wider) -> float:
        """Dig.

        Args:
          {options}
        """
        return asked.pause

    helped = CliRunner().invoke(tool, ["--help"], env={"COLUMNS": "120"}).output
    assert "--pause" in helped and "Rest between trials, e.g. 5s." in helped and "x>=2" in helped
    assert CliRunner().invoke(tool, ["--pause", "4s", "--trials", "3"]).exit_code == 0
    assert (got[0].pause, got[0].trials, got[0].depth, got[0].dataset) == (4.0, 3, None, "digits")
    assert CliRunner().invoke(tool, ["--depth", "1"]).exit_code == 2
    assert search("wine", pause=2.0) == 2.0 and search() == 1.5
    with pytest.raises(UserError, match="depth=1 is too small; it is at least 2"):
        search(depth=1)
    assert "\n  depth: How deep to dig. At least 2." in (search.__doc__ or "")
    request = Wider(dataset="wine", space=space, studies_dir=tmp_path, pause=3.0)
    settings = prepared(request).settings
    assert (settings["pause"].value, settings["pause"].origin) == (3.0, "asked")
    assert (settings["depth"].value, settings["depth"].origin) == (None, "default")


def test_an_unknown_keyword_names_the_nearest_one() -> None:
    with pytest.raises(
        TypeError, match=r"search\(\) got an unexpected keyword argument 'trails'; did you mean 'trials'"
    ):
        autokd.search("wine", trails=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"train\(\) got an unexpected keyword argument 'epoch'; did you mean 'epochs'"):
        autokd.train("p.yaml", epoch=3)  # type: ignore[call-arg]


def test_what_the_command_line_reads_and_shows_is_the_value() -> None:
    for option in OPTIONS:
        assert isinstance(option.about, Option)
        assert (option.about.shown is None) == (option.about.unit is None or option.default is None)
        if option.about.shown is not None:
            assert option.read(option.about.shown) == option.default
    read = {option.name: option.read for option in OPTIONS}
    assert read["time"]("1h30m") == 5400 and read["time"]("90") == 90 and read["time"](None) is None
    assert read["max_params"]("0.3M") == 300e3 and read["max_macs"]("2e6") == 2e6
    assert read["max_size"]("200KB") == 200e3 and read["max_latency"]("0.2s") == 200
    assert read["bank_bytes"]("500MB") == 500e6
    with pytest.raises(UserError, match=r"--max-latency '5m' is not a latency; write for instance 5ms or 0\.2s"):
        read["max_latency"]("5m")


def test_defaults_that_other_places_have_too_are_the_same() -> None:
    assert Execution.bank_bytes == DEFAULT_BYTES
    assert list(Limits().limits) == [f"max_{cost}" for cost in COSTS]


def test_what_only_a_program_can_give_is_no_option() -> None:
    only = [option.name for option in options_of(SearchCall) if isinstance(option.about, Keyword)]
    assert only == ["began", "studies_dir", "largest_side", "reports_dir", "notify", "stop"]
    assert not set(only) & set(parameters("search"))


def test_a_field_that_says_nothing_is_refused() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Silent(Request):
        depth: int = 3

    with pytest.raises(TypeError, match="depth is no option"):
        options_of(Silent)


def test_records_say_what_was_asked_but_no_password(space: Path, tmp_path: Path) -> None:
    url = "postgresql://me:hush@host/db?password=hush"
    asked: dict[str, Any] = {"storage": url, "validation": None, "objective": "accuracy,params", "profile": True}
    setup = prepared(Request(dataset="wine", space=space, studies_dir=tmp_path, **asked))
    assert setup.settings["storage"] == ("postgresql://…", "asked")
    assert "hush" not in str(setup.settings)
    assert setup.settings["objective"] == (["accuracy", "params"], "asked")
    assert setup.settings["profile"] == (True, "asked") and setup.settings["train"] == (False, "default")
    given: dict[str, Any] = {"dataset": ([[1.0]], [0]), "teacher": object(), "plugins": [Path("a.py")]}
    handed = Request(space=space, data_dir=tmp_path, **given)
    settings = collect_settings(handed, setup, "here")
    assert settings["dataset"] == ("given in Python: tuple", "asked")
    assert settings["plugins"].value == ["a.py"] and settings["data_dir"].value == str(tmp_path)
    assert settings["teacher"] == ("given in Python: object", "asked")


def test_an_option_that_may_be_repeated_is_itself_where_it_is_given_once() -> None:
    options = {option.name: option for option in options_of(Request)}
    read = [options["teacher"].read(value) for value in (None, [], ["a.pt"], ["a.pt", "b.pt"])]
    assert read == [None, None, "a.pt", ["a.pt", "b.pt"]]
    assert options["plugins"].read(["a.py"]) == ["a.py"]  # this one is always a list


def heavy_after(module: str) -> Iterator[str]:
    heavy = ("torch", "pandas", "numpy", "optuna", "typer", "yaml")
    script = f"import sys, {module}; print(*[name for name in {heavy!r} if name in sys.modules])"
    yield from subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("module", ["autokd.options", "autokd.search.request"])
def test_options_import_nothing_heavy(module: str) -> None:
    assert list(heavy_after(module)) == []
