"""The command line: parse, call one function, print. Heavy imports are inside the commands.

Results go to stdout; progress and logs to stderr. Exit codes: 0 done, 1 internal error, 2 bad input, 3 nothing feasible
or finished, 4 too many failures, 130 interrupted.
"""

from __future__ import annotations

import io
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autokd import catalog
from autokd.catalog import KINDS
from autokd.cli import arguments, options
from autokd.cli.console.output import document, out
from autokd.cli.failures import UsageError, complain, internal, of_system
from autokd.errors import AutokdError

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


@app.callback()
def _root(version: options.Version = False) -> None:
    """Options of autokd itself."""


@app.command()
def search(
    dataset: options.Dataset = "digits",
    space: options.Space = None,
    teacher: options.Teacher = None,
    trials: options.Trials = None,
    time: options.Time = None,
    max_params: options.MaxParams = None,
    max_macs: options.MaxMacs = None,
    max_size: options.MaxSize = None,
    max_latency: options.MaxLatency = None,
    objective: options.Objectives = None,
    epochs: options.Epochs = None,
    quick: options.Quick = False,
    train: options.Train = False,
    study: options.StudyName = None,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    data_dir: options.DataDir = None,
    target: options.Target = None,
    group: options.Group = None,
    validation: options.Validation = None,
    image_size: options.ImageSize = None,
    skip_bad: options.SkipBad = False,
    download: options.Download = False,
    limit_train: options.LimitTrain = None,
    plugins: options.Plugins = None,
    dry_run: options.DryRun = False,
    fresh: options.Fresh = False,
    bank_size: options.BankSize = "20GB",
    bank_features: options.BankFeatures = False,
    profile: options.Profile = False,
    workers: options.Workers = None,
    slots: options.Slots = None,
    storage: options.Storage = None,
    max_failures: options.MaxFailures = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Search for the best pipeline, compare it with the baselines, and write a report. Run it again to resume."""
    from time import monotonic

    began = monotonic()
    from autokd.cli import progress

    data_options = arguments.data_options(locals())
    limits = {"time": None if time is None else arguments.seconds(time), **arguments.limits(locals())}
    with progress.shown(quiet=quiet) as notify, progress.logging_to_stderr(verbose=verbose):
        from autokd import api
        from autokd.cli.console import claim
        from autokd.cli.console.plan import plan
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
            bank_bytes=arguments.size(bank_size),
            bank_features=bank_features,
            profile=profile,
            workers=workers,
            slots=slots,
            storage=storage,
            max_failures=max_failures,
            quick=quick,
            train=train,
            began=began,
            objective=None if objective is None else tuple(part.strip() for part in objective.split(",")),
            **limits,
        )
        if dry_run:
            setup = run.prepare(request, notify, dry=True)
            shown = plan(setup, run.plan(setup), as_json=as_json)
        else:
            with progress.stoppable() as stop:
                done = api.finish(run.search(request, notify, api.deliver, stop))
            shown = claim.summary(done, as_json=as_json, profiled=profile)
    out(shown)
    if profile and not (as_json or dry_run):
        out(claim.profile(done.store.records))


@app.command()
def report(study: options.Study) -> None:
    """Write the HTML report of a study again."""
    typer.echo(_open(study).report())


@app.command()
def export(
    study: options.Study,
    trial: Annotated[int | None, typer.Option(help="Export this trial instead of the recommended pipeline.")] = None,
    arm: options.Arm = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path("pipeline.yaml"),
) -> None:
    """Write a complete pipeline file for `autokd train`."""
    _open(study).export(output, trial=trial, arm=arm)
    typer.echo(f"{output}\nnext: autokd train {shlex.quote(str(output))}")


@app.command()
def train(
    pipeline: Annotated[Path, typer.Argument(help="A pipeline file.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Number of epochs, instead of the one in the file.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the student bundle to write.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Random seed, instead of the one in the file.")] = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    download: options.Download = False,
    plugins: options.Plugins = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Train a pipeline at full length and write the student bundle. Run it again to resume."""
    from autokd.cli import progress

    folder = pipeline.with_suffix("") if output is None else output
    with progress.training(quiet=quiet) as on_epoch, progress.logging_to_stderr(verbose=verbose):
        from autokd import api
        from autokd.cli.console.students import trained

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
    out(trained(folder, metrics, as_json=as_json))


@app.command()
def predict(
    folder: Annotated[Path, typer.Argument(help="A student bundle.")],
    inputs: Annotated[list[Path], typer.Argument(help="Images, folders of images, or tables.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a CSV file instead of printing a table.")
    ] = None,
    device: options.Device = "cpu",
    skip_bad: options.SkipBad = False,
    as_json: options.Json = False,
) -> None:
    """Predict the labels of new inputs, with probabilities."""
    from autokd.cli import progress
    from autokd.cli.console.students import predictions
    from autokd.delivery.predict import predict as label
    from autokd.search.run import pick_device

    with progress.logging_to_stderr():
        frame = label(folder, inputs, device=pick_device(device), skip_bad=skip_bad)
    out(predictions(frame, output, as_json=as_json))


@app.command()
def screen(
    dataset: options.Dataset = "digits",
    space: options.Space = None,
    teacher: options.Teacher = None,
    max_params: options.MaxParams = None,
    max_macs: options.MaxMacs = None,
    max_size: options.MaxSize = None,
    max_latency: options.MaxLatency = None,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    data_dir: options.DataDir = None,
    target: options.Target = None,
    group: options.Group = None,
    validation: options.Validation = None,
    image_size: options.ImageSize = None,
    skip_bad: options.SkipBad = False,
    download: options.Download = False,
    limit_train: options.LimitTrain = None,
    plugins: options.Plugins = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> None:
    """Rank the student architectures of a search space without training them."""
    from autokd.cli import progress

    data_options, limits = arguments.data_options(locals()), arguments.limits(locals())
    with progress.shown(quiet=quiet) as notify, progress.logging_to_stderr(verbose=verbose):
        from autokd.cli.console.listings import screened
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
    out(screened(rows, as_json=as_json))


@app.command("list")
def list_components(
    kind: Annotated[str | None, typer.Argument(help=f"{', '.join(KINDS)}; by default all.")] = None,
    plugins: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """List the components of one kind, or of all kinds."""
    from autokd.cli.console.components import kinds

    _load_plugins(plugins)
    if kind is None:
        out(kinds({name: catalog.names(name) for name in catalog.KINDS}, as_json=as_json))
    else:
        names = catalog.names(kind)
        out(document(names) if as_json else "\n".join(names))


@app.command()
def describe(
    kind: Annotated[str, typer.Argument(help="A kind of component, or 'teacher' for one teacher.")],
    name: Annotated[str, typer.Argument(help="Name of a component, or a teacher as for --teacher.")],
    dataset: options.Dataset = "digits",
    data_dir: options.DataDir = None,
    target: options.Target = None,
    plugins: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """Show a component's fields, defaults, ranges and source, or a teacher's module paths and shapes."""
    from autokd.cli.console import components

    _load_plugins(plugins)
    if kind == "teacher":
        from autokd import data

        task = data.load(dataset, data.DataOptions(data_dir=data_dir, target=target)).task
        out(components.teacher(name, task, as_json=as_json))
    else:
        out(components.component(kind, name, as_json=as_json))


@app.command()
def check(
    space: Annotated[str, typer.Argument(help="A search-space file.")],
    plugins: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """List every error in a search-space file."""
    from autokd.cli.console.components import checked
    from autokd.errors import SpaceError
    from autokd.space import find, parse

    _load_plugins(plugins)
    try:
        parsed = parse(*find(space))
    except SpaceError as error:
        if as_json:
            out(checked(space, error.problems, "", as_json=True))
        raise
    about = f"{len(parsed.ranges())} parameters, {len(parsed.warm)} warm start(s)"
    out(checked(space, [], about, as_json=as_json))


@app.command()
def studies(as_json: options.Json = False) -> None:
    """List the studies in this folder with their state and best result."""
    from autokd import api
    from autokd.cli.console import listings

    out(listings.studies([api.open_study(path) for path in api.list_studies()], as_json=as_json))


@app.command()
def trials(study: options.Study, as_json: options.Json = False) -> None:
    """List the trials of a study."""
    from autokd.cli.console import listings

    out(listings.trials(_open(study), as_json=as_json))


@app.command()
def cache(
    clear: Annotated[
        str | None, typer.Option(help="Delete one of bank, teachers, data, except what running searches use.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the contents of the cache folder, or clear part of it."""
    from autokd.cli import caches
    from autokd.cli.console import listings

    freed = None if clear is None else caches.clear(clear)
    out(listings.caches(caches.listed(), freed, as_json=as_json))


def _open(name: str) -> Study:
    from autokd import api

    return api.open_study(name)


def _load_plugins(paths: list[Path] | None) -> None:
    for path in paths or ():
        catalog.load_plugins(path)


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
    except UsageError as error:
        error.show()
        return int(error.exit_code)
    except AutokdError as error:
        return complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return complain("interrupted; the same command goes on where this one stopped", 130)
    except OSError as error:
        return of_system(error)
    except Exception as error:  # the outermost place: a mistake of autokd's own
        return internal(error)
