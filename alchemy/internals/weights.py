"""Where a change of the weights sits: parts of a trained model put back to its base, or grafted onto it.

Source: after weight restoration and model patching; the controls (random halves, interpolation) are the lab's own;
update sparsity after arXiv:2505.11711.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import NamedTuple

import numpy as np
import torch

from alchemy.models.trainable import halves_of, random_half
from alchemy.models.transformer import Transformer

Weights = Mapping[str, torch.Tensor]
HALVES = 3  # random halves that the named ones are held against


class Portion(NamedTuple):
    """Which of a model's weights: `weights` is layer (by its number, from 0), lower, upper (halves of the layers),
    outside (of the layers), random (a half drawn, by the number of the draw) or all.
    """

    weights: str
    layer: int | str = "-"
    draw: int | str = "-"


def layer_of(name: str) -> int | None:
    """The layer that a weight belongs to, None outside the layers."""
    words = name.split(".")
    return int(words[1]) if words[0] == "blocks" else None


def parts(model: Transformer, rng: np.random.Generator) -> dict[Portion, frozenset[str]]:
    """Names of weights by portion: each layer, both halves of the layers, everything outside them, random halves of the
    layers' matrices, and all. Raises ValueError where no choice of matrices is about a half.
    """
    names = list(model.state_dict())
    layers = len(model.blocks)
    inside = [name for name in names if layer_of(name) is not None]
    found = {Portion("layer", layer): {name for name in inside if layer_of(name) == layer} for layer in range(layers)}
    for half, its in zip(("lower", "upper"), halves_of(layers), strict=True):
        found[Portion(half)] = {name for name in inside if layer_of(name) in its}
    found[Portion("outside")] = set(names) - set(inside)
    name_of = {id(weights): name for name, weights in model.named_parameters()}
    for number in range(HALVES):
        found[Portion("random", draw=number)] = {name_of[id(weights)] for weights in random_half(model, rng)}
    found[Portion("all")] = set(names)
    return {portion: frozenset(some) for portion, some in found.items()}


def mixed(base: Transformer, trained: Transformer, part: frozenset[str], share: float = 1.0) -> Transformer:
    """A copy of `trained` whose weights in `part` are, by `share`, those of `base`: all of them at 1, bit for bit."""
    before, after = base.state_dict(), trained.state_dict()
    model = deepcopy(trained)
    model.load_state_dict(
        {
            name: value if name not in part else before[name] if share == 1 else torch.lerp(value, before[name], share)
            for name, value in after.items()
        }
    )
    return model


def change(base: Weights, trained: Weights) -> dict[Portion, float]:
    """|dW| / |W|, in Frobenius norms, of all weights and of each layer."""
    squares: dict[Portion, list[float]] = {}
    for name, before in base.items():
        layer = layer_of(name)
        for part in (Portion("all"), *([] if layer is None else [Portion("layer", layer)])):
            moved, whole = squares.setdefault(part, [0.0, 0.0])
            moved += float((trained[name] - before).double().square().sum())
            squares[part] = [moved, whole + float(before.double().square().sum())]
    return {part: (moved / whole) ** 0.5 for part, (moved, whole) in squares.items()}


def changed(base: Weights, trained: Weights) -> float:
    """The share of all weights that are others once both models are rounded to bfloat16, to 8 significant bits.

    At float32 every weight that has a gradient moves, if only by a millionth, so that any training would change all of
    them. Rounded, a weight counts for sure from a change of 0.8 % on, and for less the likelier the larger it is.
    """
    moved = [(trained[name].bfloat16() != before.bfloat16()).sum().item() for name, before in base.items()]
    return sum(moved) / sum(before.numel() for before in base.values())
