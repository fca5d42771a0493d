"""Laws of a world that also answers without a chain, by the same prompt: what both modes write, and how often."""

from dataclasses import replace

import numpy as np

from alchemy.data.answers import same
from alchemy.data.batch import Batch, Role, left_justify
from alchemy.data.sampling import problems_of, render
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift, asking
from alchemy.data.task import terse
from alchemy.data.vocabulary import ANSWER, PAD
from alchemy.testing.grounds import Broken, Grounds, Rows, at
from alchemy.testing.law import stated
from alchemy.testing.laws_of_shifts import SHIFT_LAWS
from alchemy.testing.laws_of_worlds import WORLD_LAWS, alike


def answer_tokens(direct: Batch) -> int:
    """Returns the number of tokens of the answer and its end symbol."""
    return int((direct.role[0] == Role.ANSWER).sum())


@stated(SHIFT_LAWS, "both modes ask alike and answer alike", worlds=terse)
def modes_agree(grounds: Grounds, shift: Shift) -> None:
    task = grounds.task
    assert terse(task)
    atom, rule = task.vocabulary.first_atom, task.vocabulary.first_rule
    for level, where in grounds.reached(shift):
        elements, which = task.problems(where, 300, stream(0, "modes"))
        for number in np.unique(which)[:20]:
            asked = where.compositions[number]
            chain, direct = (write(elements[which == number], asked) for write in (task.render, task.direct))
            rows = Rows(task, chain, 0, f'problems for "modes", {task.spell(asked)}, {at(shift, level)}')
            prompt, end = left_justify(chain.prompt(), chain.prompt() != PAD), answer_tokens(direct)
            rows.need(same(prompt, direct.tokens[:, :-end]), "with a chain the prompt is another")
            rows.need(same(chain.tokens[:, -end:], direct.tokens[:, -end:]), "with a chain the answer is another")
            rows.need((direct.completion() >= atom).all(axis=1), "a direct completion is more than atoms")
            rows.need(chain.completion()[:, 0] == rule + asked[0], "the chain does not open with its first rule")
            rows.need((chain.completion() == ANSWER).sum(axis=1) == 1, "the chain has no marker, or several")
            steps = np.unique(chain.step[0])[1:]
            rows.need(len(steps) == len(asked), "the chain has other steps than one for each rule")
            for its, step in zip(asked, steps, strict=True):
                written = chain.tokens[:, chain.step[0] == step]
                rows.need(written[:, 0] == rule + its, f"step {step + 1} does not open with its rule")
                rows.need((written[:, 1:] >= atom).all(axis=1), f"step {step + 1} goes on with more than atoms")


@stated(SHIFT_LAWS, "as many rows have chains as the distribution says", worlds=terse)
def chains_by_share(grounds: Grounds, shift: Shift) -> None:
    """Tests levels 0 and 1, for each group of compositions with one share, within five standard errors."""
    task = grounds.task
    for level, where in grounds.reached(shift):
        if len(where.chains) != len(where.compositions):
            raise Broken(f"{at(shift, level)} does not say how many rows of each composition have a chain")
        if level not in (0, 1):
            continue
        rows = grounds.draw(replace(where, noise=None), 20_000, 0, "shares", at=at(shift, level))
        chained = (rows.batch.role == Role.CHAIN).any(axis=1)
        share_of = dict(zip(where.compositions, where.chains, strict=True))
        shares = np.zeros(len(chained))
        for numbers, _, composition in problems_of(rows.batch, task.vocabulary):
            shares[numbers] = share_of[composition]
        for share in np.unique(shares):
            some = shares == share
            off = abs(chained[some].mean() - share)
            if off > 5 * (share * (1 - share) / some.sum()) ** 0.5:
                said = f"{chained[some].mean():.3f} of the rows have a chain, and {share:.3f} should"
                raise Broken(said, rows.row(int(np.flatnonzero(some)[0])))
        rows.need(level != 0 or chained.any(), "training has no chain at all")


@stated(WORLD_LAWS, "rows of either mode are those that the world writes", worlds=terse)
def modes_are_written(grounds: Grounds) -> None:
    task = grounds.task
    assert terse(task)
    elements, which = task.problems(task.train, 400, stream(0, "rows"))
    chained = stream(0, "chained").random(400) < 0.5
    rows = Rows(task, render(task, task.train, elements, which, chained), 0, 'problems for "rows", training')
    held = np.ones(400, dtype=bool)
    for row in range(400):
        write = task.render if chained[row] else task.direct
        alone = write(elements[row : row + 1], task.train.compositions[which[row]])
        held[row] = alike(rows.batch[row : row + 1], alone)[0]
    rows.need(held, "among other problems it is written otherwise than alone")


@stated(WORLD_LAWS, "a level of other compositions has chains as often as training", worlds=terse)
def chains_carry_over(grounds: Grounds) -> None:
    train = grounds.task.train
    if asking(train, train.compositions).chains != train.chains:
        raise Broken("asked for its own compositions, training has other shares of chains")
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
    if not np.allclose(asking(train, (new,)).chains, (own.get(new, chained / every),)):
        raise Broken(f"{grounds.task.spell(new)} has not as many chains as those of its depth")
