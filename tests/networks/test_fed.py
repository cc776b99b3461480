"""What goes into a teacher: the fields that all kinds share, and whose numbers they are where none is given."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from autokd import compat, spec
from autokd.networks.fed import GIVEN, THE_DATA
from autokd.networks.inputs import kind_of
from autokd.networks.models import NetworkTeacher, seeded
from autokd.networks.reference import describe, load_teacher
from autokd.types import Task

Saved = Callable[..., str]


def torchvision_file(saved: Saved, channels: int = 3) -> tuple[nn.Module, str]:
    with seeded(3):
        network = compat.torchvision().models.get_model("resnet18", weights=None, num_classes=3).eval()
        if channels != 3:
            network.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    return network, saved(network.state_dict())


def form_of(teacher: Any) -> Any:
    assert isinstance(teacher, NetworkTeacher) and teacher.frozen is not None
    return teacher.frozen.form


def test_torchvision_models_are_fed_imagenet_numbers(saved: Saved, task: Task, inputs: Tensor) -> None:
    network, file = torchvision_file(saved)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    theirs = (inputs * 0.25 + 0.5 - mean.reshape(1, 3, 1, 1)) / std.reshape(1, 3, 1, 1)
    teacher = load_teacher(f"torchvision:resnet18@{file}", task)
    with torch.no_grad():
        torch.testing.assert_close(teacher.predict(inputs).logits, network(theirs))
    assert form_of(teacher).source == "ImageNet's, torchvision's default"
    assert form_of(load_teacher(f"torchvision:resnet18:mean=0.5@{file}", task)).source == GIVEN


def test_a_torchvision_teacher_of_before_is_fed_what_it_was(saved: Saved, task: Task, inputs: Tensor) -> None:
    network, file = torchvision_file(saved)
    before = {**describe(f"torchvision:resnet18@{file}"), "mean": [], "std": []}  # as study.yaml had it
    with torch.no_grad():
        torch.testing.assert_close(load_teacher(before, task).predict(inputs).logits, network(inputs))


@pytest.mark.parametrize("options", ["", ":mean=0.5"])
def test_grey_torchvision_models_are_fed_the_datas_numbers(options: str, saved: Saved, task: Task) -> None:
    _, file = torchvision_file(saved, channels=1)
    grey = dataclasses.replace(task, input_shape=(1, 16, 16), mean=(0.5,), std=(0.25,))
    form = form_of(load_teacher(f"torchvision:resnet18{options}@{file}", grey))
    assert form.std == () and form.source == (GIVEN if options else THE_DATA)


def test_fields_of_a_base_are_described_too() -> None:
    fields = spec.fields_of(type(spec.make("teachers", "factory", {"factory": "a:b", "file": "c"})))
    assert "resized" in fields["input_size"].comment and "module paths" in fields["features"].comment


def test_usual_inputs_have_a_value_a_channel(task: Task) -> None:
    grey = dataclasses.replace(task, input_shape=(1, 16, 16), mean=(), std=())
    for each in (task, grey):
        usual = kind_of("image").usual_inputs(each)
        assert {len(values) for pair in usual.normalisations.values() for values in pair} == {each.input_shape[0]}
        assert min(value for _, std in usual.normalisations.values() for value in std) > 0
    assert kind_of("table").usual_inputs(task).sizes == ()
