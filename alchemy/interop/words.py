"""The subcommands for the files of other tools: export, score, load, export-model and export-tasks.

    python -m alchemy export --composition F1F2 --length 4 --out F1F2.jsonl
    python -m alchemy score predictions.jsonl --out results.json
    python -m alchemy load F1F2.jsonl [shift.axis=task ...]
    python -m alchemy load F1F2.jsonl --model FINGERPRINT --out predictions.jsonl
    python -m alchemy export-model FINGERPRINT --format hf --out DIR
    python -m alchemy export-tasks [shift.axis=task ...] --out DIR

An existing file is replaced only when the new one is complete.
"""

import argparse
import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alchemy.errors import Parser
from alchemy.interop import published
from alchemy.interop.released import results
from alchemy.results.files import write_aside
from alchemy.runs.settings import CONF
from alchemy.runs.targets import named_in

STOPPING = 2  # seconds that a run has to stop by itself


def export_file(words: list[str]) -> int:
    """Runs the subcommand `export`: writes the rows and returns exit code 0."""
    chosen = asked("export", words)
    with whole(chosen.out):
        cot = not chosen.no_cot
        task = published.world(chosen.rotation, chosen.roll, chosen.composition, chosen.length, cot)
        rows = published.export(task, chosen.count, chosen.seed)
        write_aside(chosen.out, (json.dumps(row) + "\n" for row in rows))
    return written(chosen.out)


def score_file(words: list[str]) -> int:
    """Runs the subcommand `score`: writes the scores and returns exit code 0."""
    chosen = asked("score", words)
    with whole(chosen.out):
        write_aside(chosen.out, json.dumps(results(chosen.file), indent=1) + "\n")
    return written(chosen.out)


def load_file(words: list[str]) -> int:
    """Runs the subcommand `load`: returns the exit code of the run, or 0 when the completions are written."""
    chosen = asked("load", words)
    if not chosen.model:
        if chosen.out:
            raise ValueError("load takes --out with --model alone: a run writes into its own folder, see output=DIR")
        own = ["--config-dir", str(chosen.config_dir)] if chosen.config_dir else []
        return run([*own, f"task.source={quoted(str(chosen.file.resolve()))}", *chosen.settings])
    if not chosen.out or chosen.settings:
        raise ValueError("load with --model needs --out FILE, and takes no settings: the model has its own")
    with whole(chosen.out):
        rows = published.complete_file(chosen.file, chosen.model, trusted(chosen))
        write_aside(chosen.out, (json.dumps(row) + "\n" for row in rows))
    return written(chosen.out)


def export_model(words: list[str]) -> int:
    """Runs the subcommand `export-model`: writes the checkpoint and returns exit code 0."""
    from alchemy.interop.to_transformers import write_checkpoint

    chosen = asked("export-model", words)
    with whole(chosen.out):
        task, model = published.restored(chosen.model, trusted(chosen))
        write_checkpoint(chosen.out, task.vocabulary, model)
    return written(chosen.out)


def export_tasks(words: list[str]) -> int:
    """Runs the subcommand `export-tasks`: writes the tasks and returns exit code 0."""
    chosen = asked("export-tasks", words)
    with whole(chosen.out):
        write_cells(chosen.settings, chosen.out)
    return written(chosen.out)


def written(out: Path) -> int:
    print(out)
    return 0


def asked(word: str, words: list[str]) -> argparse.Namespace:
    """Returns what is typed after a subcommand, parsed. Raises ValueError or OSError if --out cannot be written."""
    chosen = arguments(word).parse_args(words)
    check_out(chosen)
    return chosen


def arguments(word: str) -> Parser:
    """Returns the parser of one of the five subcommands."""
    return {
        "export": of_export,
        "score": of_score,
        "load": of_load,
        "export-model": of_export_model,
        "export-tasks": of_export_tasks,
    }[word]()


def of_export() -> Parser:
    about = "Writes a composition's data in the published schema (JSON lines)."
    parser = Parser("export", about, "--composition F1F2 --length 4 --out F1F2.jsonl")
    parser.add_argument("--composition", required=True, help="such as F1F2: rotate, then roll; F3 reverses")
    parser.add_argument("--length", type=int, default=4, help="letters of an element (4)")
    parser.add_argument("--rotation", type=int, default=13, help="letters on, of F1 (13)")
    parser.add_argument("--roll", type=int, default=1, help="places to the left, of F2 (1)")
    parser.add_argument("--no-cot", action="store_true", help="ask for the answer without a chain")
    parser.add_argument("--count", type=int, help="that many different elements instead of all")
    parser.add_argument("--seed", type=int, default=0, help="of --count (0)")
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(makes_folder=False)
    return parser


def of_score() -> Parser:
    about = "Scores a file of predictions: lines with prompt, predict and label."
    parser = Parser("score", about, "predictions.jsonl --out results.json")
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.set_defaults(makes_folder=False)
    return parser


def of_load() -> Parser:
    about = "Trains on a file of the published schema and tests that model; or, with --model, completes its prompts."
    parser = Parser("load", about, "F1F2.jsonl shift.axis=task seed=1")
    parser.add_argument("file", type=Path)
    parser.add_argument("settings", nargs="*", help="settings of the run, such as shift.axis=task seed=1")
    parser.add_argument("--model", type=Path, help="a stored model that completes it (folder, fingerprint)")
    parser.add_argument("--out", type=Path, help="with --model, the predictions file to write, for score")
    parser.set_defaults(makes_folder=False)
    return with_options(parser)


def of_export_model() -> Parser:
    about = "Writes a stored model as a checkpoint for other tools."
    parser = Parser("export-model", about, "FINGERPRINT --out DIR")
    parser.add_argument("model", type=Path, help="a folder of outputs/models, or its fingerprint")
    parser.add_argument("--format", choices=["hf"], default="hf", help="hf: GPT-2 or LLaMA, for transformers (hf)")
    parser.add_argument("--out", type=Path, required=True, help="the new folder")
    parser.set_defaults(makes_folder=True)
    return with_options(parser)


def of_export_tasks() -> Parser:
    about = "Writes the cells of a run as tasks of the lm-evaluation-harness."
    parser = Parser("export-tasks", about, "shift.axis=task --out DIR")
    parser.add_argument("settings", nargs="*", help="settings of the run, such as shift.axis=task seed=1")
    parser.add_argument("--out", type=Path, required=True, help="the new folder")
    parser.set_defaults(makes_folder=True)
    return parser


def with_options(parser: Parser) -> Parser:
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own options, if the model used them")
    return parser


def trusted(chosen: argparse.Namespace) -> frozenset[str]:
    """Returns the targets that a stored model may name: those in the options of conf/ and of the user's own folder."""
    if chosen.config_dir and not chosen.config_dir.is_dir():
        raise ValueError(f"--config-dir {chosen.config_dir} is no folder: name that of your own options")
    return named_in(CONF, *filter(None, [chosen.config_dir]))


def write_cells(words: list[str], folder: Path) -> None:
    """Writes the cells of the run with these settings. Raises ValueError for settings that a run would refuse."""
    from alchemy.interop.harness import write_tasks
    from alchemy.runs.compose import compose_plan

    todo = compose_plan(words)
    write_tasks(folder, todo.task, todo.model, todo.shifts, todo.cfg.study.count, todo.cfg.seed)


def quoted(text: str) -> str:
    """Returns a text quoted as the value of a setting, whatever characters it has."""
    doubled = re.sub(r"(\\+)(?='|$)", r"\1\1", text)  # backslashes before a quotation mark, or at the end
    return "'" + doubled.replace("'", "\\'").replace("${", "\\${") + "'"


def run(words: list[str]) -> int:
    """Runs the lab's command in a process of its own, which Ctrl-C stops as well; returns its exit code."""
    with subprocess.Popen([sys.executable, "-m", "alchemy", *words]) as job:  # noqa: S603 our own
        try:
            return job.wait()
        except KeyboardInterrupt:
            try:
                return job.wait(STOPPING)  # Ctrl-C reaches that process, too
            except subprocess.TimeoutExpired:
                job.terminate()
                return job.wait()


def check_out(chosen: argparse.Namespace) -> None:
    """Raises ValueError or OSError if --out cannot be written, before the command begins."""
    out, makes_folder = chosen.out, chosen.makes_folder
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
    """Has errors in writing within name `out`, and removes folders made above it that a failure leaves empty."""
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
