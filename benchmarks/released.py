"""Contender: Hugging Face's GPT-2 trained as in the released code, with the library's defaults.

These are a dropout of 0.1 and the tanh form of GELU; for tokens=pieces, also a vocabulary of 298 and a context of 256.
Source: arXiv:2508.01191, released configuration.
"""

from transformers import GPT2LMHeadModel

from benchmarks.contender import Work
from benchmarks.huggingface import sized, train
from benchmarks.rows import STEPS


def made(symbols: int, context: int, tokens: str) -> GPT2LMHeadModel:
    return GPT2LMHeadModel(sized(*((298, 256) if tokens == "pieces" else (symbols, context))))


WORKS: dict[str, Work] = {
    work: lambda tokens=tokens: train(tokens, lambda symbols, context: made(symbols, context, tokens))  # type: ignore[misc]
    for work, tokens in STEPS.items()
}
