"""Layers whose weights are those of one model, or of a stack of models, with one leading axis more.

A stack of N models of one form is the same modules with stacked weights: it reads N batches at once, each by weights of
its own. Where there is no such axis, each layer is PyTorch's own.

Shapes: N models of a stack, D numbers in, K out, V symbols, T tokens. States are (..., D), or (N, ..., D) of a stack.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def product(states: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The states times `weight` (K, D), plus `bias` (K,), as (..., K); of a stack they are (N, K, D) and (N, K)."""
    if weight.dim() == 2:
        return functional.linear(states, weight, bias)
    rows = states.flatten(1, -2)
    read = rows @ weight.mT if bias is None else torch.baddbmm(bias[:, None], rows, weight.mT)
    return read.view(*states.shape[:-1], weight.shape[1])


def beside(weights: Tensor, states: Tensor) -> Tensor:
    """The weights (N, D) of a stack in a shape that goes with its states (N, ..., D)."""
    return weights.view(len(weights), *(1,) * (states.dim() - 2), weights.shape[-1])


class Linear(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Linear's name
        return product(input, self.weight, self.bias)


class LayerNorm(nn.LayerNorm):
    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.LayerNorm's name
        if self.weight.dim() == 1:
            return super().forward(input)
        plain = functional.layer_norm(input, self.normalized_shape, eps=self.eps)
        return plain * beside(self.weight, input) + beside(self.bias, input)


class RMSNorm(nn.RMSNorm):
    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dim() == 1:
            return super().forward(x)
        return functional.rms_norm(x, tuple(self.normalized_shape), eps=self.eps) * beside(self.weight, x)


class Embedding(nn.Embedding):
    """A table (V, D), or one of each model of a stack (N, V, D)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, nn.Embedding's name
        """The entries (..., D) of ids (...); of a stack, those of ids (N, ...)."""
        if self.weight.dim() == 2:
            return super().forward(input)
        N, V, _ = self.weight.shape
        if torch.compiler.is_compiling():  # a compiled lookup would sum its gradient in any order
            return product(functional.one_hot(input, V).to(self.weight.dtype), self.weight.mT)
        first = torch.arange(0, N * V, V, device=input.device).view(N, *(1,) * (input.dim() - 1))
        return functional.embedding(input + first, self.weight.flatten(0, 1))

    def at(self, places: slice | Tensor) -> Tensor:
        """The entries at `places`, a slice or ids (T,), as (T, D); of a stack as (N, 1, T, D)."""
        entries = self.weight[..., places, :]
        return entries if entries.dim() == 2 else entries[:, None]
