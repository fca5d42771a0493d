"""The cipher world: short elements of letters, rotated, shifted and reversed by compositions of rules.

A problem is an element and a composition, and its chain writes every intermediate element with the rules still to
do, exactly as the published data set does:

    A B C D [F1] [F2] <think>   N O P Q [F2]   <answer> O P Q N </s>

Source: arXiv:2508.01191, section 4.1; the token order is that of its released data.
Shapes: B rows, l atoms of an element, k rules of a composition, T tokens.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from math import prod
from string import ascii_uppercase

import numpy as np
from numpy.typing import NDArray

from alchemy.batch import Batch, Role, concatenate
from alchemy.task import Composition, Distribution, Holdout
from alchemy.vocabulary import ANSWER, END, THINK, Vocabulary

RULE = re.compile(r"rotate (-?\d+)|roll (-?\d+)|(reverse)")


class UnknownRule(ValueError, KeyError):
    """A composition names a rule that the world does not have."""

    __str__ = ValueError.__str__


@dataclass(frozen=True)
class Cipher:
    """`rules` are [F1], [F2], ... in order, each `rotate n` (every letter n on), `roll n` (the element n to the
    left, cyclically) or `reverse`. Training draws `training` compositions over elements of `length` letters, never
    the letters of `unseen_atoms`, and each other letter never at place i where i = its number modulo
    `unseen_places` (0: everywhere). `cot` writes chains; without it a prompt asks for the answer at once.
    """

    rules: tuple[str, ...]
    training: tuple[str, ...]
    length: int
    unseen_atoms: str
    unseen_places: int
    cot: bool

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        object.__setattr__(self, "training", tuple(self.training))
        if not self.rules:
            raise ValueError("task.rules is empty: name at least one, such as ['rotate 13']")
        for rule in self.rules:
            if not RULE.fullmatch(rule):
                raise ValueError(f"task.rules names {rule!r}: write 'rotate 13', 'roll 1' (any number) or 'reverse'")
        if self.length < 1:
            raise ValueError(f"task.length={self.length} leaves no letters: set it to 1 or more")
        if strange := set(self.unseen_atoms) - set(ascii_uppercase):
            raise ValueError(f"task.unseen_atoms={self.unseen_atoms} has {min(strange)!r}: use letters A to Z alone")
        if self.unseen_places < 0:
            raise ValueError(f"task.unseen_places={self.unseen_places} is negative: use 0 for none, or 2 or more")
        if not self.training:
            raise ValueError("task.training is empty: name at least one composition, such as [F1F2]")
        if len(set(self.train.compositions)) < len(self.training):
            raise ValueError(f"task.training={list(self.training)} names a composition twice: name each once")
        if any(len(self.atoms_at(i)[0]) == 0 for i in range(self.length)):
            raise ValueError(
                f"task.unseen_atoms={self.unseen_atoms} and task.unseen_places={self.unseen_places} leave a place "
                "without any letter in training: keep fewer letters out"
            )

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tuple(f"[F{i + 1}]" for i in range(len(self.rules))), tuple(ascii_uppercase))

    @cached_property
    def train(self) -> Distribution:
        held_out = Holdout(tuple(sorted(set(self.unseen_atoms))), self.unseen_places)
        return Distribution(tuple(self.parse(name) for name in self.training), self.length, held_out)

    def parse(self, name: str) -> Composition:
        """Rule ids of a composition written F1F2, or [F1] [F2]. Raises UnknownRule, and ValueError for none."""
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
        """(..., l) token ids of elements after one rule; anything that is not a letter stays what it is."""
        rotation, shift, _ = RULE.fullmatch(self.rules[rule]).groups()  # type: ignore[union-attr]
        if rotation:
            return self.rotated(int(rotation))[elements]
        if shift:
            return np.roll(elements, -int(shift), axis=-1)
        return elements[..., ::-1]

    def rotated(self, n: int) -> NDArray[np.int16]:
        """(V,) for each token id the id of the letter n on; other symbols map to themselves."""
        ids = np.arange(len(self.vocabulary), dtype=np.int16)
        first = self.vocabulary.first_atom
        ids[first:] = first + (np.arange(26) + n) % 26
        return ids

    def atoms_at(self, place: int) -> tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int16]]:
        """Token ids of the letters that training puts at `place`, that it puts elsewhere only, and that it lacks."""
        letters = np.arange(26, dtype=np.int16)
        unseen = np.isin(letters, [ascii_uppercase.index(atom) for atom in self.unseen_atoms])
        every = self.unseen_places
        novel = (letters % every == place % every) & ~unseen if every else np.zeros(26, dtype=bool)
        kinds = (~unseen & ~novel, novel, unseen)
        return tuple(letters[kind] + self.vocabulary.first_atom for kind in kinds)  # type: ignore[return-value]

    def elements(self, where: Distribution, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """(count, l) token ids, uniform over the elements of `where`."""
        pools = [self.atoms_at(place) for place in range(where.length)]
        patterns = [
            tuple(1 if i in novel else 2 if i in unseen else 0 for i in range(where.length))
            for novel in combinations(range(where.length), where.novel_places)
            for unseen in combinations(sorted(set(range(where.length)) - set(novel)), where.novel_atoms)
        ]
        sizes = np.array([prod(len(pools[i][kind]) for i, kind in enumerate(p)) for p in patterns], dtype=float)
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
        """(B, length) token ids of the elements with these numbers in lexicographic order, from 0 to 26^length - 1."""
        weights = 26 ** np.arange(length - 1, -1, -1, dtype=np.int64)
        return (numbers[:, None] // weights % 26 + self.vocabulary.first_atom).astype(np.int16)

    def render(self, elements: NDArray[np.int16], composition: Composition) -> Batch:
        """One row per element (B, l) under one composition: prompt, chain, answer and end symbol."""
        B, l = elements.shape
        rules = [self.vocabulary.first_rule + rule for rule in composition]
        chain = self.cot and len(rules) > 1
        columns: list[int | NDArray[np.int16]] = [elements, *rules, THINK if chain else ANSWER]
        role = [Role.ELEMENT] * l + [Role.TRANSFORMATION] * len(rules) + [Role.INSTRUCTION]
        step = [-1] * len(role)
        for i, rule in enumerate(composition[:-1] if chain else ()):
            elements = self.apply(rule, elements)
            block = [THINK] * (i > 0) + [elements] + rules[i + 1 :]
            columns += block
            role += [Role.CHAIN] * (len(block) + l - 1)
            step += [i] * (len(block) + l - 1)
        for rule in composition[-1:] if chain else composition:
            elements = self.apply(rule, elements)
        columns += [ANSWER] * chain + [elements, END]
        role += [Role.ANSWER] * (chain + l + 1)
        step += [-1] * (chain + l + 1)
        tokens = np.empty((B, len(role)), dtype=np.int16)
        at = 0
        for column in columns:
            width = 1 if isinstance(column, int) else l
            tokens[:, at : at + width] = column
            at += width
        shape = tokens.shape
        return Batch(
            tokens,
            np.broadcast_to(np.array(role, dtype=np.int8), shape),
            np.broadcast_to(np.array(step, dtype=np.int8), shape),
        )

    def sample(self, where: Distribution, count: int, rng: np.random.Generator) -> Batch:
        elements = self.elements(where, count, rng)
        if len(where.compositions) == 1:
            return self.render(elements, where.compositions[0])
        which = rng.integers(0, len(where.compositions), count)
        rows = np.argsort(which, kind="stable")
        blocks = np.split(elements[rows], np.cumsum(np.bincount(which, minlength=len(where.compositions)))[:-1])
        batch = concatenate([self.render(block, c) for block, c in zip(blocks, where.compositions, strict=True)])
        back = np.empty_like(rows)
        back[rows] = np.arange(count)
        return batch[back]

    def span(self, where: Distribution) -> tuple[int, int]:
        sizes = [self.render(np.zeros((1, where.length), dtype=np.int16), c).role[0] for c in where.compositions]
        prompts = [int((role <= Role.INSTRUCTION).sum()) for role in sizes]
        return max(prompts), max(len(role) - prompt for role, prompt in zip(sizes, prompts, strict=True))

    def verify(self, batch: Batch, completion: NDArray[np.int16]) -> NDArray[np.bool_]:
        right = np.zeros(len(batch), dtype=bool)
        atoms, rules = ((batch.role == role).sum(axis=1) for role in (Role.ELEMENT, Role.TRANSFORMATION))
        prompts = np.where(batch.role <= Role.INSTRUCTION, batch.tokens, 0)
        written = completion.shape[1] - np.argmax(completion[:, ::-1] == ANSWER, axis=1)  # after the last marker
        start = np.where((completion == ANSWER).any(axis=1), written, 0)
        padded = np.pad(completion, ((0, 0), (0, int(atoms.max(initial=0)) + 1)))
        shapes, kind = np.unique(
            np.column_stack([atoms, rules, np.where(batch.role == Role.TRANSFORMATION, batch.tokens, 0)]),
            axis=0,
            return_inverse=True,
        )
        for number, (l, k, *_) in enumerate(shapes):
            rows = np.flatnonzero(kind.ravel() == number)
            elements = prompts[rows, :l]
            for token in prompts[rows[0], l : l + k]:
                elements = self.apply(int(token) - self.vocabulary.first_rule, elements)
            answers = np.take_along_axis(padded[rows], start[rows, None] + np.arange(l + 1), axis=1)
            right[rows] = (answers[:, :l] == elements).all(axis=1) & (answers[:, l] <= END)
        return right
