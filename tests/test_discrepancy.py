"""Discrepancy: by hand, and against every prompt of a small world written out with its probability."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from alchemy.batch import Role
from alchemy.discrepancy import alignment, discrepancy, length_gap, novelty, overlap, total_variation
from alchemy.noise import NOISE_DOMAINS, NOISE_KINDS, Noise
from alchemy.seeds import stream
from alchemy.shift import AXES, compose, lengthen, move, number_of, swap
from alchemy.task import Distribution, draw
from alchemy.vocabulary import UNKNOWN
from tasks.cipher import Cipher
from tests.conftest import conformance

RULES = ("rotate 13", "roll 1", "reverse")


def make(*training, cot=True, length=4, shares=(), **kept):
    settings = {"unseen_atoms": "", "unseen_places": 0, "seen_places": 0} | kept
    return Cipher(RULES, training, length, shares=shares, cot=cot, **settings)


def at(task, name):
    composition = task.parse(name)
    if task.train.compositions == (composition,):
        return task.train
    return compose(task, number_of(composition, 3))


@pytest.mark.parametrize("case", conformance("task_complexity")["cases"], ids=str)
def test_novelty_is_the_paper_s(case):
    task = make(*case["train"])
    assert novelty(task.train, at(task, case["test"])) == case["T"]


def test_novelty_counts_atoms():
    task = make("F1F2", seen_places=4, unseen_atoms="Z")
    assert novelty(task.train, move(task, 3)) == 3
    assert novelty(task.train, swap(task, 2)) == 2
    assert novelty(task.train, lengthen(task, 1)) == 1
    assert novelty(task.train, replace(at(task, "F3F3"), novel_places=1)) == 1 + 2 + 1


def test_length_gaps_are_tokens():
    task = make("F1F2")  # l + 2 + 1, l + 1 + 1 + l + 1
    assert length_gap(task, task.train, lengthen(task, 2)) == 6
    assert length_gap(task, task.train, lengthen(task, -1)) == 3
    assert length_gap(task, task.train, at(task, "F2F1")) == 0


def test_total_variation_of_compositions_by_hand():
    task = make("F1F1", "F1F2", shares=(0.9, 0.1))
    assert total_variation(task, task.train, task.train) == 0
    assert total_variation(task, task.train, at(task, "F1F2")) == pytest.approx(0.9)
    assert total_variation(task, task.train, at(task, "F2F2")) == 1
    assert overlap(task, task.train, at(task, "F1F2")) == 1
    assert overlap(task, task.train, at(task, "F2F2")) == 0


def prompts(task, where):
    """Every prompt of `where` with its probability, noise written out token by token."""
    atoms = range(task.vocabulary.first_atom, len(task.vocabulary))
    chances = Counter()
    shares = where.shares or (1 / len(where.compositions),) * len(where.compositions)
    for (composition, share), element in product(
        zip(where.compositions, shares, strict=True), product(atoms, repeat=where.length)
    ):
        row = task.render(np.array([element], dtype=np.int16), composition)
        prompt = [(int(t), int(r)) for t, r in zip(row.tokens[0], row.role[0], strict=True) if r <= Role.INSTRUCTION]
        noise = where.noise or Noise("modify", "all", 0.0)
        options = []
        for token, role in prompt:
            hit = noise.rate if noise.domain == "all" or role == Role[noise.domain.upper()] else 0.0
            done = {"insert": (UNKNOWN, token), "delete": (), "modify": (UNKNOWN,)}
            kinds = done if noise.kind == "hybrid" else {noise.kind: done[noise.kind]}
            options.append([((token,), 1 - hit), *((tokens, hit / len(kinds)) for tokens in kinds.values())])
        for outcome in product(*options):
            tokens = tuple(token for part, _ in outcome for token in part)
            chances[tokens] += share * 26.0**-where.length * np.prod([chance for _, chance in outcome])
    return Counter({prompt: chance for prompt, chance in chances.items() if chance})


@pytest.mark.parametrize("cot", [True, False])
@pytest.mark.parametrize("domain", NOISE_DOMAINS)
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_by_writing_every_prompt_out(kind, domain, cot):
    """Deleting a rule can lead to another prompt of training, where that asks for chains of one and of two rules."""
    task = make("F1F2", "F1", "F2F2", cot=cot, length=1, shares=(0.5, 0.3, 0.2))
    where = replace(task.train, noise=Noise(kind, domain, 0.3))
    clean, noisy = prompts(task, task.train), prompts(task, where)
    assert sum(noisy.values()) == pytest.approx(1)
    slow = 0.5 * sum(abs(clean[prompt] - noisy[prompt]) for prompt in clean | noisy)
    assert total_variation(task, task.train, where) == pytest.approx(slow)
    assert overlap(task, task.train, where) == pytest.approx(sum(noisy[prompt] for prompt in clean))


def test_alignment_by_hand():
    task = make("F1F2", unseen_atoms="Z")
    assert alignment(task, draw(task, task.train, 64, stream(0, "test"))) == pytest.approx(1)
    assert alignment(task, draw(task, swap(task, 1), 64, stream(0, "test"))) == pytest.approx(6 / 7)
    assert alignment(task, draw(task, at(task, "F2F1"), 64, stream(0, "test"))) == pytest.approx(5 / 7)
    assert alignment(task, draw(task, at(task, "F1"), 64, stream(0, "test"))) == pytest.approx(5 / np.sqrt(6 * 7))
    everything = Distribution(task.train.compositions, 4, noise=Noise("delete", "all", 1.0))
    assert alignment(task, draw(task, everything, 64, stream(0, "test"))) == pytest.approx(0)


def test_training_is_no_distance_from_itself_in_every_world(task):
    batch = draw(task, task.train, 200, stream(0, "test"))
    found = {name: value for name, (value, _) in discrepancy(task, task.train, batch).items()}
    assert found == pytest.approx(
        {"total_variation": 0, "overlap": 1, "novelty": 0, "length_gap": 0, "alignment": 1}, abs=1e-9
    )


def test_no_level_is_closer_than_training_in_any_world(task):
    for axis in AXES:
        try:
            where = AXES[axis](task, 1)
            batch = draw(task, where, 200, stream(0, "test"))
        except ValueError:
            continue
        found = {name: value for name, (value, _) in discrepancy(task, where, batch).items()}
        assert 0 < found["total_variation"] <= 1, axis
        assert found["total_variation"] >= 1 - found["overlap"] - 1e-9, axis
        assert 0 <= found["alignment"] <= 1 + 1e-9, axis
