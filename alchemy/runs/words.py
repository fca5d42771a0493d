"""The subcommands, `python -m alchemy WORD` or `alchemy WORD`: what each does, and which function does it."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module

from alchemy.errors import COMMAND


@dataclass(frozen=True)
class Word:
    """A subcommand: `function` of `module` takes what is typed after it, and returns an exit code.

    `about` is its line of help. In messages, `elsewhere` is how to have it write to another place, and `kept` what is
    left when it is stopped.
    """

    about: str
    module: str
    function: str = "main"
    elsewhere: str = "--out FILE"
    kept: str = "nothing half-written is left"

    def act(self, words: list[str]) -> int:
        function: Callable[[list[str]], int] = getattr(import_module(self.module), self.function)
        return function(words)


INTEROP = "alchemy.interop.words"
GOES_ON = "models and measured cells are kept, the same command goes on from there"
WORDS = {
    "register": Word("fix a sweep, its predictions and forecasts before it is run", "alchemy.runs.register"),
    "draw": Word("draw a finished run or sweep again", "alchemy.figures.draw", elsewhere="a copy of the folder"),
    "report": Word("write the page of a run or sweep again", "alchemy.figures.report"),
    "compare": Word("write the page of what moved from one sweep to another", "alchemy.figures.report", "compare"),
    "query": Word("ask all runs below a folder, as one table", "alchemy.results.query", elsewhere="--export FILE"),
    "rerun": Word("train and measure a job anew: is it the same?", "alchemy.runs.rerun", elsewhere="TMPDIR=DIR"),
    "export": Word("write rows of a composition in the published schema", INTEROP, "export_file"),
    "score": Word("score a file of predictions, as the released scorer and as the paper", INTEROP, "score_file"),
    "load": Word("train on a published file and test, or complete it with a stored model", INTEROP, "load_file"),
    "export-model": Word("write a stored model as a checkpoint of transformers", INTEROP, "export_model"),
    "export-tasks": Word("write the cells of a run as tasks of the lm-evaluation-harness", INTEROP, "export_tasks"),
    "paper": Word(
        "measure the paper again: every experiment, its claims and its figures",
        "alchemy.paper.replicate",
        elsewhere="output=DIR",
        kept=f"finished experiments, {GOES_ON}",
    ),
    "figures": Word("draw the paper's figures from its claims", "alchemy.paper.figures", elsewhere="FILE FOLDER"),
    "laws": Word("fit laws of degradation to finished sweeps", "alchemy.paper.laws", elsewhere="--out FOLDER"),
}


def table() -> str:
    """Returns a line of help on each subcommand."""
    return "\n".join(f"{word:<13}{its.about}" for word, its in WORDS.items())


def misplaced(typed: str) -> str:
    """Returns what to type instead of something that is no setting; "" for a setting."""
    if "=" in typed or typed[:1] in "~+-":
        return ""
    if typed in WORDS:
        return f"{typed} must come first: {COMMAND} {typed} --help shows how to write it"
    if near := get_close_matches(typed, WORDS, n=1, cutoff=0.6):
        return f"{typed} is not a word of the command: did you mean {COMMAND} {near[0]}?"
    return f"{typed} is neither a word of the command nor key=value: {COMMAND} --help lists the words and the settings"
