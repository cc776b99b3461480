"""What a space knows of a component, and which components may stand in one pipeline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from autokd import catalog
from autokd.declarations import Augment, Declaration, Head, Loss, Optimizer, Scale, Student
from autokd.errors import ComponentError, SpaceError
from autokd.space import parse
from autokd.space.candidate import Candidate, Traits, clash, lacks, traits_of
from autokd.types import ANY

ONE = Scale(1.0, "made up")


def candidate(slot: str, use: str, declares: Declaration) -> Candidate:
    values: dict[str, Any] = {"place": "", "ranges": {}, "fixed": {}, "defaults": {}}
    return Candidate(name=use, slot=slot, kind=declares.kind, use=use, traits=traits_of(slot, declares), **values)


def test_what_a_kind_does_not_declare_is_nothing() -> None:
    assert traits_of("optimizer", Optimizer()) == Traits()
    noise = traits_of("augment", Augment(modalities={"table"}))
    assert noise == Traits(modalities=frozenset({"table"}), changes=True)
    assert not traits_of("augment", Augment(modalities=ANY)).changes
    assert traits_of("student", Student(modalities={"image"})).offers == {"features", "pooled"}


def test_what_a_loss_declares_is_what_a_space_knows_of_it() -> None:
    loss = Loss(teacher="stored", reads={"pooled"}, scale=ONE, min_classes=3, prepared_from=())
    assert traits_of("losses", loss) == Traits(
        reads_of="teacher", reads=frozenset({"pooled"}), min_classes=3, prepared_from=()
    )
    assert traits_of("head", Head(teacher="live", reads={"head"})).reads == {"head"}


def test_a_bare_name_is_of_the_components_own_slot() -> None:
    loss = Loss(teacher="none", scale=ONE, excludes={"kd", "augment.mixup"}, requires={"head.simkd"})
    traits = traits_of("losses", loss)
    assert traits.excludes == {"losses.kd", "augment.mixup"} and traits.requires == {"head.simkd"}


def test_two_slots_of_one_kind_differ() -> None:
    alone = Student(modalities={"image"}, excludes={"resnet"})
    student, peer = candidate("student", "cnn", alone), candidate("peer", "cnn", alone)
    assert (student.full_name, peer.full_name) == ("student.cnn", "peer.cnn")
    resnet = candidate("peer", "resnet", Student(modalities={"image"}))
    assert clash(peer, resnet) and clash(resnet, peer) and not clash(student, resnet)
    loss = candidate("losses", "dml", Loss(teacher="none", scale=ONE, requires={"student.cnn"}))
    assert lacks(loss, [peer]) == ["student.cnn"] and lacks(loss, [peer, student]) == []


def test_a_slot_that_is_not_there_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ComponentError, match=r"declares 'augments.mixup', and a pipeline has no slot 'augments'; did"):
        traits_of("losses", Loss(teacher="none", scale=ONE, excludes={"augments.mixup"}))


def test_a_space_says_where_a_component_names_a_slot_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "wrong_slot.py"
    file.write_text(
        "from dataclasses import dataclass\n\nfrom autokd.declarations import Loss, Scale\n\n\n"
        "@dataclass(frozen=True, kw_only=True)\nclass Mine:\n"
        "    declares = Loss(name='t_mine', teacher='none', scale=Scale(1.0, 'x'), excludes={'heads.simkd'})\n\n"
        "    weight: float = 1.0\n\n    def build(self, context): ...\n"
    )
    catalog.load_plugins(file)
    text = (
        "student: {always: {mlp: {}}}\naugment: {always: {none: {}}}\noptimizer: {always: {sgd: {}}}\n"
        "schedule: {always: {cosine: {}}}\nlosses: {always: {ce: {}, t_mine: {}}}\n"
    )
    try:
        with pytest.raises(SpaceError) as error:
            parse(text)
    finally:
        del sys.modules["autokd_plugin_wrong_slot"]
    hint = "it declares 'heads.simkd', and a pipeline has no slot 'heads'; did you mean 'head'?"
    assert error.value.problems == [f"losses.always.t_mine: {hint}"]
