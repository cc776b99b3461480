"""The command that recommends without a search."""

from __future__ import annotations

from autokd.cli.console.output import out
from autokd.cli.options import Printing
from autokd.search.request import Recommending


def recommend(asked: Recommending, show: Printing) -> None:
    """Rank pipelines by what past studies taught, fitted to the limits and this machine; nothing is tried."""
    from autokd.cli import progress

    with progress.shown(quiet=show.quiet) as notify, progress.logging_to_stderr(verbose=show.verbose):
        from autokd.cli.console.recommended import recommended
        from autokd.delivery import recommend as recommending

        found = recommending.recommend(**{**vars(asked), "notify": notify})
    out(recommended(found, as_json=show.as_json))
