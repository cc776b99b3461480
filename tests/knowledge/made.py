"""Studies whose structure is known, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from autokd.knowledge import CardRun, StudyCard, StudyFacts

Worth = Mapping[str, float]


def facts(**others: Any) -> StudyFacts:
    """The facts of a study on a table."""
    usual: dict[str, Any] = {
        "data": "d0", "modality": "table", "objective": "accuracy", "train": 500, "validation": 100,
        "class_counts": (250, 250), "input_shape": (8,), "epochs": 5, "seed": 0, "space": "s", "device": "cpu",
    }  # fmt: skip
    return StudyFacts(**{**usual, **others})


def run(pipeline: Mapping[str, Any], score: float | None, **others: Any) -> CardRun:
    """A run to the end."""
    usual: dict[str, Any] = {"source": "design", "seed": 0, "epochs": 5, "seconds": 1.0, "params": 100, "macs": 100}
    failure = "" if score is not None else "failed"
    return CardRun(pipeline=pipeline, score=score, failure=failure, **{**usual, **others})


def pipeline(
    losses: Sequence[str] = (), optimizer: str = "sgd", temperature: float = 4.0, rate: float = 0.1
) -> dict[str, Any]:
    """A pipeline, as a card has it."""
    parts = {"ce": {"use": "ce", "weight": 1.0}, **{loss: {"use": loss, "temperature": temperature} for loss in losses}}
    return {"format": 1, "losses": parts, "optimizer": {"use": optimizer, "learning_rate": rate}, "batch_size": 64}


def study(seed: int, worth: Worth, *, runs: int = 48, noise: float = 0.02, **about: Any) -> StudyCard:
    """A study of random pipelines whose scores are 0.5 and what each of their choices is worth, with noise.

    Args:
      seed: of the draws.
      worth: of "kd", "dkd" and "adamw", and of "warm", a temperature of kd above 5.
      runs: number of pipelines.
      noise: standard deviation.
      about: facts.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(runs):
        losses = [loss for loss in ("kd", "dkd") if rng.random() < 0.5]
        optimizer = str(rng.choice(["sgd", "adamw"]))
        temperature = float(rng.uniform(1, 8))
        has = [*losses, optimizer, *(["warm"] if temperature > 5 and "kd" in losses else [])]
        score = 0.5 + sum(worth.get(name, 0.0) for name in has) + noise * rng.standard_normal()
        found.append(
            run(pipeline(losses, optimizer, temperature, float(rng.uniform(0.01, 0.1))), float(np.clip(score, 0, 1)))
        )
    return StudyCard(facts=facts(**{"data": f"d{seed}", **about}), runs=tuple(found))
