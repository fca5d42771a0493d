"""Which weights of a model are trained: all, one half of its layers, a random half, low-rank changes, or a vector a
layer.

An adapter takes the place of an nn.Linear and has further weights, so that the model, its cache, copies and saved
states work as before. It changes nothing until it is trained, and `merge` folds it into a plain layer.

Shapes: L layers, D width, I numbers into a matrix, O out of it, R rank.
"""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alchemy.models.layers import Linear
from alchemy.models.transformer import Transformer

Which = Literal["all", "lower", "upper", "random", "low_rank", "vectors"]
TOLERANCE = 0.1  # the most that a random half may differ from half the layers' weights, as a share of that half
TRIES = 1000


class Adapter(nn.Linear):
    """A linear layer with its own weights, which stay frozen, and further weights that are trained."""

    def __init__(self, linear: nn.Linear) -> None:
        nn.Module.__init__(self)  # not nn.Linear's, which would draw weights from the global generator
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias

    def learns(self) -> list[nn.Parameter]:
        """The weights that are trained."""
        raise NotImplementedError

    def merged(self) -> nn.Linear:
        """A plain linear layer that computes the same."""
        raise NotImplementedError


class LowRank(Adapter):
    """A linear layer with the matrix W + `up` `down`. `down` (R, I) is normal and `up` (O, R) zero before training.
    Source: LoRA, arXiv:2106.09685.
    """

    def __init__(self, linear: nn.Linear, rank: int, rng: np.random.Generator) -> None:
        super().__init__(linear)
        down = rng.normal(0.0, self.in_features**-0.5, (rank, self.in_features))  # inputs of size 1 stay of size 1
        self.down = nn.Parameter(torch.from_numpy(down).to(linear.weight))
        self.up = nn.Parameter(linear.weight.new_zeros(self.out_features, rank))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Linear's name
        return super().forward(input) + functional.linear(functional.linear(input, self.down), self.up)

    def learns(self) -> list[nn.Parameter]:
        return [self.down, self.up]

    def merged(self) -> nn.Linear:
        return plain(self.weight + self.up @ self.down, self.bias)


class Steered(Adapter):
    """A linear layer whose output has a `vector` (D,) added to it, which is zero before training. In place of the last
    matrix of a layer, it adds the vector to the layer's output.

    Source: arXiv:2505.18706.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self.vector = nn.Parameter(linear.weight.new_zeros(self.out_features))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Linear's name
        return super().forward(input) + self.vector

    def learns(self) -> list[nn.Parameter]:
        return [self.vector]

    def merged(self) -> nn.Linear:
        if self.bias is None:
            raise ValueError("a model without biases has nothing to fold its vectors into: use it unmerged")
        return plain(self.weight, self.bias + self.vector)


def plain(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A linear layer with this weight and bias. No random numbers are drawn."""
    linear = Linear(weight.shape[1], weight.shape[0], bias is not None, device="meta")  # draws no weights
    linear.weight = nn.Parameter(weight.detach())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach())
    return linear


def choose_trainable(model: Transformer, which: Which, rng: np.random.Generator, rank: int = 8) -> list[nn.Parameter]:
    """Makes only the weights named by `which` trainable, freezes all others in place, and returns the trainable ones.

    all: every weight. lower, upper: all weights of one of the `halves_of` the layers. random: whole weight matrices of
    the layers, drawn by `rng`, within 10 % of half the layers' weights. low_rank: adapters of `rank` on every matrix of
    the layers. vectors: one vector added to each layer's output. Except for `all`, embeddings, head and last norm are
    frozen. Raises ValueError where there is no such half, where `rank` is below 1, or where the model already has
    adapters.

    >>> model = Transformer(vocabulary_size=34, context=24, layers=2, heads=2, width=8, positions="learned")
    >>> [tuple(weights.shape) for weights in choose_trainable(model, "vectors", np.random.default_rng(0))]
    [(8,), (8,)]
    """
    check(model, which, rank)
    lower, upper = halves_of(len(model.blocks))
    chosen: list[nn.Parameter]
    match which:
        case "all":
            chosen = list(model.parameters())
        case "lower":
            chosen = list(model.blocks[lower.start : lower.stop].parameters())
        case "upper":
            chosen = list(model.blocks[upper.start : upper.stop].parameters())
        case "random":
            chosen = random_half(model, rng)
        case "low_rank":
            chosen = adapt(model, {linear: LowRank(linear, rank, rng) for _, _, linear in matrices(model)})
        case "vectors":
            chosen = adapt(model, {last: Steered(last) for _, name, last in matrices(model) if name == "feed_out"})
    for weights in model.parameters():
        weights.requires_grad_(False)
        weights.grad = None  # an optimiser would still apply it, and decay with it
    for weights in chosen:
        weights.requires_grad_(True)
    return chosen


def check(model: Transformer, which: Which, rank: int) -> None:
    """Raises ValueError for arguments that `choose_trainable` cannot follow."""
    if which not in get_args(Which):
        raise ValueError(f"trainable={which} is unknown: use {', '.join(get_args(Which))}")
    if any(isinstance(linear, Adapter) for _, _, linear in matrices(model)):
        raise ValueError(f"this model has adapters, and trainable={which} would train beside them: merge(model) first")
    if which == "low_rank" and rank < 1:
        raise ValueError(f"trainable.rank={rank} is too small: set it to 1 or more")
    if which in ("lower", "upper", "random") and len(model.blocks) < 2:
        raise ValueError(f"trainable={which} needs two layers or more: raise model.layers={len(model.blocks)}")


def merge(model: Transformer) -> None:
    """Folds every adapter into its layer, in place. The result is a plain model with the names of its weights as
    before, all of them trainable.

    Raises ValueError, before anything is changed, for vectors in a model without biases.
    """
    folded = [
        (parent, name, linear.merged()) for parent, name, linear in matrices(model) if isinstance(linear, Adapter)
    ]
    for parent, name, linear in folded:
        setattr(parent, name, linear)
    model.requires_grad_(True)


def matrices(model: Transformer) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    """Yields every linear layer of the blocks in the order of the weights, with its parent module
    and its name there.
    """
    for parent in model.blocks.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.Linear):
                yield parent, name, child


def adapt(model: Transformer, adapters: dict[nn.Linear, Adapter]) -> list[nn.Parameter]:
    """Puts each adapter in the place of its layer, and returns the weights that are trained."""
    for parent, name, linear in list(matrices(model)):
        if linear in adapters:
            setattr(parent, name, adapters[linear])
    return [weights for adapter in adapters.values() for weights in adapter.learns()]


def halves_of(layers: int) -> tuple[range, range]:
    """The numbers of the lower and of the upper half of `layers` layers. The middle one of an odd number is in the
    upper.
    """
    return range(layers // 2), range(layers // 2, layers)


def random_half(model: Transformer, rng: np.random.Generator) -> list[nn.Parameter]:
    """Whole weight matrices of the layers, in random order, as many as come closest to half of the layers' weights. The
    order is drawn again until they are within TOLERANCE of the half. Raises ValueError if they never are.
    """
    weights = [linear.weight for _, _, linear in matrices(model)]
    sizes = np.array([matrix.numel() for matrix in weights])
    half = sum(matrix.numel() for matrix in model.blocks.parameters()) / 2
    for _ in range(TRIES):
        order = rng.permutation(len(weights))
        missed = np.abs(sizes[order].cumsum() - half)
        if missed.min() <= TOLERANCE * half:
            return [weights[i] for i in sorted(order[: int(missed.argmin()) + 1])]
    raise ValueError(
        f"no choice of weight matrices is within 10 % of half of model.layers={len(model.blocks)}: raise model.layers"
    )
