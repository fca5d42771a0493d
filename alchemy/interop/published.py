"""Doors to other people's tools: the published data set's files, and models and tasks for other programs.

    python -m alchemy.interop.published export --composition F1F2 --length 4 --out F1F2.jsonl
    python -m alchemy.interop.published score predictions.jsonl --out results.json
    python -m alchemy.interop.published load F1F2.jsonl [shift.axis=task ...]
    python -m alchemy.interop.published load F1F2.jsonl --model FINGERPRINT --out predictions.jsonl
    python -m alchemy.interop.published export-model FINGERPRINT --format hf --out DIR
    python -m alchemy.interop.published export-tasks [shift.axis=task ...] --out DIR

Source: arXiv:2508.01191, the schema of its released data, and of the predictions and results of its released code.
"""

import argparse
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from alchemy.data.batch import Batch, Role
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import ANSWER, END, Vocabulary
from alchemy.errors import Parser, answering
from alchemy.interop.released import results
from alchemy.results.files import write_aside
from alchemy.runs.build import build, build_model
from alchemy.runs.plan import needs_room, plan
from alchemy.runs.settings import CONF, VERSION
from alchemy.runs.targets import named_in

ROWS = 8192  # rows rendered at a time
MOST = 50_000_000  # rows of a file
LONGEST = 1_000  # letters of an element
WIDEST = 10_000  # tokens of a row
STOPPING = 2  # seconds that a run is given to stop by itself
NUMBERED = 13  # letters of an element whose number has 64 bits


def world(rotation: int, roll: int, composition: str, length: int, cot: bool) -> Any:
    """The cipher world of the published data: nothing kept out, [F1] rotates, [F2] rolls, [F3] reverses."""
    if length > LONGEST:
        raise ValueError(f"--length {length} is too long: use {LONGEST:,} letters or fewer")
    rules = [f"rotate {rotation % 26}", f"roll {roll % max(length, 1)}", "reverse"]
    settings = {"rules": rules, "training": [composition], "length": length, "cot": cot}
    full = {"unseen_atoms": "", "unseen_places": 0}
    node = OmegaConf.merge(OmegaConf.load(CONF / "task" / "cipher.yaml"), settings, full)
    return build("task", cast(DictConfig, node))


def rows_of(vocabulary: Vocabulary, batch: Batch) -> Iterator[dict[str, str]]:
    """Each row as the record of the published schema, fields in their order; all rows are laid out alike."""
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
    """Records of all elements in lexicographic order, or of `count` different ones drawn from `seed`; longer ones than
    can be numbered differ in their first letters.

    Raises ValueError, before the first of them, for a count below 1, or more rows than MOST; a count of more than there
    are gives all.
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
    return records(task, composition, elements(task, length, size, total, seed), at_a_time)


def elements(task: Any, length: int, size: int, total: int, seed: int) -> Iterator[NDArray[np.int16]]:
    """So many different elements (B, length) of all, some at a time."""
    rng, first = stream(seed, "export"), min(length, NUMBERED)
    chosen = rng.choice(26**first, size, replace=False) if size < total else None
    for start in range(0, size, ROWS):
        end = min(start + ROWS, size)
        own = np.arange(start, end) if chosen is None else chosen[start:end]
        more = task.vocabulary.first_atom + rng.integers(0, 26, (end - start, length - first))
        yield np.concatenate([task.numbered(own, first), more], axis=1).astype(np.int16)


def records(
    task: Any, composition: tuple[int, ...], drawn: Iterator[NDArray[np.int16]], at_a_time: int
) -> Iterator[dict[str, str]]:
    for some in drawn:
        for start in range(0, len(some), at_a_time):
            yield from rows_of(task.vocabulary, task.render(some[start : start + at_a_time], composition))


def restored(folder: Path, known: Iterable[str], source: str = "") -> tuple[Any, Any]:
    """The world, with the problems of a file of the published schema if one is named, and the model of a folder of
    outputs/models, or of its name there. Its record is checked before anything that it names is looked at, and of that
    only `known` targets are called. Raises ValueError if it holds no model, or another than it says.
    """
    from alchemy.results import store

    folder = folder if folder.is_dir() else Path("outputs") / "models" / folder
    if not (folder / "model.json").is_file():
        raise ValueError(f"{folder} holds no model: name a folder of outputs/models, or its fingerprint")
    settings = store.read(folder)["settings"]
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
    store.load(folder, model, settings)
    return task, model


def complete_file(path: Path, folder: Path, known: Iterable[str]) -> Iterator[dict[str, str]]:
    """What a stored model writes after each prompt of a file of the published schema: prompt, predict and label.

    Raises ValueError if `folder` holds no model, or the file holds no problems of its world.
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


def trusted(chosen: argparse.Namespace) -> frozenset[str]:
    """What a stored model may name to be built: what the options of conf/ name, and those of the user's own folder."""
    if chosen.config_dir and not chosen.config_dir.is_dir():
        raise ValueError(f"--config-dir {chosen.config_dir} is no folder: name that of your own options")
    return named_in(CONF, *filter(None, [chosen.config_dir]))


def arguments() -> Parser:
    parser = Parser(prog="python -m alchemy.interop.published", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    out = commands.add_parser("export", help="write a composition's data in the published schema (JSON lines)")
    out.add_argument("--composition", required=True, help="such as F1F2: rotate, then roll; F3 reverses")
    out.add_argument("--length", type=int, default=4, help="letters of an element (4)")
    out.add_argument("--rotation", type=int, default=13, help="letters on, of F1 (13)")
    out.add_argument("--roll", type=int, default=1, help="places to the left, of F2 (1)")
    out.add_argument("--no-cot", action="store_true", help="ask for the answer without a chain")
    out.add_argument("--count", type=int, help="that many different elements instead of all")
    out.add_argument("--seed", type=int, default=0, help="of --count (0)")
    out.add_argument("--out", type=Path, required=True)
    scored = commands.add_parser("score", help="score a predictions file: lines with prompt, predict and label")
    scored.add_argument("file", type=Path)
    scored.add_argument("--out", type=Path, required=True)
    loaded = commands.add_parser("load", help="train on a file of the published schema and test that model, or ...")
    loaded.add_argument("file", type=Path)
    loaded.add_argument("settings", nargs="*", help="settings of the run, such as shift.axis=task seed=1")
    loaded.add_argument("--model", type=Path, help="... complete its prompts with a stored model (folder, fingerprint)")
    loaded.add_argument("--out", type=Path, help="with --model, the predictions file to write, for score")
    model = commands.add_parser("export-model", help="write a stored model as a checkpoint for other tools")
    model.add_argument("model", type=Path, help="a folder of outputs/models, or its fingerprint")
    model.add_argument("--format", choices=["hf"], default="hf", help="hf: GPT-2 or LLaMA, for transformers (hf)")
    model.add_argument("--out", type=Path, required=True, help="the new folder")
    for command in (loaded, model):
        command.add_argument("--config-dir", type=Path, metavar="DIR", help="your own options, if the model used them")
    tasks = commands.add_parser("export-tasks", help="write the cells of a run as tasks of the lm-evaluation-harness")
    tasks.add_argument("settings", nargs="*", help="settings of the run, such as shift.axis=task seed=1")
    tasks.add_argument("--out", type=Path, required=True, help="the new folder")
    return parser


def export_tasks(words: list[str], folder: Path) -> None:
    """The command export-tasks. Raises ValueError for settings that a run would refuse."""
    from hydra import compose, initialize_config_dir

    from alchemy.interop.harness import write
    from alchemy.runs.mistakes import explain

    try:
        with initialize_config_dir(version_base=VERSION, config_dir=str(CONF)):
            cfg = compose("config", words)
        todo = plan(cfg)
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise ValueError(explain(error)) from None
    write(folder, todo.task, todo.model, todo.shifts, cfg.study.count, cfg.seed)


def load(chosen: argparse.Namespace) -> int:
    """The command load; returns its exit code."""
    if not chosen.model:
        if chosen.out:
            raise ValueError("load takes --out with --model alone: a run writes into its own folder, see output=DIR")
        own = ["--config-dir", str(chosen.config_dir)] if chosen.config_dir else []
        return run([*own, f"task.source={quoted(str(chosen.file.resolve()))}", *chosen.settings])
    if not chosen.out or chosen.settings:
        raise ValueError("load with --model needs --out FILE, and takes no settings: the model has its own")
    rows = complete_file(chosen.file, chosen.model, trusted(chosen))
    write_aside(chosen.out, (json.dumps(row) + "\n" for row in rows))
    print(chosen.out)
    return 0


def quoted(text: str) -> str:
    """A text as the value of a setting, whatever it holds."""
    doubled = re.sub(r"(\\+)(?='|$)", r"\1\1", text)  # backslashes before a quotation mark
    return "'" + doubled.replace("'", "\\'").replace("${", "\\${") + "'"


def run(words: list[str]) -> int:
    """The exit code of the lab's command, which is told when this one is to stop."""
    with subprocess.Popen([sys.executable, "-m", "alchemy", *words]) as job:  # noqa: S603 our own
        try:
            return job.wait()
        except KeyboardInterrupt:
            try:
                return job.wait(STOPPING)  # Ctrl-C has reached it, too
            except subprocess.TimeoutExpired:
                job.terminate()
                return job.wait()


def check_out(chosen: argparse.Namespace) -> None:
    """Raises ValueError or OSError if nothing can be written where the command is to write, before it begins."""
    out, makes_folder = chosen.out, chosen.command.startswith("export-")
    if out is None:
        return
    if not out.name:
        raise ValueError(f"--out {out} has no name of its own: name a file, or a new folder")
    if makes_folder and out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is there and is no folder: name a new one")
    if out.is_symlink() and out.parent.resolve() == Path("/dev"):
        raise ValueError(f"--out {out} is a device: name a file, or a new folder")
    if not makes_folder and out.exists() and not out.is_file():
        raise ValueError(f"--out {out} is there and is no file: name another")
    if not makes_folder and not out.parent.is_dir():
        number = errno.ENOTDIR if out.parent.exists() else errno.ENOENT
        raise OSError(number, os.strerror(number), str(out.parent))
    if "file" in chosen and out.exists() and chosen.file.exists() and out.samefile(chosen.file):
        raise ValueError(f"--out {out} is the file that is read: name another")


@contextmanager
def whole(out: Path) -> Iterator[None]:
    """Within, what cannot be written is told by the name of `out`, and a failure leaves no new folder above it."""
    new = [folder for folder in out.absolute().parents if not folder.exists()]
    try:
        yield
    except BaseException as error:
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError) and error.strerror:
            name = str(error.filename or out)
            raise OSError(error.errno, error.strerror, str(out) if f".{out.name}." in name else name) from None
        raise


@answering("alchemy.interop.published", "--out FILE")
def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code. An existing file is replaced only by a whole new one."""
    chosen = arguments().parse_args(words)
    check_out(chosen)
    if chosen.command == "load" and not chosen.model:
        return load(chosen)
    with whole(chosen.out or Path()):
        if chosen.command == "load":
            return load(chosen)
        if chosen.command == "score":
            write_aside(chosen.out, json.dumps(results(chosen.file), indent=1) + "\n")
        elif chosen.command == "export-model":
            from alchemy.interop.to_transformers import write

            task, model = restored(chosen.model, trusted(chosen))
            write(chosen.out, task.vocabulary, model)
        elif chosen.command == "export-tasks":
            export_tasks(chosen.settings, chosen.out)
        else:
            task = world(chosen.rotation, chosen.roll, chosen.composition, chosen.length, not chosen.no_cot)
            rows = export(task, chosen.count, chosen.seed)
            write_aside(chosen.out, (json.dumps(row) + "\n" for row in rows))
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
