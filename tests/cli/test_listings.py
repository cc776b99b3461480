"""Listings, as text and as one JSON document; export, train and predict."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from autokd import catalog
from autokd.cli.console.screened import screened
from autokd.search.request import Screening
from autokd.study.choice import ScreenedStudent


def listed(run, *arguments: str):
    """The document that a command prints, and nothing else."""
    ran = run(*arguments, "--json")
    assert ran.code == 0
    return json.loads(ran.out)


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_list_names_every_component(run, kind):
    assert run("list", kind).out.splitlines() == catalog.names(kind) == listed(run, "list", kind)


def test_list_without_a_kind_lists_all(run):
    assert listed(run, "list") == {kind: catalog.names(kind) for kind in catalog.KINDS}
    assert "schedules: cosine, one_cycle" in run("list").out


@pytest.mark.parametrize("kind", catalog.KINDS)
def test_every_component_describes_itself(run, kind):
    for name in catalog.names(kind):
        told = listed(run, "describe", kind, name)
        assert (told["kind"], told["name"]) == (kind, name) and told["source"] and told["about"]
        assert run("describe", kind, name).code == 0


def test_describe_shows_defaults_ranges_units_and_source(run):
    told = listed(run, "describe", "losses", "kd")
    assert told["fields"]["temperature"] == {
        "type": "float",
        "required": False,
        "default": 4.0,
        "range": "1 to 16, log",
        "unit": "",
        "about": told["fields"]["temperature"]["about"],
    }
    text = run("describe", "students", "resnet").out
    assert "arXiv 1512.03385" in text and "channels" in text and "one of 8, 14, 20, 32, 44, 56, 110" in text
    fields = listed(run, "describe", "datasets", "table_file")["fields"]
    assert fields["file"]["required"] and not fields["target"]["required"]


def test_check_shows_all_mistakes_at_once(run, here):
    assert run("check", "space.yaml").out.startswith("space.yaml: no mistakes; ")
    assert listed(run, "check", "space.yaml") == {"space": "space.yaml", "problems": []}
    text = Path("space.yaml").read_text(encoding="utf-8")
    broken = text.replace("mlp: {depth", "mpl: {depth").replace("one_cycle", "one_cicle")
    Path("broken.yaml").write_text(broken, encoding="utf-8")
    ran = run("check", "broken.yaml")
    assert (ran.code, ran.out) == (2, "") and "did you mean 'mlp'?" in ran.err and "'one_cycle'?" in ran.err
    ran = run("check", "broken.yaml", "--json")
    assert ran.code == 2 and len(json.loads(ran.out)["problems"]) == 2


def test_screen_ranks_students_and_looks_at_no_study(run, study):
    asked = ("screen", "--dataset", "wine", "--space", "space.yaml", "--seed", "3", "--quiet")
    rows = listed(run, *asked)
    # 13 inputs, w hidden units and 3 classes: 13 w + w + 3 w + 3 parameters
    assert [row["params"] for row in rows] == [122, 105, 88, 71]
    assert {"params", "macs", "latency", "nwot"} <= set(rows[0]["proxies"])
    lines = run(*asked).out.splitlines()
    assert [line.split()[:4] for line in lines[1:2]] == [["1", "mlp(width", "7)", "1.00"]]
    assert "standard deviations" not in "".join(lines)  # nothing is left out
    assert lines[-1] == "next: autokd search --dataset wine --space space.yaml --seed 3"


def test_screen_shows_the_proxies_that_are_named(run, here):
    asked = ("screen", "--dataset", "wine", "--space", "space.yaml", "-q")
    ran = run(*asked, "--proxy", "depth", "--proxy", "synflow", "--json")
    assert list(json.loads(ran.out)[0]["proxies"]) == ["params", "macs", "depth", "synflow", "latency"]
    assert ran.err == ""
    ran = run(*asked, "--proxy", "dept")
    assert (ran.code, ran.out) == (2, "") and "did you mean 'depth'?" in ran.err


def test_a_long_table_of_screened_students_fits():
    said = {"params": 9.0, "macs": 9.0, "latency": 0.3, **{f"a_proxy_of_{n}": -1234.5678 for n in range(9)}}
    cell = {"use": "nasbench201", **{f"edge{n}": "nor_conv_3x3" for n in range(6)}}
    rows = [
        ScreenedStudent(student={**cell, "edge0": f"none{n}"}, params=9, macs=9, proxies=said, score=0.5)
        for n in range(30)
    ]
    for width in (100, 120):
        printed = io.StringIO()
        Console(width=width, file=printed).print(screened(rows, Screening(dataset="digits"), as_json=False))
        text = printed.getvalue()
        assert re.search(r"20 +nasbench201\(edge0 none19\) +0\.50 +9 +9 +0\.3( +−1,235){3}", text)
        assert max(map(len, text.splitlines())) <= width
        assert "10 more students and 6 more proxies (a_proxy_of_3," in " ".join(text.split())


def test_studies_and_trials(run, study):
    (row,) = listed(run, "studies")
    assert (row["study"], row["state"], row["trials"]) == ("wine", "finished", 3)
    assert set(row["verdicts"]) == {"alone", "kd"} and 0 <= row["test"] <= 1 and row["result"]
    trials = listed(run, "trials", "wine")
    assert [trial["number"] for trial in trials] == [0, 1, 2]
    assert {"state", "reason", "source", "rung", "score", "seconds", "params", "macs", "pipeline"} <= set(trials[0])
    assert trials[0]["source"] == "recipe:kd" and trials[0]["pipeline"]["losses"]["ce"]["weight"] == 1.0
    shown = run("trials", str(study)).out
    assert "recipe:kd" in shown and "epochs" in shown and "rung" not in shown and "finished" in run("studies").out


def test_no_studies_yet(run):
    assert run("studies").out == "no studies here; start one with: autokd search --dataset digits\n"
    assert listed(run, "studies") == []


def test_report_is_written_again(run, study):
    page = Path("reports", "wine", "index.html")
    page.unlink()
    assert run("report", "wine") == (0, f"{page}\n", "") and page.is_file()


def test_export_train_predict(run, study):
    ran = run("export", "wine", "-o", "a pipeline.yaml")
    assert ran == (0, "a pipeline.yaml\nnext: autokd train 'a pipeline.yaml'\n", "")
    assert run("export", "wine", "-o", "a pipeline.yaml") == ran  # the same again, at another time
    told = listed(run, "train", "a pipeline.yaml", "--epochs", "2", "--seed", "5", "-o", "student", "-q")
    assert told["folder"] == "student" and told["metrics"]["seed"] == 5 and told["metrics"]["test"]["n"] == 36
    again = run("train", "a pipeline.yaml", "--epochs", "2", "--seed", "5", "-o", "student")
    assert again.code == 0 and "start: reading the data\n" in again.err and "test accuracy" in again.out
    of_log_loss = Path("a pipeline.yaml").read_text(encoding="utf-8").replace(": accuracy", ": log_loss")
    Path("of log loss.yaml").write_text(of_log_loss, encoding="utf-8")
    ended = run("train", "of log loss.yaml", "--epochs", "1", "-q")
    assert ended.code == 0 and re.search(
        r"test log loss \d\.\d{3} nats on 36 items \(validation \d\.\d{3} nats\)", ended.out
    )
    edited = of_log_loss.replace("epochs: 100", "epochs: 7")
    Path("of log loss.yaml").write_text(edited, encoding="utf-8")
    Path("notes.txt").write_text("mine", encoding="utf-8")
    differs = r"objective is 'log_loss' there, 'accuracy' here, and \d more"
    for name, what in (("of log loss.yaml", differs), ("notes.txt", "no pipeline file")):
        refused = run("export", "wine", "-o", name)
        assert refused.code == 2 and re.search(f"is already there, and {what}; give another file", refused.err)
    assert Path("of log loss.yaml").read_text(encoding="utf-8") == edited
    assert run("export", "wine", "-o", "of log loss.yaml", "--overwrite").code == 0
    frame = wine_rows(Path("new.csv"))
    rows = listed(run, "predict", "student", "new.csv")
    assert [row["input"] for row in rows] == [f"new.csv:{i}" for i in range(1, len(frame) + 1)]
    assert all(abs(sum(v for k, v in row.items() if k.startswith("probability of ")) - 1) < 1e-5 for row in rows)
    assert "and 5 more; -o FILE writes all" in run("predict", "student", "new.csv").out
    assert run("predict", "student", "new.csv", "-o", "out/p.csv").out == "out/p.csv: 45 predictions\n"
    assert len(Path("out", "p.csv").read_text(encoding="utf-8").splitlines()) == 46


def test_export_of_a_trial(run, study):
    import yaml

    assert run("export", "wine", "--trial", "0").code == 0
    told = yaml.safe_load(Path("pipeline.yaml").read_text(encoding="utf-8"))
    assert list(told["pipeline"]["losses"]) == ["ce", "kd"] and told["provenance"]["trial"] == 0


def wine_rows(path: Path):
    from sklearn.datasets import load_wine

    frame = load_wine(as_frame=True).data.head(45)
    frame.to_csv(path, index=False)
    return frame


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ({"accuracy": 0.9, "n": 36}, "test accuracy 90.00 % on 36 items (validation"),
        ({"accuracy": 0.9, "n": 36, "note": "of the claim"}, "90.00 % on 36 items, of the claim (validation"),
        ({"n": 0, "note": "no claim"}, "student: test was not read (validation 80.00 %)"),
    ],
)
def test_a_bundle_says_whether_and_how_it_was_tested(test, said):
    from autokd.cli.console.students import trained

    metrics = {"objective": "accuracy", "test": test, "validation": {"accuracy": 0.8}, "seed": 1, "epochs": 2}
    assert said in str(trained(Path("student"), metrics, as_json=False))
