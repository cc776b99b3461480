"""Each check: a study in which it fires, and one in which it does not."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from autokd.calibration import Bin
from autokd.metrics import METRICS
from autokd.study.answers import answers_file
from autokd.study.arms import RECOMMENDED_PHRASE, phrase_of
from autokd.study.checks import MARKS, RULES, Facts, check, count
from autokd.study.checks.student import chance_error
from autokd.study.claim import Claim, SplitValues, arm_runs
from autokd.study.records import RecordLog, RungRecord, RunRecord, TrialRecord
from autokd.study.settings import TeacherFacts, TimePlan
from autokd.study.store import StudyStore
from autokd.study.training import Training
from autokd.types import Shapes
from tests.study import helpers

Make = Callable[..., StudyStore]
PAGE = Path(__file__).parents[2] / "docs" / "checks.md"
CARD = {"class_counts": {"train": [50, 50], "validation": [25, 25]}, "also_in_train": {"validation": 0, "test": 0}}
KD = {"ce": {"use": "ce"}, "kd": {"use": "kd"}}
ALONE = {"ce": {"use": "ce"}}


def teacher(accuracy: float = 0.95, params: int = 1000) -> TeacherFacts:
    facts: dict[str, Any] = {"origin": "somewhere", "fingerprint": "t", "may_have_seen_validation": False}
    return TeacherFacts(**facts, validation={"accuracy": accuracy}, params=params, offers=Shapes())


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A maker of studies with a claim: KD beside the student alone, nothing kept, nothing odd."""

    def make(*, claimed: bool = True, card: Mapping[str, Any] = CARD, **changes: Any) -> StudyStore:
        settings = helpers.settings(rungs=(1, 3, 9))
        data = dataclasses.replace(settings.data, card=card, train=100, validation=50, test=50)
        identity = dataclasses.replace(settings.identity, budget={"train_epochs": 4})
        settings = dataclasses.replace(settings, data=data, identity=identity, **{"teacher": teacher()} | changes)
        store = StudyStore(tmp_path, settings, RecordLog(tmp_path / "trials.jsonl"))
        if claimed:
            claim = helpers.claim(others=("alone",))
            losses = {"pick": KD, "alone": ALONE}
            arms = [dataclasses.replace(a, pipeline={**helpers.PIPELINE, "losses": losses[a.name]}) for a in claim.arms]
            store.records.claims.append(dataclasses.replace(claim, arms=tuple(arms), test_counts=(25, 25)))
        return store

    return make


def change(store: StudyStore, **values: Any) -> StudyStore:
    """Change the claim."""
    store.records.claims[-1] = dataclasses.replace(store.records.claims[-1], **values)
    return store


def change_used(store: StudyStore, **values: Any) -> StudyStore:
    """Change the recommended arm."""
    claim: Claim = store.records.claims[-1]
    arms = tuple(dataclasses.replace(a, **values) if a.name == claim.use else a for a in claim.arms)
    return change(store, arms=arms)


def found(store: StudyStore, number: int) -> tuple[str, str]:
    """What a check finds: its severity, and what it says; ("", "") where it does not apply."""
    (rule,) = (rule for rule in RULES if rule.number == number)
    result = rule.look(Facts(store))
    return ("", "") if result is None else (result.severity, result.says)


def keep(store: StudyStore, right: Mapping[str, Sequence[bool] | np.ndarray], sure: float = 3.0) -> StudyStore:
    """Keep answers on 200 items: of an arm (two runs), the teacher or a plain model, by which items are right."""
    labels = np.arange(200) % 2
    kept: dict[str, Any] = {"labels/test": labels, "labels/validation": labels}
    for name, each in right.items():
        logits = (sure * np.eye(2)[np.where(each, labels, 1 - labels)]).astype(np.float16)
        runs = [name] if name == "teacher" or name.startswith("plain/") else [f"{name}/0", f"{name}/1"]
        kept |= {f"{run}/{split}": logits for run in runs for split in ("test", "validation")}
    file = answers_file(store.path, 0)
    file.parent.mkdir(exist_ok=True)
    save_file(kept, file)
    return store


def share(part: float) -> np.ndarray:
    """So many of 200 items are right, evenly over both classes."""
    return np.random.default_rng(0).permutation(200) < 200 * part


def trial(number: int, scores: Sequence[float], **values: Any) -> TrialRecord:
    """A trial with a score at each rung of 1, 3 and 9 epochs."""
    rungs = [RungRecord(rung=i, epochs=3**i, score=score, loss=0.1, seconds=1.0) for i, score in enumerate(scores)]
    facts: dict[str, Any] = {
        "source": "tpe",
        "seed": number,
        "pipeline": {**helpers.PIPELINE, "losses": KD},
        "params": None,
        "cost": {},
    }
    return TrialRecord(number=number, rungs=tuple(rungs), **facts | values)


def add(store: StudyStore, *trials: TrialRecord) -> StudyStore:
    store.records.trials |= {each.number: each for each in trials}
    return store


def add_noise(store: StudyStore, scores: Sequence[float]) -> StudyStore:
    """The same pipeline under several seeds."""
    facts: dict[str, Any] = {
        "stage": "noise",
        "round": 0,
        "arm": "kd",
        "variant": "",
        "pipeline": {},
        "loss": 0.1,
        "seconds": 1.0,
    }
    store.records.runs += [RunRecord(**facts, seed=seed, score=score) for seed, score in enumerate(scores)]
    return store


def taught(store: StudyStore, alone: np.ndarray, taught_by: np.ndarray) -> StudyStore:
    """A claim on the 200 items, of a student without a teacher and of the teacher."""
    value = float(taught_by.mean())
    arms = [
        dataclasses.replace(arm, runs={"claim": arm_runs([7, 8], [0.9, 0.9], [float(alone.mean())] * 2)})
        for arm in store.records.claims[-1].arms
    ]
    change(store, arms=tuple(arms), n_test=200, teacher=SplitValues(value, value))
    return keep(store, {"pick": alone, "alone": alone, "teacher": taught_by})


def test_1_a_worse_teacher_is_told_only_where_chance_does_not_explain_it(make: Make) -> None:
    severity, says = found(taught(make(), share(0.6), share(0.9)), 1)
    assert severity == "pass"
    assert says.startswith("The teacher is better than the student without it: +30.0 points [+16.0, +44.0]")
    severity, says = found(taught(make(), share(0.9), share(0.6)), 1)
    assert severity == "warn" and "is worse than the student without it: −30.0 points [" in says
    severity, says = found(taught(make(), share(0.9), ~share(0.11)), 1)
    assert severity == "unknown" and says.startswith("200 test samples cannot tell the teacher from the student")
    assert found(make(teacher=None), 1) == ("", "")


def test_1_before_a_claim_validation_is_compared(make: Make) -> None:
    alone = trial(0, [0.5, 0.7, 0.9], source="recipe:alone")
    assert found(make(claimed=False), 1)[0] == "unknown"
    assert found(add(make(claimed=False), alone), 1)[0] == "pass"
    assert found(add(make(claimed=False, teacher=teacher(0.7)), alone), 1)[0] == "warn"
    assert found(add(make(claimed=False, teacher=teacher(0.9)), alone), 1)[0] == "unknown"


def test_2_a_pick_without_a_teacher(make: Make) -> None:
    assert found(add(make(), trial(0, [0.9])), 2) == (
        "pass",
        "The search's pick, trial 0, learns from the teacher (ce + kd).",
    )
    alone = trial(0, [0.9], pipeline={**helpers.PIPELINE, "losses": ALONE})
    assert found(add(make(), alone), 2) == ("warn", "The search's pick, trial 0, uses no teacher at all (ce).")


@pytest.mark.parametrize(("accuracy", "severity"), [(0.5, "stop"), (0.56, "stop"), (0.6, "pass")])
def test_3_a_teacher_that_guesses(make: Make, accuracy: float, severity: str) -> None:
    store = make(claimed=False, teacher=teacher(accuracy))
    assert found(store, 3)[0] == severity and f"{100 * accuracy:.1f} % on validation, 50.0 % for" in found(store, 3)[1]
    assert found(make(card={}), 3)[0] == "unknown"


def test_3_one_that_nobody_reads_is_no_reason_to_stop(make: Make) -> None:
    read = make(teacher=teacher(0.5))
    assert found(change(read, teacher=None), 3)[0] == "stop"
    unread = change_used(make(teacher=teacher(0.5)), pipeline={**helpers.PIPELINE, "losses": ALONE})
    assert found(change(unread, teacher=None), 3)[0] == "warn"


@pytest.mark.parametrize(("params", "severity"), [(0, "unknown"), (4, "warn"), (9, "warn"), (10, "pass")])
def test_4_a_student_that_is_hardly_smaller(make: Make, params: int, severity: str) -> None:
    assert found(make(teacher=teacher(params=params)), 4)[0] == severity


def test_5_a_student_that_learned_nothing(make: Make) -> None:
    assert found(make(), 5)[0] == "pass"
    runs = {"claim": arm_runs([7, 8], [0.5, 0.5], [0.55, 0.53])}
    assert found(change_used(make(), runs=runs), 5) == (
        "stop",
        "The student learned nothing: 54.0 % on test, 50.0 % for always giving the commonest class.",
    )
    untested = change_used(make(), runs={"choose": arm_runs([7, 8], [0.5, 0.52], [None, None])})
    assert "51.0 % on validation" in found(untested, 5)[1]


def test_6_a_plain_model_that_is_better(make: Make) -> None:
    assert found(make(), 6)[0] == "unknown"
    answers = {"pick": share(0.7), "plain/logistic regression": share(0.9)}
    severity, says = found(keep(make(), answers), 6)
    assert severity == "stop" and "90.0 % with logistic regression; the student is −20.0 points [" in says
    assert found(keep(make(), {**answers, "plain/logistic regression": share(0.5)}), 6)[0] == "pass"
    assert found(keep(make(), {**answers, "plain/logistic regression": share(0.7)}), 6)[0] == "warn"


def test_7_confidences_that_cannot_be_relied_on(make: Make) -> None:
    assert found(make(), 7)[0] == "unknown"
    severity, says = found(keep(make(), {"pick": share(0.7), "teacher": share(0.95)}), 7)
    off = 100 * (1 / (1 + np.exp(-3)) - 0.7)
    assert severity == "warn" and f"confidence is off by {off:.1f} points, the teacher's by" in says
    assert re.search(r"The temperature in its bundle leaves [0-2]\.\d\.$", says)
    assert found(keep(make(), {"pick": share(0.95)}), 7)[0] == "pass"


def test_7_a_temperature_that_does_not_mend_it_stops(make: Make) -> None:
    store = keep(make(), {"pick": share(0.7)})
    facts = Facts(store)
    assert facts.learned is not None
    facts.learned.arms["pick"] = facts.learned.arms["pick"]._replace(calibrated_error=0.2)
    result = next(rule for rule in RULES if rule.number == 7).look(facts)
    assert result is not None and result.severity == "stop" and "a fitted temperature leaves 20.0" in result.says


def test_7_few_samples_show_an_error_by_chance() -> None:
    bins = [Bin(0.8, 0.9, 100, 0.85, 0.85)]
    few, many = chance_error(bins, 20), chance_error(bins, 2000)
    assert few == pytest.approx(1.96 * np.sqrt(0.85 * 0.15 / 20), rel=0.15)
    assert many == pytest.approx(few / 10, rel=0.15)


def test_8_a_class_that_is_far_below_the_others(make: Make) -> None:
    assert found(make(), 8)[0] == "unknown"
    first = np.arange(200) % 2 == 0
    severity, says = found(keep(make(), {"pick": ~(first & share(0.6))}), 8)
    assert severity == "warn" and "of the 100 test samples of class a are right, against" in says
    assert found(keep(make(), {"pick": ~first}), 8)[0] == "stop"
    assert found(keep(make(), {"pick": share(0.9)}), 8)[0] == "pass"


def test_9_test_that_favours_another_arm(make: Make) -> None:
    assert found(make(), 9)[0] == "pass"
    (compared,) = make().records.claims[-1].comparisons.values()
    worse = dataclasses.replace(compared, verdict="worse", difference=-0.02, low=-0.03, high=-0.01)
    assert found(change(make(), comparisons={"alone": worse}), 9) == (
        "stop",
        f"Test favours {phrase_of('alone')}: {RECOMMENDED_PHRASE} is −2.0 points [−3.0, −1.0] beside it.",
    )
    assert found(change(make(), comparisons={}, comparators=()), 9) == ("", "")


def test_10_a_test_set_that_is_too_small(make: Make) -> None:
    claim = make().records.claims[-1]
    assert found(make(), 10)[0] == "warn", "0.015 is more than a tenth of an error of 0.14"
    (compared,) = claim.comparisons.values()
    fine = dataclasses.replace(compared, detectable=0.012)
    assert found(change(make(), comparisons={"alone": fine}), 10) == (
        "pass",
        "50 test samples and 2 runs a side show differences from 1.2 points; 1.4 points would matter.",
    )
    severity, says = found(change(make(), comparisons={}, comparators=(), evidence="none"), 10)
    assert severity == "warn" and says.startswith("There is no claim on test")


def test_11_a_test_split_that_was_read_twice(make: Make) -> None:
    store = make()
    line = json.dumps({"why": "claim", "round": 0, "time": 1.0}) + "\n"
    (store.path / "test_reads.jsonl").write_text(line, encoding="utf-8")
    assert found(store, 11) == ("pass", "The test split was read once.")
    (store.path / "test_reads.jsonl").write_text(2 * line, encoding="utf-8")
    assert found(store, 11)[0] == "warn" and "read 2 times" in found(store, 11)[1]


def test_12_noise_that_is_hardly_known(make: Make) -> None:
    few = add_noise(make(), [0.9, 0.91, 0.92])
    assert found(few, 12) == (
        "warn",
        "Seeds alone move a score by 1.0 points (2 degrees of freedom; anything from 0.5 to 6.3 is possible).",
    )
    assert found(add_noise(make(), [0.9, 0.91, 0.92, 0.9, 0.91, 0.92]), 12)[0] == "pass"
    assert found(add(make(), trial(0, [0.9])), 12)[0] == "unknown" and found(make(claimed=False), 12) == ("", "")


def test_13_a_value_on_the_end_of_its_range(make: Make) -> None:
    store = change_used(make(), pipeline={"student": {"use": "mlp", "width": 32}, "losses": KD})
    space = {"constraints": {}, "student": {"one_of": {"mlp": {"use": "mlp", "width": {"int": [8, 32]}}}}}
    store.settings = dataclasses.replace(
        store.settings, identity=dataclasses.replace(store.settings.identity, space=space)
    )
    severity, says = found(store, 13)
    assert severity == "warn" and "student.mlp.width 32 is the highest that the space allows" in says
    weights = {"always": {"ce": {"use": "ce", "weight": {"float": [0.1, 1.0]}}}}
    identity = dataclasses.replace(store.settings.identity, space={"constraints": {}, "losses": weights})
    pick = change_used(make(), pipeline={"losses": {"ce": {"use": "ce", "weight": 1.0}}})
    baseline = change_used(make(), kind="kd", pipeline=pick.records.claims[-1].used.pipeline)
    for each, severity in ((pick, "warn"), (baseline, "pass")):
        each.settings = dataclasses.replace(each.settings, identity=identity)
        assert found(each, 13)[0] == severity, "the losses of a baseline were not drawn"
    assert found(make(), 13)[0] == "pass" and found(change_used(make(), recipe="kd"), 13) == ("", "")


def test_13_a_rate_on_the_end_of_its_grid(make: Make) -> None:
    def tuned(*values: float) -> StudyStore:
        variants = ("learning_rate x0.4", "", "learning_rate x2.5")
        runs = [
            run._replace(variant=variant)
            for run, variant in zip(arm_runs([1] * 3, values, [None] * 3), variants, strict=True)
        ]
        return change_used(make(), runs={**make().records.claims[-1].used.runs, "tune": tuple(runs)})

    severity, says = found(tuned(0.8, 0.85, 0.9), 13)
    assert severity == "warn" and "2.5 times the drawn one, the highest" in says
    assert found(tuned(0.8, 0.9, 0.85), 13)[0] == "pass"
    assert found(add_noise(tuned(0.8, 0.85, 0.9), [0.8, 0.9, 1.0]), 13)[0] == "pass", "the noise explains it"


def test_14_a_pick_that_still_rises(make: Make) -> None:
    rising = add(make(), trial(0, [0.5, 0.8, 0.9]))
    assert found(rising, 14) == (
        "warn",
        "Still rising at the end: from 3 to 9 epochs the pick gained 10.0 points, more than 1.0 points.",
    )
    assert found(add(make(), trial(0, [0.5, 0.895, 0.9])), 14)[0] == "pass"
    assert found(add_noise(rising, [0.8, 0.9, 1.0]), 14)[0] == "pass", "the noise explains it"
    assert found(add(make(), trial(0, [0.9])), 14)[0] == "unknown" and found(make(), 14) == ("", "")


def test_15_figures_for_another_length_or_fewer_samples(make: Make) -> None:
    assert found(make(), 15) == ("pass", "Figures are for 4 epochs, as many as full training has.")
    assert found(change(make(), epochs=2), 15)[1].startswith(
        "All figures are for 2 epochs, not the 4 of full training;"
    )
    trained = change(make(), epochs=2)
    trained.records.trainings.append(Training(round=0, epochs=2, full=4, samples=100, reason="the time"))
    assert found(trained, 15)[0] == "pass"
    facts: dict[str, Any] = {"seconds": 9.0, "budget": {}, "whole_data": "d", "teacher_epochs": 2, "reason": "so it is"}
    plan = TimePlan(**facts, limit_train=100, whole_train=2000)
    assert "100 training samples, not 2,000 of them" in found(make(time_plan=plan), 15)[1]


def test_16_short_runs_that_do_not_predict_long_ones(make: Make) -> None:
    rng = np.random.default_rng(0)
    scores = np.linspace(0.5, 0.9, 40)
    shuffled, alike = rng.permutation(scores), scores + rng.normal(0, 0.001, 40)
    weak = add(make(), *(trial(i, [scores[i], shuffled[i]]) for i in range(40)))
    severity, says = found(weak, 16)
    assert (
        severity == "warn"
        and "scores after 1 epoch against those after 3, tau " in says
        and says.endswith("40 trials.")
    )
    assert found(add(make(), *(trial(i, [scores[i], alike[i]]) for i in range(40))), 16)[0] == "pass"
    few = add(make(claimed=False), *(trial(i, [scores[i], alike[i]]) for i in range(3)))
    few.records.trials = {number: each for number, each in few.records.trials.items() if number < 3}
    assert found(few, 16) == ("unknown", "Whether short runs predict long ones is not known: only 3 trials.")


def test_17_a_best_trial_that_came_late(make: Make) -> None:
    rising = add(make(), *(trial(i, [0.5 + 0.01 * i] * 3) for i in range(20)))
    assert found(rising, 17)[0] == "warn" and "trial 19 of 20 is the first that is as good" in found(rising, 17)[1]
    assert found(add_noise(rising, [0.7, 0.8, 0.9]), 17)[0] == "pass", "trial 9 is as good, but for the noise"
    assert found(add(make(), trial(0, [0.9])), 17)[0] == "unknown"


def test_18_trials_that_failed_by_their_reasons(make: Make) -> None:
    lost = {"kind": "out_of_memory", "reason": "needs 3 GB"}
    some = add(make(), *(trial(i, [0.9], failure=lost if i < 3 else None) for i in range(20)))
    assert found(some, 18) == ("warn", "3 of 20 trials failed: 3 × out of memory (needs 3 GB).")
    assert found(add(make(), *(trial(i, [], failure=lost) for i in range(2))), 18)[0] == "stop"
    assert found(add(make(), trial(0, [0.9])), 18) == ("pass", "None of 1 trial failed.")


def test_19_rare_classes_and_one_that_dominates(make: Make) -> None:
    assert found(make(), 19)[0] == "pass" and found(make(card={}), 19)[0] == "unknown"
    rare = make(card={"class_counts": {"train": [97, 3], "validation": [49, 1]}})
    assert found(rare, 19) == (
        "warn",
        "Classes are not balanced: rare class: b (3.0 %); class a has 97.0 % of the training samples.",
    )


@pytest.mark.parametrize(
    ("copies", "near", "severity"),
    [
        (0, {}, "pass"),
        (1, {}, "warn"),
        (6, {}, "stop"),
        (0, {"test": "3 of 50"}, "warn"),
        (0, {"test": "1 of 50"}, "pass"),
    ],
)
def test_20_samples_that_are_in_training_too(make: Make, copies: int, near: Mapping[str, str], severity: str) -> None:
    card = {**CARD, "also_in_train": {"validation": 0, "test": copies}, "nearly_in_train": near}
    assert found(make(card=card), 20)[0] == severity
    assert (f"{copies} of 50 test samples are in training, too" in found(make(card=card), 20)[1]) == bool(copies)
    assert found(make(card={}), 20)[0] == "unknown"


def test_21_inputs_that_hold_nothing(make: Make) -> None:
    plain = make(card={"constant_inputs": ["3 of 100 training pictures are of one single colour"]})
    assert found(plain, 21) == ("warn", "Inputs hold nothing: 3 of 100 training pictures are of one single colour.")
    assert found(make(card={"constant_inputs": []}), 21)[0] == "pass"
    left_out = {"constant_inputs": None, "dropped_columns": {"site": "constant", "id": "identifier"}}
    assert found(make(card=left_out), 21) == ("pass", "1 column that held a single value was left out: site.")
    assert found(make(), 21)[0] == "unknown" and found(make(card={"constant_inputs": None}), 21) == ("", "")


def test_22_an_input_that_gives_the_class_away(make: Make) -> None:
    assert found(make(card={"telling_inputs": {"paid": 0.995}}), 22) == (
        "stop",
        "Alone, these tell the class of nearly all validation samples: paid (99.5 %).",
    )
    assert found(make(card={"telling_inputs": {}}), 22)[0] == "pass"
    assert found(make(), 22)[0] == "unknown" and found(make(card={"telling_inputs": None}), 22) == ("", "")


def test_23_samples_without_labels_that_no_trial_was_trained_on(make: Make) -> None:
    pool, both = {"unlabelled": {"samples": 3000}}, {**helpers.PIPELINE, "losses": KD, "unlabelled": 0.5}
    assert found(make(), 23) == ("", "")
    store = add(make(card=pool), trial(0, [0.9]), trial(1, [0.8], pipeline={**both, "unlabelled": 0.0}))
    assert found(store, 23)[0] == "warn" and "3,000 samples without labels were not tried" in found(store, 23)[1]
    assert found(add(store, trial(2, [0.7], pipeline=both)), 23)[0] == "pass"


def test_checks_come_worst_first_and_say_what_to_do(make: Make) -> None:
    store = add(make(teacher=teacher(0.4, params=6)), trial(0, [0.5, 0.8, 0.9]))
    made = check(change(store, teacher=None))
    order = [list(MARKS).index(each.severity) for each in made]
    assert order == sorted(order) and {each.severity for each in made} == set(MARKS)
    assert all(bool(each.todo) == (each.severity in ("stop", "warn")) for each in made)
    assert count(made, "stop") == 1 and made[0].rule.number == 3 and made[0].mark == "✕"


def test_texts_hold_no_sign_that_turns_their_neighbours_round(make: Make) -> None:
    store = make(card={"class_counts": {"train": [97, 3], "validation": [49, 1]}})
    task = dataclasses.replace(store.task, classes=("a", "\u202eb"))
    store.settings = dataclasses.replace(store.settings, data=dataclasses.replace(store.settings.data, task=task))
    assert "rare class: b (3.0 %)" in "".join(each.says for each in check(store))


def test_every_check_applies_to_a_study_of_another_metric(make: Make) -> None:
    store = change(make(), metric="log_loss")
    identity = dataclasses.replace(store.settings.identity, objective={"log_loss": "minimize"})
    store.settings = dataclasses.replace(store.settings, identity=identity)
    texts = [each.says for each in check(add(store, trial(0, [-0.5, -0.4, -0.3])))]
    assert any("nats" in text for text in texts) and METRICS["log_loss"].unit == "nats"


def test_every_check_has_its_entry_and_every_entry_its_check() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = [heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.*)$", text, re.MULTILINE)]
    assert headings == [rule.anchor for rule in RULES] == re.findall(r"^- \[.*\]\(#(.*)\)$", text, re.MULTILINE)
    assert [rule.number for rule in RULES] == list(range(1, len(RULES) + 1))
