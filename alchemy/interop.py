"""Doors to other people's tools: the published data set's files, and models and tasks for other programs.

    python -m alchemy.interop export --composition F1F2 --length 4 --out F1F2.jsonl
    python -m alchemy.interop score predictions.jsonl --out results.json
    python -m alchemy.interop load F1F2.jsonl [shift.axis=task ...]
    python -m alchemy.interop load F1F2.jsonl --model FINGERPRINT --out predictions.jsonl
    python -m alchemy.interop export-model FINGERPRINT --format hf --out DIR
    python -m alchemy.interop export-tasks [shift.axis=task ...] --out DIR

Source: arXiv:2508.01191, the schema of its released data, and of the predictions and results of its released code.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from alchemy.batch import Batch, Role
from alchemy.build import build, build_model
from alchemy.errors import sentence
from alchemy.plan import CONF, VERSION, needs_room, plan
from alchemy.records import write_aside
from alchemy.released import results
from alchemy.seeds import stream
from alchemy.vocabulary import ANSWER, END, Vocabulary

ROWS = 8192  # rows rendered at a time


def world(rotation: int, roll: int, composition: str, length: int, cot: bool) -> Any:
    """The cipher world of the published data: nothing kept out, [F1] rotates, [F2] rolls, [F3] reverses."""
    rules = [f"rotate {rotation}", f"roll {roll}", "reverse"]
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
    """Records of all elements in lexicographic order, or of `count` different ones drawn from `seed`.

    Raises ValueError for a count below 1; more than there are gives all.
    """
    length, (composition,) = task.train.length, task.train.compositions
    total = 26**length
    if count is not None and count < 1:
        raise ValueError(f"--count {count} asks for no rows: use 1 or more, or leave it out for all {total:,}")
    chosen: NDArray[np.int64] | None = None
    if count is not None and count < total:
        chosen = stream(seed, "export").choice(total, count, replace=False)
    size = total if chosen is None else len(chosen)
    for start in range(0, size, ROWS):
        end = min(start + ROWS, size)
        numbers = np.arange(start, end) if chosen is None else chosen[start:end]
        yield from rows_of(task.vocabulary, task.render(task.numbered(numbers, length), composition))


def restored(folder: Path, source: str = "") -> tuple[Any, Any]:
    """The world, with the problems of a file of the published schema if one is named, and the model of a folder of
    outputs/models, or of its name there. Raises ValueError if it holds none.
    """
    from alchemy import store

    folder = folder if folder.is_dir() else Path("outputs") / "models" / folder
    try:
        settings = json.loads((folder / "model.json").read_text(encoding="utf-8"))["settings"]
        world, form = (cast(DictConfig, OmegaConf.create(settings[name])) for name in ("task", "model"))
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{folder} holds no model: name a folder of outputs/models, or its fingerprint") from None
    if source or "source" in world:
        world.source = source
    task = build("task", world)
    model = build_model(task, form, settings.get("tokens", "symbols"), settings.get("precision", "float32"))
    store.load(folder, model, settings)
    return task, model


def complete_file(path: Path, folder: Path) -> Iterator[dict[str, str]]:
    """What a stored model writes after each prompt of a file of the published schema: prompt, predict and label.

    Raises ValueError if `folder` holds no model, or the file holds no problems of its world.
    """
    from alchemy.evaluate import complete

    task, model = restored(folder, str(path))
    needs_room(task, model, "the length of its elements", f"{path}", task.train)
    decode = task.vocabulary.decode
    for composition, elements in task.problems_read.items():
        for start in range(0, len(elements), ROWS):
            rows = task.render(elements[start : start + ROWS], composition)
            for prompt, mine, gold in zip(rows.prompt(), complete(model, rows), rows.completion(), strict=True):
                yield {"prompt": decode(prompt), "predict": decode(mine), "label": decode(gold)}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m alchemy.interop", description=__doc__.split("\n")[0])
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
    tasks = commands.add_parser("export-tasks", help="write the cells of a run as tasks of the lm-evaluation-harness")
    tasks.add_argument("settings", nargs="*", help="settings of the run, such as shift.axis=task seed=1")
    tasks.add_argument("--out", type=Path, required=True, help="the new folder")
    return parser


def export_tasks(words: list[str], folder: Path) -> None:
    """The command export-tasks. Raises ValueError for settings that a run would refuse."""
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException

    from alchemy.__main__ import explain
    from alchemy.harness import write

    try:
        with initialize_config_dir(version_base=VERSION, config_dir=str(CONF)):
            cfg = compose("config", words)
    except HydraException as error:
        raise ValueError(explain(error)) from None
    todo = plan(cfg)
    write(folder, todo.task, todo.model, todo.shifts, cfg.study.count, cfg.seed)


def load(chosen: argparse.Namespace) -> int:
    """The command load; returns its exit code."""
    if not chosen.model:
        words = [f"task.source={chosen.file.resolve()}", *chosen.settings]
        return subprocess.run([sys.executable, "-m", "alchemy", *words], check=False).returncode  # noqa: S603 our own
    if not chosen.out or chosen.settings:
        raise ValueError("load with --model needs --out FILE, and takes no settings: the model has its own")
    write_aside(chosen.out, (json.dumps(row) + "\n" for row in complete_file(chosen.file, chosen.model)))
    print(chosen.out)
    return 0


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit code. An existing file is replaced only by a whole new one."""
    chosen = arguments().parse_args(words)
    try:
        if chosen.command == "load":
            return load(chosen)
        if chosen.command == "score":
            write_aside(chosen.out, json.dumps(results(chosen.file), indent=1) + "\n")
        elif chosen.command == "export-model":
            from alchemy.checkpoint import write

            task, model = restored(chosen.model)
            write(chosen.out, task.vocabulary, model)
        elif chosen.command == "export-tasks":
            export_tasks(chosen.settings, chosen.out)
        else:
            task = world(chosen.rotation, chosen.roll, chosen.composition, chosen.length, not chosen.no_cot)
            records = export(task, chosen.count, chosen.seed)
            write_aside(chosen.out, (json.dumps(record) + "\n" for record in records))
    except (ValueError, OSError) as error:
        print("alchemy.interop:", sentence(error, elsewhere="--out FILE"), file=sys.stderr)
        return 1
    print(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
