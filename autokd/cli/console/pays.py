"""What pays where in the terminal, or as one JSON document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from autokd.cli.console.output import Shown, document, indented
from autokd.cli.console.tables import printed
from autokd.report.pays import facts

if TYPE_CHECKING:
    from autokd.knowledge.foreign import Imported
    from autokd.knowledge.pays import Findings
    from autokd.knowledge.transfer import Transfer

TOP = 3
"""Rows of a foreign table that are recommended."""


def said(found: Findings, page: Path | None, *, as_json: bool) -> Shown:
    """Return what a base says.

    Args:
      found: it.
      page: where it was written for a browser.
      as_json: one JSON document instead.
    """
    if as_json:
        return document({"page": page, **facts.document(found)})
    written = [] if page is None else [Text(f"page: {page}")]
    return Group(*map(printed, facts.printed(found)), Text(facts.LEGEND, style="dim"), *written)


def imported(path: Path, table: Imported, found: Findings, how_well: Transfer, *, as_json: bool) -> Shown:
    """Return what a foreign table taught.

    Args:
      path: of the base.
      table: the foreign one.
      found: what pays where in it.
      how_well: its tasks predict one another.
      as_json: one JSON document instead.
    """
    best = table.best(TOP) if how_well.learned else []
    if as_json:
        learnt = {**how_well._asdict(), "correlation": how_well.correlation and how_well.correlation._asdict()}
        return document(
            {
                "base": path,
                "digest": table.base.digest,
                "names": table.names,
                "learned": how_well.learned,
                "transfer": learnt,
                "first": best,
                **facts.document(found, table.names),
            }
        )
    return Group(
        *map(printed, facts.printed(found, table.names)),
        Text(facts.LEGEND, style="dim"),
        Text(f"\n{facts.learnt(how_well)}", style="bold"),
        *_worth_trying(best),
        Text(f"{path}: {len(table.base.cards)} studies; digest {table.base.digest}"),
        Text(f"In it the columns are called {facts.key(table.names)}.") if table.names else Text(),
    )


def _worth_trying(best: list[str]) -> Iterator[RenderableType]:
    if best:
        yield Text("Worth trying first on another task:")
        yield from map(indented, best)
