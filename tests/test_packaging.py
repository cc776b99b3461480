"""What is shipped: versions, pins, the wheel, and a search from the wheel outside the checkout."""

from __future__ import annotations

import ast
import functools
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import autokd
from tests import processes

ROOT = Path(__file__).parents[1]
OF_OURSELVES = "autokd"
UNSEEN = {
    "optuna-dashboard": "imported where it is installed",
    "psycopg": "sqlalchemy imports it where a database's URL names it",
    "hatchling": "builds the wheel",
    "pytest-xdist": "pytest's -n",
    "coverage": "a command",
    "import-linter": "a command",
    "mypy": "a command",
    "ruff": "a command",
    "pandas-stubs": "types for mypy",
    "types-pyyaml": "types for mypy",
}
"""Declared packages that no file imports, and what they are for."""
COMPARED_WITH = {"torchdistill"}
"""What a benchmark runs beside autokd; whoever runs it installs that by hand."""


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new virtual environment with the wheel in it.

    Its dependencies are those of the environment that runs the tests; a path file lends them without that
    environment's own path files, so the checkout is not importable.
    """
    folder = tmp_path_factory.mktemp("outside") / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    (lib,) = folder.glob("lib/python*/site-packages")
    (lib / "lent.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    pip(
        "--python",
        str(folder / "bin" / "python"),
        "install",
        "--no-deps",
        "--no-index",
        "--ignore-installed",
        str(wheel),
    )
    return folder / "bin"


def pip(*arguments: str) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


def run(*command: str, cwd: Path | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


SAME = {"xgboost-cpu": "xgboost"}
"""Packages that hold the modules of another one."""


def packages(requirements: Iterable[str]) -> frozenset[str]:
    """The packages that requirements name, but ourselves."""
    return frozenset(canonicalize_name(Requirement(text).name) for text in requirements) - {OF_OURSELVES}


def extra(extras: Mapping[str, list[str]], name: str) -> list[str]:
    """What an extra asks for, with the other extras that it names."""
    asked = [Requirement(text) for text in extras[name]]
    named = [other for item in asked if item.name == OF_OURSELVES for other in sorted(item.extras)]
    return [*extras[name], *(text for other in named for text in extra(extras, other))]


def imported(*folders: str) -> frozenset[str]:
    """The packages that the modules in some folders of the checkout import, at their top or later."""
    modules = {name for folder in folders for name in modules_in(folder)}
    ours = {"autokd", "tests", "benchmarks", "docs", "tools"}
    distributions = installed_packages()
    found = (distributions.get(name, [name])[0] for name in modules - ours - sys.stdlib_module_names)
    return frozenset(canonicalize_name(SAME.get(name, name)) for name in found)


installed_packages = functools.cache(packages_distributions)


@functools.cache
def modules_in(folder: str) -> frozenset[str]:
    """The top-level modules that the modules in a folder import."""
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / folder).rglob("*.py"))
    return frozenset(name for source in sources for name in modules_of(ast.parse(source)))


def modules_of(tree: ast.Module) -> Iterator[str]:
    """Yield the top-level modules that a module imports; `import_module("torchvision.models")` counts."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            continue
        match node:
            case ast.Import(names=names):
                yield from (name.name.partition(".")[0] for name in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(func=ast.Attribute(attr="import_module"), args=[name, *_]):
                first = name.values[0] if isinstance(name, ast.JoinedStr) else name
                if isinstance(first, ast.Constant):
                    yield str(first.value).partition(".")[0]


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {autokd.__version__}\n" in citation
    assert re.findall(r"^## (\S+)", changes, re.MULTILINE)[0] == autokd.__version__


def test_every_pin_lies_inside_the_range_of_its_package(project: dict[str, Any]) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    pins = {name.lower().replace("_", "-"): version for name, version in pins.items()}
    extras = project["optional-dependencies"]
    asked = [Requirement(text) for text in [*project["dependencies"], *extras["test"], *extras["dev"], *extras["timm"]]]
    wrong = [
        f"{item}: {pins.get(item.name.lower(), 'not pinned')}"
        for item in asked
        if item.name != OF_OURSELVES and not item.specifier.contains(pins.get(item.name.lower(), "0"))
    ]
    assert wrong == []


def test_every_dependency_has_a_lower_bound(project: dict[str, Any]) -> None:
    asked = [Requirement(text) for group in project["optional-dependencies"].values() for text in group]
    asked += [Requirement(text) for text in project["dependencies"]]
    loose = [str(item) for item in asked if item.name != OF_OURSELVES and ">=" not in str(item.specifier)]
    assert loose == []


def test_the_package_imports_what_it_declares_and_nothing_else(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    names = ("timm", "pruning", "testing", "sklearn", "boosting", "onnx")
    read = [each for name in names for each in extras[name]]
    assert imported("autokd") == packages([*project["dependencies"], *read])


def test_every_import_of_tests_tools_and_benchmarks_is_declared_and_every_extra_read(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    for_tests = packages([*project["dependencies"], *extra(extras, "test")])
    for_developers = for_tests | packages([*extras["dev"], *extras["boosting"]])
    assert imported("tests") - for_tests == set()
    assert imported("tools", "benchmarks", "docs") - for_developers <= COMPARED_WITH
    of_extras = frozenset().union(*(packages(group) for group in extras.values()))
    unread = of_extras - imported("autokd", "tests", "tools", "benchmarks", "docs")
    assert unread == set(UNSEEN)


def test_the_pythons_that_are_named_are_those_that_are_tested(project: dict[str, Any]) -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]
    named = [item.rpartition(" ")[2] for item in project["classifiers"] if "Python :: 3." in item]
    assert jobs["checks"]["strategy"]["matrix"]["python"] == named
    assert jobs["nightly"]["strategy"]["matrix"]["python"] == named
    assert f">={named[0]}" == project["requires-python"]


@pytest.mark.slow
def test_the_wheel_holds_code_types_spaces_past_studies_and_licence_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    here = {str(path.relative_to(ROOT)) for path in (ROOT / "autokd").rglob("*.py")}
    spaces = {f"autokd/search_spaces/{path.name}" for path in (ROOT / "search_spaces").glob("*.yaml")}
    assert len(here) > 100 and len(spaces) >= 3
    endings = ("*.jinja", "*.css", "*.js")
    templates = {str(path.relative_to(ROOT)) for ending in endings for path in (ROOT / "autokd").rglob(ending)}
    others = {"autokd/py.typed", "autokd/losses/__init__.pyi", "autokd/knowledge/shipped.parquet"}
    described = {name for name in names if name.startswith(f"autokd-{autokd.__version__}.dist-info/")}
    assert len(templates) >= 12
    assert names - described == here | spaces | templates | others
    assert f"autokd-{autokd.__version__}.dist-info/licenses/LICENSE" in described


SCRIPT = """
import os
import autokd
from autokd.cli.commands import run_command

print(autokd.__file__)
assert run_command(["search", "--dataset", "wine", "--space", "tabular", "--dry-run"]) == 0
print(os.listdir())
assert run_command(["search", "--dataset", "wine", "--trials", "2", "--epochs", "1", "--quiet"]) == 0
print(autokd.search("wine", trials=2, epochs=1))
"""
"""What the command does, a dry run in a shipped space first; and the same search from Python. It has no main guard."""


@pytest.mark.slow
def test_a_script_searches_with_the_wheel_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    folder, script = tmp_path / "empty", tmp_path / "script.py"
    folder.mkdir()
    script.write_text(SCRIPT, encoding="utf-8")
    assert run(str(installed / "autokd"), "--version", cwd=folder) == f"autokd {autokd.__version__}\n"
    shown = run(str(installed / "python"), str(script), cwd=folder)
    shape = r"(.*?)\n(.*)\n\[\]\n(.*)\nStudy\('studies/wine', 2 trials, finished\)\n"
    where, planned, found = re.fullmatch(shape, shown, re.DOTALL).groups()  # type: ignore[union-attr]
    assert Path(where).is_relative_to(installed.parent)
    assert "losses" in planned and "nothing was written" in planned
    assert "No teacher" in found
    assert {path.name for path in folder.iterdir()} == {"studies", "reports"}
    assert (folder / "studies/wine/best/student.safetensors").is_file()
    assert (folder / "reports/wine/index.html").stat().st_size > 100_000


@pytest.mark.parametrize("first", ["autokd.search", "from autokd.study import records"])
def test_the_public_names_are_the_same_whatever_was_imported_before(first: str, tmp_path: Path) -> None:
    names = "{n: type(getattr(autokd, n)).__name__ for n in autokd.__all__}"
    code = f"{processes.ANEW}import autokd\n{first}\nprint({names})"
    kinds = ast.literal_eval(processes.run(code, folder=tmp_path).said)
    classes = {"AutokdError", "PipelineSpec", "Study", "Teacher", "UserError"}
    assert kinds == {name: "type" if name in classes else "function" for name in autokd.__all__}
