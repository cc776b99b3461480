"""The command line: parse, call one function, print. Heavy imports are inside the commands.

Results go to stdout; progress and logs to stderr. Exit codes: 0 done, 1 internal error, 2 bad input, 3 nothing feasible
or finished, 4 too many failures, 130 interrupted.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autokd import catalog
from autokd._version import __version__
from autokd.catalog import KINDS
from autokd.errors import DISK_FULL, AutokdError

if TYPE_CHECKING:
    from autokd.api import Study

app = typer.Typer(
    name="autokd",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Search for the best knowledge-distillation pipeline for a dataset, and train it.",
    epilog="Start with: autokd search --dataset digits",
)

Dataset = Annotated[str, typer.Option(help="A name (autokd list datasets), a folder of images, or a table file.")]
Space = Annotated[str | None, typer.Option(help="A shipped space (digits, image, tabular) or a YAML file.")]
Teacher = Annotated[
    str | None,
    typer.Option(help="ARCH[:k=v,…]@FILE, timm:NAME@FILE, torchvision:NAME@FILE, pkg.module:factory@FILE, or FILE."),
]
Count = Annotated[str | None, typer.Option(help="Most parameters of the student, for instance 300k.")]
Macs = Annotated[str | None, typer.Option(help="Most multiply-accumulates of one sample, for instance 20M.")]
MaxSize = Annotated[str | None, typer.Option(help="Most bytes of the student's parameters, for instance 200KB.")]
MaxLatency = Annotated[
    str | None, typer.Option(help="Longest time of one sample on the device, measured before training: 5ms.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:0.")]
Seed = Annotated[int, typer.Option(min=0, help="Decides everything random.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Where the files of named datasets are; by default $AUTOKD_DATA, or the cache.")
]
Target = Annotated[str | None, typer.Option(help="Label column of a table.")]
Group = Annotated[str | None, typer.Option(help="Column whose equal values stay in one split.")]
Validation = Annotated[Path | None, typer.Option(help="A folder or table to validate on.")]
ImageSize = Annotated[int | None, typer.Option(min=4, help="Resize images to this side.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave unreadable files out instead of stopping.")]
Download = Annotated[bool, typer.Option("--download", help="The network may be used to get a named dataset.")]
LimitTrain = Annotated[int | None, typer.Option(min=2, help="Train on a stratified draw of this many samples.")]
Plugins = Annotated[list[Path] | None, typer.Option(help="A Python file with components of your own; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
BankSize = Annotated[str, typer.Option(help="Most bytes of teacher outputs kept on disk, for instance 20GB.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also the log's details.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"autokd {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show and exit.")
    ] = False,
) -> None:
    """Options of autokd itself."""


@app.command()
def search(
    dataset: Dataset = "digits",
    space: Space = None,
    teacher: Teacher = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all, both baselines included.")] = None,
    time: Annotated[
        str | None, typer.Option(help="Seconds that all of it takes, or 20m, 3h: fits runs and trials to it.")
    ] = None,
    max_params: Count = None,
    max_macs: Macs = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    objective: Annotated[
        str | None,
        typer.Option(help="A metric (accuracy, macro_f1, …), or several objectives: accuracy,latency."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the longest trials and of confirm.")] = None,
    study: Annotated[str | None, typer.Option(help="Name of the study; by default the dataset's.")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    data_dir: DataDir = None,
    target: Target = None,
    group: Group = None,
    validation: Validation = None,
    image_size: ImageSize = None,
    skip_bad: SkipBad = False,
    download: Download = False,
    limit_train: LimitTrain = None,
    plugins: Plugins = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; write nothing.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the study of this name first.")] = False,
    bank_size: BankSize = "20GB",
    bank_features: Annotated[
        bool, typer.Option("--bank-features", help="Also keep the teacher's feature maps, where they are small enough.")
    ] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Measure where the time goes; shown at the end.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Train in this many local processes: faster.")] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, help="Rungs under way at a time: part of the study; by default the workers.")
    ] = None,
    storage: Annotated[
        str | None, typer.Option(help="Mirror the study to a database for dashboards: postgresql://…")
    ] = None,
    max_failures: Annotated[int | None, typer.Option(min=1, help="Stop once this many trials have failed.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Search for the best pipeline, confirm it against the baselines, and report. Again: resumes."""
    from time import monotonic

    began = monotonic()
    from autokd.cli import console, progress

    data_options = _data_options(locals())
    limits = {"time": None if time is None else console.seconds(time), **_limits(locals())}
    with progress.shown(quiet=quiet) as notify, progress.logging_to_stderr(verbose=verbose):
        from autokd import api
        from autokd.search import run

        _load_plugins(plugins)
        request = run.Request(
            dataset=dataset,
            space=space,
            teacher=teacher,
            trials=trials,
            epochs=epochs,
            study=study,
            device=device,
            seed=seed,
            data_options=data_options,
            fresh=fresh,
            bank_bytes=console.size(bank_size),
            bank_features=bank_features,
            profile=profile,
            workers=workers,
            slots=slots,
            storage=storage,
            max_failures=max_failures,
            began=began,
            objective=None if objective is None else tuple(part.strip() for part in objective.split(",")),
            **limits,
        )
        if dry_run:
            prepared = run.prepare(request, notify, dry=True)
            shown = console.plan(prepared, run.plan(prepared), as_json=as_json)
        else:
            with progress.stoppable() as stop:
                done = api.finish(run.search(request, notify, api.write_best, stop))
            shown = console.summary(done, as_json=as_json, profiled=profile)
    console.out(shown)
    if profile and not (as_json or dry_run):
        console.out(console.profile(done.store.records))


@app.command()
def report(study: Annotated[str, typer.Argument(help="A study's name or folder.")]) -> None:
    """Write a study's HTML report again."""
    typer.echo(_open(study).report())


@app.command()
def export(
    study: Annotated[str, typer.Argument(help="A study's name or folder.")],
    trial: Annotated[int | None, typer.Option(help="A trial's number; by default the recommended pipeline.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path("pipeline.yaml"),
) -> None:
    """Write the complete pipeline to a file that `autokd train` runs."""
    _open(study).export(output, trial=trial)
    typer.echo(f"{output}\nnext: autokd train {shlex.quote(str(output))}")


@app.command()
def train(
    pipeline: Annotated[Path, typer.Argument(help="A pipeline file.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of the file's.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The bundle's folder.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Instead of the file's.")] = None,
    device: Device = "auto",
    data_dir: DataDir = None,
    download: Download = False,
    plugins: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train a pipeline at full length and write the student bundle. Again: resumes."""
    from autokd.cli import console, progress

    folder = pipeline.with_suffix("") if output is None else output
    with progress.training(quiet=quiet) as on_epoch, progress.logging_to_stderr(verbose=verbose):
        from autokd import api

        _load_plugins(plugins)
        metrics = api.train(
            pipeline,
            out=folder,
            epochs=epochs,
            seed=seed,
            device=device,
            data_dir=data_dir,
            download=download,
            on_epoch=on_epoch,
        )
    console.out(console.trained(folder, metrics, as_json=as_json))


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="A student bundle.")],
    inputs: Annotated[list[Path], typer.Argument(help="Images, folders of images, or tables.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a CSV instead of a table.")] = None,
    device: Device = "cpu",
    skip_bad: SkipBad = False,
    as_json: Json = False,
) -> None:
    """Label new inputs, with probabilities."""
    from autokd.cli import console, progress
    from autokd.delivery.predict import predict as label
    from autokd.search.run import pick_device

    with progress.logging_to_stderr():
        frame = label(folder, inputs, device=pick_device(device), skip_bad=skip_bad)
    console.out(console.predictions(frame, output, as_json=as_json))


@app.command()
def screen(
    dataset: Dataset = "digits",
    space: Space = None,
    teacher: Teacher = None,
    max_params: Count = None,
    max_macs: Macs = None,
    max_size: MaxSize = None,
    max_latency: MaxLatency = None,
    device: Device = "auto",
    seed: Seed = 0,
    data_dir: DataDir = None,
    target: Target = None,
    group: Group = None,
    validation: Validation = None,
    image_size: ImageSize = None,
    skip_bad: SkipBad = False,
    download: Download = False,
    limit_train: LimitTrain = None,
    plugins: Plugins = None,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Rank the space's student architectures without training them."""
    from autokd.cli import console, progress

    data_options, limits = _data_options(locals()), _limits(locals())
    with progress.shown(quiet=quiet) as notify, progress.logging_to_stderr(verbose=verbose):
        from autokd.search import run

        _load_plugins(plugins)
        request = run.Request(
            dataset=dataset,
            space=space,
            teacher=teacher,
            device=device,
            seed=seed,
            data_options=data_options,
            **limits,
        )
        rows = run.screen_only(request, notify)
    console.out(console.screened(rows, as_json=as_json))


@app.command("list")
def list_components(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)}; by default all.")] = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """List the components of a kind, or of every kind."""
    from autokd.cli import console

    _load_plugins(plugins)
    if kind is None:
        console.out(console.kinds({name: catalog.names(name) for name in catalog.KINDS}, as_json=as_json))
    else:
        names = catalog.names(kind)
        console.out(console.document(names) if as_json else "\n".join(names))


@app.command()
def describe(
    kind: Annotated[str, typer.Argument(help="A kind of component, or 'teacher' for one teacher.")],
    name: Annotated[str, typer.Argument(help="A component's name, or a teacher as --teacher takes it.")],
    dataset: Dataset = "digits",
    data_dir: DataDir = None,
    target: Target = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show a component's fields, defaults, ranges and source; or the module paths of a teacher and their shapes."""
    from autokd.cli import console

    _load_plugins(plugins)
    if kind == "teacher":
        from autokd import data

        task = data.load(dataset, data.DataOptions(data_dir=data_dir, target=target)).task
        console.out(console.teacher(name, task, as_json=as_json))
    else:
        console.out(console.component(kind, name, as_json=as_json))


@app.command()
def check(
    space: Annotated[str, typer.Argument(help="A space file.")], plugins: Plugins = None, as_json: Json = False
) -> None:
    """Show all mistakes of a space file at once."""
    from autokd.cli import console
    from autokd.errors import SpaceError
    from autokd.space import find, parse

    _load_plugins(plugins)
    try:
        parsed = parse(*find(space))
    except SpaceError as error:
        if as_json:
            console.out(console.checked(space, error.problems, "", as_json=True))
        raise
    about = f"{len(parsed.ranges())} parameters, {len(parsed.warm)} warm start(s)"
    console.out(console.checked(space, [], about, as_json=as_json))


@app.command()
def studies(as_json: Json = False) -> None:
    """List the studies here, their state and best result."""
    from autokd import api
    from autokd.cli import console

    console.out(console.studies([api.open_study(path) for path in api.list_studies()], as_json=as_json))


@app.command()
def trials(
    study: Annotated[str, typer.Argument(help="A study's name or folder.")],
    as_json: Json = False,
) -> None:
    """List a study's trials."""
    from autokd.cli import console

    console.out(console.trials(_open(study), as_json=as_json))


@app.command()
def cache(
    clear: Annotated[str | None, typer.Option(help="bank, teachers or data: delete it, but for what runs use.")] = None,
    as_json: Json = False,
) -> None:
    """List what is kept in the cache folder, or clear a part of it."""
    from autokd.cli import caches, console

    freed = None if clear is None else caches.clear(clear)
    console.out(console.caches(caches.listed(), freed, as_json=as_json))


def _open(name: str) -> Study:
    from autokd import api

    return api.open_study(name)


def _load_plugins(paths: list[Path] | None) -> None:
    for path in paths or ():
        catalog.load_plugins(path)


DATA_OPTIONS = ("data_dir", "target", "group", "validation", "image_size", "skip_bad", "download", "limit_train")


def _data_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a command's values that say how the data are read."""
    return {name: given[name] for name in DATA_OPTIONS}


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a command's values that bound what a student costs, as numbers."""
    from autokd.cli import console
    from autokd.objective import COSTS

    names = [f"max_{cost}" for cost in COSTS]
    return {name: None if given[name] is None else console.limit(name, given[name]) for name in names}


def main() -> None:
    """Run the command line and exit with its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks a sign is no reason to stop
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    command = typer.main.get_command(app)
    try:
        with command.make_context("autokd", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as done:
        return done.exit_code
    except _ParseError as error:
        error.show()
        return int(error.exit_code)
    except AutokdError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted; the same command goes on where this one stopped", 130)
    except BrokenPipeError:  # whoever read the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except _DISK_ERRORS as error:
        return _complain(f"{error.filename or 'disk'}: {error.strerror}", 2)
    except OSError as error:
        if error.errno not in DISK_FULL:
            return _internal(error)
        return _complain(f"{error.filename or 'disk'}: {error.strerror}; make room, and the same command goes on", 2)
    except Exception as error:  # the outermost place: a mistake of autokd's own
        return _internal(error)


_ParseError: Any = next(cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException")
"""Click's base of usage errors: newer versions of typer bring their own copy of click."""
_DISK_ERRORS = (PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)


def _internal(error: Exception) -> int:
    from autokd.cli.console import log_traceback

    where = getattr(error, "__notes__", None) or [f"the traceback is in {log_traceback()}"]
    return _complain(f"internal error: {type(error).__name__}: {error}\n{where[-1]}", 1)


def _complain(message: str, code: int) -> int:
    typer.echo(f"error: {message}", err=True)
    return code


if __name__ == "__main__":
    main()
