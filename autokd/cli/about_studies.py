"""Commands that look at studies and change nothing: listings, and where one stands. Heavy imports are inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from autokd.cli import options
from autokd.cli.console.output import out
from autokd.cli.options import Json
from autokd.options import REPORTS, Option


def studies(as_json: Json = False) -> None:
    """List the studies in this folder with their state and best result."""
    from autokd import api
    from autokd.cli.console import listings

    out(listings.studies([api.open_study(path) for path in api.list_studies()], as_json=as_json))


def trials(study: options.Study, as_json: Json = False) -> None:
    """List the trials of a study."""
    from autokd import api
    from autokd.cli.console import listings

    out(listings.trials(api.open_study(study), as_json=as_json))


def watch(
    study: options.Study,
    once: Annotated[bool, Option("Show it once and exit.")] = False,
    as_json: Json = False,
) -> None:
    """Watch a study while a search runs in another terminal; nothing is locked or written."""
    from autokd import api
    from autokd.cli.watch import watch as look

    look(api.study_folder(study), lambda: api.open_study(study), once=once, as_json=as_json)


def compare(
    names: Annotated[list[str], Option("Names or folders of studies, two or more.", argument=True)],
    output: Annotated[Path, Option("Folder of reports to write in.", flags=("--output", "-o"))] = REPORTS,
    as_json: Json = False,
) -> None:
    """Compare studies: one HTML page, and a table."""
    from autokd import api
    from autokd.cli.console.compared import compared
    from autokd.errors import StudyError
    from autokd.files import check_writable
    from autokd.report.compare import page

    if len(names) < 2:
        raise StudyError("one study cannot be compared; name two or more")
    check_writable(output, "write the page elsewhere with -o FOLDER")
    opened = [api.open_study(name).store for name in names]
    out(compared(opened, page.write(opened, output), as_json=as_json))
