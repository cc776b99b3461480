"""Reading search spaces from YAML: every mistake of a file is found, each with its path, and all are raised at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from autokd import catalog, spec
from autokd.errors import SpaceError, nearest
from autokd.files import YAML_LOADER
from autokd.metrics import METRICS
from autokd.objective import ACCURACY, COSTS, UNITS, amount, direction, late_metrics
from autokd.space.budget import Budget
from autokd.space.parts import Part
from autokd.space.pretrained import beginning, ranged_for_weights
from autokd.space.read_files import FROM_WEIGHTS, taken_absent, taken_weights, taken_words, with_files
from autokd.space.read_parts import answer_problems, read_part
from autokd.space.read_values import BAD, MISSING, Problems, convert, join, known_entries, read_count
from autokd.space.read_warm_starts import read_warm_starts
from autokd.space.space import Screen, Space

LONGEST_BRANCH = 0.5
"""Largest length of a side branch, as a share of the steps before it: the next rung is at least twice as long."""

_MAY_BE_NONE = ("noise_seeds", "select_seeds", "choose_seeds", "claim_seeds", "ablation_seeds")
LEAST = {"eta": 2, "recipes": 2, "views": 0, **dict.fromkeys(_MAY_BE_NONE, 0)}
"""Smallest numbers of the budget that are not 1."""
SWITCHES = ("grid", "fresh_claim")
"""Fields of the budget that are true or false."""
GONE = "confirm_epochs"
"""A field of the budget that earlier versions had: confirm's runs are as long as explore's longest."""

_PIPELINE_FILE = {"format", "pipeline"}
"""Keys by which a file is told that `autokd export` wrote."""
_SECTIONS = ("description", "objective", "constraints", "budget", "screen", "warm_starts")
_SHIPPED = (Path(__file__).parents[1] / "search_spaces", Path(__file__).parents[2] / "search_spaces")


def shipped() -> dict[str, Path]:
    """Return the spaces that come with autokd, by name."""
    return {path.stem: path for folder in _SHIPPED for path in sorted(folder.glob("*.yaml"))}


def find(name_or_path: str | Path) -> tuple[str, str]:
    """Return a space's text and its source, given a file or the name of a shipped space.

    Raises:
      SpaceError: there is no such file or space, or it is not text.
    """
    source = str(name_or_path)
    path = Path(source) if Path(source).is_file() else shipped().get(source)
    if path is None:
        raise SpaceError([f"no such file or shipped space; {nearest(source, shipped())}"], source)
    try:
        return path.read_text(encoding="utf-8"), source
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError([f"cannot be read as text ({error})"], source) from error


def folder_of(source: str, folder: Path | None = None) -> Path:
    """Return a folder if it is given, else that of a space's file, or the present one where it is no file."""
    if folder is not None:
        return folder
    return Path(source).absolute().parent if Path(source).is_file() else Path.cwd()


def parse(
    text: str, source: str = "search space", slots: spec.Slots | None = None, *, folder: Path | None = None
) -> Space:
    """Read a search space.

    Args:
      text: YAML.
      source: its file or name, for messages.
      slots: the slots of a pipeline; None: those of `PipelineSpec`.
      folder: what the paths in it are relative to; None: the source's, or the present one where that is no file.
    Raises:
      SpaceError: the file has mistakes; all of them are in `problems`, each with its path.
    """
    table = spec.slots() if slots is None else slots
    tree, problems = _load(text, source, table)
    top = known_entries(tree, "", (*_SECTIONS, *table), problems)
    before = len(problems)
    where = folder_of(source, folder)
    top, absent = taken_absent(top, table)
    top, weights = taken_weights(with_files(top, table, where, problems), spec.network_slot(table), where, problems)
    top, gentle = taken_words(top, table)
    parts = {name: read_part(name, slot, top.get(name, MISSING), problems) for name, slot in table.items()}
    problems += answer_problems({name: part for name, part in parts.items() if part is not None}, table, top)
    begun = _parts(gentle, table, problems)
    flawed = {problem.partition(":")[0].partition(".")[0] for problem in problems[before:]}
    space = Space(
        source=source,
        text=text,
        description=_text("description", top.get("description", ""), problems),
        parts={name: part for name, part in parts.items() if part is not None and name not in flawed},
        objective=_objective(top.get("objective"), problems),
        constraints=_constraints(top.get("constraints"), problems),
        budget=_budget(top.get("budget"), problems),
        screen=_screen(top.get("screen"), problems),
        slots=table,
        dropped=(*_without_effect(top.get("budget")), *absent),
        from_weights=begun,
    )
    space = ranged_for_weights(space)
    space = dataclasses.replace(space, warm=read_warm_starts(top.get("warm_starts"), space, flawed, problems))
    if problems:
        raise SpaceError(problems, source)
    return beginning(space, weights) if weights else space


def _parts(sections: Mapping[str, Any], table: spec.Slots, problems: Problems) -> dict[str, Part]:
    """What the sections of a file say of students that begin with weights."""
    found: Problems = []
    parts = {name: read_part(name, table[name], body, found) for name, body in sections.items()}
    problems += [problem.replace(".one_of", f".{FROM_WEIGHTS}", 1) for problem in found]
    return {name: part for name, part in parts.items() if part is not None}


def _load(text: str, source: str, table: spec.Slots) -> tuple[Any, Problems]:
    """The file's tree, and the keys that stand twice (of which YAML would silently keep the last)."""
    try:
        node = yaml.compose(text, Loader=YAML_LOADER)
        tree = yaml.load(text, Loader=YAML_LOADER)
    except yaml.YAMLError as error:
        raise SpaceError([f"not YAML: {' '.join(str(error).split())}"], source) from error
    if not isinstance(tree, dict):
        raise SpaceError([f"expected a mapping with {', '.join(table)}, got {tree!r}"], source)
    if set(tree) >= _PIPELINE_FILE:
        told = "this is a pipeline file, which holds one pipeline and no space to search; train it with autokd train"
        raise SpaceError([told], source)
    return tree, [f"{path}: this key stands twice" for path in _repeated(node, "", set())]


def _repeated(node: yaml.Node | None, path: str, visited: set[int]) -> Iterator[str]:
    if node is None or id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield join(path, name)
            seen.add(name)
            yield from _repeated(value, join(path, name), visited)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, join(path, str(index)), visited)


def _text(path: str, value: Any, problems: Problems) -> str:
    if isinstance(value, str):
        return value
    problems.append(f"{path}: expected text, got {value!r}")
    return ""


def _objective(value: Any, problems: Problems) -> dict[str, str]:
    """The objectives in the order of the file; accuracy where it names none."""
    wanted = {name: direction(name) for name in (*METRICS, *COSTS)}
    found = known_entries(value, "objective", wanted, problems)
    for name, given in found.items():
        if given != wanted[name]:
            problems.append(f"objective.{name}: expected {wanted[name]}, got {given!r}")
    if found and next(iter(found)) not in METRICS:
        problems.append(f"objective: the first one must be a metric ({', '.join(METRICS)}); costs may follow it")
        return ACCURACY.as_plain()
    problems.extend(f"objective.{name}: it must be the first objective" for name in late_metrics(list(found)))
    return {name: wanted[name] for name in found} or ACCURACY.as_plain()


def _constraints(value: Any, problems: Problems) -> dict[str, float]:
    found = known_entries(value, "constraints", COSTS, problems)
    limits = {key: _limit(key, item, problems) for key, item in found.items() if item is not None}
    for key, limit in limits.items():
        if limit is not BAD and limit <= 0:
            problems.append(f"constraints.{key}: expected a number above 0, got {limit!r}")
    return {key: limit for key, limit in limits.items() if limit is not BAD}


def _limit(cost: str, value: Any, problems: Problems) -> Any:
    """A number, or a text with a unit: "5ms", "200KB"."""
    if isinstance(value, str) and cost in UNITS:
        try:
            return amount(cost, value)
        except ValueError as error:
            problems.append(f"constraints.{cost}: {error}")
            return BAD
    return convert(f"constraints.{cost}", value, float, problems)


def _budget(value: Any, problems: Problems) -> Budget:
    names = [field.name for field in dataclasses.fields(Budget)]
    found = known_entries(value, "budget", (*names, GONE), problems)
    branch = _branch(found.pop("branch", Budget.branch), problems)
    switches = {key: _switch(f"budget.{key}", found.pop(key), problems) for key in SWITCHES if key in found}
    counts: dict[str, Any] = {
        key: read_count(f"budget.{key}", item, LEAST.get(key, 1), problems)
        for key, item in found.items()
        if key != GONE
    }
    budget = dataclasses.replace(Budget(), **counts, **switches, branch=branch)
    if budget.claim_seeds == 1:
        problems.append("budget.claim_seeds: one seed has no spread; expected 0 (no claim) or 2 and more")
    shortest = budget.eta ** (budget.rungs - 1)
    if budget.epochs < shortest:
        problems.append(
            f"budget.epochs: {budget.epochs} epochs leave the first of {budget.rungs} rungs less than one epoch; "
            f"eta {budget.eta} needs at least {shortest}"
        )
    return budget


def _switch(path: str, value: Any, problems: Problems) -> Any:
    if not isinstance(value, bool):
        problems.append(f"{path}: expected true or false, got {value!r}")
    return value


def _without_effect(budget: Any) -> tuple[str, ...]:
    """One line for what the file says and this version passes over."""
    if not isinstance(budget, dict) or GONE not in budget:
        return ()
    return (f"budget.{GONE}: without effect, confirm's runs are as long as the longest trials",)


def _branch(value: Any, problems: Problems) -> float:
    share = convert("budget.branch", value, float, problems)
    if share is BAD:
        return Budget.branch
    if not 0 <= share <= LONGEST_BRANCH:
        problems.append(f"budget.branch: expected 0 (none) to {LONGEST_BRANCH} of the steps before, got {share!r}")
    return float(share)


def _screen(value: Any, problems: Problems) -> Screen:
    found = known_entries(value, "screen", Screen._fields, problems)
    screen = Screen()
    if "enqueue" in found:
        screen = screen._replace(enqueue=read_count("screen.enqueue", found["enqueue"], 0, problems))
    if "proxies" not in found:
        return screen
    names = found["proxies"]
    if not isinstance(names, list) or not names:
        problems.append(f"screen.proxies: expected a list of names, got {names!r}")
        return screen
    there = catalog.names("proxies")
    problems += [
        f"screen.proxies.{index}: there is no proxy called {name!r}; {nearest(str(name), there)}"
        for index, name in enumerate(names)
        if name not in there
    ]
    return screen._replace(proxies=tuple(str(name) for name in names))
