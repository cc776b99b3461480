"""The page: what the template shows, and the file it is written to."""

from __future__ import annotations

import functools
import json
import shlex
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autokd.errors import UserError
from autokd.files import write_text
from autokd.report import facts, training, words
from autokd.report.numbers import FEWEST_FOR_IMPORTANCE, Importances, common_rung
from autokd.report.numbers import importances as parameter_importances
from autokd.report.tables import write_tables
from autokd.study.fidelity import interval, short_predicts_long, too_short

if TYPE_CHECKING:
    from jinja2 import Template

TEMPLATE = "template.html.jinja"
SHOWN = ("name", "modality", "input_shape", "classes", "samples")
"""Entries of a data card that the page shows anyway."""


def write(store: facts.Study, reports_dir: Path) -> Path:
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


def render(store: facts.Study) -> str:
    """Return a study's report as HTML."""
    from plotly.offline import get_plotlyjs

    return _template().render(**context(store), plotly=get_plotlyjs())


def context(store: facts.Study) -> dict[str, Any]:
    """Return all that the template shows."""
    records = store.records
    trials = list(records.trials.values())
    claim = facts.claim(store)
    importances, why_no_importances = _importances(store)
    proxies = facts.proxy_taus(records)
    return {
        "study": store,
        "settings": store.settings,
        "records": records,
        "trials": trials,
        "claim": claim,
        "scored": any(trial.rungs for trial in trials),
        "best_so_far": facts.best_so_far(store),
        "teacher_weaker": claim.teacher_weaker if claim else facts.teacher_weaker_so_far(store),
        "funnel": facts.funnel(store),
        "failures": facts.failures(trials),
        "epochs": store.rung_epochs[common_rung(trials)],
        "importances": importances,
        "why_no_importances": why_no_importances,
        "proxies": proxies,
        "noise": facts.noise_runs(records),
        "designs": facts.designs(records),
        "agreements": short_predicts_long(records),
        "too_short": too_short(records),
        "terms": training.term_lines(facts.ranked(trials)[: facts.TOP]),
        "bank": training.bank_use(records),
        "times": training.part_times(records),
        "card": {key: value for key, value in store.settings["data"]["card"].items() if key not in SHOWN and value},
        "reads": facts.reads(store.path),
        "space_text": facts.space_text(store.path),
        "metric": store.objective.metric,
        "objectives": store.objective.names,
        "front": facts.front(store),
        "teacher_value": facts.teacher_value(store),
        "figures": _figures(store, claim, importances, proxies),
        "shell_name": shlex.quote(store.name),
        "arm_titles": words.ARMS,
    }


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {function.__name__: function for function in FILTERS}
    return environment.from_string((resources.files("autokd.report") / TEMPLATE).read_text(encoding="utf-8"))


def _figures(
    store: facts.Study, claim: facts.Claim | None, importances: Importances | None, proxies: list[facts.ProxyTau]
) -> dict[str, Any]:
    from autokd.report import figures

    scored = any(trial.rungs for trial in store.records.trials.values())
    return {
        "claim": figures.claim(claim) if claim else None,
        "params": figures.quality_by_params(store, claim) if scored else None,
        "fronts": [(name, figures.front(store, facts.front(store), name)) for name in store.objective.names[1:]],
        "curves": figures.learning_curves(store) if scored else None,
        "importances": figures.importances(importances) if importances else None,
        "choices": figures.choices(store),
        "proxies": figures.proxies(proxies, store.objective.metric) if any(proxy.tau for proxy in proxies) else None,
    }


def _importances(store: facts.Study) -> tuple[Importances | None, str]:
    """Return the importances, or None and why there are none."""
    try:
        found = parameter_importances(store.space, list(store.records.trials.values()))
    except UserError as error:
        return None, f"The search space could not be read: {error}"
    why = f"Too few trials: importances need at least {FEWEST_FOR_IMPORTANCE} comparable ones inside the space."
    return found, "" if found else why


def pretty(plain: Any) -> str:
    """A plain pipeline over several lines."""
    return json.dumps(plain, indent=2, ensure_ascii=False)


def setting(value: Any) -> str:
    """A value of `study.yaml` on one line."""
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {setting(item)}" for key, item in value.items())
    return ", ".join(map(setting, value)) if isinstance(value, list) else words.value(value)


FILTERS: tuple[Callable[..., Any], ...] = (
    words.percent,
    words.quality,
    words.difference,
    words.objective,
    words.milliseconds,
    words.signed,
    words.mean_sd,
    words.count,
    words.compact,
    words.size,
    words.figure,
    words.duration,
    words.when,
    words.brief,
    words.recipe,
    words.losses,
    words.component,
    facts.standing,
    interval,
    pretty,
    setting,
)
"""What the template formats values with."""
