"""Noise on prompts: tokens are inserted, deleted or replaced, and gold chain and answer stay as they are.

Source: arXiv:2508.01191, section 4.4.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.vocabulary import PAD, UNKNOWN

NOISE_KINDS = ("insert", "delete", "modify", "hybrid")
NOISE_DOMAINS = ("element", "transformation", "instruction", "all")


@dataclass(frozen=True)
class Noise:
    """Noise that hits each prompt token of `domain` with probability `rate`. `kind` is what happens to a token that is
    hit: insert puts the noise token before it, delete removes it, modify replaces it by the noise token, and hybrid
    does one of the three at random. Raises ValueError for an unknown kind or domain, and a rate outside 0 to 1.
    """

    kind: Literal["insert", "delete", "modify", "hybrid"]
    domain: Literal["element", "transformation", "instruction", "all"]
    rate: float

    def __post_init__(self) -> None:
        for name, allowed in (("kind", NOISE_KINDS), ("domain", NOISE_DOMAINS)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"shift.{name}={getattr(self, name)} is unknown: use one of {', '.join(allowed)}")
        if not 0 <= self.rate <= 1:
            raise ValueError(f"a noise rate of {self.rate} is no share of the tokens: use 0 to 1")


def perturb(batch: Batch, noise: Noise, rng: np.random.Generator) -> Batch:
    """The same rows with noise on their prompts; chain and answer keep every token.

    One uniform number per prompt token decides whether it is hit, so with the same `rng` a token that is hit at one
    rate is hit at every higher rate as well. Source: arXiv:2508.01191, section 4.4.

    >>> from alchemy import compose
    >>> task = compose("task=cipher").task
    >>> rows = task.render(task.vocabulary.encode("A B C D")[None], (0, 1))
    >>> noisy = perturb(rows, Noise("modify", "element", 1.0), np.random.default_rng(0))
    >>> task.vocabulary.decode(noisy.tokens[0])
    '<unk> <unk> <unk> <unk> [F1] [F2] <think> N O P Q [F2] <answer> O P Q N </s>'
    """
    B, T = batch.tokens.shape
    chance, choice = rng.random((B, T)), rng.integers(0, 3, (B, T))
    eligible = batch.role <= Role.INSTRUCTION if noise.domain == "all" else batch.role == Role[noise.domain.upper()]
    hit = eligible & (chance < noise.rate)
    if noise.kind != "hybrid":
        choice = np.full((B, T), ("insert", "delete", "modify").index(noise.kind))
    inserted, deleted, modified = (hit & (choice == i) for i in range(3))

    # every token has two slots: an inserted noise token, and the token itself
    token = np.where(modified, np.int16(UNKNOWN), batch.tokens)
    tokens = np.stack([np.full_like(token, UNKNOWN), token], axis=2).reshape(B, 2 * T)
    keep = np.stack([inserted, ~deleted & (batch.role != Role.PAD)], axis=2).reshape(B, 2 * T)
    role, step = (np.repeat(array, 2, axis=1) for array in (batch.role, batch.step))
    tokens = left_justify(tokens, keep)
    role = left_justify(role - np.int8(Role.PAD), keep) + np.int8(Role.PAD)  # pads with Role.PAD
    step = left_justify(step + np.int8(1), keep) - np.int8(1)  # pads with -1
    assert PAD == 0
    return Batch(tokens, role, step)
