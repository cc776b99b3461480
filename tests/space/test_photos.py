"""Spaces of students of other libraries: how they begin, at what rates, and what is left where weights are missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from autokd import catalog, spec
from autokd.engine.start import Started
from autokd.errors import ComponentError, SpaceError
from autokd.networks.models import seeded
from autokd.recipes.apply import portfolio
from autokd.space import Space, find, parse, with_weights
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Shapes, Task

NET, OTHER, VIT = "timm:test_efficientnet", "timm:test_resnet", "timm:test_vit"
TASK = task_of((3, 32, 32), classes=4)
TEACHER = Shapes(((16, 8, 8), (32, 4, 4)), 32, head=True)
TEXT = """
student: {one_of: {timm:test_efficientnet: {}, timm:test_resnet: {drop_path: {choice: [0.0, 0.1]}}}}
augment: {always: {none: {}}}
losses: {always: {ce: {}}, any_of: {from: {kd: {}}}}
optimizer:
  one_of: {sgd: {}, adamw: {}}
  from_weights: {sgd: {learning_rate: {float: [1e-3, 3e-2], log: true}}}
schedule: {always: {cosine: {}}}
"""


def weights(path: Path, name: str = NET, task: Task = TASK, **fields: Any) -> Path:
    """A file with a library's own names of tensors."""
    path.parent.mkdir(exist_ok=True)
    with seeded(3):
        network: Any = spec.make("students", name, fields).build(BuildContext(task=task)).network
    if path.suffix == ".safetensors":
        save_file(network.state_dict(), path)
    else:
        torch.save(network.state_dict(), path)
    return path


def resolved(space: Space) -> Space:
    return space.resolve(TASK, TEACHER)


def begun(plain: dict[str, Any], task: Task = TASK) -> tuple[Any, list[str]]:
    pipeline = spec.from_plain(plain)
    assert pipeline.init is not None
    started = Started(pipeline.student, pipeline.init)
    with seeded(0):
        return started.build(BuildContext(task=task)), started.notes


def test_each_student_begins_with_its_own_file(tmp_path: Path) -> None:
    weights(tmp_path / "test_efficientnet.pth", task=task_of((3, 32, 32), classes=9))
    weights(tmp_path / "test_resnet.r160_in1k.pth", OTHER)
    weights(tmp_path / "test_resnet_like.pth", OTHER)
    (tmp_path / "README.md").write_text("not weights")
    space = resolved(with_weights(parse(TEXT), tmp_path))
    rng, seen = np.random.default_rng(0), set()
    for number in range(12):
        drawn = space.sample(rng, number)
        network, notes = begun(drawn.plain)
        use, path = drawn.plain["student"]["use"], Path(drawn.plain["init"]["path"])
        seen.add((use, path.name))
        assert space.params_of(drawn.plain) == drawn.params and len(drawn.plain["init"]["digest"]) == 16
        assert set(drawn.params or ()) >= {"student", "optimizer.sgd.learning_rate"}
        assert drawn.plain["optimizer"]["use"] == "sgd" and drawn.plain["optimizer"]["learning_rate"] <= 3e-2
        file = torch.load(path, weights_only=True)
        state = network.network.state_dict()
        left = [key for key in state if not torch.equal(state[key], file[key])]
        assert left == (["classifier.weight", "classifier.bias"] if use == NET else [])
        assert (["tells 9 classes apart, not 4" in note for note in notes]) == ([True] if use == NET else [])
    assert seen == {(NET, "test_efficientnet.pth"), (OTHER, "test_resnet.r160_in1k.pth")}
    assert spec.fingerprint(space.identity()) != spec.fingerprint(resolved(parse(TEXT)).identity())


def test_recipes_begin_with_the_weights_at_a_lower_rate(tmp_path: Path) -> None:
    weights(tmp_path / "test_efficientnet.pth")
    recipes = portfolio(resolved(with_weights(parse(TEXT), tmp_path)), TASK, TEACHER).recipes
    found = {recipe.rule.name: recipe.drawn for recipe in recipes}
    assert {"kd", "alone"} <= found.keys() and found["kd"].params is not None
    assert all(drawn.plain["init"]["use"] == "pretrained" for drawn in found.values())
    assert found["kd"].plain["optimizer"]["learning_rate"] == 3e-2  # the end of its range
    random = portfolio(resolved(parse(TEXT)), TASK, TEACHER).recipes[0].drawn.plain
    assert "init" not in random and random["optimizer"]["learning_rate"] == 0.1


def test_students_without_weights_are_left_out_with_the_reason(tmp_path: Path) -> None:
    weights(tmp_path / "test_resnet" / "pytorch_model.bin", OTHER)
    space = with_weights(parse(TEXT), tmp_path)
    assert [c.use for c in space.parts["student"].candidates] == [OTHER]
    assert space.dropped == (f"student.one_of.{NET}: {tmp_path} has no weights for it",)


def test_a_space_may_name_a_file_for_some_students_and_the_others_begin_at_random(tmp_path: Path) -> None:
    weights(tmp_path / "mine.pt")
    text = TEXT.replace("timm:test_efficientnet: {}", "timm:test_efficientnet: {weights: mine.pt}")
    space = resolved(parse(text, folder=tmp_path))
    rng = np.random.default_rng(0)
    drawn = [space.sample(rng, number) for number in range(12)]
    starts = {(each.plain["student"]["use"], each.plain["init"]["use"]) for each in drawn}
    assert starts == {(NET, "pretrained"), (OTHER, "random")}
    assert {each.plain["optimizer"]["use"] for each in drawn} == {"sgd", "adamw"}
    assert all(space.params_of(each.plain) == each.params for each in drawn)
    with pytest.raises(SpaceError, match=r"student.one_of.timm:test_efficientnet.weights: there is no file"):
        parse(text, folder=tmp_path / "elsewhere")


def test_weights_that_do_not_fit_or_are_missing_are_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(
        SpaceError, match=r"no weights for any student; looked for test_efficientnet.safetensors, test_"
    ):
        with_weights(parse(TEXT), tmp_path)
    with pytest.raises(SpaceError, match="there is no such folder"):
        with_weights(parse(TEXT), tmp_path / "nowhere")
    with pytest.raises(SpaceError, match="none of the students is of timm or torchvision"):
        with_weights(parse(*find("digits")), tmp_path)
    weights(tmp_path / "test_efficientnet.pth", OTHER)
    weights(tmp_path / "test_resnet.pth", OTHER)
    space = resolved(with_weights(parse(TEXT), tmp_path))
    assert [c.use for c in space.parts["student"].candidates] == [OTHER]
    assert "does not fit this student" in space.dropped[0] and "\n" not in space.dropped[0]


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    file = weights(tmp_path / "test_efficientnet.pth")
    drawn = resolved(with_weights(parse(TEXT), tmp_path)).default()
    torch.save({**torch.load(file, weights_only=True), "conv_stem.weight": torch.zeros(24, 3, 3, 3)}, file)
    with pytest.raises(ComponentError, match=r"have changed: their digest is"):
        begun(drawn.plain)


@pytest.mark.parametrize(
    ("place", "fed"),
    [("test_efficientnet.r160_in1k.pth", []), ("test_efficientnet/model.safetensors", [0.1, 0.2, 0.3])],
)
def test_a_student_is_fed_as_its_weights_were(tmp_path: Path, place: str, fed: list[float]) -> None:
    file = weights(tmp_path / place)
    if file.parent != tmp_path:
        said = {"architecture": "test_efficientnet", "pretrained_cfg": {"mean": fed, "std": [0.5, 0.5, 0.5]}}
        (file.parent / "config.json").write_text(json.dumps(said))
    student = with_weights(parse(TEXT), tmp_path).default().plain["student"]
    assert student["mean"] == fed and bool(student["std"]) == bool(fed)


def test_weights_for_colours_and_another_size_are_converted(tmp_path: Path) -> None:
    file = weights(tmp_path / "vit.pt", VIT, task_of((3, 64, 64), classes=9))
    grey = task_of((1, 32, 32), classes=4)
    plain = {**resolved(parse(TEXT)).default().plain, "student": {"use": VIT}}
    network, _ = begun({**plain, "init": {"use": "pretrained", "path": str(file)}}, grey)
    theirs = torch.load(file, weights_only=True)
    stem = network.network.state_dict()["patch_embed.proj.weight"]
    torch.testing.assert_close(stem, theirs["patch_embed.proj.weight"].sum(1, keepdim=True))
    assert network(torch.randn(2, 1, 32, 32)).logits.shape == (2, 4)
    assert torch.equal(network.network.state_dict()["blocks.0.attn.qkv.weight"], theirs["blocks.0.attn.qkv.weight"])


def test_the_space_of_photos_names_networks_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    space = parse(*find("photos"))
    students = space.parts["student"].candidates
    assert len(students) == 16 and {c.use.partition(":")[0] for c in students} == {"timm", "torchvision"}
    assert set(space.from_weights) == {"optimizer"}
    monkeypatch.setitem(sys.modules, "timm", None)
    catalog._member.cache_clear()
    left = parse(*find("photos"))
    assert {c.use.partition(":")[0] for c in left.parts["student"].candidates} == {"torchvision"}
    assert "student.one_of.timm:mobilenetv4_conv_small: timm is not installed" in left.dropped[0]
    with pytest.raises(SpaceError, match="timm is not installed"):
        parse(TEXT.replace("timm:test_resnet", "timm:test_resnet2"))
