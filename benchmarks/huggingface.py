"""Contender: Hugging Face's GPT-2, trained as by its Trainer and completing by `generate`, as in the released code.

It is the same function as the lab's model, of the same size: without dropout, with the same GELU. benchmarks.released
has the library's defaults.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import END, PAD
from alchemy.models.decoding import own_tokens
from alchemy.models.transformer import Transformer
from benchmarks.contender import Once, Work
from benchmarks.rows import BATCH, COMPLETIONS, SEED, STEPS, default, tested, trained, world


def gpt2(symbols: int, context: int) -> GPT2LMHeadModel:
    """Returns an untrained GPT-2 that is the same function as the lab's model."""
    same: dict[str, Any] = {"activation_function": "gelu", "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    return GPT2LMHeadModel(sized(symbols, context, **same))


def sized(symbols: int, context: int, **settings: Any) -> GPT2Config:
    """Returns a configuration of the paper's size; the library's defaults hold for all that `settings` leave open."""
    ends: dict[str, Any] = {"bos_token_id": END, "eos_token_id": END, "pad_token_id": PAD}
    return GPT2Config(vocab_size=symbols, n_positions=context, n_embd=32, n_layer=4, n_head=4, **ends, **settings)


def twin(ours: Transformer) -> GPT2LMHeadModel:
    """Returns a GPT-2 that is the same function as `ours`, with its weights."""
    made = gpt2(len(ours.tokens.weight), ours.context)
    state = {"transformer.wte.weight": ours.tokens.weight, "lm_head.weight": ours.tokens.weight}
    assert ours.places is not None
    state["transformer.wpe.weight"] = ours.places.weight
    names = {"attention_norm": "ln_1", "attention_in": "attn.c_attn", "attention_out": "attn.c_proj"}
    names |= {"feed_norm": "ln_2", "feed_in": "mlp.c_fc", "feed_out": "mlp.c_proj"}
    for name, value in ours.named_parameters():
        if name.startswith("blocks."):
            _, layer, part, kind = name.split(".")
            turned = value.T if kind == "weight" and value.ndim == 2 else value
            state[f"transformer.h.{layer}.{names[part]}.{kind}"] = turned
        elif name.startswith("norm."):
            state[f"transformer.ln_f.{name[5:]}"] = value
    made.load_state_dict({name: value.detach().clone() for name, value in state.items()}, strict=False)
    return made


def train(tokens: str, make: Callable[[int, int], GPT2LMHeadModel]) -> Once:
    """Returns eight training steps as the Trainer does them: the model's own loss over all tokens, clipping, AdamW and
    a schedule. `make` builds the model from the lab's vocabulary size and context.
    """
    ours = default(tokens).model
    mine = make(len(ours.tokens.weight), ours.context).train()
    rows = own_tokens(ours, draw(world(), world().train, 8 * BATCH, stream(SEED, "train"), "train"))
    batches = torch.from_numpy(rows.tokens.astype(np.int64)).split(BATCH)
    optimizer = torch.optim.AdamW(mine.parameters(), lr=1e-3, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)

    def once() -> int:
        for some in batches:
            labels = some.where(some != PAD, -100)
            mine(input_ids=some, attention_mask=(some != PAD).long(), labels=labels).loss.backward()
            torch.nn.utils.clip_grad_norm_(mine.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        return len(batches) * BATCH

    return once


def decode(kind: str, tokens: str) -> Once:
    """Returns greedy completion of prompts padded on the left, until every row has ended or the context is full."""
    ours = trained(tokens)
    mine = twin(ours)
    batch = own_tokens(ours, tested(kind, 1024))
    length = batch.prompt_length
    prompts = np.full((len(batch), int(length.max())), PAD, dtype=np.int64)
    for row, its, size in zip(prompts, batch.tokens, length, strict=True):
        row[len(row) - size :] = its[:size]
    read = torch.from_numpy(prompts)
    mask = (read != PAD).long()

    @torch.inference_mode()
    def once() -> int:
        mine.generate(input_ids=read, attention_mask=mask, max_length=ours.context, do_sample=False)
        return len(read)

    return once


WORKS: dict[str, Work] = {
    work: lambda tokens=tokens: train(tokens, gpt2)  # type: ignore[misc]
    for work, tokens in STEPS.items()
}
WORKS |= {
    work: lambda kind=kind, tokens=tokens: decode(kind, tokens)  # type: ignore[misc]
    for work, (kind, tokens) in COMPLETIONS.items()
}
