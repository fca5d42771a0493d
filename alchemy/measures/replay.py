"""Replay oracle: a predictor that learns nothing and executes the nearest training composition.

It names a rule of the prompt only at a place where training had that rule, and otherwise writes what training wrote
there. On the paper's task shifts it has the scores of Tables 1 and 2 to the printed digit.

Source: arXiv:2508.01191, section 5.1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, Role
from alchemy.data.sampling import problems_of
from alchemy.data.seeds import stream
from alchemy.data.task import Composition, Distribution, Task, terse
from alchemy.data.vocabulary import PAD


def nearest(trained: Sequence[Composition], asked: Composition) -> tuple[Composition, Composition]:
    """Rules that the oracle names, and rules that it executes, if `asked` is the composition of the prompt.

    It executes the training composition that begins most like `asked`, then has most places in common with it, then is
    first. At each place of that composition it names the rule of `asked`, if some training composition has it there,
    and else the rule that it executes.

    >>> nearest([(0, 1), (1, 0)], asked=(0, 0))
    ((0, 0), (0, 1))
    """

    def likeness(composition: Composition) -> tuple[int, int]:
        same = [a == b for a, b in zip(composition, asked, strict=False)]
        return (same.index(False) if False in same else len(same)), sum(same)

    if asked in trained:
        return asked, asked
    executed = max(trained, key=likeness)
    seen = {(place, rule) for composition in trained for place, rule in enumerate(composition)}
    named = tuple(
        asked[place] if place < len(asked) and (place, asked[place]) in seen else rule
        for place, rule in enumerate(executed)
    )
    return named, executed


def replay_oracle(task: Task, clean: Batch) -> NDArray[np.int16]:
    """(B, C) completions that the oracle writes after the prompts of `clean`, padded on the right.

    `clean` has no noise. The oracle's elements have training's length, or the nearest one of training: a longer element
    loses its last atoms, and a shorter one goes on from its first. If a world answers both with and without a chain,
    the oracle writes one where gold has one.

    >>> import alchemy as al
    >>> task = al.compose("task=cipher").task
    >>> rows = al.draw(task, task.train, 5, al.stream(0, "look"))
    >>> bool((replay_oracle(task, rows) == rows.completion()).all())
    True
    """
    completion = np.full((len(clean), 0), PAD, dtype=np.int16)
    chained = (clean.role == Role.CHAIN).any(axis=1) if terse(task) else np.ones(len(clean), dtype=bool)
    trained = tuple(dict.fromkeys(composition for part in task.train.parts() for composition in part.compositions))
    lengths: dict[int, set[int]] = {}  # atoms of training's elements, by first rule
    for rows, elements, asked in problems_of(clean, task.vocabulary):
        named, executed = nearest(trained, asked)
        if executed[0] not in lengths:
            lengths[executed[0]] = lengths_of(task, executed[0])
        length = min(lengths[executed[0]], key=lambda known: (abs(known - elements.shape[1]), known))
        places = np.arange(length) % elements.shape[1]
        for some, chain in ((chained[rows], True), (~chained[rows], False)):
            if some.any():
                own = elements[some][:, places]
                batch = task.direct(own, executed) if terse(task) and not chain else task.render(own, named, executed)
                written = batch.completion()
                if (more := written.shape[1] - completion.shape[1]) > 0:
                    completion = np.pad(completion, ((0, 0), (0, more)))
                completion[rows[some], : written.shape[1]] = written
    return completion


def lengths_of(task: Task, rule: int) -> set[int]:
    """Atoms that elements have in training, in compositions that open with this rule."""
    if not terse(task):
        return {part.length for part in task.train.parts()}
    elements, _ = task.problems(Distribution(((rule,),), task.train.length), 1, stream(0, "length"))
    return {int((elements != PAD).sum())}
