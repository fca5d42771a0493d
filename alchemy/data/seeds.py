"""Named streams of randomness: one seed and a purpose give one generator, everywhere and always."""

import hashlib

import numpy as np


def stream(seed: int, *purpose: str) -> np.random.Generator:
    """The generator for `purpose` under `seed`; streams of other seeds or purposes are independent of it.

    Raises ValueError for a negative seed.
    """
    if seed < 0:
        raise ValueError(f"seed={seed} is negative: set seed to 0 or more")
    words = [int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") for word in purpose]
    return np.random.default_rng([seed, *words])
