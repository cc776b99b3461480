"""What the command line shows: progress on stderr, results on stdout."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from autokd import catalog
from autokd.errors import UserError
from autokd.spec import fields_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from autokd.api import Study
    from autokd.search.run import Notify, Plan, Prepared
    from autokd.search.run import Progress as SearchProgress

Shown = RenderableType | str
"""What a command prints: rich content, or plain text such as a JSON document."""

ROWS = 40
ARMS = {"recommended": "recommended", "kd": "vanilla KD", "ce": "student alone"}


def out(shown: Shown) -> None:
    """Print a result to stdout; text goes out exactly as it is."""
    if isinstance(shown, str):
        sys.stdout.write(shown + "\n")
    else:
        terminal = sys.stdout.isatty()
        Console(width=None if terminal else 120, highlight=False).print(shown)


def document(value: Any) -> str:
    """Return one JSON document; NaN and infinity become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False, default=str)


def seconds(text: str) -> float:
    """Return the seconds of "90", "90s", "20m", "1h30m".

    Raises:
      UserError: it is no time.
    """
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?", text.strip())
    if not text.strip() or match is None:
        raise UserError(f"--time {text!r} is no time; write for instance 90s, 20m or 1h30m")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + rest


def count(text: str) -> float:
    """Return the number of "300000", "300k", "0.3M", "3e5".

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
        raise UserError(f"{text!r} is no positive number; write for instance 300k, 0.3M or 3e5")
    return value


@contextlib.contextmanager
def logging_to_stderr(*, verbose: bool = False) -> Iterator[None]:
    """Show the log's warnings (with `verbose`, all of it) on stderr, while a command runs."""
    log = logging.getLogger("autokd")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    handler.setLevel(logging.DEBUG if verbose else logging.WARNING)
    before = log.level
    log.setLevel(logging.DEBUG)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


@contextlib.contextmanager
def progress(*, quiet: bool) -> Iterator[Notify]:
    """Show a search's progress: bars on a terminal, one line a stage elsewhere."""
    if quiet:
        yield lambda at: None
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield _BarNotifier(bars)
    else:
        yield _LineNotifier()


@contextlib.contextmanager
def training(*, quiet: bool) -> Iterator[tuple[Callable[[int], None], Callable[[Mapping[str, Any]], None]]]:
    """Show full training's progress: (called with the number of epochs, called after each epoch)."""
    if quiet or not sys.stderr.isatty():
        yield lambda epochs: None, lambda line: None
        return
    with _bars() as bars:
        task = bars.add_task("train", total=None, note="")

        def on_epoch(line: Mapping[str, Any]) -> None:
            score = f", validation {100 * line['score']:.1f} %" if "score" in line else ""
            bars.update(task, completed=line["epoch"], note=f"loss {line['loss']:.3f}{score}")

        yield lambda epochs: bars.update(task, total=epochs), on_epoch


class _BarNotifier:
    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, at: SearchProgress) -> None:
        if at.stage not in self._tasks:
            self._tasks[at.stage] = self._bars.add_task(at.stage, total=at.total, note="")
        self._bars.update(self._tasks[at.stage], completed=at.done, total=at.total, note=_noted(at))


class _LineNotifier:
    """One line when a stage begins and one when it ends."""

    def __init__(self) -> None:
        self._stage = ""

    def __call__(self, at: SearchProgress) -> None:
        if at.stage != self._stage or at.done == at.total:
            print(f"{at.stage}: {at.done}/{at.total} {_noted(at)}".rstrip(), file=sys.stderr)
        self._stage = at.stage


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description:>8}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
    )


def _noted(at: SearchProgress) -> str:
    best = "" if at.best is None else f"best {100 * at.best:.1f} %"
    failures = f"{at.failures} failed" if at.failures else ""
    return ", ".join(part for part in (best, failures, at.note) if part)


def summary(study: Study, *, as_json: bool) -> Shown:
    """Return the end of a search: the table of arms, the evidence, and what to type next."""
    claim = study.recommendation
    page = Path(study.report_path)
    if as_json:
        return document({"study": study.name, "report": str(page), "recommendation": claim})
    if claim is None:
        return f"study {study.name}: no recommendation yet; report: {page}"
    lines = [f"  {comparison['text']}" for comparison in claim["comparisons"].values()]
    teacher = claim["teacher"]
    if teacher is not None and teacher["test"] < _mean(claim["arms"]["ce"]["test"]):
        lines.append("  WARNING: the teacher is worse than the student alone; give a better one with --teacher")
    seeds, items = len(claim["seeds"]), claim["n_test"]
    low, high = (100 * bound for bound in claim["prediction_interval"])
    lines.append(f"  one more run of it will reach {low:.1f} to {high:.1f} % (95 %; {seeds} seeds, {items} test items)")
    name = study.name
    steps = [
        f"  open {page}",
        f"  autokd export {name} -o {name}.yaml",
        f"  autokd train {name}.yaml -o {name}-student",
        f"  more trials: the same search with --trials {2 * len(study.store.records.trials)}",
    ]
    verdict = Text("\n".join(["The recommended pipeline is", *lines, "", "Next:", *steps]))
    drawn = Text(f"{_pipeline(claim['pipeline'])}\n", style="dim")
    return Group(_arms(study, claim), drawn, verdict)


def _arms(study: Study, claim: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"{study.name}: trial {claim['trial']} of {len(study.store.records.trials)}", title_justify="left"
    )
    for column in ("", "parameters", "MACs", "validation %", "test %"):
        table.add_column(column, justify="left" if not column else "right")
    cost = claim["cost"]
    for arm, title in ARMS.items():
        if arm in claim["arms"]:
            scores = claim["arms"][arm]
            row = (_spread(scores["validation"]), _spread(scores["test"]))
            table.add_row(title, f"{cost['params']:,}", f"{cost['macs']:,}", *row)
    if claim["teacher"] is not None:
        teacher = claim["teacher"]
        params = study.store.settings["teacher"]["params"]
        table.add_row(
            "teacher", f"{params:,}", "", f"{100 * teacher['validation']:.1f}", f"{100 * teacher['test']:.1f}"
        )
    return table


def plan(prepared: Prepared, planned: Plan, *, as_json: bool) -> Shown:
    """Return what a search would do."""
    if as_json:
        return document({"identity": prepared.identity, "settings": prepared.settings, "plan": planned._asdict()})
    space = Table(title="Space", title_justify="left")
    space.add_column("parameter")
    space.add_column("range")
    for path, span in prepared.space.ranges().items():
        space.add_row(path, str(span))
    rungs = ", ".join(f"{n} to {e} epochs" for n, e in zip(planned.trial_runs, planned.rung_epochs, strict=True))
    dropped = [f"  {line}" for line in prepared.space.dropped]
    data = prepared.data
    lines = [
        f"data: {data.task.dataset}, {len(data.train)} train, {len(data.validation)} validation",
        f"constraints: {prepared.space.constraints or 'none'}",
        f"explore: {prepared.budget.trials} trials; about {rungs}",
        f"confirm: {planned.confirm_runs} runs of {prepared.budget.confirm_epochs} epochs",
        f"expected: {_duration(planned.seconds)} on {prepared.device}, besides a teacher where none is given; "
        f"{planned.disk_bytes / 1e6:.0f} MB on disk",
        *(["left out of the space:", *dropped] if dropped else []),
        "nothing was written",
    ]
    return Group(space, Text("\n".join(lines)))


def trained(folder: Path, metrics: Mapping[str, Any], *, as_json: bool) -> Shown:
    """Return the end of full training."""
    if as_json:
        return document({"folder": str(folder), "metrics": metrics})
    test, validation = metrics["test"], metrics["validation"]
    return (
        f"{folder}: test accuracy {100 * test['accuracy']:.2f} % on {test['n']} items "
        f"(validation {100 * validation['accuracy']:.2f} %), seed {metrics['seed']}, {metrics['epochs']} epochs\n"
        f"next: autokd predict {folder} INPUT…"
    )


def predictions(frame: DataFrame, output: Path | None, *, as_json: bool) -> Shown:
    """Return predictions as a table, or write them as a CSV."""
    from autokd.tables import escape_csv

    if output is not None:
        escape_csv(frame).to_csv(output, index=False)
        return document(frame.to_dict("records")) if as_json else f"{output}: {len(frame)} predictions"
    if as_json:
        return document(frame.to_dict("records"))
    short = frame[["input", "label", "probability"]].head(ROWS)
    more = f"… and {len(frame) - ROWS} more; -o FILE writes all, with every class's probability"
    shown = _table(short)
    return Group(shown, Text(more)) if len(frame) > ROWS else shown


def screened(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> Shown:
    """Return screened students, best first."""
    if as_json:
        return document(list(rows))
    table = Table()
    names = list(rows[0]["proxies"])
    for column in ("student", "score", *names):
        table.add_column(column, justify="left" if column == "student" else "right")
    for row in rows[:ROWS]:
        values = [_number(row["proxies"][name]) for name in names]
        table.add_row(_component(row["student"]), f"{row['score']:.2f}", *values)
    return table


def component(kind: str, name: str, *, as_json: bool) -> Shown:
    """Return what there is to know of a component."""
    cls = catalog.load(kind, name)
    module = sys.modules[cls.__module__]
    about = {"source": (module.__doc__ or "").strip(), "about": (cls.__doc__ or "").strip()}
    declared = {key: value for key in _DECLARED if (value := _declared(cls, key)) is not None}
    fields: dict[str, dict[str, Any]] = {
        key: {
            "type": getattr(info.type, "__name__", str(info.type)),
            "default": info.default if isinstance(info.default, (bool, int, float, str, tuple)) else None,
            "range": None if info.range is None else str(info.range),
            "unit": getattr(info.range, "unit", ""),
            "about": info.comment,
        }
        for key, info in fields_of(cls).items()
    }
    if as_json:
        return document({"kind": kind, "name": name, **about, **declared, "fields": fields})
    table = Table(title=f"{kind} {name}", title_justify="left")
    for column in ("field", "default", "range", "unit", "about"):
        table.add_column(column)
    for key, facts in fields.items():
        default = "(needed)" if facts["default"] is None else str(facts["default"])
        table.add_row(key, default, facts["range"] or "not searched", facts["unit"], Text(facts["about"]))
    facts_text = "\n".join(f"{key}: {value}" for key, value in declared.items())
    return Group(table, Text("\n\n".join(part for part in (about["source"], about["about"], facts_text) if part)))


_DECLARED = ("modalities", "teacher", "needs", "min_classes", "scale", "excludes", "requires", "higher_is_better")


def _declared(cls: type[Any], key: str) -> Any:
    value = getattr(cls, key, None)
    return sorted(value) or None if isinstance(value, frozenset) else value


def studies(found: Sequence[Study], *, as_json: bool) -> Shown:
    """Return one row a study."""
    rows = [_study_row(study) for study in found]
    if as_json:
        return document(rows)
    if not rows:
        return "no studies here; start one with: autokd search --dataset digits"
    table = Table()
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def trials(study: Study, *, as_json: bool) -> Shown:
    """Return one row a trial."""
    frame = study.trials_dataframe()
    if as_json:
        rows = frame.to_dict("records")
        return document([{**row, "pipeline": json.loads(row["pipeline"])} for row in rows])
    if frame.empty:
        return f"study {study.name}: no trials yet"
    frame["pipeline"] = [_pipeline(json.loads(text)) for text in frame["pipeline"]]
    return _table(frame)


def log_traceback() -> Path:
    """Write the current exception's traceback to a log file and return its path."""
    path = _newest_log() or Path(tempfile.gettempdir()) / "autokd-error.txt"
    with path.open("a", encoding="utf-8") as file:
        file.write(traceback.format_exc())
    return path


def _newest_log() -> Path | None:
    """The log of the study that was written to last, within the last minute or so of a run."""
    logs = sorted(Path("studies").glob("*/log.txt"), key=lambda path: path.stat().st_mtime)
    return logs[-1] if logs else None


def _study_row(study: Study) -> dict[str, Any]:
    claim, best = study.recommendation, study.best
    verdicts = [] if claim is None else [c["verdict"] for c in claim["comparisons"].values()]
    return {
        "name": study.name,
        "state": "finished" if study.store.finished else "unfinished",
        "trials": len(study.store.records.trials),
        "best validation": None if best is None else best.score,
        "test": None if claim is None else _mean(claim["arms"]["recommended"]["test"]),
        "against the baselines": ", ".join(verdicts),
    }


def _table(frame: DataFrame) -> Table:
    table = Table()
    for column in frame.columns:
        table.add_column(str(column), overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    return table


def _cell(value: Any) -> Text:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return Text("")
    return Text(f"{value:.4g}" if isinstance(value, float) else str(value))


def _pipeline(plain: Mapping[str, Any]) -> str:
    losses = " + ".join(_component(loss) for loss in plain["losses"].values())
    parts = [_component(plain[name]) for name in ("student", "augment", "optimizer", "schedule")]
    return f"{parts[0]}; {losses}; {'; '.join(parts[1:])}; batch {plain['batch_size']}"


def _component(plain: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{key}={_number(value)}" for key, value in plain.items() if key != "use")
    return f"{plain['use']}({fields})" if fields else str(plain["use"])


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _spread(scores: Sequence[float]) -> str:
    mean = _mean(scores)
    spread = math.sqrt(sum((score - mean) ** 2 for score in scores) / max(1, len(scores) - 1))
    return f"{100 * mean:.1f} ± {100 * spread:.1f} (n={len(scores)})"


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)


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
