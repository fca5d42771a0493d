"""The cipher task: short elements of letters, which compositions of rules rotate, shift and reverse.

A problem is an element and a composition. The chain writes every intermediate element with the rules that are still to
apply, exactly as the published data set does:

    A B C D [F1] [F2] <think>   N O P Q [F2]   <answer> O P Q N </s>

Source: arXiv:2508.01191, section 4.1; the token order is that of its released data.

Shapes: B rows, l atoms of an element, k rules of a composition, T tokens, V symbols.
"""

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import prod
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch
from alchemy.data.kinds import quoted
from alchemy.data.layouts import layout
from alchemy.data.sampling import choose
from alchemy.data.task import Composition, Distribution, Holdout, Side
from alchemy.data.vocabulary import Vocabulary
from tasks.published import Problems, check_sides, read, sides

RULE = re.compile(r"rotate (-?\d+)|roll (-?\d+)|(reverse)|permute (\d+(?: \d+)*)|substitute ([A-Z]{26})")
SPELLED = "'rotate 13', 'roll 1' (any number), 'reverse', 'permute 1 0 2 3' or 'substitute' and 26 letters"


class UnknownRule(ValueError, KeyError):
    """A composition names a rule that the world does not have."""

    __str__ = ValueError.__str__


@dataclass(frozen=True)
class Cipher:
    """`rules` are [F1], [F2], ... in order, each `rotate n` (every letter moves n on in the alphabet), `roll n` (the
    element moves n to the left, cyclically), `reverse`, `permute` with the place (from 0) that each letter comes from,
    or `substitute` with what each letter of the alphabet becomes. Training draws the compositions `training`, in
    `shares` (empty: equally often; otherwise scaled to add up to 1), on elements of `length` letters.

    Training never has the letters of `unseen_atoms`. With `unseen_places` n above 0, it never has a letter at a place
    whose number equals the letter's modulo n; with `seen_places` n above 0, it has each letter only at such places.
    Letters and places are numbered from 0. `unseen` are compositions kept out of training, which stand for all new
    ones; `also` are Distributions that training has beside its own. `cot` writes chains; without it, prompts ask for
    the answer at once. With `source`, a file of the published schema, the problems of training are those of the file,
    and no letters or places are kept out. Raises ValueError for settings that do not fit.
    """

    rules: tuple[str, ...]
    training: tuple[str, ...]
    length: int
    unseen_atoms: str
    unseen_places: int
    seen_places: int
    shares: tuple[float, ...]
    cot: bool
    source: str = ""
    unseen: tuple[Composition, ...] = ()
    also: tuple[Distribution, ...] = ()
    problems_read: Problems = field(default_factory=dict, init=False, repr=False, compare=False)
    sides_read: dict[Composition, set[Side]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "training", tuple(self.training))
        object.__setattr__(self, "shares", tuple(map(float, self.shares)))
        if not self.rules:
            raise ValueError("rules is empty: name at least one, such as ['rotate 13']")
        for rule in self.rules:
            if not RULE.fullmatch(rule):
                raise ValueError(f"rules names {quoted(rule)}: write {SPELLED}")
            self.check_order(rule)
        if self.length < 1:
            raise ValueError(f"length={self.length} leaves no letters: set it to 1 or more")
        if not self.training:
            raise ValueError("training is empty: name at least one composition, such as [F1F2]")
        if self.shares and (len(self.shares) != len(self.training) or min(self.shares) < 0 or sum(self.shares) <= 0):
            raise ValueError(
                f"shares={list(self.shares)} must give each of the {len(self.training)} compositions of "
                "training a share of 0 or more, not all 0; or leave them empty, []"
            )
        if len(set(map(self.parse, self.training))) < len(self.training):
            raise ValueError(f"training={list(self.training)} names a composition twice: name each once")
        self.check_held_out()
        if self.source:
            self.take(read(self.source, replace(self, source="")))

    def check_order(self, rule: str) -> None:
        """Raises ValueError for a rule that does not have each place, or each letter, once."""
        *_, places, letters = RULE.fullmatch(rule).groups()  # type: ignore[union-attr]
        if places and sorted(map(int, places.split())) != [*range(len(places.split()))]:
            raise ValueError(
                f"rules names {quoted(rule)}: write each place once, counted from 0, as in permute 1 0 2 3"
            )
        if places and len(places.split()) > self.length:
            raise ValueError(f"rules names {quoted(rule)}, for more places than length={self.length}: raise length")
        if letters and len(set(letters)) < 26:
            raise ValueError(f"rules names {quoted(rule)}: write each letter of the alphabet once")

    def check_held_out(self) -> None:
        """Raises ValueError for letters or places that cannot be kept out of training."""
        if strange := set(self.unseen_atoms) - set(ascii_uppercase):
            raise ValueError(f"unseen_atoms={self.unseen_atoms} has {min(strange)!r}: use letters A to Z alone")
        for name in ("unseen_places", "seen_places"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} is negative: use 0 for none, or 2 or more")
        if self.unseen_places and self.seen_places:
            raise ValueError("unseen_places and seen_places cannot both be set: set one of them to 0")
        if any(len(self.atoms_at(i)[0]) == 0 for i in range(self.length)):
            raise ValueError(
                f"unseen_atoms={self.unseen_atoms} and unseen_places={self.unseen_places} leave a place "
                "without any letter in training: keep fewer letters out"
            )

    def take(self, problems: Problems) -> None:
        """Makes the problems of a file the problems of training."""
        own = {
            "problems_read": problems,
            "sides_read": sides(problems, self.vocabulary),
            "training": tuple(map(self.spell, problems)),
            "length": next(iter(problems.values())).shape[1],
            "shares": tuple(float(len(elements)) for elements in problems.values()),
            **{"unseen_atoms": "", "unseen_places": 0, "seen_places": 0},
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    def read_from(self, where: Distribution) -> bool:
        """Whether problems of `where` are drawn from those of the file: there is one, and it has this length and all
        these compositions.
        """
        return bool(self.source) and where.length == self.length and set(where.compositions) <= set(self.problems_read)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(f"[F{i + 1}]" for i in range(len(self.rules))), tuple(ascii_uppercase))

    @cached_property
    def train(self) -> Distribution:
        held_out = Holdout(tuple(sorted(set(self.unseen_atoms))), self.unseen_places, self.seen_places, self.unseen)
        shares = self.shares or (1.0,) * len(self.training)
        mixed = [(self.parse(name), share) for name, share in zip(self.training, shares, strict=True) if share]
        total = sum(share for _, share in mixed)
        named = tuple(share / total for _, share in mixed) if len(set(shares)) > 1 and len(mixed) > 1 else ()
        compositions = tuple(composition for composition, _ in mixed)
        return Distribution(compositions, self.length, held_out, shares=named, also=self.also)

    def parse(self, name: str) -> Composition:
        """The rule ids of a composition written F1F2, or [F1] [F2]. Raises UnknownRule for a rule that the task lacks,
        and ValueError for a text without rules.
        """
        words = re.findall(r"\[?F\d+\]?|\S+?(?=\[?F\d|\s|$)", name)
        tokens = [word if word.startswith("[") else f"[{word}]" for word in words]
        known = self.vocabulary.rules
        if unknown := [token for token in tokens if token not in known]:
            raise UnknownRule(
                f"composition {name!r} has {unknown[0].strip('[]')}: write it with {', '.join(known)} of task.rules, "
                "such as F1F1"
            )
        if not tokens:
            raise ValueError("a composition needs at least one rule: write it such as F1F2")
        return tuple(known.index(token) for token in tokens)

    def spell(self, composition: Composition) -> str:
        return "".join(self.vocabulary.rules[rule].strip("[]") for rule in composition)

    def apply(self, rule: int, elements: NDArray[np.int16]) -> NDArray[np.int16]:
        """The token ids of elements (..., l) after one rule. `rotate` and `substitute` leave anything that is not a
        letter as it is; `permute` leaves places behind those that it names, and skips those that a short element lacks.
        """
        rotation, shift, _, places, letters = RULE.fullmatch(self.rules[rule]).groups()  # type: ignore[union-attr]
        if rotation:
            return self.letters((np.arange(26) + int(rotation)) % 26)[elements]
        if letters:
            return self.letters(np.frombuffer(letters.encode(), dtype=np.uint8) - ord("A"))[elements]
        if shift:
            return np.roll(elements, -(int(shift) % elements.shape[-1]), axis=-1)
        if places:
            order = [place for place in map(int, places.split()) if place < elements.shape[-1]]
            return elements[..., [*order, *range(len(order), elements.shape[-1])]]
        return elements[..., ::-1]

    def letters(self, become: NDArray[np.integer]) -> NDArray[np.int16]:
        """What each token id becomes (V,), if letters become those of these numbers (26,). Other symbols stay."""
        ids = np.arange(len(self.vocabulary), dtype=np.int16)
        first = self.vocabulary.first_atom
        ids[first:] = first + become
        return ids

    def atoms_at(self, place: int) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
        """Token ids of three kinds of letters: those that training has at `place`, those that it has at other places
        only, and those that it never has.
        """
        letters = np.arange(26, dtype=np.int16)
        unseen = np.isin(letters, [ascii_uppercase.index(atom) for atom in self.unseen_atoms])
        every = self.unseen_places or self.seen_places
        own = (letters % every == place % every) if every else np.zeros(26, dtype=bool)
        novel = (~own if self.seen_places else own) & ~unseen
        kinds = (~unseen & ~novel, novel, unseen)
        return tuple(letters[kind] + self.vocabulary.first_atom for kind in kinds)  # type: ignore[return-value]

    def patterns(self, where: Distribution) -> dict[tuple[int, ...], int]:
        """The possible patterns of an element of `where`, each with the number of elements that have it. A pattern
        gives for each place the kind of its letter, an index into the result of `atoms_at`.
        """
        sizes = [[len(pool) for pool in self.atoms_at(place)] for place in range(where.length)]
        patterns = [
            tuple(1 if i in novel else 2 if i in unseen else 0 for i in range(where.length))
            for novel in combinations(range(where.length), where.novel_places)
            for unseen in combinations(sorted(set(range(where.length)) - set(novel)), where.novel_atoms)
        ]
        return {pattern: prod(sizes[i][kind] for i, kind in enumerate(pattern)) for pattern in patterns}

    def size(self, where: Distribution) -> int:
        if where.also:
            return sum(map(self.size, {part.clean() for part in where.parts()}))
        if self.read_from(where):
            return sum(len(np.unique(self.problems_read[composition], axis=0)) for composition in where.compositions)
        return len(where.compositions) * sum(self.patterns(where).values())

    def elements(self, where: Distribution, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Token ids (count, l) of elements drawn uniformly from those of `where`."""
        pools = [self.atoms_at(place) for place in range(where.length)]
        patterns = self.patterns(where)
        sizes = np.array(list(patterns.values()), dtype=float)
        if not sizes.sum():
            raise ValueError(
                f"no element of {where.length} letters has {where.novel_places} at a new place and "
                f"{where.novel_atoms} unseen: raise task.length, task.unseen_places or task.unseen_atoms"
            )
        which = rng.choice(len(patterns), size=count, p=sizes / sizes.sum()) if len(patterns) > 1 else np.zeros(count)
        elements = np.empty((count, where.length), dtype=np.int16)
        for number, pattern in enumerate(patterns):
            rows = slice(None) if len(patterns) == 1 else np.flatnonzero(which == number)
            size = count if len(patterns) == 1 else len(rows)  # type: ignore[arg-type]
            for place, kind in enumerate(pattern):
                pool = pools[place][kind]
                if len(pool):
                    elements[rows, place] = pool[rng.integers(0, len(pool), size, dtype=np.uint8)]
        return elements

    def numbered(self, numbers: NDArray[np.int64], length: int) -> NDArray[np.int16]:
        """Token ids (B, length) of the elements with these numbers (B,) in lexicographic order, counted from 0."""
        weights = 26 ** np.arange(length - 1, -1, -1, dtype=np.int64)
        return (numbers[:, None] // weights % 26 + self.vocabulary.first_atom).astype(np.int16)

    def render(
        self, elements: NDArray[np.int16], composition: Composition, executed: Composition | None = None
    ) -> Batch:
        states = [elements]
        for rule in executed or composition:
            states.append(self.apply(rule, states[-1]))
        return layout(states, [self.vocabulary.first_rule + rule for rule in composition], self.cot)

    def problems(
        self, where: Distribution, count: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
        if not self.read_from(where):
            return self.elements(where, count, rng), choose(where, count, rng)
        check_sides(self, where)
        which = choose(where, count, rng)
        elements = np.empty((count, where.length), dtype=np.int16)
        for place, composition in enumerate(where.compositions):
            rows = which == place
            read = self.problems_read[composition]
            elements[rows] = read[rng.integers(0, len(read), np.count_nonzero(rows))]
        return elements, which
