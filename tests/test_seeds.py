"""Seeds depend on what they are for, and on nothing else."""

from __future__ import annotations

import pytest
import torch

from autokd.seeds import derive, generator, seed_torch


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


@pytest.mark.parametrize("there", [False, True])
def test_torch_is_seeded_as_by_itself_and_devices_that_are_missing_are_not_asked(
    there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    for device, function in ((torch.cuda, "manual_seed_all"), (torch.mps, "manual_seed")):
        monkeypatch.setattr(device, function, asked.append)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(2**63 - 1)
        expected = torch.get_rng_state()
        torch.rand(3)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)
        seed_torch(2**63 - 1)
        assert torch.equal(torch.get_rng_state(), expected)
    assert asked == [2**63 - 1] * 2 * there
