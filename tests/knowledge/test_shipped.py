"""The base that comes with autokd."""

from __future__ import annotations

import re

import pytest

from autokd.knowledge import Base, read_base
from autokd.knowledge.card import HAND_KD
from autokd.knowledge.places import SHIPPED


@pytest.fixture(scope="module")
def shipped() -> Base:
    return read_base(SHIPPED)


def test_it_holds_studies_of_many_sources_and_is_small(shipped):
    assert len({card.facts.data for card in shipped.cards}) >= 16
    assert len({card.facts.source for card in shipped.cards}) >= 8
    for kind in ("image", "table"):
        assert len([card for card in shipped.cards if card.facts.modality == kind]) >= 4
    assert SHIPPED.stat().st_size < 5e6


def test_each_study_has_hand_kd_and_many_pipelines(shipped):
    for card in shipped.cards:
        assert card.baseline(HAND_KD) is not None
        assert len(card.worth) >= 30
    assert sum(len(card.worth) >= 60 for card in shipped.cards) >= 16


def test_its_texts_are_names_of_components_and_families(shipped):
    for card in shipped.cards:
        assert re.fullmatch(r"[a-z0-9_]+", card.facts.family)
        assert all(re.fullmatch(r"[a-z0-9_:.-]*", run.source) for run in card.runs)
