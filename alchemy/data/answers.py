"""Answers: what a completion ends in, whether it is right, and whether two rows hold the same tokens."""

import numpy as np
from numpy.typing import NDArray

from alchemy.data.batch import Batch, left_justify
from alchemy.data.compositions import follow
from alchemy.data.sampling import problems_of
from alchemy.data.task import Task
from alchemy.data.vocabulary import ANSWER, PAD


def verify(task: Task, clean: Batch, completion: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(B,) whether each completion (B, C) ends in the right answer to its noiseless prompt, computed afresh."""
    right = np.zeros(len(clean), dtype=bool)
    completion = np.pad(completion, ((0, 0), (0, 1)))  # none may write a thing
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
    """(B, at most C) the tokens after the last answer marker of each completion (B, C), or all, if it has none."""
    markers_from_here = (completion == ANSWER)[:, ::-1].cumsum(axis=1)[:, ::-1]
    return left_justify(completion, (markers_from_here == 0) & (completion != PAD))


def same(some: NDArray[np.int16], others: NDArray[np.int16]) -> NDArray[np.bool_]:
    """(B,) whether rows padded on the right, to widths that may differ, hold the same tokens."""
    width = max(some.shape[1], others.shape[1])
    wide = [np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=PAD) for rows in (some, others)]
    return (wide[0] == wide[1]).all(axis=1)
