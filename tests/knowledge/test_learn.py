"""What of a study gets onto its card, and what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from autokd.errors import StudyError
from autokd.knowledge import StudyCard, learn, learn_into, read_base
from tests.knowledge import studies

SECRET = "SECRET-7f"
Place = tuple[Any, ...]


def files() -> dict[str, Any]:
    """Everything that a study's files hold."""
    return {"study.yaml": studies.told(), "trials.jsonl": studies.happened()}


def opened(content: dict[str, Any]):
    return studies.study(content["study.yaml"], content["trials.jsonl"])


def card() -> StudyCard:
    return learn(studies.study()).card


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value that holds no others, with its place."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from leaves(item, (*place, key))
    if not isinstance(value, dict | list):
        yield place, value


def at(content: Any, place: Place) -> Any:
    for key in place:
        content = content[key]
    return content


def put(content: Any, place: Place, value: Any) -> None:
    at(content, place[:-1])[place[-1]] = value


def test_a_card_has_what_the_study_was_about():
    facts = card().facts
    assert (facts.modality, facts.objective) == ("table", "accuracy")
    assert (facts.train, facts.validation, facts.classes) == (10, 4, 2)
    assert facts.class_counts == (6, 4) and facts.input_shape == (5,) and facts.epochs == 4
    assert facts.teacher == {"accuracy": 0.9, "log_loss": 0.3, "params": 900.0, "macs": 800.0, "latency": 0.1}
    assert (facts.teacher_kind, facts.limits, facts.device) == ("trained", {"params": 300.0}, "cpu")
    assert facts.versions == {"autokd": "0.2.0", "torch": "2.13.0"}


def test_a_card_has_every_run_with_its_figures():
    runs = card().runs
    assert [run.source for run in runs] == ["recipe:kd", "recipe:alone", "tpe", "design", "random", "choose", "tune"]
    assert [run.score for run in runs] == [0.7, 0.65, 0.75, 0.4, None, 0.8, 0.5]
    assert [run.epochs for run in runs] == [4, 4, 4, 2, 0, 4, 4]
    assert [run.failure for run in runs] == ["", "", "", "", "not_finite", "", ""]
    assert runs[0].curve == (0.6, 0.7) and runs[0].seconds == 3.0
    assert list(runs[2].pipeline["losses"]) == ["ce", "dkd"] and runs[2].pipeline["losses"]["dkd"]["begin"] == 0.25
    assert runs[6].params == 100  # another rate than any trial's, but a student that one of them had


def test_a_card_has_what_was_said_of_trained_students():
    (student,) = card().students
    assert student.student == studies.pipeline()["student"] and (student.params, student.macs) == (100, 90)
    assert student.proxies == {"nwot": 3.5, "latency": -0.5} and student.not_finite == ("synflow",)  # more is better
    assert student.scores == (0.6, 0.5, 0.6, 0.4)  # after two epochs, which all trials trained
    content = files()
    assert content["trials.jsonl"].pop()["event"] == "screen"
    assert learn(opened(content)).card.students == () and learn(opened(content)).card.digest != card().digest


def test_pipelines_are_compared_by_their_mean_over_seeds_and_with_kd_by_hand():
    made = card()
    kd, alone, picked, short, failed = (run.key for run in made.runs[:5])
    assert made.worth[picked] == pytest.approx(0.775) and made.worth[failed] == 0.0 and short not in made.worth
    assert made.gains[picked] == pytest.approx(0.075) and made.gains[kd] == 0.0
    assert made.best_gain == made.gains[picked]
    assert made.quantiles[picked] > made.quantiles[kd] > made.quantiles[alone] > made.quantiles[failed]


def test_what_the_machine_broke_counts_as_not_tried():
    content = files()
    failure = next(event for event in content["trials.jsonl"] if event["event"] == "failure")
    failure["kind"] = "crash"
    made = learn(opened(content)).card
    assert made.runs[4].failure == "crash" and made.runs[4].key not in made.worth


def test_where_kd_by_hand_failed_nothing_is_compared_with_it():
    content = files()
    failure = {"event": "failure", "time": 1.0, "number": 0, "kind": "not_finite", "reason": ""}
    content["trials.jsonl"].insert(1, failure)
    made = learn(opened(content)).card
    assert made.gains == {} and made.best_gain is None


def test_a_pipeline_that_is_not_autokds_own_is_left_out_and_counted():
    for losses in ({"own": {"use": "a_plug_in"}}, {"kd": {**studies.pipeline()["losses"]["kd"], "teacher": "bert"}}):
        content = files()
        chosen = next(event for event in content["trials.jsonl"] if event["event"] == "run")
        chosen["pipeline"]["losses"] = losses
        learned = learn(opened(content))
        assert learned.left_out == 2 and len(learned.card.runs) == 5  # the trial with the same pipeline, too


def test_a_part_that_this_version_does_not_know_is_not_dropped_from_a_pipeline():
    content = files()
    content["trials.jsonl"][0]["pipeline"]["committee"] = 3
    assert learn(opened(content)).left_out == 1


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("data", "modality"), "scent", "its kind of input is not autokd's own"),
        (("data", "card", "class_counts"), {}, "did not count"),
        (("data", "train"), None, "is damaged"),
    ],
)
def test_a_study_that_teaches_nothing_says_why(place: Place, value: Any, message: str):
    content = files()
    put(content["study.yaml"], place, value)
    content["study.yaml"]["data"]["task"]["modality"] = content["study.yaml"]["data"]["modality"]
    with pytest.raises(StudyError, match=message):
        learn(opened(content))


def test_one_pipeline_alone_teaches_nothing():
    with pytest.raises(StudyError, match=r"study mine has 1 pipeline\(s\) .* at least 2"):
        learn(studies.study(events=studies.happened()[:3]))


# --- what is private -------------------------------------------------------------------------------------------------


def said(made: StudyCard) -> str:
    """All that a file would say of a card."""
    return json.dumps([made.facts.to_plain(), [vars(run) for run in [*made.runs, *made.students]]])


def kinds_of_places(content: dict[str, Any]) -> Iterator[Place]:
    """A place of every kind, one for all events of the same name; those of a claim have a test of their own."""
    seen = set()
    for leaf, _ in leaves(content):
        event = content[leaf[0]][leaf[1]]["event"] if leaf[0] == "trials.jsonl" else ""
        for place in (leaf[:depth] for depth in range(2, len(leaf) + 1)):
            kind = (event, place[2:]) if event else (place,)
            if event != "claim" and kind not in seen:
                seen.add(kind)
                yield place


def hostile() -> Iterator[tuple[Place, dict[str, Any]]]:
    """The study with a marker in one place, for every kind of place: once as the value, once as its name."""
    content = files()
    for place in list(kinds_of_places(content)):
        holder, name = at(content, place[:-1]), place[-1]
        before = holder.copy()
        holder[name] = SECRET
        yield place, content
        if isinstance(holder, dict):
            holder[SECRET] = before[name]
            del holder[name]
            yield (*place, "(its name)"), content
            holder.clear()
            holder.update(before)
        else:
            holder[:] = before


def test_a_text_in_any_place_of_a_study_gets_onto_no_card():
    learnt = set()
    for place, content in hostile():
        try:
            study = opened(content)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue  # does not open
        try:
            made = learn(study).card
        except StudyError:
            continue
        learnt.add(place)
        assert SECRET not in said(made), place
    assert len(learnt) > 200  # most places hold nothing that a card is made of
    assert ("trials.jsonl", 0, "source") in learnt and ("study.yaml", "data", "task", "classes", 0) in learnt


def with_secrets() -> dict[str, Any]:
    """The study with a marker in every place at once that may hold a user's text, and that still teaches all it did."""
    content = files()
    plain, events = content["study.yaml"], content["trials.jsonl"]
    for place in TEXTS:
        put(plain, place, f"/home/{SECRET}/{place[-1]}")
    plain["data"]["card"] |= {"dropped_columns": {SECRET: "constant"}, "skipped_files": [SECRET]}
    plain["identity"]["space"] |= {"losses": {SECRET: {"use": SECRET}}, "constraints": {"params": 300, SECRET: 5}}
    for named in (plain["teacher"]["validation_metrics"], plain["teacher"]["cost"], plain["versions"]):
        named[SECRET] = "1" if named is plain["versions"] else 1.0
    events[0]["source"] = f"recipe:{SECRET}"
    for event in events:
        if event["event"] in ("trial", "run"):
            losses = event["pipeline"]["losses"].values()
            event["pipeline"]["losses"] = {f"{SECRET}-{place}": loss for place, loss in enumerate(losses)}
        for name in {"reason", "kind", "arm", "variant"} & set(event):
            event[name] = SECRET
        if event["event"] == "screen":
            event["students"][0]["proxies"][SECRET], event["left_out"] = 1.0, {SECRET: SECRET}
            event["students"][0]["not_finite"].append(SECRET)
        if event["event"] == "rung":
            event["metrics"][SECRET] = 1.0
            event["curve"][0][SECRET] = SECRET
    return content


TEXTS = (
    ("name",),
    ("created",),
    ("dropped", 0),
    ("machine", "name"),
    ("versions", "torch"),
    ("time_plan", "reason"),
    ("settings", "space", "value"),
    ("data", "name"),
    ("data", "card", "remarks", 0),
    ("data", "task", "dataset"),
    ("data", "task", "classes", 0),
    ("data", "task", "classes", 1),
    ("teacher", "origin"),
    ("teacher", "tried", "line"),
    ("teacher", "tried", "remarks", 0),
    ("identity", "data", "reference", "component", "use"),
    ("identity", "teacher", "reference", "use"),
)


def test_a_study_full_of_secrets_leaves_none_in_its_file(tmp_path: Path):
    (lesson,) = learn_into(tmp_path / "base", [opened(with_secrets())])
    assert lesson.card is not None and len(lesson.card.runs) == 7 and lesson.left_out == 0
    (file,) = (tmp_path / "base").iterdir()
    table = pyarrow.parquet.read_table(file)
    pyarrow.parquet.write_table(table, tmp_path / "plain", compression="none", use_dictionary=False)
    everything = file.read_bytes() + (tmp_path / "plain").read_bytes() + str(table.to_pylist()).encode()
    assert SECRET.encode() not in everything and b"recipe:alone" in (tmp_path / "plain").read_bytes()
    assert SECRET not in file.name and SECRET not in said(read_base(file).cards[0])
    assert [run.source for run in lesson.card.runs][:2] == ["other", "recipe:alone"]
    assert list(lesson.card.runs[2].pipeline["losses"]) == ["ce", "dkd"]


# --- what was computed on test ---------------------------------------------------------------------------------------


def of_test(place: Place, events: list[dict[str, Any]]) -> bool:
    """Whether a place holds what was computed on test, or says how much of it there is."""
    claimed = place[0] == "trials.jsonl" and events[place[1]]["event"] == "claim"
    return claimed or any("test" in str(key) for key in place)


def test_figures_of_test_change_no_card_and_those_of_validation_do():
    content, digest = files(), card().digest
    changed = 0
    for place, value in leaves(content):
        if of_test(place, content["trials.jsonl"]) and isinstance(value, int | float) and not isinstance(value, bool):
            put(content, place, type(value)(value + 1))
            changed += 1
    assert changed > 30 and learn(opened(content)).card.digest == digest
    content["trials.jsonl"][2]["score"] += 0.01
    assert learn(opened(content)).card.digest != digest


def test_a_card_is_made_without_a_look_at_a_claim():
    study = studies.study()
    del study.records.claims, study.records.uses, study.records.choices, study.records.trainings
    assert learn(study).card.digest == card().digest
