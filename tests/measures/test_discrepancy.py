"""Discrepancy: by hand, and against every prompt of a small world written out with its probability."""

from collections import Counter
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from alchemy.data.batch import Role, concatenate
from alchemy.data.noise import NOISE_DOMAINS, NOISE_KINDS, Noise, perturb
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, isolate, lengthen, move, number_of, swap
from alchemy.data.task import Distribution
from alchemy.data.vocabulary import PAD, UNKNOWN
from alchemy.measures.discrepancy import alignment, discrepancies, groups, length_gap, novelty, overlap, total_variation
from tasks.cipher import Cipher
from tests.helpers.worlds import conformance

RULES = ("rotate 13", "roll 1", "reverse")


def make(*training, cot=True, length=4, shares=(), **kept):
    settings = {"unseen_atoms": "", "unseen_places": 0, "seen_places": 0} | kept
    return Cipher(RULES, training, length, shares=shares, cot=cot, **settings)


def at(task, name):
    composition = task.parse(name)
    if task.train.compositions == (composition,):
        return task.train
    return isolate(task, number_of(composition, 3))


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
    found = {name: value for name, (value, _) in discrepancies(task, task.train, batch).items()}
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
        found = {name: value for name, (value, _) in discrepancies(task, where, batch).items()}
        assert 0 < found["total_variation"] <= 1, axis
        assert found["total_variation"] >= 1 - found["overlap"] - 1e-9, axis
        assert 0 <= found["alignment"] <= 1 + 1e-9, axis


def test_noise_leaves_what_it_hits_and_marks_it_and_keeps_where_steps_are():
    """Row by row: each token of the prompt as it was, or hit; chain and answer with their roles and steps; padding."""
    task = make("F1F2F1", "F2F1")
    clean = draw(task, task.train, 300, stream(0, "rows"))
    for kind in NOISE_KINDS:
        noisy = perturb(clean, Noise(kind, "all", 0.4), stream(0, "noise"))
        sizes = set()
        for before, role, step, after, its, number in zip(*arrays(clean), *arrays(noisy), strict=True):
            gold, told = (role > Role.INSTRUCTION) & (role < Role.PAD), (its > Role.INSTRUCTION) & (its < Role.PAD)
            for one, other in ((before, after), (role, its), (step, number)):
                assert one[gold].tolist() == other[told].tolist()
            assert (number[its <= Role.INSTRUCTION] == -1).all()
            assert (after[its == Role.PAD] == PAD).all()
            assert (number[its == Role.PAD] == -1).all()
            assert (np.diff(its) >= 0).all()
            sizes.add(int((its < Role.PAD).sum()))
        assert len(sizes) > 4 or kind == "modify"
        assert ((noisy.tokens[:, -1] != PAD) & (noisy.role[:, -1] != Role.PAD)).any()  # no wider than the longest row


def arrays(batch):
    return batch.tokens, batch.role, batch.step


def test_a_hit_of_hybrid_noise_is_each_of_the_three_as_often():
    """At a rate of .3 a prompt of 7 tokens has 2.1 hits: .7 put in and .7 replaced are marks, .7 put in and .7 deleted
    leave it as long as it was.
    """
    task = make("F1F2")
    clean = draw(task, task.train, 20_000, stream(0, "rows"))
    noisy = perturb(clean, Noise("hybrid", "all", 0.3), stream(0, "noise"))
    assert (noisy.tokens == UNKNOWN).sum(axis=1).mean() == pytest.approx(1.4, abs=0.03)
    assert noisy.prompt_length.mean() == pytest.approx(7, abs=0.03)
    for kind, marks, length in (("insert", 2.1, 9.1), ("delete", 0, 4.9), ("modify", 2.1, 7)):
        noisy = perturb(clean, Noise(kind, "all", 0.3), stream(0, "noise"))
        assert (noisy.tokens == UNKNOWN).sum(axis=1).mean() == pytest.approx(marks, abs=0.03)
        assert noisy.prompt_length.mean() == pytest.approx(length, abs=0.03)


def test_rates_are_shares():
    assert Noise("insert", "all", 0).rate == 0
    assert Noise("insert", "all", 1).rate == 1
    for rate in (-0.01, 1.01):
        with pytest.raises(ValueError, match=f"a noise rate of {rate} is no share"):
            Noise("insert", "all", rate)


def test_what_survives_deletion_by_hand():
    """F1F2 and F1, half of training each, tokens deleted at a rate of .1: a letter, two rules and a mark stay whole at
    .9^4; without the letter it is a prompt of another length, and without a rule F1 or F2 with the mark of a chain,
    which no prompt of one rule has.
    """
    task = make("F1F2", "F1", length=1)
    where = replace(task.train, noise=Noise("delete", "all", 0.1))
    assert total_variation(task, task.train, where) == pytest.approx(1 - (0.9**4 + 0.9**3) / 2)
    plain = make("F1F2", "F1", length=1, cot=False)  # there all have the same mark: F1F2 less F2 is F1
    where = replace(plain.train, noise=Noise("delete", "transformation", 0.1))
    lost = 0.9 * 0.1
    assert overlap(plain, plain.train, where) == pytest.approx((0.9**2 + lost + 0.9) / 2)
    assert total_variation(plain, plain.train, where) == pytest.approx(1 - (0.81 + min(0.9 + lost, 1.0)) / 2)
    third = replace(plain.train, noise=Noise("hybrid", "transformation", 0.3))  # a third of the hits delete
    assert overlap(plain, plain.train, third) == pytest.approx((0.7**2 + 0.7 * 0.1 + 0.7) / 2)


def test_a_share_that_is_smaller_elsewhere_is_what_both_have():
    one, other = (make("F1F1", "F1F2", "F2F1", shares=shares).train for shares in ((0.5, 0.3, 0.2), (0.2, 0.2, 0.6)))
    assert total_variation(make("F1F1"), one, other) == pytest.approx(1 - (0.2 + 0.2 + 0.2))
    assert overlap(make("F1F1"), one, replace(other, compositions=((0, 0), (1, 1), (2, 2)))) == pytest.approx(0.2)


def test_novelty_by_hand():
    """Half of the problems ask for one unseen rule in a new composition, a fifth for two, the rest for training's."""
    task = make("F1F2", "F2F1", seen_places=4)
    where = replace(task.train, compositions=((0, 2), (2, 2), (0, 1)), shares=(0.5, 0.2, 0.3))
    assert novelty(task.train, where) == pytest.approx(0.5 * (1 + 1) + 0.2 * (2 + 1))
    assert novelty(task.train, replace(where, novel_places=2, length=6)) == pytest.approx(2 + 2 + 1.6)
    assert novelty(task.train, replace(where, length=3)) == pytest.approx(1.6)


def test_the_alignment_of_each_prompt_by_hand():
    """Of the 8 tokens of A B C D E [F1] [F2] <think>, A B C D [F2] [F1] <think> has the four letters and [F1] in their
    places, of its 7; of A B [F1] [F2] <think> two letters; a letter that training never has anywhere is none.
    """
    task = make("F1F2", "F2F1", unseen_atoms="Z")

    def nearest(text, rules):
        atoms = task.vocabulary.encode(text)[None]
        return float(alignment(task, task.render(atoms, rules))[0])

    assert nearest("A B C D", (0, 1)) == pytest.approx(1)
    assert nearest("A B C Z", (1, 0)) == pytest.approx(6 / 7)
    assert nearest("A B C D", (0, 0)) == pytest.approx(6 / 7)  # of either composition one rule
    assert nearest("A B C D", (2, 2)) == pytest.approx(5 / 7)
    assert nearest("A B C D E", (0, 1)) == pytest.approx(5 / 56**0.5)
    assert nearest("A B", (0, 1)) == pytest.approx(2 / 35**0.5)
    assert nearest("Z Z Z Z", (2, 2)) == pytest.approx(1 / 7)


def test_very_many_compositions_are_grouped_by_length_and_first_rule():
    few = tuple(product(range(4), repeat=3))
    assert groups(few) == [(composition,) for composition in few]  # 64
    assert [len(group) for group in groups((*few, (0,)))] == [16, 16, 16, 16, 1]
    many = (*few, (0,), (0, 1), (1, 1), (0, 2))
    found = groups(many)
    assert [len(group) for group in found] == [16, 16, 16, 16, 1, 2, 1]
    assert found[0] == few[:16]
    assert found[5] == ((0, 1), (0, 2))


def test_grouped_compositions_are_as_near_as_single_ones(monkeypatch):
    task = make("F1F2", "F2F1", "F2F2", "F1")
    batch = draw(task, at(task, "F3F1"), 32, stream(0, "test"))
    alone = alignment(task, batch)
    monkeypatch.setattr("alchemy.measures.discrepancy.ALONE", 3)
    assert alignment(task, batch) == pytest.approx(alone)
    assert alone == pytest.approx(6 / 7)


def test_the_error_of_an_alignment_is_that_of_a_mean():
    """Of 100 prompts, half are training's own and half have 6 of 7 tokens of one."""
    task = make("F1F2", unseen_atoms="Z")
    known, new = draw(task, task.train, 50, stream(0, "test")), draw(task, swap(task, 1), 50, stream(0, "test"))
    found = discrepancies(task, swap(task, 1), concatenate([known, new]))
    assert found["alignment"] == (pytest.approx(13 / 14), pytest.approx(1 / 14 / 10))
    exact = {"total_variation": 1.0, "overlap": 0.0, "novelty": 1.0, "length_gap": 0.0}
    assert {name: found[name] for name in exact} == {name: (value, 0.0) for name, value in exact.items()}
