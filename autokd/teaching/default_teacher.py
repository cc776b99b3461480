"""The teacher that autokd trains itself when none is given.

The kind of input says how: a network or an ensemble of some, the augmentation chosen on validation in short runs, and
trees beside; the best on validation is the teacher. All learn from train minus validation, networks by the one training
loop with cross-entropy, of which the epoch that is best on validation is kept. The teacher is kept in the user's cache
by content and shared by all studies.
"""

from __future__ import annotations

import functools
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from autokd.data import Dataset
from autokd.engine.build import build_student
from autokd.engine.context import TrainContext
from autokd.engine.evaluate import predict_teacher
from autokd.engine.teacher_bank import TeacherBank
from autokd.errors import ComponentError
from autokd.files import CACHE_REMEDY, cache_dir, write_tensors, write_text
from autokd.input_values import TeacherRecipe
from autokd.locks import waited_for
from autokd.networks.cost import in_form
from autokd.networks.large import compact
from autokd.networks.models import NetworkTeacher, head_of, seeded, shapes_of, state_fingerprint
from autokd.networks.naming import of_student, own_network
from autokd.networks.trees import TreeEnsemble
from autokd.seeds import derive
from autokd.spec import component_from_plain, fingerprint, from_plain
from autokd.teaching.best_epoch import Trained, train_best
from autokd.teaching.recipe import LARGE, SHORT, Effort, recipe
from autokd.teaching.trees import KINDS, fit_trees
from autokd.types import Shapes, Task

log = logging.getLogger("autokd")

FORMAT = 2
SEED = 0
"""Fixed, so that studies with different seeds share the teacher."""

OnEpoch = Callable[[int, int], None]
"""Called with (epochs done, epochs in all)."""


def _nothing() -> None:
    """Go on waiting."""


def reference(effort: Effort) -> dict[str, Any]:
    """Return the plain reference by which a pipeline file names a default teacher."""
    plain = {"use": "trained", "epochs": effort.epochs}
    return plain if effort.network == LARGE else {**plain, "network": effort.network}


@functools.lru_cache(maxsize=64)
def offers(task: Task, effort: Effort) -> Shapes:
    """Return what the default teacher will offer; nothing is trained. One that may be trees offers no features."""
    chosen = recipe(task, effort)
    if chosen.trees or chosen.members > 1:
        return Shapes()
    plain = chosen.pipelines[0]["student"]
    small = compact(task)  # a head is a matter of the network's form, and needs values, not shapes alone
    head = head_of(_network(chosen.pipelines[0], small).eval(), small)
    shapes = shapes_of(in_form(component_from_plain("students", plain), task, None, None), task)
    return shapes._replace(head=head is not None, network=of_student(plain).with_options())


def obtain(
    data: Dataset,
    effort: Effort,
    device: torch.device,
    on_epoch: OnEpoch | None = None,
    on_wait: Callable[[], None] = _nothing,
) -> NetworkTeacher:
    """Return the default teacher of a dataset: from the cache, or trained now.

    Args:
      data: the dataset.
      effort: how long its networks train, and how large they are.
      device: where to train.
      on_epoch: progress; called only where it trains. Fitting trees counts as a member's training.
      on_wait: called again and again while another process trains it; what it raises ends the wait.

    Raises:
      UserError: nothing can be kept in the cache.
    """
    data = data.labelled_alone
    chosen, epochs = recipe(data.task, effort), effort.epochs
    key = fingerprint(
        [FORMAT, data.task.fingerprint, list(chosen.pipelines), chosen.members, list(chosen.trees), epochs]
    )
    folder = cache_dir("teachers") / key
    lock = cache_dir("teachers") / f"{key}.lock"
    with waited_for(lock, "trains this teacher", CACHE_REMEDY, on_wait):
        teacher = _found(folder, data.task)
        if teacher is None:
            _train(data, chosen, epochs, device, folder, on_epoch or (lambda done, total: None))
            teacher = _load(folder, data.task)
        return teacher.to(device)


def _found(folder: Path, task: Task) -> NetworkTeacher | None:
    """Return the teacher kept in a folder; None where there is none, or it is damaged."""
    if not (folder / "teacher.json").is_file():
        return None
    try:
        return _load(folder, task)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError, ComponentError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        log.warning("the teacher kept in %s is damaged (%s); training it again", folder, why)
        shutil.rmtree(folder)
        return None


class _Candidate(NamedTuple):
    """A teacher that may be kept.

    Args:
      name: for people; tells trees apart.
      pipeline: of its networks, plain; None: it is trees.
      states: of its members.
      score: accuracy on validation; None: not known yet.
    """

    name: str
    pipeline: Mapping[str, Any] | None
    states: Sequence[Mapping[str, Tensor]]
    score: float | None = None

    def modules(self, task: Task) -> list[nn.Module]:
        """Return its members, in eval mode."""
        if self.pipeline is None:
            return [TreeEnsemble(state, KINDS[self.name].link) for state in self.states]
        modules = [_network(self.pipeline, task) for _ in self.states]
        for module, state in zip(modules, self.states, strict=True):
            module.load_state_dict(state)
        return modules

    def teacher(self, task: Task, origin: str = "") -> NetworkTeacher:
        """Return it as a teacher."""
        identity = self.name if self.pipeline is None else ""
        teacher = NetworkTeacher(self.modules(task), task, origin=origin, identity=identity)
        return teacher if self.pipeline is None else own_network(teacher, self.pipeline["student"])


def _train(
    data: Dataset, chosen: TeacherRecipe, epochs: int, device: torch.device, folder: Path, on_epoch: OnEpoch
) -> None:
    """Train every candidate, and write the one that is best on validation; the first of equals."""
    context = TrainContext(data=data, teacher=None, device=device, bank=TeacherBank())
    total = _short(epochs) * chosen.compared + epochs * (chosen.members + len(chosen.trees))
    done = 0
    on_epoch(done, total)

    def tell(trained: int = 1) -> None:
        nonlocal done
        done += trained
        on_epoch(done, total)

    candidates = []
    for name in chosen.trees:
        trees = fit_trees(name, data.train, data.task.num_classes)
        candidates.append(_Candidate(name, None, [trees.state_dict()]))
        tell(epochs)
    candidates.append(_train_networks(context, chosen, epochs, tell))
    scores = [_accuracy(each, context) if each.score is None else each.score for each in candidates]
    names = [each.name for each in candidates]
    _write(folder, candidates[scores.index(max(scores))], dict(zip(names, scores, strict=True)))


def _train_networks(context: TrainContext, chosen: TeacherRecipe, epochs: int, tell: Callable[[], None]) -> _Candidate:
    """Choose the augmentation in short runs, and train the members."""

    def train(pipeline: Mapping[str, Any], length: int, member: int) -> Trained:
        return train_best(context, from_plain(pipeline), derive(SEED, "teacher", member), length, tell)

    best = chosen.pipelines[0]
    if chosen.compared:
        scores = [train(pipeline, _short(epochs), 0).score for pipeline in chosen.pipelines]
        best = chosen.pipelines[scores.index(max(scores))]
    members = [train(best, epochs, member) for member in range(chosen.members)]
    score = members[0].score if len(members) == 1 else None
    return _Candidate(chosen.name, best, [member.state for member in members], score)


def _short(epochs: int) -> int:
    return max(1, epochs // SHORT)


def _accuracy(candidate: _Candidate, context: TrainContext) -> float:
    """Share of validation that a candidate has right."""
    teacher = candidate.teacher(context.data.task).to(context.device)
    logits = predict_teacher(teacher, context.validation_data)
    return float((logits.argmax(1) == context.data.validation.labels).double().mean())


class _Facts(NamedTuple):
    """What `teacher.json` says.

    Args:
      format: `FORMAT`.
      use: name of the candidate that was chosen.
      pipeline: of its networks, plain; None: it is trees.
      members: fingerprints of its members' states.
      validation_accuracy: of each candidate, by name.
    """

    format: int
    use: str
    pipeline: Mapping[str, Any] | None
    members: Sequence[str]
    validation_accuracy: Mapping[str, float]


def _write(folder: Path, best: _Candidate, scores: Mapping[str, float]) -> None:
    for number, state in enumerate(best.states):
        write_tensors(folder / f"member-{number}.safetensors", state)
    facts = _Facts(FORMAT, best.name, best.pipeline, [state_fingerprint(state) for state in best.states], scores)
    write_text(folder / "teacher.json", json.dumps(facts._asdict()))


def _load(folder: Path, task: Task) -> NetworkTeacher:
    facts = _Facts(**json.loads((folder / "teacher.json").read_text(encoding="utf-8")))
    states = [_member(folder / f"member-{number}.safetensors", it) for number, it in enumerate(facts.members)]
    return _Candidate(facts.use, facts.pipeline, states).teacher(task, _origin(facts))


def _member(file: Path, written: str) -> dict[str, Tensor]:
    """The state of a member.

    Raises:
      ValueError: it is not the one that was written.
    """
    state: dict[str, Tensor] = load_file(file)
    if state_fingerprint(state) != written:
        raise ValueError(f"{file.name} holds other weights than those written")
    return state


def _origin(facts: _Facts) -> str:
    """Say what was tried and chosen, or, where nothing else was tried, which network it is."""
    scores = sorted(facts.validation_accuracy.items(), key=lambda item: (item[0] != facts.use, -item[1]))
    if facts.pipeline is None or len(scores) > 1:
        tried = ", ".join(f"{name} {100 * score:.1f} %" for name, score in scores)
        return f"trained by autokd: the best on validation of {tried}"
    student = dict(facts.pipeline["student"])
    name = student.pop("use")
    fields = ", ".join(f"{key}={value}" for key, value in student.items())
    return f"trained by autokd: {name}({fields}), augment {facts.pipeline['augment']['use']}"


def _network(pipeline: Mapping[str, Any], task: Task) -> nn.Module:
    with seeded(0):
        return build_student(component_from_plain("students", pipeline["student"]), task)
