"""Diversity: the cipher world with many rules, trained on some of all their compositions and tested on others.

How many different compositions must training show before a model composes rules that it has never seen composed?
"""

from itertools import product

import numpy as np

from alchemy.data.task import Composition
from tasks.cipher import Cipher


def diverse(rules: tuple[str, ...], spare: int, compositions: int, held_out: int, draw: int, length: int) -> Cipher:
    """A Cipher trained on `compositions` of all pairs of rules, tested on `held_out` others.

    The last `spare` rules are in no pair: they are the unseen rules. `draw` puts all pairs in a random order; training
    is its beginning, so more compositions contain fewer, and its end is held out.
    """

    known = len(rules) - spare
    if spare < 0 or known < 1:
        raise ValueError(f"spare={spare} leaves {known} rules to train: set it from 0 to {len(rules) - 1}")
    pairs: list[Composition] = list(product(range(known), repeat=2))
    if held_out < 1 or compositions < 1 or compositions + held_out > len(pairs):
        raise ValueError(
            f"compositions={compositions} and held_out={held_out} do not fit into the {len(pairs)} pairs of "
            f"{known} rules: set both to 1 or more, and lower one"
        )
    order = [pairs[i] for i in np.random.default_rng([draw, 0]).permutation(len(pairs))]
    training = tuple("".join(f"F{rule + 1}" for rule in pair) for pair in order[:compositions])
    return Cipher(rules, training, length, "", 0, 0, (), cot=True, unseen=tuple(order[-held_out:]))
