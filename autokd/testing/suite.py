"""What all suites share: which components they run over, and what holds for a component of any kind."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from autokd import catalog, spec
from autokd.faults import fault
from autokd.input_kind import kinds_of, takes
from autokd.space.candidate import traits_of
from autokd.types import Task


def task_of(shape: tuple[int, ...], *, classes: int = 5, train_size: int = 100, groups: tuple[int, ...] = ()) -> Task:
    """Return a made-up task: images for a shape (channels, height, width), a table for (columns,)."""
    return Task(
        dataset="made up",
        modality="image" if len(shape) == 3 else "table",
        input_shape=shape,
        classes=tuple(f"class {index}" for index in range(classes)),
        train_size=train_size,
        groups=groups,
    )


class Suite:
    """What holds for a component of any kind; abstract.

    A test with the argument `component` runs for each of `components`, one with `task` too for each of `tasks` whose
    kind of input the component takes.

    Args:
      kind: of the components.
      tasks: what they are tried on.
      components: the classes to test; for a subclass to say.
    """

    kind: ClassVar[str]
    tasks: ClassVar[Sequence[Task]] = ()
    components: ClassVar[Sequence[type[Any]]] = ()

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        """Give the tests their arguments `component` and `task`."""
        if not cls.components:
            raise pytest.UsageError(f"{cls.__name__} tests nothing; say which, as in: components = (MyComponent,)")
        cases = [(component, task) for component in cls.components for task in cls.tasks]
        fitting = [(component, task) for component, task in cases if _fits(component, task)]
        if "task" in metafunc.fixturenames:
            ids = [f"{catalog.name_of(component)}-{_size(task)}" for component, task in fitting]
            metafunc.parametrize(("component", "task"), fitting, ids=ids)
        elif "component" in metafunc.fixturenames:
            metafunc.parametrize("component", cls.components, ids=catalog.name_of)

    @classmethod
    def any_task(cls, component: Any) -> Task:
        """Return the first task that a component is for."""
        return next(task for task in cls.tasks if _fits(component, task))

    def test_is_a_component_of_its_kind(self, component: Any) -> None:
        assert fault(component) is None
        assert component.declares.kind == self.kind
        assert component.__dataclass_params__.frozen, "a component is a value: @dataclass(frozen=True, kw_only=True)"
        assert getattr(component.declares, "modalities", {"itself"}), "it is for no kind of input"
        assert kinds_of(component.declares) <= set(catalog.names("modalities"))

    def test_says_what_it_is(self, component: Any) -> None:
        assert component.__doc__ and not component.__doc__.startswith(f"{component.__name__}(")

    def test_fields_have_a_default_inside_their_range_and_a_comment(self, component: Any) -> None:
        for field, info in spec.fields_of(component).items():
            assert info.range is None or info.range.contains(info.default), field
            assert info.comment, field

    def test_survives_as_plain_data(self, component: Any) -> None:
        plain = spec.component_to_plain(component())
        assert plain.pop("use") == catalog.name_of(component)
        fields = spec.fields_of(component)
        assert component(**{key: spec.convert(value, fields[key].type) for key, value in plain.items()}) == component()

    def test_what_it_excludes_and_requires_is_there(self, component: Any) -> None:
        slots = {name: slot.kind for name, slot in spec.slots().items() if isinstance(slot, spec.Slot)}
        own = next((name for name, kind in slots.items() if kind == self.kind), "")
        traits = traits_of(own, component.declares)
        for other in traits.excludes | traits.requires:
            slot, _, name = other.partition(".")
            tested = [catalog.name_of(each) for each in self.components if slots[slot] == self.kind]
            assert name in [*catalog.names(slots[slot]), *tested], other
            assert other != f"{own}.{catalog.name_of(component)}"


def values_of(component: type[Any], **wanted: Any) -> Any:
    """Return a component with these values, as far as it has the fields."""
    names = {field.name for field in dataclasses.fields(component)}
    return component(**{key: value for key, value in wanted.items() if key in names})


def _fits(component: Any, task: Task) -> bool:
    return takes(getattr(component.declares, "modalities", frozenset({catalog.name_of(component)})), task.modality)


def _size(task: Task) -> str:
    return "+".join(map(str, task.groups)) or "x".join(map(str, task.input_shape))
