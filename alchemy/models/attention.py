"""Causal attention for short rows on a CPU, where PyTorch's own kernels take most of a training step.

PyTorch's kernels are made for long rows, and are slow for rows of a few dozen tokens with narrow heads. The kernel in
`attention_kernels` computes WIDE rows at once, so that every inner loop is one vector instruction over rows. All other
input (other devices and number formats, long rows, wide heads, several threads) goes to PyTorch's
scaled_dot_product_attention, with which the tests compare the kernel.

Shapes: B rows, T tokens, H heads, E width of a head.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from alchemy.models import attention_kernels as kernels

LONGEST, WIDEST, FEWEST = 64, 16, 32  # most tokens, widest head, fewest rows: where the kernel is faster


def attend(mixed: Tensor) -> Tensor:
    """The result of causal attention (B, T, H, E): what each token reads from itself and the tokens before it. `mixed`
    (B, T, 3, H, E) holds queries, keys and values.
    """
    if torch.compiler.is_compiling():
        return as_products(mixed)
    if fits(mixed):
        return Short.apply(mixed)  # type: ignore[no-untyped-call]
    queries, keys, values = mixed.permute(2, 0, 3, 1, 4)
    return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True).transpose(1, 2)


def as_products(mixed: Tensor) -> Tensor:
    """The same as plain products, which a compiler joins into few kernels: on a GPU, of short rows, faster than any
    kernel that is made for attention.
    """
    T, E = mixed.shape[1], mixed.shape[-1]
    queries, keys, values = mixed.permute(2, 0, 3, 1, 4)  # (B, H, T, E)
    later = torch.ones(T, T, dtype=torch.bool, device=mixed.device).triu(1)
    scores = (queries @ keys.mT / E**0.5).masked_fill(later, -torch.inf)
    return (scores.softmax(dim=-1) @ values).transpose(1, 2)


def fits(mixed: Tensor) -> bool:
    """Whether the compiled kernel can take `mixed`, and is likely to be faster than PyTorch's."""
    B, T, _, _, E = mixed.shape
    suited = B >= FEWEST and T <= LONGEST and E <= WIDEST and E % 4 == 0 and torch.get_num_threads() == 1
    return suited and mixed.device.type == "cpu" and mixed.dtype == torch.float32


class Short(torch.autograd.Function):
    """The compiled kernel for short rows, with its gradient, as an operation of PyTorch."""

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
