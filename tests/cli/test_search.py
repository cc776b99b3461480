"""`autokd search`: dry run, first run, again, more trials, another setting, a fresh start, nothing feasible."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

WINE = ("search", "--dataset", "wine", "--space", "space.yaml")


def written(folder: Path) -> list[str]:
    """What lies in the current folder beside the space."""
    return sorted(path.name for path in folder.iterdir() if path.name != "space.yaml")


def test_the_end_of_a_search_says_what_was_found_and_what_to_type_next(run, study):
    ran = run(*WINE)
    assert ran.code == 0
    for text in (
        "Distil with plain KD by hand: no gain over training without a teacher that 36 test samples can show",
        "Recommended (",
        "Always the commonest class",
        "Teacher",
        "Where the gain comes from",
        "Next:",
    ):
        assert text in ran.out
    assert "Planned: 3 trials of up to 1 epoch, " in ran.out and "Done: 3 trials, " in ran.out
    assert "open reports/wine/index.html\n" in ran.out and "autokd export wine -o wine.yaml\n" in ran.out
    assert "the same search with --trials 6\n" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 120 and not re.search(r" $", ran.out, re.MULTILINE)


def test_json_is_the_whole_output(run, study):
    ran = run(*WINE, "--json", "--quiet")
    told = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert (told["study"], told["state"], told["report"]) == ("wine", "finished", "reports/wine/index.html")
    claim = told["recommendation"]
    assert {claim["use"], *claim["comparators"]} <= {arm["name"] for arm in claim["arms"]} and told["student"] is None


def test_a_finished_study_is_not_run_again(run, study):
    before = (study / "trials.jsonl").read_text(encoding="utf-8")
    assert run(*WINE).code == 0
    events = [json.loads(line)["event"] for line in (study / "trials.jsonl").read_text(encoding="utf-8").splitlines()]
    assert not {"trial", "rung", "failure", "run", "choice", "claim"} & set(events[before.count("\n") :])


def test_more_trials_go_on_and_make_a_new_claim(run, study):
    before = json.loads(run("trials", "wine", "--json").out)
    assert run(*WINE, "--trials", "4", "--quiet").code == 0
    after = json.loads(run("trials", "wine", "--json").out)
    assert len(after) == 4 and after[:3] == before
    claim = json.loads(run(*WINE, "--trials", "4", "--json", "-q").out)["recommendation"]
    assert (claim["round"], claim["trials"]) == (1, 4)
    assert len((study / "test_reads.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_other_settings_are_refused_key_by_key_and_nothing_changes(run, study):
    content = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    text = Path("space.yaml").read_text(encoding="utf-8")
    Path("space.yaml").write_text(text.replace("kd: {}", "kd: {temperature: 2.0}"), encoding="utf-8")
    ran = run(*WINE, "--epochs", "2")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines() == [
        "error: study 'wine' was made with other settings:",
        "  --epochs: 1 in the study, 2 asked",
        "  space.losses.any_of.0.from.kd.temperature: '(nothing)' in the study, 2.0 asked",
        "  space.losses.any_of.0.from.kd.temperature.float: [1.0, 16.0] in the study, '(nothing)' asked",
        "  space.losses.any_of.0.from.kd.temperature.log: True in the study, '(nothing)' asked",
        "use --study NAME for a new study, or --fresh to delete this one and start again",
    ]
    assert {path: path.read_bytes() for path in study.rglob("*") if path.is_file()} == content


def test_fresh_starts_again(run, study):
    (study / "kept").write_text("", encoding="utf-8")
    assert run(*WINE, "--seed", "1", "--fresh", "--quiet").code == 0
    assert not (study / "kept").exists()
    assert yaml.safe_load((study / "study.yaml").read_text(encoding="utf-8"))["identity"]["seed"] == 1


def test_a_refused_fresh_start_deletes_nothing(run, study):
    assert run(*WINE, "--fresh", "--max-params", "10").code == 3
    assert run(*WINE, "--fresh", "--device", "cuda:99").code == 2
    assert (study / "trials.jsonl").is_file()


def test_dry_run_writes_nothing(run, here):
    ran = run(*WINE, "--dry-run")
    assert ran.code == 0 and written(here) == []
    for text in ("losses.kd.temperature", "explore: 3 trials", "confirm: at most", "MB on disk", "nothing was written"):
        assert text in ran.out
    told = json.loads(run(*WINE, "--dry-run", "--json", "-q").out)
    assert told["plan"]["rung_epochs"] == [1] and told["identity"]["seed"] == 0 and written(here) == []


def test_dry_run_shows_how_a_study_fits_into_its_time(run, here):
    ran = run("search", "--dataset", "wine", "--time", "40s", "--dry-run")
    assert ran.code == 0 and written(here) == []
    assert "fitted into 40 s: KD by hand takes" in ran.out and " trials, " in ran.out


def test_dry_run_of_an_existing_study_leaves_it(run, study):
    before = (study / "study.yaml").read_bytes()
    assert run(*WINE, "--dry-run", "--fresh").code == 0
    assert (study / "study.yaml").read_bytes() == before
    assert run(*WINE, "--dry-run", "--seed", "1").code == 2


def test_no_student_inside_the_budget_exits_3_and_names_the_smallest(run, here):
    ran = run(*WINE, "--max-params", "10")
    assert (ran.code, ran.out) == (3, "") and written(here) == []
    # one hidden layer of 4 units: 13 x 4 + 4 + 4 x 3 + 3 parameters
    assert "no student" in ran.err and "width=4) with 71 parameters" in ran.err


def test_settings_say_where_each_value_comes_from(run, here, monkeypatch):
    monkeypatch.setenv("AUTOKD_DATA", "elsewhere")
    assert run(*WINE, "--trials", "2", "--max-params", "0.1k", "--quiet").code == 0
    kept = yaml.safe_load((here / "studies" / "wine" / "study.yaml").read_text(encoding="utf-8"))["settings"]
    found = {key: (item["value"], item["from"]) for key, item in kept.items()}
    assert found["trials"] == (2, "asked") and found["epochs"] == (1, "space file")
    assert found["max_params"] == (100.0, "asked") and found["max_macs"] == (None, "space file")
    assert found["seed"] == (0, "default") and found["data_dir"] == ("elsewhere", "AUTOKD_DATA")
    assert found["cache"][1] == "AUTOKD_CACHE" and found["time"] == (None, "default")


def test_time_stops_the_asking_and_still_confirms(run, here):
    ran = run(*WINE, "--trials", "1000000", "--time", "0.01s", "--json", "--quiet")
    told = json.loads(ran.out)
    assert ran.code == 0 and told["state"] == "finished"
    assert 1 <= told["recommendation"]["trials"] <= 3


def test_a_study_moves_with_its_data(run, here, table):
    asked = ("--target", "kind", "--space", "space.yaml", "--study", "moving", "--quiet")
    assert run("search", "--dataset", str(table), *asked).code == 0
    (here / "moved").mkdir()
    shutil.move(table, here / "moved" / table.name)
    ran = run("search", "--dataset", f"moved/{table.name}", *asked)
    assert (ran.code, ran.err) == (0, "")
    assert run("export", "moving", "-o", "p.yaml").code == 0
    exported = (here / "p.yaml").read_text(encoding="utf-8")
    assert f"file: moved/{table.name}" in exported and str(here) not in exported


def test_hostile_names(run, here, table):
    odd = here / "my <script>é; data.csv"
    shutil.move(table, odd)
    ran = run("search", "--dataset", odd.name, "--target", "kind", "--space", "space.yaml", "--quiet")
    assert ran.code == 0 and "autokd export 'my <script>é; data' -o 'my <script>é; data.yaml'" in ran.out
    page = (here / "reports" / odd.stem / "index.html").read_text(encoding="utf-8")
    assert "<script>é" not in page and "&lt;script&gt;é" in page
    assert json.loads(run("studies", "--json").out)[0]["study"] == odd.stem
    assert run("export", odd.stem, "-o", "p.yaml").code == 0
    assert run("train", "p.yaml", "--epochs", "1", "--quiet").code == 0
    ran = run("predict", "p", odd.name, "-o", "out.csv")
    assert (ran.code, ran.out) == (0, "out.csv: 60 predictions\n")
    head, first = (here / "out.csv").read_text(encoding="utf-8").splitlines()[:2]
    assert head.startswith("input,label,probability") and re.match(r"my <script>é; data\.csv:1,('=yes|\+no),", first)


@pytest.fixture
def table(here: Path) -> Path:
    """A table whose classes look like a spreadsheet's formulas."""
    rows = [f"{i * 37 % 101},{i * i % 11},{'=yes' if i % 2 else '+no'}" for i in range(60)]
    path = here / "table.csv"
    path.write_text("\n".join(["a,b,kind", *rows]), encoding="utf-8")
    return path


def test_another_objective_shows_everywhere(run, here):
    ran = run(*WINE, "--objective", "log_loss", "--quiet")
    assert ran.code == 0
    for text in (
        "validation log loss nats",
        "test log loss nats",
        "On test (log loss, of which less is better)",
        " nats or more. ",
    ):
        assert text in ran.out
    assert "log loss nats" in run("trials", "wine").out
    [row] = json.loads(run("studies", "--json").out)
    assert row["objective"] == ["log_loss"] and 0 < row["best_validation"] < 5 and " nats" in run("studies").out
    trials = json.loads(run("trials", "wine", "--json").out)
    assert all(t["score"] == -t["log_loss"] and 0 <= t["macro_f1"] <= 1 for t in trials)
    again = run(*WINE)
    assert again.code == 2 and "objective.log_loss: 'minimize' in the study, '(nothing)' asked" in again.err


def test_a_front_is_shown_and_any_of_it_exported(run, here):
    ran = run(*WINE, "--objective", "accuracy,params,latency", "--trials", "6", "--quiet")
    assert ran.code == 0 and "The front of accuracy, params, latency, on validation" in ran.out
    assert "latency, ms" in ran.out and ": autokd export wine --trial NUMBER" in ran.out
    claim = json.loads(run(*WINE, "--objective", "accuracy,params,latency", "--trials", "6", "--json", "-q").out)
    for row in claim["recommendation"]["front"]:
        assert set(row["objectives"]) == {"accuracy", "params", "latency"}
        assert run("export", "wine", "--trial", str(row["trial"]), "-o", "any.yaml", "--overwrite").code == 0
        assert yaml.safe_load(Path("any.yaml").read_text(encoding="utf-8"))["provenance"]["trial"] == row["trial"]
    assert "latency, ms" in run("trials", "wine").out


def test_limits_on_size_and_latency(run, here):
    ran = run(*WINE, "--max-latency", "0.1us", "--quiet")
    assert (ran.code, ran.out) == (3, "") and written(here) == []
    assert re.fullmatch(
        r"error: no student .*\(latency <= 0.0001 ms\); the fastest one measured is mlp.*cpu\n", ran.err
    )
    ran = run(*WINE, "--max-size", "0.1KB")
    assert (ran.code, ran.out) == (3, "") and "size <= 100 bytes" in ran.err
    ran = run("screen", *WINE[1:], "--max-latency", "0.1us")
    assert ran.code == 3 and ran.err.startswith("error: no student")  # before a teacher is trained
    rows = json.loads(
        run("screen", "--dataset", "wine", "--space", "space.yaml", "--max-size", "0.4KB", "--json", "-q").out
    )
    assert rows and all(row["size"] <= 400 for row in rows)
    ran = run(*WINE, "--max-latency", "1s", "--max-size", "1MB", "--trials", "2", "-q")
    assert ran.code == 0 and "latency, ms" in ran.out
    kept = yaml.safe_load((here / "studies" / "wine" / "study.yaml").read_text(encoding="utf-8"))
    assert kept["settings"]["max_latency"] == {"value": 1000.0, "from": "asked"}
    assert kept["identity"]["latency_device"] == "cpu"


def test_a_rare_class_is_told_before_the_search_and_in_a_dry_run(run, here):
    rows = [f"{i},{i * i % 17},{'fraud' if i % 30 == 0 else 'fine'}" for i in range(300)]
    Path("rare.csv").write_text("\n".join(["a,b,kind", *rows]), encoding="utf-8")
    asked = ("search", "--dataset", "rare.csv", "--target", "kind", "--space", "space.yaml")
    told = "is a rare class in the training samples; accuracy hardly notices them: consider --objective macro_f1"
    dry = run(*asked, "--dry-run")
    assert "rare classes: fraud (3." in dry.out and told in " ".join(dry.out.split())
    ran = run(*asked, "--quiet")
    assert ran.code == 0 and "WARNING: fraud (3." in ran.err and told in ran.err


def test_quick_and_train_go_to_the_end_with_less(run, here):
    ran = run(*WINE, "--quick", "--train", "--trials", "4", "--quiet")
    assert ran.code == 0 and "Planned (--quick): 4 trials" in ran.out
    told = (
        "This bundle holds the recommended pipeline trained for 100 epochs (full length). Test was not looked at again"
    )
    assert f"Trained further: studies/wine/student. {told}" in " ".join(ran.out.split())
    assert "autokd predict studies/wine/student INPUT…" in ran.out and "autokd export" not in ran.out
    page = (here / "reports" / "wine" / "index.html").read_text(encoding="utf-8")
    assert told in page
