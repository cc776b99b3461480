"""Pictures that hold nothing, and those that are nearly copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from autokd import data
from autokd.errors import DataError
from autokd.modalities.likeness import near_copies, said_of_sameness


def noise(n: int, channels: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (n, channels, 6, 6), generator=torch.Generator().manual_seed(n), dtype=torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_one_colour_and_classes_of_one_picture(channels: int) -> None:
    images, labels = noise(12, channels), np.array([0, 1, 2] * 4)
    assert said_of_sameness(images, labels, ("a", "b", "c")) == []
    images[0], images[4] = 0, torch.arange(channels, dtype=torch.uint8)[:, None, None]
    assert said_of_sameness(images, labels, ("a", "b", "c")) == [
        "2 of 12 pictures are of one single colour; look at them"
    ]
    images[0] = images[3] = images[6] = images[9] = noise(1, channels)[0]
    assert said_of_sameness(images, labels, ("a", "b", "c")) == [
        "1 of 12 pictures are of one single colour; look at them",
        "all pictures of 'a' are the same; look at them",
    ]
    images[:] = images[:1]
    with pytest.raises(DataError, match="all 12 pictures are the same once they are read, so nothing tells 'a' from"):
        said_of_sameness(images, labels, ("a", "b", "c"))


def test_it_is_said_of_arrays_too(caplog: pytest.LogCaptureFixture) -> None:
    images = noise(30)
    images[::2] = 7
    dataset = data.load((images, [0, 1] * 15))
    assert dataset.card["remarks"] == [
        "15 of 30 pictures are of one single colour; look at them",
        "all pictures of '0' are the same; look at them",
    ]
    assert "15 of 30 pictures are of one single colour" in caplog.text


def families(noise: float, copies: int = 12, people: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Noisy copies of one random picture a person, in random order, with a random class a person."""
    rng = np.random.default_rng(0)
    base = np.repeat(rng.integers(0, 256, (people, 1, 16, 16)), copies, axis=0)
    order = rng.permutation(len(base))
    images = (base + rng.normal(0, noise, base.shape)).clip(0, 255).astype(np.uint8)[order]
    return torch.from_numpy(images), torch.from_numpy(np.repeat(np.arange(people) % 2, copies)[order])


@pytest.mark.parametrize("noise", [2, 10, 20])
def test_copies_with_noise_are_found(noise: float) -> None:
    images, labels = families(noise)
    count, looked = near_copies(images[:60], labels[:60], images[60:], labels[60:])
    assert looked == 60 and count >= 50


def test_copies_that_were_saved_again_are_found_among_others() -> None:
    images = torch.randint(0, 256, (200, 3, 20, 20), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    labels = torch.arange(200) % 2
    held, train = images[:50].clone(), images[50:]
    assert near_copies(held, labels[:50], train, labels[50:]) == (0, 50)
    held[:5] = (train[:5].float() * 0.9 + 12).round().to(torch.uint8)  # other brightness and contrast
    held[5:8] = train[5:8]  # exact copies are counted elsewhere
    assert near_copies(held, labels[:50], train, labels[50:]) == (5, 50)


def test_digits_are_no_copies_of_one_another() -> None:
    assert "nearly_in_train" in data.load("digits").card and not data.load("digits").card["nearly_in_train"]


def test_copies_across_splits_are_said(caplog: pytest.LogCaptureFixture) -> None:
    images, labels = families(10)
    dataset = data.load((images.numpy()[:, 0], labels.numpy()))
    assert dataset.card["nearly_in_train"] == {"validation": "38 of 38", "test": "48 of 48"}
    assert "48 of 48 test samples that were looked at are nearly copies of training samples; where" in caplog.text
