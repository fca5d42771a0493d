"""Named streams of random numbers: a seed and a purpose always give the same generator."""

import hashlib

import numpy as np


def stream(seed: int, *purpose: str) -> np.random.Generator:
    """The random generator for `purpose` under `seed`. The same seed and purpose always give the same numbers;
    generators of other seeds or purposes are independent.

    Raises ValueError for a negative seed.

    >>> stream(0, "train").integers(100) == stream(0, "train").integers(100)
    np.True_
    """
    if seed < 0:
        raise ValueError(f"seed={seed} is negative: set seed to 0 or more")
    words = [int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big") for word in purpose]
    return np.random.default_rng([seed, *words])
