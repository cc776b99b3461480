"""The plan of one set, made in a process of its own with one thread.

    python -m benchmarks.by_hand.plan_worker SET DATA CLOCK

`DATA` is the folder of the original files, `CLOCK` whose seconds count. What was planned is recorded and printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import cast

from benchmarks.by_hand import clock


def main() -> None:
    """Plan the set."""
    name, data, counted = sys.argv[1:]
    clock.count(cast(clock.Clock, counted))
    from benchmarks.by_hand import planning

    print(name, json.dumps(planning.plan(name, Path(data))))


if __name__ == "__main__":
    main()
