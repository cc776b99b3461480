"""Bad input: one clear line, exit code 2, nothing on stdout, no traceback, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SPACE = ("--space", "space.yaml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-params", "banana"], "--max-params 'banana' is not a positive number; write for instance 300k"),
        (["--max-macs", "-5"], "--max-macs '-5' is not a positive number"),
        (["--max-latency", "5m"], "--max-latency '5m' is not a latency; write for instance 5ms or 0.2s"),
        (["--max-size", "big"], "--max-size 'big' is not a size; write for instance 200KB or 1.5MB"),
        (
            ["--objective", "accurcy"],
            "there is no objective called 'accurcy'; did you mean 'accuracy'",
        ),
        (["--trials", "three"], "--trials takes a whole number, not 'three'"),
        (["--trials", "0"], "--trials takes a number of at least 1, not '0'"),
        (["--objective", "params"], "--objective params: the first objective must be a metric (accuracy, macro_f1"),
        (["--max-params", "nan"], "--max-params 'nan' is not a positive number"),
        (["--time", "xyz"], "--time 'xyz' is not a time; write for instance 90s, 20m or 1h30m"),
        (["--time", "0"], "--time '0' is not a time"),
        (["--device", "cuda:99"], "--device cuda:99: this machine has "),
        (["--device", "gpu"], "--device gpu: not a device; use auto, cpu, cuda or cuda:0"),
        (["--space", "imge"], "imge: no such file or shipped space; did you mean 'image'?"),
        (["--dataset", "digts"], "'digts' is no dataset, file or folder; did you mean 'digits'?"),
        (["--dataset", "table_file"], "'table_file' is no dataset, file or folder"),
        (["--dataset", "no.csv"], "no.csv: no such file"),
        (["--dataset", "cifar10", "--data-dir", "."], "cifar10 is missing, incomplete or damaged: put data_batch_1"),
        (["--teacher", "nofile"], "there is no teacher file 'nofile'; expected ARCH"),
        (
            ["--teacher", "a.pt", "--teacher", "b.pt", "--teacher-mean", "0.5"],
            "--teacher-mean is about one teacher, and 2 are given; say it of each: before its @",
        ),
        (["--teacher", "resnet@nofile"], "there is no teacher file nofile"),
        (["--study", "a/b"], "--study 'a/b': the name of a study is the name of a folder, not a path"),
        (["--study", ".."], "--study '..'"),
        (["--target", "x"], "target does not apply to wine, only to an image table or a table file: leave it out"),
        (["--image-size", "8"], "image_size does not apply to wine, which is a table"),
        (["--plugins", "no.py"], "no.py: no such file"),
        (["--limit-train", "2"], "a training set of 2 samples cannot hold 3 classes"),
    ],
)
def test_options_of_search(run, here, arguments, message):
    given = ["--dataset", "wine", *SPACE, *arguments]
    refused(run("search", *given), message)
    assert [path.name for path in here.iterdir()] == ["space.yaml"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "loses"], "there is no kind 'loses'; did you mean 'losses'?"),
        (["describe", "loses", "kd"], "there is no kind 'loses'; did you mean 'losses'?"),
        (["describe", "losses", "dkdd"], "there is no loss called 'dkdd'; did you mean 'dkd'?"),
        (["trials", "wien"], "there is no study 'wien' in studies/; did you mean 'wine'?"),
        (["report", "wien"], "there is no study 'wien' in studies/; did you mean 'wine'?"),
        (["export", "wien"], "there is no study 'wien' in studies/; did you mean 'wine'?"),
        (["export", "wine", "--trial", "9"], "study wine has no trial 9; it has 0 to 2"),
        (["trials", "."], "is not a study (it has no study.yaml); `autokd studies` lists those here"),
        (["train", "no.yaml"], "cannot read no.yaml"),
        (["train", "space.yaml"], "space.yaml is not a pipeline file"),
        (["predict", "studies", "x.csv"], "studies is not a student bundle"),
        (["predict", "studies/wine/best", "no.csv"], "no.csv: no such file"),
        (["check", "no.yaml"], "no.yaml: no such file or shipped space"),
        (["screen", "--dataset", "digts"], "did you mean 'digits'?"),
        (["screen", "--max-params", "x"], "--max-params 'x'"),
    ],
)
def test_other_commands(run, study, arguments, message):
    before = sorted(Path().rglob("*"))
    refused(run(*arguments), message)
    assert sorted(Path().rglob("*")) == before


def test_a_folder_that_is_no_study_is_left_alone(run, here):
    foreign = here / "studies" / "wine"
    foreign.mkdir(parents=True)
    (foreign / "thesis.txt").write_text("dear", encoding="utf-8")
    for fresh in ([], ["--fresh"]):
        ran = run("search", "--dataset", "wine", *SPACE, *fresh)
        refused(ran, "studies/wine exists and is not a study; choose another name with --study")
    assert [path.name for path in foreign.iterdir()] == ["thesis.txt"]


def test_a_damaged_study_is_named(run, study):
    (study / "study.yaml").write_text("format: [", encoding="utf-8")
    refused(run("trials", "wine"), "study.yaml cannot be read")
    refused(run("search", "--dataset", "wine", *SPACE), "study.yaml cannot be read")


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        ("", "kind", "not a readable table"),
        ("a,kind\n", "kind", "the table has no rows"),
        ("a,kind\n" + "1,x\n2,x\n" * 9, "kind", "only one class, 'x'"),
        ("a,kind\n" + "1,x\n2,x\n" * 9 + "1,y\n", "kind", "class 'y' has 1 sample(s), too few to split"),
        ("a,kind\n" + "1,x\n2,y\n" * 9, "knid", "there is no column 'knid'; did you mean 'kind'?"),
        ("a,kind\n" + "1,x\n2,y\n" * 9, None, "say with --target which column is the label; columns: a, kind"),
        ("a,kind\n" + "1,x\n2,y\n" * 9 + "inf,x\n" * 9, "kind", "column 'a': an infinite value in row "),
        ("a,kind\n" + "1,x\n2,y\n" * 9 + "3,\n", "kind", "1 row(s) have no label, the first is row 19"),
    ],
)
def test_tables(run, here, text, target, message):
    (here / "t.csv").write_text(text, encoding="utf-8")
    refused(run("search", "--dataset", "t.csv", *(["--target", target] if target else []), *SPACE), message)
    assert not (here / "studies").exists() and not (here / "reports").exists()


def test_image_folders(run, here):
    images = here / "images"
    images.mkdir()
    refused(run("search", "--dataset", "images"), "no image in it; expected one folder a class")
    for i in range(12):
        path = images / f"class {i % 2}" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * i, np.uint8)).save(path)
    (images / "class 0" / "bad.png").write_bytes(b"no image")
    ran = run("search", "--dataset", "images")
    refused(ran, "bad.png: not a readable image")
    assert "--skip-bad" in ran.err and not (here / "studies").exists()
    text = (here / "space.yaml").read_text(encoding="utf-8")
    students = "cnn: {width: 4, layers: 1}"
    (here / "images.yaml").write_text(
        text.replace("mlp: {depth: 1, width: {int: [4, 7]}, dropout: 0.0}", students), encoding="utf-8"
    )
    ran = run("search", "--dataset", "images", "--skip-bad", "--dry-run", "--space", "images.yaml")
    assert ran.code == 0 and "1 unreadable file(s) left out" in ran.err


def test_a_teacher_of_other_classes(run, here):
    import torch

    (here / "three.py").write_text("from torch import nn\ndef make():\n    return nn.Linear(30, 3)\n", encoding="utf-8")
    torch.save(torch.nn.Linear(30, 3).state_dict(), here / "three.pt")
    ran = run("search", "--dataset", "breast_cancer", *SPACE, "--teacher", "three:make@three.pt")
    refused(ran, "tells 3 classes apart, but breast_cancer has 2")
    torch.save(torch.nn.Linear(30, 2).state_dict(), here / "two.pt")
    ran = run("search", "--dataset", "breast_cancer", *SPACE, "--teacher", "three:make@two.pt")
    refused(ran, "does not load whole")
    assert not (here / "studies").exists()


def refused(ran, message: str) -> None:
    assert (ran.code, ran.out) == (2, ""), ran.err
    assert ran.err.startswith("error: ") and message in ran.err and "Traceback" not in ran.err
    assert ran.err.count("\n") == 1, "one line"
