"""A stack: several models of one form as one model, whose weights have one leading axis more.

All weights of a model are one row of one tensor, so what is done to each weight of each model (an optimiser's step, a
norm) is done to the whole stack at once. The number of slots never changes, and with it no shape: what is computed in a
slot does not depend on what the other slots hold, bit for bit, nor on which slot it is.

Shapes: N slots, P weights of a model, with the padding between them.
"""

from collections.abc import Iterator
from copy import deepcopy
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from alchemy.models.transformer import Transformer

ALIGNED = 16  # each weight matrix begins at a multiple of so many numbers (64 bytes), whichever slot it is in


class Stack:
    """`slots` models of the form of `model`. Its own `model` is a Transformer that reads ids (N, B, T) and gives logits
    (N, B, T, V), those of each slot by that slot's weights. All slots begin with weights of zero.

    `weights` (N, P) is the memory of its parameters: what changes `weights` changes the model.

    >>> one = Transformer(vocabulary_size=34, context=24, layers=1, heads=1, width=8, positions="learned")
    >>> stack = Stack(one, slots=3)
    >>> stack.put(0, one)
    >>> logits = stack.model(torch.zeros(3, 5, 7, dtype=torch.int64))
    >>> logits.shape, bool(logits[1].any())
    (torch.Size([3, 5, 7, 34]), False)
    """

    def __init__(self, model: Transformer, slots: int) -> None:
        self.model, self.slots = deepcopy(model), slots
        self.shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
        self.places: dict[str, slice] = {}
        end = 0
        for name, shape in self.shapes.items():
            self.places[name] = slice(end, end + prod(shape))
            end += -(-prod(shape) // ALIGNED) * ALIGNED
        self.weights = torch.zeros(slots, end, device=model.tokens.weight.device)
        for name, shape in self.shapes.items():
            module, _, last = name.rpartition(".")
            weight = nn.Parameter(self.weights[:, self.places[name]].view(slots, *shape))
            setattr(self.model.get_submodule(module), last, weight)

    def named(self, row: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Yields the name of each weight, and its part of a row (P,), in its own shape and in the row's memory."""
        for name, shape in self.shapes.items():
            yield name, row[self.places[name]].view(shape)

    def gradients(self, loss: Tensor) -> Tensor:
        """The gradient of a loss with respect to `weights` (N, P)."""
        found = torch.autograd.grad(loss, [*self.model.parameters()])
        rows = [functional.pad(one.flatten(1), (0, -one[0].numel() % ALIGNED)) for one in found]
        return torch.cat(rows, dim=1)

    def put(self, slot: int, model: Transformer) -> None:
        """Copies the weights of a model of this form into a slot."""
        given = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in self.named(self.weights[slot]):
                weight.copy_(given[name])

    def take(self, slot: int, model: Transformer) -> None:
        """Copies the weights of a slot into a model of this form."""
        into = dict(model.named_parameters())
        with torch.no_grad():
            for name, weight in self.named(self.weights[slot]):
                into[name].copy_(weight)

    def clear(self, slot: int) -> None:
        """Sets the weights of a slot to zero."""
        self.weights[slot] = 0.0


def form_of(model: Transformer) -> tuple[object, ...]:
    """Everything about a model that those of one stack must share: its class, the shapes of its weights, its heads and
    context, the number format of its products, and its device.
    """
    shapes = tuple((name, tuple(weight.shape)) for name, weight in model.named_parameters())
    frozen = any(not weight.requires_grad for weight in model.parameters())
    where = str(model.tokens.weight.device)
    rotary = model.angles is not None
    return type(model), shapes, frozen, model.heads, model.context, rotary, model.precision, where
