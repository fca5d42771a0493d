"""Diversity: the cipher task with many rules. Training has a number of the pairs of rules, and tests have others.

How many different compositions must training have before a model composes rules that it has never seen composed?
"""

from itertools import product

import numpy as np

from alchemy.data.task import Composition
from tasks.cipher import Cipher


def diverse(rules: tuple[str, ...], spare: int, compositions: int, held_out: int, draw: int, length: int) -> Cipher:
    """A Cipher trained on `compositions` of all pairs of rules, with `held_out` other pairs to test on.

    The last `spare` rules are in no pair: they are the unseen rules. The seed `draw` puts all pairs in a random order.
    Training has the first of them, so a larger `compositions` includes a smaller one, and the last are held out. Raises
    ValueError for numbers that do not fit.
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
