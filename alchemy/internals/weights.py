"""Where a change of the weights lies: parts of a trained model are set back to its base, or grafted onto it.

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
HALVES = 3  # random halves, with which lower and upper are compared


class Portion(NamedTuple):
    """The name of a set of a model's weights. `weights` is layer (the one numbered `layer`, from 0), lower or upper
    (halves of the layers), outside (of the layers), random (a random half of the layers, numbered `draw`), or all.
    """

    weights: str
    layer: int | str = "-"
    draw: int | str = "-"


def layer_of(name: str) -> int | None:
    """The number of the layer that a weight belongs to, by its name; None outside the layers."""
    words = name.split(".")
    return int(words[1]) if words[0] == "blocks" else None


def parts(model: Transformer, rng: np.random.Generator) -> dict[Portion, frozenset[str]]:
    """The names of weights in each portion: each layer, both halves of the layers, everything outside them, HALVES
    random halves of the layers' matrices, and all weights. Raises ValueError where no choice of matrices is about a
    half.

    >>> from alchemy.models import Transformer
    >>> model = Transformer(vocabulary_size=34, context=24, layers=2, heads=2, width=8, positions="learned")
    >>> [portion.weights for portion in parts(model, np.random.default_rng(0))]
    ['layer', 'layer', 'lower', 'upper', 'outside', 'random', 'random', 'random', 'all']
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
    """A copy of `trained` in which the weights named in `part` are moved towards those of `base` by `share` of the
    difference. At a share of 1 they are those of `base`, bit for bit.
    """
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
    """The relative change |dW| / |W|, in Frobenius norms, of all weights and of each layer.

    >>> change({"norm.weight": torch.tensor([3.0, 4.0])}, {"norm.weight": torch.tensor([3.0, 5.0])})
    {Portion(weights='all', layer='-', draw='-'): 0.2}
    """
    squares: dict[Portion, list[float]] = {}
    for name, before in base.items():
        layer = layer_of(name)
        for part in (Portion("all"), *([] if layer is None else [Portion("layer", layer)])):
            moved, whole = squares.setdefault(part, [0.0, 0.0])
            moved += float((trained[name] - before).double().square().sum())
            squares[part] = [moved, whole + float(before.double().square().sum())]
    return {part: (moved / whole) ** 0.5 for part, (moved, whole) in squares.items()}


def changed(base: Weights, trained: Weights) -> float:
    """The share of all weights that differ after both models are rounded to bfloat16, to 8 significant bits.

    In float32 any training changes every weight that has a gradient, if only by a millionth. After rounding, a weight
    that changes by 0.8 % or more always differs; a smaller change does so the more likely, the larger it is.

    >>> changed({"norm.weight": torch.tensor([3.0, 4.0])}, {"norm.weight": torch.tensor([3.000001, 5.0])})
    0.5
    """
    moved = [(trained[name].bfloat16() != before.bfloat16()).sum().item() for name, before in base.items()]
    return sum(moved) / sum(before.numel() for before in base.values())
