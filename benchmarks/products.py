"""Contender: only the matrix products of a training step with the loss on all tokens, in the same shapes.

No training that computes them can be quicker.
"""

import torch

from alchemy.models.decoding import own_tokens
from benchmarks.contender import Once, Work
from benchmarks.rows import BATCH, STEPS, default, tested


def products(tokens: str) -> Once:
    """Returns the products with every weight matrix: forward, and for the gradients of inputs and of weights."""
    model = default(tokens).model
    rows = BATCH * (own_tokens(model, tested("in distribution", 1)).tokens.shape[1] - 1)
    matrices = {name: weights for name, weights in model.named_parameters() if weights.ndim == 2}
    matrices.pop("places.weight")  # looked up, not multiplied
    work = [
        (torch.randn(rows, m.shape[1]), torch.randn(m.shape), torch.randn(rows, m.shape[0])) for m in matrices.values()
    ]

    @torch.inference_mode()
    def once() -> int:
        for inputs, weights, outputs in work:
            torch.mm(inputs, weights.T)
            torch.mm(outputs, weights)
            torch.mm(outputs.T, inputs)
        return BATCH

    return once


WORKS: dict[str, Work] = {
    work: lambda tokens=tokens: products(tokens)  # type: ignore[misc]
    for work, tokens in STEPS.items()
}
