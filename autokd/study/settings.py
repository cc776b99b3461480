"""What `study.yaml` says: what a study is, what was asked of it, where it ran, its data and its teacher."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from autokd.metrics import Metric
from autokd.networks.models import shapes_from_plain, shapes_to_plain
from autokd.objective import Objective, of_plain
from autokd.space import Budget
from autokd.study.majority import Majority, majority
from autokd.study.past import PastStudies
from autokd.types import Shapes, Task

FORMAT = 2
"""Of a study's files: `study.yaml` and `trials.jsonl`."""
READABLE = (1, 2)
"""Formats that this version opens. In 1, claims named their arms otherwise and were no lists; see `study.old`."""


class Reference(NamedTuple):
    """Where data or a teacher come from.

    Args:
      reference: plain, enough to load it again; None for a teacher that there is not.
      fingerprint: of the content; None while it is not known.
    """

    reference: Mapping[str, Any] | None
    fingerprint: str | None

    @property
    def loader(self) -> str:
        """Name of what loads it; "" where the reference does not say."""
        return str((self.reference or {}).get("use", ""))


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes a study this study: a search that differs in any of it is another one.

    Args:
      space: the resolved space with every range written out, its constraints, budget, screening and warm starts.
      data, teacher: where they come from.
      objective: direction of each objective, by name.
      rungs: epochs at the end of each rung.
      budget: numbers of `autokd.types.Budget`, but for the trials.
      seed: the study's.
      slots: rungs under way at a time.
      bank_features: bytes of the teacher bank where it keeps feature maps, else None.
      objective_order: names of the objectives, the first one first, where there are several.
      latency_device: where latency is measured, where the study depends on it.
      knowledge: digest of the base of past studies that it began with; None: it began with the known recipes alone.
    """

    space: Mapping[str, Any]
    data: Reference
    teacher: Reference
    objective: Mapping[str, str]
    rungs: list[int]
    budget: Mapping[str, Any]
    seed: int
    slots: int
    bank_features: int | None = None
    objective_order: Sequence[str] | None = None
    latency_device: str | None = None
    knowledge: str | None = None

    @property
    def limits(self) -> Mapping[str, float]:
        """Bounds on what a student costs, by name of the cost."""
        limits: Mapping[str, float] = self.space["constraints"]
        return limits

    @property
    def goal(self) -> Objective:
        """What the study is to be good at."""
        return of_plain(self.objective)

    def budget_of(self, trials: int) -> Budget:
        """Return the budget with a number of trials; a study from before side branches has none."""
        known = {item.name for item in dataclasses.fields(Budget)}
        kept = {name: value for name, value in self.budget.items() if name in known}
        return Budget(**{"branch": 0.0, **kept, "trials": trials})

    def to_plain(self) -> dict[str, Any]:
        """Return the identity as `study.yaml` has it; what does not concern this study is left out."""
        plain = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        optional = ("objective_order", "latency_device", "knowledge")
        kept = {key: value for key, value in plain.items() if key not in optional or value is not None}
        return {**kept, "data": self.data._asdict(), "teacher": self.teacher._asdict()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Identity:
        """Inverse of `to_plain`."""
        teacher = plain["teacher"] or {"reference": None, "fingerprint": None}
        return cls(**{**plain, "data": Reference(**plain["data"]), "teacher": Reference(**teacher)})


def comparable(*identities: Identity) -> list[Identity]:
    """Return identities without what makes no other study: where the same data lie, and content that is not known."""
    contents = {identity.data.fingerprint for identity in identities}
    with_teacher = all(identity.teacher.fingerprint is not None for identity in identities)
    compared = [_without_places(identity) if len(contents) == 1 else identity for identity in identities]
    return [_without_content(one, data=None not in contents, teacher=with_teacher) for one in compared]


def _without_places(identity: Identity) -> Identity:
    kept = {key: item for key, item in (identity.data.reference or {}).items() if key != "component"}
    return dataclasses.replace(identity, data=identity.data._replace(reference=kept))


def _without_content(identity: Identity, *, data: bool, teacher: bool) -> Identity:
    """Return an identity without the fingerprints that are not to be compared."""
    return dataclasses.replace(
        identity,
        data=identity.data if data else identity.data._replace(fingerprint=None),
        teacher=identity.teacher if teacher else identity.teacher._replace(fingerprint=None),
    )


class Setting(NamedTuple):
    """A value with its origin: "asked", "default", "space file", "the time", …"""

    value: Any
    origin: str

    def to_plain(self) -> dict[str, Any]:
        """Return the setting as `study.yaml` has it."""
        return {"value": self.value, "from": self.origin}


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """The data of a study.

    Args:
      train, validation, test: samples of each split.
      card: what is worth knowing of the data; see `autokd.data.Dataset.card`.
      task: all that engine and models know of it.
    """

    train: int
    validation: int
    test: int
    card: Mapping[str, Any]
    task: Task

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.task.dataset

    @property
    def modality(self) -> str:
        """Kind of input."""
        return self.task.modality

    def counts(self, split: str) -> Sequence[int]:
        """Return the samples of each class of "train" or "validation"; () where an earlier version did not count."""
        counted: Mapping[str, Sequence[int]] = self.card.get("class_counts", {})
        return counted.get(split, ())

    def copies(self, split: str) -> int | None:
        """Return how many samples of "validation" or "test" are training samples, too; None where nobody looked."""
        counted: Mapping[str, int] = self.card.get("also_in_train", {})
        return counted.get(split)

    @property
    def constant_columns(self) -> list[str]:
        """Columns that were left out because they hold a single value."""
        return [name for name, why in self.card.get("dropped_columns", {}).items() if why == "constant"]

    def near_copies(self, split: str) -> tuple[int, int] | None:
        """Return how many samples of a split nearly are, and of how many that were looked at; None where none is."""
        told: str | None = self.card.get("nearly_in_train", {}).get(split)
        return None if told is None else (int(told.split(" of ")[0]), int(told.split(" of ")[1]))

    def majority(self, split: str, metric: Metric) -> Majority | None:
        """Return what always giving the commonest class reaches on a split; None where it is not known."""
        return majority(self.counts("train"), self.counts(split), metric)

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as `study.yaml` has them."""
        task = dataclasses.asdict(self.task)
        if not self.task.unlabelled:
            del task["unlabelled"]
        return {
            "name": self.name,
            "modality": self.modality,
            "classes": list(self.task.classes),
            "input_shape": list(self.task.input_shape),
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
            "card": self.card,
            "task": task,
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> DataFacts:
        """Inverse of `to_plain`."""
        task: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain["task"].items()}
        sizes = {key: plain[key] for key in ("train", "validation", "test")}
        return cls(**sizes, card=plain["card"], task=Task(**task))


@dataclass(frozen=True, kw_only=True)
class TeacherFacts:
    """The teacher of a study.

    Args:
      origin: in words.
      fingerprint: of its weights.
      validation: value of every metric on validation, by name.
      params: parameters; 0 where nobody knows.
      may_have_seen_validation: it was not trained by autokd on train alone.
      offers: what it offers.
      line: of a given one, what it is fed and how often it is right; "" where that was not tried.
      remarks: what was taken of its input and its classes, or is proposed, a sentence each.
      cost: of an answer about one sample, "macs" and "latency" (ms), as far as they are known.
    """

    origin: str
    fingerprint: str
    validation: Mapping[str, float]
    params: int
    may_have_seen_validation: bool
    offers: Shapes
    line: str = ""
    remarks: tuple[str, ...] = ()
    cost: Mapping[str, float] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return the facts as `study.yaml` has them."""
        return {
            "origin": self.origin,
            "fingerprint": self.fingerprint,
            "validation_accuracy": self.validation.get("accuracy"),
            "validation_metrics": dict(self.validation),
            "params": self.params,
            "may_have_seen_validation": self.may_have_seen_validation,
            "offers": shapes_to_plain(self.offers),
            **({"tried": {"line": self.line, "remarks": list(self.remarks)}} if self.line else {}),
            **({"cost": dict(self.cost)} if self.cost else {}),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TeacherFacts:
        """Inverse of `to_plain`; a study from before there were several metrics knows the accuracy alone."""
        accuracy, tried = plain.get("validation_accuracy"), plain.get("tried", {})
        alone = {} if accuracy is None else {"accuracy": accuracy}
        return cls(
            origin=plain["origin"],
            fingerprint=plain["fingerprint"],
            validation={**alone, **plain.get("validation_metrics", {})},
            params=plain["params"],
            may_have_seen_validation=plain["may_have_seen_validation"],
            offers=shapes_from_plain(plain["offers"]),
            line=tried.get("line", ""),
            remarks=tuple(tried.get("remarks", ())),
            cost=plain.get("cost", {}),
        )


@dataclass(frozen=True, kw_only=True)
class TimePlan:
    """How a study was fitted into its time.

    Args:
      seconds: asked for.
      budget: fields of `autokd.types.Budget` in place of the space file's; its trials are expected ones.
      limit_train: size of the training set, or None for all of it.
      whole_train: size of all of it, where the training set is limited; None where an earlier version did not say.
      whole_data: fingerprint of all the data, where the training set is limited.
      teacher_epochs: the space file's own, for full training.
      reason: in words.
      hand_seconds: measured, of a full-length run of hand KD; None where an earlier version did not measure it.
      hand_runs: that the time bears; None likewise.
      student: of the recipes, plain: the first family of the space that is quick enough; None: as the space has it.
      left_out: families of students that are no candidates, with why.
      fastest: the families by the seconds of a training step, in which order they are tried; (): as the space has them.
    """

    seconds: float
    budget: Mapping[str, int]
    limit_train: int | None
    whole_data: str | None
    teacher_epochs: int
    reason: str
    whole_train: int | None = None
    hand_seconds: float | None = None
    hand_runs: float | None = None
    student: Mapping[str, Any] | None = None
    left_out: Mapping[str, str] = dataclasses.field(default_factory=dict)
    fastest: Sequence[str] = ()

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TimePlan:
        """Return the plan that `study.yaml` has, of this version or an earlier one."""
        known = {item.name for item in dataclasses.fields(cls)}
        return cls(**{key: value for key, value in plain.items() if key in known})


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """The content of `study.yaml`.

    Args:
      name: of the study.
      created: ISO time.
      identity: what makes the study this study.
      settings: every option of the search and what else it depends on, by name, as used last.
      versions: of autokd and what it stands on.
      machine: device, its name, threads, system.
      data, teacher: facts; no teacher: None.
      dropped: what was left out of the space, one line each.
      time_plan: how the study was fitted into `--time`, or None.
      past: what past studies advised; None where none were asked.
    """

    name: str
    created: str
    identity: Identity
    settings: Mapping[str, Setting]
    versions: Mapping[str, str]
    machine: Mapping[str, Any]
    data: DataFacts
    teacher: TeacherFacts | None
    dropped: tuple[str, ...] = ()
    time_plan: TimePlan | None = None
    past: PastStudies | None = None

    def setting(self, name: str) -> Any:
        """Return the value of a setting; None where it is not written down."""
        return self.settings[name].value if name in self.settings else None

    @property
    def on_gpu(self) -> bool:
        """Whether it was run on a GPU last."""
        return str(self.machine.get("device")).startswith("cuda")

    def to_plain(self) -> dict[str, Any]:
        """Return the content of `study.yaml`."""
        return {
            "format": FORMAT,
            "name": self.name,
            "created": self.created,
            "identity": self.identity.to_plain(),
            "settings": {name: setting.to_plain() for name, setting in self.settings.items()},
            "versions": dict(self.versions),
            "machine": dict(self.machine),
            "data": self.data.to_plain(),
            "teacher": None if self.teacher is None else self.teacher.to_plain(),
            "dropped": list(self.dropped),
            "time_plan": None if self.time_plan is None else dataclasses.asdict(self.time_plan),
            **({} if self.past is None else {"past": self.past.to_plain()}),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> StudySettings:
        """Inverse of `to_plain`, of any readable format.

        Raises:
          KeyError, TypeError: something is missing, or is not known.
        """
        time_plan, past = plain.get("time_plan"), plain.get("past")
        return cls(
            name=plain["name"],
            created=plain["created"],
            identity=Identity.from_plain(plain["identity"]),
            settings={name: Setting(item["value"], item["from"]) for name, item in plain["settings"].items()},
            versions=plain["versions"],
            machine=plain["machine"],
            data=DataFacts.from_plain(plain["data"]),
            teacher=None if plain["teacher"] is None else TeacherFacts.from_plain(plain["teacher"]),
            dropped=tuple(plain.get("dropped", ())),
            time_plan=None if time_plan is None else TimePlan.from_plain(time_plan),
            past=None if past is None else PastStudies.from_plain(past),
        )
