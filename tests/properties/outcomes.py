"""What came of made-up inputs: read as they were written, or refused in one clear line; nothing else is allowed."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from autokd.errors import UserError


class Outcomes:
    """Counts what was read and what was refused, so that a reader that refuses everything does not pass.

    Args:
      refused: the largest share that may be refused.
    """

    def __init__(self, refused: float = 0.0) -> None:
        self.refused = refused
        self.counts: Counter[str] = Counter()
        self.messages: Counter[str] = Counter()

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """Run one case: what it raises must be an error of the user's, of one line."""
        try:
            yield
        except UserError as error:
            assert "\n" not in str(error) and str(error).strip(), "an error of several lines, or of none"
            self.counts["refused"] += 1
            self.messages[str(error)[:160]] += 1
        else:
            self.counts["read"] += 1

    def check(self) -> None:
        """Check that enough was read."""
        total = self.counts.total()
        assert self.counts["refused"] <= self.refused * total, (self.counts, self.messages.most_common(5))
