"""DiffKD: knowledge diffusion (Huang et al., NeurIPS 2023, arXiv 2305.15712)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.losses.common import precise, teacher_of
from autokd.losses.pairing import Match, match
from autokd.losses.projectors import BatchNorm, to_smaller
from autokd.ranges import Choice, Real
from autokd.types import IMAGE, BuildContext, Step, Term

_TIMES = 1000  # steps of the forward diffusion


def diffkd(
    refined: Tensor, latent: Tensor, predicted: Tensor, noise: Tensor, rebuilt: Tensor, teacher_map: Tensor
) -> Tensor:
    """Distance of the student's denoised features from the teacher's latent ones, and what trains denoiser and code.

    Args:
      refined, latent: [B, k, h, w], the student's features after denoising, and the teacher's latent ones, which no
        gradient reaches.
      predicted, noise: [B, k, h, w], what the denoiser takes for the noise in the teacher's latent features, and the
        true one.
      rebuilt, teacher_map: [B, c, h, w], the teacher's features decoded from the latent ones, and as they are; no
        gradient reaches the latter.
    Returns:
      [B], the sum of three mean squares.
    Source: Huang et al. 2023 and the authors' code, all weights 1.
    """
    pairs = ((refined, latent.detach()), (predicted, noise), (rebuilt, teacher_map.detach()))
    return torch.stack([(a - b).square().flatten(1).mean(-1) for a, b in pairs]).sum(0)


def denoise(x: Tensor, denoiser: Callable[[Tensor, Tensor], Tensor], kept: Tensor, *, steps: int) -> Tensor:
    """Denoise by deterministic DDIM steps, in the second half of a schedule of twice as many.

    Args:
      x: [B, …], taken to be as noisy as the first of the steps expects.
      denoiser: (x, time [1]) -> the noise in x.
      kept: [T], the share of signal variance at each time, falling.
      steps: number of steps.
    Source: Song et al., Denoising diffusion implicit models, ICLR 2021, arXiv 2010.02502, eq. 12 with sigma = 0.
    """
    stride = len(kept) // (2 * steps)
    for number in reversed(range(steps)):
        time = torch.full((1,), number * stride, device=x.device)
        now, later = kept[number * stride], kept[(number - 1) * stride] if number else kept.new_ones(())
        noise = denoiser(x, time)
        clean = (x - (1 - now).sqrt() * noise) / now.sqrt()
        x = later.sqrt() * clean + (1 - later).sqrt() * noise
    return x


def signal_kept() -> Tensor:
    """Return the share of signal variance at each of the times, [T]: noise rises linearly from 1e-4 to 0.02 a step."""
    return (1 - torch.linspace(1e-4, 0.02, _TIMES, dtype=torch.float64)).cumprod(0).float()


class Bottleneck(nn.Module):
    """Residual block of 1x1, 3x3 and 1x1 convolutions, with `reduction` times fewer channels within."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = max(channels // reduction, 1)
        self.block = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False),
            BatchNorm(inner),
            nn.ReLU(),
            nn.Conv2d(inner, inner, 3, padding=1, bias=False),
            BatchNorm(inner),
            nn.ReLU(),
            nn.Conv2d(inner, channels, 1, bias=False),
            BatchNorm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)  # type: ignore[no-any-return]


class Denoiser(nn.Module):
    """Predicts the noise in features of a given time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.time = nn.Embedding(_TIMES, channels)
        self.predict = nn.Sequential(
            Bottleneck(channels, 4),
            Bottleneck(channels, 4),
            nn.Conv2d(channels, channels, 1, bias=False),
            BatchNorm(channels),
        )

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.predict(x + self.time(time)[..., None, None])  # type: ignore[no-any-return]


class DiffusionStage(nn.Module):
    """The loss at one pair of stages, with all that it learns.

    Args:
      pair: the stages.
      share: channels of the latent features over those of the teacher's.
      steps: of denoising.
    """

    kept: Tensor

    def __init__(self, pair: Match, share: float, steps: int) -> None:
        super().__init__()
        self.pair, self.steps = pair, steps
        channels = pair.teacher_shape[0]
        width = max(round(share * channels), 1)
        self.encode = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), BatchNorm(width))
        self.decode = nn.Conv2d(width, channels, 1)
        self.enter = nn.Conv2d(pair.student_shape[0], width, 1)
        self.noisiness = Bottleneck(width, 8)
        self.mixture = nn.Linear(width, 2)
        self.denoiser = Denoiser(width)
        self.leave = nn.Conv2d(width, width, 1)
        self.register_buffer("kept", signal_kept(), persistent=False)

    def forward(self, step: Step) -> Tensor:
        """Return the loss at this pair of stages, [B]; draws noise from torch's default generator."""
        student, teacher = to_smaller(
            precise(step.student.features[self.pair.student]),
            precise(teacher_of(step).features[self.pair.teacher].detach()),
        )
        code = self.encode(teacher)
        latent = code.detach()
        noise = torch.randn_like(latent)
        time = torch.randint(0, _TIMES, (len(latent),), device=latent.device)
        kept = self.kept[time][:, None, None, None]
        predicted = self.denoiser(kept.sqrt() * latent + (1 - kept).sqrt() * noise, time)
        return diffkd(self._refined(student), latent, predicted, noise, self.decode(code), teacher)

    def _refined(self, student: Tensor) -> Tensor:
        """The student's features in the latent space, brought to the first step's noise, and denoised."""
        student = self.enter(student)
        share = self.mixture(self.noisiness(student).mean((2, 3))).softmax(-1)[:, :1, None, None]
        mixed = share * student + (1 - share) * torch.randn_like(student)
        return self.leave(denoise(mixed, self.denoiser, self.kept, steps=self.steps))  # type: ignore[no-any-return]


class DiffKDTerm(nn.Module):
    """The loss added up over pairs of stages."""

    def __init__(self, matches: tuple[Match, ...], share: float, steps: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(DiffusionStage(pair, share, steps) for pair in matches)

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        return torch.stack([stage(step) for stage in self.stages]).sum(0)


@dataclass(frozen=True, kw_only=True)
class DiffKD:
    """The student's features, taken for noisy ones, match the teacher's once a diffusion model of these denoised them.

    The part of the method on feature maps, with the network sizes of the released code. That code does the same once
    more on the logits, with a divergence in place of the square; a loss on logits beside this one takes its place.
    """

    declares = Loss(
        modalities=IMAGE,
        teacher="live",
        reads={"features"},
        student_reads={"features"},
        scale=Scale(1.0, "published: all weights 1"),
        cost=1.2,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    steps: Annotated[int, Choice(3, 5, 8)] = 5  # of denoising
    share: Annotated[float, Choice(0.25, 0.5, 1.0)] = 0.5  # channels of the latent features over the teacher's
    stages: Annotated[str, Choice("last", "skip", "all", "size")] = "last"  # which student stages learn from which

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module that trains along.

        Raises:
          ComponentError: a network offers no maps, or `stages` names one that is not there.
        """
        return DiffKDTerm(match(context, "diffkd", self.stages, maps=True), self.share, self.steps)
