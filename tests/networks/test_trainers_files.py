"""Checkpoints as trainers leave them, made by the real libraries where these are installed, load without any option."""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import enum
import importlib.util
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from autokd import compat, spec
from autokd.errors import TeacherError
from autokd.networks import state_file
from autokd.networks.class_names import teachers_task
from autokd.networks.models import seeded
from autokd.networks.plain_pickle import read_plain
from autokd.networks.weight_names import fit_names
from autokd.networks.weights import load_whole
from autokd.types import BuildContext, Task

Saved = Callable[..., str]
State = Mapping[str, Tensor]


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3))


def loaded(file: str | Path, task: Task, key: str = "") -> dict[str, Tensor]:
    """The weights that a network has after loading a file."""
    fresh, content = net(), state_file.read(file, key)
    load_whole(fresh, content.state, task, str(file), content.note)
    return fresh.state_dict()


def assert_same(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key].to(found[key].dtype)) for key in expected)


def compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")  # compiles nothing before it is called


def under(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


class Mode(enum.Enum):
    FAST = 1


class Options:
    """What a user's own code keeps beside the weights."""

    def __init__(self) -> None:
        self.rate, self.mode = 0.1, Mode.FAST


class Settings(dict[str, Any]):
    """A user's own kind of mapping."""


def beside() -> dict[str, Any]:
    """What stands beside the weights: plain data, and objects of classes that no other process has."""
    return {
        "epoch": 9,
        "args": argparse.Namespace(lr=0.1, out=Path("runs/1"), mean=np.float64(0.5), mode=Mode.FAST),
        "best": np.float32(81.5),
        "history": np.arange(3.0),
        "when": datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
        "took": datetime.timedelta(seconds=3),
        "path": Path("a/b"),
        "counts": collections.defaultdict(int, a=1),
        "last": collections.deque([1, 2]),
        "share": decimal.Decimal("0.1"),
        "splits": frozenset({"train"}),
        "range": range(3),
        "options": Options(),
        "settings": Settings(a=Settings(b=1)),
        "activation": nn.functional.relu,
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_what_stands_beside_the_weights_is_no_reason_against_them(zipped: bool, task: Task, tmp_path: Path) -> None:
    state = net().state_dict()
    torch.save({"state_dict": state, **beside()}, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert_same(loaded(tmp_path / "w.pt", task), state)
    note = state_file.read(tmp_path / "w.pt").note
    assert "test_trainers_files.Mode" in note and "are not read" in note and "Namespace" not in note


def test_timm_s_training_script(saved: Saved, task: Task) -> None:
    model, averaged = net(), net()
    momentum = {number: {"momentum_buffer": torch.ones(50, 50)} for number in range(6)}
    file = saved(
        {
            "epoch": 3,
            "arch": "resnet10t",
            "state_dict": model.state_dict(),
            "optimizer": {"state": momentum, "param_groups": [{"lr": 0.1, "params": list(momentum)}]},
            "version": 2,
            "args": argparse.Namespace(model="resnet10t", lr=0.1, mean=None, data_dir="/data"),
            "amp_scaler": {"scale": 65536.0, "growth_tracker": 3},
            "state_dict_ema": averaged.state_dict(),
            "metric": np.float64(81.2),
        }
    )
    assert_same(loaded(file, task), averaged.state_dict())
    assert_same(loaded(file, task, "state_dict"), model.state_dict())
    note = state_file.read(file).note
    assert note == (
        "takes the weights under state_dict_ema, which are averaged; key=state_dict before the @ takes the others"
    )


@pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is not installed")
def test_timm_s_own_saver_and_averages(task: Task, tmp_path: Path) -> None:
    compat.torchvision()
    from timm.utils.checkpoint_saver import CheckpointSaver
    from timm.utils.model_ema import ModelEmaV2, ModelEmaV3

    model = net()
    averaged = ModelEmaV3(model, decay=0.5)
    with torch.no_grad():
        model.get_parameter("0.weight").add_(1)
    averaged.update(model)
    saver = CheckpointSaver(
        model,
        torch.optim.SGD(model.parameters(), lr=0.1),
        args=argparse.Namespace(model="net"),
        model_ema=averaged,
        checkpoint_dir=str(tmp_path),
        recovery_dir=str(tmp_path),
    )
    saver.save_checkpoint(0, metric=0.5)
    (file,) = tmp_path.glob("checkpoint-*.pth.tar")
    assert_same(loaded(file, task), averaged.module.state_dict())
    for kind, name in ((averaged, "3.pt"), (ModelEmaV2(model), "2.pt")):
        torch.save(kind.state_dict(), tmp_path / name)
        assert_same(loaded(tmp_path / name, task), kind.module.state_dict())


def test_torchvision_s_references(saved: Saved, task: Task, caplog: pytest.LogCaptureFixture) -> None:
    model = net()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [torch.optim.lr_scheduler.LinearLR(optimizer), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9)],
        milestones=[3],
    )
    for parameter in averaged.parameters():
        parameter.data.add_(0.5)
    file = saved(
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "lr_scheduler": scheduler.state_dict(),
            "epoch": 3,
            "args": argparse.Namespace(weights=None, device="cuda"),
            "model_ema": averaged.state_dict(),
        }
    )
    with caplog.at_level(logging.WARNING):
        assert_same(loaded(file, task), averaged.module.state_dict())
        loaded(file, task)
    said = [record.getMessage() for record in caplog.records if file in record.getMessage()]
    assert len(said) == 1 and "under model_ema, which are averaged; key=model" in said[0]
    assert "1 tensor(s) of it not used (n_averaged)" in said[0]
    assert_same(loaded(file, task, "model"), model.state_dict())


def test_an_averaged_model_by_itself(saved: Saved, task: Task) -> None:
    model = torch.optim.swa_utils.AveragedModel(net())
    assert_same(loaded(saved(model.state_dict()), task), model.module.state_dict())


def lightning(state: State) -> dict[str, Any]:
    """What Lightning's `Trainer.save_checkpoint` writes, by its documentation."""
    return {
        "epoch": 4,
        "global_step": 100,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 5}}}},
        "callbacks": {"ModelCheckpoint{'monitor': 'val_loss'}": {"best_model_score": torch.tensor(0.3)}},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(50, 50)}}, "param_groups": []}],
        "lr_schedulers": [],
        "hparams_name": "kwargs",
        "hyper_parameters": {"lr": 0.1, "net": Options(), "args": argparse.Namespace(classes=5)},
    }


@pytest.mark.parametrize(
    "prefix", ["model.", "net.", "backbone.network.", "model._orig_mod.", "_forward_module.model."]
)
def test_lightning(prefix: str, saved: Saved, task: Task, caplog: pytest.LogCaptureFixture) -> None:
    state = net().state_dict()
    others = {"criterion.weight": torch.ones(10), "val_acc.tp": torch.zeros(10), "step": torch.tensor(3)}
    file = saved(lightning({**under(prefix, state), **others}), f"{prefix}ckpt")
    with caplog.at_level(logging.WARNING):
        assert_same(loaded(file, task), state)
    assert "3 tensor(s) of it not used (criterion.weight, val_acc.tp, step)" in caplog.text


def test_lightning_with_the_layers_in_the_module_itself(saved: Saved, task: Task) -> None:
    state = net().state_dict()
    others = {"criterion.weight": torch.ones(10), "val_metrics.acc.tp": torch.zeros(10), "loss_fn.pos": torch.ones(3)}
    assert_same(loaded(saved(lightning({**state, **others})), task), state)


@pytest.mark.parametrize("wrapper", [nn.DataParallel, compiled, lambda m: nn.DataParallel(compiled(m))])
def test_wrapped_networks(wrapper: Callable[[nn.Module], nn.Module], saved: Saved, task: Task) -> None:
    model = net()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    assert_same(loaded(saved(wrapper(model).state_dict()), task), state)


def test_a_network_of_which_a_part_was_compiled(saved: Saved, task: Task) -> None:
    model = nn.Sequential(*net())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model[1] = compiled(model[1])
    file = saved({"module": model.state_dict()})
    assert any("_orig_mod" in key for key in state_file.read(file).state)
    assert_same(loaded(file, task), state)


@pytest.mark.parametrize(
    ("wrap", "key"),
    [
        (lambda one, other: {"ema": {"module": one, "updates": 3}, "model": other}, "model"),
        (lambda one, other: {"swa_state_dict": one, "model_state_dict": other}, "model_state_dict"),
        (lambda one, other: {"model": {"net": one}, "optim": {"big": torch.zeros(9999)}, "w": other}, "w"),
        (lambda one, other: {"state": {"model": one, "rng": {"cpu": torch.zeros(5056)}}}, ""),
        (lambda one, other: {"teacher_weights": one, "best_acc": torch.tensor(0.5), "seed": {"x": torch.ones(1)}}, ""),
        (
            lambda one, other: {
                "meta": {"mmengine_version": "0.10.4", "experiment": Options()},
                "state_dict": one,
                "ema_state_dict": {"steps": torch.tensor(3), **under("module.", other)},
            },
            "ema_state_dict",
        ),
        (lambda one, other: {**under("ema_model.module.", one), **under("model.", other)}, "model"),
        (lambda one, other: {"state_dict": {**under("model_ema.", one), **under("model.", other)}}, "model"),
    ],
)
def test_what_the_trainer_would_evaluate_and_the_other_by_its_key(
    wrap: Callable[[State, State], dict[str, Any]], key: str, saved: Saved, task: Task
) -> None:
    one, other = net().state_dict(), net().state_dict()
    file = saved(wrap(one, other))
    assert_same(loaded(file, task), one)
    if key:
        assert_same(loaded(file, task, key), other)


def test_several_networks_none_of_which_is_meant(saved: Saved, task: Task) -> None:
    one, other = net().state_dict(), net().state_dict()
    file = saved({"generator": one, "discriminator": other})
    with pytest.raises(TeacherError, match=r"several sets of weights: generator, discriminator; .* key=generator"):
        loaded(file, task)
    assert_same(loaded(file, task, "discriminator"), other)
    flat = saved({**under("student.net.", one), **under("teacher.net.", other)}, "flat.pt")
    with pytest.raises(
        TeacherError, match=r"2 networks .*begin with student\.net\., teacher\.net\.; .*key=student\.net"
    ):
        loaded(flat, task)
    assert_same(loaded(flat, task, "teacher"), other)
    assert_same(loaded(flat, task, "teacher.net"), other)
    with pytest.raises(TeacherError, match="no weights under 'nobody'; the keys of weights in it: generator, disc"):
        loaded(file, task, "nobody")


def test_a_network_of_another_width_beside_it_is_no_rival(saved: Saved, task: Task) -> None:
    state = net().state_dict()
    small = nn.Sequential(nn.Linear(4, 2), nn.BatchNorm1d(2), nn.Linear(2, 3)).state_dict()
    assert_same(loaded(saved({**under("student.", small), **under("teacher.", state)}), task), state)


def test_a_key_in_safetensors_is_a_beginning_of_names(task: Task, tmp_path: Path) -> None:
    one, other = net().state_dict(), net().state_dict()
    save_file({**under("a.", one), **under("b.", other)}, tmp_path / "w.safetensors")
    assert_same(loaded(tmp_path / "w.safetensors", task, "b"), other)


def test_a_larger_network_does_not_pass_for_a_smaller_one(saved: Saved, task: Task) -> None:
    larger = nn.Sequential(*net(), nn.Linear(3, 3))
    with pytest.raises(TeacherError, match=r"2 unexpected \(3.weight, 3.bias\)"):
        loaded(saved(larger.state_dict()), task)
    with pytest.raises(TeacherError, match=r"2 unexpected \(3.weight, 3.bias\)"):
        loaded(saved(under("module.", larger.state_dict())), task)
    with pytest.raises(TeacherError, match=r"1 unexpected .normalize.mean"):  # what it is fed differs
        loaded(saved({**net().state_dict(), "normalize.mean": torch.zeros(3)}), task)


def test_what_tools_leave_in_every_module_is_passed_over(saved: Saved, task: Task) -> None:
    state = net().state_dict()
    left = {"total_ops": torch.zeros(1), "0.total_params": torch.zeros(1), "num_batches": torch.tensor(7)}
    assert_same(loaded(saved({**state, **left, "epoch": 3, "name": "net"}), task), state)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype, saved: Saved, task: Task) -> None:
    state = {key: v.to(dtype) if v.is_floating_point() else v for key, v in net().state_dict().items()}
    assert_same(loaded(saved({"module." + key: value for key, value in state.items()}), task), state)


def test_tensors_without_numbers_are_none(saved: Saved, task: Task) -> None:
    state = dict(net().state_dict())
    for odd in (torch.empty(5, 4, device="meta"), torch.zeros(5, 4).to_sparse()):
        with pytest.raises(TeacherError, match=r"1 missing \(0.weight\)"):
            loaded(saved({**state, "0.weight": odd}), task)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (net, "torch.save(torch.load(FILE, weights_only=False).state_dict(), NEW)"),
        (
            lambda: {"model": net(), "epoch": 1},
            "torch.save(torch.load(FILE, weights_only=False)['model'].state_dict(), NEW)",
        ),
        (
            lambda: {
                "ema": None,
                "model": net(),
                "optimizer": {"state": {0: {"m": torch.ones(9)}}},
                "best": torch.ones(1),
            },
            "torch.load(FILE, weights_only=False)['model'].state_dict()",
        ),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_whole_networks_are_refused_with_advice_that_works(
    content: Callable[[], Any], advice: str, zipped: bool, task: Task, tmp_path: Path
) -> None:
    file = tmp_path / "w.pt"
    torch.save(content(), file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(TeacherError, match="holds a whole network") as caught:
        loaded(file, task)
    assert "\n" not in str(caught.value)
    if not zipped:  # early files name the source first, so that the key is not known yet
        return
    assert advice in str(caught.value)
    code = str(caught.value).partition("alone: ")[2]
    torch.serialization.clear_safe_globals()
    exec(code, {"torch": torch, "FILE": file, "NEW": tmp_path / "new.pt"})
    loaded(tmp_path / "new.pt", task)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("w.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "pointer of Git LFS .*: git lfs pull"),
        ("w.pt", b"<!DOCTYPE html><html>", "is a web page"),
        ("w.pt", b"\x1f\x8b\x08\x00abc", "is compressed with gzip"),
        ("w.h5", b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        ("w.pkl", b"\x80\x04K\x01.", "is a pickle, but none of torch.save"),
        ("pytorch_model-00001-of-00002.bin", b"PK", "one of several files of a network"),
        ("model-00001-of-00003.safetensors", b"", "one of several files of a network"),
        ("model.safetensors.index.json", b"{}", "one of several files of a network, or their index"),
        ("__0_0.distcp", b"", "one of several files of a network"),
    ],
)
def test_files_that_are_something_else(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TeacherError, match=message) as caught:
        state_file.read(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_torchscript_and_other_protocols(tmp_path: Path) -> None:
    torch.save(net().state_dict(), tmp_path / "4.pt", pickle_protocol=4)
    with pytest.raises(TeacherError, match=r"a later protocol of pickle .*: torch.save"):
        state_file.read(tmp_path / "4.pt")


def test_folders_of_other_tools(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(TeacherError, match=r"to load one of its files, name that: .*model\.safetensors"):
        state_file.read(tmp_path)
    (tmp_path / "model-00001-of-00002.safetensors").touch()
    with pytest.raises(TeacherError, match="one network in several files"):
        state_file.read(tmp_path)


@pytest.mark.parametrize(
    "where",
    [
        lambda names: {"classes": names},
        lambda names: {"class_to_idx": {name: index for index, name in enumerate(names)}},
        lambda names: {"names": dict(enumerate(names))},
        lambda names: {"hyper_parameters": {"class_names": tuple(names)}},
        lambda names: {"args": argparse.Namespace(classes=names, lr=0.1)},
        lambda names: {"meta": {"dataset_meta": {"classes": tuple(names)}}},
        lambda names: {"classes": np.array(names)},
        lambda names: {"classes": np.array(names, dtype=object)},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_names_of_classes_are_taken_from_the_file(
    where: Callable[[list[str]], dict[str, Any]], zipped: bool, task: Task, tmp_path: Path
) -> None:
    names = ["star", "disc", "ring\u00e9"]
    file = tmp_path / "w.pt"
    torch.save({"model": net().state_dict(), **where(names)}, file, _use_new_zipfile_serialization=zipped)
    assert state_file.read(file).classes == tuple(names)


@pytest.mark.parametrize(
    "odd", [7, ["a", "b", "c", "d", "e", "f", "g"], [0, 1, 2], "abc", None, {"a": 1}, [[1], [2], [3]]]
)
def test_what_is_no_list_of_this_network_s_classes_is_passed_over(odd: object, saved: Saved, task: Task) -> None:
    content = state_file.read(saved({"model": net().state_dict(), "classes": odd}))
    assert content.classes == () and teachers_task(task, (), content.classes, "t") is task


def test_fit_names_says_what_is_left() -> None:
    expected = {"a.w": torch.zeros(2), "b": torch.zeros(3)}
    fit = fit_names({"x.a.w": torch.ones(2), "x.b": torch.ones(3), "y": torch.ones(1)}, expected)
    assert list(fit.state) == ["a.w", "b"] and fit.unused == ("y",) and fit.rivals == ()
    assert fit_names({}, expected).state == {}


def test_the_stand_ins_are_gone_afterwards(saved: Saved) -> None:
    before = torch.serialization.get_safe_globals()
    read_plain(Path(saved({"o": Options()})))
    assert torch.serialization.get_safe_globals() == before


def test_a_key_is_asked_for_wherever_the_file_is_read(saved: Saved, task: Task) -> None:
    """Where the file alone leaves open which network is meant, neither a description nor a trial may read it so."""
    from autokd.networks.reference import describe, load_teacher, to_component
    from autokd.teaching.checked import Given

    with seeded(3):
        student = spec.make("students", "cnn", {"layers": 2, "width": 4}).build(BuildContext(task=task))
    named = {"autokd": {"format": 1, "student": {"use": "cnn", "layers": 2, "width": 4}}}
    text = f"cnn:key=b@{saved({'a': student.state_dict(), 'b': student.state_dict(), **named})}"
    plain = describe(text)
    assert plain["key"] == "b"
    assert load_teacher(plain, task).fingerprint == load_teacher(text, task).fingerprint
    open_fields = frozenset({"classes"})
    given = Given(component=to_component(text), open=open_fields, build=lambda changed: load_teacher(text, task))
    assert given.may_reorder(given.build({}), task)
    bare = describe({key: value for key, value in plain.items() if key not in ("arch", "fields", "fingerprint")})
    assert bare["arch"] == "cnn"
