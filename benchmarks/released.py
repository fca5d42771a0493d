"""Hugging Face's GPT-2 as the released code has it: the library's defaults, dropout of 0.1 and the tanh form of GELU,
and completions in pieces that may run to a context of 256. Source: arXiv:2508.01191, released configuration.
"""

from transformers import GPT2LMHeadModel

from benchmarks.contender import Work
from benchmarks.huggingface import decode, size_of, sized, train
from benchmarks.rows import KINDS, STEPS

WORKS: dict[str, Work] = {
    work: lambda tokens=tokens: train(tokens, GPT2LMHeadModel(sized(*size_of(tokens))))  # type: ignore[misc]
    for work, tokens in STEPS.items()
}
WORKS |= {f"greedy completion, {kind}": lambda kind=kind: decode(kind, "pieces") for kind in KINDS}  # type: ignore[misc]
