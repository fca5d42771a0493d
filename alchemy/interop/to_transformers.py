"""Writes a stored model as a checkpoint that the library transformers reads, without using that library.

The lab's GPT form with learned positions is GPT-2 and its LLaMA form is LLaMA: the same functions, with the weights
under other names. The tokenizer has one word a symbol, with the same ids. Weights are float32, whatever the precision.

Shapes: D width, V symbols.
"""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from alchemy.data.vocabulary import END, PAD, SPECIALS, UNKNOWN, Vocabulary
from alchemy.models.transformer import EPSILON, Llama, LlamaBlock, Transformer
from alchemy.results.files import new_folder, write_aside

Json = dict[str, Any]

GPT2 = {  # weights of a block: their names in GPT-2, which has matrices transposed
    "attention_norm": "ln_1",
    "attention_in": "attn.c_attn",
    "attention_out": "attn.c_proj",
    "feed_norm": "ln_2",
    "feed_in": "mlp.c_fc",
    "feed_out": "mlp.c_proj",
}


def write_checkpoint(folder: Path, vocabulary: Vocabulary, model: Transformer) -> None:
    """Writes the checkpoint into `folder`, whole or not at all.

    Raises ValueError for a model that is neither GPT-2 nor LLaMA, or a folder that holds files already.
    """
    if model.tokenizer:
        raise ValueError(
            "this model was trained with tokens=pieces, which a tokenizer of one word a symbol cannot split: "
            "export one that was trained with tokens=symbols"
        )
    if (model.places is None) is not isinstance(model, Llama) or (model.angles is None) is isinstance(model, Llama):
        raise ValueError(
            "GPT-2 has learned positions and LLaMA rotary ones, and this model has others: "
            "export one that was trained with model.positions=learned, or of the LLaMA form with rotary"
        )
    form, weights = llama(model) if isinstance(model, Llama) else gpt2(model)
    config = form | {"bos_token_id": None, "eos_token_id": END, "pad_token_id": PAD, "dtype": "float32"}
    config |= {"vocab_size": len(vocabulary)}
    files = {
        "config.json": config,
        "generation_config.json": generation(model.context),
        "tokenizer.json": tokenizer(vocabulary),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": SPECIALS[PAD],
            "eos_token": SPECIALS[END],
            "unk_token": SPECIALS[UNKNOWN],
            "padding_side": "left",
            "model_max_length": model.context,
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "attention_mask"],  # GPT-2 would add an embedding for others
        },
    }
    with new_folder(folder) as other:
        for name, content in files.items():
            write_aside(other / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        contiguous = {name: value.detach().contiguous() for name, value in weights.items()}
        write_aside(other / "model.safetensors", save(contiguous, metadata={"format": "pt"}))


def gpt2(model: Transformer) -> tuple[Json, dict[str, Tensor]]:
    """Returns configuration and weights as GPT-2, whose input and output embeddings are tied, as the lab's are."""
    assert model.places is not None
    weights = {"transformer.wte.weight": model.tokens.weight, "transformer.wpe.weight": model.places.weight}
    for name, value in model.named_parameters():
        if name.startswith("blocks."):
            _, layer, part, kind = name.split(".")
            weights[f"transformer.h.{layer}.{GPT2[part]}.{kind}"] = value.T if value.ndim == 2 else value
        elif name.startswith("norm."):
            weights[f"transformer.ln_f.{name.removeprefix('norm.')}"] = value
    form = {
        "model_type": "gpt2",
        "architectures": ["GPT2LMHeadModel"],
        "n_positions": model.context,
        "n_embd": model.width,
        "n_layer": len(model.blocks),
        "n_head": model.heads,
        "activation_function": "gelu",  # the exact GELU
        "layer_norm_epsilon": 1e-5,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
        "tie_word_embeddings": True,
    }
    return form, weights


def llama(model: Llama) -> tuple[Json, dict[str, Tensor]]:
    """Returns configuration and weights as LLaMA, whose rotary positions pair the halves of a head, as the lab's do."""
    weights: dict[str, Any] = {
        "model.embed_tokens.weight": model.tokens.weight,
        "model.norm.weight": model.norm.weight,
        "lm_head.weight": model.output.weight,
    }
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, LlamaBlock)
        query, key, value = block.attention_in.weight.chunk(3)
        gate, up = block.feed_in.weight.chunk(2)
        parts = {
            "input_layernorm": block.attention_norm.weight,
            "self_attn.q_proj": query,
            "self_attn.k_proj": key,
            "self_attn.v_proj": value,
            "self_attn.o_proj": block.attention_out.weight,
            "post_attention_layernorm": block.feed_norm.weight,
            "mlp.gate_proj": gate,
            "mlp.up_proj": up,
            "mlp.down_proj": block.feed_out.weight,
        }
        weights |= {f"model.layers.{layer}.{part}.weight": tensor for part, tensor in parts.items()}
    form = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": model.context,
        "hidden_size": model.width,
        "intermediate_size": model.ffn,
        "num_hidden_layers": len(model.blocks),
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.heads,
        "head_dim": model.width // model.heads,
        "hidden_act": "silu",
        "rms_norm_eps": EPSILON,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
        "attention_bias": False,
        "mlp_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": False,
    }
    return form, weights


def generation(context: int) -> Json:
    """Returns settings that decode as the lab does: greedy, never padding, until the end symbol or a full context."""
    ends = {"eos_token_id": END, "pad_token_id": PAD, "suppress_tokens": [PAD]}
    return {"do_sample": False, "max_length": context, **ends}


def tokenizer(vocabulary: Vocabulary) -> Json:
    """Returns a tokenizer with a word per symbol, split at spaces, and the lab's ids; other words are noise tokens."""
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": SPECIALS[i], **plain} for i in (PAD, END, UNKNOWN)],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,  # single spaces
        "model": {"type": "WordLevel", "vocab": vocabulary.ids, "unk_token": SPECIALS[UNKNOWN]},
    }
