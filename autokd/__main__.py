"""`python -m autokd`."""

from __future__ import annotations

from autokd.cli.commands import main

if __name__ == "__main__":
    main()
