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
