"""Choose: which arm is recommended, on validation, and what the claim is to compare it with.

The arms run on seeds that neither select nor tune has seen; one rule (`autokd.study.use`) decides by their means. Where
the budget has no such seeds, their trials at the top rung and select's runs decide. Where it has none left for the
claim, these are the claim's own runs. What comes of it is recorded before anything is claimed, and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from autokd.search.confirm.contenders import Contenders, contenders_as_tried, tuned_contenders
from autokd.search.confirm.round import Round
from autokd.search.confirm.seeds import FEWEST, claim_design, claims_on_same_seeds
from autokd.search.confirm.select import choose_trial, scores_of, selected_runs
from autokd.search.runs import WantedRun
from autokd.search.session import Session
from autokd.search.work import Scope, Work
from autokd.spec import PipelineSpec
from autokd.study import noise
from autokd.study.arms import HAND_KD, baseline_kinds
from autokd.study.noise import STRETCH
from autokd.study.records import RunRecord, TrialRecord
from autokd.study.store import student_file
from autokd.study.use import Option, Use, choose, explain, find_comparator, find_comparators, found_margin, tolerance

SHARE = 0.5
"""Of the time left that choose may take where the claim has seeds of its own."""


@dataclass(frozen=True)
class Choose:
    """Trains the arms on fresh validation seeds and records which one is recommended."""

    name: str = "choose"

    def work(self, scope: Scope) -> Sequence[Work]:
        """Return a run for each arm and seed, on the study's views."""
        budget, shared = scope.budget, claims_on_same_seeds(scope.budget)
        kinds = baseline_kinds(has_teacher=scope.has_teacher)
        reading = scope.has_teacher * (2 + shared) + sum(kind.reads_teacher for kind in kinds)
        arms, seeds = 2 + len(kinds) + (shared and scope.has_teacher), budget.choose_seeds
        if not seeds:
            return []
        return [
            Work(
                stage=self.name,
                runs=arms * seeds,
                most=arms * seeds * (STRETCH if shared else 1),
                epochs=budget.epochs,
                horizon=budget.epochs,
                reading=reading * seeds,
            )
        ]

    def run(self, session: Session) -> None:
        """Decide, unless the newest claim is about all trials."""
        if not session.is_claimed:
            decide(Round.of(session))


class Decision(NamedTuple):
    """What is recommended.

    Args:
      trial: that the pick comes from.
      contenders: the arms.
      runs: of each arm that was trained to choose, by name; {} where the arms were chosen as they were tried.
      use: what is recommended and compared.
    """

    trial: TrialRecord
    contenders: Contenders
    runs: Mapping[str, Sequence[RunRecord]]
    use: Use


def decide(round: Round) -> Decision:
    """Return what is recommended, from the records or after training the arms.

    Raises:
      NothingFeasible: no trial finished.
    """
    trial = choose_trial(round)
    runs: Mapping[str, Sequence[RunRecord]] = {}
    others: list[Option] = []
    if round.budget.choose_seeds:
        contenders = tuned_contenders(round, trial)
        runs = _train(round, trial, contenders)
        options = [contenders[name].option(run.score for run in row) for name, row in runs.items()]
    else:
        contenders = contenders_as_tried(round, trial)
        options, others = _options_as_tried(round, contenders)
    trials = len(round.log.records.trials)
    recorded = [use for use in round.log.records.uses if (use.round, use.trials) == (round.number, trials)]
    use = recorded[-1] if recorded else _decide(round, contenders, options, others)
    return Decision(trial, contenders, runs, use)


def wanted_run(round: Round, arm: str, spec: PipelineSpec, i: int) -> WantedRun:
    """Return the run of an arm on the i-th seed; where it is the claim's too, its student is kept."""
    run = round.wanted("choose", arm, spec, seed=round.derive("choose", i))
    if not claims_on_same_seeds(round.budget):
        return run
    return run._replace(save=student_file(round.folder, round.number, arm, i))


def _train(round: Round, trial: TrialRecord, contenders: Contenders) -> dict[str, list[RunRecord]]:
    """Train the arms that may be recommended, paired by seed; the number of seeds is recorded before the first run."""
    budget, shared = round.budget, claims_on_same_seeds(round.budget)
    arms = {arm.name: arm.spec for arm in contenders.arms if shared or arm.name != HAND_KD}
    if shared:
        design = claim_design(round, "choose", trial, arms)
    else:
        bearable = round.bearable([trial], SHARE, arms=sum(round.relative_seconds(trial, arms).values()))
        exactly = replace(round, stretch=1)
        design = exactly.design("choose", arms=len(arms), least=budget.choose_seeds, most=max(FEWEST, bearable))
    wanted = [wanted_run(round, arm, spec, i) for i in range(design.seeds) for arm, spec in arms.items()]
    return round.train_arms(wanted)


def _options_as_tried(round: Round, contenders: Contenders) -> tuple[list[Option], list[Option]]:
    """The arms whose trials went furthest and, where select trained some again, that it did; and the other ones."""
    tried = [(arm, arm.trial) for arm in contenders.arms if arm.trial is not None and arm.name != HAND_KD]
    reach = {arm.name: (len(trial.rungs), len(selected_runs(round, trial)) > 0) for arm, trial in tried}
    furthest = max(reach.values())
    options = {arm.name: arm.option(scores_of(round, trial)) for arm, trial in tried}
    there = [option for name, option in options.items() if reach[name] == furthest]
    return there, [option for option in options.values() if option not in there]


def _decide(round: Round, contenders: Contenders, options: Sequence[Option], others: Sequence[Option]) -> Use:
    """Apply the rule, and record what comes of it; without seeds for choosing or claiming, the best trial it is.

    Args:
      round: of confirm.
      contenders: the arms.
      options: those that may be recommended.
      others: those that it may be compared with only.
    """
    budget, metric = round.budget, round.objective.metric
    tells = budget.choose_seeds or budget.claim_seeds
    within = tolerance(noise.estimate(round.log.records)) if tells else 0.0
    highest, items = max(option.mean for option in options), len(round.context.data.validation)
    margin = found_margin(highest, items, metric) if tells else 0.0
    use, seeds = choose(options, within, margin), 0
    comparators: tuple[str, ...] = ()
    if budget.claim_seeds:
        find = find_comparators if budget.choose_seeds else find_comparator
        comparators = find([*options, *others], use, contenders.hand_kd)
        seeds = len(options[0].scores)
    if budget.claim_seeds and not claims_on_same_seeds(budget):
        arms = {name: contenders[name].spec for name in (use.name, *comparators)}
        seeds = claim_design(round, "claim", choose_trial(round), arms).seeds
    chosen = Use(
        round=round.number,
        trials=len(round.log.records.trials),
        use=use.name,
        comparators=comparators,
        means={option.name: option.mean for option in options},
        tolerance=within,
        seeds=seeds,
        reason=explain(options, use, within, metric, margin),
        margin=margin,
    )
    round.log.append("use", **chosen.to_plain())
    return chosen
