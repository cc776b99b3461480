"""A kind of input that autokd does not know goes the whole way, from a search to predictions."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import autokd
from autokd import batching, catalog, data
from autokd.data.load import _task
from autokd.data_types import DataContext
from autokd.delivery.predict import predict
from autokd.engine.context import TrainContext
from autokd.engine.epoch import Passes
from autokd.engine.evaluate import predict as logits_of
from autokd.engine.profile import OFF
from autokd.engine.step import LiveRun, train_step
from autokd.engine.teacher_bank import TeacherBank
from autokd.engine.trained import STUDENT, TrainedNetwork, WeightedTerm
from autokd.engine.views import fetch, to_device
from autokd.errors import ComponentError, DataError, TeacherError
from autokd.graphs import running
from autokd.graphs.network import network_graph
from autokd.input_kind import InputKind, takes
from autokd.networks.inputs import kind_of
from autokd.networks.models import NetworkTeacher, seeded, shapes_of
from autokd.networks.reference import load_teacher
from autokd.nodes import Nodes
from autokd.spec import TEACHER, make
from autokd.types import Batch, BuildContext, Inputs, Selection, Task, View

PLUGIN = Path(__file__).with_name("words.py")
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _plugin() -> Iterator[None]:
    before = set(sys.modules)
    catalog.load_plugins(PLUGIN)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("autokd_plugin_"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def topics(_plugin: None) -> data.Dataset:
    return data.load("topics")


def batch_of(dataset: data.Dataset, count: int = 6) -> Batch:
    part = batching.take_split(dataset.train, slice(count))
    targets = torch.nn.functional.one_hot(part.labels, 3).double()
    return Batch(part.inputs, targets, torch.ones(count, dtype=torch.float64), torch.arange(count))


def padded(inputs: Inputs, by: int) -> Inputs:
    """The same texts behind more padding."""
    return batching.each(inputs, lambda x: torch.cat([x, torch.zeros(len(x), by, dtype=x.dtype)], 1))


def network_of(name: str, task: Task, seed: int = 0, **fields: Any) -> nn.Module:
    with seeded(seed):
        network: nn.Module = make("students", name, fields).build(BuildContext(task=task))
    return network.double()


def test_a_dataset_of_the_kind(topics: data.Dataset) -> None:
    assert topics.task.modality == "words" and topics.task.input_shape == (12, 26)
    assert topics.default_space.endswith("words.yaml") and topics.card["modality"] == "words"
    ids, mask = batching.tensors(topics.train.inputs)
    assert ids.dtype == torch.int64 and mask.dtype == torch.bool
    assert ((ids == 0) == ~mask).all() and mask.any(1).all() and not mask.all()
    again = data.load_again(topics.reference)
    assert again.task == topics.task
    with pytest.raises(DataError, match="image_size does not apply to topics, which is a text"):
        data.load("topics", data.DataOptions(image_size=8))


def test_both_tensors_are_part_of_the_fingerprint(topics: data.Dataset) -> None:
    splits = {"train": topics.train, "validation": topics.validation, "test": topics.read_test()}
    raw = make("datasets", "topics", {}).build(DataContext(cache=Path()))
    fingerprints = {topics.task.fingerprint}
    for name in ("ids", "mask"):
        changed = {key: tensor.clone() for key, tensor in dict(topics.train.inputs).items()}
        changed[name][0, 0] = 0
        train = dataclasses.replace(topics.train, inputs=changed)
        fingerprints.add(_task(raw, topics.preprocess, {**splits, "train": train}).fingerprint)
    assert len(fingerprints) == 3


def test_streamed_batches_are_those_of_the_device(topics: data.Dataset) -> None:
    class Streamed(type(to_device(topics.train, topics.task, CPU))):  # type: ignore[misc]
        streamed = True

    resident = to_device(topics.train, topics.task, CPU)
    rows = {"partner": torch.arange(len(topics.train)).flip(0)}
    batches = torch.arange(len(topics.train)).tensor_split(5)
    for one, other in zip(fetch(resident, rows, batches), fetch(Streamed(*resident), rows, batches), strict=True):
        for a, b in ((one.inputs, other.inputs), (one.partner_inputs, other.partner_inputs)):
            assert a is not None and b is not None
            assert all(map(torch.equal, batching.tensors(a), batching.tensors(b)))


@pytest.mark.slow
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    study = autokd.search("topics", trials=8)
    claim = study.recommendation
    assert claim is not None and claim.used.test
    pipelines = [trial.pipeline for trial in study.store.records.trials.values()]
    assert {"kd", "ce"} <= {name for pipeline in pipelines for name in pipeline["losses"]}
    assert study.report_path.is_file() and "words" in study.report_path.read_text(encoding="utf-8")
    study.export("topics.yaml")
    metrics = autokd.train("topics.yaml", out="student", epochs=6)
    assert metrics["test"]["accuracy"] > 0.6  # 1/3 by chance
    (tmp_path / "new.txt").write_text("w0 w3 w5 w1\nw20 w17 w18 never w22\n", encoding="utf-8")
    found = predict(tmp_path / "student", [tmp_path / "new.txt"])
    assert found["label"].tolist() == ["sea", "town"]
    assert found["input"].tolist() == [f"{tmp_path / 'new.txt'}:{row}" for row in (1, 2)]
    student = autokd.load_student(tmp_path / "student")
    again = student.probabilities(np.array(["w0 w3 w5 w1"], dtype=object))
    assert np.allclose(again.to_numpy()[0], found.iloc[0, 3:].to_numpy(dtype=float), atol=1e-6)
    assert repr(student).endswith("parameters: words 12 × 26 → 3 classes: sea, wood, town)")


def test_a_network_handed_over_teaches(topics: data.Dataset) -> None:
    network = network_of("word_attention", topics.task).float()
    teacher = load_teacher(network, topics.task)
    assert teacher.offers.tokens == ((12, 8), (12, 8)) and teacher.offers.attention == ((2, 12, 4),) * 3
    with pytest.raises(TeacherError, match="input_size is for images"):
        _with(network, topics.task, input_size=8)
    with pytest.raises(TeacherError, match="mean and std do not apply to words data"):
        _with(network, topics.task, mean=(0.5,))


def _with(network: nn.Module, task: Task, **fields: Any) -> Any:
    return catalog.load("teachers", "module")(module=network, **fields).build(BuildContext(task=task))


@pytest.mark.parametrize("name", ["word_bag", "word_attention"])
def test_more_padding_changes_no_prediction(topics: data.Dataset, name: str) -> None:
    network = network_of(name, topics.task)
    part = batching.take_split(topics.validation, slice(50))
    more = dataclasses.replace(part, inputs=padded(part.inputs, 5))
    one, other = (logits_of_double(network, to_device(each, topics.task, CPU)) for each in (part, more))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def logits_of_double(network: nn.Module, split: Any) -> Tensor:
    """What `evaluate.predict` returns, before it is rounded."""
    network.eval()
    assert logits_of(network, split).dtype == torch.float32
    with torch.inference_mode():
        logits: Tensor = network(split.inputs).logits
    return logits


LOSSES: dict[str, dict[str, Any]] = {
    "ce": {},
    "kd": {},
    "attention_relation": {"form": "kl"},
    "attention_relation mse": {"form": "mse"},
    "rdist": {"stages": "all"},
    "communication": {},
    "dist": {},
}


@pytest.mark.parametrize("loss", LOSSES)
def test_more_padding_changes_no_loss_and_no_step(topics: data.Dataset, loss: str) -> None:
    few, more = (_step(topics, loss, by) for by in (0, 7))
    torch.testing.assert_close(few[0], more[0], rtol=0, atol=1e-12)
    for one, other in zip(few[1], more[1], strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def _step(topics: data.Dataset, loss: str, by: int) -> tuple[Tensor, list[Tensor]]:
    """One step of training, in float64: the loss, and the parameters after it."""
    task = topics.task
    batch = batch_of(topics)
    batch = dataclasses.replace(batch, inputs=padded(batch.inputs, by))
    teacher = NetworkTeacher([network_of("word_attention", task, 1, width=16)], task, origin="test")
    student = network_of("word_attention", task)
    component = make("losses", loss.partition(" ")[0], LOSSES[loss])
    with seeded(3):
        term = component.build(BuildContext(task=task, student=shapes_of(student, task), teacher=teacher.offers))
    modules = nn.ModuleDict({"loss": term.double()} if isinstance(term, nn.Module) else {})
    parameters = [*student.parameters(), *modules.parameters()]
    trained = TrainedNetwork(
        network=student,
        terms={"loss": WeightedTerm(term, 1.0, TEACHER)},
        term_modules=modules,
        optimizer=torch.optim.SGD(parameters, lr=0.1),
        peak_rates=(0.1,),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        dtype=torch.float32,
    )
    augment = make("augments", "none", {}).build(BuildContext(task=task))
    passes = Passes(len(topics.train), len(topics.train), 64)
    run = LiveRun({STUDENT: trained}, lambda u: 1.0, augment, Selection(passes.size), passes)
    run.micro_batches = 2 if loss == "kd" else 1
    values = train_step(run, batch, {TEACHER: teacher.predict(batch.inputs)}, 0.5, OFF)
    return values, [parameter.detach() for parameter in parameters]


def test_what_changes_images_or_tables_does_not_take_token_ids(topics: data.Dataset) -> None:
    declared = {name: catalog.load("augments", name).declares.modalities for name in catalog.names("augments")}
    assert [name for name, kinds in declared.items() if takes(kinds, "words")] == ["forget_words", "none"]
    task = dataclasses.replace(topics.task, modality="table")
    everything = View(topics.train.inputs, torch.ones(len(topics.train), 1))
    for name in ("mixup", "feature_noise"):
        augment = make("augments", name, {}).build(BuildContext(task=task))
        rows = augment.draw(torch.Generator(), len(topics.train), 0.0)
        with pytest.raises(TypeError, match="expected inputs of one tensor, got several: ids, mask"):
            augment.apply(everything, rows, everything, rows)


def test_without_a_default_teacher_one_has_to_be_named(topics: data.Dataset) -> None:
    with pytest.raises(TeacherError, match="for a text there is no default teacher; name one with --teacher"):
        InputKind.teacher_recipe(kind_of("words"), topics.task, "large")


def test_a_context_trains_on_it(topics: data.Dataset) -> None:
    context = TrainContext(data=topics, teacher=None, device=CPU, bank=TeacherBank())
    assert batching.count(context.short_validation_data.inputs) == len(context.short_validation_data.labels)


@pytest.mark.parametrize("name", ["word_bag", pytest.param("word_attention", marks=pytest.mark.slow)])
def test_a_students_graph_has_an_input_for_each_tensor(topics: data.Dataset, name: str) -> None:
    if name == "word_attention":
        pytest.importorskip("onnxscript", reason="PyTorch's exporter that traces knows no .mT, and the other needs it")
    with seeded(0):
        network = make("students", name, {}).build(BuildContext(task=topics.task)).eval()
    few = batching.take(topics.train.inputs, slice(7))
    session = running.session(network_graph(network, topics.task))
    assert {each.name for each in session.get_inputs()} == {"ids", "mask"}
    expected = network(few).logits.detach().numpy()
    np.testing.assert_allclose(running.logits(session, few, batch_size=3), expected, atol=1e-5)


def test_a_kind_that_writes_no_form_in_onnx_says_so(topics: data.Dataset) -> None:
    with pytest.raises(ComponentError, match="a text has no form in ONNX: its kind of input writes none"):
        kind_of("words").onnx_form(topics.preprocess, Nodes("prepare"))
