"""Students of timm and torchvision: one component a network, fed as its library feeds it, simpler once trained."""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from autokd import catalog, spec
from autokd.errors import ComponentError, MissingDependency
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.networks import cost
from autokd.networks.fusing import fused
from autokd.networks.library import LibraryNetwork
from autokd.networks.models import as_output, seeded, shapes_of
from autokd.testing import StudentSuite
from autokd.testing.suite import task_of
from autokd.types import BuildContext, Output, Task

COLOUR, GREY = task_of((3, 64, 64), classes=7), task_of((1, 48, 48), classes=7)


def student(name: str, **fields: Any) -> Any:
    return spec.make("students", name, fields)


def build(name: str, task: Task = COLOUR, **fields: Any) -> LibraryNetwork:
    with seeded(0):
        network = student(name, **fields).build(BuildContext(task=task))
    assert isinstance(network, LibraryNetwork)
    return network


def pictures(task: Task, batch: int = 4) -> torch.Tensor:
    return torch.randn(batch, *task.input_shape, generator=torch.Generator().manual_seed(1))


class TestLibraryStudents(StudentSuite):
    components = tuple(
        catalog.load("students", name) for name in ("timm:test_efficientnet", "timm:test_vit", "torchvision:resnet18")
    )
    tasks: ClassVar = (COLOUR, GREY)


def test_a_student_is_named_by_library_and_network_everywhere() -> None:
    component = student("timm:test_resnet", drop_path=0.1)
    plain = spec.component_to_plain(component)
    assert plain == {"use": "timm:test_resnet", "drop_path": 0.1, "input_size": None, "mean": [], "std": []}
    assert spec.component_from_plain("students", plain) == component
    assert hash(component) == hash(spec.component_from_plain("students", plain))
    assert component != student("timm:test_efficientnet", drop_path=0.1)
    assert catalog.load("students", "timm:test_resnet") is catalog.load("students", "timm:test_resnet")


@pytest.mark.parametrize(
    ("name", "fields", "why"),
    [
        ("timm:test_resnt", {}, "timm has no network 'test_resnt'; did you mean 'test_resnet'"),
        (
            "timm:test_resnet.r160_in1k",
            {},
            "leave off what follows the dot",
        ),
        ("torchvision:resnt18", {}, "torchvision has no classifier 'resnt18'; did you mean 'resnet18'"),
        ("timm", {}, "name one of its networks, as timm:mobilenetv4_conv_small"),
        ("cnn:small", {}, "there is no student called 'cnn:small'"),
        ("timm:efficientvit_b0", {"drop_path": 0.1}, "timm:efficientvit_b0 has no drop path; leave drop_path at 0"),
        ("timm:test_resnet", {"drop_path": 1.0}, "drop_path is a probability"),
        ("timm:test_resnet", {"input_size": -1}, "input_size is a side in pixels"),
        ("timm:test_resnet", {"mean": [0.5, 0.5]}, "mean and std have one value, or one a channel"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(name: str, fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ComponentError) as error:
        student(name, **fields)
    assert why in str(error.value) and "\n" not in str(error.value)


def test_pictures_of_a_size_that_a_network_is_not_made_for_are_refused_in_a_line() -> None:
    with pytest.raises(ComponentError, match=r"timm:test_vit does not take pictures of 3×30×30 \(") as error:
        build("timm:test_vit", task_of((3, 30, 30)))
    assert "\n" not in str(error.value)
    assert build("timm:test_vit", task_of((3, 30, 30)), input_size=32)(torch.randn(2, 3, 30, 30)).pooled is not None


def test_without_timm_it_says_in_a_line_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingDependency, match=r"^timm is not installed; get it with: pip install 'autokd\[timm\]'$"):
        catalog.load("students", "timm:test_vit4")


def test_features_are_the_stages_that_timm_names() -> None:
    offers = shapes_of(build("timm:test_resnet", task_of((3, 64, 64))), task_of((3, 64, 64)))
    assert offers.features == ((32, 32, 32), (32, 16, 16), (48, 8, 8), (192, 4, 4), (96, 2, 2))
    assert offers.pooled == 96 and offers.tokens == offers.attention == ()


def test_features_of_torchvision_are_the_outermost_modules_at_each_size() -> None:
    network = build("torchvision:resnet18")
    assert network._features == ("relu", "layer1", "layer2", "layer3", "layer4")


def test_a_transformer_offers_tokens_and_the_last_attention() -> None:
    offers = shapes_of(build("timm:test_vit"), COLOUR)
    assert len(offers.tokens) == 6 and len(set(offers.tokens)) == 1
    assert [shape[:2] for shape in offers.attention] == [(offers.attention[0][0], offers.tokens[0][0])] * 3
    assert {"tokens", "attention"} <= catalog.load("students", "timm:test_vit").declares.offers
    assert not {"tokens", "attention"} & catalog.load("students", "timm:test_resnet").declares.offers


# --- what it is fed with ---------------------------------------------------------------------------------------------


def in_units(task: Task) -> Task:
    return Task(**{**vars(task), "mean": (0.3, 0.4, 0.5), "std": (0.1, 0.2, 0.4)})


@pytest.mark.parametrize(("given", "mean", "std"), [({}, 0.5, 0.5), ({"mean": [0.1], "std": [0.25]}, 0.1, 0.25)])
def test_it_sees_pictures_normalised_as_its_weights_want_them(given: Any, mean: float, std: float) -> None:
    task = in_units(COLOUR)  # timm's weights of test_resnet were trained with 0.5 and 0.5
    network, raw = build("timm:test_resnet", task, **given).eval(), torch.rand(2, 3, 64, 64)
    ours = (raw - torch.tensor(task.mean)[:, None, None]) / torch.tensor(task.std)[:, None, None]
    torch.testing.assert_close(network(ours).logits, network.network((raw - mean) / std), rtol=1e-3, atol=1e-4)


def test_grey_pictures_are_fed_with_the_mean_over_the_colours() -> None:
    task = Task(**{**vars(GREY), "mean": (0.3,), "std": (0.2,)})
    network, raw = build("timm:test_efficientnet", task).eval(), torch.rand(2, 1, 48, 48)
    theirs = (raw - 0.449) / 0.226
    torch.testing.assert_close(network((raw - 0.3) / 0.2).logits, network.network(theirs), rtol=1e-2, atol=1e-2)


def test_input_size_is_what_the_network_sees_and_pays_for() -> None:
    large, small = student("timm:test_resnet"), student("timm:test_resnet", input_size=32)
    assert cost.student_cost(large, COLOUR).macs > 3.5 * cost.student_cost(small, COLOUR).macs
    assert cost.student_cost(small, COLOUR).macs == cost.student_cost(large, task_of((3, 32, 32), classes=7)).macs
    assert shapes_of(build("timm:test_resnet", input_size=32), COLOUR).features[0][1:] == (16, 16)


def test_drop_path_acts_in_training_only() -> None:
    network, inputs = build("timm:test_vit", drop_path=0.9), pictures(COLOUR, 16)
    assert not torch.equal(network(inputs).logits, network(inputs).logits)
    network.eval()
    assert torch.equal(network(inputs).logits, network(inputs).logits)


# --- as it is deployed -----------------------------------------------------------------------------------------------


def test_branches_become_one_in_what_it_costs_and_in_what_is_timed_and_exported() -> None:
    task, component = task_of((3, 32, 32)), student("timm:repvgg_a0")
    with seeded(0):
        network = component.build(BuildContext(task=task))
    for seed in range(2):
        network.train()(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
    simple, inputs = fused(network), pictures(task)
    assert cost.params(simple) == cost.student_cost(component, task).params < 0.9 * cost.params(network)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in simple.modules()) == 0
    found = running.logits(running.session(network_graph(network, task)), inputs)
    for answer in (as_output(simple(inputs)).logits.detach(), torch.as_tensor(found)):
        torch.testing.assert_close(answer, network.eval()(inputs).logits.detach(), rtol=1e-3, atol=1e-4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) > 0


@pytest.mark.parametrize("name", ["timm:test_vit", "timm:test_efficientnet"])
def test_a_graph_says_what_the_network_says(name: str) -> None:
    task = in_units(COLOUR)
    network = build(name, task, input_size=32).eval()
    found = running.logits(running.session(network_graph(network, task)), pictures(task))
    torch.testing.assert_close(torch.as_tensor(found), network(pictures(task)).logits.detach(), rtol=1e-3, atol=1e-4)


def test_simkd_s_head_reads_it_once_it_is_deployed_too() -> None:
    teacher = shapes_of(build("timm:test_resnet"), COLOUR)._replace(head=True)
    head, component = spec.make("heads", "simkd", {}), student("timm:test_efficientnet")
    with seeded(0):
        network = head.build(BuildContext(task=COLOUR, teacher=teacher))(component.build(BuildContext(task=COLOUR)))
    network.eval()
    answer = fused(network)(pictures(COLOUR))
    assert isinstance(answer, Output)
    torch.testing.assert_close(answer.logits, network(pictures(COLOUR)).logits)
    assert cost.student_cost(component, COLOUR, head, teacher).params > 0
