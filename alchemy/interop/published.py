"""Writes rows of any composition in the schema of the published data set, and completes such files with a stored model.

Source: arXiv:2508.01191, the schema of its released data, and of the predictions of its released code.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from alchemy.data.batch import Batch, Role
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import ANSWER, END, Vocabulary
from alchemy.runs.build import build, build_model
from alchemy.runs.plan import needs_room
from alchemy.runs.settings import CONF

ROWS = 8192  # rows rendered at a time
MOST = 50_000_000  # rows of a file, at most
LONGEST = 1_000  # letters of an element, at most
WIDEST = 10_000  # tokens of a row, at most
NUMBERED = 13  # letters of the longest element whose number fits 64 bits


def world(rotation: int, roll: int, composition: str, length: int, cot: bool) -> Any:
    """Returns the cipher world of the published data: nothing held out, [F1] rotates, [F2] rolls, [F3] reverses.

    Raises ValueError for elements longer than LONGEST letters, and as `build`.
    """
    if length > LONGEST:
        raise ValueError(f"--length {length} is too long: use {LONGEST:,} letters or fewer")
    rules = [f"rotate {rotation % 26}", f"roll {roll % max(length, 1)}", "reverse"]
    settings = {"rules": rules, "training": [composition], "length": length, "cot": cot}
    full = {"unseen_atoms": "", "unseen_places": 0}
    node = OmegaConf.merge(OmegaConf.load(CONF / "task" / "cipher.yaml"), settings, full)
    return build("task", cast(DictConfig, node))


def rows_of(vocabulary: Vocabulary, batch: Batch) -> Iterator[dict[str, str]]:
    """Yields each row as a record of the published schema, fields in order; all rows must have the same layout."""
    role, first = batch.role[0], batch.tokens[0]
    symbols = np.array(vocabulary.symbols, dtype=object)[batch.tokens]  # (B, T)

    def texts(columns: NDArray[np.bool_]) -> list[str]:
        return [" ".join(row) for row in symbols[:, columns].tolist()]

    prompt, output = role <= Role.INSTRUCTION, (role > Role.INSTRUCTION) & (first != END)
    fields = {
        "input": prompt,
        "output": output,
        "element": role == Role.ELEMENT,
        "transformation": role == Role.TRANSFORMATION,
        "instruction": role == Role.INSTRUCTION,
        "reasoning": role == Role.CHAIN,
        "answer": (role == Role.ANSWER) & output & (first != ANSWER),
    }
    for row in zip(*map(texts, fields.values()), strict=True):
        yield dict(zip(fields, row, strict=True))


def export(task: Any, count: int | None, seed: int) -> Iterator[dict[str, str]]:
    """Returns the records of all elements in lexicographic order, or of `count` different ones drawn with `seed`.

    A count larger than the number of elements gives all. Drawn elements of more than NUMBERED letters differ in their
    first NUMBERED. Raises ValueError, before the first record, for a count below 1, a negative seed, more rows than
    MOST, or rows of more tokens than WIDEST.
    """
    length, (composition,) = task.train.length, task.train.compositions
    total = 26**length
    many = f"{total:,}" if length <= NUMBERED else f"26^{length}"
    if seed < 0:
        raise ValueError(f"--seed {seed} is negative: use 0 or more")
    if count is not None and count < 1:
        raise ValueError(f"--count {count} asks for no rows: use 1 or more, or leave it out for all {many}")
    if (size := total if count is None else min(count, total)) > MOST:
        asked = f"--length {length} has {many} elements" if size == total else f"--count asks for {count:,} rows"
        raise ValueError(f"{asked}, and a file has at most {MOST:,}: draw some with --count N")
    tokens = len(composition) * (length + len(composition)) + 2 * length
    if tokens > WIDEST:
        raise ValueError(f"--composition and --length make rows of up to {tokens:,} tokens: shorten them to {WIDEST:,}")
    at_a_time = max(1, ROWS * 64 // tokens)
    return file_records(task, composition, elements(task, length, size, total, seed), at_a_time)


def elements(task: Any, length: int, size: int, total: int, seed: int) -> Iterator[NDArray[np.int16]]:
    """Yields `size` different elements (B, length) of the `total` that there are, up to ROWS at a time."""
    rng, first = stream(seed, "export"), min(length, NUMBERED)
    chosen = rng.choice(26**first, size, replace=False) if size < total else None
    for start in range(0, size, ROWS):
        end = min(start + ROWS, size)
        own = np.arange(start, end) if chosen is None else chosen[start:end]
        more = task.vocabulary.first_atom + rng.integers(0, 26, (end - start, length - first))
        yield np.concatenate([task.numbered(own, first), more], axis=1).astype(np.int16)


def file_records(
    task: Any, composition: tuple[int, ...], drawn: Iterator[NDArray[np.int16]], at_a_time: int
) -> Iterator[dict[str, str]]:
    for some in drawn:
        for start in range(0, len(some), at_a_time):
            yield from rows_of(task.vocabulary, task.render(some[start : start + at_a_time], composition))


def restored(folder: Path, known: Iterable[str], source: str = "") -> tuple[Any, Any]:
    """Returns the world and the model of a folder of outputs/models, which may be given by its name there alone.

    The world has the problems of the file `source` of the published schema, if one is named. The model's record is
    checked before anything that it names is imported, and only `known` targets are called. Raises ValueError if the
    folder holds no model, or another than its record describes.
    """
    from alchemy.results import store

    folder = folder if folder.is_dir() else Path("outputs") / "models" / folder
    if not (folder / "model.json").is_file():
        raise ValueError(f"{folder} holds no model: name a folder of outputs/models, or its fingerprint")
    settings = store.read_model(folder)["settings"]
    if not all(isinstance(settings.get(name), dict) for name in ("task", "model")):
        raise ValueError(f"{folder / 'model.json'} names no world or no model: it cannot be restored")
    if "${" in json.dumps(settings):
        raise ValueError(f"{folder / 'model.json'} refers to something else with ${{...}}, which no stored model does")
    world, form = (OmegaConf.create(settings[name]) for name in ("task", "model"))
    if source or "source" in world:
        world.source = source
    task = build("task", world, known)
    tokens, precision = settings.get("tokens", "symbols"), settings.get("precision", "float32")
    model = build_model(task, form, tokens, precision, known)
    store.load_weights(folder, model, settings)
    return task, model


def complete_file(path: Path, folder: Path, known: Iterable[str]) -> Iterator[dict[str, str]]:
    """Yields, for each prompt of a file of the published schema, the prompt, a stored model's completion, and gold.

    Their keys are prompt, predict and label, as the released scorer reads them. `folder` is the model's, and `known`
    are the targets that its record may name. Raises ValueError if `folder` holds no model, or the file holds no
    problems of its world.

    >>> from alchemy.runs.settings import CONF
    >>> from alchemy.runs.targets import named_in
    >>> next(complete_file(Path("F1F2.jsonl"), Path("FINGERPRINT"), named_in(CONF)))  # doctest: +SKIP
    {'prompt': 'A A A A [F1] [F2] <think>', 'predict': ..., 'label': 'N N N N [F2] <answer> N N N N'}
    """
    from alchemy.models.decoding import complete

    task, model = restored(folder, known, str(path))
    needs_room(task, model, "the length of its elements", f"{path}", task.train)
    decode = task.vocabulary.decode
    for composition, elements in task.problems_read.items():
        for start in range(0, len(elements), ROWS):
            rows = task.render(elements[start : start + ROWS], composition)
            for prompt, mine, gold in zip(rows.prompt(), complete(model, rows), rows.completion(), strict=True):
                yield {"prompt": decode(prompt), "predict": decode(mine), "label": decode(gold)}
