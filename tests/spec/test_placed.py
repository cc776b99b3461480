"""The engine's keys of a loss in a pipeline: read, written, refused, kept."""

from __future__ import annotations

from typing import Any

import pytest

from autokd.errors import ComponentError
from autokd.loss_keys import LossKeys
from autokd.search.baselines import matched_baseline
from autokd.spec import PlacedLoss, fingerprint, from_plain, keys_of, make, problems, replaced, to_plain
from autokd.study.arms import ARM_KINDS
from tests.spec.helpers import pipeline


def staged(**keys: Any) -> dict[str, Any]:
    """The plain pipeline with these keys of its loss `soft`."""
    plain = to_plain(pipeline())
    return {**plain, "losses": {**plain["losses"], "soft": {**plain["losses"]["soft"], **keys}}}


def test_keys_stand_beside_the_fields_and_come_back() -> None:
    spec = from_plain(staged(begin="0.25", end=0.5))
    soft = spec.losses["soft"]
    assert isinstance(soft, PlacedLoss) and keys_of(soft) == LossKeys(begin=0.25, end=0.5)
    assert soft.loss == pipeline().losses["soft"]
    assert (soft.weight, soft.declares) == (soft.loss.weight, soft.loss.declares)
    assert to_plain(spec) == staged(begin=0.25, end=0.5)
    assert from_plain(to_plain(spec)) == spec


def test_defaults_change_nothing() -> None:
    spec = from_plain(staged(begin=0, end=1.0))
    assert spec == pipeline()
    assert fingerprint(to_plain(spec)) == fingerprint(to_plain(pipeline()))
    assert keys_of(spec.losses["soft"]) == LossKeys()


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (
            {"begin": 0.5, "end": 0.5},
            "losses.soft: losses 'kd': expected 0 <= begin < end <= 1, got begin 0.5 and end 0.5",
        ),
        ({"end": 1.5}, "losses.soft: losses 'kd': expected 0 <= begin < end <= 1, got begin 0 and end 1.5"),
        ({"begin": -0.1}, "losses.soft: losses 'kd': expected 0 <= begin < end <= 1, got begin -0.1 and end 1"),
        ({"begn": 0.5}, "losses.soft.begn: kd has no such field; did you mean 'begin'?"),
        ({"begin": "late"}, "losses.soft.begin: could not convert string to float: 'late'"),
    ],
)
def test_wrong_keys_are_one_line(keys: dict[str, Any], line: str) -> None:
    assert problems(staged(**keys)) == [line]


@pytest.mark.parametrize(
    ("ce", "soft", "stretch"),
    [
        ({"end": 0.3}, {"begin": 0.5}, "from 0.3 to 0.5"),
        ({"begin": 0.2}, {"begin": 0.1}, "from 0 to 0.1"),
        ({"end": 0.3}, {"end": 0.7}, "from 0.7 to 1"),
        ({"weight": 0}, {"begin": 0.3}, "from 0 to 0.3"),
        ({"weight": 0}, {"weight": 0}, "from 0 to 1"),
    ],
)
def test_some_loss_counts_all_along(ce: dict[str, Any], soft: dict[str, Any], stretch: str) -> None:
    plain = staged(**soft)
    plain["losses"]["ce"] |= ce
    line = f"losses: no term counts {stretch} of training; their begin and end must cover all of it"
    assert problems(plain) == [line]
    with pytest.raises(ComponentError, match=stretch):
        from_plain(plain)


def test_losses_that_cover_training_together_are_fine() -> None:
    plain = staged(end=0.3)
    plain["losses"]["ce"] |= {"begin": 0.3}
    assert problems(plain) == []


def test_a_key_is_replaced_like_a_field() -> None:
    spec = replaced(pipeline(), "losses.soft.end", "0.3")
    assert spec == from_plain(staged(end=0.3))
    hotter = replaced(spec, "losses.soft.temperature", 8)
    assert keys_of(hotter.losses["soft"]) == LossKeys(end=0.3)
    assert to_plain(hotter)["losses"]["soft"]["temperature"] == 8
    assert replaced(spec, "losses.soft.end", 1) == pipeline()
    for path, value, message in (
        ("losses.soft.end", 2, "losses.soft.end: expected 0 <= begin < end <= 1"),
        ("losses.soft.ends", 1, "losses.soft.ends: kd has no such field; did you mean 'end'"),
    ):
        with pytest.raises(ComponentError, match=message):
            replaced(spec, path, value)
    with pytest.raises(ComponentError, match="no term counts from 0 to 0"):
        replaced(replaced(pipeline(), "losses.ce.begin", 0.5), "losses.soft.begin", 0.5)


def test_a_component_with_keys_may_stand_in_a_slot() -> None:
    placed = make("losses", "kd", {"end": 0.3})
    assert replaced(pipeline(), "losses.soft", placed).losses["soft"] is placed
    with pytest.raises(ComponentError, match="expected a component of augments"):
        replaced(pipeline(), "augment", placed)


def test_only_losses_have_keys() -> None:
    with pytest.raises(ComponentError, match="students 'cnn' has no field 'begin'"):
        make("students", "cnn", {"begin": 0.5})


def test_a_matched_baseline_has_whole_losses() -> None:
    plain = staged(end=0.3)
    plain["losses"]["ce"] |= {"begin": 0.3}
    for kind in ("alone", "kd"):
        losses = to_plain(matched_baseline(from_plain(plain), ARM_KINDS[kind]))["losses"]
        assert not any({"begin", "end"} & loss.keys() for loss in losses.values())
