"""The model card of a bundle."""

from __future__ import annotations

import re
from typing import Any

import pytest

from autokd.delivery.model_card import model_card, text
from autokd.spec import PipelineSpec, from_plain
from autokd.types import Task

HOSTILE = "<script>[x](javascript:1) **b** | `c` https://evil.example\n# head \u202e"
TASK = Task(
    dataset="digits", modality="image", input_shape=(1, 8, 8), classes=("0", "1"), train_size=90, fingerprint="f"
)
METRICS: dict[str, Any] = {
    "test": {"accuracy": 0.9, "log_loss": 0.3, "n": 100, "calibration_error": 0.02, "calibration_error_raw": 0.1},
    "validation": {"accuracy": 0.92, "n": 50},
    "epochs": 100,
    "params": 635,
    "macs": 10240,
    "train_samples": 90,
}
ORIGIN: dict[str, Any] = {
    "study": "mine",
    "cost": {"params": 635, "size": 2540},
    "checks": ["✕ Badly calibrated: it is so. Do that."],
    "evidence": {"text": "better than plain KD by 1.2 points [+0.5, +1.9]", "epochs": 18},
}


def spec(*losses: str) -> PipelineSpec:
    plain = {"student": {"use": "cnn"}, "augment": {"use": "none"}, "losses": {name: {"use": name} for name in losses}}
    return from_plain(
        {"format": 1, **plain, "optimizer": {"use": "adamw"}, "schedule": {"use": "cosine"}, "batch_size": 64}
    )


def card(
    task: Task = TASK, origin: Any = ORIGIN, metrics: dict[str, Any] = METRICS, losses: tuple[str, ...] = ("ce", "kd")
) -> str:
    return model_card(task, spec(*losses), metrics, origin, form="grey images of 8 × 8 pixels", temperature=1.7)


def test_it_says_what_one_must_know() -> None:
    told = card()
    headings = re.findall(r"^#+ (.*)$", told, re.MULTILINE)
    assert headings == ["digits: a cnn classifier", "Use", "Data", "Figures", "Cost", "Calibration", "Limits"]
    assert (
        "distilled from a teacher with losses ce, kd" in told
        and "found in the study mine and trained by autokd" in told
    )
    assert "| test | accuracy | 90.0 % | 82.6 to 94.5 % | 100 |" in told, "Wilson's interval, worked out by hand"
    assert "| test | log loss | 0.300 nats | – | 100 |" in told
    assert "635 parameters, 2,540 bytes, 10,240 multiply-adds a sample." in told
    assert "Logits are divided by 1.7" in told and "off by 2.0 points on average, 10.0 without it" in told
    assert "- ✕ Badly calibrated: it is so. Do that." in told
    assert "trained for 18 epochs: better than plain KD by 1.2 points" in told
    assert "It was trained for 100 epochs; the study measured 18." in told
    assert 'autokd.load_student("FOLDER")' in told and "autokd predict FOLDER" in told


@pytest.mark.parametrize("provenance", [None, "by hand", {}, {"evidence": "mine", "cost": None}])
def test_whatever_a_file_says_of_its_origin(provenance: Any) -> None:
    told = card(origin=provenance, metrics={"validation": {"accuracy": 0.9}}, losses=("ce",))
    assert "trained on labels with losses" in told and "No checks were made of it" in told
    assert "| validation | accuracy | 90.0 % | – | – |" in told and "was not measured for this student" in told


def test_names_are_shown_and_mean_nothing_else() -> None:
    task = Task(dataset=HOSTILE, modality="image", input_shape=(1, 8, 8), classes=(HOSTILE, "1"), train_size=9)
    told = card(task, {"study": HOSTILE, "checks": [HOSTILE], "evidence": {"text": HOSTILE}})
    assert "\u202e" not in told and not re.search(r"(?<!\\)[<\[*|](script|x|\*b|c)", told)
    assert len(re.findall(r"^# ", told, re.MULTILINE)) == 1 and r"https\://evil" in told
    rows = [line for line in told.splitlines() if line.startswith("|")]
    assert rows and all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    assert text("plain name-1 (a)") == "plain name-1 (a)"
