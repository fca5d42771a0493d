"""Causal attention for short rows on a CPU, where PyTorch's own kernels spend most of a training step.

Rows of a few dozen tokens with heads of a few numbers are too small for kernels made for long rows. Here WIDE rows
are read side by side, so that every inner loop is one vector instruction over rows. Everything else (other devices,
number formats, long rows, wide heads, several threads) goes to PyTorch's scaled_dot_product_attention, which is the
oracle of the tests.

Shapes: B rows, T tokens, H heads, E width of a head.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alchemy.models import attention_kernels as kernels

LONGEST, WIDEST, FEWEST = 64, 16, 32  # tokens, width of a head, and rows from which on the kernel is the faster one


def attend(mixed: Tensor) -> Tensor:
    """(B, T, 3, H, E) queries, keys and values to what each token reads from itself and those before, (B, T, H, E)."""
    if fits(mixed):
        return Short.apply(mixed)  # type: ignore[no-untyped-call]
    queries, keys, values = mixed.permute(2, 0, 3, 1, 4)
    return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True).transpose(1, 2)


def fits(mixed: Tensor) -> bool:
    B, T, _, _, E = mixed.shape
    suited = B >= FEWEST and T <= LONGEST and E <= WIDEST and E % 4 == 0 and torch.get_num_threads() == 1
    return suited and mixed.device.type == "cpu" and mixed.dtype == torch.float32


class Short(torch.autograd.Function):
    """The compiled kernel and its gradient."""

    @staticmethod
    def forward(ctx: Any, mixed: Tensor) -> Tensor:
        B, T, _, H, E = mixed.shape
        mixed = mixed.contiguous()
        read = mixed.new_empty(B, T, H, E)
        weights = mixed.new_empty(-(-B // kernels.WIDE), H, T * (T + 1) // 2, kernels.WIDE)
        kernels.forward(mixed.detach().numpy(), read.numpy(), weights.numpy())
        ctx.save_for_backward(mixed, weights)
        return read

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        mixed, weights = ctx.saved_tensors
        found = torch.empty_like(mixed)
        kernels.backward(mixed.detach().numpy(), weights.numpy(), gradient.contiguous().numpy(), found.numpy())
        return found
