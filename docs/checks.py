"""Writes docs/checks.md: run it after adding a check or changing what one says.

python docs/checks.py           # write it
python docs/checks.py --check   # only say whether it is up to date (exit code 1 where it is not)
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from autokd.study.checks import RULES, Rule  # noqa: E402
from docs.components import write  # noqa: E402

PAGE = ROOT / "docs" / "checks.md"
HEAD = """\
# Checks

<!-- Written by docs/checks.py from autokd/study/checks; edit the texts there. -->

The report lists, under *Before you approve*, what speaks against using what a study recommends. This page explains each
check: why it matters, how it is computed, and what to do. The summary in the terminal shows the same checks, and
`autokd watch` and `autokd compare` count them:

```console
$ autokd watch digits --once
```

A check reads what the study recorded. It trains nothing and does not read the test split again.

| sign | means |
|---|---|
| ✕ | stop: do not ship the student before this is fixed |
| ▲ | warning: know about it, and decide |
| – | not checked, with the reason: data are missing, or too few |
| ✓ | in order |

Checks that do not apply are not listed, such as those of the teacher in a study without one. A number is never given to
another check.
"""


def page() -> str:
    """Return the page."""
    listed = "".join(f"- [{rule.number} {rule.title}](#{rule.anchor})\n" for rule in RULES)
    return "\n".join([HEAD, listed, *map(entry, RULES)])


def entry(rule: Rule) -> str:
    """Return the entry of a check."""
    texts = (rule.means, f"*How:* {rule.how}", f"*What to do:* {rule.todo}")
    return f"## {rule.number} {rule.title}\n\n" + "".join(f"{_wrapped(text)}\n\n" for text in texts).rstrip() + "\n"


def _wrapped(text: str) -> str:
    return textwrap.fill(re.sub(r"(?<![\w`-])(--[a-z][a-z-]*)", r"`\1`", text), 118, break_on_hyphens=False)


def main(arguments: list[str]) -> int:
    """Write the page, or check it; return the exit code."""
    return write(PAGE, page(), arguments, script=Path(__file__))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
