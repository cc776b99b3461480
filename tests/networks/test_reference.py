"""From the text after --teacher to a teacher: every form, and what goes wrong with each."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from autokd import compat, spec
from autokd.errors import ComponentError, MissingDependency, TeacherError
from autokd.networks.models import seeded
from autokd.networks.reference import describe, load_teacher, parse, to_component
from autokd.types import BuildContext, Task

Student = Callable[..., nn.Module]
Saved = Callable[..., str]


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("resnet56@a/b.pt", "autokd", {"arch": "resnet56", "file": "a/b.pt", "fields": []}),
        ("resnet@a@b.pt", "autokd", {"arch": "resnet", "file": "a@b.pt", "fields": []}),
        (
            "resnet:depth=14,mean=0.4,0.5,0.6,width=8,std=0.2@w.pt",
            "autokd",
            {"arch": "resnet", "file": "w.pt", "fields": ["depth=14", "width=8"]}
            | {"mean": ["0.4", "0.5", "0.6"], "std": ["0.2"]},
        ),
        ("timm:resnet18.a1_in1k@w.pt", "timm", {"model": "resnet18.a1_in1k", "file": "w.pt", "fields": []}),
        (
            "timm:vit_tiny_patch16_224:img_size=32,input_size=64@w.pt",
            "timm",
            {"model": "vit_tiny_patch16_224", "file": "w.pt", "fields": ["img_size=32"], "input_size": "64"},
        ),
        ("torchvision:resnet18@w.pt", "torchvision", {"model": "resnet18", "file": "w.pt", "fields": []}),
        ("my.nets:wide@C:\\w.pt", "factory", {"factory": "my.nets:wide", "file": "C:\\w.pt", "fields": []}),
        ("my.nets:wide:k=4@w.pt", "factory", {"factory": "my.nets:wide", "file": "w.pt", "fields": ["k=4"]}),
    ],
)
def test_parse(text: str, name: str, values: dict[str, Any]) -> None:
    assert parse(text) == (name, values)


@pytest.mark.parametrize("text", ["@w.pt", "resnet20@", "timm@w.pt", "timm:@w.pt", "a:b:c@w.pt", ":f@w.pt"])
def test_texts_of_no_form(text: str) -> None:
    with pytest.raises(TeacherError, match=r"names no teacher; expected ARCH"):
        parse(text)


def test_a_forgotten_file_and_an_existing_file_with_an_at(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match="there is no teacher file 'resnet56'; expected ARCH"):
        parse("resnet56")
    (tmp_path / "me@host.pt").touch()
    assert parse(str(tmp_path / "me@host.pt")) == ("autokd", {"file": str(tmp_path / "me@host.pt")})


@pytest.mark.parametrize(
    ("text", "arch", "fields"),
    [
        ("resnet14", "resnet", {"depth": 14, "width": 16}),
        ("resnet:depth=14,width=8", "resnet", {"depth": 14, "width": 8}),
        ("resnet", "resnet", {"depth": 14, "width": 8}),  # inferred
        ("resnet", "resnet", {"depth": 32, "width": 4}),
        ("resnet:width=24", "resnet", {"depth": 8, "width": 24}),
        ("mobilenet", "mobilenet", {"depth": 7, "width": 8}),
        ("cnn", "cnn", {"layers": 5, "width": 12}),
        ("mlp", "mlp", {"depth": 3, "width": 77}),
    ],
)
def test_own_architectures_answer_as_the_network_that_was_saved(
    text: str, arch: str, fields: dict[str, int], student: Student, saved: Saved, task: Task, inputs: Tensor
) -> None:
    network = student(arch, **fields)
    teacher = load_teacher(f"{text}@{saved(network.state_dict())}", task)
    with torch.no_grad():
        assert torch.equal(teacher.predict(inputs).logits, network(inputs).logits)
    assert teacher.offers.pooled == network(inputs).pooled.shape[1]


def test_wrong_architecture_unknown_architecture_and_wrong_field(student: Student, saved: Saved, task: Task) -> None:
    file = saved(student("resnet", depth=14, width=8).state_dict())
    with pytest.raises(TeacherError, match=r"\d+ missing .*\d+ of another shape"):
        load_teacher(f"resnet20@{file}", task)
    with pytest.raises(TeacherError, match="no teacher architecture 'resnet57'; did you mean 'resnet"):
        load_teacher(f"resnet57@{file}", task)
    with pytest.raises(ComponentError, match="no field 'dept'; did you mean 'depth'"):
        load_teacher(f"resnet:dept=14@{file}", task)
    with pytest.raises(ComponentError, match="depth must be 6n"):
        load_teacher(f"resnet:depth=15@{file}", task)


def test_class_counts_and_channels_that_differ_from_the_data(student: Student, saved: Saved, task: Task) -> None:
    file = saved(student("resnet", depth=8, width=4).state_dict())
    four = dataclasses.replace(task, classes=("a", "b", "c", "d"))
    with pytest.raises(TeacherError, match="tells 3 classes apart, but shapes has 4"):
        load_teacher(f"resnet@{file}", four)
    grey = dataclasses.replace(task, input_shape=(1, 16, 16), mean=(0.5,), std=(0.25,))
    with pytest.raises(TeacherError, match=r"conv1.weight: file \[4, 3, 3, 3\], model \[4, 1, 3, 3\]"):
        load_teacher(f"resnet@{file}", grey)


def test_an_image_teacher_does_not_take_tables(saved: Saved) -> None:
    table = Task(dataset="rows", modality="table", input_shape=(4,), classes=("a", "b"), train_size=9)
    with pytest.raises(TeacherError, match="a torchvision teacher takes image data; rows is table"):
        load_teacher(f"torchvision:resnet18@{saved({'w': torch.zeros(1)})}", table)


def test_damaged_weights_do_not_pass(student: Student, saved: Saved, task: Task) -> None:
    state = student("cnn", layers=2, width=4).state_dict()
    state["fc.bias"][0] = float("nan")
    with pytest.raises(TeacherError, match="answers with NaN or infinity"):
        load_teacher(f"cnn@{saved(state)}", task)


def test_a_bare_file_that_names_its_architecture(
    student: Student, saved: Saved, task: Task, tmp_path: Path, inputs: Tensor
) -> None:
    network, plain = student("cnn", layers=2, width=8), {"use": "cnn", "layers": 2, "width": 8}
    save_file(network.state_dict(), tmp_path / "w.safetensors", metadata={"autokd.student": json.dumps(plain)})
    named = saved({"state_dict": network.state_dict(), "autokd": {"format": 1, "student": plain}})
    teachers = [load_teacher(file, task) for file in (str(tmp_path / "w.safetensors"), named, f"cnn@{named}")]
    with torch.no_grad():
        assert all(torch.equal(teacher.predict(inputs).logits, network(inputs).logits) for teacher in teachers)
    assert len({teacher.fingerprint for teacher in teachers}) == 1
    assert describe(named)["arch"] == "cnn" and describe(named)["fields"] == ["layers=2", "width=8"]


def _bundle(folder: Path, network: nn.Module, plain: dict[str, Any], task: dict[str, Any]) -> str:
    folder.mkdir()
    save_file(network.state_dict(), folder / "student.safetensors")
    (folder / "model.json").write_text(json.dumps({"format": 1, "student": plain, "task": task}))
    return str(folder)


def test_a_bundle_brings_its_normalisation(student: Student, task: Task, tmp_path: Path, inputs: Tensor) -> None:
    network, plain = student("cnn", layers=2, width=8), {"use": "cnn", "layers": 2, "width": 8}
    facts = {"mean": [0.25, 0.5, 0.5], "std": [0.5, 0.25, 0.25], "classes": list(task.classes)}
    teacher = load_teacher(_bundle(tmp_path / "bundle", network, plain, facts), task)
    theirs = inputs.clone()
    theirs[:, 0] = (inputs[:, 0] * 0.25 + 0.5 - 0.25) / 0.5
    with torch.no_grad():
        torch.testing.assert_close(teacher.predict(inputs).logits, network(theirs).logits)


def test_a_bundle_with_the_classes_in_another_order(
    student: Student, task: Task, tmp_path: Path, inputs: Tensor
) -> None:
    network, plain = student("cnn", layers=2, width=8), {"use": "cnn", "layers": 2, "width": 8}
    file = _bundle(tmp_path / "bundle", network, plain, {"classes": ["ring", "disc", "star"]})
    with torch.no_grad():
        assert torch.equal(load_teacher(file, task).predict(inputs).logits, network(inputs).logits[:, [1, 0, 2]])


def test_a_bare_file_that_names_nothing_gets_the_best_fits(student: Student, saved: Saved, task: Task) -> None:
    file = saved({"state_dict": student("resnet", depth=14, width=8).state_dict()})
    with pytest.raises(TeacherError) as caught:
        load_teacher(file, task)
    lines = str(caught.value).splitlines()
    assert lines[0] == f"{file} does not say which architecture it holds; name it before an @."
    assert lines[2] == f"  --teacher resnet:depth=14,width=8@{file}   (92 of 92 tensors fit)"
    assert f"timm:NAME@{file}, torchvision:NAME@{file}, package.module:factory@{file}" in lines[-1]
    load_teacher(lines[2].split()[1], task)


def test_a_bare_file_of_an_unknown_architecture(saved: Saved, task: Task) -> None:
    with pytest.raises(TeacherError, match="None of autokd's architectures has keys like these"):
        load_teacher(saved({"encoder.0.w": torch.zeros(3, 3)}), task)


def test_torchvision(saved: Saved, task: Task, inputs: Tensor) -> None:
    with seeded(3):
        network = compat.torchvision().models.get_model("resnet18", weights=None, num_classes=3).eval()
    file = saved(network.state_dict())
    teacher = load_teacher(f"torchvision:resnet18:mean=0.25,std=0.5@{file}", task)
    with torch.no_grad():
        torch.testing.assert_close(teacher.predict(inputs).logits, network((inputs * 0.25 + 0.5 - 0.25) / 0.5))
    with pytest.raises(TeacherError, match="torchvision has no classifier 'resnet19'; did you mean 'resnet18'"):
        load_teacher(f"torchvision:resnet19@{file}", task)
    with pytest.raises(TeacherError, match="does not load whole"):
        load_teacher(f"torchvision:resnet34@{file}", task)
    with pytest.raises(TeacherError, match=r"cannot be built with .*TypeError.*depth"):
        load_teacher(f"torchvision:resnet18:depth=3@{file}", task)


def test_torchvision_takes_the_channels_of_the_data(saved: Saved, task: Task) -> None:
    grey = dataclasses.replace(task, input_shape=(1, 16, 16), mean=(0.5,), std=(0.25,))
    with seeded(3):
        network = compat.torchvision().models.get_model("resnet18", weights=None, num_classes=3).eval()
    with pytest.raises(TeacherError, match=r"conv1.weight: file \[64, 3, 7, 7\], model \[64, 1, 7, 7\]"):
        load_teacher(f"torchvision:resnet18@{saved(network.state_dict())}", grey)
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    teacher = load_teacher(f"torchvision:resnet18@{saved(network.state_dict())}", grey)
    assert torch.equal(teacher.predict(torch.ones(2, 1, 16, 16)).logits, network(torch.ones(2, 1, 16, 16)).detach())


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_timm(saved: Saved, task: Task, inputs: Tensor) -> None:
    compat.torchvision()
    import timm

    with seeded(3):
        network = timm.create_model("resnet10t", pretrained=False, num_classes=3).eval()
    file = saved(network.state_dict())
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    theirs = (inputs * 0.25 + 0.5 - mean.reshape(1, 3, 1, 1)) / std.reshape(1, 3, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(load_teacher(f"timm:resnet10t@{file}", task).predict(inputs).logits, network(theirs))
        own = load_teacher(f"timm:resnet10t:mean=0.5,std=0.25@{file}", task)
        torch.testing.assert_close(own.predict(inputs).logits, network(inputs))
    with pytest.raises(TeacherError, match="timm has no model 'resnet10x'; did you mean"):
        load_teacher(f"timm:resnet10x@{file}", task)


def test_timm_missing(saved: Saved, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependency, match=r"pip install 'autokd\[timm\]'"):
        load_teacher(f"timm:resnet10t@{saved({'w': torch.zeros(1)})}", task)


FACTORY = """
import torch
from torch import nn

def plain():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 3))

def sized(num_classes, hidden=5):
    return nn.Sequential(nn.Flatten(), nn.Linear(768, hidden), nn.Linear(hidden, num_classes))

def broken():
    raise OSError("no disk")

def number():
    return 3
"""


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_teacher_nets.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_teacher_nets", raising=False)


@pytest.mark.usefixtures("in_folder")
def test_factories_of_the_current_folder(saved: Saved, task: Task, inputs: Tensor) -> None:
    before = list(sys.path)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(768, 3))
    teacher = load_teacher(f"my_teacher_nets:plain@{saved(flat.state_dict())}", task)
    assert torch.equal(teacher.predict(inputs).logits, flat(inputs).detach())
    deep = nn.Sequential(nn.Flatten(), nn.Linear(768, 6), nn.Linear(6, 3))
    teacher = load_teacher(f"my_teacher_nets:sized:hidden=6@{saved(deep.state_dict())}", task)
    assert torch.equal(teacher.predict(inputs).logits, deep(inputs).detach())
    assert sys.path == before


@pytest.mark.usefixtures("in_folder")
@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("my_teacher_nets:plan", "no function 'plan'; did you mean 'plain'"),
        ("my_teacher_nets:broken", "broken failed: OSError: no disk"),
        ("my_teacher_nets:number", "must return an nn.Module, got int"),
        ("my_teacher_netz:plain", "'my_teacher_netz' cannot be imported: ModuleNotFoundError"),
    ],
)
def test_factories_that_fail(head: str, message: str, saved: Saved, task: Task) -> None:
    before = list(sys.path)
    with pytest.raises(TeacherError, match=message):
        load_teacher(f"{head}@{saved({'w': torch.zeros(1)})}", task)
    assert sys.path == before


@pytest.mark.usefixtures("in_folder")
def test_a_factory_with_a_fixed_class_count(saved: Saved, task: Task) -> None:
    file = saved(nn.Sequential(nn.Flatten(), nn.Linear(768, 3)).state_dict())
    two = dataclasses.replace(task, classes=("a", "b"))
    with pytest.raises(TeacherError, match="tells 3 classes apart, but shapes has 2"):
        load_teacher(f"my_teacher_nets:plain@{file}", two)
    small = dataclasses.replace(task, input_shape=(3, 8, 8))
    with pytest.raises(TeacherError, match=r"does not take this data's samples of shape \[3, 8, 8\]: RuntimeError"):
        load_teacher(f"my_teacher_nets:plain@{file}", small)


def test_input_size_resizes_inside_the_teacher(student: Student, saved: Saved, task: Task, inputs: Tensor) -> None:
    network = student("cnn", layers=2, width=8)
    file = saved(network.state_dict())
    small = dataclasses.replace(task, input_shape=(3, 8, 8))
    teacher = load_teacher(f"cnn:input_size=16@{file}", small)
    images = inputs[:, :, :8, :8]
    larger = nn.functional.interpolate(images, size=(16, 16), mode="bilinear")
    with torch.no_grad():
        torch.testing.assert_close(teacher.predict(images).logits, network(larger).logits, atol=1e-5, rtol=1e-5)
    assert teacher.fingerprint != load_teacher(f"cnn@{file}", small).fingerprint
    table = Task(dataset="rows", modality="table", input_shape=(4,), classes=("a", "b", "c"), train_size=9)
    with pytest.raises(TeacherError, match="input_size is for images"):
        load_teacher(f"mlp:input_size=16@{file}", table)


@pytest.mark.parametrize(
    ("options", "message"), [("mean=0.1,0.2", "need 1 or 3 values"), ("std=0.1,0.1,0", "std must be positive")]
)
def test_normalisation_that_does_not_fit(
    options: str, message: str, student: Student, saved: Saved, task: Task
) -> None:
    with pytest.raises(TeacherError, match=message):
        load_teacher(f"cnn:{options}@{saved(student('cnn').state_dict())}", task)


def test_the_fingerprint_tells_weights_and_normalisation_apart(student: Student, saved: Saved, task: Task) -> None:
    network = student("cnn", layers=2, width=8)
    first = saved(network.state_dict())
    texts = [f"cnn@{first}", f"cnn:mean=0.4@{first}", f"cnn:std=0.4@{first}"]
    network.get_parameter("fc.bias").data[0] += 1
    texts.append(f"cnn@{saved(network.state_dict(), 'second.pt')}")
    assert len({load_teacher(text, task).fingerprint for text in texts}) == 4
    assert load_teacher(texts[0], task).fingerprint == load_teacher(texts[0], task).fingerprint


def test_a_description_is_json_and_loads_the_same_teacher(student: Student, saved: Saved, task: Task) -> None:
    file = saved(student("cnn", layers=2, width=8).state_dict())
    text = f"cnn:layers=2,mean=0.5,0.4,0.3@{file}"
    plain = json.loads(json.dumps(describe(text)))
    assert plain["use"] == "autokd" and plain["file"] == file and len(plain["fingerprint"]) == 16
    assert to_component(plain) == to_component(text)
    assert load_teacher(plain, task).fingerprint == load_teacher(text, task).fingerprint
    saved(student("cnn", layers=3, width=8).state_dict())
    with pytest.raises(TeacherError, match="has changed: its fingerprint is"):
        load_teacher(plain, task)


def test_loading_leaves_the_random_state_alone(student: Student, saved: Saved, task: Task) -> None:
    file = saved(student("resnet", depth=8, width=4).state_dict())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load_teacher(f"resnet@{file}", task)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_table_teacher(saved: Saved) -> None:
    table = Task(dataset="rows", modality="table", input_shape=(6,), classes=("a", "b"), train_size=9)
    network = spec.make("students", "mlp", {"depth": 2, "width": 9}).build(BuildContext(task=table)).eval()
    rows = torch.ones(2, 6)
    teacher = load_teacher(f"mlp@{saved(network.state_dict())}", table)
    assert torch.equal(teacher.predict(rows).logits, network(rows).logits.detach())
