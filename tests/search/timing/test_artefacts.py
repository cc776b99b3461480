"""What components will prepare is foreseen: each artefact once, its reference networks, the teacher's answers."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from autokd.data import Dataset
from autokd.engine import prepare
from autokd.engine.rung import FORWARD, run_samples
from autokd.search.stages import works
from autokd.search.timing.artefacts import Rates, preparing_seconds, reference_samples
from autokd.search.timing.measure import Probe
from autokd.search.work import Costs, Parallel, Scope, Sizes, Work, total_seconds
from autokd.space import Budget
from autokd.spec import from_plain, make
from autokd.teaching.recipe import Effort
from autokd.types import Shapes
from tests.search.spaces import CPU, SPACE, context, resolved

SELECTING = "selection: {one_of: {all: {}, difference_sampling: {}}}" + SPACE
RATES = Rates(answer=0.1, reference=lambda: 1e-3)


def selecting(data: Dataset, **selection: Any) -> dict[str, Any]:
    return {**resolved(data, SELECTING).default().plain, "selection": selection}


def test_what_trains_is_what_is_foreseen(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    where = context(digits)
    seen = []

    def reference(given: Any, rows: Tensor, seed: int) -> Tensor:
        seen.append(len(rows))
        return torch.randn(len(given.data.train), 10)

    monkeypatch.setattr(prepare, "reference_logits", reference)
    spec = from_plain(selecting(digits, use="difference_sampling", share=0.5, by="label", per_class=False))
    assert len(list(prepare.prepare_artefacts(where, spec))) == 1
    assert sum(seen) == len(digits.train) and len(seen) == 2
    epochs = [prepare.reference_epochs(rows) for rows in seen]
    assert all(20_000 <= e * rows < 21_000 for e, rows in zip(epochs, seen, strict=True))
    trained = [run_samples(e, e, rows, len(digits.validation)) for e, rows in zip(epochs, seen, strict=True)]
    component = make("selections", "difference_sampling", {})
    foreseen = reference_samples(component, digits, Shapes())
    assert foreseen == pytest.approx(sum(trained) + 2 * FORWARD * len(digits.train), rel=0.02)
    assert reference_samples(make("losses", "lelp", {}), digits, Shapes(pooled=16)) == 0


def test_each_artefact_is_made_once_and_the_teacher_asked_once(digits: Dataset) -> None:
    base = resolved(digits, SELECTING).default().plain
    plain = {**base, "selection": {"use": "all"}}
    ours = [selecting(digits, use="difference_sampling", share=share) for share in (0.5, 0.7)]
    lelp = {**ours[0], "losses": {"ce": base["losses"]["ce"], "lelp": {"use": "lelp", "subclasses": 8}}}
    seconds = preparing_seconds([plain, *ours, lelp, lelp], digits, Shapes(pooled=8), RATES)
    trained = 1e-3 * reference_samples(make("selections", "difference_sampling", {}), digits, Shapes())
    answers = 0.1 * len(digits.train)
    assert trained > 10
    assert seconds == pytest.approx([0.0, *[trained + answers] * 4])


def test_the_plan_counts_them_where_pipelines_are_drawn() -> None:
    costs = Costs(train=1e-3, answer=1e-4)
    sizes, two = Sizes(train=100, validation=20, test=20, classes=10), Parallel(slots=2, workers=2)
    drawn = Work(stage="explore", part="explore", runs=2, epochs=1, horizon=1, drawn=True)
    for work, more in ((drawn, 7.0), (dataclasses.replace(drawn, drawn=False), 0.0)):
        without, beside = (
            total_seconds([work], sizes, 100, c, two) for c in (costs, costs._replace(preparing=(5.0, 7.0)))
        )
        assert beside - without == pytest.approx(more)


def test_the_plan_counts_the_answers_about_samples_without_labels_once() -> None:
    foreseen, sizes = works(Scope(budget=Budget(trials=9, epochs=4))), Sizes(100, 20, 20, classes=10)
    costs, alone = Costs(train=1e-3, answer=1e-2), Parallel()
    seconds = [total_seconds(foreseen, each, 100, costs, alone) for each in (sizes, sizes._replace(unlabelled=50_000))]
    assert seconds[1] - seconds[0] == pytest.approx(500.0)


def test_a_space_is_asked_for_them_only_where_something_is_prepared(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, prepares in ((SPACE, False), (SELECTING, True)):
        space = resolved(digits, text)
        probe = Probe(data=digits, space=space, teacher=None, offers=Shapes(), device=CPU, threads=1, effort=Effort(2))
        monkeypatch.setattr(Probe, "sample_seconds", lambda probe, pipeline: 1e-3)
        found = probe.preparing(1e-4)
        assert (len(found) == 100 and found[-1] > 10 and list(found) == sorted(found)) if prepares else found == ()
