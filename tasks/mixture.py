"""A mixture of tasks, called `worlds`, in one vocabulary. Each keeps its own problems and its own form.

Atoms of the same name are one symbol in all worlds. So knowledge and computing can interfere, and a question can recall
an attribute and then compute with it, by a composition of rules of two worlds.

Shapes: B rows, l atoms of the longest element (shorter ones are padded), R rules, V symbols.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.layouts import open_problems, padded
from alchemy.data.sampling import choose, in_side
from alchemy.data.task import Composition, Distribution, Exposed, Holdout, Kind, Terse, terse
from alchemy.data.vocabulary import PAD, UNKNOWN, Vocabulary

TRIES = 100  # the most draws until a problem is on the train side


@dataclass(frozen=True)
class Mixture:
    """The tasks `worlds`, with the share of all training tokens that each has in `tokens`. During the first
    `early_rows` of training, a share `early_chains` of the problems of several rules is written with a chain: a model
    learns to compose while chains are common, and keeps the skill while they are rare. Raises ValueError for settings
    that do not fit, and for a world that cannot answer both with and without a chain.
    """

    worlds: tuple[Terse, ...]
    tokens: tuple[float, ...]
    early_rows: int
    early_chains: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "worlds", tuple(self.worlds))
        object.__setattr__(self, "tokens", tuple(self.tokens))
        if not self.worlds or len(self.tokens) != len(self.worlds) or min(self.tokens) <= 0:
            raise ValueError(
                f"tokens={list(self.tokens)} must give a share above 0 to each of the worlds, which are "
                f"{len(self.worlds)}"
            )
        for world in self.worlds:
            if not terse(world):
                raise ValueError(
                    f"worlds has {type(world).__name__}, which answers in one mode alone: use worlds with chains "
                    "and direct answers, such as facts and arithmetic"
                )
            if world.train.split != "problem":
                raise ValueError(f"worlds splits {type(world).__name__} by element: a mixture is split by problem")
        rules = [rule for world in self.worlds for rule in world.vocabulary.rules]
        if twice := [rule for rule in rules if rules.count(rule) > 1]:
            raise ValueError(f"worlds has two with a rule {twice[0]}: rules of a mixture need names of their own")
        if self.early_rows < 0:
            raise ValueError(f"early_rows={self.early_rows} is negative: set it to 0 or more")
        if not 0 <= self.early_chains <= 1:
            raise ValueError(f"early_chains={self.early_chains} must be a share, from 0 to 1")

    @cached_property
    def vocabulary(self) -> Vocabulary:
        rules = tuple(rule for world in self.worlds for rule in world.vocabulary.rules)
        atoms = tuple(dict.fromkeys(atom for world in self.worlds for atom in world.vocabulary.atoms))
        return Vocabulary(rules, atoms)

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for world in self.worlds for kind in world.kinds)

    @cached_property
    def firsts(self) -> list[int]:
        """The number of each world's first rule among all rules, and then the number of all rules."""
        return np.cumsum([0, *(len(world.vocabulary.rules) for world in self.worlds)]).tolist()

    @cached_property
    def ours(self) -> list[NDArray[np.int16]]:
        """For each world, the ids that its symbols have in the mixture (V of the world,)."""
        return [
            np.array([self.vocabulary.ids[name] for name in world.vocabulary.symbols], dtype=np.int16)
            for world in self.worlds
        ]

    @cached_property
    def theirs(self) -> list[NDArray[np.int16]]:
        """For each world, the ids that the symbols of the mixture have in it (V,). A symbol that it lacks is its noise
        token.
        """
        return [
            np.array([world.vocabulary.ids.get(name, UNKNOWN) for name in self.vocabulary.symbols], dtype=np.int16)
            for world in self.worlds
        ]

    @cached_property
    def homes(self) -> NDArray[np.intp]:
        """The number of the world that each rule belongs to (R + 1,). The last entry is -1, so that the rule -1, no
        rule, belongs to no world.
        """
        return np.append(np.repeat(np.arange(len(self.worlds)), np.diff(self.firsts)), -1)

    @cached_property
    def train(self) -> Distribution:
        weights = [share / mean_tokens(world) for world, share in zip(self.worlds, self.tokens, strict=True)]
        compositions: list[Composition] = []
        shares: list[float] = []
        chains: list[float] = []
        unseen: list[Composition] = []
        for world, first, weight in zip(self.worlds, self.firsts, weights, strict=False):
            where = world.train
            compositions += [tuple(rule + first for rule in asked) for asked in where.compositions]
            unseen += [tuple(rule + first for rule in asked) for asked in where.held_out.compositions]
            number = len(where.compositions)
            shares += [weight / sum(weights) * share for share in where.shares or [1 / number] * number]
            chains += where.chains or [1.0] * number
        length = max(world.train.length for world in self.worlds)
        return Distribution(
            tuple(compositions), length, Holdout(compositions=tuple(unseen)), shares=tuple(shares), chains=tuple(chains)
        )

    def exposure(self, elements: NDArray[np.int16]) -> NDArray[np.float64]:
        """How often training has each element (B, l), without padding, relative to the mean of the world that knows it,
        (B,).
        """
        found = [
            world.exposure(theirs[elements])
            for world, theirs in zip(self.worlds, self.theirs, strict=True)
            if isinstance(world, Exposed)
        ]
        return np.max(found, axis=0) if found else np.ones(len(elements))

    def after(self, rows: int) -> Distribution:
        if rows >= self.early_rows:
            return self.train
        pairs = zip(self.train.compositions, self.train.chains, strict=True)
        return replace(self.train, chains=tuple(self.early_chains if len(c) > 1 else share for c, share in pairs))

    def problems(
        self, where: Distribution, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        rules = padded(where.compositions)
        own = (self.homes[rules] == self.homes[rules[:, :1]]).cumprod(axis=1).astype(bool) & (rules >= 0)
        self.check(where, rules, own)
        which = choose(where, count, rng)
        elements = np.full((count, where.length), PAD, dtype=np.int16)
        for number in range(len(self.worlds)):
            places = np.flatnonzero(self.homes[rules[:, 0]] == number)
            rows = np.flatnonzero(np.isin(which, places))
            if len(rows):
                parts = np.where(own, rules - self.firsts[number], -1)[places]
                further = ((rules >= 0) & ~own).any(axis=1)[places]
                mine, chosen = self.problems_in(number, where, places, parts, further, len(rows), rng)
                elements[rows, : mine.shape[1]], which[rows] = mine, chosen
        return elements, which

    def check(self, where: Distribution, rules: NDArray[np.intp], own: NDArray[np.bool_]) -> None:
        """Raises ValueError for a composition that recalls a fact about the result of another world, since no fact
        about it is ever stated.
        """
        recalls = np.array([kind == "recall" for kind in (*self.kinds, "compute")])
        if (wrong := (recalls[rules] & ~own).any(axis=1)).any():
            raise ValueError(
                f"{self.spell(where.compositions[int(wrong.argmax())])} recalls something of what another of "
                "task.worlds made, and nobody has stated it: name rules that recall first"
            )

    def problems_in(
        self,
        number: int,
        where: Distribution,
        places: NDArray[np.intp],
        parts: NDArray[np.intp],
        further: NDArray[np.bool_],
        count: int,
        rng: np.random.Generator,
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        """Problems of the world `number`, for the compositions at the indices `places` of `where`: elements, and the
        index of each one's composition in `where`, drawn by their shares. `parts` are the rules of these compositions
        within that world, and `further` marks those in which rules of other worlds follow.
        """
        world = self.worlds[number]
        shares = np.array(where.shares)[places] if where.shares else np.ones(len(places))
        compositions = tuple(tuple(rule for rule in part if rule >= 0) for part in parts.tolist())
        some = Distribution(compositions, self.length_in(number, where), shares=tuple((shares / shares.sum()).tolist()))
        elements, which = world.problems(some, count, rng)
        lacking = np.flatnonzero(further[which])
        for _ in range(TRIES):  # another world goes on from this result, so training must have it
            lacking = lacking[~in_side(world.vocabulary, some, elements[lacking], which[lacking], "train")]
            if not len(lacking):
                return self.ours[number][elements], places[which]
            begun, group = np.unique(parts[which[lacking]], axis=0, return_inverse=True)
            for i, part in enumerate(begun.tolist()):
                rows = lacking[group.ravel() == i]
                alone = replace(some, compositions=(tuple(rule for rule in part if rule >= 0),), shares=())
                elements[rows] = world.problems(alone, len(rows), rng)[0]
        raise ValueError(f"task.worlds: hardly any problem of {some.compositions} is one that training has")

    def length_in(self, number: int, where: Distribution) -> int:
        """The number of atoms of an element in one world, at least 1. It differs from that of the world's training by
        as much as `where` differs from the training of the mixture.
        """
        return max(where.length - self.train.length + self.worlds[number].train.length, 1)

    def size(self, where: Distribution) -> int:
        sizes = []
        for composition in where.compositions:
            number = int(self.homes[composition[0]])
            part = takewhile(lambda rule: self.homes[rule] == number, composition)  # noqa: B023, used at once
            own = tuple(rule - self.firsts[number] for rule in part)
            alone = Distribution((own,), self.length_in(number, where))
            sizes.append(self.worlds[number].size(alone))
        return sum(sizes)

    def apply(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.int16]:
        """The elements after a rule, by the world of the rule. An element with a symbol that this world lacks stays as
        it is.
        """
        number = int(self.homes[rule])
        read = self.theirs[number][elements]
        made = self.ours[number][self.worlds[number].apply(rule - self.firsts[number], read)]
        return np.where((read == UNKNOWN).any(axis=-1, keepdims=True), elements, made)

    def render(
        self, elements: NDArray[np.int16], composition: Composition, executed: Composition | None = None
    ) -> Batch:
        return open_problems(self.apply, self.vocabulary.first_rule, elements, composition, executed)

    def direct(self, elements: NDArray[np.int16], composition: Composition) -> Batch:
        return open_problems(self.apply, self.vocabulary.first_rule, elements, composition, chain=False)

    def spell(self, composition: Composition) -> str:
        return ":".join(self.vocabulary.rules[rule].strip("[]") for rule in composition)


def mixture(worlds: dict[str, Terse], tokens: dict[str, float], early_rows: int, early_chains: float) -> Mixture:
    """A Mixture of `worlds`, with the share of all tokens of each in `tokens`, both by name. Raises ValueError if the
    names differ.
    """
    if set(worlds) != set(tokens):
        raise ValueError(f"tokens names {', '.join(tokens)}, and worlds {', '.join(worlds)}: name the same")
    return Mixture(tuple(worlds.values()), tuple(tokens[name] for name in worlds), early_rows, early_chains)


def mean_tokens(world: Terse) -> float:
    """The mean number of tokens of a row of training."""
    where = world.train
    element = np.full((1, where.length), world.vocabulary.first_atom, dtype=np.int16)
    number = len(where.compositions)
    total = 0.0
    for place, composition in enumerate(where.compositions):
        share = where.shares[place] if where.shares else 1 / number
        chain = where.chains[place] if where.chains else 1.0
        long, short = (write(element, composition).tokens.shape[1] for write in (world.render, world.direct))
        total += share * (chain * long + (1 - chain) * short)
    return total
