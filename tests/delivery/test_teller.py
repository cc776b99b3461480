"""Who is told of a training: after each epoch, now and then within one, and how long the rest takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autokd.delivery.teller import Listeners, Teller
from autokd.search.request import Progress


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_time_left_is_that_of_the_latest_epochs_of_this_process() -> None:
    clock, lines = Clock(), list[Mapping[str, Any]]()
    said: list[Progress] = []
    teller = Teller(Listeners(on_epoch=lines.append, notify=said.append), 10, "accuracy", 2, clock)
    for now, epoch in ((0.4, 0), (2.0, 0), (2.5, 0), (4.0, 3), (6.0, 4), (7.0, 0), (8.0, 0)):
        clock.now = now
        if epoch:
            teller.epoch({"epoch": epoch, "loss": 0.5, "score": 0.9})
        else:
            teller.alive()
    assert [(at.done, at.total, at.note.partition(",")[0], at.left) for at in said] == [
        (2, 10, "epoch 3", None),  # not at once, and not twice within a second
        (3, 10, "loss 0.500", 4.0 * 7),
        (4, 10, "loss 0.500", 3.0 * 6),
        (4, 10, "loss 0.500", 3.0 * 6 - 1),
        (4, 10, "loss 0.500", 3.0 * 6 - 2),
    ]
    assert [(line["epochs"], line["objective"], line["seconds_left"]) for line in lines] == [
        (10, "accuracy", 28.0),
        (10, "accuracy", 18.0),
    ]
