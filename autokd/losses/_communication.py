"""Communication between teacher and student (Talking Models, Zhang et al. 2023, arXiv 2310.03188).

The paper names what is exchanged and its three losses, and the equations could not be read: those here are our reading.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import torch
from torch import Tensor, nn

from autokd.declarations import Loss, Scale
from autokd.errors import ComponentError
from autokd.losses.common import masked_mean, precise, real_tokens, teacher_of
from autokd.losses.pairing import offered
from autokd.losses.projectors import mlp
from autokd.ranges import Choice, Real
from autokd.types import BuildContext, Step, Term

Map = Callable[[Tensor], Tensor]


class Coders(NamedTuple):
    """What turns hidden states into messages and back.

    Args:
      student_encoder, student_decoder: the student's low state to a message, and back.
      teacher_encoder, teacher_decoder: the teacher's low state to a message, and back.
      reply_encoder: the teacher's high state to a message.
      reply_decoder: a message to the student's high state.
    """

    student_encoder: Map
    student_decoder: Map
    teacher_encoder: Map
    teacher_decoder: Map
    reply_encoder: Map
    reply_decoder: Map


class Exchange(NamedTuple):
    """The three losses, [B] each, mean squares.

    Args:
      interaction: of the answer, decoded, from the student's own high state.
      message: of the two networks' messages from each other.
      state: of each network's low state from what is decoded of its own message, added up.
    """

    interaction: Tensor
    message: Tensor
    state: Tensor


def communication(
    student_states: tuple[Tensor, Tensor],
    teacher_states: tuple[Tensor, Tensor],
    coders: Coders,
    *,
    mask: Tensor | None = None,
    rounds: int = 0,
    middle: Map | None = None,
) -> Exchange:
    """Losses of an exchange of messages between two networks' hidden states.

    With rounds the student's message is decoded to a low state of the teacher's, `middle` takes that to a high state,
    and the student decodes the reply to it; a further round starts from that answer. With none, the control that a gain
    is to be held against, the reply is to the teacher's own high state: the same coders, one way only.

    Args:
      student_states: low and high, [B, …, d] each; gradients reach both.
      teacher_states: low and high, [B, …, d'] each, with as many positions; no gradient reaches them.
      coders: learned.
      mask: [B, N] bool for states [B, N, d], false at tokens that only fill up a sample and do not count; None: all are
        real.
      rounds: of the exchange, >= 0; their interaction losses are averaged.
      middle: the teacher's layers between its low and its high state; frozen, and a gradient goes through it.

    Raises:
      ValueError: there are rounds and no `middle`.
    Source: Zhang et al. 2023 for the idea; the equations are this project's reading.
    """
    (low, high), (teacher_low, teacher_high) = student_states, (state.detach() for state in teacher_states)
    said, heard = coders.student_encoder(low), coders.teacher_encoder(teacher_low)
    again = _mean_square(coders.student_decoder(said), low.detach(), mask)
    state = again + _mean_square(coders.teacher_decoder(heard), teacher_low, mask)
    answers = _answers(said, teacher_high, coders, rounds, middle)
    interaction = torch.stack([_mean_square(answer, high, mask) for answer in answers]).mean(0)
    return Exchange(interaction, _mean_square(said, heard, mask), state)


def _answers(said: Tensor, teacher_high: Tensor, coders: Coders, rounds: int, middle: Map | None) -> list[Tensor]:
    if rounds == 0:
        return [coders.reply_decoder(coders.reply_encoder(teacher_high))]
    if middle is None:
        raise ValueError("rounds of communication go through the teacher's middle layers, and none were given")
    answers: list[Tensor] = []
    for _ in range(rounds):
        message = coders.student_encoder(answers[-1]) if answers else said
        answers.append(coders.reply_decoder(coders.reply_encoder(middle(coders.teacher_decoder(message)))))
    return answers


def _mean_square(a: Tensor, b: Tensor, mask: Tensor | None) -> Tensor:
    return masked_mean((a - b).square(), mask)


class CommunicationTerm(nn.Module):
    """The weighted losses between two layers of each network, with coders that train along.

    Args:
      layers: (low, high) layer of the student, and of the teacher.
      student_widths, teacher_widths: of the states there.
      component: width of the messages, weights beside the interaction loss at 1, and rounds.
      middle: as in `communication`; it is no part of the module.
    """

    def __init__(
        self,
        layers: tuple[tuple[int, int], tuple[int, int]],
        student_widths: tuple[int, int],
        teacher_widths: tuple[int, int],
        component: Communication,
        middle: Map | None,
    ) -> None:
        super().__init__()
        width = component.width
        (student_low, student_high), (teacher_low, teacher_high) = student_widths, teacher_widths
        self.student_layers, self.teacher_layers = layers
        self.component = component
        self._middle = (middle,)  # in a tuple, so that its parameters are neither trained nor saved here
        self.student_encoder, self.student_decoder = mlp(student_low, width, width), mlp(width, width, student_low)
        self.teacher_encoder, self.teacher_decoder = mlp(teacher_low, width, width), mlp(width, width, teacher_low)
        self.reply_encoder, self.reply_decoder = mlp(teacher_high, width, width), mlp(width, width, student_high)

    def forward(self, step: Step) -> Tensor:
        """Return the loss on a step, [B]."""
        student, teacher = step.student.tokens, teacher_of(step).tokens
        coders = Coders(*(getattr(self, name) for name in Coders._fields))
        exchange = communication(
            (precise(student[self.student_layers[0]]), precise(student[self.student_layers[1]])),
            (precise(teacher[self.teacher_layers[0]]), precise(teacher[self.teacher_layers[1]])),
            coders,
            mask=real_tokens(step),
            rounds=self.component.rounds,
            middle=self._middle[0],
        )
        message_weight, state_weight = self.component.message_weight, self.component.state_weight
        return exchange.interaction + message_weight * exchange.message + state_weight * exchange.state


@dataclass(frozen=True, kw_only=True)
class Communication:
    """Teacher and student exchange messages in a shared space, through learned coders, about their hidden states.

    Without rounds it is the one-way control: the teacher speaks, the student listens. Rounds need the teacher's middle
    layers as a callable, from tokens of its low layer to tokens of its last, as the build context's artefact.

    Raises:
      ValueError: `message_weight` without `state_weight`: messages of zeros would agree best.
    """

    declares = Loss(
        teacher="live",
        reads={"tokens"},
        student_reads={"tokens"},
        scale=Scale(1.0, "none is published; mean squares of hidden states are of the order of 1"),
        cost=1.2,
    )

    weight: Annotated[float, Real(0.1, 10.0, log=True)] = 1.0  # relative to the method's own scale
    message_weight: Annotated[float, Real(0.01, 3.0, log=True)] = 0.1  # of the messages' agreement
    state_weight: Annotated[float, Real(0.01, 3.0, log=True)] = 0.1  # of decoding one's own message
    low: Annotated[float, Choice(0.0, 0.5)] = 0.5  # relative depth of the layer that messages are about
    width: Annotated[int, Choice(32, 64, 128, 256)] = 64  # of the messages
    rounds: int = 0  # of the exchange, at most 2 are of use; 0 is the one-way control

    def __post_init__(self) -> None:
        if self.message_weight > 0 and self.state_weight <= 0:
            raise ValueError(f"message_weight {self.message_weight} needs a state_weight above 0: zeros agree best")

    def build(self, context: BuildContext) -> Term:
        """Return the loss on a step, [B], as a module whose coders train along.

        Raises:
          ComponentError: a network offers tokens of fewer than two layers, the numbers of tokens differ, or there are
            rounds and the context has no middle of the teacher.
        """
        student, teacher = (shapes.tokens for shapes in offered(context, "communication", "tokens"))
        if len({shape[0] for shape in (*student, *teacher)}) > 1 or min(len(student), len(teacher)) < 2:
            raise ComponentError(
                "loss 'communication' needs tokens of two layers or more of each network, all equally many; "
                f"the student offers {student}, the teacher {teacher} (tokens, width)"
            )
        if self.rounds > 0 and context.artefact is None:
            raise ComponentError(
                f"loss 'communication' with rounds {self.rounds} needs the teacher's middle layers, which this teacher "
                "does not offer; use rounds: 0"
            )
        layers = self._layers(len(student)), self._layers(len(teacher))
        return CommunicationTerm(
            layers,
            _widths(student, layers[0]),
            _widths(teacher, layers[1]),
            self,
            context.artefact,
        )

    def _layers(self, count: int) -> tuple[int, int]:
        return int(self.low * (count - 1)), count - 1


def _widths(shapes: tuple[Any, ...], layers: tuple[int, int]) -> tuple[int, int]:
    return shapes[layers[0]][1], shapes[layers[1]][1]
