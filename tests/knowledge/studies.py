"""Hand-made studies to learn from: what `study.yaml` and the records say, without any training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from autokd.files import as_plain, to_yaml
from autokd.spec import from_plain, to_plain
from autokd.study.records import Records
from autokd.study.settings import DataFacts, Setting, StudySettings, TeacherFacts, TimePlan
from autokd.study.store import StudyStore
from autokd.types import Shapes
from tests.study import helpers

KD = {"ce": {"use": "ce", "weight": 0.1}, "kd": {"use": "kd", "weight": 0.9}}
DKD = {"ce": {"use": "ce"}, "mine": {"use": "dkd", "begin": 0.25}}
ALONE = {"ce": {"use": "ce"}}


def pipeline(losses: Mapping[str, Any] = KD, **fields: Any) -> dict[str, Any]:
    """A whole pipeline; `fields` are of the optimizer."""
    brief = {
        "student": {"use": "mlp", "width": 8},
        "augment": {"use": "none"},
        "losses": losses,
        "optimizer": {"use": "sgd", **fields},
        "schedule": {"use": "cosine"},
        "batch_size": 32,
    }
    return to_plain(from_plain({"format": 1, **brief}))


def told() -> dict[str, Any]:
    """What `study.yaml` says."""
    asked = helpers.settings(rungs=(2, 4))
    task = dataclasses.replace(asked.data.task, modality="table", input_shape=(5,), fingerprint="d")
    counts = {"train": [4, 6], "validation": [2, 2], "test": [2, 3]}
    card = {"class_counts": counts, "also_in_train": {"validation": 0, "test": 1}, "remarks": ["small"]}
    settings = dataclasses.replace(
        asked,
        settings={**asked.settings, "space": Setting("table", "default")},
        versions={"autokd": "0.1.0, then 0.2.0", "torch": "2.13.0+cpu", "numpy": "2"},
        data=DataFacts(train=10, validation=4, test=5, card=card, task=task),
        teacher=TeacherFacts(
            origin="trained by autokd",
            fingerprint="t",
            validation={"accuracy": 0.9, "log_loss": 0.3},
            params=900,
            may_have_seen_validation=False,
            offers=Shapes(),
            line="fed with five columns",
            remarks=("all classes are there",),
            cost={"macs": 800.0, "latency": 0.1},
        ),
        dropped=("losses.crd: does not fit",),
        time_plan=TimePlan(
            seconds=60.0,
            budget={"epochs": 4},
            limit_train=10,
            whole_data="whole",
            teacher_epochs=4,
            reason="there is time for it",
            left_out={"resnet": "slow"},
        ),
    )
    return as_plain(settings.to_plain())


def happened() -> list[dict[str, Any]]:
    """The events: five trials, of which one failed and one goes on, two runs, a choice of words, and a claim."""
    raw = pipeline(DKD, learning_rate=0.01)
    tuned = pipeline(DKD, learning_rate=0.02)
    return [
        *_trial(0, "recipe:kd", pipeline(), [0.6, 0.7]),
        *_trial(1, "recipe:alone", pipeline(ALONE), [0.5, 0.65]),
        *_trial(2, "tpe", raw, [0.6, 0.75]),
        *_trial(3, "design", pipeline(learning_rate=0.03), [0.4]),
        *_trial(4, "random", pipeline(learning_rate=9.0), []),
        {"event": "failure", "time": 1.0, "number": 4, "kind": "not_finite", "reason": "a gradient became NaN"},
        _run("choose", "pick", raw, 0.8),
        _run("tune", "pick", tuned, 0.5),
        {"event": "artefact", "time": 1.0, "component": "losses.lelp", "key": "k", "seconds": 0.1},
        {"event": "claim", "time": 1.0, **as_plain(helpers.claim().to_plain())},
        {"event": "screen", "time": 1.0, "students": [_screened()], "lower_is_better": ["latency"]},
    ]


def _screened() -> dict[str, Any]:
    """The student of all trials, as it was scored."""
    proxies = {"nwot": 3.5, "latency": 0.5, "synflow": None, "of_a_plug_in": 1.0}
    said = {"proxies": proxies, "score": 0.5, "spread": {"nwot": 0.1}, "not_finite": ["synflow"]}
    return {"student": pipeline()["student"], "params": 100, "macs": 90, **said}


def _trial(number: int, source: str, plain: Mapping[str, Any], scores: Sequence[float]) -> Iterator[dict[str, Any]]:
    cost = {"params": 100, "macs": 90, "size": 400}
    about = {"number": number, "source": source, "seed": number, "pipeline": plain, "params": {"student": "mlp"}}
    yield {"event": "trial", "time": 1.0, **about, "cost": cost}
    for rung, score in enumerate(scores):
        epochs = 2 * (rung + 1)
        curve = [{"epoch": epochs, "loss": 1.0, "terms": {"ce": 1.0}, "score": score}]
        figures = {"score": score, "loss": 0.5, "seconds": 1.5, "curve": curve, "metrics": {"accuracy": score}}
        yield {"event": "rung", "time": 2.0, "number": number, "rung": rung, "epochs": epochs, **figures}


def _run(stage: str, arm: str, plain: Mapping[str, Any], score: float) -> dict[str, Any]:
    about = {"stage": stage, "round": 0, "arm": arm, "variant": "learning_rate x2", "seed": 7, "pipeline": plain}
    figures = {"score": score, "loss": 0.5, "seconds": 3.0, "failure": None, "metrics": {"accuracy": score}}
    return {"event": "run", "time": 3.0, **about, **figures}


def study(plain: Mapping[str, Any] | None = None, events: Sequence[Mapping[str, Any]] | None = None) -> StudyStore:
    """A study as it is opened from what its files say, without the files.

    Raises:
      AttributeError, KeyError, TypeError: it would not open.
    """
    records = Records()
    for event in happened() if events is None else events:
        records.apply(event)
    settings = StudySettings.from_plain(told() if plain is None else plain)
    return StudyStore(Path("mine"), settings, SimpleNamespace(records=records))  # type: ignore[arg-type]


def on_disk(folder: Path, events: Sequence[Mapping[str, Any]] | None = None) -> Path:
    """Write a study's files; return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(to_yaml(told()), encoding="utf-8")
    lines = [json.dumps(event) + "\n" for event in (happened() if events is None else events)]
    (folder / "trials.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder
