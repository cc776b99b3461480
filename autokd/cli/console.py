"""What the command line shows on stdout: results, as text for people or as one JSON document."""

from __future__ import annotations

import dataclasses
import inspect
import json
import math
import re
import shlex
import statistics
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autokd import catalog
from autokd.declarations import Declaration, Loss, Scale
from autokd.errors import UserError
from autokd.metrics import METRICS, Metric
from autokd.objective import UNITS, amount, shown_limit
from autokd.spec import fields_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from autokd.api import Study
    from autokd.cli.caches import Cache
    from autokd.report.facts import Arm, Claim
    from autokd.search.run import Plan, Prepared
    from autokd.study.records import Records
    from autokd.types import Task

Shown = RenderableType | str
"""What a command prints: rich content, or plain text such as a JSON document."""

ROWS = 40
"""Rows of a long table that are shown."""
WIDTH = 120
"""Characters of a line where there is no terminal."""


def out(shown: Shown) -> None:
    """Print a result to stdout; text goes out exactly as it is."""
    if isinstance(shown, str):
        sys.stdout.write(shown + "\n")
    elif sys.stdout.isatty():
        Console(highlight=False).print(shown)
    else:
        console = Console(width=WIDTH, highlight=False)
        with console.capture() as captured:
            console.print(shown)
        sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def document(value: Any) -> str:
    """Return one JSON document; NaN and infinity become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False, default=str)


def seconds(text: str) -> float:
    """Return the seconds of "90", "90s", "20m", "1h30m".

    Raises:
      UserError: it is no time.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    hours, minutes, rest = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    found = 3600 * hours + 60 * minutes + rest
    if not found:
        raise UserError(f"--time {text!r} is no time; write for instance 90s, 20m or 1h30m")
    return found


def size(text: str) -> float:
    """Return the bytes of "20GB", "500MB", "1e9".

    Raises:
      UserError: it is no positive size.
    """
    return count("--bank-size", text.strip().removesuffix("B").removesuffix("b"))


def limit(name: str, text: str) -> float:
    """Return a bound on what a student costs.

    Args:
      name: "max_params", "max_macs", "max_size" or "max_latency".
      text: what was given.

    Raises:
      UserError: it is no positive number, or has no such unit.
    """
    option, cost = f"--{name.replace('_', '-')}", name.removeprefix("max_")
    if cost not in UNITS:
        return count(option, text)
    try:
        return amount(cost, text)
    except ValueError as error:
        raise UserError(f"{option} {error}") from None


def count(option: str, text: str) -> float:
    """Return the number of "300000", "300k", "0.3M", "3e5".

    Args:
      option: the option it was given to, for the message.
      text: what was given.

    Raises:
      UserError: it is no positive number.
    """
    units = {"k": 1e3, "m": 1e6, "g": 1e9, "b": 1e9}
    body, unit = (text[:-1], units[text[-1].lower()]) if text[-1:].lower() in units else (text, 1.0)
    try:
        value = float(body) * unit
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{option} {text!r} is no positive number; write for instance 300k, 0.3M or 3e5")
    return value


def summary(study: Study, *, as_json: bool, profiled: bool = False) -> Shown:
    """Return the end of a search: the verdict, the table of arms, the evidence, and what to type next.

    Args:
      study: the study.
      as_json: one JSON document instead.
      profiled: also say where the time went.
    """
    from autokd.report import facts, words

    claim, page = facts.claim(study.store), study.report_path
    if as_json:
        state = "finished" if study.store.finished else "unfinished"
        return document(
            {
                "study": study.name,
                "state": state,
                "report": str(page),
                "recommendation": study.recommendation,
                "profile": study.store.records.profile[-1] if profiled else None,
            }
        )
    if claim is None:
        return f"study {study.name}: no recommendation yet; report: {page}"
    pipeline = Table.grid(padding=(0, 2))
    for slot, text in words.recipe(claim.evidence["pipeline"]):
        pipeline.add_row(Text(slot), Text(text))
    less = "" if claim.metric.higher_is_better else f", in {claim.metric.title} (less is better)"
    return Group(
        Text(f"{claim.title}.", style="bold"),
        _arms(study, claim),
        *_front(study, claim),
        Text(f"\nRecommended (trial {claim.evidence['trial']}):"),
        Padding(pipeline, (0, 0, 0, 2)),
        Text(f"\nOn the test split it is{less}"),
        *(_item(text) for text in (*_evidence(claim), *_short(study))),
        Text("\nNext:"),
        *(_item(text) for text in _next(study)),
    )


def _arms(study: Study, claim: Claim) -> Table:
    total = len(study.store.records.trials)
    table = Table(title=f"{study.name}: {total} trials, {len(claim.evidence['seeds'])} seeds", title_justify="left")
    metric, timed = claim.metric, "latency" in claim.evidence["cost"]
    columns = ["", "parameters", "MACs", *(["latency, ms"] if timed else []), _column("validation", metric)]
    for column in (*columns, _column("test", metric)):
        table.add_column(column, justify="left" if not column else "right")
    for arm in claim.arms:
        table.add_row(*_arm_row(arm, metric, timed))
    return table


def _column(what: str, metric: Metric) -> str:
    """ "validation" -> "validation %"; metrics other than accuracy are named."""
    return f"{what} %" if metric.name == "accuracy" else f"{what} {metric.title} {metric.unit}".rstrip()


def _arm_row(arm: Arm, metric: Metric, timed: bool) -> list[str]:
    from autokd.report.words import spread

    sizes = ["" if number is None else f"{number:,.0f}" for number in (arm.params, arm.macs)]
    times = ["" if arm.latency is None else f"{arm.latency:.3g}"] if timed else []
    return [arm.title, *sizes, *times, spread(arm.validation, metric), spread(arm.test, metric)]


def _front(study: Study, claim: Claim) -> Iterator[RenderableType]:
    """The front of a study with several objectives, each trial with its means over seeds."""
    from autokd.report import words

    rows = claim.evidence.get("front", [])
    if not rows:
        return
    names = study.store.objective.names
    seeds = len(rows[0]["scores"])
    title = f"\nThe front of {', '.join(names)}, on validation, {seeds} seed{'' if seeds == 1 else 's'}"
    table = Table(title=title, title_justify="left")
    for column in ("trial", *(name.replace("_", " ") for name in names), "pipeline"):
        table.add_column(column, justify="left" if column == "pipeline" else "right")
    for row in rows:
        number = f"{row['trial']}{' *' if row['trial'] == claim.evidence['trial'] else ''}"
        values = [words.objective(row["objectives"][name], name) for name in names]
        table.add_row(number, *values, Text(words.brief(study.store.records.trials[row["trial"]].pipeline)))
    yield table
    yield Text(f"* recommended; any other: autokd export {shlex.quote(study.name)} --trial NUMBER")


def _evidence(claim: Claim) -> Iterator[str]:
    yield from (comparison["text"] for _, comparison in claim.comparisons)
    if claim.teacher_weaker:
        yield "WARNING: the teacher is worse than the student alone; give a better one with --teacher"
    low, high = claim.evidence["prediction_interval"]
    seeds, items = len(claim.evidence["seeds"]), claim.evidence["n_test"]
    reach = f"{claim.metric.number(low)} to {claim.metric.text(high)}"
    yield f"one more run of it will reach {reach} (95 %; from {seeds} seeds, {items} test items)"


def _short(study: Study) -> Iterator[str]:
    """What is to be told where the study's rungs say little about longer trainings."""
    from autokd.study.fidelity import too_short

    text = too_short(study.store.records)
    if text:
        yield f"WARNING: {text}"


def _next(study: Study) -> Iterator[str]:
    name, file = shlex.quote(study.name), shlex.quote(f"{study.name}.yaml")
    yield f"open {shlex.quote(str(study.report_path))}"
    yield f"autokd export {name} -o {file}"
    yield f"autokd train {file} -o {shlex.quote(f'{study.name}-student')}"
    limited = study.store.settings["settings"]["time"]["value"] is not None
    more = "a longer --time" if limited else f"--trials {2 * len(study.store.records.trials)}"
    yield f"more trials: the same search with {more}"


def _item(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2))


def plan(prepared: Prepared, planned: Plan, *, as_json: bool) -> Shown:
    """Return what a search would do."""
    if as_json:
        numbers = {**planned._asdict(), "bank": planned.bank._asdict()}
        return document({"identity": prepared.identity, "settings": prepared.settings, "plan": numbers})
    space = Table(title="Space", title_justify="left")
    space.add_column("parameter")
    space.add_column("range")
    for path, span in prepared.space.ranges().items():
        space.add_row(Text(path), Text(str(span)))
    limits = ", ".join(shown_limit(name, most) for name, most in prepared.space.constraints.items())
    rungs = ", ".join(f"{n} to {e} epochs" for n, e in zip(planned.trial_runs, planned.rung_epochs, strict=True))
    data = prepared.data
    teacher = "; training the teacher comes on top" if prepared.teacher is None else ""
    fitted = prepared.time_plan
    lines = [
        f"data: {data.task.dataset}, {len(data.train)} train, {len(data.validation)} validation",
        f"objective: {', '.join(f'{way} {name}' for name, way in prepared.objective.as_plain().items())}",
        f"budget of the student: {limits or 'none'}",
        f"explore: {prepared.budget.trials} trials; about {rungs}",
        f"confirm: at most {planned.confirm_runs} runs of {prepared.budget.confirm_epochs} epochs",
        *([] if fitted is None else [f"fitted into {_duration(fitted.seconds)}: {fitted.reason}"]),
        f"expected: {_duration(planned.seconds)} on {prepared.device}{teacher}; "
        f"{planned.disk_bytes / 1e6:.0f} MB on disk",
        f"teacher bank: {planned.bank}",
    ]
    dropped = [f"  {line}" for line in prepared.space.dropped]
    left_out = ["left out of the space:", *dropped] if dropped else []
    return Group(space, *map(Text, [*lines, *left_out, "nothing was written"]))


def trained(folder: Path, metrics: Mapping[str, Any], *, as_json: bool) -> Shown:
    """Return the end of full training."""
    if as_json:
        return document({"folder": str(folder), "metrics": metrics})
    metric, test = METRICS[metrics["objective"]], metrics["test"]
    value, of_validation = (_precisely(metrics[split][metric.name], metric) for split in ("test", "validation"))
    return (
        f"{folder}: test {metric.title} {value} on {test['n']} items "
        f"(validation {of_validation}), seed {metrics['seed']}, {metrics['epochs']} epochs\n"
        f"next: autokd predict {shlex.quote(str(folder))} INPUT…"
    )


def _precisely(value: float, metric: Metric) -> str:
    """0.9541 -> "95.41 %", or "0.210 nats" where it is not shown in percent."""
    return f"{metric.scale * value:.2f} %" if metric.unit == "%" else metric.text(value)


def predictions(frame: DataFrame, output: Path | None, *, as_json: bool) -> Shown:
    """Return predictions as a table, or write them as a CSV."""
    from autokd.files import write_text
    from autokd.tables import escape_csv

    if output is not None:
        write_text(output, escape_csv(frame).to_csv(index=False, lineterminator="\n"))
    if as_json:
        return document(frame.to_dict("records"))
    if output is not None:
        return f"{output}: {len(frame)} predictions"
    table = Table()
    for column in ("input", "label", "probability"):
        table.add_column(column, overflow="fold", justify="right" if column == "probability" else "left")
    for row in frame[["input", "label", "probability"]].head(ROWS).itertuples(index=False):
        table.add_row(Text(str(row.input)), Text(str(row.label)), f"{row.probability:.4f}")
    more = f"… and {len(frame) - ROWS} more; -o FILE writes all, with every class's probability"
    return Group(table, Text(more)) if len(frame) > ROWS else table


_UNITS = {"params": "parameters", "macs": "MACs", "latency": "latency, ms"}


def screened(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> Shown:
    """Return screened students, best first."""
    from autokd.report import words

    if as_json:
        return document(list(rows))
    names = [*_UNITS, *(name for name in rows[0]["proxies"] if name not in _UNITS)]
    names = [name for name in names if name in rows[0]["proxies"]]
    table = Table(caption="score: mean rank of the proxies that the space names, 1 is best", caption_justify="left")
    for column in ("student", "score", *(_UNITS.get(name, name) for name in names)):
        table.add_column(column, justify="left" if column == "student" else "right")
    for row in rows[:ROWS]:
        values = [_figure(row["proxies"][name]) for name in names]
        table.add_row(Text(words.component(row["student"])), f"{row['score']:.2f}", *values)
    return Group(table, Text(f"… and {len(rows) - ROWS} more; --json shows all")) if len(rows) > ROWS else table


def kinds(found: Mapping[str, Sequence[str]], *, as_json: bool) -> Shown:
    """Return the kinds of component with the names of each."""
    return document(found) if as_json else "\n".join(f"{kind}: {', '.join(names)}" for kind, names in found.items())


def component(kind: str, name: str, *, as_json: bool) -> Shown:
    """Return what there is to know of a component."""
    cls = catalog.load(kind, name)
    module = sys.modules[cls.__module__]
    texts = {
        "source": inspect.cleandoc(module.__doc__ or ""),
        "about": inspect.getdoc(cls) or "",
        "formula": _formula(vars(module).get(name)),
    }
    declared = _declared(cls.declares)
    fields: dict[str, dict[str, Any]] = {
        key: {
            "type": getattr(info.type, "__name__", str(info.type)),
            "required": info.default is dataclasses.MISSING,
            "default": None if info.default is dataclasses.MISSING else info.default,
            "range": None if info.range is None else str(info.range),
            "unit": getattr(info.range, "unit", ""),
            "about": info.comment,
        }
        for key, info in fields_of(cls).items()
    }
    if as_json:
        return document({"kind": kind, "name": name, **texts, **declared, "fields": fields})
    table = Table(title=f"{kind} {name}", title_justify="left")
    for column in ("field", "default", "range", "unit", "about"):
        table.add_column(column)
    for key, facts in fields.items():
        default = "(required)" if facts["required"] else str(facts["default"])
        table.add_row(key, Text(default), facts["range"] or "not searched", facts["unit"], Text(facts["about"]))
    why = {key: f"; {comment}" for key, comment in _reasons(cls).items()}
    lines = "\n".join(f"{_DECLARED[key]}: {_in_words(key, value)}{why.get(key, '')}" for key, value in declared.items())
    formula = f"formula: {texts['formula']}" if texts["formula"] else ""
    shown = Text("\n\n".join(part for part in (texts["source"], texts["about"], formula, lines) if part))
    return Group(table, shown) if fields else shown


_DECLARED = {
    "modalities": "input",
    "teacher": "teacher",
    "reads": "read of the teacher beside logits",
    "student_reads": "read of the student beside logits",
    "batch_statistic": "batch statistic",
    "min_classes": "fewest classes",
    "scale": "what a weight of 1 stands for",
    "cost": "cost of a training step",
    "excludes": "never beside",
    "requires": "only beside",
    "higher_is_better": "higher is better",
}
"""What is shown of what a component declares, and how it is called there."""

_TEACHER = {
    "none": "none is read",
    "stored": "its stored answers are read",
    "live": "its features are read; it answers at every step where they are not kept",
}


def _in_words(key: str, value: Any) -> str:
    from autokd.losses.common import COSTS

    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "cost":
        return COSTS.get(value, f"{value} times the student's own step")
    return _TEACHER[value] if key == "teacher" else _listed(value)


def _formula(function: Any) -> str:
    """Where the formula of a loss's pure function is from, as its docstring says; "" where there is none."""
    source = (inspect.getdoc(function) or "").partition("Source: ")[2] if inspect.isfunction(function) else ""
    return " ".join(source.split())


def teacher(reference: str, task: Task, *, as_json: bool) -> Shown:
    """Return what a teacher offers, and every module path whose output may be named as a feature.

    Args:
      reference: as `--teacher` takes it.
      task: the data it is to answer on.
    """
    from autokd.networks import hooks
    from autokd.networks.reference import load_teacher

    loaded = load_teacher(reference, task)
    network = loaded.modules[0]
    _, stages = hooks.trace(network.network if isinstance(network, hooks.Hooked) else network, task)
    if as_json:
        paths = [{"path": stage.path, "shape": list(stage.shape)} for stage in stages]
        return document({"origin": loaded.origin, "offers": loaded.offers._asdict(), "paths": paths})
    table = Table(title=loaded.origin, title_justify="left")
    table.add_column("module path")
    table.add_column("shape", justify="right")
    for stage in stages:
        table.add_row(Text(stage.path), _listed(stage.shape))
    offers = [f"{name}: {_listed(shapes)}" for name, shapes in loaded.offers._asdict().items() if shapes]
    how = "name others with features=PATH,PATH in the teacher's options"
    return Group(table, Text("\n".join(["offers", *offers, how])))


def _declared(declares: Declaration) -> dict[str, Any]:
    """What a component declares, as plain data, without empty sets."""
    values = {field.name: getattr(declares, field.name) for field in dataclasses.fields(declares)}
    plain = {key: _plain(values[key]) for key in _DECLARED if key in values}
    return {key: value for key, value in plain.items() if value != []}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return value.value if isinstance(value, Scale) else value


def _reasons(cls: type[Any]) -> dict[str, str]:
    """Why a component declares what it does: where its scale is from, and the comments beside the other values."""
    try:
        source = inspect.getsource(cls).partition("    def ")[0]
    except (OSError, TypeError):
        source = ""
    reasons = dict(re.findall(r"^ +(\w+)=.*?  # (.*)$", source, re.MULTILINE))
    return {**reasons, "scale": cls.declares.scale.source} if isinstance(cls.declares, Loss) else reasons


def checked(source: str, problems: Sequence[str], about: str, *, as_json: bool) -> Shown:
    """Return what a check of a space found."""
    return document({"space": source, "problems": list(problems)}) if as_json else f"{source}: no mistakes; {about}"


def studies(found: Sequence[Study], *, as_json: bool) -> Shown:
    """Return one row a study."""
    rows = [_study_row(study) for study in found]
    if as_json:
        return document(rows)
    if not rows:
        return "no studies here; start one with: autokd search --dataset digits"
    table = Table()
    numbers = ("trials", "best validation", "test")
    for column in ("study", "state", "trials", "objective", "best validation", "test", "result"):
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row, study in zip(rows, found, strict=True):
        metric = study.store.objective.metric
        values = ["" if row[key] is None else metric.text(row[key]) for key in ("best_validation", "test")]
        cells = [row["state"], str(row["trials"]), ", ".join(row["objective"]), *values, row["result"] or ""]
        table.add_row(Text(row["study"]), *cells)
    return table


def _study_row(study: Study) -> dict[str, Any]:
    from autokd.report import facts

    claim, best, objective = facts.claim(study.store), study.best, study.store.objective
    return {
        "study": study.name,
        "state": "finished" if study.store.finished else "unfinished",
        "trials": len(study.store.records.trials),
        "objective": list(objective.names),
        "best_validation": None if best is None or best.score is None else objective.metric.value(best.score),
        "test": None if claim is None else statistics.fmean(claim.evidence["arms"]["recommended"]["test"]),
        "result": None if claim is None else claim.title,
        "verdicts": None if claim is None else {k: c["verdict"] for k, c in claim.evidence["comparisons"].items()},
    }


def trials(study: Study, *, as_json: bool) -> Shown:
    """Return one row a trial."""
    from autokd.report import words

    frame = study.trials_dataframe()
    rows = [{**row, "pipeline": json.loads(row["pipeline"])} for row in frame.to_dict("records")]
    if as_json:
        return document(rows)
    if not rows:
        return f"study {study.name}: no trials yet"
    table = Table()
    metric = study.store.objective.metric
    costs = [(name, title) for name, title in _TRIAL_COSTS.items() if name in study.store.objective.names]
    columns = ("trial", "state", "source", "rung", _score_column(metric), "seconds", "parameters")
    for column in (*columns, *(title for _, title in costs), "pipeline"):
        table.add_column(column, justify="left" if column in ("state", "source", "pipeline") else "right")
    for row in rows:
        reason = f"\n{row['reason']}" if row["reason"] else ""
        score = "" if _missing(row["score"]) else metric.number(metric.value(row["score"]))
        texts = [Text(row["state"]), Text(row["source"]), Text(_whole(row["rung"])), Text(score)]
        pipeline = Text(f"{words.brief(row['pipeline'])}{reason}")
        numbers = [f"{row['seconds']:.1f}", f"{row['params']:,}", *(_figure(row.get(name)) for name, _ in costs)]
        table.add_row(str(row["number"]), *texts, *numbers, pipeline)
    return Group(table, Text(f"every drawn value: autokd trials {shlex.quote(study.name)} --json"))


_TRIAL_COSTS = {"macs": "MACs", "size": "bytes", "latency": "latency, ms"}
"""Costs that `trials` shows beside the parameters where they are objectives."""


def _score_column(metric: Metric) -> str:
    return "score %" if metric.name == "accuracy" else f"{metric.title} {metric.unit}".rstrip()


def caches(found: Sequence[Cache], freed: int | None, *, as_json: bool) -> Shown:
    """Return one row a cache, and what clearing freed."""
    if as_json:
        return document({"caches": [cache._asdict() for cache in found], "freed": freed})
    table = Table(box=None, pad_edge=False)
    for column in ("cache", "entries", "size", "what"):
        table.add_column(column, justify="right" if column in ("entries", "size") else "left")
    for cache in found:
        table.add_row(cache.name, str(cache.entries), _bytes(cache.nbytes), Text(cache.about))
    lines = [f"in {found[0].path.parent}", *([] if freed is None else [f"{_bytes(freed)} freed"])]
    return Group(table, Text("\n".join(lines)))


def profile(records: Records) -> Shown:
    """Return where the time of the last profiled session went."""
    measured = records.profile[-1]
    parts = {**measured["parts"], "other": measured["total"] - sum(measured["parts"].values())}
    table = Table(title="Where the time went", title_justify="left")
    for column in ("part", "seconds", "share"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part, spent in sorted(parts.items(), key=lambda item: -item[1]):
        table.add_row(part, f"{spent:.2f}", f"{100 * spent / measured['total']:.1f} %")
    return table


def _bytes(nbytes: float) -> str:
    unit, scale = next(((u, s) for u, s in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)) if nbytes >= s), ("B", 1.0))
    return f"{nbytes / scale:.3g} {unit}"


def log_traceback() -> Path:
    """Write the current exception's traceback to a file of its own and return its path."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="autokd-error-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(traceback.format_exc())
    return Path(file.name)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _whole(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.0f}"


def _duration(value: float) -> str:
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
