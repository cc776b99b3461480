"""`autokd learn` and `autokd knowledge`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.knowledge import studies


@pytest.fixture
def base(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own base, empty, in a folder with the studies `mine` and `poor`; nothing is shipped."""
    monkeypatch.setenv("AUTOKD_KNOWLEDGE", str(here / "base"))
    monkeypatch.setattr("autokd.knowledge.places.SHIPPED", here / "none.parquet")
    studies.on_disk(here / "studies" / "mine")
    studies.on_disk(here / "studies" / "poor", studies.happened()[:3])
    return here / "base"


def test_learn_says_what_was_learnt_what_was_known_and_what_not(run, base):
    ran = run("learn", "mine", "studies/poor")
    assert ran.code == 0 and ran.err == ""
    mine, poor = ran.out.splitlines()[1:3]
    assert mine.split()[:3] == ["mine", "learnt", "7"] and "best +7.5 points over KD by hand" in mine
    assert poor.split()[:3] == ["poor", "nothing", "learnt"] and "study poor has 1 pipeline(s)" in poor
    assert [len(list(base.glob("*.parquet"))), ran.out.splitlines()[-1]] == [1, f"in {base}"]
    (told,) = json.loads(run("learn", "mine", "--json").out)["studies"]
    assert (told["outcome"], told["card"]["runs"], told["card"]["input"]) == ("known", 7, "table")


def test_learn_says_that_a_study_has_grown_and_what_was_left_out(run, base, here):
    run("learn", "mine")
    events = studies.happened()
    chosen = next(event for event in events if event["event"] == "run")
    own = {**chosen, "pipeline": {**chosen["pipeline"], "losses": {"own": {"use": "a_plug_in"}}}}
    studies.on_disk(here / "studies" / "mine", [*events, {**chosen, "seed": 9}, own])
    said = " ".join(run("learn", "mine").out.split())
    assert said.startswith("study runs what mine learnt again 8 5 pipelines trained to the end; ")
    assert "; 7 runs before; 1 run left out, with what is not autokd's in the pipeline in " in said


def test_learn_into_another_folder(run, base):
    assert run("learn", "mine", "--knowledge", "shared").code == 0
    assert not base.exists() and len(list(Path("shared").glob("*.parquet"))) == 1
    assert "nothing is known yet" in run("knowledge", "list").out
    assert json.loads(run("knowledge", "list", "shared", "--json").out)["studies"][0]["pipelines"] == 5


def test_list_shows_a_row_a_study(run, base):
    run("learn", "mine")
    shown = run("knowledge", "list").out
    assert "│ table │      10 │       2 │  90.0 % │ accuracy │    7 │" in shown and "+7.5 points" in shown
    assert shown.splitlines()[-1].startswith("1 study (1 table), 7 runs; digest ")


def test_merge_and_export_write_files_once(run, base):
    run("learn", "mine")
    merged = run("knowledge", "merge", "base", "base")
    assert merged.out.startswith("knowledge.parquet: 1 study (1 table), 7 runs; digest ")
    assert run("knowledge", "merge", "base").code == 2
    assert run("knowledge", "export", "knowledge.parquet").out == "knowledge.csv: 7 runs\n"
    assert Path("knowledge.csv").read_text(encoding="utf-8").startswith("study,classes,data,modality,objective,train,")
    assert run("knowledge", "export", "--overwrite").out == "knowledge.csv: 7 runs\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["learn", "mien"], "there is no study 'mien' in studies/; did you mean 'mine'?"),
        (["learn", "poor"], "study poor has 1 pipeline(s) of autokd's own parts that were trained to the end; "),
        (["learn", "broken", "mine"], "studies/broken/study.yaml is damaged: "),
        (["learn", "torn"], "studies/torn/trials.jsonl: the line at byte 0 is damaged; "),
        (["learn", "mine", "--knowledge", "space.yaml"], "space.yaml is a file, and studies are learnt into a folder;"),
        (["knowledge", "list", "space.yaml"], "space.yaml is no knowledge base of autokd, or damaged "),
        (["knowledge", "merge", "nowhere"], "nowhere: there is no knowledge base; autokd learn STUDY makes one"),
        (["knowledge", "export", "-o", "runs.txt"], "runs.txt: the table is written as .csv or .parquet; "),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, base, here, arguments, message):
    broken = studies.on_disk(here / "studies" / "broken") / "study.yaml"
    broken.write_text(broken.read_text(encoding="utf-8").replace("budget:", "bugdet:"), encoding="utf-8")
    torn = studies.on_disk(here / "studies" / "torn") / "trials.jsonl"
    torn.write_text("not a line\n" + torn.read_text(encoding="utf-8"), encoding="utf-8")
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {message}") and len(ran.err.splitlines()) == 1
    assert not base.exists()


def test_a_damaged_file_in_ones_own_base_is_named(run, base):
    run("learn", "mine")
    (file,) = base.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    for arguments in (["knowledge", "list"], ["learn", "mine"]):
        ran = run(*arguments)
        assert ran.code == 2 and ran.err.startswith(f"error: {file} is no knowledge base of autokd, or damaged")
