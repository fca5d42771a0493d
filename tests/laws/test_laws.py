"""Laws that hold in every world and on every axis; a new file in conf/task is under them unasked."""

from dataclasses import replace
from functools import wraps
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from alchemy.data.answers import verify
from alchemy.data.batch import Role, left_justify
from alchemy.data.noise import NOISE_DOMAINS, NOISE_KINDS
from alchemy.data.sampling import draw, in_side, problems_of, render, span
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, asking, corrupt
from alchemy.data.task import terse
from alchemy.data.vocabulary import ANSWER, END, PAD
from alchemy.models.decoding import complete, follows_gold, to_tensor
from alchemy.training.packing import counted, loss_of, targets
from tests.helpers.worlds import WORLDS, tiny_model

LEVELS = range(-3, 7)


def once(work):
    """`work`, done once for each of WORLDS, which cannot all be hashed, and what else it is given."""
    kept = {}

    @wraps(work)
    def known(task, *more):
        key = (id(task), *more)
        if key not in kept:
            kept[key] = work(task, *more)
        return kept[key]

    return known


@once
def reachable(task, axis):
    """Level and Distribution wherever the axis has that level and the world problems at it; elsewhere either must say
    so in a sentence.
    """
    found = []
    for level in LEVELS:
        names = f"shift.axis={axis}"
        try:
            where = AXES[axis](task, level)
            names = "task."
            draw(task, where, 1, stream(0, "reachable"))
            found.append((level, where))
        except ValueError as error:
            assert names in str(error)
            assert level != 0
    return found


def problems(batch):
    """One text per row: its element and rules, whatever the width of the batch."""
    content = np.where(batch.role <= Role.TRANSFORMATION, batch.tokens, PAD)
    return [tuple(row[row != PAD].tolist()) for row in content]


@pytest.mark.parametrize("axis", AXES)
def test_level_zero_is_training(task, axis):
    assert AXES[axis](task, 0) == task.train


@pytest.mark.parametrize("axis", AXES)
def test_every_other_level_moves_the_distribution(task, axis):
    moved = [where for _, where in reachable(task, axis)]
    assert len(set(moved)) == len(moved), "two levels are the same distribution"


def test_a_task_shift_leaves_the_support(task):
    for level, where in reachable(task, "task"):
        if level:
            assert not set(where.compositions) & set(task.train.compositions)


@pytest.mark.parametrize("domain", NOISE_DOMAINS)
@pytest.mark.parametrize("kind", NOISE_KINDS)
def test_noise_leaves_problems_chain_and_answer_untouched(task, kind, domain):
    clean = draw(task, task.train, 256, stream(0, "test"))
    for level in (1, 6, 20):
        noisy = draw(task, corrupt(task, level, kind, domain), 256, stream(0, "test"))
        assert_array_equal(noisy.completion(), clean.completion())
        gold = [batch.tokens[(batch.role == Role.CHAIN) | (batch.role == Role.ANSWER)] for batch in (noisy, clean)]
        assert_array_equal(*gold)


def test_a_token_hit_at_some_level_is_hit_at_every_higher_one(task):
    spared = []
    clean = draw(task, task.train, 512, stream(0, "test"))
    for level in range(1, 20, 3):
        noisy = draw(task, corrupt(task, level, "modify", "all"), 512, stream(0, "test"))
        spared.append(noisy.tokens == clean.tokens)
    for weaker, stronger in pairwise(spared):
        assert (weaker | ~stronger).all()


@pytest.mark.parametrize("axis", AXES)
def test_one_stream_gives_one_batch(task, axis):
    for _, where in reachable(task, axis):
        first, again = (draw(task, where, 64, stream(3, "test")) for _ in range(2))
        assert_array_equal(first.tokens, again.tokens)
        assert_array_equal(first.role, again.role)
        assert_array_equal(first.step, again.step)


def test_other_seeds_and_purposes_give_other_rows(task):
    rows = {
        name: problems(draw(task, task.train, 200, stream(seed, purpose)))
        for name, seed, purpose in (("one", 5, "test"), ("next", 6, "test"), ("other", 5, "valid"))
    }
    for name in ("next", "other"):
        assert rows[name] != rows["one"]
        assert max(sum(a == b for a, b in zip(rows["one"][k:], rows[name], strict=False)) for k in range(5)) < 20


@once
def shown(task):
    """Problems of training, and those that it is watched on."""
    learnt = set(problems(draw(task, task.train, 20_000, stream(0, "train"), "train")))
    watched = set(problems(draw(task, task.train, 5_000, stream(0, "valid"), "valid")))
    return learnt, watched


@pytest.mark.parametrize("axis", AXES)
def test_sides_are_disjoint(task, axis):
    learnt, watched = shown(task)
    assert not learnt & watched
    for _, where in reachable(task, axis):
        if where.noise is None:
            tested = set(problems(draw(task, where, 1_000, stream(0, "test"))))
            assert not tested & (learnt | watched)


def test_every_problem_has_exactly_one_side(task):
    elements, which = task.problems(task.train, 4_000, stream(0, "sides"))
    sides = [in_side(task.vocabulary, task.train, elements, which, side) for side in ("train", "valid", "test")]
    assert_array_equal(np.sum(sides, axis=0), 1)


@pytest.mark.parametrize("axis", AXES)
def test_a_problem_has_the_same_side_wherever_it_is_asked(task, axis):
    for _, where in reachable(task, axis):
        elements, which = task.problems(where, 500, stream(0, "sides"))
        together = in_side(task.vocabulary, where, elements, which, "train")
        for number in np.unique(which):
            composition = where.compositions[number]
            alone = replace(where, compositions=(composition,), shares=(), chains=())
            rows = which == number
            side = in_side(task.vocabulary, alone, elements[rows], which[rows] * 0, "train")
            assert_array_equal(side, together[rows])


def test_a_row_is_the_rendering_of_its_own_problem(task):
    elements, which = task.problems(task.train, 300, stream(0, "rows"))
    batch = render(task, task.train, elements, which)
    for number in np.unique(which):
        composition = task.train.compositions[number]
        rows = np.flatnonzero(which == number)
        alone = task.render(elements[rows], composition)
        width = alone.tokens.shape[1]
        assert_array_equal(batch.tokens[rows, :width], alone.tokens)
        assert_array_equal(batch.role[rows, :width], alone.role)
        assert_array_equal(batch.step[rows, :width], alone.step)
        assert (batch.tokens[rows, width:] == PAD).all()
        assert (batch.role[rows, width:] == Role.PAD).all()


@pytest.mark.parametrize("axis", AXES)
def test_rows_are_well_formed(task, axis):
    for _, where in reachable(task, axis):
        batch = draw(task, where, 128, stream(1, "test"))
        assert batch.tokens.min() >= 0
        assert batch.tokens.max() < len(task.vocabulary)
        assert (np.diff(batch.role, axis=1) >= 0).all(), "parts out of order"
        assert_array_equal(batch.tokens == PAD, batch.role == Role.PAD)
        assert_array_equal((batch.tokens == END).sum(axis=1), 1)
        assert_array_equal(batch.step >= 0, batch.role == Role.CHAIN)
        for step in batch.step:
            inside = step[step >= 0]
            assert not len(inside) or inside[0] == 0
            assert set(np.diff(inside)) <= {0, 1}
        prompt, completion = span(task, where)
        if where.noise is None:
            assert batch.prompt_length.max() <= prompt
        assert batch.completion().shape[1] < completion


@pytest.mark.parametrize("axis", AXES)
def test_the_oracle_knows_right_from_wrong(task, axis):
    for _, where in reachable(task, axis):
        if where.noise is not None:
            continue
        batch = draw(task, where, 64, stream(2, "test"))
        gold = batch.completion()
        assert verify(task, batch, gold).all()
        answer = np.zeros_like(gold, dtype=bool)  # the tokens after the last marker
        for row, tokens in enumerate(gold):
            marks = np.flatnonzero(tokens == ANSWER)
            answer[row, marks[-1] + 1 if len(marks) else 0 :] = True
        answer &= gold != PAD
        for place in np.flatnonzero(answer.any(axis=0)):
            wrong = gold.copy()
            others = np.where(gold[:, place] == len(task.vocabulary) - 1, gold[:, place] - 1, gold[:, place] + 1)
            wrong[:, place] = np.where(answer[:, place], others, gold[:, place])
            assert_array_equal(verify(task, batch, wrong), ~answer[:, place])


def test_training_lacks_what_is_held_out(task):
    batch = draw(task, task.train, 20_000, stream(0, "train"), "train")
    asked = batch.tokens[batch.role == Role.ELEMENT]
    for atom in task.train.held_out.atoms:
        assert not (asked == task.vocabulary.ids[atom]).any(), f"{atom} is asked about in training"


def test_a_tiny_model_learns_eight_rows_by_heart(task):
    batch = draw(task, task.train, 8, stream(0, "heart"), "train")
    model = tiny_model(task)
    assert not follows_gold(model, batch).all()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tokens, wanted = (
        to_tensor(batch.tokens[:, :-1], model),
        to_tensor(targets(batch.tokens, counted(batch, "completion")), model),
    )
    for step in range(1, 401):
        loss = loss_of(model, [(tokens, wanted)])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0 and follows_gold(model, batch).all():
            break
    assert follows_gold(model, batch).all()
    assert_array_equal(complete(model, batch), batch.completion())


MODES = {name: world for name, world in WORLDS.items() if terse(world)}
in_modes = pytest.mark.parametrize("task", MODES.values(), ids=MODES)  # every world that also answers without a chain


@pytest.mark.parametrize("axis", AXES)
@in_modes
def test_both_modes_ask_alike_and_answer_alike(task, axis):
    first = task.vocabulary.first_atom
    for _, where in reachable(task, axis):
        elements, which = task.problems(where, 300, stream(0, "modes"))
        for number in np.unique(which)[:20]:
            mine = [elements[which == number], where.compositions[number]]
            chain, direct = task.render(*mine), task.direct(*mine)
            assert_array_equal(left_justify(chain.prompt(), chain.prompt() != PAD), direct.tokens[:, : -atoms(direct)])
            assert_array_equal(chain.tokens[:, -atoms(direct) :], direct.tokens[:, -atoms(direct) :])
            assert (direct.completion() >= first).all(), "a direct completion is nothing but atoms"
            assert (chain.completion()[:, 0] == task.vocabulary.first_rule + mine[1][0]).all()
            assert_array_equal((chain.completion() == ANSWER).sum(axis=1), 1)
            for rule, row in zip(mine[1], np.unique(chain.step[0])[1:], strict=True):
                written = chain.tokens[:, chain.step[0] == row]
                assert (written[:, 0] == task.vocabulary.first_rule + rule).all()
                assert (written[:, 1:] >= first).all()


def atoms(direct):
    """Tokens of the answer and its end symbol."""
    return int((direct.role[0] == Role.ANSWER).sum())


@in_modes
def test_rows_of_either_mode_are_those_that_the_world_writes(task):
    elements, which = task.problems(task.train, 400, stream(0, "rows"))
    chained = stream(0, "chained").random(400) < 0.5
    batch = render(task, task.train, elements, which, chained)
    for row in range(len(batch)):
        write = task.render if chained[row] else task.direct
        alone = write(elements[row : row + 1], task.train.compositions[which[row]])
        width = alone.tokens.shape[1]
        for name in ("tokens", "role", "step"):
            assert_array_equal(getattr(batch, name)[row, :width], getattr(alone, name)[0])
        assert (batch.role[row, width:] == Role.PAD).all()


@pytest.mark.parametrize("axis", ["task", "length", "format"])
@in_modes
def test_as_many_rows_have_chains_as_the_distribution_says(task, axis):
    """Within five standard errors, of each group of compositions with one share; so level 0 has chains."""
    for level, where in reachable(task, axis):
        assert len(where.chains) == len(where.compositions)
        if level not in (0, 1):
            continue
        batch = draw(task, replace(where, noise=None), 20_000, stream(0, "shares"))
        chained = (batch.role == Role.CHAIN).any(axis=1)
        share_of = dict(zip(where.compositions, where.chains, strict=True))
        shares = np.zeros(len(batch))
        for rows, _, composition in problems_of(batch, task.vocabulary):
            shares[rows] = share_of[composition]
        for share in np.unique(shares):
            rows = shares == share
            assert abs(chained[rows].mean() - share) <= 5 * (share * (1 - share) / rows.sum()) ** 0.5
        assert level or chained.any()


@in_modes
def test_a_level_of_other_compositions_has_chains_as_often_as_training(task):
    train = task.train
    assert asking(train, train.compositions).chains == train.chains
    deepest = max(map(len, train.compositions))
    shares = train.shares or (1 / len(train.compositions),) * len(train.compositions)
    rows = [
        (share, share * chain)
        for composition, share, chain in zip(train.compositions, shares, train.chains, strict=True)
        if len(composition) == deepest
    ]
    every, chained = np.sum(rows, axis=0)
    new = (0,) * deepest
    own = dict(zip(train.compositions, train.chains, strict=True))
    assert asking(train, (new,)).chains == pytest.approx((own.get(new, chained / every),))


UP = range(7)
NOTHING_KEPT_OUT = {"element": [0], "places": [0], "atoms": [0]}
PLAIN = {"composition": [*UP], **NOTHING_KEPT_OUT, "length": [*LEVELS], "steps": [-1, *UP], "format": [*UP]}
REACHED = {  # the levels of LEVELS that each world has
    "arithmetic": PLAIN | {"task": [0, 1], "steps": [0, 3, 4, 5, 6]},  # training has chains of up to three rules
    "cipher": PLAIN | {"task": [0, 1, 2, 3], "element": [0, 1, 2], "places": [*range(5)], "atoms": [*range(5)]},
    "diverse": PLAIN | {"task": [0, 1, 2, 3]},
    "facts": PLAIN | {"task": [0], "length": [-1, *UP], "steps": [0]},  # of a name two atoms; nobody states a third hop
    "mixture": PLAIN | {"task": [0, 1], "length": [-2, -1, *UP], "steps": [0]},
    "page": PLAIN | {"task": [0, 1, 2, 3]},
}


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", WORLDS)
def test_a_world_has_its_levels(name, axis):
    """One that is new, and not in REACHED, has at least a level beside training where every world has some."""
    found = [level for level, _ in reachable(WORLDS[name], axis)]
    if name in REACHED:
        assert found == REACHED[name].get(axis, found)  # an axis of one's own has no number here
    else:
        assert len(found) > (axis in ("composition", "length", "format"))
