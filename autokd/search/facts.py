"""What `study.yaml` says of a new study: data, teacher, machine, versions."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from autokd import _version
from autokd import spec as spec_module
from autokd.engine.evaluate import predict_teacher
from autokd.engine.precision import cpu_has_bfloat16
from autokd.engine.views import DeviceData, normalise, raw_view, to_device
from autokd.metrics import measure, predictions
from autokd.networks.cost import answer_cost
from autokd.search.session import Setup
from autokd.study.settings import DataFacts, StudySettings, TeacherFacts
from autokd.teaching.taught import is_taught
from autokd.types import Teacher

THEN = ", then "
"""Between the versions under which one study was run, the first one first."""
log = logging.getLogger("autokd")


def describe_study(setup: Setup) -> StudySettings:
    """Return what `study.yaml` says of a new study; its name and date are given to it when it is made."""
    return StudySettings(
        name="",
        created="",
        identity=setup.identity,
        settings=setup.settings,
        versions=versions_now(),
        machine=describe_machine(setup.device),
        data=DataFacts(
            train=len(setup.data.train),
            validation=len(setup.data.validation),
            test=setup.data.test_size,
            card=setup.data.card,
            task=setup.data.task,
        ),
        teacher=_describe_teacher(setup),
        dropped=setup.dropped,
        time_plan=setup.time_plan,
        past=setup.past,
    )


def _describe_teacher(setup: Setup) -> TeacherFacts | None:
    teacher = setup.teacher
    if teacher is None:
        return None
    validation = to_device(setup.data.validation, setup.data.task, setup.device)
    logits = predict_teacher(teacher, validation)
    return TeacherFacts(
        origin=teacher.origin,
        fingerprint=teacher.fingerprint,
        validation=measure(predictions(logits, setup.data.validation.labels)),
        params=teacher.params,
        may_have_seen_validation=not is_taught(setup.identity.teacher.reference),
        offers=teacher.offers,
        line=setup.teacher_line,
        remarks=setup.teacher_remarks,
        cost=_cost_of_asking(teacher, validation.of_teacher, timed=setup.measures.of_torch),
    )


def _cost_of_asking(teacher: Teacher, data: DeviceData, *, timed: bool) -> dict[str, float]:
    """What the teacher's answer about one sample costs; nothing where it is not computed here."""
    if not teacher.offers.views:
        return {}
    inputs = normalise(data, raw_view(data, slice(0, 1)).inputs)
    return answer_cost(lambda: teacher.predict(inputs), data.labels.device, timed=timed)


def describe_machine(device: torch.device) -> dict[str, Any]:
    """Return the device and the system that a study runs on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "device": str(device),
        "name": name,
        "threads": torch.get_num_threads(),
        "native_bfloat16": device.type == "cuda" or cpu_has_bfloat16(),
        "system": platform.platform(),
    }


def tell_versions(before: StudySettings) -> None:
    """Warn where a study goes on under other versions than those that it was made with last."""
    last = {name: versions.split(THEN)[-1] for name, versions in before.versions.items()}
    changed = [f"{name} {last[name]}, now {now}" for name, now in versions_now().items() if last.get(name, now) != now]
    if changed:
        log.warning(
            "the study goes on under other versions than before: %s; its trials may not be comparable (--study NAME "
            "begins a new one)",
            "; ".join(changed),
        )


def with_versions_now(before: Mapping[str, str]) -> dict[str, str]:
    """Return versions with those of today behind, where these are others: "0.1.0, then 0.2.0"."""
    known = {name: versions.split(THEN) for name, versions in before.items()}
    for name, version_now in versions_now().items():
        if known.setdefault(name, [version_now])[-1] != version_now:
            known[name].append(version_now)
    return {name: THEN.join(versions) for name, versions in known.items()}


def versions_now() -> dict[str, str]:
    """Return the versions of autokd and what it stands on, by name."""

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return "unknown"

    names = ("torch", "torchvision", "optuna", "numpy", "scikit-learn")
    own = {
        "python": platform.python_version(),
        "pipeline_format": str(spec_module.FORMAT),
        "autokd": _version.__version__,
    }
    return own | {name: of(name) for name in names}
