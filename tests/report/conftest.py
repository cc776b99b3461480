"""Fabricated studies: real events in a real records file, plausible numbers, nothing trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from autokd.files import as_plain
from autokd.ranges import Choice, Integer, Range, Real
from autokd.study import choice
from autokd.study.answers import answers_file
from autokd.study.arms import baseline_kinds
from autokd.study.choice import Candidate, ScreenedStudent
from autokd.study.claim import Arm, Claim, Comparison, SplitValues, arm_runs
from autokd.study.records import RecordLog
from autokd.study.settings import DataFacts, Identity, Reference, Setting, StudySettings, TeacherFacts
from autokd.study.store import StudyStore
from autokd.types import Shapes, Task

RUNGS = [3, 9, 27]
RANGES: dict[str, Range] = {
    "student": Choice("cnn", "mobilenet", "resnet"),
    "student.cnn.width": Integer(4, 16, step=4),
    "student.mobilenet.width": Integer(4, 16, step=4),
    "student.resnet.width": Integer(4, 16, step=4),
    "augment": Choice("none", "crop_flip", "mixup"),
    "losses.kd": Choice("off", "on"),
    "losses.kd.temperature": Real(1.0, 8.0),
    "losses.dist": Choice("off", "on"),
    "optimizer.adamw.learning_rate": Real(1e-3, 3e-2, log=True),
}
COST = {"cnn": 55, "mobilenet": 40, "resnet": 190}
AUGMENTS = {"none": 0.0, "crop_flip": -0.07, "mixup": -0.02}


class FakeStore(StudyStore):
    """A study store with a space of its own."""

    ranges: Any = RANGES


def pipeline(rng: np.random.Generator, losses: tuple[str, ...] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a plain pipeline and its parameters."""
    student, augment = str(rng.choice(sorted(COST))), str(rng.choice(sorted(AUGMENTS)))
    width, rate = int(rng.choice([4, 8, 12, 16])), float(10 ** rng.uniform(-3, -1.53))
    optional = [name for name in ("kd", "dist") if rng.random() < 0.6]
    chosen = list(losses) if losses is not None else ["ce", *optional]
    weights = {name: {"use": name, "weight": round(float(rng.uniform(0.3, 3)), 3)} for name in chosen}
    params: dict[str, Any] = {"student": student, f"student.{student}.width": width, "augment": augment}
    params |= {f"losses.{name}": "on" if name in chosen else "off" for name in ("kd", "dist")}
    if "kd" in weights:
        weights["kd"]["temperature"] = params["losses.kd.temperature"] = round(float(rng.uniform(1, 8)), 2)
    params["optimizer.adamw.learning_rate"] = rate
    plain = {
        "format": 1,
        "student": {"use": student, "width": width, "depth": 2},
        "augment": {"use": augment},
        "losses": weights,
        "optimizer": {"use": "adamw", "learning_rate": rate, "weight_decay": 0.01},
        "schedule": {"use": "cosine", "warmup": 0.05},
        "batch_size": 64,
    }
    return plain, params


def final_score(plain: dict[str, Any], cost: int, rng: np.random.Generator) -> float:
    rate = np.log10(plain["optimizer"]["learning_rate"])
    gain = 0.02 * ("kd" in plain["losses"]) + 0.012 * ("dist" in plain["losses"])
    score = 0.86 + 0.03 * np.log10(cost / 100) + gain + AUGMENTS[plain["augment"]["use"]] - 0.05 * (rate + 2) ** 2
    return float(np.clip(score + rng.normal(0, 0.008), 0.1, 0.995))


def rung_event(number: int, rung: int, final: float, rng: np.random.Generator) -> dict[str, Any]:
    first = RUNGS[rung - 1] if rung else 0
    curve = []
    for epoch in range(first + 1, RUNGS[rung] + 1):
        line: dict[str, Any] = {"epoch": epoch, "learning_rate": 0.01, "loss": 2.3 * 0.9**epoch, "terms": {"ce": 1.0}}
        if epoch % 3 == 0:
            line["score"] = float(np.clip(final - 0.25 * np.exp(-epoch / 6) + rng.normal(0, 0.006), 0, 1))
        curve.append(line)
    score = curve[-1]["score"]
    return {
        "number": number,
        "rung": rung,
        "epochs": RUNGS[rung],
        "score": score,
        "loss": -float(np.log(score)),
        "seconds": 0.4 * (RUNGS[rung] - first),
        "curve": curve,
    }


def add_trials(log: RecordLog, number: int, rng: np.random.Generator) -> None:
    finals: dict[int, float] = {}
    for trial in range(number):
        source = ("recipe:alone", "recipe:kd", "warm_start", "screen", "random")[trial] if trial < 5 else "tpe"
        losses = {"recipe:alone": ("ce",), "recipe:kd": ("ce", "kd")}.get(source)
        plain, params = pipeline(rng, losses)
        cost = COST[plain["student"]["use"]] * plain["student"]["width"]
        costs = {"params": cost, "macs": 31 * cost}
        log.append("trial", number=trial, source=source, seed=trial, pipeline=plain, params=params, cost=costs)
        if trial % 11 == 7:
            log.append("failure", number=trial, kind="not_finite", reason="the training loss became nan in epoch 2")
            continue
        finals[trial] = final_score(plain, cost, rng)
        log.append("rung", **rung_event(trial, 0, finals[trial], rng))
    order = sorted(finals, key=lambda n: (n > 1, -finals[n]))
    for rung, share in ((1, 3), (2, 9)):
        for trial in order[: max(2, len(order) // share)]:
            log.append("rung", **rung_event(trial, rung, finals[trial], rng))


def add_screen(log: RecordLog, rng: np.random.Generator) -> None:
    students: list[ScreenedStudent] = []
    for name, unit in COST.items():
        for width in (4, 8, 12, 16):
            params = unit * width
            proxies: dict[str, float | None] = {
                "params": float(params),
                "macs": 31.0 * params,
                "nwot": 300 + rng.normal(0, 3),
            }
            proxies["diswot"] = -float(rng.uniform(0, 1))
            student = {"use": name, "width": width, "depth": 2}
            students.append(
                ScreenedStudent(student=student, params=params, macs=31 * params, proxies=proxies, score=0.0)
            )
    ranked = sorted(students, key=lambda student: -student.params)
    log.append(
        "screen",
        students=[
            dataclasses.asdict(dataclasses.replace(student, score=1 - i / 11)) for i, student in enumerate(ranked)
        ],
    )


def add_confirm(
    log: RecordLog, rng: np.random.Generator, *, gain: float, teacher_test: float, n_test: int, classes: int
) -> None:
    trial = max(log.records.trials.values(), key=lambda t: (len(t.rungs), t.score or 0))
    plain = dict(trial.pipeline)
    pipelines = {"pick": plain, **{kind.name: {**plain, "losses": losses_of(kind.name)} for kind in KINDS}}
    for stage, variant in (("select", ""), ("tune", "learning_rate x0.5"), ("tune", ""), ("claim", "")):
        arms = {f"trial {trial.number}": plain} if stage == "select" else pipelines
        for arm, point in arms.items():
            run = {"stage": stage, "round": 0, "arm": arm, "variant": variant, "seed": 5, "pipeline": point}
            log.append("run", **run, score=0.94, loss=0.2, seconds=11.0, failure=None)
    candidate = Candidate(
        trial=trial.number,
        scores=[0.95, 0.94, 0.96],
        mean=0.95,
        dropped_after=None,
        tied=True,
        losses=len(plain["losses"]),
        params=trial.cost["params"],
        macs=trial.cost["macs"],
    )
    chosen = choice.Choice(
        round=0,
        trials=len(log.records.trials),
        trial=trial.number,
        candidates=(candidate,),
        most_seeds=3,
        reason="best mean validation score",
    )
    log.append("choice", **chosen.to_plain())
    centre = {"pick": 0.954, "kd": 0.954 - gain, "alone": 0.931}
    tests = {arm: [float(x) for x in centre[arm] + rng.normal(0, 0.005, 5)] for arm in pipelines}
    claim = Claim(
        round=0,
        trials=len(log.records.trials),
        trial=trial.number,
        use="pick",
        comparators=("kd", "alone"),
        evidence="fresh seeds",
        arms=tuple(arm_of(name, name, pipeline, trial.cost, tests[name]) for name, pipeline in pipelines.items()),
        metric="accuracy",
        epochs=27,
        teacher=SplitValues(0.986, teacher_test),
        comparisons={arm: comparison(tests["pick"], tests[arm], phrase) for arm, phrase in PHRASES.items()},
        prediction_interval=(0.938, 0.970),
        gap_closed=0.38 if teacher_test > 0.931 else None,
        n_test=n_test,
        test_counts=(n_test // classes,) * classes,
    )
    log.append("claim", **as_plain(claim.to_plain()))


KINDS = baseline_kinds(has_teacher=True)
PHRASES = {"alone": "the student alone", "kd": "vanilla KD"}
SEEDS = [11, 12, 13, 14, 15]


def losses_of(kind: str) -> dict[str, Any]:
    """The losses of a baseline, plain."""
    losses = next(k.losses for k in KINDS if k.name == kind)
    return {name: dict(loss) for name, loss in (losses or {}).items()}


def arm_of(name: str, kind: str, pipeline: Mapping[str, Any], cost: Mapping[str, float], tests: list[float]) -> Arm:
    """An arm with runs on the claim's seeds."""
    runs = {"claim": arm_runs(SEEDS, [x - 0.004 for x in tests], tests)}
    return Arm(name=name, kind=kind, pipeline=dict(pipeline), cost=dict(cost), runs=runs)


def comparison(used: list[float], other: list[float], name: str) -> Comparison:
    """What a claim says of two arms, with an interval of 0.6 points."""
    difference = float(np.mean(used) - np.mean(other))
    low, high = difference - 0.006, difference + 0.006
    verdict = "better" if low > 0 else "worse" if high < 0 else "not distinguishable"
    sure = verdict != "not distinguishable"
    interval = f"[{100 * low:+.1f}, {100 * high:+.1f}]"
    text = f"{verdict} {'than' if sure else 'from'} {name} by {abs(100 * difference):.1f} points {interval}"
    return Comparison(
        difference=difference,
        low=low,
        high=high,
        standard_error=0.0027,
        df=12.0,
        detectable=0.0083,
        verdict=verdict,
        seeds_needed=None if sure else 23,
        text=text,
    )


def settings(name: str, dataset: str, classes: list[str]) -> StudySettings:
    return StudySettings(
        name=name,
        created="2025-11-03T10:15:00+00:00",
        identity=Identity(
            space={"constraints": {}},
            data=Reference({"component": {"use": "digits"}, "seed": 0}, "d1"),
            teacher=Reference({"use": "trained", "epochs": 40}, "90f1c2d3a4b5e6f7"),
            objective={"accuracy": "maximize"},
            rungs=RUNGS,
            budget={"claim_seeds": 5, "train_epochs": 100},
            seed=0,
            slots=1,
        ),
        settings={
            "trials": Setting(30, "space file"),
            "device": Setting("cpu", "default"),
            "time": Setting(None, "default"),
        },
        versions={"autokd": "0.1.0", "torch": "2.6.0", "optuna": "5.0.0", "python": "3.11.9"},
        machine={"device": "cpu", "name": "x86_64", "threads": 2},
        data=DataFacts(
            train=1006,
            validation=251,
            test=540,
            card={
                "source": "scikit-learn",
                "license": "CC BY 4.0",
                "split": {"test": "stratified, seed 0"},
                "class_counts": {"train": [100] * len(classes), "validation": [25] * len(classes)},
            },
            task=Task(
                dataset=dataset, modality="image", input_shape=(1, 8, 8), classes=tuple(classes), train_size=1006
            ),
        ),
        teacher=TeacherFacts(
            origin="trained on digits, resnet, 40 epochs",
            fingerprint="90f1c2d3a4b5e6f7",
            validation={"accuracy": 0.986},
            params=77482,
            may_have_seen_validation=False,
            offers=Shapes(),
        ),
        dropped=("losses.crd: crd needs pooled, which the teacher does not offer",),
    )


Fabricate = Callable[..., FakeStore]


@pytest.fixture
def fabricate(tmp_path: Path) -> Fabricate:
    """Return a maker of fabricated studies: trials=0 for an empty one, claim=False for an interrupted one."""

    def make(
        *,
        name: str = "demo",
        trials: int = 36,
        claim: bool = True,
        gain: float = 0.012,
        teacher_test: float = 0.991,
        n_test: int = 540,
        dataset: str = "digits",
        classes: list[str] | None = None,
    ) -> FakeStore:
        return make_study(
            tmp_path / "studies" / name,
            trials=trials,
            claim=claim,
            gain=gain,
            teacher_test=teacher_test,
            n_test=n_test,
            dataset=dataset,
            classes=classes or [str(digit) for digit in range(10)],
        )

    return make


def make_study(
    path: Path,
    *,
    trials: int,
    claim: bool,
    gain: float,
    teacher_test: float,
    n_test: int,
    dataset: str,
    classes: list[str],
) -> FakeStore:
    path.mkdir(parents=True)
    (path / "space.yaml").write_text("description: small students\nstudent: {one_of: {cnn: {}}}\n", encoding="utf-8")
    log, rng = RecordLog(path / "trials.jsonl"), np.random.default_rng(3)
    add_screen(log, rng)
    log.append("seconds", stage="screen", seconds=1.5)
    add_trials(log, trials, rng)
    log.append("seconds", stage="explore", seconds=74.0)
    if claim:
        add_confirm(log, rng, gain=gain, teacher_test=teacher_test, n_test=n_test, classes=len(classes))
        log.append("seconds", stage="confirm", seconds=3725.0)
        (path / "test_reads.jsonl").write_text('{"time": 1.0, "round": 0, "why": "claim"}\n', encoding="utf-8")
    return FakeStore(path, settings(path.name, dataset, classes), log)


def keep_answers(store: Any, *, sure: float = 6.0, plain: float = 0.5) -> None:
    """Answers of every arm that are right but for every fifth item, of a teacher that is, and of a plain model."""
    classes = store.task.num_classes
    labels = np.arange(500) % classes
    rng = np.random.default_rng(0)

    def logits(wrong: np.ndarray, confidence: float = sure) -> np.ndarray:
        return (confidence * np.eye(classes)[np.where(wrong, (labels + 1) % classes, labels)]).astype(np.float16)

    kept: dict[str, Any] = {"labels/test": labels, "labels/validation": labels}
    for split in ("test", "validation"):
        for arm in store.records.claim.arms:
            for i in range(len(arm.claimed)):
                kept[f"{arm.name}/{i}/{split}"] = logits(np.arange(500) % 5 == i % 5)
        kept[f"teacher/{split}"] = logits(np.zeros(500, dtype=bool))
        kept[f"plain/logistic regression/{split}"] = logits(rng.random(500) > plain)
    file = answers_file(store.path, store.records.claim.round)
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(kept, file)
