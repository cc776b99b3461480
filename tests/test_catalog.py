"""The folder is the registry; plug-in files and installed packages add to it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from autokd import catalog
from autokd.errors import ComponentError
from autokd.faults import fault

PLUGIN = """
from dataclasses import dataclass

from autokd.declarations import Loss, Scale, Student


@dataclass(frozen=True, kw_only=True)
class Mine:
    declares = Loss(name="t_mine", teacher="none", scale=Scale(1.0, "made up"))

    weight: float = 1.0

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class Net:
    declares = Student(name="t_net_mine", modalities={"image"})

    def build(self, context): ...


@dataclass
class Settings:
    size: int = 3
"""

BEFORE = """
from dataclasses import dataclass
from typing import ClassVar

ANY = frozenset({"any"})


@dataclass(frozen=True, kw_only=True)
class LogitMSE:
    kind = "losses"
    name = "logit_mse"
    modalities = ANY
    teacher = "stored"
    needs: ClassVar[frozenset[str]] = frozenset({"pooled"})
    excludes: ClassVar[frozenset[str]] = frozenset({"kd", "augments.mixup"})
    scale = 0.5
    weight: float = 1.0

    def build(self, context): ...
"""
"""A plug-in as it was written before components had `declares`."""


@pytest.fixture(autouse=True)
def _no_plugin_stays() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("autokd_plugin_"):
            del sys.modules[name]


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_each_file_is_a_component_of_its_name(kind: str) -> None:
    folder = Path(catalog.__file__).parent / kind
    files = sorted(path.stem[1:] for path in folder.glob("_*.py") if path.stem != "__init__")
    assert catalog.names(kind) == files and files
    for name in files:
        cls = catalog.load(kind, name)
        assert catalog.name_of(cls) == name and cls.__doc__
        assert cls.__dataclass_params__.frozen, f"{kind} {name} is not frozen"
        assert cls.declares.kind == kind and cls.declares.name == "" and fault(cls) is None


def test_listing_imports_nothing() -> None:
    code = (
        "import sys; from autokd import catalog; found = [catalog.names(kind) for kind in catalog.KINDS]; "
        "print(all(found), [m for m in sys.modules if m == 'torch' or m.startswith('autokd.losses')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == "True []"


def test_what_is_not_there_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ComponentError, match="there is no loss called 'kdd'; did you mean 'kd'"):
        catalog.load("losses", "kdd")
    with pytest.raises(ComponentError, match="there is no kind 'loses'; did you mean 'losses'"):
        catalog.names("loses")
    for strange in ("../losses/_kd", "_kd", "", "common"):
        with pytest.raises(ComponentError, match="there is no loss called"):
            catalog.load("losses", strange)


def test_a_plugin_file_adds_components(tmp_path: Path) -> None:
    file = tmp_path / "plug-in.py"
    file.write_text(PLUGIN)
    before = catalog.names("losses")
    catalog.load_plugins(file)
    assert catalog.names("losses") == sorted([*before, "t_mine"]) and "t_net_mine" in catalog.names("students")
    assert catalog.name_of(catalog.load("losses", "t_mine")()) == "t_mine"
    assert "t_mine" not in catalog.names("students")
    catalog.load_plugins(str(file))  # again: nothing doubles
    assert catalog.names("losses") == sorted([*before, "t_mine"])


def test_components_of_a_plugin_file_share_a_base_with_a_leading_underscore(tmp_path: Path) -> None:
    file = tmp_path / "shared_base.py"
    base = "\n\n@dataclass(frozen=True)\nclass _Base:\n    def build(self, context):\n        return 1\n\n"
    head, found, rest = PLUGIN.replace("t_mine", "t_based").replace("t_net_mine", "t_net_based").partition("@dataclass")
    file.write_text(head + base + found + rest)
    catalog.load_plugins(file)
    assert "t_based" in catalog.names("losses")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLUGIN.replace('{"image"}', '{"imgae"}'), "Net is for 'imgae', and there is no such kind of input; did you"),
        ("x = 1", "no component in it; a component is a frozen dataclass with a build method"),
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def", "SyntaxError: invalid syntax"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
        (BEFORE.replace('"losses"', '"loses"'), "there is no kind 'loses'; did you mean 'losses'"),
        (PLUGIN.replace("t_mine", "kd"), "another loss is called 'kd' already; choose another name"),
        (PLUGIN + PLUGIN.replace("Mine", "Other"), "another loss is called 't_mine' already"),
        (PLUGIN.replace('name="t_mine", ', ""), "Mine has no name; write declares = Loss(name='my_name', …)"),
        (
            PLUGIN.replace("teacher=", "techer="),
            "TypeError: Loss.__init__() got an unexpected keyword argument 'techer'",
        ),
        (PLUGIN.replace('teacher="none", ', ""), "TypeError: Loss.__init__() missing 1 required keyword-only argument"),
        (PLUGIN.replace('"none"', '"Live"'), "Loss(teacher='Live'): there is no 'Live'; did you mean 'live'?"),
        (PLUGIN.replace("declares = Loss", "declares: Loss = Loss"), "write 'declares = …' without a type"),
        (PLUGIN.replace("    weight: float = 1.0\n", ""), "Mine has no field 'weight', which every loss has"),
        (
            PLUGIN.replace('teacher="none"', 'teacher="none", tunes=("wait",)'),
            "Mine has no field 'wait', which tunes=('wait',) names; did you mean 'weight'? (tunes=() for none)",
        ),
        (
            PLUGIN.replace("Student", "Optimizer").replace(', modalities={"image"}', ""),
            "Net has no field 'learning_rate', which tunes=('learning_rate',) names",
        ),
        (
            re.sub("    declares = Student.*\n", "", PLUGIN),
            "Net declares nothing; a component is a frozen dataclass with a build method",
        ),
    ],
)
def test_a_plugin_file_that_does_not_serve_is_one_clear_line_and_leaves_nothing(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "bad_plugin.py"
    file.write_text(text)
    before = {kind: catalog.names(kind) for kind in catalog.KINDS}
    with pytest.raises(ComponentError) as error:
        catalog.load_plugins(file)
    assert message in str(error.value) and str(file) in str(error.value) and "\n" not in str(error.value)
    assert {kind: catalog.names(kind) for kind in catalog.KINDS} == before
    assert "autokd_plugin_bad_plugin" not in sys.modules


def test_a_missing_plugin_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match=r"nowhere\.py: no such file"):
        catalog.load_plugins(tmp_path / "nowhere.py")


def test_two_plugin_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.py").write_text(PLUGIN)
    catalog.load_plugins(tmp_path / "a" / "same.py")
    with pytest.raises(ComponentError, match="has the same name and is loaded already"):
        catalog.load_plugins(tmp_path / "b" / "same.py")
    assert "t_mine" in catalog.names("losses")


def test_a_plugin_in_the_form_of_before_is_told_the_new_one_with_its_own_values(tmp_path: Path) -> None:
    file = tmp_path / "before.py"
    file.write_text(BEFORE)
    with pytest.raises(ComponentError) as error:
        catalog.load_plugins(file)
    (form,) = re.findall(r"in their place (declares = .*), which autokd.declarations has$", str(error.value))
    assert form == (
        "declares = Loss(name='logit_mse', excludes={'augment.mixup', 'kd'}, teacher='stored', reads={'pooled'}, "
        "scale=Scale(0.5, 'where it is from'))"
    )
    lines = [
        line
        for line in BEFORE.splitlines()
        if not re.match(r"    (kind|name|modalities|teacher|scale|\w+:.*Var)", line)
    ]
    text = "\n".join(lines).replace("class LogitMSE:", f"class LogitMSE:\n    {form}\n")
    file.write_text("from autokd.declarations import Loss, Scale\n" + text)
    catalog.load_plugins(file)
    assert catalog.load("losses", "logit_mse").declares.reads == {"pooled"}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that offers two losses, `t_theirs` and `t_wrong`; its module, to be written."""

    def points(kind: str) -> tuple[EntryPoint, ...]:
        found = [EntryPoint(name, "t_their_losses:Mine", "autokd.losses") for name in ("t_theirs", "t_wrong")]
        return tuple(found) if kind == "losses" else ()

    monkeypatch.setattr(catalog, "_points", points)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "t_their_losses", raising=False)
    return tmp_path / "t_their_losses.py"


def test_installed_packages_add_components(installed: Path) -> None:
    installed.write_text(PLUGIN.replace("t_mine", "t_theirs"))
    assert "t_theirs" in catalog.names("losses") and "t_theirs" not in catalog.names("students")
    cls = catalog.load("losses", "t_theirs")
    assert cls.__name__ == "Mine" and catalog.name_of(cls()) == "t_theirs"
    assert catalog.load("losses", "kd").__module__ == "autokd.losses._kd"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLUGIN, "is called 't_mine' among the losses; write declares = Loss(name='t_wrong', …)"),
        (
            PLUGIN.replace("class Net", "class Old").replace("class Mine", "class Net")[:-1] + "\n\n\nMine = Old",
            "students",
        ),
        (
            PLUGIN.replace("teacher=", "techer="),
            "TypeError: Loss.__init__() got an unexpected keyword argument 'techer'",
        ),
        (
            BEFORE.replace("LogitMSE", "Mine"),
            "Mine declares by class attributes, which no longer counts; write in their",
        ),
    ],
)
def test_an_installed_component_that_does_not_serve_is_one_clear_line(installed: Path, text: str, message: str) -> None:
    installed.write_text(text)
    with pytest.raises(ComponentError) as error:
        catalog.load("losses", "t_wrong")
    assert message in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith("the installed losses component 't_wrong' (t_their_losses:Mine)")
