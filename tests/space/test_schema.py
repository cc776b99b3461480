"""Reading space files: what words mean, and that every mistake is found at once, with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from autokd.errors import SpaceError
from autokd.ranges import Choice, Integer, Real
from autokd.space import find, parse, shipped


def mistakes(make, **parts) -> list[str]:
    with pytest.raises(SpaceError) as caught:
        make(**parts)
    return caught.value.problems


def student(**fields):
    return {"one_of": {"t_net": fields}}


def test_empty_mapping_takes_the_components_own_ranges(make):
    ranges = make().ranges()
    assert ranges["student.t_net.width"] == Integer(4, 16, step=4)
    assert ranges["student.t_net.depth"] == Choice(8, 14, 20)
    assert ranges["student.t_mlp.units"] == Integer(2, 64, log=True)
    assert ranges["losses.t_a.heat"] == Real(1.0, 8.0)
    assert ranges["student"] == Choice("t_net", "t_mlp")
    assert ranges["losses.t_a"] == Choice("off", "on")


def test_numbers_written_as_text_are_converted_by_the_fields_type(make):
    losses = {
        "always": {"t_base": {"weight": "1e0"}, "t_a": {"weight": {"float": [0.1, "1e1"], "log": True}, "heat": 4}}
    }
    space = make(losses=losses, constraints={"params": "300e3"}, batch_size="64")
    assert space.ranges()["losses.t_a.weight"] == Real(0.1, 10.0, log=True)
    plain = space.default().plain
    assert plain["losses"]["t_base"]["weight"] == 1.0
    assert repr(plain["losses"]["t_a"]["heat"]) == "4.0"
    assert plain["batch_size"] == 64
    assert space.constraints == {"params": 300000.0}


def test_ranges_of_one_value_are_no_parameters(make):
    fields = {"width": {"int": [8, 11], "step": 4}, "depth": {"choice": [20]}}
    space = make(student=student(**fields), batch_size={"int": [16, 16]})
    assert [path for path in space.ranges() if path.startswith(("student", "batch"))] == []
    assert space.default().plain["student"] == {"use": "t_net", "width": 8, "depth": 20}
    assert space.default().plain["batch_size"] == 16


def test_upper_end_of_a_stepped_range_is_one_that_can_be_reached(make):
    space = make(student=student(width={"int": [8, 31], "step": 4}))
    assert space.ranges()["student.t_net.width"] == Integer(8, 28, step=4)


def test_instances_have_names_of_their_own(make):
    space = make(losses={"always": {"t_base": {}}, "any_of": {"from": {"cold": {"use": "t_a", "heat": 1}, "t_a": {}}}})
    assert "losses.cold.weight" in space.ranges()
    assert space.complete({"losses": {"cold": {}}})["losses"]["cold"] == {"use": "t_a", "weight": 1.0, "heat": 1.0}


def test_batch_size_may_be_left_out(make):
    assert make(batch_size=None).ranges()["batch_size"] == Choice(32, 64, 128)


def test_all_mistakes_are_raised_at_once(make):
    found = mistakes(
        make,
        studnt={},
        student={"one_of": {"t_nett": {}, "t_net": {"widht": 8, "depth": {"choice": [9, 14]}}}},
        losses={"always": {"t_base": {}}, "any_of": {"from": {"t_aa": {}}}},
        schedule=None,
        batch_size=0,
        constraints={"latency_ms": 3},
        objective={"f1": "maximize"},
        budget={"trails": 3, "epochs": 0},
    )
    expected = [
        "studnt: there is no such key; did you mean 'student'?",
        "student.one_of.t_nett: there is no student called 't_nett'; did you mean 't_net'?",
        "student.one_of.t_net.widht: t_net has no such field; did you mean 'width'?",
        "losses.any_of.from.t_aa: there is no loss called 't_aa'; did you mean 't_a'?",
        "batch_size: expected at least 1, got 0",
        "constraints.latency_ms: there is no such key; did you mean 'latency'?",
        "objective.f1: there is no such key; one of: accuracy, accuracy_int8, balanced_accuracy, latency, log_loss, "
        "macro_f1, macs, mcc, params, size",
        "budget.epochs: expected at least 1, got 0",
    ]
    assert [line for line in expected if line not in found] == []
    assert any(line.startswith("schedule: missing; for example schedule: {one_of: {cosine: {}}}") for line in found)
    assert any(line.startswith("budget.trails: there is no such key") for line in found)


@pytest.mark.parametrize(
    ("fields", "start"),
    [
        ({"width": {"float": [4, 8]}}, "student.one_of.t_net.width: is int, which 'float' does not range over"),
        ({"width": {"int": [8, 4]}}, "student.one_of.t_net.width: an integer range needs low <= high"),
        ({"width": {"int": [4]}}, "student.one_of.t_net.width.int: expected [low, high], got [4]"),
        ({"width": {"int": [4, 8], "choice": [4]}}, "student.one_of.t_net.width: expected one of {float"),
        ({"width": {"between": [4, 8]}}, "student.one_of.t_net.width: expected one of {float"),
        ({"width": {"int": [4, 8], "stpe": 2}}, "student.one_of.t_net.width.stpe: there is no such key"),
        ({"width": [4, 8]}, "student.one_of.t_net.width: expected int, got [4, 8]"),
        ({"width": 4.5}, "student.one_of.t_net.width: expected int, got 4.5"),
        ({"width": True}, "student.one_of.t_net.width: expected int, got True"),
        ({"width": float("inf")}, "student.one_of.t_net.width: "),
        ({"depth": {"choice": []}}, "student.one_of.t_net.depth.choice: expected a list of values, got []"),
        ({"depth": {"choice": [8, "8"]}}, "student.one_of.t_net.depth.choice: a value stands twice"),
        ({"depth": {"choice": [8, "x"]}}, "student.one_of.t_net.depth.choice.1: "),
        (
            {"depth": {"choice": [8, 10, 14]}},
            "student.one_of.t_net.depth: students 't_net': depth must be 6n + 2, got 10",
        ),
        ({"depth": {"int": [8, 19]}}, "student.one_of.t_net.depth: students 't_net': depth must be 6n + 2, got 19"),
        ({"depth": 9}, "student.one_of.t_net: students 't_net': depth must be 6n + 2, got 9"),
    ],
)
def test_mistakes_in_a_field(make, fields, start):
    found = mistakes(make, student=student(**fields))
    assert len(found) == 1
    assert found[0].startswith(start)


@pytest.mark.parametrize(
    ("parts", "start"),
    [
        (
            {"student": {"one_of": {"t_mlp": {"sizes": {"choice": [1]}}}}},
            "student.one_of.t_mlp.sizes: this field takes",
        ),
        ({"student": {"any_of": {"t_net": {}}}}, "student.any_of: there is no such key"),
        ({"student": {"one_of": {}}}, "student.one_of: expected at least one of"),
        ({"student": {"one_of": ["t_net"]}}, "student.one_of: expected a mapping, got ['t_net']"),
        ({"student": {"always": {"t_net": {}, "t_mlp": {}}}}, "student.always: takes one component, got 2"),
        ({"student": {"one_of": {"x": {"use": "t_net"}}}}, "student.one_of.x: there is no student called"),
        ({"losses": {"any_of": {"from": {"t_a": {}}}}}, "losses.always: missing"),
        ({"losses": {"always": {"t_base": {}}, "any_of": {"at_most": -1, "from": {"t_a": {}}}}}, "losses.any_of.at_mo"),
        ({"losses": {"always": {"t_base": {}}, "any_of": [{"from": {"t_x": {}}}]}}, "losses.any_of.0.from.t_x: there"),
        (
            {"losses": {"always": {"t_a": {}}, "any_of": {"from": {"t_a": {}}}}},
            "losses.any_of.from.t_a: this name alrea",
        ),
        ({"losses": {"always": {"a.b": {"use": "t_a"}}}}, "losses.always.a.b: an instance name is made of letters"),
        ({"losses": {"always": {"t_a": {}, "t_b": {}}}}, "losses.always.t_b: must not stand beside t_a"),
        ({"losses": {"always": {"t_c": {}}}}, "losses.always.t_c: needs losses.t_a always beside it"),
        ({"batch_size": {"int": [0, 8]}}, "batch_size: expected at least 1, got 0"),
        ({"constraints": {"params": -1}}, "constraints.params: expected a number above 0, got -1.0"),
        ({"objective": {"accuracy": "minimize"}}, "objective.accuracy: expected maximize, got 'minimize'"),
        ({"budget": {"branch": 0.6}}, "budget.branch: expected 0 (none) to 0.5 of the steps before, got 0.6"),
        ({"budget": {"branch": -0.1}}, "budget.branch: expected 0 (none) to 0.5 of the steps before, got -0.1"),
        ({"budget": {"branch": "long"}}, "budget.branch: could not convert"),
        ({"budget": {"epochs": 8, "rungs": 3, "eta": 3}}, "budget.epochs: 8 epochs leave the first of 3 rungs less"),
        (
            {"screen": {"proxies": ["parms"]}},
            "screen.proxies.0: there is no proxy called 'parms'; did you mean 'params'",
        ),
        ({"warm_starts": {"student": {}}}, "warm_starts: expected a list of pipelines"),
        ({"warm_starts": [{"students": {}}]}, "warm_starts.0.students: there is no such key; did you mean 'student'?"),
        ({"warm_starts": [{"student": {"width": 8}}]}, "warm_starts.0.student.use: missing"),
        (
            {"warm_starts": [{"losses": {"t_a": {"heat": 9}}}]},
            "warm_starts.0.losses.t_a.heat: 9.0 lies outside 1 to 8",
        ),
        ({"warm_starts": [{}, {"losses": {"t_b": {}}}]}, "warm_starts.1.losses.t_b: is not in this space"),
        ({"warm_starts": [{"student": {"use": "cnn"}}]}, "warm_starts.0.student: 'cnn' is not in this space"),
        (
            {"warm_starts": [{"optimizer": {"use": "sgd", "momentum": 0.5}}]},
            "warm_starts.0.optimizer.sgd.momentum: 0.5, b",
        ),
        ({"warm_starts": [{"batch_size": 48}]}, "warm_starts.0.batch_size: 48 lies outside one of 32, 64"),
    ],
)
def test_mistakes_in_a_part(make, parts, start):
    found = mistakes(make, **parts)
    assert len(found) == 1
    assert found[0].startswith(start)


def test_a_mistake_in_a_part_does_not_cast_doubt_on_warm_starts(make):
    found = mistakes(make, student=student(width=4.5), warm_starts=[{"student": {"use": "t_net", "width": 8}}])
    assert found == ["student.one_of.t_net.width: expected int, got 4.5"]


def test_a_key_that_stands_twice_is_a_mistake(plugin):
    with pytest.raises(SpaceError) as caught:
        parse("student:\n  one_of: {t_net: {}, t_mlp: {}, t_net: {}}\nbatch_size: 4\nbatch_size: 8\n")
    assert "student.one_of.t_net: this key stands twice" in caught.value.problems
    assert "batch_size: this key stands twice" in caught.value.problems


@pytest.mark.parametrize(
    "text", ["", "- a", "a: [", "a: !!python/object/apply:os.getcwd []", "student: &x {one_of: *x}"]
)
def test_what_is_no_space_is_one_clear_error(text):
    with pytest.raises(SpaceError):
        parse(text)


def test_find_takes_a_path_or_a_shipped_name(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("description: mine\n", encoding="utf-8")
    assert find(str(path)) == ("description: mine\n", str(path))
    assert find("digits") == (shipped()["digits"].read_text(encoding="utf-8"), "digits")
    with pytest.raises(SpaceError, match="did you mean 'digits'"):
        find("digts")
    path.write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(SpaceError, match="cannot be read as text"):
        find(path)


def test_values_of_an_instance_with_a_name_of_its_own_are_converted(make):
    losses = {"always": {"t_base": {}}, "any_of": {"from": {"cold": {"use": "t_a"}}}}
    (start,) = make(losses=losses, warm_starts=[{"losses": {"cold": {"heat": "2e0"}}}]).warm_starts
    assert start.plain["losses"]["cold"] == {"use": "t_a", "weight": 1.0, "heat": 2.0} and start.params is not None


def test_all_mistakes_of_a_warm_start_are_found_beside_those_of_the_parts(make):
    start = {
        "student": {"use": "t_net", "width": "wide", "dept": 8},
        "losses": {"t_a": {"heet": 2}, "cold": {}, "t_d": 3},
        "optimizer": 3,
        "schedule": {"use": "cosin"},
        "batch_size": 0,
    }
    assert mistakes(make, student=student(width=4.5), warm_starts=[start, {"losses": {"t_a": None}}]) == [
        "student.one_of.t_net.width: expected int, got 4.5",
        "warm_starts.0.losses.cold: is not in this space; one of: t_a, t_base, t_d",
        "warm_starts.0.student.width: could not convert string to float: 'wide'",
        "warm_starts.0.student.dept: t_net has no such field; did you mean 'depth'?",
        "warm_starts.0.losses.t_a.heet: t_a has no such field; did you mean 'heat'?",
        "warm_starts.0.losses.t_d: expected a mapping with 'use: <name>' for losses, got 3",
        "warm_starts.0.optimizer: expected a mapping with 'use: <name>' for optimizers, got 3",
        "warm_starts.0.schedule.use: there is no schedule called 'cosin'; did you mean 'cosine'?",
        "warm_starts.0.batch_size: expected a whole number of at least 1, got 0",
    ]


def test_a_mistake_in_a_set_does_not_cast_doubt_on_names_of_its_own(make):
    losses = {"always": {"t_base": {"weight": "heavy"}}, "any_of": {"from": {"cold": {"use": "t_a"}}}}
    found = mistakes(make, losses=losses, warm_starts=[{"losses": {"cold": {"heat": 2}}}])
    assert found == ["losses.always.t_base.weight: could not convert string to float: 'heavy'"]
