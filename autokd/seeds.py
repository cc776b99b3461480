"""Counter-based seeds: every random decision has a seed that depends on what it is for, never on what ran before."""

from __future__ import annotations

import hashlib
import json

import torch


def derive(seed: int, *labels: str | int) -> int:
    """Return a seed in [0, 2**63) for one purpose.

    Args:
      seed: the parent seed.
      labels: what the seed is for, for instance ("trial", 7, "init").
    Example:
      >>> derive(0, "views")
      4571239846658420536
      >>> derive(0, "views", 1) == derive(0, "views", 2)
      False
    """
    text = json.dumps([seed, *labels])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: str | int) -> torch.Generator:
    """Return a CPU generator seeded by `derive(seed, *labels)`.

    Example:
      >>> first, again = (torch.rand(2, generator=generator(0, "order", 1)) for _ in range(2))
      >>> torch.equal(first, again)
      True
    """
    return torch.Generator().manual_seed(derive(seed, *labels))


def seed_torch(seed: int) -> None:
    """Seed what torch draws from where it is given no generator, as `torch.manual_seed` does, on the devices there are.

    `torch.manual_seed` notes for each kind of device that has not been used, or is missing, who asked: that takes
    milliseconds, each time.

    Args:
      seed: any integer of 64 bits.
    """
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
