"""Greedy decoding with shapes that never change, so that on a GPU each step is one CUDA graph: there small models are
bound by launches. It works on a CPU as well, and is slower there than `alchemy.models.decoding.go_on`, which drops
finished rows.

Shapes: B rows, P tokens of a prompt, T tokens, S tokens of the context, H heads, E width of a head.
"""

from typing import Any
from weakref import WeakKeyDictionary, proxy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alchemy.data.vocabulary import END, PAD
from alchemy.models.captured import captured
from alchemy.models.transformer import Cache, Transformer

EVERY = 8  # steps between two looks at whether all rows have ended: a look makes a GPU wait


class StaticCache(Cache):
    """A Cache with room for the whole context from the start. The place of the newest token is a number on the device,
    so that a step is the same wherever it is.
    """

    def __init__(self, model: Transformer, rows: int) -> None:
        super().__init__(model, rows)
        self.states.zero_()
        device = self.states.device
        self.at = torch.zeros(1, dtype=torch.int64, device=device)
        self.places = torch.arange(model.context, device=device)

    def here(self, tokens: int) -> slice | Tensor:
        return self.at if self.length else slice(0, tokens)

    def advance(self, tokens: int) -> None:
        if self.length:
            self.at += 1
        else:
            self.at.fill_(tokens)
            self.length = tokens  # only tells that prompts are read

    def store(self, layer: int, mixed: Tensor) -> None:
        if self.length:
            self.states[layer].index_copy_(1, self.at, mixed[:, :, 1:].permute(2, 1, 0, 3, 4).to(self.states.dtype))
        else:
            super().store(layer, mixed)

    def attend(self, layer: int, queries: Tensor) -> Tensor:
        keys, values = self.states[layer]  # (S, B, H, E)
        scores = (keys * queries).sum(dim=-1) / queries.shape[-1] ** 0.5
        later = (self.places > self.at)[:, None, None]
        weights = scores.masked_fill(later, -torch.inf).softmax(dim=0)
        return (values * weights[..., None]).sum(dim=0)


class Decoder:
    """Greedy decoding of `rows` rows at a time by one model. Raises ValueError for more rows."""

    def __init__(self, model: Transformer, rows: int) -> None:
        self.model: Any = proxy(model)  # a decoder must not keep a model alive
        self.rows, self.made_for = rows, memory_of(model)
        device = model.tokens.weight.device
        self.cache = StaticCache(model, rows)
        self.tokens = torch.zeros(rows, 1, dtype=torch.int64, device=device)
        self.written = torch.zeros(rows, model.context + 1, dtype=torch.int64, device=device)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.going = torch.ones(rows, dtype=torch.bool, device=device)
        self.prepare()

    @torch.inference_mode()
    def prepare(self) -> None:
        """Makes a step one CUDA graph, on a GPU."""
        self.cache.length = 1  # as if prompts had been read
        self.run = captured(self.step, self.tokens.device)

    def step(self) -> None:
        """Reads the newest token of each row, and writes the likeliest next one."""
        self.write(self.model.logits(self.model.hidden(self.tokens, self.cache)[:, -1]))

    def write(self, logits: Tensor) -> None:
        """Writes the likeliest symbol of each row (B, V), and nothing into rows that have ended."""
        best = logits[:, PAD + 1 :].argmax(dim=-1) + PAD + 1
        self.going &= best != END
        self.written.index_copy_(1, self.place, torch.where(self.going, best, PAD)[:, None])
        self.tokens.copy_(best[:, None])
        self.place += 1

    @torch.inference_mode()
    def decode(self, prompts: Tensor, first_atom: int = 0) -> NDArray[np.int16]:
        """The tokens (B, context) written after prompts (B, P) of one length, padded, as `go_on` returns them."""
        B, P = prompts.shape
        if self.rows < B:
            raise ValueError(f"{B} rows do not fit a decoder of {self.rows}")
        self.cache.length = 0
        self.place.zero_()
        self.written.zero_()
        self.going.fill_(value=True)
        self.going[B:] = False
        whole = prompts.new_zeros(self.rows, P)
        whole[:B] = prompts
        logits = self.model.logits(self.model.hidden(whole, self.cache)[:, -1])
        if first_atom:
            logits[:, :first_atom] = -torch.inf
        self.write(logits)
        for number in range(1, self.model.context - P):
            if number % EVERY == 0 and not bool(self.going.any()):
                break
            self.run()
        return self.written[:B, : self.model.context].cpu().numpy().astype(np.int16)


DECODERS: "WeakKeyDictionary[Transformer, Decoder]" = WeakKeyDictionary()


def memory_of(model: Transformer) -> tuple[object, ...]:
    """Where all weights of a model are, and its number format: what a CUDA graph of it hangs on."""
    return (model.precision, *((name, weight.data_ptr()) for name, weight in model.named_parameters()))


def decoder_of(model: Transformer, rows: int) -> Decoder:
    """The decoder of a model for so many rows at a time: the one made before, while all weights are where they were."""
    made = DECODERS.get(model)
    if made is None or (made.rows, made.made_for) != (rows, memory_of(model)):
        made = DECODERS[model] = Decoder(model, rows)
    return made
