"""Reading checkpoints, and loading them whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from autokd.errors import TeacherError
from autokd.networks import state_file
from autokd.networks.options import read_options
from autokd.networks.weights import load_whole
from autokd.types import Task


def linear(inputs: int = 4, classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 5), nn.BatchNorm1d(5), nn.Linear(5, classes))


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "net", "model_state_dict", "state_dict_ema"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "student.", "_orig_mod.", "module._orig_mod.model."])
def test_wrappers_and_prefixes_are_taken_off(wrapper: str, prefix: str, saved: Callable[..., str], task: Task) -> None:
    trained, fresh = linear(), linear()
    file = saved({wrapper: {prefix + key: value for key, value in trained.state_dict().items()}, "epoch": 3})
    load_whole(fresh, state_file.read(file).state, task, file)
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in trained.state_dict().items())


def test_averaged_weights_come_before_the_last_ones(saved: Callable[..., str]) -> None:
    file = saved({"state_dict": {"w": torch.zeros(1)}, "state_dict_ema": {"w": torch.ones(1)}})
    assert state_file.read(file).state["w"].item() == 1


def test_a_prefix_that_the_network_itself_has_is_kept(saved: Callable[..., str], task: Task) -> None:
    trained, fresh = nn.ModuleDict({"model": linear()}), nn.ModuleDict({"model": linear()})
    load_whole(fresh, state_file.read(saved(trained.state_dict())).state, task, "file")
    assert torch.equal(fresh["model"][0].weight, trained["model"][0].weight)  # type: ignore[index]


def test_a_prefix_on_some_keys_only_is_an_error(saved: Callable[..., str], task: Task) -> None:
    state = linear().state_dict()
    state["module.0.weight"] = state.pop("0.weight")
    with pytest.raises(TeacherError, match=r"1 missing \(0.weight\); 1 unexpected \(module.0.weight\)"):
        load_whole(linear(), state, task, "file")


def test_safetensors_with_the_student_in_its_metadata(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    save_file(linear().state_dict(), file, metadata={"autokd.student": json.dumps({"use": "mlp", "depth": 2})})
    content = state_file.read(file)
    assert content.student == {"use": "mlp", "depth": 2}
    assert content.state["2.weight"].shape == (3, 5)


def test_all_that_does_not_fit_is_counted_and_the_first_is_named(task: Task) -> None:
    state = linear(inputs=6).state_dict()
    del state["1.weight"], state["1.running_var"]
    for index in range(4):
        state[f"extra.{index}"] = torch.zeros(1)
    with pytest.raises(TeacherError) as caught:
        load_whole(linear(), state, task, "w.pt")
    text = str(caught.value)
    assert text.startswith("w.pt does not load whole")
    assert "2 missing (1.weight, 1.running_var)" in text
    assert "4 unexpected (extra.0, extra.1, extra.2, …)" in text
    assert "1 of another shape or type (0.weight: file [5, 6], model [5, 4])" in text
    assert "\n" not in text


def test_integer_weights_do_not_pass_for_real_ones(task: Task) -> None:
    state = {key: value.to(torch.int8) for key, value in nn.Linear(4, 3).state_dict().items()}
    with pytest.raises(TeacherError, match=r"weight: file torch.int8, model torch.float32"):
        load_whole(nn.Linear(4, 3), state, task, "w.pt")


def test_half_precision_weights_and_absent_batch_counters_load(task: Task) -> None:
    trained, fresh = linear(), linear()
    state = {k: v.half() for k, v in trained.state_dict().items() if not k.endswith("num_batches_tracked")}
    load_whole(fresh, state, task, "w.pt")
    weight = "0.weight"
    assert torch.equal(fresh.state_dict()[weight], trained.state_dict()[weight].half().float())


def test_other_class_counts_are_named(task: Task) -> None:
    with pytest.raises(TeacherError, match=r"w.pt tells 100 classes apart, but shapes has 3"):
        load_whole(linear(), linear(classes=100).state_dict(), task, "w.pt")


def _cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("size", [0, 10, 100, 1000, -5])
def test_a_file_cut_short_is_one_clear_line(tmp_path: Path, zipped: bool, size: int) -> None:
    path = tmp_path / "w.pt"
    torch.save({"w": torch.zeros(500)}, path, _use_new_zipfile_serialization=zipped)
    _cut(path, size)
    with pytest.raises(TeacherError, match="damaged") as caught:
        state_file.read(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 5, 100, -5])
def test_safetensors_cut_short(tmp_path: Path, size: int) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"w": torch.zeros(500)}, path)
    _cut(path, size)
    with pytest.raises(TeacherError, match="not a whole safetensors file"):
        state_file.read(path)


@pytest.mark.parametrize("text", ["", "hello world\n"])
def test_text_is_no_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "w.pt").write_text(text)
    with pytest.raises(TeacherError, match="damaged"):
        state_file.read(tmp_path / "w.pt")


def test_a_pickle_that_would_run_code_does_not(tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / "w.pt"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR.")
    with pytest.raises(TeacherError):
        state_file.read(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"model": {}}, torch.zeros(2)])
def test_a_file_without_a_state_dict(content: object, saved: Callable[..., str]) -> None:
    with pytest.raises(TeacherError, match="holds no state dict"):
        state_file.read(saved(content))


def test_missing_file_and_folder_that_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"there is no teacher file .*nowhere\.pt"):
        state_file.read(tmp_path / "nowhere.pt")
    with pytest.raises(TeacherError, match=r"not a student bundle: it needs model\.json"):
        state_file.read(tmp_path)


def test_a_bundle_of_a_later_format_is_refused(tmp_path: Path) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / "student.safetensors")
    (tmp_path / "model.json").write_text('{"format": 2, "student": {"use": "mlp"}}')
    with pytest.raises(TeacherError, match="has format 2; this version of autokd reads format 1"):
        state_file.read(tmp_path)


def test_options() -> None:
    found = read_options(["depth=56", "rate=1e-2", "sizes=8,16", "bias=true", "act=none", "name=gelu"])
    assert found == {"depth": 56, "rate": 0.01, "sizes": [8, 16], "bias": True, "act": None, "name": "gelu"}
    with pytest.raises(TeacherError, match="expected key=value, got 'depth'"):
        read_options(["depth"])
