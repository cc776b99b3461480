"""A peer in a space: it is in a pipeline exactly where a loss reads its answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml

from autokd import spec
from autokd.errors import ComponentError, SpaceError
from autokd.search.explore.design import changed, options_of
from autokd.search.limits import recorded_cost
from autokd.search.timing.pace import step_load
from autokd.space import Space, parse
from autokd.types import Shapes, Task

TASK = Task(dataset="pictures", modality="image", input_shape=(1, 8, 8), classes=("no", "yes"), train_size=100)
TEACHER = Shapes(((16, 4, 4),), 16)
BASE = {
    "student": {"always": {"cnn": {"layers": 2, "width": 4}}},
    "peer": {"one_of": {"cnn": {"layers": 2, "width": {"int": [4, 8], "step": 4}}, "resnet": {"depth": 8, "width": 4}}},
    "augment": {"always": {"none": {}}},
    "losses": {"always": {"ce": {}}, "any_of": {"at_most": 2, "from": {"kd": {}, "dml": {}}}},
    "optimizer": {"always": {"sgd": {}}},
    "schedule": {"always": {"cosine": {}}},
}


def read(**parts: Any) -> Space:
    tree = {name: part for name, part in {**BASE, **parts}.items() if part is not None}
    return parse(yaml.safe_dump(tree, sort_keys=False))


def test_a_pipeline_has_a_peer_exactly_where_a_loss_reads_it() -> None:
    space = read().resolve(TASK, TEACHER)
    assert space.dropped == ()
    seen = set()
    for number in range(60):
        drawn = space.sample(np.random.default_rng(number), number)
        assert ("peer" in drawn.plain) == ("dml" in drawn.plain["losses"])
        assert any(path.startswith("peer") for path in drawn.params or {}) == ("peer" in drawn.plain)
        assert space.params_of(drawn.plain) == drawn.params
        assert spec.to_plain(spec.from_plain(drawn.plain)) == drawn.plain
        seen.add((drawn.plain.get("peer", {}).get("use"), tuple(drawn.plain["losses"])))
    assert {peer for peer, _ in seen} == {None, "cnn", "resnet"}
    assert {losses for _, losses in seen} == {("ce",), ("ce", "kd"), ("ce", "dml"), ("ce", "kd", "dml")}
    assert "peer" not in space.default().plain


def test_a_pipeline_of_the_space_that_lacks_its_peer_or_holds_an_idle_one_lies_outside() -> None:
    space = read().resolve(TASK, None)
    with_peer = space.complete({"losses": {"dml": {"use": "dml"}}})
    assert space.misfits(with_peer) == [] and with_peer["peer"]["use"] == "cnn"
    assert space.misfits({**with_peer, "peer": None}) == ["peer: missing"]
    idle = {**space.default().plain, "peer": with_peer["peer"]}
    assert space.misfits(idle) == ["peer: no loss reads its answers"]


def test_a_peer_needs_no_teacher() -> None:
    space = read().resolve(TASK, None)
    assert [line.partition(":")[0] for line in space.dropped] == ["losses.any_of.from.kd"]
    assert "losses.dml" in space.ranges() and space.teacher_parts() == frozenset()


def test_a_loss_that_reads_a_peer_in_a_space_without_one_is_refused_as_the_space_is_read() -> None:
    with pytest.raises(SpaceError) as caught:
        read(peer=None)
    (problem,) = caught.value.problems
    assert problem.startswith(
        "losses.any_of.from.dml: it reads the answers of a peer, and this space has none; add one"
    )
    assert "peer: {one_of: {" in problem


def test_the_key_teacher_names_whose_answers_a_loss_reads() -> None:
    entries = {"kd": {}, "kd_peer": {"use": "kd", "teacher": "peer"}}
    space = read(losses={"always": {"ce": {}}, "any_of": {"at_most": 1, "from": entries}}).resolve(TASK, None)
    assert [line.partition(":")[0] for line in space.dropped] == ["losses.any_of.from.kd"]
    plain = space.complete({"losses": {"kd_peer": {}}})
    assert plain["losses"]["kd_peer"]["teacher"] == "peer" and "peer" in plain and space.misfits(plain) == []
    made = spec.from_plain(plain)
    assert spec.read_by(made.losses["kd_peer"]) == "peer" and spec.to_plain(made) == plain


REFUSED = {
    "kd": ("per", "there is nobody of this name, got 'per'; did you mean 'peer'?"),
    "ce": ("peer", "this loss reads nobody's answers; leave the key out"),
    "lelp": ("peer", "this loss is made from a teacher that does not change, and peer does; leave the key out"),
    "simkd": ("peer", "this loss is made from a teacher that does not change, and peer does; leave the key out"),
}


@pytest.mark.parametrize("use", REFUSED)
def test_a_name_that_is_not_there_is_refused_in_one_line(use: str) -> None:
    name, why = REFUSED[use]
    losses = {"always": {"tfkd": {}}, "any_of": {"at_most": 2, "from": {use: {"teacher": name}, "dml": {}}}}
    with pytest.raises(SpaceError) as caught:
        read(losses=losses)
    assert caught.value.problems == [f"losses.any_of.from.{use}.teacher: {why}"]
    plain = read().resolve(TASK, TEACHER).complete({"losses": {"dml": {"use": "dml"}}})
    plain["losses"] |= {use: {"use": use, "teacher": name}}
    assert spec.problems(plain) == [f"losses.{use}.teacher: {why}"]


def test_the_name_is_not_drawn() -> None:
    entries = {"kd": {"teacher": {"choice": ["teacher", "peer"]}}}
    with pytest.raises(SpaceError, match="expected one name"):
        read(losses={"always": {"ce": {}}, "any_of": {"at_most": 1, "from": entries}})


def test_a_pipeline_whose_peer_is_missing_or_idle_is_refused_in_one_line() -> None:
    plain = read().resolve(TASK, TEACHER).complete({"losses": {"dml": {"use": "dml"}}})
    (missing,) = spec.problems({key: value for key, value in plain.items() if key != "peer"})
    assert missing.startswith("losses.dml: it reads the answers of a peer, and the pipeline has none")
    (idle,) = spec.problems({**plain, "losses": {"ce": {"use": "ce"}}})
    assert idle.startswith("peer: no loss reads its answers")
    made = spec.from_plain(plain)
    with pytest.raises(ComponentError, match="the pipeline has none"):
        spec.replaced(made, "peer", None)
    alone = spec.replaced(made, "losses", {"ce": spec.make("losses", "ce", {})})
    assert alone.peer is None and not alone.needs_teacher
    assert spec.replaced(made, "peer.width", 8).peer == spec.make("students", "cnn", {"layers": 2, "width": 8})


def test_the_design_changes_a_peer_along_with_the_loss_that_reads_it() -> None:
    space = read().resolve(TASK, TEACHER)
    options = options_of(space, [space.default().plain["student"]])
    peer = next(option for option in options if option.slot == "peer" and option.value["use"] == "resnet")
    loss = next(option for option in options if option.member == "dml")
    base = space.default().plain
    alone, both = (changed(space, base, [(o, o.value) for o in chosen]) for chosen in ([peer], [peer, loss]))
    assert alone is not None and alone.plain == base
    assert both is not None and both.plain["peer"]["use"] == "resnet" and "dml" in both.plain["losses"]
    kd = next(option for option in options if option.member == "kd")
    more = changed(space, both.plain, [(kd, kd.value)])
    assert more is not None and set(more.plain["losses"]) == {"ce", "kd", "dml"} and "peer" in more.plain


def test_limits_are_the_students_and_the_pace_is_that_of_both() -> None:
    space = read().resolve(TASK, TEACHER)
    plain = space.complete({"losses": {"dml": {"use": "dml"}}, "peer": {"use": "cnn", "width": 4}})
    cost, alone = (recorded_cost(p, TASK, TEACHER, None) for p in (plain, space.default().plain))
    assert "trained_macs" not in alone and {name: cost[name] for name in alone} == alone
    assert cost["trained_macs"] == 2 * cost["macs"]  # an equal peer
    assert (step_load(cost), step_load(alone)) == (2.0, 1.0)
