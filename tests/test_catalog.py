"""The folder is the registry; plug-in files and installed packages add to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from autokd import catalog
from autokd.errors import ComponentError

PLUGIN = """
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Mine:
    kind, name = "losses", "t_mine"
    teacher, scale = "none", 1.0

    def build(self, context): ...


@dataclass(frozen=True, kw_only=True)
class Net:
    kind, name = "students", "t_net_mine"

    def build(self, context): ...


@dataclass
class Settings:
    size: int = 3
"""


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


def test_listing_imports_nothing() -> None:
    code = (
        "import sys; from autokd import catalog; found = [catalog.names(kind) for kind in catalog.KINDS]; "
        "print(all(found), [m for m in sys.modules if m == 'torch' or m.startswith('autokd.losses')])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[0] == "True []"


def test_what_is_not_there_is_told_with_the_nearest_name() -> None:
    with pytest.raises(ComponentError, match="there is no losses component called 'kdd'; did you mean 'kd'"):
        catalog.load("losses", "kdd")
    with pytest.raises(ComponentError, match="there is no kind 'loses'; did you mean 'losses'"):
        catalog.names("loses")
    for strange in ("../losses/_kd", "_kd", "", "common"):
        with pytest.raises(ComponentError, match="there is no losses component"):
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no component in it; a component is a frozen dataclass with a build method"),
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def", "SyntaxError: invalid syntax"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
        (PLUGIN.replace('"losses"', '"loses"'), "there is no kind 'loses'; did you mean 'losses'"),
        (PLUGIN.replace("t_mine", "kd"), "there is a losses component called 'kd' already; choose another name"),
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


def test_installed_packages_add_components(monkeypatch: pytest.MonkeyPatch) -> None:
    def points(group: str, **chosen: str) -> list[EntryPoint]:
        found = [EntryPoint("t_theirs", "collections:OrderedDict", "autokd.losses")]
        return [p for p in found if p.group == group and chosen.get("name", p.name) == p.name]

    monkeypatch.setattr(catalog, "entry_points", points)
    assert "t_theirs" in catalog.names("losses") and "t_theirs" not in catalog.names("students")
    assert catalog.load("losses", "t_theirs").__name__ == "OrderedDict"
    assert catalog.load("losses", "kd").__module__ == "autokd.losses._kd"


def test_a_plug_in_loss_must_declare_what_the_engine_reads(tmp_path: Path) -> None:
    file = tmp_path / "undeclared_plugin.py"
    file.write_text(
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True, kw_only=True)\nclass Bare:\n"
        "    kind = 'losses'\n    name = 'bare'\n    teacher = 'none'\n    weight: float = 1.0\n\n"
        "    def build(self, context):\n        return lambda step: step.student.logits.mean(1)\n"
    )
    with pytest.raises(ComponentError, match="losses 'bare' does not declare scale"):
        catalog.load_plugins(file)
    assert "bare" not in catalog.names("losses")
