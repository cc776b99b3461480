"""Multiply-accumulates are those that PyTorch's own counter finds, on shapes too, with fewer steps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from autokd.networks.counting import counting


class Everything(nn.Module):
    """Operations with and without a shortcut, among them those that only look like the ones with one."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3, 2, 1, dilation=2, groups=1)
        self.grouped = nn.Conv2d(8, 8, (3, 5), (1, 2), (1, 2), groups=4, bias=False)
        self.same = nn.Conv2d(8, 8, 3, padding="same")
        self.mirrored = nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect")
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.norms = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.GroupNorm(2, 8), nn.Hardswish())
        self.tokens = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 8), nn.GELU())
        self.line = nn.Conv1d(8, 6, 3)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms(self.plain(x))
        x = x + self.mirrored(self.same(x))
        x += x.mean((2, 3), keepdim=True)  # of another shape
        x = self.up(self.grouped(x) + 1)
        tokens = self.tokens(x.flatten(2).transpose(1, 2))
        tokens = self.line(tokens.transpose(1, 2)).transpose(1, 2)
        attended = F.scaled_dot_product_attention(tokens, tokens, tokens) + self.attention(tokens, tokens, tokens)[0]
        return attended @ torch.add(tokens, tokens).transpose(1, 2)


@torch.no_grad()
def test_multiply_accumulates_are_those_that_pytorchs_own_counter_finds_on_shapes() -> None:
    network, x = Everything().eval(), torch.randn(2, 3, 15, 18)
    expected, shape = network(x), x.to("meta")
    network.to("meta")
    with FlopCounterMode(display=False) as own:
        network(shape)
    with counting() as counter:
        result = network(shape)
    assert counter.macs == own.get_total_flops() // 2 > 0
    assert result.shape == expected.shape


def test_real_tensors_are_computed_with() -> None:
    with counting():
        assert torch.equal(F.relu(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))
