"""Coverage: the cipher task with any number of rules that mostly do not commute, trained on compositions of a design.

Designs have as many compositions and part the theories of what makes a held-out one come right: how often each of its
rules was seen in its place, whether the rules are connected through others, or the number of compositions alone.
"""

from itertools import permutations, product

import numpy as np

from alchemy.data.compositions import follow, probing
from alchemy.data.kinds import quoted
from alchemy.data.task import Composition
from tasks.cipher import Cipher

Pairs = list[Composition]
MOST = 200  # rules: all pairs are looked at


def coverage(rules: int, design: str, held_out: float, draw: int, length: int, cot: bool) -> Cipher:
    """A Cipher of so many `rules`, trained on compositions of two of them. For each rule, `held_out` compositions are
    kept out to test on. None of them is the same map of elements as one of training.

    About a quarter of the rules permute places, an eighth rotate letters, and all others substitute letters; all differ
    as maps. `design` names how compositions are chosen, and how many for each rule, such as random_2. random takes them
    in random order, more of them including fewer; latin has each rule equally often in each place; star has those of
    one rule with every other, in both orders, then those of a second, and so on; blocks is latin within each half of
    the rules, and has none across. Rules, design and those kept out are drawn by the seed `draw`. Raises ValueError for
    numbers that do not fit.
    """
    kind, number = design_of(design, rules)
    rng = np.random.default_rng([draw, 2])
    texts = texts_of(rules, length, rng)
    world = Cipher(texts, ("F1",), length, "", 0, 0, (), cot=cot)
    probe = probing(world, length)
    pairs: Pairs = list(product(range(rules), repeat=2))
    maps = {pair: follow(world, probe, pair).tobytes() for pair in pairs}
    order = [pairs[i] for i in rng.permutation(len(pairs))]
    kept = round(held_out * rules)
    if kind == "random":  # the same are held out, however many are trained on
        unseen = order[max(len(order) - kept, 0) :]
        taken = {maps[pair] for pair in unseen}
        chosen = [pair for pair in order if maps[pair] not in taken][:number]
    else:
        chosen = DESIGNS[kind](rules, number, rng)
        taken = {maps[pair] for pair in chosen}
        unseen = [pair for pair in order if maps[pair] not in taken][:kept]
    if not 0 < number == len(chosen) or not 0 < kept == len(unseen):
        raise ValueError(
            f"design={design} and held_out={held_out:g} do not fit into the {len(pairs)} pairs of {rules} rules: "
            "set both above 0, and lower one; latin and blocks take whole numbers for each rule"
        )
    training = tuple("".join(f"F{rule + 1}" for rule in pair) for pair in chosen)
    return Cipher(texts, training, length, "", 0, 0, (), cot=cot, unseen=tuple(unseen))


def design_of(design: str, rules: int) -> tuple[str, int]:
    """The kind of a design, and the number of compositions that it has. Raises ValueError for one that there is not."""
    kind, _, each = design.partition("_")
    try:
        number = float(each)
    except ValueError:
        number = -1.0
    if kind not in ("random", *DESIGNS) or not 0 < number < 1e6:
        raise ValueError(
            f"design={quoted(design)} is unknown: use random, latin, star or blocks, and the number of compositions "
            "for each rule, such as random_2"
        )
    if not 2 <= rules <= MOST:
        raise ValueError(f"rules={rules} is no number to compose: set it from 2 to {MOST}")
    return kind, round(number * rules)


def texts_of(rules: int, length: int, rng: np.random.Generator) -> tuple[str, ...]:
    """The texts of so many different rules, of three kinds, in random order. Raises ValueError where elements of
    `length` letters have too few permutations.
    """
    places, rotations = max(rules // 4, 1), max(rules // 8, 1)
    ways = [*permutations(range(min(length, 7)))][1:]
    if len(ways) < places:
        raise ValueError(f"length={length} has only {len(ways)} permutations of places: raise it, or lower rules")
    texts = [f"permute {' '.join(map(str, ways[i]))}" for i in rng.choice(len(ways), places, replace=False)]
    texts += [f"rotate {n}" for n in rng.choice(np.arange(1, 26), min(rotations, 25), replace=False)]
    alphabet = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
    texts += [f"substitute {bytes(rng.permutation(alphabet)).decode()}" for _ in range(rules - len(texts))]
    return tuple(texts[i] for i in rng.permutation(rules))


def latin(rules: int, number: int, rng: np.random.Generator) -> Pairs:
    """Pairs in which each rule stands equally often in each place: `number` must be a multiple of `rules`, or there are
    none.
    """
    first, second, shifts = rng.permutation(rules), rng.permutation(rules), rng.permutation(rules)
    times = number // rules if number % rules == 0 else 0
    return [(int(first[i]), int(second[(i + shift) % rules])) for shift in shifts[:times] for i in range(rules)]


def star(rules: int, number: int, rng: np.random.Generator) -> Pairs:
    """The first `number` pairs with a hub: those of one rule with every rule, in both orders, then of another rule."""
    found: dict[Composition, None] = {}
    for hub in rng.permutation(rules).tolist():
        for rule in rng.permutation(rules).tolist():
            found |= dict.fromkeys([(hub, rule), (rule, hub)])
    return [*found][:number]


def blocks(rules: int, number: int, rng: np.random.Generator) -> Pairs:
    """Pairs within each half of the rules, in which each rule stands equally often in each place: `number` must be a
    multiple of `rules`, and `rules` even, or there are none.
    """
    if rules % 2:
        return []
    order, half = rng.permutation(rules), rules // 2
    within = [latin(half, number // 2 if number % rules == 0 else 0, rng) for _ in range(2)]
    return [
        (int(order[a + start]), int(order[b + start]))
        for start, pairs in zip((0, half), within, strict=True)
        for a, b in pairs
    ]


DESIGNS = {"latin": latin, "star": star, "blocks": blocks}
