"""Rules that every set is studied with: usual settings crossed, each equally often.

The same rules are trained on every set of a kind of input, on the largest student of its default family, so that what
pays can be compared between sets without a model between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from autokd.recipes.rules import LIGHT, NONE, Rule

RULES = 32
"""Of each kind of input."""
SEED = 0
Plain = Mapping[str, Any]
_CE: Plain = {"weight": 1.0, "label_smoothing": 0.0}
_SOFT: Plain = {"weight": 1.0, "label_smoothing": 0.1}
_LITTLE: Plain = {"weight": 0.1, "label_smoothing": 0.0}
_DIST: Plain = {"weight": 1.0, "temperature": 4.0, "beta": 1.0, "gamma": 1.0}
_DKD: Plain = {"weight": 1.0, "temperature": 4.0, "alpha": 1.0, "beta": 2.0}
_WTTM: Plain = {"weight": 1.0, "gamma": 0.2}
LOSSES: Mapping[str, Mapping[str, Plain]] = {
    "alone": {"ce": _CE},
    "soft": {"ce": _SOFT},
    "kd-2": {"ce": _LITTLE, "kd": {"weight": 0.9, "temperature": 2.0}},
    "kd-4": {"ce": _LITTLE, "kd": {"weight": 0.9, "temperature": 4.0}},
    "kd-equal": {"ce": _CE, "kd": {"weight": 1.0, "temperature": 4.0}},
    "dist": {"ce": _CE, "dist": _DIST},
    "dkd": {"ce": _CE, "dkd": _DKD},
    "wttm": {"ce": _CE, "wttm": _WTTM},
    "wttm-little": {"ce": _LITTLE, "wttm": {"weight": 4.0, "gamma": 0.2}},
    "kd-hint": {"ce": _LITTLE, "kd": {"weight": 0.9, "temperature": 4.0}, "hint": {"weight": 1.0}},
    "kd-sp": {"ce": _LITTLE, "kd": {"weight": 0.9, "temperature": 4.0}, "sp": {"weight": 1.0}},
}
"""By name."""
OPTIMIZERS: Mapping[str, Plain] = {
    "sgd-0.03": {"use": "sgd", "learning_rate": 0.03},
    "sgd-0.1": {"use": "sgd", "learning_rate": 0.1},
    "sgd-0.3": {"use": "sgd", "learning_rate": 0.3},
    "adamw-0.005": {"use": "adamw", "learning_rate": 5e-3},
    "adamw-0.015": {"use": "adamw", "learning_rate": 1.5e-2},
}
SCHEDULES: Mapping[str, Plain] = {"cosine": {"use": "cosine"}, "one_cycle": {"use": "one_cycle"}}
AUGMENTS: Mapping[str, Mapping[str, Plain]] = {
    "image": {"raw": NONE, "light": LIGHT, "mixup": {"use": "mixup"}, "trivial": {"use": "trivial_augment"}},
    "table": {"raw": NONE, "noise": {"use": "feature_noise"}, "mixup": {"use": "mixup"}},
}
BATCH_SIZES: Mapping[str, tuple[int, ...]] = {"image": (64, 128), "table": (32, 64, 128)}


def crossing(modality: str) -> list[Rule]:
    """Return the rules for a kind of input: each level of each factor equally often, otherwise at random."""
    rng = np.random.default_rng(SEED)
    factors = (LOSSES, OPTIMIZERS, SCHEDULES, AUGMENTS[modality], [str(size) for size in BATCH_SIZES[modality]])
    columns = [rng.permutation(np.resize(list(levels), RULES)) for levels in factors]
    return [_rule(modality, *(str(level) for level in row)) for row in zip(*columns, strict=True)]


def _rule(modality: str, losses: str, optimizer: str, schedule: str, augment: str, batch_size: str) -> Rule:
    return Rule(
        name=f"{losses} {optimizer} {schedule} {augment} {batch_size}",
        title="",
        losses=LOSSES[losses],
        optimizer=OPTIMIZERS[optimizer],
        schedule=SCHEDULES[schedule],
        augment=AUGMENTS[modality][augment],
        batch_size=int(batch_size),
    )
