"""The loss of attention transfer as a proxy: whether an untrained student looks at the same places as the teacher.

Source: the "KD-based zero proxies" that DisWOT is compared with (Dong et al., CVPR 2023, arXiv 2303.15678), here the
loss of Zagoruyko and Komodakis, ICLR 2017, arXiv 1612.03928, on the last maps.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from autokd import declarations
from autokd.errors import ComponentError
from autokd.proxies.resemblance import answers, check_offers
from autokd.proxies.untrained import last_feature
from autokd.types import IMAGE, BuildContext, Proxy, ScreenInput


def attention_distance(teacher_features: Tensor, student_features: Tensor) -> Tensor:
    """Return the mean squared distance of the maps of mean squared activation, each scaled to unit length.

    Args:
      teacher_features, student_features: [B, c, h, w]; the larger map is averaged down to the size of the smaller.
    Raises:
      ComponentError: a map has a single pixel, and so nowhere to look.
    """
    maps = [features.square().mean(1, keepdim=True) for features in (teacher_features, student_features)]
    size = (min(each.shape[2] for each in maps), min(each.shape[3] for each in maps))
    if size == (1, 1):
        raise ComponentError("at_zero compares where in a map activation is; the last map has a single pixel")
    teacher, student = (functional.normalize(functional.adaptive_avg_pool2d(each, size).flatten(1)) for each in maps)
    return (teacher - student).square().sum(1).mean()


@dataclass(frozen=True, kw_only=True)
class ATZero:
    """The negative loss of attention transfer on the last maps, before any training.

    Raises:
      ComponentError: there is no teacher, or teacher or student offer no maps of more than a pixel.
    """

    declares = declarations.Proxy(modalities=IMAGE, needs_teacher=True, higher_is_better=True, unit="negative distance")

    def build(self, context: BuildContext) -> Proxy:
        """Return a score; see the class."""
        check_offers(context.teacher)
        return _score


def _score(screen: ScreenInput) -> float:
    both = answers(screen)
    maps = [last_feature(output, whose) for output, whose in zip(both, ("teacher", "student"), strict=True)]
    if any(each.ndim != 4 for each in maps):
        raise ComponentError("at_zero compares maps [B, c, h, w]; teacher or student offer features of another form")
    return -float(attention_distance(*maps))
