"""The command line: commands, what they print, progress bars, and what the cache folder holds."""

from __future__ import annotations


def main() -> None:
    """Run the command line of this process."""
    from autokd.cli.commands import main as run

    run()
