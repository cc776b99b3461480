"""Reading search spaces from YAML: every mistake of a file is found, each with its path, and all are raised at once."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from autokd import catalog, spec
from autokd.errors import ComponentError, SpaceError, nearest
from autokd.ranges import Choice, Integer, Range, Real
from autokd.space.parts import Candidate, Group, Number, OneOf, Part, Several, clash, lacks, traits_of
from autokd.space.space import Screen, Space
from autokd.space.values import edges, narrowed, nearest_value
from autokd.types import Budget

METRICS = {"accuracy": "maximize"}
COSTS = ("params", "macs")
AT_MOST = 2
"""Bound of an `any_of` group that names none."""

_SECTIONS = ("description", "objective", "constraints", "budget", "screen", "warm_starts")
_RANGE_WORDS: dict[str, tuple[type[Any], tuple[str, ...]]] = {"float": (float, ("log",)), "int": (int, ("step", "log"))}
_RANGE_FORMS = "{float: [low, high]}, {int: [low, high]} or {choice: [...]}"
_SHIPPED = (Path(__file__).parents[1] / "search_spaces", Path(__file__).parents[2] / "search_spaces")
_MISSING = object()
_BAD = object()
"""Stands for a value with a mistake, which has been noted."""

Problems = list[str]


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


def parse(text: str, source: str = "search space") -> Space:
    """Read a search space.

    Args:
      text: YAML.
      source: its file or name, for messages.
    Raises:
      SpaceError: the file has mistakes; all of them are in `problems`, each with its path.
    """
    tree, problems = _load(text, source)
    table = spec.slots()
    top = _known(tree, "", (*_SECTIONS, *table), problems)
    before = len(problems)
    parts = {name: _part(name, slot, top.get(name, _MISSING), problems) for name, slot in table.items()}
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
    )
    space = dataclasses.replace(space, warm=_warm_starts(top.get("warm_starts"), space, flawed, problems))
    if problems:
        raise SpaceError(problems, source)
    return space


def _load(text: str, source: str) -> tuple[Any, Problems]:
    """The file's tree, and the keys that stand twice (of which YAML would silently keep the last)."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SpaceError([f"not YAML: {' '.join(str(error).split())}"], source) from error
    if not isinstance(tree, dict):
        raise SpaceError([f"expected a mapping with {', '.join(spec.slots())}, got {tree!r}"], source)
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
                yield _join(path, name)
            seen.add(name)
            yield from _repeated(value, _join(path, name), visited)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, _join(path, str(index)), visited)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _known(value: Any, path: str, allowed: Collection[str], problems: Problems) -> dict[str, Any]:
    """The entries of a mapping that are allowed; notes all others."""
    found = _mapping(value, path, problems)
    for key in found:
        if key not in allowed:
            problems.append(f"{_join(path, key)}: there is no such key; {nearest(key, allowed)}")
    return {key: item for key, item in found.items() if key in allowed}


def _mapping(value: Any, path: str, problems: Problems) -> dict[str, Any]:
    """A mapping with names as keys; nothing at all stands for an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.append(f"{path}: expected a mapping, got {value!r}")
        return {}
    return {str(key): item for key, item in value.items()}


def _text(path: str, value: Any, problems: Problems) -> str:
    if isinstance(value, str):
        return value
    problems.append(f"{path}: expected text, got {value!r}")
    return ""


def _objective(value: Any, problems: Problems) -> dict[str, str]:
    found = _known(value, "objective", METRICS, problems)
    for metric, direction in found.items():
        if direction != METRICS[metric]:
            problems.append(f"objective.{metric}: expected {METRICS[metric]}, got {direction!r}")
    return dict(METRICS)


def _constraints(value: Any, problems: Problems) -> dict[str, float]:
    found = _known(value, "constraints", COSTS, problems)
    limits = {
        key: _convert(f"constraints.{key}", item, float, problems) for key, item in found.items() if item is not None
    }
    for key, limit in limits.items():
        if limit is not _BAD and limit <= 0:
            problems.append(f"constraints.{key}: expected a number above 0, got {limit!r}")
    return {key: limit for key, limit in limits.items() if limit is not _BAD}


def _budget(value: Any, problems: Problems) -> Budget:
    names = [field.name for field in dataclasses.fields(Budget)]
    found = _known(value, "budget", names, problems)
    counts = {key: _count(f"budget.{key}", item, 2 if key == "eta" else 1, problems) for key, item in found.items()}
    budget = dataclasses.replace(Budget(), **counts)
    shortest = budget.eta ** (budget.rungs - 1)
    if budget.epochs < shortest:
        problems.append(
            f"budget.epochs: {budget.epochs} epochs leave the first of {budget.rungs} rungs less than one epoch; "
            f"eta {budget.eta} needs at least {shortest}"
        )
    return budget


def _count(path: str, value: Any, least: int, problems: Problems) -> int:
    number = _convert(path, value, int, problems)
    if number is not _BAD and number < least:
        problems.append(f"{path}: expected at least {least}, got {number}")
    return least if number is _BAD else max(int(number), least)


def _screen(value: Any, problems: Problems) -> Screen:
    found = _known(value, "screen", Screen._fields, problems)
    screen = Screen()
    if "enqueue" in found:
        screen = screen._replace(enqueue=_count("screen.enqueue", found["enqueue"], 0, problems))
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


def _part(name: str, slot: spec.Slot | Range, body: Any, problems: Problems) -> Part | None:
    if not isinstance(slot, spec.Slot):
        return _number(name, slot, body, problems)
    if body is _MISSING:
        example = f"{name}: {{{'always' if slot.many else 'one_of'}: {{{catalog.names(slot.kind)[0]}: {{}}}}}}"
        problems.append(f"{name}: missing; for example {example}")
        return None
    return _several(name, slot.kind, body, problems) if slot.many else _one_of(name, slot.kind, body, problems)


def _number(name: str, own: Range, body: Any, problems: Problems) -> Number | None:
    """A plain hyper-parameter of a pipeline; left out, it has the pipeline's own range."""
    default = next(field.default for field in dataclasses.fields(spec.PipelineSpec) if field.name == name)
    value = _field(name, body, spec.FieldInfo(int, default, own, ""), problems)
    if value is _BAD:
        return None
    span = value if isinstance(value, Range) else None
    lowest = min(int(end) for end in edges(span)) if span else int(value)
    if lowest < 1:
        problems.append(f"{name}: expected at least 1, got {lowest}")
    return Number(slot=name, span=span, value=int(nearest_value(span, default) if span else value))


def _one_of(name: str, kind: str, body: Any, problems: Problems) -> OneOf | None:
    before = len(problems)
    words = _known(body, name, ("always", "one_of"), problems)
    if len(words) != 1:
        if len(problems) == before:
            problems.append(f"{name}: expected either 'one_of' or 'always', got {' and '.join(words) or 'neither'}")
        return None
    word, options = next(iter(words.items()))
    candidates = _candidates(f"{name}.{word}", kind, options, problems)
    if word == "always" and len(candidates) > 1:
        problems.append(f"{name}.always: takes one component, got {len(candidates)}; use one_of to choose")
    return OneOf(slot=name, candidates=candidates) if candidates else None


def _several(name: str, kind: str, body: Any, problems: Problems) -> Several | None:
    words = _known(body, name, ("always", "any_of"), problems)
    if "always" not in words:
        problems.append(f"{name}.always: missing; there must be at least one that always stands in the pipeline")
    always = _candidates(f"{name}.always", kind, words["always"], problems) if "always" in words else ()
    any_of = words.get("any_of", [])
    bodies = {f"{name}.any_of": any_of}
    if isinstance(any_of, list):
        bodies = {f"{name}.any_of.{index}": item for index, item in enumerate(any_of)}
    groups = tuple(_group(place, kind, item, problems) for place, item in bodies.items())
    problems += _conflicts(always, groups)
    return Several(slot=name, always=always, groups=groups)


def _group(place: str, kind: str, body: Any, problems: Problems) -> Group:
    words = _known(body, place, ("at_most", "from"), problems)
    at_most = _count(f"{place}.at_most", words.get("at_most", AT_MOST), 0, problems)
    candidates = _candidates(f"{place}.from", kind, words.get("from"), problems)
    return Group(at_most=min(at_most, len(candidates)), candidates=candidates)


def _conflicts(always: tuple[Candidate, ...], groups: tuple[Group, ...]) -> Problems:
    """Names that stand twice, and components that are always there and must not be."""
    seen: dict[str, str] = {}
    found = []
    for candidate in (*always, *(candidate for group in groups for candidate in group.candidates)):
        if candidate.name in seen:
            found.append(f"{candidate.place}: this name already stands at {seen[candidate.name]}")
        seen.setdefault(candidate.name, candidate.place)
    for index, candidate in enumerate(always):
        against = [other.use for other in always[:index] if clash(candidate, other)]
        found += [f"{candidate.place}: must not stand beside {use}, which is always there" for use in against]
        found += [f"{candidate.place}: needs {name} always beside it" for name in lacks(candidate, always)]
    return found


def _candidates(place: str, kind: str, body: Any, problems: Problems) -> tuple[Candidate, ...]:
    entries = _mapping(body, place, problems)
    if not entries and (body is None or body == {}):
        names = catalog.names(kind)
        problems.append(f"{place}: expected at least one of {', '.join(names)}, got none")
    found = [_candidate(f"{place}.{name}", kind, name, item, problems) for name, item in entries.items()]
    return tuple(candidate for candidate in found if candidate is not None)


def _candidate(place: str, kind: str, name: str, body: Any, problems: Problems) -> Candidate | None:
    before = len(problems)
    given = _mapping(body, place, problems)
    # Only where a pipeline holds several components of a kind do their instances have names of their own.
    named = any(isinstance(slot, spec.Slot) and slot.kind == kind and slot.many for slot in spec.slots().values())
    use = given.pop("use", name) if named else name
    if named and not name.isidentifier():
        problems.append(f"{place}: an instance name is made of letters, digits and underscores, got {name!r}")
    try:
        cls = catalog.load(kind, str(use))
    except ComponentError as error:
        problems.append(f"{place}: {error}")
        return None
    infos = spec.fields_of(cls)
    problems += [f"{place}.{key}: {use} has no such field; {nearest(key, infos)}" for key in given if key not in infos]
    values = {
        field: _field(f"{place}.{field}", given.get(field, _MISSING), info, problems) for field, info in infos.items()
    }
    if len(problems) > before:
        return None
    ranges = {field: value for field, value in values.items() if isinstance(value, Range)}
    candidate = Candidate(
        name=name,
        kind=kind,
        use=str(use),
        place=place,
        ranges=ranges,
        fixed={field: value for field, value in values.items() if field not in ranges},
        defaults={field: nearest_value(span, infos[field].default) for field, span in ranges.items()},
        traits=traits_of(kind, cls),
    )
    problems += _unbuildable(candidate, set(given))
    return candidate if len(problems) == before else None


def _unbuildable(candidate: Candidate, given: Collection[str]) -> Problems:
    """What the component itself refuses of the values and of the ends of the ranges that the file gives it."""
    base = {key: value for key, value in candidate.default().items() if key != "use"}
    if error := _refusal(candidate, base):
        return [f"{candidate.place}: {error}"]
    ends = [(field, end) for field, span in candidate.ranges.items() if field in given for end in edges(span)]
    refusals = [(field, _refusal(candidate, {**base, field: end})) for field, end in ends]
    return [f"{candidate.place}.{field}: {error}" for field, error in refusals if error]


def _refusal(candidate: Candidate, values: Mapping[str, Any]) -> str | None:
    try:
        spec.make(candidate.kind, candidate.use, values)
    except ComponentError as error:
        return str(error)
    return None


def _field(path: str, value: Any, info: spec.FieldInfo, problems: Problems) -> Any:
    """A field's range, or its fixed value as plain data; `_BAD` where there is a mistake."""
    if value is _MISSING and info.range is None:
        if info.default is not dataclasses.MISSING:
            return _plain(info.default)
        problems.append(f"{path}: needs a value or a range")
        return _BAD
    if isinstance(value, dict):
        span = _range(path, value, info.type, problems)
    elif value is _MISSING:
        span = info.range
    else:
        return _convert(path, value, info.type, problems)
    if span is None:
        return _BAD
    span = narrowed(span)
    return edges(span)[0] if len(edges(span)) == 1 else span


def _range(path: str, body: dict[Any, Any], declared: Any, problems: Problems) -> Range | None:
    words = [word for word in body if word in (*_RANGE_WORDS, "choice")]
    scalar = _scalar_of(declared)
    if len(words) != 1 or scalar is None:
        expected = f"expected one of {_RANGE_FORMS}" if scalar else "this field takes a fixed value only"
        problems.append(f"{path}: {expected}, got {body!r}")
        return None
    if words[0] == "choice":
        return _choice(path, _known(body, path, ("choice",), problems)["choice"], scalar, problems)
    wanted, options = _RANGE_WORDS[words[0]]
    if scalar is not wanted:
        other = next((word for word, (type_, _) in _RANGE_WORDS.items() if type_ is scalar), "choice")
        problems.append(f"{path}: is {scalar.__name__}, which {words[0]!r} does not range over; use {other!r}")
        return None
    return _span(path, words[0], _known(body, path, (words[0], *options), problems), problems)


def _span(path: str, word: str, body: dict[str, Any], problems: Problems) -> Range | None:
    ends = body[word]
    if not isinstance(ends, list) or len(ends) != 2:
        problems.append(f"{path}.{word}: expected [low, high], got {ends!r}")
        return None
    scalar = _RANGE_WORDS[word][0]
    low, high = (_convert(f"{path}.{word}", end, scalar, problems) for end in ends)
    log = _convert(f"{path}.log", body.get("log", False), bool, problems)
    step = _convert(f"{path}.step", body.get("step", 1), int, problems)
    if _BAD in (low, high, log, step):
        return None
    try:
        return Real(low, high, log) if word == "float" else Integer(low, high, step, log)
    except ValueError as error:
        problems.append(f"{path}: {error}")
        return None


def _choice(path: str, options: Any, scalar: type[Any], problems: Problems) -> Range | None:
    if not isinstance(options, list) or not options:
        problems.append(f"{path}.choice: expected a list of values, got {options!r}")
        return None
    values = [_convert(f"{path}.choice.{index}", option, scalar, problems) for index, option in enumerate(options)]
    if _BAD in values:
        return None
    if len(set(values)) < len(values):
        problems.append(f"{path}.choice: a value stands twice in {options!r}")
        return None
    return Choice(*values)


def _scalar_of(declared: Any) -> type[Any] | None:
    """The type of a range's values for a field declared so, or None where it cannot have one."""
    inner = [argument for argument in typing.get_args(declared) if argument is not type(None)]
    found = inner[0] if type(None) in typing.get_args(declared) and len(inner) == 1 else declared
    return found if found in (bool, int, float, str) else None


def _convert(path: str, value: Any, declared: Any, problems: Problems) -> Any:
    """A value as plain data of the declared type, or `_BAD`."""
    try:
        converted = spec.convert(value, declared)
    except (ValueError, OverflowError) as error:
        problems.append(f"{path}: {error}")
        return _BAD
    numbers = converted if isinstance(converted, tuple) else (converted,)
    if any(isinstance(number, float) and not math.isfinite(number) for number in numbers):
        problems.append(f"{path}: expected a finite number, got {value!r}")
        return _BAD
    return _plain(converted)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _warm_starts(body: Any, space: Space, flawed: Collection[str], problems: Problems) -> tuple[dict[str, Any], ...]:
    """The partial pipelines of a file, checked against those parts of the space that have no mistakes."""
    if body is not None and not isinstance(body, list):
        problems.append(f"warm_starts: expected a list of pipelines, got {body!r}")
        return ()
    found = []
    for index, item in enumerate(body or []):
        place, before = f"warm_starts.{index}", len(problems)
        given = _known(item, place, spec.slots(), problems)
        partial = {name: _partial(f"{place}.{name}", name, value, problems) for name, value in given.items()}
        if len(problems) == before:
            inside = {name: value for name, value in partial.items() if name not in flawed}
            problems += [f"{place}.{misfit}" for misfit in space.misfits(space.complete(inside))]
        found.append(partial)
    return tuple(found)


def _partial(path: str, name: str, value: Any, problems: Problems) -> Any:
    slot = spec.slots()[name]
    if not isinstance(slot, spec.Slot):
        return _convert(path, value, int, problems)
    if not slot.many:
        return _partial_component(path, slot.kind, _mapping(value, path, problems), None, problems)
    return {
        key: _partial_component(f"{path}.{key}", slot.kind, _mapping(item, f"{path}.{key}", problems), key, problems)
        for key, item in _mapping(value, path, problems).items()
    }


def _partial_component(
    path: str, kind: str, given: dict[str, Any], name: str | None, problems: Problems
) -> dict[str, Any]:
    """A component of a warm start with its values converted; whether they fit the space is seen later."""
    use = given.get("use", name)
    if use is None:
        problems.append(f"{path}.use: missing; name one of {', '.join(catalog.names(kind))}")
        return given
    try:
        infos = spec.fields_of(catalog.load(kind, str(use)))
    except ComponentError:
        return given  # an instance name, or a component that is not there: not in the space, which is said there
    known = {key: value for key, value in given.items() if key in infos}
    return {
        **given,
        **{key: _convert(f"{path}.{key}", value, infos[key].type, problems) for key, value in known.items()},
    }
