"""Seeds depend on what they are for, and on nothing else."""

from __future__ import annotations

import torch

from autokd.seeds import derive, generator


def test_a_seed_is_the_start_of_a_hash_of_its_purpose() -> None:
    """The first 8 bytes of SHA-256 of '[0, "views"]' and '[7, "trial", 3]', halved; from a shell, not from here."""
    assert derive(0, "views") == 4571239846658420536
    assert derive(7, "trial", 3) == 6417604856032330426


def test_every_purpose_has_its_own_seed_in_range() -> None:
    purposes = [
        (s, *labels) for s in (0, 1, 2**62) for labels in ((), ("a",), ("a", 1), ("a", "1"), ("a", 1, 0), (1, "a"))
    ]
    seeds = [derive(*purpose) for purpose in purposes]
    assert len(set(seeds)) == len(purposes) == 18
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_generator_is_the_callers_own_and_repeats() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = torch.rand(3, generator=generator(3, "order", 1))
    assert torch.equal(first, torch.rand(3, generator=generator(3, "order", 1)))
    assert not torch.equal(first, torch.rand(3, generator=generator(3, "order", 2)))
    assert torch.equal(torch.get_rng_state(), state)
