"""A study's folder: made, locked, compared, listed, deleted, and never mistaken for something else."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest

from autokd.data import Dataset
from autokd.errors import StudyError
from autokd.files import from_yaml
from autokd.networks.models import shapes_from_plain, shapes_to_plain
from autokd.space.values import written
from autokd.study.ranking import ranked
from autokd.study.records import TrialRecord
from autokd.study.settings import Setting, TeacherFacts
from autokd.study.store import StudyStore, delete, differences
from autokd.types import Shapes
from tests.search.records import EPOCHS, trial
from tests.search.spaces import SPACE, context, resolved
from tests.study.helpers import claim, settings

SETTINGS = settings(rungs=EPOCHS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A study that nobody holds."""
    StudyStore.create(tmp_path / "mine", SETTINGS, SPACE).close()
    return tmp_path / "mine"


def put(store: StudyStore, made: TrialRecord) -> None:
    store.log.append(
        "trial",
        number=made.number,
        source=made.source,
        seed=made.seed,
        pipeline=made.pipeline,
        params=made.params,
        cost=made.cost,
    )
    for rung in made.rungs:
        values = {name: getattr(rung, name) for name in ("rung", "epochs", "score", "loss", "seconds")}
        store.log.append("rung", number=made.number, curve=[], **values)
    if made.failure:
        store.log.append("failure", number=made.number, **made.failure)


def test_what_was_asked_is_kept(path: Path) -> None:
    store = StudyStore.open(path)
    assert store.settings.identity == SETTINGS.identity and store.name == store.settings.name == "mine"
    assert from_yaml((path / "study.yaml").read_text())["format"] == 2
    assert (path / "space.yaml").read_text() == SPACE
    assert store.rung_epochs == [1, 2, 4] and store.top_rung == 2


def test_a_study_is_held_by_one_and_read_by_all(path: Path) -> None:
    holder = StudyStore.open(path, read_only=False)
    with pytest.raises(
        StudyError, match=rf"mine is being run by another process \(host .+, process {os.getpid()}, since"
    ):
        StudyStore.open(path, read_only=False)
    holder.log.append("seconds", stage="explore", seconds=1.0)
    assert StudyStore.open(path).records.seconds == {"explore": 1.0}
    holder.close()
    holder.close()
    StudyStore.open(path, read_only=False).close()


def test_a_holder_that_cannot_be_named_is_unknown(path: Path) -> None:
    holder = StudyStore.open(path, read_only=False)
    (path / "holder.json").write_text("{")
    with pytest.raises(StudyError, match=r"\(unknown\)"):
        StudyStore.open(path, read_only=False)
    holder.close()


def test_a_study_that_cannot_be_opened_is_not_held(path: Path) -> None:
    (path / "trials.jsonl").write_text('{"event": "dream"}\n{"event": "seconds", "stage": "x", "seconds": 1}\n')
    for _ in range(2):
        with pytest.raises(StudyError, match="damaged"):
            StudyStore.open(path, read_only=False)


def test_only_studies_are_opened(tmp_path: Path, path: Path) -> None:
    with pytest.raises(StudyError, match=r"is not a study \(it has no study.yaml\)"):
        StudyStore.open(tmp_path / "none")
    for text in ("[1, 2", "[1]", "format: 99\n", "\x00"):
        (path / "study.yaml").write_text(text)
        with pytest.raises(StudyError, match=r"study.yaml (is not a study of format 1|cannot be read)") as error:
            StudyStore.open(path)
        assert "\n" not in str(error.value)
    (path / "study.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyError, match="cannot be read"):
        StudyStore.open(path)


@pytest.mark.parametrize("foreign", [["notes.txt"], ["space.yaml"], ["holder.json", "notes.txt"], ["trials.jsonl"]])
def test_a_study_is_not_made_where_something_else_lies(tmp_path: Path, foreign: list[str]) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in foreign:
        (folder / name).write_text("mine")
    with pytest.raises(StudyError, match="exists and is not a study"):
        StudyStore.create(folder, SETTINGS, SPACE)
    assert sorted(file.name for file in folder.iterdir()) == sorted(foreign)
    assert all((folder / name).read_text() == "mine" for name in foreign)
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(StudyError, match="exists and is not a study"):
        StudyStore.create(file, SETTINGS, SPACE)


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", "holder.json", "space.yaml", "study.yaml.77.tmp"]])
def test_a_study_whose_making_was_cut_short_is_made_again(tmp_path: Path, left: list[str]) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in left:
        (folder / name).touch()
    StudyStore.create(folder, SETTINGS, SPACE).close()
    assert StudyStore.open(folder).settings.identity == SETTINGS.identity


def test_only_studies_that_nobody_holds_are_deleted(tmp_path: Path, path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "notes.txt").touch()
    with pytest.raises(StudyError, match="is not a study"):
        delete(theirs)
    assert (theirs / "notes.txt").exists()
    holder = StudyStore.open(path, read_only=False)
    with pytest.raises(StudyError, match="another process"):
        delete(path)
    assert (path / "study.yaml").exists()
    holder.close()
    delete(path)
    assert not path.exists()


def test_settings_change_and_the_rest_stays(path: Path) -> None:
    store = StudyStore.open(path, read_only=False)
    store.update(dataclasses.replace(store.settings, settings={"trials": Setting(9, "asked")}))
    store.close()
    again = StudyStore.open(path).settings
    assert again.settings == {"trials": Setting(9, "asked")} and again.identity == SETTINGS.identity
    assert again.setting("trials") == 9 and again.setting("time") is None
    assert not [file for file in path.iterdir() if file.suffix == ".tmp"]


def test_differences_are_named_key_by_key() -> None:
    old = {"seed": 1, "space": {"student": {"width": [3, 9]}, "old": {}}, "rungs": [1, 3], "same": {"a": 1.0}}
    new = {"seed": 2, "space": {"student": {"width": [3, 12]}, "new": True}, "rungs": (1, 3), "same": {"a": 1}}
    assert differences(old, new) == [
        "seed: 1 in the study, 2 asked",
        "space.new: '(nothing)' in the study, True asked",
        "space.old: {} in the study, '(nothing)' asked",
        "space.student.width: [3, 9] in the study, [3, 12] asked",
    ]
    assert differences(old, old) == []


def test_trials_are_ranked_by_length_then_score_then_loss() -> None:
    trials = [
        trial(0, 0.9),
        trial(1, 0.5, 0.6),
        trial(2, 0.5, 0.7),
        trial(3, 0.9, 0.9, failure="error"),
        trial(4),
        trial(5, 0.1, 0.7),
    ]
    assert [t.number for t in ranked(trials)] == [2, 5, 1, 0]


def test_best_and_finished(path: Path) -> None:
    store = StudyStore.open(path, read_only=False)
    assert store.best is None and not store.finished
    put(store, trial(0, 0.5, 0.6, 0.7))
    put(store, trial(1, 0.9))
    assert store.best is not None and store.best.number == 0 and not store.finished
    store.log.append("claim", **claim(round=0, trials=1).to_plain())
    assert not store.finished  # two trials were asked for
    store.log.append("claim", **claim(round=1, trials=2).to_plain())
    assert store.finished
    put(store, trial(2, 0.1))
    timed = {"trials": Setting(99, "asked"), "time": Setting(60.0, "asked")}
    store.update(dataclasses.replace(store.settings, settings=timed))
    assert not store.finished  # time was the limit, and the last claim does not know the newest trial
    store.log.append("claim", **claim(round=2, trials=3).to_plain())
    assert store.finished
    store.close()


def test_a_table_of_trials(path: Path) -> None:
    store = StudyStore.open(path, read_only=False)
    for made in (
        trial(0, 0.5, 0.6, 0.7, source="recipe:alone"),
        trial(1, 0.4),
        trial(2, failure="not_finite"),
        trial(3),
    ):
        put(store, made)
    store.close()
    frame = StudyStore.open(path).trials_dataframe()
    assert frame["state"].tolist() == ["complete", "paused", "failed", "running"]
    assert frame["reason"].tolist() == ["", "", "not_finite: made up", ""]
    assert frame["score"].tolist()[:2] == [0.7, 0.4] and frame["rung"].tolist()[:2] == [2, 0]
    assert frame["seconds"].tolist() == [3.0, 1.0, 0.0, 0.0] and frame["params"].tolist() == [10] * 4
    assert json.loads(frame["pipeline"][1]) == {"number": 1}


def test_the_ranges_of_a_study_are_those_that_were_resolved(digits: Dataset, tmp_path: Path) -> None:
    space = resolved(digits, max_params=300)
    teacher = context(digits).teacher
    assert teacher is not None
    facts = TeacherFacts(
        origin="made", fingerprint="t", validation={}, params=1, may_have_seen_validation=False, offers=teacher.offers
    )
    asked = dataclasses.replace(
        SETTINGS,
        identity=dataclasses.replace(SETTINGS.identity, space=space.identity()),
        data=dataclasses.replace(SETTINGS.data, task=digits.task),
        teacher=facts,
    )
    StudyStore.create(tmp_path / "mine", asked, SPACE).close()
    store = StudyStore.open(tmp_path / "mine")
    assert store.task == digits.task
    assert {path: written(span) for path, span in store.ranges.items()} == {
        path: written(span) for path, span in space.ranges().items()
    }


def test_shapes_survive_as_plain_data() -> None:
    shapes = Shapes(((4, 8, 8), (8, 4, 4)), 8)
    assert shapes_from_plain(json.loads(json.dumps(shapes_to_plain(shapes)))) == shapes
    assert shapes_from_plain(shapes_to_plain(Shapes())) == Shapes()
