"""The command line: parse, call one function, print. Heavy imports are inside the commands.

Results go to stdout; progress and logs to stderr. Exit codes: 0 done, 1 internal error, 2 bad input, 3 nothing feasible
or finished, 4 too many failures, 130 interrupted.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autokd import catalog
from autokd.catalog import KINDS
from autokd.cli import about_studies, knowledge, options, recommend, streams, students
from autokd.cli.console.output import document, out
from autokd.cli.failures import UsageError, complain, hinted, internal, mistyped, of_system
from autokd.cli.options import Json, Printing, TeachersData, with_options
from autokd.errors import AutokdError
from autokd.options import REPORTS, Option, Overwrite, Plugins
from autokd.search.request import Request, Screening

if TYPE_CHECKING:
    from autokd.api import Study
    from autokd.cli.console.output import Shown
    from autokd.search.request import Notify

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
@with_options
def search(
    request: Request,
    *,
    dry_run: Annotated[bool, Option("Show the space, the plan and the expected time; write nothing.")] = False,
    show: Printing,
) -> None:
    """Search for the best pipeline, compare it with the baselines, and write a report. Run it again to resume."""
    from autokd.cli import progress

    with progress.shown(quiet=show.quiet) as notify, progress.logging_to_stderr(verbose=show.verbose):
        from autokd import api
        from autokd.cli.console import claim

        if dry_run:
            shown = _planned(request, notify, as_json=show.as_json)
        else:
            with progress.stoppable() as stop:
                done = api.search(**vars(request), notify=notify, stop=stop)
            shown = claim.summary(done, as_json=show.as_json, profiled=request.profile)
    out(shown)
    if request.profile and not (show.as_json or dry_run):
        out(claim.profile(done.store.records))


def _planned(request: Request, notify: Notify, *, as_json: bool) -> Shown:
    from autokd.cli.console.plan import plan
    from autokd.search import run

    setup = run.prepare(request, notify, dry=True)
    return plan(setup, run.plan(setup), as_json=as_json)


app.command()(with_options(recommend.recommend))


@app.command()
@with_options
def report(
    study: options.Study,
    output: Annotated[Path, Option("Folder of reports to write in.", flags=("--output", "-o"))] = REPORTS,
) -> None:
    """Write the HTML report of a study again."""
    from autokd import api
    from autokd.files import check_writable

    opened = api.open_study(study, reports_dir=output)
    check_writable(opened.report_path.parent, "write the report elsewhere with -o FOLDER")
    typer.echo(opened.report())


@app.command()
@with_options
def export(
    study: options.Study,
    trial: Annotated[int | None, Option("Export this trial instead of the recommended pipeline.")] = None,
    arm: options.Arm = None,
    output: Annotated[Path, Option("File to write.", flags=("--output", "-o"))] = Path("pipeline.yaml"),
    overwrite: Overwrite = False,
) -> None:
    """Write a complete pipeline file for `autokd train`."""
    _open(study).export(output, trial=trial, arm=arm, overwrite=overwrite)
    place = output.with_suffix("")
    into = f" -o {shlex.quote(f'{place}-student')}" if place.exists() else ""
    typer.echo(f"{output}\nnext: autokd train {shlex.quote(str(output))}{into}")


for _of_student in (students.train, students.predict, students.export_model):
    app.command()(with_options(_of_student))


@app.command()
@with_options
def screen(asked: Screening, show: Printing) -> None:
    """Rank the student architectures of a search space without training them."""
    from autokd.cli import progress

    with progress.shown(quiet=show.quiet) as notify, progress.logging_to_stderr(verbose=show.verbose):
        from autokd.cli.console.screened import screened
        from autokd.search import run

        rows = run.screen_only(asked, notify)
    out(screened(rows, asked, as_json=show.as_json))


@app.command("list")
@with_options
def list_components(
    kind: Annotated[str | None, Option(f"{', '.join(KINDS)}; by default all.", argument=True)] = None,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """List the components of one kind, or of all kinds."""
    from autokd.cli.console.components import kinds

    catalog.load_plugins(*(plugins or ()))
    if kind is None:
        out(kinds({name: catalog.names(name) for name in catalog.KINDS}, as_json=as_json))
    else:
        names = catalog.names(kind)
        out(document(names) if as_json else "\n".join(names))


@app.command()
@with_options
def describe(
    kind: Annotated[str, Option("A kind of component, or 'teacher' for one teacher.", argument=True)],
    name: Annotated[str, Option("Name of a component, or a teacher as for --teacher.", argument=True)],
    about: TeachersData,
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """Show a component's fields, defaults, ranges and source, or a teacher's module paths and shapes."""
    from autokd.cli.console import components

    catalog.load_plugins(*(plugins or ()))
    if kind == "teacher":
        from autokd import data

        loaded = data.load(about.dataset, data.DataOptions(data_dir=about.data_dir, target=about.target))
        out(components.teacher(name, loaded, about.teacher_classes, as_json=as_json))
    else:
        out(components.component(kind, name, as_json=as_json))


@app.command()
@with_options
def check(
    space: Annotated[str, Option("A search-space file, or a pipeline file.", argument=True)],
    plugins: Plugins = None,
    as_json: Json = False,
) -> None:
    """List every error in a search-space file or a pipeline file."""
    from autokd.cli.console.components import checked
    from autokd.delivery import pipeline_file
    from autokd.errors import SpaceError
    from autokd.space import find, parse

    catalog.load_plugins(*(plugins or ()))
    if pipeline_file.is_pipeline_file(Path(space)):
        pipeline_file.read(Path(space))
        out(checked(space, [], f"a pipeline file: autokd train {shlex.quote(space)}", as_json=as_json))
        return
    try:
        parsed = parse(*find(space))
    except SpaceError as error:
        if as_json:
            out(checked(space, error.problems, "", as_json=True))
        raise
    about = f"{len(parsed.ranges())} parameters, {len(parsed.warm)} warm start(s)"
    out(checked(space, [], about, as_json=as_json))


for _command in (about_studies.studies, about_studies.trials, about_studies.watch, about_studies.compare):
    app.command()(with_options(_command))


app.command()(with_options(knowledge.learn))
app.add_typer(knowledge.app)


@app.command()
@with_options
def cache(
    clear: Annotated[str | None, Option("Delete bank, teachers or data, except what running searches use.")] = None,
    as_json: Json = False,
) -> None:
    """List the contents of the cache folder, or clear part of it."""
    from autokd.cli import caches
    from autokd.cli.console import listings

    freed = None if clear is None else caches.clear(clear)
    out(listings.caches(caches.listed(), freed, as_json=as_json))


def _open(name: str) -> Study:
    from autokd import api

    return api.open_study(name)


def main() -> None:
    """Run the command line and exit with its code."""
    streams.open_closed()
    streams.never_fail()
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    with streams.in_place():
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    command = typer.main.get_command(app)
    try:
        with command.make_context("autokd", list(arguments)) as context:
            command.invoke(context)
        sys.stdout.flush()
        return 0
    except typer.Exit as done:
        return done.exit_code
    except UsageError as error:
        if wrong := mistyped(error):
            return complain(wrong, error.exit_code)
        error.message = hinted(error.message, arguments)
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
