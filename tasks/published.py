"""Training problems from a file of the published data set's schema: one JSON object a line, of which `input` and
`output` are read. Source: arXiv:2508.01191, the schema of its released data.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alchemy.data.jsonlines import lines
from alchemy.data.sampling import in_side
from alchemy.data.task import SIXTEENTHS, Composition, Distribution, Side
from alchemy.data.vocabulary import ANSWER, THINK, Vocabulary

ASKED = "one object a line, with input and output; else it is no row of the published schema"
Problems = dict[Composition, NDArray[np.int16]]  # the elements (B, l) of each composition in a file


USES: dict[Side, str] = {"test": "measured on", "train": "learnt from", "valid": "watched to stop the training"}


def read(file: str, task: Any) -> Problems:
    """The problems of a file, whose outputs must be what `task` renders.

    Raises ValueError, with the file and the line in its message.
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"task.source={file} is no file: name one of the published schema, or leave it empty")
    stamp = path.stat()
    return parsed(path, stamp.st_mtime_ns, stamp.st_size, task)


@lru_cache(maxsize=2)
def parsed(path: Path, changed: int, size: int, task: Any) -> Problems:  # noqa: ARG001 a changed file is read again
    """The same as `read`. `changed` and `size` are those of the file, so that the cache holds for an unchanged file
    only.
    """
    vocabulary, length, first_line = task.vocabulary, 0, 0
    found: dict[Composition, list[list[int]]] = {}
    texts: dict[Composition, list[tuple[int, str]]] = {}
    for number, row in lines(path, f"task.source={path}", ASKED):
        where = f"task.source={path} line {number}"
        try:
            prompt, output = row["input"].split(), " ".join(row["output"].split())
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"{where} is no row of the published schema: give it input and output") from None
        ids = [vocabulary.ids.get(word, -1) for word in prompt]
        atoms = [i for i in ids if i >= vocabulary.first_atom]
        rules = [i - vocabulary.first_rule for i in ids if vocabulary.first_rule <= i < vocabulary.first_atom]
        first = vocabulary.first_rule
        laid = [*atoms, *(rule + first for rule in rules), ids[-1] if ids else -1]
        if not atoms or not rules or laid != ids or ids[-1] not in (THINK, ANSWER):
            raise ValueError(f"{where} has the prompt {row['input']!r}: write it such as 'A B [F1] [F2] <think>'")
        length, first_line = length or len(atoms), first_line or number
        if len(atoms) != length:
            raise ValueError(
                f"{where} has {len(atoms)} atoms, and line {first_line} has {length}: split the file by length"
            )
        found.setdefault(tuple(rules), []).append(atoms)
        texts.setdefault(tuple(rules), []).append((number, f"{' '.join(prompt)} {output}"))
    if not found:
        raise ValueError(f"task.source={path} has no rows: export some with python -m alchemy export")
    problems = {composition: np.array(rows, dtype=np.int16) for composition, rows in found.items()}
    for composition, elements in problems.items():
        for (number, text), tokens in zip(texts[composition], task.render(elements, composition).tokens, strict=True):
            if vocabulary.decode(tokens[:-1]) != text:
                raise ValueError(
                    f"task.source={path} line {number} reads {text!r}, where task.rules give "
                    f"{vocabulary.decode(tokens[:-1])!r}: set task.rules and task.cot to those that made the file"
                )
    return problems


def sides(problems: Problems, vocabulary: Vocabulary) -> dict[Composition, set[Side]]:
    """For each composition, the sides of the split that have problems of it."""
    found = {}
    for composition, elements in problems.items():
        where = Distribution((composition,), elements.shape[1])
        which = np.zeros(len(elements), dtype=np.intp)
        found[composition] = {side for side in SIXTEENTHS if in_side(vocabulary, where, elements, which, side).any()}
    return found


def check_sides(task: Any, where: Distribution) -> None:
    """Raises ValueError if the file has no problem on a side of the split that is needed: on the test side, and, if
    `where` has all compositions of the file and so is the training distribution, on every side.
    """
    present = set().union(*(task.sides_read[composition] for composition in where.compositions))
    for side, use in USES.items():
        if side not in present and (side == "test" or set(where.compositions) == set(task.problems_read)):
            number = sum(len(task.problems_read[composition]) for composition in where.compositions)
            names = ", ".join(map(task.spell, where.compositions[:3])) + ", ..." * (len(where.compositions) > 3)
            raise ValueError(
                f"task.source={task.source} has {number} row{'s' * (number > 1)} of {names}: too few, since none of "
                f"them is on the {side} side, which is {use} (a problem's text decides it): add some hundred"
            )
