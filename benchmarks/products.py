"""Nothing but the matrix products of a training step, of the same shapes: the limit of whatever computes with them."""

import torch

from benchmarks.contender import Once, Work
from benchmarks.rows import BATCH, world

WIDTH, LAYERS = 32, 4


def products(tokens: int, symbols: int) -> Once:
    """Forward, and for the gradients of inputs and weights."""
    M = BATCH * tokens
    sizes = [(WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)] * LAYERS + [(WIDTH, symbols)]
    work = [(torch.randn(M, n), torch.randn(m, n), torch.randn(M, m)) for n, m in sizes]

    @torch.inference_mode()
    def once() -> int:
        for inputs, weights, outputs in work:
            torch.mm(inputs, weights.T)
            torch.mm(outputs, weights)
            torch.mm(outputs.T, inputs)
        return BATCH

    return once


WORKS: dict[str, Work] = {
    "training step, 18 tokens": lambda: products(18, len(world().vocabulary)),
    "training step, 31 tokens": lambda: products(30, 298),
}
