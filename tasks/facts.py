"""Facts: entities with random attributes, which only memory can know. A question names an entity and one or two
relations.

    kai lem [age]          4 1 </s>                                     or   [age] 4 1 <answer> 4 1 </s>
    kai lem [boss] [age]   [boss] rud bo [age] 7 0 <answer> 7 0 </s>

Every attribute is drawn uniformly and independently of all others, so a model that has stored all of them has stored
their number times log2 of the number of values, in bits. Facts on the train side of the split are stated in training;
those on the test side can only be guessed. A question of two relations (two hops) is asked only where all facts that it
needs are stated.

Shapes: B rows, l names of an entity (and atoms of an attribute), k relations of a composition.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import log2

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.layouts import open_problems, padded
from alchemy.data.sampling import choose, in_side, stir
from alchemy.data.task import Composition, Distribution, Kind
from alchemy.data.vocabulary import Vocabulary

MOST = 1 << 24  # the most entities that names may make
TRIES = 1000  # the most draws until all facts of a question are stated


@dataclass(frozen=True)
class Facts:
    """`entities` have `length` names out of `names`, and an attribute for each of `relations`: `length` digits out of
    `values`, or, for the first `links` relations, another entity. Questions have one relation, and a share `two_hops`
    of them has two, a link and then any relation. `chains` are the shares of rows with a chain, for one and for two
    relations. Entities occur equally often (`zipf` 0), or the r-th of them in proportion to r to the power of minus
    `zipf`. The seed `draw` decides all facts. Raises ValueError for numbers that do not fit.
    """

    entities: int
    names: int
    length: int
    relations: int
    links: int
    values: int
    two_hops: float
    chains: tuple[float, float]
    zipf: float
    draw: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "chains", tuple(self.chains))
        for name, least in (("names", 1), ("length", 1), ("relations", 1), ("values", 2), ("zipf", 0), ("draw", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)} is too small: set it to {least} or more")
        whole = self.names**self.length
        if whole > MOST:
            raise ValueError(
                f"names={self.names} make {whole} entities of length={self.length}, and {MOST} is the most: lower one"
            )
        if not 1 <= self.entities <= whole:
            raise ValueError(
                f"entities={self.entities} does not fit: names={self.names} make {whole} entities of "
                f"length={self.length}, so set it from 1 to {whole}"
            )
        if not 0 <= self.links < self.relations:
            raise ValueError(f"links={self.links} must be 0 or more, and fewer than relations={self.relations}")
        if not 0 <= self.two_hops < 1 or (self.two_hops and not self.links):
            raise ValueError(
                f"two_hops={self.two_hops} must be from 0 to below 1, and above 0 needs links of 1 or more"
            )
        if len(self.chains) != 2 or not all(0 <= share <= 1 for share in self.chains):
            raise ValueError(
                f"chains={list(self.chains)} must be two shares from 0 to 1, of one-hop and of two-hop rows, such "
                "as [0.25,0.5]"
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        digits = tuple(map(str, range(self.values)))
        return Vocabulary(tuple(f"[r{i + 1}]" for i in range(self.relations)), (*digits, *syllables(self.names)))

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple("recall" for _ in range(self.relations))

    @cached_property
    def people(self) -> NDArray[np.int16]:
        """Token ids of the names of all entities (entities, l), the most frequent one first."""
        first = self.vocabulary.first_atom + self.values
        numbers = np.random.default_rng([self.draw, 2]).permutation(self.names**self.length)[: self.entities]
        return (first + numbers[:, None] // self.names ** np.arange(self.length) % self.names).astype(np.int16)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each entity occurs in questions (entities,), as shares that add up to 1."""
        weights = (1.0 + np.arange(self.entities)) ** -self.zipf
        return weights / weights.sum()

    def exposure(self, elements: NDArray[np.int16]) -> NDArray[np.float64]:
        """How often each entity (B, l) occurs in questions, relative to the mean of all, (B,); 0 for names of no
        entity.
        """
        names = {
            tuple(name): weight * self.entities for name, weight in zip(self.people.tolist(), self.weights, strict=True)
        }
        return np.array([names.get(tuple(name), 0.0) for name in elements.tolist()])

    @property
    def bits(self) -> float:
        """The information in one attribute of digits, in bits."""
        return self.length * log2(self.values)

    @cached_property
    def train(self) -> Distribution:
        hops: list[Composition] = [(relation,) for relation in range(self.relations)]
        pairs = list(product(range(self.links), range(self.relations))) if self.two_hops else []
        shares = [(1 - self.two_hops) / len(hops)] * len(hops)
        shares += [self.two_hops / max(len(pairs), 1)] * len(pairs)
        chains = [self.chains[0]] * len(hops) + [self.chains[1]] * len(pairs)
        return Distribution((*hops, *pairs), self.length, shares=tuple(shares), chains=tuple(chains))

    def problems(
        self, where: Distribution, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        which = choose(where, count, rng)
        if where.length != self.length:  # no entity has so many names; `apply` still gives attributes, never stated
            first = self.vocabulary.first_atom + self.values
            return rng.integers(first, first + self.names, (count, where.length)).astype(np.int16), which
        self.check(where)
        asked, weights = padded(where.compositions)[which], self.weights if self.zipf else None
        who = rng.choice(self.entities, count, p=weights)
        lacking = np.flatnonzero(~self.answerable(who, asked))
        for _ in range(TRIES):
            if not len(lacking):
                return self.people[who], which
            who[lacking] = rng.choice(self.entities, len(lacking), p=weights)
            lacking = lacking[~self.answerable(who[lacking], asked[lacking])]
        names = ", ".join(sorted({self.spell(where.compositions[place]) for place in which[lacking]}))
        raise ValueError(f"task.entities={self.entities}: hardly any has all facts stated that {names} needs: raise it")

    def check(self, where: Distribution) -> None:
        """Raises ValueError for a composition that goes on from an attribute that is no entity."""
        for composition in where.compositions:
            if max(composition[:-1], default=-1) >= self.links:
                raise ValueError(
                    f"task.links={self.links}: {self.spell(composition)} goes on from an attribute that is no entity, "
                    "so ask for others, or raise task.links"
                )

    def answerable(self, who: NDArray[np.intp], asked: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether each question has one relation, or all facts that it needs are stated, as booleans (B,). `who` (B,)
        are numbers of entities, and `asked` (B, k) relations with -1 after the last.
        """
        known = np.ones(len(who), dtype=bool)
        for place in range(asked.shape[1] if asked.shape[1] > 1 else 0):
            rule = asked[:, place]
            known &= (rule < 0) | self.stated[who, rule]
            who = self.linked[who, np.clip(rule, 0, self.links - 1)] if self.links else who
        return known | ((asked >= 0).sum(axis=1) < 2)

    @cached_property
    def stated(self) -> NDArray[np.bool_]:
        """Which facts are on the train side of the split, as booleans (entities, relations)."""
        one_hop = Distribution(tuple((relation,) for relation in range(self.relations)), self.length)
        asked = np.repeat(np.arange(self.relations)[:, None], self.entities, axis=1)
        sides = [in_side(self.vocabulary, one_hop, self.people, which, "train") for which in asked]
        return np.stack(sides, axis=1)

    @cached_property
    def linked(self) -> NDArray[np.intp]:
        """The number of the entity that each link of each entity leads to (entities, links)."""
        return np.stack([self.entity(self.mixed(link, self.people)) for link in range(self.links)], axis=1)

    def size(self, where: Distribution) -> int:
        if where.length != self.length:
            return len(where.compositions) * self.names**where.length
        self.check(where)
        everyone = np.arange(self.entities)
        return sum(
            int(np.count_nonzero(self.answerable(everyone, np.tile(composition, (self.entities, 1)))))
            for composition in where.compositions
        )

    def mixed(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.uint64]:
        """A hash of each fact (B,), computed from the names of the entity and the relation."""
        keys = self.vocabulary.keys
        mixed = np.full(elements.shape[:-1], np.uint64(self.draw))
        for column in np.moveaxis(elements, -1, 0):
            mixed = stir(mixed, keys[column])
        return stir(mixed, keys[self.vocabulary.first_rule + rule])

    def entity(self, mixed: NDArray[np.uint64]) -> NDArray[np.intp]:
        """The number of an entity for each hash."""
        return (scramble(mixed, 0) % np.uint64(self.entities)).astype(np.intp)

    def apply(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.int16]:
        """The attributes (B, l) of elements, which are computed from a hash of names and relation. Any element has one,
        with as many atoms as the element.
        """
        mixed = self.mixed(rule, elements)
        if rule < self.links and elements.shape[-1] == self.length:
            return self.people[self.entity(mixed)]
        digits = [scramble(mixed, place) % np.uint64(self.values) for place in range(elements.shape[-1])]
        return (self.vocabulary.first_atom + np.stack(digits, axis=-1)).astype(np.int16)

    def render(
        self, elements: NDArray[np.int16], composition: Composition, executed: Composition | None = None
    ) -> Batch:
        return open_problems(self.apply, self.vocabulary.first_rule, elements, composition, executed)

    def direct(self, elements: NDArray[np.int16], composition: Composition) -> Batch:
        return open_problems(self.apply, self.vocabulary.first_rule, elements, composition, chain=False)

    def spell(self, composition: Composition) -> str:
        return ":".join(f"r{rule + 1}" for rule in composition)


def scramble(mixed: NDArray[np.uint64], place: int) -> NDArray[np.uint64]:
    """A random-looking number for each of `mixed`, independent for each `place`: the finaliser of SplitMix64."""
    with np.errstate(over="ignore"):
        mixed = mixed + np.uint64((place + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def syllables(number: int) -> tuple[str, ...]:
    """`number` different names of equally many syllables, as few as suffice: ba, be, ..., or baba, babe, ..."""
    found = [""]
    while len(found) < number:
        found = [name + consonant + vowel for name in found for consonant in "bdfghjklmnprstvz" for vowel in "aeiou"]
    return tuple(found[:number])
