"""Bases on disk: what was written is read, grows, merges, and is refused where it is damaged."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest

from autokd.errors import UserError
from autokd.knowledge import Base, StudyCard, base_of, learn, learn_into, own_folder, places, read_base, write_card
from autokd.knowledge.base import write_base, write_merged
from autokd.knowledge.table import write_table
from tests.knowledge import studies


@pytest.fixture(scope="module")
def card() -> StudyCard:
    return learn(studies.study()).card


def other(card: StudyCard, seed: int) -> StudyCard:
    """Another study."""
    return dataclasses.replace(card, facts=dataclasses.replace(card.facts, study=f"{seed:016x}", seed=seed))


def younger(card: StudyCard) -> StudyCard:
    """The study before its last two runs."""
    return dataclasses.replace(card, runs=card.runs[:-2])


def test_a_card_is_read_as_it_was_written(tmp_path: Path, card: StudyCard):
    assert write_card(tmp_path, card) is None
    assert read_base(tmp_path).cards == (card,) and read_base(tmp_path).digest == Base.of([card]).digest
    assert [file.name for file in tmp_path.iterdir()] == [f"{card.facts.study}.parquet"]


def test_students_that_were_scored_are_read_as_they_were_written(tmp_path: Path, card: StudyCard):
    before = dataclasses.replace(card, students=())
    assert card.students and before.digest != card.digest
    for made, number in ((card, 2), (before, 1)):
        write_base(tmp_path / "base", [made])
        about = json.loads(pyarrow.parquet.read_schema(tmp_path / "base").metadata[b"autokd.knowledge"])
        assert about["format"] == number and read_base(tmp_path / "base").cards == (made,)
    (tmp_path / "folder").mkdir()
    for made in (before, card, before):  # learnt again by a version that knows of them, and by one that does not
        write_card(tmp_path / "folder", made)
    assert read_base(tmp_path / "folder").cards == (card,)


def test_a_study_that_has_grown_replaces_its_card_and_no_other(tmp_path: Path, card: StudyCard):
    write_card(tmp_path, other(card, 3))
    others = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert write_card(tmp_path, younger(card)) is None
    assert write_card(tmp_path, card) == younger(card)
    assert read_base(tmp_path) == Base.of([card, other(card, 3)])
    assert {name: (tmp_path / name).read_bytes() for name in others} == others


def test_an_older_state_of_a_study_replaces_nothing(tmp_path: Path, card: StudyCard):
    write_card(tmp_path, card)
    assert write_card(tmp_path, younger(card)) == card
    assert read_base(tmp_path).cards == (card,)


def test_bases_merge_in_any_order_and_as_often_as_one_likes(tmp_path: Path, card: StudyCard):
    cards = [card, other(card, 1), other(card, 2)]
    write_merged(tmp_path / "a.parquet", Base.of([younger(card), cards[1]]))
    write_merged(tmp_path / "b.parquet", Base.of([card, cards[2]]))
    both = base_of([tmp_path / "a.parquet", tmp_path / "b.parquet"])
    assert both == base_of([tmp_path / "b.parquet", tmp_path / "a.parquet", tmp_path]) == Base.of(cards)
    assert both.digest != read_base(tmp_path / "b.parquet").digest
    assert both.without([card.facts.data]).cards == ()


def test_runs_of_no_study_are_told_apart_by_what_they_are(card: StudyCard):
    nameless = dataclasses.replace(card, facts=dataclasses.replace(card.facts, study=""))
    assert len(Base.of([nameless, younger(nameless), nameless]).cards) == 2


def test_what_is_there_is_replaced_only_if_that_is_asked(tmp_path: Path, card: StudyCard):
    for write in (write_merged, write_table):
        path = tmp_path / f"{write.__name__}.parquet"
        write(path, Base.of([card]))
        with pytest.raises(UserError, match="already there; give another file with -o, or --overwrite"):
            write(path, Base())
        write(path, Base.of([card, other(card, 1)]), overwrite=True)


def test_the_users_base_is_where_the_variable_says_and_no_cache(tmp_path: Path, card: StudyCard, monkeypatch):
    monkeypatch.setattr(places, "SHIPPED", tmp_path / "shipped.parquet")
    monkeypatch.setenv("AUTOKD_KNOWLEDGE", str(tmp_path / "own"))
    assert own_folder() == tmp_path / "own" and base_of().cards == ()
    write_card(own_folder(), card)
    write_merged(places.SHIPPED, Base.of([other(card, 1)]))
    assert base_of() == Base.of([card, other(card, 1)])
    monkeypatch.delenv("AUTOKD_KNOWLEDGE")
    assert own_folder().parts[-2:] == ("autokd", "knowledge") and "cache" not in str(own_folder()).lower()


def test_studies_are_learnt_with_what_is_new_in_each(tmp_path: Path):
    store = studies.study()
    assert [lesson.outcome for lesson in learn_into(tmp_path, [store, store])] == ["new", "known"]
    store.records.apply({**studies.happened()[-4], "event": "artefact"} | {"event": "run", **run_more()})
    poor = studies.study(events=studies.happened()[:3])
    grown, nothing = learn_into(tmp_path, [store, poor])
    assert grown.outcome == "grown" and grown.before is not None and len(grown.before.runs) == 7
    assert nothing.outcome == "nothing" and "at least 2 are needed" in nothing.why
    assert [len(card.runs) for card in read_base(tmp_path).cards] == [8]
    with pytest.raises(UserError, match="at least 2 are needed"):
        learn_into(tmp_path / "none", [poor])
    assert not (tmp_path / "none").exists()


def run_more() -> dict[str, object]:
    """A run more."""
    event = next(event for event in studies.happened() if event["event"] == "run")
    return {**event, "seed": 8}


# --- what is damaged, or no base -------------------------------------------------------------------------------------


def foreign(path: Path, **metadata: bytes) -> Path:
    table = pyarrow.table({"label": ["cat"]}).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(table, path)
    return path


def test_what_is_no_base_is_refused_in_one_line_that_names_it(tmp_path: Path):
    (tmp_path / "text.parquet").write_text("hello", encoding="utf-8")
    (tmp_path / "empty.parquet").touch()
    foreign(tmp_path / "foreign.parquet")
    foreign(tmp_path / "posing.parquet", **{"autokd.knowledge": b'{"format": 1, "studies": {"a": {}}}'})
    foreign(tmp_path / "deep.parquet", **{"autokd.knowledge": b"[" * 100_000})
    for file in tmp_path.iterdir():
        with pytest.raises(UserError) as refused:
            read_base(file)
        assert str(refused.value).startswith(f"{file} is no knowledge base of autokd, or damaged")
        assert "\n" not in str(refused.value)
    with pytest.raises(UserError, match="format 9; this version of autokd reads formats 1 and 2"):
        read_base(foreign(tmp_path / "new.parquet", **{"autokd.knowledge": b'{"format": 9}'}))
    with pytest.raises(UserError, match="there is no knowledge base"):
        read_base(tmp_path / "nowhere")


def test_a_damaged_file_is_refused_or_reads_as_it_was(tmp_path: Path, card: StudyCard):
    write_merged(tmp_path / "base.parquet", Base.of([card]))
    whole, draw = (tmp_path / "base.parquet").read_bytes(), random.Random(0)
    broken = tmp_path / "broken.parquet"
    refused = 0
    for _ in range(60):
        place = draw.randrange(len(whole))
        flipped = whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :]
        broken.write_bytes(draw.choice([flipped, whole[:place]]))
        try:
            assert read_base(broken).cards == (card,)
        except UserError:
            refused += 1
    assert refused > 30


def test_a_figure_that_was_changed_by_hand_is_noticed(tmp_path: Path, card: StudyCard):
    write_card(tmp_path, card)
    (file,) = tmp_path.iterdir()
    table = pyarrow.parquet.read_table(file)
    better = pyarrow.array([1.0] * len(table))
    pyarrow.parquet.write_table(table.set_column(table.column_names.index("score"), "score", better), file)
    with pytest.raises(UserError, match="is no knowledge base of autokd, or damaged"):
        read_base(file)


# --- the table for people --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
def test_the_table_has_a_row_a_run_and_a_column_a_number(tmp_path: Path, card: StudyCard, ending: str, read):
    assert write_table(tmp_path / f"runs{ending}", Base.of([card, other(card, 1)])) == 14
    frame = read(tmp_path / f"runs{ending}")
    assert len(frame) == 14 and set(frame["study"]) == {card.study, other(card, 1).study}
    first = frame[frame["study"] == card.study].iloc[0]
    assert (first["source"], first["score"], first["gain"], first["student.width"]) == ("recipe:kd", 0.7, 0.0, 8)
    assert (first["losses.kd.use"], first["losses.kd.weight"], first["teacher.accuracy"]) == ("kd", 0.9, 0.9)
    assert frame["losses.dkd.weight"].notna().sum() == 6 and frame["score"].isna().sum() == 2


def test_a_table_with_another_ending_is_refused(tmp_path: Path, card: StudyCard):
    with pytest.raises(UserError, match=r"the table is written as \.csv or \.parquet"):
        write_table(tmp_path / "runs.xlsx", Base.of([card]))
