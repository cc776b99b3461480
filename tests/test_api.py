"""autokd from Python."""

from __future__ import annotations

import logging
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from torch import nn

import autokd
from autokd import batching
from autokd.data import load
from tests.search.spaces import ONE_LAYER

IMAGES = ONE_LAYER.replace(
    "mlp: {depth: 1, width: {int: [4, 7]}, dropout: 0.1}", "cnn: {width: {int: [2, 3]}, layers: 1}"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder that holds two small spaces."""
    (tmp_path / "tables.yaml").write_text(ONE_LAYER, encoding="utf-8")
    (tmp_path / "images.yaml").write_text(IMAGES, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Eighty images [80, 8, 8], uint8, and their classes."""
    found = load_digits()
    return (found.images[:80] * 15).astype(np.uint8), found.target[:80]


def process_state() -> dict[str, Any]:
    """Everything global that a library might touch."""
    log = logging.getLogger("autokd")
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": [str(part) for part in np.random.get_state()],  # noqa: NPY002
        "random": random.getstate(),
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "device": str(torch.get_default_device()),
        "dtype": torch.get_default_dtype(),
        "deterministic": (torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic),
        "grad": torch.is_grad_enabled(),
        "root": (list(logging.root.handlers), logging.root.level),
        "log": (list(log.handlers), log.level, log.propagate),
        "optuna": optuna.logging.get_verbosity(),
        "environment": {
            key: value for key, value in os.environ.items() if key.startswith(("OMP", "MKL", "CUDA", "PYTHON"))
        },
        "folder": Path.cwd(),
    }


def test_search_leaves_the_process_as_it_was(here):
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002
    torch.manual_seed(3)
    before = process_state()
    study = autokd.search("wine", space="tables.yaml", trials=4)
    study.report()
    study.trials_dataframe()
    study.export(here / "p.yaml")
    autokd.train("p.yaml", epochs=1)
    after = process_state()
    assert [key for key in before if before[key] != after[key]] == []


def test_a_study(here):
    told: list[Any] = []
    study = autokd.search("wine", space="tables.yaml", notify=told.append)
    assert isinstance(study, autokd.Study) and repr(study) == "Study('studies/wine', 3 trials, finished)"
    frame = study.trials_dataframe()
    assert isinstance(frame, pd.DataFrame) and list(frame["number"]) == [0, 1, 2]
    assert study.best is not None and study.best.score == frame["score"].max()
    assert study.recommendation is not None and study.recommendation.trial in (0, 1, 2)
    assert study.report() == study.report_path == Path("reports/wine/index.html")
    plain = study.export("deep/p.yaml")
    assert Path("deep/p.yaml").is_file() and plain["provenance"]["study"] == "wine"
    assert [at.stage for at in told][-1] == "confirm"
    assert "explore" in {at.stage for at in told}
    assert "screen" not in {at.stage for at in told}  # no trial beyond the known recipes would use it
    again = autokd.open_study("wine")
    assert again.recommendation == study.recommendation and again.best == study.best
    with pytest.raises(autokd.UserError, match="did you mean 'wine'"):
        autokd.open_study("wien")


def test_the_best_student_needs_no_teacher(here):
    study = autokd.search("wine", space="tables.yaml")
    student = autokd.load_student(study.path / "best")
    rows = load_wine(as_frame=True).data.head(5)
    rows.to_csv("rows.csv", index=False)
    answers = autokd.predict(study.path / "best", ["rows.csv"])
    expected = student.probabilities(rows).to_numpy()
    assert np.allclose(answers[[f"probability of {name}" for name in student.classes]].to_numpy(), expected)
    assert np.allclose(expected.sum(axis=1), 1)


def nearest(inputs: torch.Tensor, labels: torch.Tensor) -> nn.Linear:
    """A trained network: the class whose mean is nearest."""
    means = torch.stack([inputs[labels == each].mean(0) for each in labels.unique()])
    with torch.random.fork_rng():
        layer = nn.Linear(inputs.shape[1], len(means))
    layer.weight.data, layer.bias.data = 2 * means, -means.square().sum(1)
    return layer


def test_arrays_a_frame_and_a_torch_dataset(here, digits):
    images, labels = digits
    teacher = nn.Sequential(nn.Flatten(), nearest(torch.tensor(images).flatten(1) / 255, torch.tensor(labels)))
    given: dict[str, Any] = {"space": "images.yaml", "teacher": teacher}
    by_arrays = autokd.search((images, labels), study="arrays", **given)
    by_dataset = autokd.search(Pairs(images, labels), study="dataset", **given)
    curves = [study.trials_dataframe()["score"].tolist() for study in (by_arrays, by_dataset)]
    assert curves[0] == curves[1], "the same pixels, however they came"
    wine = load_wine(as_frame=True)
    frame = autokd.search((wine.data, wine.target), space="tables.yaml", study="frame")
    assert frame.store.task.input_shape == (13,)
    again = autokd.search((wine.data, wine.target), space="tables.yaml", study="frame", trials=4)
    assert len(again.trials_dataframe()) == 4


def test_a_network_as_teacher_is_not_changed(here):
    wine = load("wine").train
    head = nearest(batching.single(wine.inputs), wine.labels)
    network = nn.Sequential(nn.Identity(), nn.BatchNorm1d(13), nn.Dropout(0.5), head).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    study = autokd.search("wine", space="tables.yaml", teacher=network)
    assert network.training and all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    facts = study.store.settings.teacher
    assert facts is not None and facts.may_have_seen_validation
    assert facts.cost == {"macs": 13 * 3}, "of its only layer, kept with the study; no latency where none is asked for"
    study.export("p.yaml", trial=0)
    with pytest.raises(autokd.UserError, match="handed over in Python"):
        autokd.train("p.yaml", epochs=1)


def test_bad_input_is_a_user_error_and_leaves_nothing(here, digits):
    images, labels = digits
    refused: list[tuple[dict[str, Any], str]] = [
        ({"dataset": (images, labels[:5])}, "X has 80 samples and y has 5"),
        ({"dataset": 3}, "got int"),
        ({"dataset": "wine", "teacher": nn.Linear(3, 3)}, "does not take this data's samples"),
        ({"dataset": "wine", "teacher": Path("no.pt")}, "there is no teacher file 'no.pt'"),
        ({"dataset": "wine", "device": "cuda:77"}, "CUDA"),
    ]
    for arguments, message in refused:
        with pytest.raises(autokd.UserError, match=message):
            autokd.search(**{"space": "tables.yaml", **arguments})
    with pytest.raises(TypeError, match=r"search\(\) got an unexpected keyword argument 'trails'"):
        autokd.search("wine", trails=3)  # type: ignore[call-arg]
    assert not Path("studies").exists() and not Path("reports").exists()


class Pairs(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Images as floats in [0, 1] with a channel, as torchvision's ToTensor gives them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.images[i : i + 1].astype(np.float32) / 255), int(self.labels[i])
