"""What the documentation lists, links to and shows is what the code has and does."""

from __future__ import annotations

import ast
import dataclasses
import re
import runpy
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
import yaml
from safetensors.torch import save_file

from autokd import catalog, declarations, input_values, spec
from autokd.cli.commands import app, run_command
from autokd.delivery import bundle, pipeline_file
from autokd.engine import checkpoint
from autokd.knowledge import base
from autokd.networks.state_file import BUNDLE_FORMAT
from autokd.recipes import RULES, WITH_UNLABELLED
from autokd.report import document
from autokd.search.stages import STAGES
from autokd.search.timing.levels import LEVELS
from autokd.space import Budget, parse
from autokd.study import records, samples, settings
from autokd.teaching import default_teacher
from autokd.types import BuildContext, Output, Step, Task
from tests import processes

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *(ROOT / folder / "README.md" for folder in ("benchmarks", "reports", "studies")),
]
needs_benchmarks = pytest.mark.skipif(
    not (ROOT / "benchmarks" / "losses.py").is_file(), reason="the benchmarks are not part of this copy"
)
README = (ROOT / "README.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands_of_the_tool() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = group.commands
    return found


def flags_of(command: Any) -> set[str]:
    """The options of a command, and of those inside it."""
    inside = vars(command).get("commands", {}).values()
    own = {flag for parameter in command.params for flag in [*parameter.opts, *parameter.secondary_opts]}
    return own.union(*map(flags_of, inside))


def commands_shown() -> Iterator[list[str]]:
    """The autokd commands in the console blocks of all pages, as words, prompts taken off."""
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8"), "console"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("$ autokd "):
                    yield shlex.split(line, comments=True)[2:]


def test_the_table_of_commands_is_that_of_the_tool() -> None:
    listed = re.findall(r"^\| `autokd ([a-z-]+)", README, re.MULTILINE)
    assert sorted(listed) == sorted(commands_of_the_tool())
    page = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert sorted(set(re.findall(r"^\| `([a-z-]+)[ `]", page, re.MULTILINE))) == sorted(listed)
    for name, inside in ((name, vars(command).get("commands")) for name, command in commands_of_the_tool().items()):
        if inside is not None:
            assert sorted(re.findall(rf"^\| `{name} ([a-z-]+)[ `]", page, re.MULTILINE)) == sorted(inside)


def test_the_commands_shown_exist_with_their_options() -> None:
    commands = commands_of_the_tool()
    shown = list(commands_shown())
    assert len(shown) >= 8
    wrong = []
    for name, *words in shown:
        known = {*flags_of(commands[name]), "--help"}
        wrong += [f"autokd {name} {word}" for word in words if word.startswith("-") and word not in known]
    assert wrong == []


def test_the_options_named_in_the_text_exist() -> None:
    known = set[str]().union(*map(flags_of, commands_of_the_tool().values()))
    wrong = [
        f"{page.name}: {flag}"
        for page in PAGES
        if page.name not in ("CHANGELOG.md", "components.md")
        for flag in re.findall(r"`(--[a-z0-9-]+)", page.read_text(encoding="utf-8"))
        if flag not in known
    ]
    assert wrong == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as hosts of repositories make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_sections(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    wrong = []
    for link in links:
        path, _, section = link.partition("#")
        target = page.parent / path if path else page
        if "://" not in link and not (target.exists() and (not section or section in anchors(target))):
            wrong.append(link)
    assert wrong == []


def test_every_page_of_the_documentation_is_linked_from_the_readme_or_another_page() -> None:
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    names = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert {name for name in names if not any(f"{name})" in text for text in texts.values())} == set()


def test_the_contents_list_every_page() -> None:
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[[^]]+\]\((\w+\.md)\)", text, re.MULTILINE)) == {
        page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md"
    }


@pytest.mark.slow
def test_the_list_of_components_is_up_to_date() -> None:
    path = ROOT / "docs" / "components.py"
    script = runpy.run_path(str(path))
    assert script["write"](script["PAGE"], script["page"](), ["--check"], script=path) == 0


def test_the_page_of_checks_is_up_to_date() -> None:
    path = ROOT / "docs" / "checks.py"
    script = runpy.run_path(str(path))
    assert script["write"](script["PAGE"], script["page"](), ["--check"], script=path) == 0


def test_the_list_of_components_names_every_file() -> None:
    text = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        kind = section.split("\n")[0]
        files = sorted(path.stem[1:] for path in (ROOT / "autokd" / kind).glob("_[a-z]*.py"))
        assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == files
    assert re.findall(r"^## (\w+)$", text, re.MULTILINE) == list(catalog.KINDS)


def test_the_layers_are_those_that_the_linter_holds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = project["tool"]["importlinter"]["contracts"][0]
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("<!-- layers -->")[2].partition("<!-- end of layers -->")[0]
    rows = [set(re.findall(r"`(\w+)`", line.split("|")[1])) for line in table.splitlines() if line.startswith("| `")]
    assert rows == [set(layer.split(" | ")) for layer in contract["layers"]]


def test_the_stages_are_those_of_the_search() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.partition("<!-- stages -->")[2].partition("<!-- end of stages -->")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| `([\w/]+\.py)` \|$", table, re.MULTILINE)
    files = [type(stage).__module__.removeprefix("autokd.").replace(".", "/") + ".py" for stage in STAGES]
    assert rows == list(zip([stage.name for stage in STAGES], files, strict=True))


def test_the_levels_are_those_of_the_plan() -> None:
    text = (ROOT / "docs" / "time.md").read_text(encoding="utf-8")
    table = text.partition("<!-- levels -->")[2].partition("<!-- end of levels -->")[0]
    rows = re.findall(r"^\| (\d+) \| (.*?) \|", table, re.MULTILINE)
    assert rows == [(f"{level.least:g}", level.does) for level in reversed(LEVELS)]


def test_the_budget_listed_is_that_of_a_space() -> None:
    text = (ROOT / "docs" / "spaces.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \|", text.partition("## The budget")[2], re.MULTILINE)
    listed = {
        name: value
        for names, values in rows
        for name, value in zip(re.findall(r"`(\w+)`", names), values.split(", "), strict=True)
    }
    assert listed == {item.name: str(item.default).lower() for item in dataclasses.fields(Budget)}


def test_the_list_of_recipes_is_up_to_date() -> None:
    page, text = runpy.run_path(str(ROOT / "docs" / "recipes.py"))["page"], (ROOT / "docs" / "recipes.md").read_text()
    assert page(text) == text
    assert re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE) == [rule.name for rule in (*RULES, *WITH_UNLABELLED)]


def test_the_modules_and_folders_named_in_the_pages_exist() -> None:
    """A name without its folder is that of a file in a folder that the same row or paragraph names."""
    text, wrong = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), []
    homes = [ROOT / "autokd", ROOT / "tests", ROOT]
    for block in re.split(r"\n\n|\n(?=\|)", text):
        rooms = re.findall(r"`((?:[a-z_]+/)+)`", block)
        near = [*homes, *(home / room for room in rooms for home in homes)]
        named = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py)`", block)
        wrong += [name for name in named if not any((home / name).is_file() for home in near)]
        wrong += [room for room in rooms if not any((home / room).is_dir() for home in homes)]
    assert len(re.findall(r"`[a-z_/]+\.py`", text)) >= 40
    assert wrong == []


def test_the_format_numbers_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    numbers = [int(number) for number in re.findall(r"^\| .* \| (\d+) \| ", text.split("\n## ")[0], re.MULTILINE)]
    assert numbers == [
        settings.FORMAT,
        settings.FORMAT,
        spec.FORMAT,
        pipeline_file.FORMAT,
        bundle.FORMAT,
        input_values.PREPROCESS_FORMAT,
        checkpoint.CHECKPOINT_FORMAT,
        document.FORMAT,
        samples.FORMAT,
        default_teacher.FORMAT,
        base.FORMAT,
    ]
    assert bundle.FORMAT == BUNDLE_FORMAT


def test_the_events_of_the_records_are_those_of_the_code() -> None:
    text = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    table = text.partition("| event | keys |")[2].partition("\n\n")[0]
    understood = {name[4:] for name in vars(records.Records) if name.startswith("_on_")}
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == understood


@pytest.mark.parametrize("page", ["docs/spaces.md", "docs/teachers.md"])
def test_the_spaces_shown_have_no_mistakes(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a fragment leaves out of a space is that of the page's whole example."""
    whole, *_ = blocks((ROOT / "docs" / "spaces.md").read_text(encoding="utf-8"), "yaml")
    shown = blocks((ROOT / page).read_text(encoding="utf-8"), "yaml")
    assert shown
    monkeypatch.chdir(tmp_path)
    save_file({"w": torch.zeros(1)}, "student.safetensors")  # what one of them begins with
    rest = {name: part for name, part in yaml.safe_load(whole).items() if name != "warm_starts"}
    for text in shown:
        space = text if text == whole else yaml.safe_dump(rest | yaml.safe_load(text))
        assert len(parse(space, page).ranges()) > 5


@pytest.fixture
def own_loss(tmp_path: Path) -> Iterator[Path]:
    """The loss of the page on plug-ins, as the file that a reader would make of it."""
    text = blocks(PLUGINS, "python")[0]
    path = tmp_path / "logit_mse.py"
    path.write_text(text, encoding="utf-8")
    before = set(sys.modules)
    yield path
    for name in set(sys.modules) - before:
        if name.startswith("autokd_plugin_"):
            del sys.modules[name]


def test_the_component_shown_is_found_and_computes_what_it_says(own_loss: Path) -> None:
    catalog.load_plugins(own_loss)
    assert "logit_mse" in catalog.names("losses")
    loss = spec.make("losses", "logit_mse", {"weight": 2.0})
    assert loss.weight == 2.0
    task = Task(dataset="t", modality="table", input_shape=(3,), classes=("a", "b"), train_size=4)
    term = loss.build(BuildContext(task=task))
    student = torch.tensor([[1.0, -1.0], [0.0, 4.0]], requires_grad=True)
    teacher = torch.tensor([[0.0, 1.0], [0.0, 4.0]])
    step = Step(Output(student), Output(teacher), torch.eye(2), torch.ones(2), torch.arange(2), 0.0)
    value = term(step)
    assert value.tolist() == [2.5, 0.0]  # (1² + 2²) / 2
    (gradient,) = torch.autograd.grad(value.sum(), student)
    assert gradient.tolist() == [[1.0, -2.0], [0.0, 0.0]]


def test_the_component_shown_can_stand_in_a_space(own_loss: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (losses,) = re.findall(r"`(losses: \{always: .*?\}\}\})`", PLUGINS)
    space = own_loss.with_name("own.yaml")
    space.write_text(
        "student: {always: {cnn: {}}}\naugment: {always: {none: {}}}\noptimizer: {always: {sgd: {}}}\n"
        f"schedule: {{always: {{cosine: {{}}}}}}\n{losses}\n",
        encoding="utf-8",
    )
    assert run_command(["check", str(space), "--plugins", str(own_loss)]) == 0
    assert "no mistakes" in capsys.readouterr().out


def test_the_component_shown_passes_for_one_of_the_package(own_loss: Path) -> None:
    """It has no line that one in the package would not have, and declares nothing more, apart from its name."""
    tree = ast.parse(own_loss.read_text(encoding="utf-8"))
    (cls,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    (declares,) = [node for node in cls.body if isinstance(node, ast.Assign)]
    assert ast.unparse(declares.targets[0]) == "declares" and "name=" in ast.unparse(declares.value)
    catalog.load_plugins(own_loss)
    ours, theirs = catalog.load("losses", "logit_mse"), catalog.load("losses", "kd")
    assert set(vars(ours)) - set(vars(theirs)) == set()
    differing = {f.name for f in dataclasses.fields(ours.declares) if getattr(ours.declares, f.name) != f.default}
    assert differing == {"name", "teacher", "scale"}


@pytest.mark.slow
def test_the_components_shown_pass_the_suites_as_the_page_on_plugins_runs_them(own_loss: Path) -> None:
    _, component, suites = blocks(PLUGINS, "python")
    own_loss.with_name("step_decay.py").write_text(component, encoding="utf-8")
    own_loss.with_name("test_own.py").write_text(suites, encoding="utf-8")
    suite = "import sys, pytest; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', 'test_own.py', *sys.argv[1:]]))"
    ran = processes.run(suite, folder=own_loss.parent)
    assert ran.code == 0, ran.said
    assert int(re.findall(r"(\d+) passed", ran.said + " 0 passed")[0]) >= 30, ran.said
    wrong = own_loss.read_text(encoding="utf-8").replace("teacher_logits.detach()", "teacher_logits")
    own_loss.write_text(wrong, encoding="utf-8")
    own_loss.with_name("output.txt").unlink()
    ran = processes.run(suite, "-k", "LogitMSE", folder=own_loss.parent)
    assert ran.code == 1 and "FAILED test_own.py::TestLogitMSE::test_no_gradient_reaches_the_teacher" in ran.said
    assert "1 failed" in ran.said


def test_the_page_on_plugins_lists_what_each_kind_declares() -> None:
    rows = re.findall(r"^\| (\w+) \| `(\w+)` \|(.*?)\|(.*?)\|", PLUGINS, re.MULTILINE)
    listed = {
        kind: (name, set(re.findall(r"`(\w+)`", must)), set(re.findall(r"`(\w+)`", may)))
        for kind, name, must, may in rows
    }
    everywhere = {"name", "excludes", "requires", "prepared_from"}
    assert listed == {
        kind: (
            cls.__name__,
            {field.name for field in dataclasses.fields(cls) if field.default is dataclasses.MISSING},
            {field.name for field in dataclasses.fields(cls) if field.default is not dataclasses.MISSING} - everywhere,
        )
        for kind, cls in declarations.KINDS.items()
    }


@needs_benchmarks
@pytest.mark.slow
def test_the_lists_of_losses_are_up_to_date() -> None:
    assert runpy.run_path(str(ROOT / "docs" / "losses.py"))["main"](["--check"]) == 0


@needs_benchmarks
def test_a_new_loss_comes_into_the_stub_and_to_the_end_of_its_group() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "losses.py"))
    assert "from autokd.losses._new import new as new\n" in script["stub"](["kd", "new"])
    before = script["SPACE"].read_text(encoding="utf-8")
    assert script["space"](before, {"kd": 0, "sp": 2}) == before
    after = script["space"](before, {"kd": 0, "new": 1})
    assert max(map(len, after.splitlines())) <= 120
    groups, wider = (yaml.safe_load(text)["losses"]["any_of"] for text in (before, after))
    assert list(wider[1]["from"]) == [*groups[1]["from"], "new"] and wider[1]["at_most"] == groups[1]["at_most"]
    assert [list(group["from"]) for group in wider[::2]] == [list(group["from"]) for group in groups[::2]]


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = [block for block in blocks(README, "python") if "autokd.search" in block]
    quick = text.replace("trials=30", "trials=3, epochs=1, limit_train=64").replace(
        '"digits.yaml", out', '"digits.yaml", epochs=1, out'
    )
    assert quick.count("epochs=1") == 2
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(quick, "README.md", "exec"), names)
    assert len(names["frame"]) == 3
    assert isinstance(names["student"].module, torch.nn.Module)
    assert (tmp_path / "digits-student" / "metrics.json").is_file()
