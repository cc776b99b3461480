"""The page: what the template shows, and the file it is written to."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autokd.files import write_text
from autokd.report import words
from autokd.report.numbers import Importances
from autokd.report.plots import Figure
from autokd.report.sections import (
    choices,
    confirm,
    curves,
    effort,
    found,
    front,
    gain,
    importances,
    losses,
    promise,
    proxies,
    recommendation,
    settings,
    size,
)
from autokd.report.start import teacher_value, teacher_weakness
from autokd.report.tables import write_tables
from autokd.study.effects import effects
from autokd.study.fidelity import interval, short_predicts_long, too_short
from autokd.study.majority import rare_text
from autokd.study.ranking import ENOUGH_FOR_A_RUNG, common_rung
from autokd.study.training import trained_folder, training_of

if TYPE_CHECKING:
    from jinja2 import Template

    from autokd.report.sections.recommendation import Decision
    from autokd.study.store import StudyStore

TEMPLATE = "template.html.jinja"


def write(store: StudyStore, reports_dir: Path) -> Path:
    """Write a study's report and the tables behind it.

    Args:
      store: the study, finished or not.
      reports_dir: the report goes to `reports_dir/<name>/index.html`, beside its CSV tables; what is there is replaced.
    Returns:
      The path of `index.html`: one file that opens offline.
    """
    folder = Path(reports_dir) / store.name
    folder.mkdir(parents=True, exist_ok=True)
    write_tables(store, folder)
    path = folder / "index.html"
    write_text(path, render(store))
    return path


def render(store: StudyStore) -> str:
    """Return a study's report as HTML."""
    from plotly.offline import get_plotlyjs

    return _template().render(**context(store), plotly=get_plotlyjs())


def context(store: StudyStore) -> dict[str, Any]:
    """Return all that the template shows."""
    records, decision = store.records, recommendation.decide(store)
    trials = list(records.trials.values())
    importance, why_no_importances = importances.importances_of(store)
    return {
        "study": store,
        "settings": store.settings,
        "records": records,
        "trials": trials,
        "decision": decision,
        "claim": records.claim,
        "scored": any(trial.rungs for trial in trials),
        "extent": found.extent(store),
        "best_so_far": recommendation.best_so_far(store),
        "weak_teacher": teacher_weakness(store),
        "rare": _rare(store),
        **_gain(store),
        **_trained(store),
        "effects": effects(records),
        "promised": promise.promised(store),
        "happened": promise.happened(store),
        "teacher_value": teacher_value(store),
        "funnel": found.funnel(store),
        "failures": found.failures(trials),
        "epochs": store.rung_epochs[common_rung(trials)],
        "enough_for_a_rung": ENOUGH_FOR_A_RUNG,
        "importances": importance,
        "why_no_importances": why_no_importances,
        "proxies": proxies.proxy_taus(records),
        **_confirm(store),
        "agreements": short_predicts_long(records),
        "too_short": too_short(records),
        "terms": losses.term_lines(curves.best_trials(store)),
        "bank": effort.bank_use(records),
        "times": effort.part_times(records),
        "card": settings.card(store),
        "reads": settings.reads(store.path),
        "space_text": settings.space_text(store.path),
        "metric": store.objective.metric,
        "objectives": store.objective.names,
        "front": front.front(store),
        "figures": _figures(store, decision, importance),
        "shell_name": shlex.quote(store.name),
    }


def _gain(store: StudyStore) -> dict[str, Any]:
    lines = gain.rungs(store)
    return {"gain": lines, "gain_flattered": gain.flattered(lines), "swaps": gain.swaps(store)}


def _trained(store: StudyStore) -> dict[str, Any]:
    """What became of the training at the end, where that was asked for."""
    records = store.records
    if records.claim is None:
        return {"training": None, "student": None}
    folder = trained_folder(store.path, records.trainings, records.claim.round)
    training = training_of(records.trainings, records.claim.round)
    return {"training": training, "student": None if folder is None else shlex.quote(str(folder))}


def _rare(store: StudyStore) -> str:
    """What there is to say of rare classes; "" where there is none."""
    facts = store.settings.data
    counts = facts.counts("train")
    return rare_text(counts, facts.task.classes, store.objective.metric) if counts else ""


def _confirm(store: StudyStore) -> dict[str, Any]:
    """What the section on confirm shows."""
    records, newest = store.records, confirm.newest_round(store.records)
    return {
        "noise": confirm.noise_runs(records),
        "designs": confirm.designs(records),
        "tuned": confirm.tune_rows(records, newest),
        "all_tuned": confirm.all_tuned(records, newest),
        "seed_rows": confirm.seed_rows(records.claim) if records.claim else [],
    }


def _figures(store: StudyStore, decision: Decision | None, importance: Importances | None) -> dict[str, Any]:
    scored = any(trial.rungs for trial in store.records.trials.values())
    points, taus = front.front(store), proxies.proxy_taus(store.records)
    fronts: list[tuple[str, Figure]] = [(name, front.figure(store, points, name)) for name in store.objective.names[1:]]
    return {
        "claim": recommendation.figure(decision) if decision and decision.sentences else None,
        "params": size.figure(store) if scored else None,
        "fronts": fronts,
        "curves": curves.figure(store) if scored else None,
        "importances": importances.figure(importance) if importance else None,
        "choices": choices.figures(store),
        "proxies": proxies.figure(taus, store.objective.metric) if any(proxy.tau for proxy in taus) else None,
    }


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {function.__name__: function for function in FILTERS}
    return environment.from_string((resources.files("autokd.report") / TEMPLATE).read_text(encoding="utf-8"))


def pretty(plain: Any) -> str:
    """A plain pipeline over several lines."""
    return json.dumps(plain, indent=2, ensure_ascii=False)


def setting(value: Any) -> str:
    """A value of `study.yaml` on one line."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {setting(item)}" for key, item in value.items())
    return ", ".join(map(setting, value)) if isinstance(value, (list, tuple)) else words.value(value)


FILTERS: tuple[Callable[..., Any], ...] = (
    words.percent,
    words.quality,
    words.difference,
    words.objective,
    words.milliseconds,
    words.signed,
    words.mean_sd,
    words.count,
    words.number_of,
    words.compact,
    words.size,
    words.figure,
    words.duration,
    words.when,
    words.brief,
    words.recipe,
    words.losses,
    words.student,
    words.capital,
    confirm.standing,
    interval,
    pretty,
    setting,
)
"""What the template formats values with."""
