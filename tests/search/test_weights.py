"""Searches whose students begin with a folder of pretrained weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits

import autokd
from autokd import spec
from autokd.errors import UserError
from autokd.networks.models import seeded
from autokd.testing.suite import task_of
from autokd.types import BuildContext

NET = "test_efficientnet"
SPACE = f"""
student: {{one_of: {{timm:{NET}: {{}}, timm:test_vit: {{}}}}}}
augment: {{always: {{none: {{}}}}}}
losses: {{always: {{ce: {{}}}}, any_of: {{from: {{kd: {{}}}}}}}}
optimizer: {{one_of: {{sgd: {{}}}}, from_weights: {{sgd: {{learning_rate: {{float: [1.0e-3, 3.0e-2], log: true}}}}}}}}
schedule: {{always: {{cosine: {{}}}}}}
budget: {{trials: 4, epochs: 1, rungs: 1, teacher_epochs: 1, noise_seeds: 0, finalists: 1, claim_seeds: 2}}
"""


@pytest.mark.slow
def test_a_search_begins_with_the_files_and_its_largest_network_teaches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    with seeded(3):
        context = BuildContext(task=task_of((3, 32, 32), classes=9))
        network: Any = spec.make("students", f"timm:{NET}", {}).build(context).network
    (tmp_path / "w").mkdir()
    file = tmp_path / "w" / f"{NET}.r160_in1k.pth"
    torch.save(network.state_dict(), file)
    digits = load_digits()
    asked: dict[str, Any] = {
        "dataset": ((digits.images[:96] * 15.9).astype("uint8"), digits.target[:96]),
        "image_size": 32,
        "space": "space.yaml",
        "study": "mine",
        "weights": "w",
        "device": "cpu",
        "cold": True,
    }
    study = autokd.search(**asked)
    trials = list(study.store.records.trials.values())
    assert [trial.source for trial in trials][:2] == ["recipe:kd", "recipe:alone"]
    assert not [trial.failure for trial in trials if trial.failure]
    assert all(Path(trial.pipeline["init"]["path"]) == file for trial in trials)
    teacher = study.store.settings.teacher
    assert teacher is not None and "fine-tuned by autokd" in teacher.origin and NET in teacher.origin
    span = study.store.ranges["optimizer.sgd.learning_rate"]
    assert all(span.contains(trial.pipeline["optimizer"]["learning_rate"]) for trial in trials)
    assert not span.contains(0.1)
    again = autokd.search(**asked)
    assert len(again.store.records.trials) == len(trials)
    torch.save({**network.state_dict(), "conv_stem.weight": torch.zeros(24, 3, 3, 3)}, file)
    with pytest.raises(UserError, match=r"init.of_each.*digest"):
        autokd.search(**asked)
