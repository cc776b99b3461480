"""Import statements in the order that people and linters expect."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable


def sorted_imports(statements: Iterable[str]) -> str:
    """Return import statements as a block: the standard library first, what comes from one module in one line.

    >>> print(sorted_imports(["from torch import nn", "import torch", "import math", "from torch import Tensor"]))
    import math
    <BLANKLINE>
    import torch
    from torch import Tensor, nn
    """
    plain, named = set[str](), defaultdict[str, set[str]](set)
    for statement in statements:
        words = statement.split()
        if words[0] == "import":
            plain.add(statement)
        else:
            named[words[1]].add(" ".join(words[3:]))
    lines = sorted(plain) + [f"from {module} import {', '.join(sorted(named[module]))}" for module in sorted(named)]
    ours = [line for line in lines if _root(line) in sys.stdlib_module_names]
    return "\n".join([*ours, "", *(line for line in lines if line not in ours)])


def _root(statement: str) -> str:
    return statement.split()[1].split(".")[0]
