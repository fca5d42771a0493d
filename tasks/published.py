"""The published data set's files as a world's training problems: one JSON object a line, of which `input` and `output`
are read. Source: arXiv:2508.01191, the schema of its released data.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alchemy.task import Composition
from alchemy.vocabulary import ANSWER, THINK

Problems = dict[Composition, NDArray[np.int16]]  # the elements (B, l) of each composition in a file


def read(file: str, task: Any) -> Problems:
    """The problems of a file, whose outputs must be what the world `task` renders.

    Raises ValueError, naming file and line.
    """
    path = Path(file)
    if not path.is_file():
        raise ValueError(f"task.source={file} is no file: name one of the published schema, or leave it empty")
    stamp = path.stat()
    return parsed(path, stamp.st_mtime_ns, stamp.st_size, task)


@lru_cache(maxsize=2)
def parsed(path: Path, changed: int, size: int, task: Any) -> Problems:  # noqa: ARG001 a changed file is read again
    vocabulary, length = task.vocabulary, 0
    found: dict[Composition, list[list[int]]] = {}
    texts: dict[Composition, list[tuple[int, str]]] = {}
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            where = f"task.source={path} line {number}"
            try:
                row = json.loads(raw.decode("utf-8"))
                prompt, output = row["input"].split(), " ".join(row["output"].split())
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                raise ValueError(f"{where} is no row of the published schema: give it input and output") from None
            ids = [vocabulary.ids.get(word, -1) for word in prompt]
            atoms = [i for i in ids if i >= vocabulary.first_atom]
            rules = [i - vocabulary.first_rule for i in ids if vocabulary.first_rule <= i < vocabulary.first_atom]
            first = vocabulary.first_rule
            laid = [*atoms, *(rule + first for rule in rules), ids[-1] if ids else -1]
            if not atoms or not rules or laid != ids or ids[-1] not in (THINK, ANSWER):
                raise ValueError(f"{where} has the prompt {row['input']!r}: write it such as 'A B [F1] [F2] <think>'")
            length = length or len(atoms)
            if len(atoms) != length:
                raise ValueError(f"{where} has {len(atoms)} atoms, and line 1 has {length}: split the file by length")
            found.setdefault(tuple(rules), []).append(atoms)
            texts.setdefault(tuple(rules), []).append((number, f"{' '.join(prompt)} {output}"))
    if not found:
        raise ValueError(f"task.source={path} has no rows: export some with python -m alchemy.interop export")
    problems = {composition: np.array(rows, dtype=np.int16) for composition, rows in found.items()}
    for composition, elements in problems.items():
        for (number, text), tokens in zip(texts[composition], task.render(elements, composition).tokens, strict=True):
            if vocabulary.decode(tokens[:-1]) != text:
                raise ValueError(
                    f"task.source={path} line {number} reads {text!r}, where task.rules give "
                    f"{vocabulary.decode(tokens[:-1])!r}: set task.rules and task.cot to those that made the file"
                )
    return problems
