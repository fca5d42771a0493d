"""Former names of commands, settings and options, and the names that they have now."""

import sys

from alchemy.errors import COMMAND

MODULES = {  # python -m MODULE: the words after python -m alchemy
    "alchemy.figures": "draw",
    "alchemy.figures.draw": "draw",
    "alchemy.report": "report",
    "alchemy.figures.report": "report",
    "alchemy.records": "query",
    "alchemy.results.records": "query",
    "alchemy.results.query": "query",
    "alchemy.interop": "WORD, with export, score, load, export-model or export-tasks",
    "alchemy.interop.published": "WORD, with export, score, load, export-model or export-tasks",
    "alchemy.paper": "paper",
    "alchemy.paper.replicate": "paper",
    "alchemy.plates": "figures",
    "alchemy.paper.figures": "figures",
    "alchemy.laws": "laws",
    "alchemy.paper.laws": "laws",
    "alchemy.rerun": "rerun",
    "alchemy.runs.rerun": "rerun",
}
SETTINGS = {"base": "study.base", "hunt": "target", "study.shown": "study.label"}
OPTIONS = {
    group: {name: f"reasoning_tax/{name}" for name in names.split()}
    for group, names in {
        "arm": "deep deep_foreign deep_rlvr direct equal foreign gold gold_rlvr loaded one_shot random rlvr self "
        "unloaded unrelated zipf",
        "experiment": "headline headline_deep headline_full",
    }.items()
}


def setting(name: str) -> str:
    """Returns a sentence on a setting that was renamed; "" for any other."""
    for old, new in SETTINGS.items():
        if name == old or name.startswith(f"{old}."):
            return f"{name}= is now {new}{name.removeprefix(old)}="
    return ""


def option(group: str, name: str) -> str:
    """Returns a sentence on an option that was renamed; "" for any other."""
    new = OPTIONS.get(group, {}).get(name)
    return f"{group}={name} is now {group}={new}" if new else ""


def asked_for() -> str:
    """Returns the module that `python -m` is looking for at this moment; "" at any other."""
    if sys.argv[:1] != ["-m"]:  # as Python sets it while it looks for the module
        return ""
    return sys.orig_argv[-len(sys.argv)].removeprefix("-m")


def leave_if_moved() -> None:
    """Exits with one sentence if the process was started as `python -m` and a module that is a subcommand now."""
    if (module := asked_for()) in MODULES:
        sys.exit(f"alchemy: python -m {module} is now {COMMAND} {MODULES[module]}")
