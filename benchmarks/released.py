"""Hugging Face's GPT-2 trained as the released code has it: the library's defaults (dropout of 0.1, the tanh form of
GELU) and, in pieces, the table of 298 symbols and the context of 256. Source: arXiv:2508.01191, released configuration.
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
