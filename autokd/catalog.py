"""Which components there are: the folder is the registry.

`autokd/losses/_dkd.py` is the loss called `dkd`. `names` reads file names and imports nothing; `load` imports that one
file and returns the component class in it: the one dataclass with a `build` method that the file defines.

Components also come from installed packages, through the entry-point group `autokd.<kind>`, and from a user's own
Python file (`--plugins FILE.py`). Their kind follows from what they declare, and so does their name:
`declares = Loss(name="my_loss", …)`.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from autokd import declarations
from autokd.declarations import Declaration
from autokd.errors import ComponentError, nearest
from autokd.faults import HOW, fault
from autokd.input_kind import kinds_of

KINDS = tuple(declarations.KINDS)
_PLUGIN_PREFIX = "autokd_plugin_"


def names(kind: str) -> list[str]:
    """Return the names of all components of a kind, sorted.

    Raises:
      ComponentError: there is no such kind.
    """
    check_kind(kind)
    found = set(shipped(kind))
    found.update(point.name for point in _points(kind))
    found.update(_plugins(kind))
    return sorted(found)


def load(kind: str, name: str) -> type[Any]:
    """Return the component class called `name`.

    Raises:
      ComponentError: there is no such kind or component.
    """
    check_kind(kind)
    if name in shipped(kind):
        return _shipped_component(kind, name)
    if family_of(kind, name):
        return _member(kind, name)
    plugins = _plugins(kind)
    if name in plugins:
        return plugins[name]
    for point in _points(kind):
        if point.name == name:
            return _installed(kind, point)
    raise ComponentError(f"there is no {_one(kind)} called {name!r}; {nearest(name, names(kind))}")


def knows(kind: str, name: str) -> bool:
    """Return whether there is a component called `name`; imports nothing, and asks installed packages last.

    Of a member of a family ("timm:resnet18") only the family is looked for.
    """
    return name in shipped(kind) or bool(family_of(kind, name)) or name in names(kind)


def family_of(kind: str, name: str) -> str:
    """Return the family that a name is of, as "timm" of "timm:resnet18"; "" where it is of none."""
    family, colon, _ = name.partition(":")
    return family if colon and family in shipped(kind) else ""


def name_of(component: Any) -> str:
    """Return the name of a component class or instance."""
    cls = component if isinstance(component, type) else type(component)
    declared = vars(cls).get("declares")
    name = declared.name if isinstance(declared, Declaration) else ""
    return name or cls.__module__.rpartition(".")[2].lstrip("_")


def load_plugins(*paths: str | Path) -> None:
    """Import a user's files of components, so that `names` and `load` find them.

    Raises:
      ComponentError: a file is missing, does not import, holds no component, or one whose name is taken.
    """
    for path in paths:
        _load_plugin(path)


def _load_plugin(path: str | Path) -> None:
    path = Path(path).resolve()
    if not path.is_file():
        raise ComponentError(f"--plugins {path}: no such file")
    module_name = _PLUGIN_PREFIX + path.stem
    other = getattr(sys.modules.get(module_name), "__file__", None)
    if other not in (None, str(path)):
        raise ComponentError(f"--plugins {path}: {other} has the same name and is loaded already; rename one of them")
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        _run_foreign(functools.partial(spec.loader.exec_module, module))
    except Exception as error:  # a user's file may raise anything; it becomes one clear line
        del sys.modules[module_name]
        raise ComponentError(f"--plugins {path}: {_in_one_line(error)}") from error
    wrong = _misfit(module)
    if wrong is not None:
        del sys.modules[module_name]
        raise ComponentError(f"--plugins {path}: {wrong}")


def _run_foreign(code: Callable[[], Any]) -> Any:
    """Run someone else's import; it may bring torchvision along, which fails beside some builds of torch."""
    from autokd import compat  # imports torch, which a list of names does without

    return compat.with_torchvision(code)


def plugin_files() -> list[str]:
    """Return the paths of the plug-in files imported so far."""
    return sorted(str(m.__file__) for name, m in sys.modules.items() if name.startswith(_PLUGIN_PREFIX))


@functools.cache
def _points(kind: str) -> tuple[EntryPoint, ...]:
    """The components of a kind that installed packages have; which packages there are does not change meanwhile."""
    return tuple(entry_points(group=f"autokd.{kind}"))


def _installed(kind: str, point: EntryPoint) -> type[Any]:
    """The component class of an installed package.

    Raises:
      ComponentError: it cannot be imported, or is no component of this kind and name.
    """
    where = f"the installed {kind} component {point.name!r} ({point.value})"
    try:
        cls: type[Any] = _run_foreign(point.load)
    except Exception as error:  # a package may raise anything; it becomes one clear line
        raise ComponentError(f"{where}: {_in_one_line(error)}") from error
    if wrong := fault(cls):
        raise ComponentError(f"{where}: {wrong}")
    if (cls.declares.kind, name_of(cls)) != (kind, point.name):
        raise ComponentError(
            f"{where} is called {name_of(cls)!r} among the {cls.declares.kind}; "
            f"write declares = {declarations.KINDS[kind].__name__}(name={point.name!r}, …)"
        )
    return cls


def _in_one_line(error: Exception) -> str:
    why = (str(error).splitlines() or [""])[0]
    return why if isinstance(error, ComponentError) else f"{type(error).__name__}: {why}"


def _misfit(module: ModuleType) -> str | None:
    """Why the components of a plug-in file cannot be used, or None."""
    components = _components_in(module)
    if not components:
        return f"no component in it; {HOW}"
    taken: set[tuple[str, str]] = set()
    for cls in components:
        if wrong := fault(cls):
            return wrong
        kind, name = cls.declares.kind, cls.declares.name
        if not name:
            return f"{cls.__name__} has no name; write declares = {type(cls.declares).__name__}(name='my_name', …)"
        if name in shipped(kind) or (kind, name) in taken:
            return f"another {_one(kind)} is called {name!r} already; choose another name"
        taken.add((kind, name))
    return next(filter(None, map(_strange_input, components)), None)


def _strange_input(cls: type[Any]) -> str | None:
    """Why a component can never be used, since nothing has the kind of input that it names, or None."""
    known = names("modalities")
    strange = sorted(kinds_of(cls.declares) - set(known))
    if not strange:
        return None
    return f"{cls.__name__} is for {strange[0]!r}, and there is no such kind of input; {nearest(strange[0], known)}"


@functools.cache
def shipped(kind: str) -> frozenset[str]:
    """Return the names of autokd's own components of a kind; its folders do not change while it runs."""
    return frozenset(path.stem[1:] for path in (Path(__file__).parent / kind).glob("_[a-z]*.py"))


@functools.cache
def _shipped_component(kind: str, name: str) -> type[Any]:
    return _component_of(importlib.import_module(f"autokd.{kind}._{name}"))


@functools.cache
def _member(kind: str, name: str) -> type[Any]:
    """The component class of a member of a family.

    Raises:
      ComponentError: its family has none of this name, or is no family.
    """
    family, _, member = name.partition(":")
    cls = _shipped_component(kind, family)
    if not getattr(cls.declares, "family", False):
        raise ComponentError(f"there is no {_one(kind)} called {name!r}; {nearest(name, names(kind))}")
    found: type[Any] = cls.named(member)
    return found


def check_kind(kind: str) -> None:
    """Raise ComponentError unless `kind` is one of `KINDS`."""
    if kind not in KINDS:
        raise ComponentError(f"there is no kind {kind!r}; {nearest(kind, KINDS)}")


def _one(kind: str) -> str:
    """What one component of a kind is called: "loss" of "losses"."""
    return declarations.KINDS[kind].__name__.lower()


def _plugins(kind: str) -> dict[str, type[Any]]:
    """Components of the plug-in files imported so far: Python's own table of modules is the only state."""
    modules = [module for name, module in sys.modules.copy().items() if name.startswith(_PLUGIN_PREFIX)]
    classes = [cls for module in modules for cls in _components_in(module)]
    return {cls.declares.name: cls for cls in classes if cls.declares.kind == kind}


def _components_in(module: ModuleType) -> list[type[Any]]:
    """The component classes that a module defines; a class with a leading underscore is a base that they share."""
    return [
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and isinstance(value, type)
        and value.__module__ == module.__name__
        and dataclasses.is_dataclass(value)
        and callable(getattr(value, "build", None))
    ]


def _component_of(module: ModuleType) -> type[Any]:
    components = _components_in(module)
    if len(components) != 1:
        raise ComponentError(f"{module.__name__} must define exactly one component class, found {len(components)}")
    return components[0]
