"""Pipelines as plain data, and components made from what a user writes."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Annotated, Any

import pytest

from autokd import catalog
from autokd.errors import ComponentError
from autokd.ranges import Choice, Integer, Real
from autokd.spec import (
    Number,
    PipelineSpec,
    Slot,
    component_at,
    component_from_plain,
    component_to_plain,
    components,
    convert,
    fields_of,
    fingerprint,
    from_plain,
    make,
    problems,
    replaced,
    slots,
    to_plain,
)


def pipeline(**parts: Any) -> PipelineSpec:
    chosen: dict[str, Any] = {
        "student": make("students", "cnn", {"width": 4}),
        "augment": make("augments", "none", {}),
        "losses": {"ce": make("losses", "ce", {}), "soft": make("losses", "kd", {"temperature": 2.0})},
        "optimizer": make("optimizers", "sgd", {}),
        "schedule": make("schedules", "cosine", {}),
        **parts,
    }
    return PipelineSpec(**chosen)


@dataclass(frozen=True, kw_only=True)
class Example:
    name = "example"
    width: Annotated[int, Integer(4, 16, step=4, unit="channels")] = 8  # of the first layer # not of all
    rate: Annotated[float, Real(0.1, 1.0, log=True)]  # no default
    kind: Annotated[str, Choice("a", "b")] = "a"
    sizes: tuple[int, ...] = (1, 2)  # never searched
    limit: float | None = None

    def build(self, context: object) -> None:
        """Nothing."""


def test_a_pipeline_survives_as_json() -> None:
    spec = pipeline(batch_size=128)
    plain = json.loads(json.dumps(to_plain(spec)))
    assert from_plain(plain) == spec and to_plain(from_plain(plain)) == plain
    assert plain["format"] == 1 and plain["batch_size"] == 128
    assert plain["losses"]["soft"]["use"] == "kd" and plain["losses"]["soft"]["temperature"] == 2.0
    assert plain["student"] == {"use": "cnn", "layers": 3, "width": 4}


@pytest.mark.parametrize("kind", ["students", "heads", "augments", "losses", "optimizers", "schedules", "proxies"])
def test_every_shipped_component_survives_as_plain_data(kind: str) -> None:
    for name in catalog.names(kind):
        cls = catalog.load(kind, name)
        component = cls()
        plain = json.loads(json.dumps(component_to_plain(component)))
        assert plain["use"] == name and component_from_plain(kind, plain) == component
        for field, info in fields_of(cls).items():
            assert info.comment, f"{kind} {name}.{field} has no comment on its line"
            assert info.range is None or info.range.contains(info.default), f"{kind} {name}.{field}"


def test_a_pipeline_without_a_head_has_the_plain_one() -> None:
    plain = to_plain(pipeline())
    assert plain.pop("head") == {"use": "plain"}
    assert from_plain(plain) == pipeline() and to_plain(from_plain(plain))["head"] == {"use": "plain"}


def test_slots_are_the_fields_of_a_pipeline() -> None:
    assert list(slots()) == ["student", "head", "augment", "losses", "optimizer", "schedule", "batch_size"]
    assert slots()["losses"] == Slot("losses", many=True, on_network=True)
    assert slots()["batch_size"] == Number(Choice(32, 64, 128), int, least=1, default=64)
    assert [path for path, _ in components(pipeline())] == [
        "student",
        "head",
        "augment",
        "losses.ce",
        "losses.soft",
        "optimizer",
        "schedule",
    ]


def test_a_pipeline_needs_a_teacher_where_a_loss_does() -> None:
    assert pipeline().needs_teacher
    assert not pipeline(losses={"ce": make("losses", "ce", {})}).needs_teacher


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format: pipeline format 2 is not known; this version reads format 1"),
        ({"format": None}, "format: pipeline format None is not known; this version reads format 1"),
        ({"studnt": {}}, "studnt: a pipeline has no such part; did you mean 'student'?"),
        ({"student": {"width": 4}}, "student.use: missing; name one of cnn, mlp, mobilenet, resnet"),
        ({"student": "cnn"}, "student: expected a mapping with 'use: <name>' for students, got 'cnn'"),
        ({"student": {"use": "cn"}}, "student.use: there is no students component called 'cn'; did you mean 'cnn'?"),
        ({"student": {"use": ["cnn"]}}, "student.use: there is no students component called \"['cnn']\"; did you mean"),
        ({"student": {"use": "cnn", "widht": 4}}, "student.widht: cnn has no such field; did you mean 'width'?"),
        ({"student": {"use": "cnn", "width": "wide"}}, "student.width: could not convert string to float: 'wide'"),
        ({"student": {"use": "cnn", "width": 4.5}}, "student.width: expected int, got 4.5"),
        ({"student": {"use": "cnn", "width": 10**400}}, "student.width: expected int, got 1000"),
        ({"student": {"use": "resnet", "depth": 18}}, "student: students 'resnet': depth must be 6n + 2"),
        ({"optimizer": {"use": "sgd", "learning_rate": math.nan}}, "optimizer.learning_rate: expected float, got nan"),
        ({"losses": {}}, "losses: expected a mapping of at least one name to a component, got {}"),
        ({"losses": ["ce"]}, "losses: expected a mapping of at least one name to a component, got ['ce']"),
        ({"losses": {"ce": None}}, "losses.ce: expected a mapping with 'use: <name>' for losses, got None"),
        ({"losses": {"x": {"use": "kdd"}}}, "losses.x.use: there is no losses component called 'kdd'; did you mean"),
        ({"batch_size": 64.5}, "batch_size: expected a whole number of at least 1, got 64.5"),
        ({"batch_size": "many"}, "batch_size: expected a whole number of at least 1, got 'many'"),
        ({"batch_size": 0}, "batch_size: expected a whole number of at least 1, got 0"),
        ({"batch_size": None}, "batch_size: expected a whole number of at least 1, got None"),
        ({"batch_size": 10**400}, "batch_size: expected a whole number of at least 1, got 1000"),
    ],
)
def test_what_is_no_pipeline_is_one_clear_line(change: dict[str, Any], message: str) -> None:
    plain = {**to_plain(pipeline()), **change}
    (mistake,) = problems(plain)
    with pytest.raises(ComponentError) as error:
        from_plain(plain)
    assert str(error.value) == mistake and mistake.startswith(message) and "\n" not in mistake


def test_all_mistakes_are_raised_at_once() -> None:
    plain = {**to_plain(pipeline()), "schedle": {}, "student": {"use": "cnn", "widht": 4, "layers": "x"}}
    del plain["augment"], plain["schedule"]
    mistakes = problems(plain)
    assert [line.partition(":")[0] for line in mistakes] == [
        *("schedle", "student.widht", "student.layers", "augment", "schedule"),
    ]
    with pytest.raises(ComponentError) as error:
        from_plain(plain)
    assert str(error.value).splitlines() == ["the pipeline has 5 mistakes", *(f"  {line}" for line in mistakes)]


@pytest.mark.parametrize("part", ["student", "augment", "losses", "optimizer", "schedule", "batch_size"])
def test_a_missing_part_is_named(part: str) -> None:
    plain = to_plain(pipeline())
    del plain[part]
    with pytest.raises(ComponentError, match=f"^{part}: missing$"):
        from_plain(plain)


@pytest.mark.parametrize("nothing", [None, [], "text", 3])
def test_what_is_no_mapping_is_no_pipeline(nothing: Any) -> None:
    with pytest.raises(ComponentError, match="is not known; this version reads format 1"):
        from_plain(nothing)


def test_one_field_is_replaced_and_all_else_is_the_same() -> None:
    spec = pipeline()
    faster = replaced(spec, "optimizer.learning_rate", "5e-2")
    assert faster.optimizer == make("optimizers", "sgd", {"learning_rate": 0.05})
    assert dataclasses.replace(faster, optimizer=spec.optimizer) == spec == pipeline()
    softer = replaced(spec, "losses.soft.weight", 3)
    assert repr(softer.losses["soft"].weight) == "3.0" and softer.losses["ce"] == spec.losses["ce"]
    assert list(softer.losses) == ["ce", "soft"] and spec.losses["soft"].weight != 3.0
    assert replaced(spec, "batch_size", "128") == pipeline(batch_size=128)


def test_a_component_or_all_of_a_slot_is_replaced() -> None:
    spec = pipeline()
    student, hint = make("students", "mlp", {"width": 8}), make("losses", "hint", {})
    assert replaced(spec, "student", student) == pipeline(student=student)
    assert replaced(spec, "losses.soft", hint).losses == {"ce": spec.losses["ce"], "soft": hint}
    assert replaced(spec, "losses", {"h": hint}) == pipeline(losses={"h": hint})


def test_names_with_a_dot_are_found() -> None:
    spec = pipeline(losses={"k.d": make("losses", "kd", {})})
    assert replaced(spec, "losses.k.d.temperature", 2).losses["k.d"].temperature == 2.0
    assert replaced(spec, "losses.k.d", make("losses", "ce", {})).losses == {"k.d": make("losses", "ce", {})}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("", 1, "a pipeline has no part ''; one of: augment, batch_size"),
        ("studnt", 1, "a pipeline has no part 'studnt'; did you mean 'student'?"),
        ("optimzer.learning_rate", 1, "the pipeline has no component at 'optimzer'; did you mean 'optimizer'?"),
        ("optimizer.learning_rat", 1, "optimizer.learning_rat: sgd has no such field; did you mean 'learning_rate'?"),
        ("optimizer.learning_rate", "x", "optimizer.learning_rate: could not convert string to float: 'x'"),
        ("optimizer.learning_rate", math.nan, "optimizer.learning_rate: expected float, got nan"),
        ("optimizer.learning_rate.x", 1, "the pipeline has no component at 'optimizer.learning_rate'; one of: "),
        ("losses.sof.weight", 1, "the pipeline has no component at 'losses.sof'; did you mean 'losses.soft'?"),
        ("losses.sof", make("losses", "ce", {}), "the pipeline has no component at 'losses.sof'; did you mean"),
        ("losses", {}, "losses: expected a mapping of at least one name to a component, got {}"),
        ("losses", make("losses", "ce", {}), "losses: expected a mapping of at least one name to a component, got CE"),
        ("losses.ce", make("heads", "simkd", {}), "losses.ce: expected a component of losses, got SimKDHead("),
        ("student", {"use": "cnn"}, "student: expected a component of students, got {'use': 'cnn'}"),
        ("student", None, "student: expected a component of students, got None"),
        ("student", type(make("students", "cnn", {})), "student: expected a component of students, got <class"),
        ("batch_size", 0, "batch_size: expected a whole number of at least 1, got 0"),
        ("batch_size.x", 1, "the pipeline has no component at 'batch_size'; "),
    ],
)
def test_what_cannot_be_replaced_is_one_clear_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(ComponentError) as error:
        replaced(pipeline(), path, value)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_what_a_component_refuses_of_itself_is_one_clear_line() -> None:
    with pytest.raises(ComponentError, match=r"^student.depth: depth must be 6n \+ 2.*, got 18$"):
        replaced(pipeline(student=make("students", "resnet", {})), "student.depth", 18)


def test_a_component_is_found_by_its_path() -> None:
    spec = pipeline()
    assert all(component_at(spec, path) is component for path, component in components(spec))
    with pytest.raises(ComponentError, match=r"no component at 'losses'; did you mean 'losses.ce'"):
        component_at(spec, "losses")


def test_the_fields_of_a_component() -> None:
    fields = fields_of(Example)
    assert list(fields) == ["width", "rate", "kind", "sizes", "limit"]
    assert fields["width"] == (int, 8, Integer(4, 16, step=4, unit="channels"), "of the first layer # not of all")
    assert fields["rate"] == (float, dataclasses.MISSING, Real(0.1, 1.0, log=True), "no default")
    assert fields["sizes"] == (tuple[int, ...], (1, 2), None, "never searched")
    assert fields["limit"].comment == "" and fields["limit"].range is None


@pytest.mark.parametrize(
    ("value", "to", "expected"),
    [
        ("1e-2", float, 0.01),
        (3, float, 3.0),
        ("300e3", int, 300_000),
        (8.0, int, 8),
        (True, bool, True),
        ("a", str, "a"),
        ([1, "2"], tuple[int, ...], (1, 2)),
        (None, float | None, None),
        ("0.5", float | None, 0.5),
    ],
)
def test_values_become_the_fields_type(value: Any, to: Any, expected: Any) -> None:
    found = convert(value, to)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "to"),
    [
        (True, int),
        (True, float),
        (1, bool),
        ("yes", bool),
        (1, str),
        (1.5, int),
        ("x", float),
        (math.inf, float),
        ("nan", float),
        ("1e400", int),
        (None, int),
        (3, tuple[int, ...]),
        ("12", tuple[int, ...]),
        ([1.5], tuple[int, ...]),
        ({}, float),
    ],
)
def test_other_values_are_refused(value: Any, to: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|convert"):
        convert(value, to)


def test_a_fingerprint_depends_on_content_and_not_on_order() -> None:
    """SHA-256 of '{"a":1,"b":[2.5,null]}', from a shell."""
    assert fingerprint({"b": [2.5, None], "a": 1}) == "fbb68c4db7e0dd9e"
    assert fingerprint({"a": 1, "b": [2.5]}) != fingerprint({"a": 1, "b": [2.6]})
    with pytest.raises(ValueError, match="JSON"):
        fingerprint({"a": math.nan})
