"""Decoding: completions that a model writes after prompts, token by token, up to its end symbol.

Shapes: B rows, T tokens of a row, C of a completion, V symbols.
"""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from alchemy.data.batch import Batch, Role
from alchemy.data.vocabulary import END, PAD
from alchemy.models.static_decoding import decoder_of
from alchemy.models.transformer import Cache, Transformer

ROWS = 1024  # rows decoded at a time: bounds the memory of keys and values
TRIED = 128  # rows that are checked first, for whether most greedy completions are gold


@runtime_checkable
class Completes(Protocol):
    """A model that has its own method to complete prompts, and is not a Transformer of this package; a checkpoint of
    another library, for example. Its method takes and returns what `complete` does, without an opening.
    """

    def complete(self, batch: Batch, temperature: float, rng: np.random.Generator | None) -> NDArray[np.int16]: ...


@dataclass(frozen=True)
class Opening:
    """How completions must begin. In the mode fast, the first symbol has an id of at least `first_atom`, so it begins
    an answer. In the mode slow, it is the first rule that the prompt names, so it begins a chain.
    """

    mode: Literal["fast", "slow"]
    first_atom: int


def to_tensor(tokens: NDArray[np.int16], model: Transformer) -> Tensor:
    """The tokens as a tensor of 64-bit ids on the model's device."""
    return torch.from_numpy(tokens.astype(np.int64)).to(model.tokens.weight.device)


@torch.inference_mode()
def follows_gold(model: Transformer, batch: Batch) -> NDArray[np.bool_]:
    """Whether the greedy completion of each prompt is the gold one, end symbol included, as booleans (B,) from one
    forward pass.

    This is exact: if every gold token is the most likely one after the gold tokens before it, greedy decoding writes
    them. (In bfloat16 the pass and the decoding round differently, and may differ where two symbols are about as
    likely.)
    """
    return follows(model, own_tokens(model, batch))


def own_tokens(model: Transformer, batch: Batch) -> Batch:
    """The rows in the tokens of this model: as they are, or in subword tokens if the model has a tokenizer."""
    return model.tokenizer.encode(batch) if model.tokenizer else batch


def follows(model: Transformer, batch: Batch) -> NDArray[np.bool_]:
    """The same as `follows_gold`, for rows in the tokens of the model."""
    followed = []
    for start in range(0, len(batch), ROWS):
        rows = batch[start : start + ROWS]
        gold = (rows.role[:, 1:] >= Role.CHAIN) & (rows.role[:, 1:] != Role.PAD)
        best = GREEDY(model(to_tensor(rows.tokens[:, :-1], model))).cpu().numpy()
        followed.append(((best == rows.tokens[:, 1:]) | ~gold).all(axis=1) & (rows.prompt_length > 0))
    return np.concatenate(followed)


def complete(
    model: Transformer | Completes,
    batch: Batch,
    temperature: float = 0.0,
    rng: np.random.Generator | None = None,
    opening: Opening | None = None,
) -> NDArray[np.int16]:
    """The completion of each prompt (B, C), without its end symbol, padded on the right. It is the greedy one at
    temperature 0, and above that it is sampled with `rng`. With `opening`, completions must begin in that way.

    A row ends at the end symbol, or where prompt and completion fill `model.context`; an empty prompt has an empty
    completion. Where most greedy completions are gold, those are read off one forward pass, and only the others are
    decoded. A model of another library (`Completes`) uses its own method, and allows no `opening`.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> rows = task.render(task.vocabulary.encode("A B C D")[None], (0, 1))
    >>> model = Transformer(len(task.vocabulary), context=24, layers=1, heads=1, width=8, positions="learned")
    >>> len(complete(model, rows))
    1
    """
    if isinstance(model, Completes):
        assert opening is None, "a model from elsewhere opens its completions as it likes"
        return model.complete(batch, temperature, rng)
    batch = own_tokens(model, batch)
    completion = np.full((len(batch), model.context), PAD, dtype=np.int16)
    rows = np.arange(len(batch))
    if not temperature and opening is None:
        followed = np.zeros(len(batch), dtype=bool)
        followed[:TRIED] = follows(model, batch[:TRIED])
        if followed[:TRIED].mean() > 0.5 and len(batch) > TRIED:  # a pass costs about half as much as decoding
            followed[TRIED:] = follows(model, batch[TRIED:])
        gold = batch.completion()
        completion[followed, : gold.shape[1]] = gold[followed]
        rows = np.flatnonzero(~followed)
    decode(model, batch, rows, completion, Choice(temperature, rng), opening)
    completion = completion[:, : int((completion != PAD).sum(axis=1).max(initial=0))]
    return model.tokenizer.decode(completion) if model.tokenizer else completion


@dataclass(frozen=True)
class Choice:
    """How the next symbol is chosen from its logits: the most likely one at temperature 0, and above that one sampled
    with `rng`.
    """

    temperature: float = 0.0
    rng: np.random.Generator | None = None

    def __call__(self, logits: Tensor) -> Tensor:
        """The chosen ids (…) for logits (…, V). Padding is never chosen."""
        logits = logits[..., PAD + 1 :]
        if self.temperature:
            assert self.rng is not None, "sampling needs a stream"
            noise = self.rng.gumbel(size=tuple(logits.shape)).astype(np.float32)
            logits = logits / self.temperature + torch.from_numpy(noise).to(logits)
        return logits.argmax(dim=-1) + PAD + 1


GREEDY = Choice()


def decode(
    model: Transformer,
    batch: Batch,
    rows: NDArray[np.intp],
    completion: NDArray[np.int16],
    choose: Choice,
    opening: Opening | None = None,
) -> None:
    """Writes the completions of the row numbers `rows` into `completion` (B, context). Rows with prompts of one length
    are decoded together.
    """
    length = batch.prompt_length
    for size in np.unique(length[rows]):
        group = rows[length[rows] == size]
        for start in range(0, len(group) if size else 0, ROWS):
            some = group[start : start + ROWS]
            prompts = batch.tokens[some, :size]
            if opening and opening.mode == "slow":
                first = first_rule(batch[some])
                rest = go_on(model, to_tensor(np.concatenate([prompts, first[:, None]], axis=1), model), choose)
                completion[some, 0] = first
                completion[some, 1 : 1 + rest.shape[1]] = rest[:, : completion.shape[1] - 1]
                continue
            first_atom = opening.first_atom if opening else 0
            if model.tokens.weight.device.type == "cuda" and not choose.temperature:
                written = decoder_of(model, ROWS).decode(to_tensor(prompts, model), first_atom)
            else:
                written = go_on(model, to_tensor(prompts, model), choose, first_atom)
            completion[some, : written.shape[1]] = written


def first_rule(batch: Batch) -> NDArray[np.int16]:
    """The first rule that each prompt names (B,), as a token id. Raises ValueError for a prompt that names none."""
    named = batch.role == Role.TRANSFORMATION
    if not named.any(axis=1).all():
        raise ValueError("a prompt names no rule, so it cannot be answered slowly: use prompts without noise")
    return np.take_along_axis(batch.tokens, named.argmax(axis=1)[:, None], axis=1)[:, 0]


@torch.inference_mode()
def go_on(model: Transformer, prompts: Tensor, choose: Choice = GREEDY, first_atom: int = 0) -> NDArray[np.int16]:
    """The tokens (B, C) that decoding writes after prompts (B, P) of one length, padded. Finished rows leave the cache.
    With `first_atom`, no symbol with a lower id is the first of a completion.
    """
    B, P = prompts.shape
    written = np.full((B, model.context), PAD, dtype=np.int16)
    cache = Cache(model, B)
    alive = np.arange(B)
    tokens = prompts
    for place in range(model.context - P):
        logits = model.logits(model.hidden(tokens, cache)[:, -1])
        if place == 0 and first_atom:
            logits[:, :first_atom] = -torch.inf
        best = choose(logits)
        going = best != END
        written[alive, place] = torch.where(going, best, PAD).cpu().numpy()
        if not going.all():
            alive = alive[going.cpu().numpy()]
            cache.keep(going)
            best = best[going]
        if not len(alive):
            break
        tokens = best[:, None]
    return written
