"""Pipelines as plain data."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from autokd.errors import ComponentError
from autokd.spec import converted, fingerprint, from_plain, make, problems, slots, to_plain
from tests.spec.helpers import Wider, pipeline, wider


def test_a_pipeline_survives_as_json() -> None:
    spec = pipeline(batch_size=128)
    plain = json.loads(json.dumps(to_plain(spec)))
    assert from_plain(plain) == spec and to_plain(from_plain(plain)) == plain
    assert plain["format"] == 1 and plain["batch_size"] == 128
    assert plain["losses"]["soft"]["use"] == "kd" and plain["losses"]["soft"]["temperature"] == 2.0
    assert plain["student"] == {"use": "cnn", "layers": 3, "width": 4}


def test_a_pipeline_without_a_head_has_the_plain_one() -> None:
    plain = to_plain(pipeline())
    assert plain.pop("head") == {"use": "plain"}
    assert from_plain(plain) == pipeline() and to_plain(from_plain(plain))["head"] == {"use": "plain"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format: pipeline format 2 is not known; this version reads format 1"),
        ({"format": None}, "format: pipeline format None is not known; this version reads format 1"),
        ({"studnt": {}}, "studnt: a pipeline has no such part; did you mean 'student'?"),
        ({"student": {"width": 4}}, "student.use: missing; name one of cnn, "),
        ({"student": "cnn"}, "student: expected a mapping with 'use: <name>' for students, got 'cnn'"),
        ({"student": {"use": "cn"}}, "student.use: there is no student called 'cn'; did you mean 'cnn'?"),
        ({"student": {"use": ["cnn"]}}, "student.use: there is no student called \"['cnn']\"; did you mean"),
        ({"student": {"use": "cnn", "widht": 4}}, "student.widht: cnn has no such field; did you mean 'width'?"),
        ({"student": {"use": "cnn", "width": "wide"}}, "student.width: could not convert string to float: 'wide'"),
        ({"student": {"use": "cnn", "width": 4.5}}, "student.width: expected int, got 4.5"),
        ({"student": {"use": "cnn", "width": 10**400}}, "student.width: expected int, got 1000"),
        ({"student": {"use": "resnet", "depth": 18}}, "student: students 'resnet': depth must be 6n + 2"),
        ({"optimizer": {"use": "sgd", "learning_rate": math.nan}}, "optimizer.learning_rate: expected float, got nan"),
        ({"losses": {}}, "losses: expected a mapping of at least one name to a component, got {}"),
        ({"losses": ["ce"]}, "losses: expected a mapping of at least one name to a component, got ['ce']"),
        ({"losses": {"ce": None}}, "losses.ce: expected a mapping with 'use: <name>' for losses, got None"),
        ({"losses": {"x": {"use": "kdd"}}}, "losses.x.use: there is no loss called 'kdd'; did you mean"),
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


def test_a_fingerprint_depends_on_content_and_not_on_order() -> None:
    """SHA-256 of '{"a":1,"b":[2.5,null]}', from a shell."""
    assert fingerprint({"b": [2.5, None], "a": 1}) == "fbb68c4db7e0dd9e"
    assert fingerprint({"a": 1, "b": [2.5]}) != fingerprint({"a": 1, "b": [2.6]})
    with pytest.raises(ValueError, match="JSON"):
        fingerprint({"a": math.nan})


FULL = {"rival": {"use": "mlp"}, "extras": {"size": {"use": "params"}}, "decay": "0.99", "noise": 0}


def test_what_an_optional_slot_does_not_hold_is_left_out() -> None:
    spec = wider(noise=0.5)
    plain = json.loads(json.dumps(to_plain(spec)))
    assert plain == {**to_plain(pipeline()), "noise": 0.5} and from_plain(plain, Wider) == spec
    assert from_plain({**plain, "rival": None, "extras": None, "decay": None}, Wider) == spec


def test_slots_of_every_kind_survive_as_plain_data() -> None:
    spec = from_plain({**to_plain(pipeline()), **FULL}, Wider)
    assert isinstance(spec, Wider) and repr((spec.decay, spec.noise)) == "(0.99, 0.0)"
    assert spec.rival == make("students", "mlp", {}) and spec.extras == {"size": make("proxies", "params", {})}
    plain = json.loads(json.dumps(to_plain(spec)))
    assert from_plain(plain, Wider) == spec and to_plain(from_plain(plain, Wider)) == plain
    assert list(plain)[-4:] == ["rival", "extras", "decay", "noise"]


def test_mistakes_in_slots_of_every_kind_are_found() -> None:
    wrong = {"rival": {"use": "mlpp"}, "extras": {}, "decay": -1, "noise": None}
    assert problems({**to_plain(pipeline()), **wrong}, slots(Wider)) == [
        "rival.use: there is no student called 'mlpp'; did you mean 'mlp'?",
        "extras: expected a mapping of at least one name to a component, got {}",
        "decay: expected a number of at least 0, got -1",
        "noise: expected a number of at least 0, got None",
    ]
    assert problems(to_plain(pipeline()), slots(Wider)) == ["noise: missing"]


def test_a_part_of_a_pipeline_is_judged_as_one() -> None:
    assert problems({}, partial=True) == problems({"losses": {}, "batch_size": "64"}, partial=True) == []
    assert problems({"losses": {"kd": {"use": "kd", "heat": 1}}, "optimzer": {}}, partial=True) == [
        "optimzer: a pipeline has no such part; did you mean 'optimizer'?",
        "losses.kd.heat: kd has no such field; one of: begin, end, standardize, teacher, temperature, weight",
    ]


def test_a_part_of_a_pipeline_is_converted() -> None:
    part = {"losses": {"soft": {"use": "kd", "temperature": "2"}}, "extras": None, **FULL}
    assert problems(part, slots(Wider), partial=True) == []
    assert repr(converted(part, slots(Wider))["losses"]) == "{'soft': {'use': 'kd', 'temperature': 2.0}}"
    whole = {**to_plain(pipeline()), **FULL}
    del whole["format"]
    assert from_plain({"format": 1, **converted(whole, slots(Wider))}, Wider) == from_plain(
        {"format": 1, **whole}, Wider
    )
