"""Noise on prompts: tokens put in, deleted or replaced, and the gold chain and answer never touched.

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
    """Each prompt token of `domain` is hit with probability `rate`; `kind` says what a hit does."""

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
    """`batch` with noise on its prompts; chain and answer keep every token.

    One uniform draw per prompt token decides the hit, so under one stream a token hit at some rate is hit at every
    higher rate as well. Source: arXiv:2508.01191, section 4.4.
    """
    B, T = batch.tokens.shape
    chance, choice = rng.random((B, T)), rng.integers(0, 3, (B, T))
    eligible = batch.role <= Role.INSTRUCTION if noise.domain == "all" else batch.role == Role[noise.domain.upper()]
    hit = eligible & (chance < noise.rate)
    if noise.kind != "hybrid":
        choice = np.full((B, T), ("insert", "delete", "modify").index(noise.kind))
    inserted, deleted, modified = (hit & (choice == i) for i in range(3))

    # every token has two places: noise put in before it, and the token itself
    token = np.where(modified, np.int16(UNKNOWN), batch.tokens)
    tokens = np.stack([np.full_like(token, UNKNOWN), token], axis=2).reshape(B, 2 * T)
    keep = np.stack([inserted, ~deleted & (batch.role != Role.PAD)], axis=2).reshape(B, 2 * T)
    role, step = (np.repeat(array, 2, axis=1) for array in (batch.role, batch.step))
    tokens = left_justify(tokens, keep)
    role = left_justify(role - np.int8(Role.PAD), keep) + np.int8(Role.PAD)  # pads with Role.PAD
    step = left_justify(step + np.int8(1), keep) - np.int8(1)  # pads with -1
    assert PAD == 0
    return Batch(tokens, role, step)
