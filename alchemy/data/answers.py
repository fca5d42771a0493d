"""Answers of completions: which tokens they are, and whether they are right."""

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, left_justify
from alchemy.data.compositions import follow
from alchemy.data.sampling import problems_of
from alchemy.data.task import Task
from alchemy.data.vocabulary import ANSWER, PAD


def verify(task: Task, clean: Batch, completion: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Whether each completion (B, C) ends in the right answer to its prompt, as booleans (B,).

    The right answer is computed from the problems in `clean`, a batch without noise. The answer of a completion is all
    that follows its last answer marker, or the whole completion if it has none. It must be exactly the atoms of the
    right one.

    >>> from alchemy import compose
    >>> task = compose("task=cipher", "task.training=[F1F2]").task
    >>> rows = task.render(task.vocabulary.encode("A B C D")[None], (0, 1))
    >>> verify(task, rows, rows.completion())
    array([ True])
    """
    right = np.zeros(len(clean), dtype=bool)
    completion = np.pad(completion, ((0, 0), (0, 1)))  # a completion may be empty
    width = completion.shape[1]
    last = width - np.argmax(completion[:, ::-1] == ANSWER, axis=1)  # after the last marker
    start = np.where((completion == ANSWER).any(axis=1), last, 0)
    for rows, elements, composition in problems_of(clean, task.vocabulary):
        l = elements.shape[1]
        padded = np.pad(completion[rows], ((0, 0), (0, l + 1)))
        answers = np.take_along_axis(padded, start[rows, None] + np.arange(l + 1), axis=1)
        right[rows] = (answers[:, :l] == follow(task, elements, composition)).all(axis=1) & (answers[:, l] == PAD)
    return right


def answers(completion: NDArray[np.int16]) -> NDArray[np.int16]:
    """The answer of each completion (B, C), padded on the right: the tokens after its last answer marker, or all of its
    tokens if it has no marker. The width is that of the longest answer.
    """
    markers_from_here = (completion == ANSWER)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return left_justify(completion, (markers_from_here == 0) & (completion != PAD))


def same(some: NDArray[np.int16], others: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Whether each row of one array holds the same tokens as that row of the other, as booleans (B,). Both arrays are
    padded on the right; their widths may differ.

    >>> same(np.array([[7, 8, 0]], dtype=np.int16), np.array([[7, 8]], dtype=np.int16))
    array([ True])
    """
    width = max(some.shape[1], others.shape[1])
    wide = [np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=PAD) for rows in (some, others)]
    return (wide[0] == wide[1]).all(axis=1)
