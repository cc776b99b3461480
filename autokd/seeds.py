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
    """
    text = json.dumps([seed, *labels])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: str | int) -> torch.Generator:
    """Return a CPU generator seeded by `derive(seed, *labels)`."""
    return torch.Generator().manual_seed(derive(seed, *labels))
