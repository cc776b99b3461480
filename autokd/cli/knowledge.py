"""The commands about what past studies taught: learn from them, and look after bases. Heavy imports are inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autokd.cli.console.output import out
from autokd.cli.options import Json, with_options
from autokd.options import Option, Overwrite

app = typer.Typer(
    name="knowledge",
    no_args_is_help=True,
    add_completion=False,
    help="List, merge and export what past studies taught.",
)
Bases = Annotated[
    list[Path] | None,
    Option("Knowledge bases, folders or files; by default the one that comes with autokd and your own.", argument=True),
]


def learn(
    names: Annotated[list[str], Option("Names or folders of studies.", argument=True)],
    knowledge: Annotated[
        Path | None, Option("Folder of the knowledge base (default: $AUTOKD_KNOWLEDGE or among your data).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Keep what studies taught in a knowledge base: validation scores, numbers and names of autokd's components."""
    from autokd import api
    from autokd.cli.console.knowledge import learnt
    from autokd.files import check_writable
    from autokd.knowledge.lessons import learn_into
    from autokd.knowledge.places import own_folder

    folder = own_folder() if knowledge is None else knowledge
    check_writable(folder, "name another folder with --knowledge")
    stores = [api.open_study(name).store for name in names]
    out(learnt(folder, learn_into(folder, stores), as_json=as_json))


@app.command("list")
@with_options
def list_studies(bases: Bases = None, as_json: Json = False) -> None:
    """List the studies of knowledge bases."""
    from autokd.cli.console.knowledge import listed
    from autokd.knowledge.places import base_of

    out(listed(base_of(bases or ()), as_json=as_json))


@app.command()
@with_options
def merge(
    bases: Annotated[list[Path], Option("Knowledge bases, folders or files.", argument=True)],
    output: Annotated[Path, Option("File to write.", flags=("--output", "-o"))] = Path("knowledge.parquet"),
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write several knowledge bases as one file, each study once."""
    from autokd.cli.console.knowledge import merged
    from autokd.knowledge.base import write_merged
    from autokd.knowledge.places import base_of

    base = base_of(bases)
    write_merged(output, base, overwrite=overwrite)
    out(merged(output, base, as_json=as_json))


@app.command()
@with_options
def export(
    bases: Bases = None,
    output: Annotated[Path, Option("File to write, .csv or .parquet.", flags=("--output", "-o"))] = Path(
        "knowledge.csv"
    ),
    overwrite: Overwrite = False,
) -> None:
    """Write knowledge bases as a table for people: one row a run, one column a number."""
    from autokd.knowledge.places import base_of
    from autokd.knowledge.table import write_table

    rows = write_table(output, base_of(bases or ()), overwrite=overwrite)
    typer.echo(f"{output}: {rows} runs")


@app.command()
@with_options
def report(
    bases: Bases = None,
    html: Annotated[Path | None, Option("Also write it as a page, to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Say which losses, temperatures, students and other choices pay on which data, with intervals."""
    from autokd.cli.console import pays
    from autokd.files import check_writable
    from autokd.knowledge.pays import findings
    from autokd.knowledge.places import base_of
    from autokd.report.pays import page

    if html is not None:
        check_writable(html.parent, "write the page elsewhere with --html FILE")
    found = findings(base_of(bases or ()))
    if html is not None:
        page.write(html, found)
    out(pays.said(found, html, as_json=as_json))


@app.command("import-csv")
@with_options
def import_table(
    table: Annotated[Path, Option("CSV file with one row a run.", argument=True)],
    mapping: Annotated[Path, Option("YAML file that says what the columns are.", flags=("--map",))],
    output: Annotated[Path, Option("File to write.", flags=("--output", "-o"))] = Path("knowledge.parquet"),
    overwrite: Overwrite = False,
    html: Annotated[Path | None, Option("Also write what pays where as a page, to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Make a knowledge base of a table of runs that other software made, and say whether it teaches anything."""
    from autokd.cli.console import pays
    from autokd.files import check_writable
    from autokd.knowledge.base import write_merged
    from autokd.knowledge.foreign import import_csv
    from autokd.knowledge.mapping import read_mapping
    from autokd.knowledge.pays import findings
    from autokd.knowledge.transfer import transfer
    from autokd.report.pays import page

    if html is not None:
        check_writable(html.parent, "write the page elsewhere with --html FILE")
    imported = import_csv(table, read_mapping(mapping))
    write_merged(output, imported.base, overwrite=overwrite)
    found = findings(imported.base)
    if html is not None:
        page.write(html, found, imported.names)
    out(pays.imported(output, imported, found, transfer(imported.base), as_json=as_json))
