"""The transformer in the paper's two forms, with a cache for decoding.

Transformer is the GPT form: pre-norm blocks of causal attention and a feed-forward layer of four times the width, with
biases everywhere, one table for input and output embeddings, and a choice of positions. Llama has RMSNorm, rotary
positions, SwiGLU, no biases, and two tables. Source: arXiv:2508.01191, Table 8.

Shapes: B rows, T tokens, S tokens in the cache, H heads, E width of a head, D width, V symbols. In a stack of N models
(see `alchemy.models.stack`) N is in front of B, and attention takes N B rows at once.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from alchemy.data.tokenizer import Tokenizer
from alchemy.models.attention import attend
from alchemy.models.layers import Embedding, LayerNorm, Linear, RMSNorm, product

SPREAD = 0.02  # the standard deviation of fresh weights
EPSILON = 1e-6  # of RMSNorm
Positions = Literal["learned", "rotary", "both", "none"]
Precision = Literal["float32", "bfloat16"]


class Cache:
    """Keys and values of all tokens read so far, per layer. Rows can be dropped when they are finished.

    Tokens are the outer dimension, so that one new token reads all others in the order of memory. On a CPU that takes
    half the time of an attention kernel made for many queries.
    """

    def __init__(self, model: "Transformer", rows: int) -> None:
        shape = (len(model.blocks), 2, model.context, rows, model.heads, model.width // model.heads)
        self.states = torch.empty(shape, device=model.tokens.weight.device, dtype=model.tokens.weight.dtype)
        self.length = 0

    def here(self, tokens: int) -> slice | Tensor:
        """The places of so many tokens more."""
        assert self.length == 0 or tokens == 1, "a filled cache takes one token at a time"
        return slice(self.length, self.length + tokens)

    def advance(self, tokens: int) -> None:
        """Counts so many tokens as stored."""
        self.length += tokens

    def store(self, layer: int, mixed: Tensor) -> None:
        """Stores the keys and values of the newest tokens for `layer`, from `mixed` (B, T, 3, H, E)."""
        new = slice(self.length, self.length + mixed.shape[1])
        self.states[layer, :, new] = mixed[:, :, 1:].permute(2, 1, 0, 3, 4)

    def attend(self, layer: int, queries: Tensor) -> Tensor:
        """What the newest token reads from all tokens stored for `layer` (B, H, E), itself included, by its queries (B,
        H, E).
        """
        keys, values = self.states[layer, :, : self.length + 1]  # (S, B, H, E)
        scores = (keys * queries).sum(dim=-1) / queries.shape[-1] ** 0.5
        weights = scores.softmax(dim=0)
        return (values * weights[..., None]).sum(dim=0)

    def keep(self, rows: Tensor) -> None:
        """Drops all rows but those that `rows` (B,) marks."""
        kept = self.states[:, :, : self.length, rows]
        self.states = self.states.new_empty((*self.states.shape[:3], kept.shape[3], *self.states.shape[4:]))
        self.states[:, :, : self.length] = kept


class Block(nn.Module):
    """One layer: attention, then a feed-forward layer, each on the normalised residual stream and added back to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.width, self.heads = width, heads
        self.attention_norm: nn.Module = LayerNorm(width)
        self.attention_in = Linear(width, 3 * width)
        self.attention_out = Linear(width, width)
        self.feed_norm: nn.Module = LayerNorm(width)
        self.feed_in = Linear(width, 4 * width)
        self.feed_out = Linear(4 * width, width)

    def forward(self, residual: Tensor, layer: int, angles: Tensor | None, cache: Cache | None) -> Tensor:
        T, D = residual.shape[-2:]
        mixed = self.attention_in(self.attention_norm(residual)).view(-1, T, 3, self.heads, D // self.heads)
        if angles is not None:
            mixed = torch.cat([rotate(mixed[:, :, :2], angles[:, None, None]), mixed[:, :, 2:]], dim=2)
        if cache is not None:
            cache.store(layer, mixed)
        attended = cache.attend(layer, mixed[:, 0, 0]) if cache is not None and cache.length else attend(mixed)
        residual = residual + self.attention_out(attended.reshape(residual.shape))
        return residual + self.feed(self.feed_norm(residual))

    def feed(self, residual: Tensor) -> Tensor:
        return self.feed_out(functional.gelu(self.feed_in(residual)))


class LlamaBlock(Block):
    """One layer of the LLaMA form: without biases, with RMSNorm, and with SwiGLU of width `feed`."""

    def __init__(self, width: int, heads: int, feed: int) -> None:
        nn.Module.__init__(self)
        self.width, self.heads = width, heads
        self.attention_norm = RMSNorm(width, eps=EPSILON)
        self.attention_in = Linear(width, 3 * width, bias=False)
        self.attention_out = Linear(width, width, bias=False)
        self.feed_norm = RMSNorm(width, eps=EPSILON)
        self.feed_in = Linear(width, 2 * feed, bias=False)  # the gate, and what it lets through
        self.feed_out = Linear(feed, width, bias=False)

    def feed(self, residual: Tensor) -> Tensor:
        gate, value = self.feed_in(residual).chunk(2, dim=-1)
        return self.feed_out(functional.silu(gate) * value)


class Transformer(nn.Module):
    """A transformer of the GPT form, whose rows have at most `context` tokens. Called with ids (B, T), it returns
    logits (B, T, V). Raises ValueError where the sizes do not fit one another.

    >>> model = Transformer(vocabulary_size=34, context=24, layers=2, heads=2, width=8, positions="learned")
    >>> model(torch.zeros(1, 4, dtype=torch.int64)).shape
    torch.Size([1, 4, 34])
    """

    def __init__(
        self, vocabulary_size: int, context: int, layers: int, heads: int, width: int, positions: Positions
    ) -> None:
        super().__init__()
        for name, size in (("context", context), ("layers", layers), ("heads", heads), ("width", width)):
            if size < 1:
                raise ValueError(f"model.{name}={size} is too small: set it to 1 or more")
        if width % heads:
            raise ValueError(
                f"model.width={width} cannot be split among model.heads={heads}: "
                f"set model.width to a multiple of it, such as {width // heads * heads or heads}"
            )
        if positions not in get_args(Positions):
            raise ValueError(f"model.positions={positions} is unknown: use {', '.join(get_args(Positions))}")
        if positions in ("rotary", "both") and width // heads % 2:
            raise ValueError(
                f"model.positions={positions} turns pairs of numbers, and a head has {width // heads}: "
                f"set model.width to a multiple of {2 * heads}"
            )
        self.context, self.heads, self.width = context, heads, width
        self.spread = SPREAD
        self.tokenizer: Tokenizer | None = None  # for a model that reads subword tokens
        # of the products in the layers; weights, residual stream and logits are always float32
        self.precision: Precision = "float32"
        self.tokens = Embedding(vocabulary_size, width)
        self.places = Embedding(context, width) if positions in ("learned", "both") else None
        self.blocks = nn.ModuleList([self.block() for _ in range(layers)])
        self.norm: nn.Module = LayerNorm(width)
        self.angles: Tensor | None
        self.register_buffer(
            "angles",
            turning_angles(context, width // heads) if positions in ("rotary", "both") else None,
            persistent=False,
        )

    def block(self) -> Block:
        return Block(self.width, self.heads)

    def forward(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """The logits (B, T, V) of the token after each of `tokens` (B, T). With a cache, `tokens` follow those that it
        holds; once it holds any, they must come one at a time.
        """
        return self.logits(self.hidden(tokens, cache))

    def autocast(self) -> AbstractContextManager:
        """The context in which the layers are computed: with products in bfloat16 if `precision` is bfloat16."""
        if self.precision == "float32":
            return nullcontext()
        return torch.autocast(self.tokens.weight.device.type, torch.bfloat16)

    def hidden(self, tokens: Tensor, cache: Cache | None = None) -> Tensor:
        """The normalised residual stream (B, T, D), which `logits` reads, for ids (B, T)."""
        T = tokens.shape[-1]
        here = cache.here(T) if cache is not None else slice(0, T)
        end = here.stop if isinstance(here, slice) else T
        assert end <= self.context, f"{end} tokens do not fit model.context={self.context}"
        residual = self.tokens(tokens)
        if self.places is not None:
            residual = residual + self.places.at(here)
        angles = None if self.angles is None else self.angles[here]
        with self.autocast():
            for layer, block in enumerate(self.blocks):
                residual = block(residual, layer, angles, cache)
        if cache is not None:
            cache.advance(T)
        return self.norm(residual)

    def logits(self, hidden: Tensor) -> Tensor:
        return product(hidden, self.tokens.weight)


class Llama(Transformer):
    """A transformer of the LLaMA form. `ffn` is the width of its feed-forward layers, and `spread` the standard
    deviation of fresh embeddings. Positions are rotary, or both rotary and learned, which no published LLaMA has.
    """

    def __init__(
        self,
        vocabulary_size: int,
        context: int,
        layers: int,
        heads: int,
        width: int,
        ffn: int,
        positions: Literal["rotary", "both"] = "rotary",
        spread: float = SPREAD,
    ) -> None:
        if ffn < 1:
            raise ValueError(f"model.ffn={ffn} is too small: set it to 1 or more")
        self.ffn = ffn
        if positions not in ("rotary", "both"):
            raise ValueError(f"model.positions={positions} is not for the LLaMA form: use rotary or both")
        if not spread > 0:
            raise ValueError(f"model.spread={spread} must be above 0, such as {SPREAD}")
        super().__init__(vocabulary_size, context, layers, heads, width, positions)
        self.spread = spread
        self.norm = RMSNorm(width, eps=EPSILON)
        self.output = Linear(width, vocabulary_size, bias=False)

    def block(self) -> Block:
        return LlamaBlock(self.width, self.heads, self.ffn)

    def logits(self, hidden: Tensor) -> Tensor:
        return self.output(hidden)


def turning_angles(context: int, width: int) -> Tensor:
    """The angle by which rotary positions turn each pair of a head's numbers at each place (context, width / 2), base
    10,000.
    """
    frequency = 10_000.0 ** (-torch.arange(0, width, 2) / width)
    return torch.arange(context)[:, None] * frequency


def rotate(states: Tensor, angles: Tensor) -> Tensor:
    """The states (B, T, …, E) with each pair of numbers turned by its angle (T, …, E / 2). The pairs are number i and
    number i + E / 2. Source: RoFormer, arXiv:2104.09864.
    """
    first, second = states.chunk(2, dim=-1)
    cosine, sine = angles.cos(), angles.sin()
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], dim=-1)


def initialise(model: Transformer, rng: np.random.Generator) -> None:
    """Sets fresh weights in place, from `rng` alone: normal with standard deviation 0.02, divided by sqrt(2 L) where a
    layer writes into the residual stream, and `model.spread` for token embeddings; biases are zero, norms one. Source:
    GPT-2's initialisation.
    """
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if name.endswith("norm.weight"):
                weights.fill_(1.0)
            elif name.endswith("bias"):
                weights.zero_()
            else:
                scale = SPREAD / (2 * len(model.blocks)) ** 0.5 if name.endswith("_out.weight") else SPREAD
                scale = model.spread if name == "tokens.weight" else scale
                weights.copy_(torch.from_numpy(rng.normal(0.0, scale, tuple(weights.shape))))
