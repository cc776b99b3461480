"""Training on validation too: what is trained on, who still sees training rows alone, and what is said of it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import autokd
from autokd import batching
from autokd.cli.console.students import trained
from autokd.data import Dataset
from autokd.delivery import pipeline_file
from autokd.delivery.all_data import joined, read_without
from autokd.delivery.full_training import Given, train
from autokd.engine.evaluate import answers_on
from autokd.engine.views import to_device
from autokd.errors import BundleError
from autokd.lazy import LazyTensor
from autokd.types import Output, Shapes, Split
from tests.delivery.helpers import CPU, Trained, pipeline_for, run, teacher_for

Bundles = Callable[[str], Trained]


class Numbers:
    """Samples that are their own number, twice; see `autokd.lazy.Source`."""

    shape: tuple[int, ...] = (2,)
    dtype = torch.uint8

    def read(self, rows: Tensor) -> Tensor:
        return rows.to(torch.uint8).unsqueeze(1).repeat(1, 2)


class Oracle:
    """Answers about the samples of a dataset by their ids."""

    offers, fingerprint, origin = Shapes(views=False), "oracle", "test"

    def answer(self, ids: Tensor, inputs: Any) -> Output:
        return Output(ids.float().unsqueeze(1).repeat(1, 2))


def _numbers(*rows: int) -> LazyTensor:
    return LazyTensor(Numbers(), torch.tensor(rows))


def test_splits_are_joined_and_stay_where_they_are() -> None:
    first = Split(_numbers(3, 1), torch.tensor([0, 1]), None, torch.tensor([3, 1]), _numbers(30, 10))
    second = Split(
        _numbers(7, 8), torch.tensor([1, 1]), torch.tensor([True, False]), torch.tensor([7, 8]), _numbers(70, 80)
    )
    both = batching.join_splits([first, second])
    assert isinstance(both.inputs, LazyTensor) and isinstance(both.finer, LazyTensor)
    assert both.inputs[torch.tensor([3, 0, 2])][:, 0].tolist() == [8, 3, 7]
    assert both.inputs.loaded()[:, 1].tolist() == [3, 1, 7, 8] and both.finer.loaded()[:, 0].tolist() == [
        30,
        10,
        70,
        80,
    ]
    assert both.labels.tolist() == [0, 1, 1, 1] and both.ids is not None and both.ids.tolist() == [3, 1, 7, 8]
    assert both.labelled is not None and both.labelled.tolist() == [True, True, True, False]
    half = dataclasses.replace(second, inputs=torch.tensor([[7, 7], [8, 8]], dtype=torch.uint8), ids=None, finer=None)
    mixed = batching.join_splits([first, half])
    assert torch.equal(batching.single(mixed.inputs)[:], both.inputs[:]) and mixed.ids is None and mixed.finer is None


def test_stored_answers_are_about_the_samples_of_both(cancer: Dataset) -> None:
    both = joined(cancer)
    assert len(both.train) == both.task.train_size == len(cancer.train) + len(cancer.validation)
    assert both.task.fingerprint != cancer.task.fingerprint  # or the bank would give the answers about one of the other
    answers = answers_on(Oracle(), to_device(both.train, both.task, CPU)).outputs.logits[:, 0]  # type: ignore[arg-type]
    assert cancer.train.ids is not None and cancer.validation.ids is not None
    assert answers.tolist() == [*cancer.train.ids.tolist(), *cancer.validation.ids.tolist()]


def test_it_trains_on_both_goes_on_after_an_interruption_and_says_what_it_lacks(
    bundles: Bundles, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = bundles("table")
    data, file = made.data, made.file.with_training(all_data=True)
    both, asked = joined(data), list[Dataset]()

    def stop(line: Mapping[str, Any]) -> None:
        if line["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(file, tmp_path / "all", data, on_epoch=stop)
    teacher = Given(data, lambda reference, seen: asked.append(seen) or teacher_for(reference, seen))  # type: ignore[func-returns-value]
    metrics = train(file, tmp_path / "all", teacher, device=CPU)
    assert asked == [data]  # the teacher is that of the training rows alone
    as_if = dataclasses.replace(made.file, data_fingerprint=None)
    expected = run(as_if, tmp_path / "joined", both)
    weights = [(tmp_path / name / "student.safetensors").read_bytes() for name in ("all", "joined")]
    assert weights[0] == weights[1] != (made.directory / "student.safetensors").read_bytes()
    assert metrics["curve"] == [{key: line[key] for key in line if key != "score"} for line in expected["curve"]]
    assert metrics["all_data"] and metrics["train_samples"] == len(both.train)
    assert metrics["test"]["n"] == len(data.read_test()) and metrics["test"]["accuracy"] == expected["test"]["accuracy"]
    assert metrics["temperature"] == 1.0 and set(metrics["validation"]) == {"n", "note"}
    assert "it stays 1, and there are no validation figures; --figures-from BUNDLE" in caplog.text
    said = str(trained(tmp_path / "all", metrics, as_json=False)).splitlines()
    assert said[1] == "validation: trained on validation too, so it tells nothing of this student"
    card = (tmp_path / "all" / "README.md").read_text()
    assert f"{len(both.train)} training samples, those of validation among them" in card
    assert "| validation |" not in card and "\nValidation: trained on validation too, so it" in card
    assert "divided by 1 before they become probabilities; that was not fitted" in card
    with pytest.raises(BundleError, match=r"train.all_data is True there, None here; give another folder"):
        run(made.file, tmp_path / "all", data)


def test_figures_and_temperature_may_be_those_of_the_same_without(
    cancer: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = pipeline_for(cancer, epochs=1, distil=False)
    before = run(file, tmp_path / "first", cancer)
    pipeline_file.write(tmp_path / "p.yaml", file.to_plain())
    caplog.set_level(logging.WARNING, "autokd")
    given: dict[str, Any] = {
        "all_data": True,
        "figures_from": tmp_path / "first",
        "dataset": cancer,
        "tensorboard": f"{tmp_path}/runs",
    }
    metrics = autokd.train(tmp_path / "p.yaml", out=tmp_path / "all", **given)
    assert not caplog.records and list((tmp_path / "runs" / "all").iterdir())
    note = f"trained on validation too; figures are of {tmp_path / 'first'}, the same without (1 epoch, seed 3)"
    assert metrics["validation"] == {**before["validation"], "note": note}
    assert metrics["temperature"] == before["temperature"] != 1.0
    assert autokd.load_student(tmp_path / "all").temperature == before["temperature"]
    said = str(trained(tmp_path / "all", metrics, as_json=False)).splitlines()
    assert said[1] == f"validation: {100 * before['validation']['accuracy']:.2f} %; {note}"
    assert (
        "was fitted on validation for the same pipeline, trained without it" in (tmp_path / "all/README.md").read_text()
    )
    # the bundle's own file says how it was trained
    assert pipeline_file.read(tmp_path / "all" / "pipeline.yaml").all_data


def test_a_bundle_that_tells_nothing_of_it_is_refused(bundles: Bundles, cancer: Dataset, tmp_path: Path) -> None:
    made = bundles("table")
    file = made.file.with_training(all_data=True)
    assert read_without(made.directory, file).temperature == made.metrics["temperature"]
    with pytest.raises(BundleError, match="is for --all-data"):
        read_without(made.directory, made.file)
    other = dataclasses.replace(file, spec=dataclasses.replace(file.spec, batch_size=32))
    with pytest.raises(BundleError, match=r"is of another pipeline: pipeline.batch_size is 64 there, 32 here"):
        read_without(made.directory, other)
    plain = pipeline_for(cancer, epochs=1, distil=False).with_training(all_data=True)
    run(plain, tmp_path / "all", cancer)
    with pytest.raises(BundleError, match="was trained on validation too, and says nothing of it either"):
        read_without(tmp_path / "all", plain)
    (tmp_path / "all" / "metrics.json").unlink()
    with pytest.raises(BundleError, match="its training has not ended"):
        read_without(tmp_path / "all", plain)
