"""Results that no model made: folders of runs as the lab writes them, with numbers and rows of the test's choice."""

import json

import numpy as np

from alchemy.cells import write_parquet
from alchemy.records import Record, write

RUN = {
    "status": "ok",
    "overrides": ["seed=0"],
    "training": ["F1F2"],
    "length": 4,
    "held_out": {"atoms": ["M"], "places": 6, "written": []},
    "rows": 100,
    "parameters": 54016,
    "count": 10,
    "seed": 0,
    "exact_match": 0.93,
    "reached": True,
}


def records(seed, values):
    for axis, level, value in values:
        kind, domain = ("insert", "all") if axis == "format" else ("-", "-")
        at = {"axis": axis, "kind": kind, "domain": domain, "level": level, "setting": f"level {level}", "seed": seed}
        for part in ("full", "chain", "answer"):
            for metric in ("exact_match", "edit_distance"):
                yield Record(metric, value, 0.0, 10, {**at, "part": part})
                yield Record(metric, 0.25, 0.0, 10, {**at, "part": f"replay_{part}"})
        for metric in ("untouched", "problems"):
            yield Record(metric, value, 0.0, 10, {**at, "part": "prompt"})
        yield Record("rate", 0.25, 0.0, 10, {**at, "part": "replay"})
        for kind, share in (("right", value), ("replayed", 1 - value), ("wrong_step", 0.0)):
            yield Record(kind, share, 0.0, 10, {**at, "part": "diagnosis"})
        yield Record("tie", 0.0, 0.0, 10, {**at, "part": "executed"})
        for whose, share in (("untouched", 0.9), ("touched", 0.1)):
            yield Record(f"right_{whose}", share * value, 0.0, 10, {**at, "part": "prompt"})
        yield Record("F1" if seed else "F2", 1.0, 0.0, 10, {**at, "part": "executed"})


KINDS = ("right", "replayed", "wrong_answer", "wrong_step", "malformed")
STEPS = ("5 right, 10 right", "5 right, 10 right", "5 right, 10 [F1]", "5 wrong, 10 right", "")


def rows(text="N O P Q [F2] <answer> O P Q N", count=50):
    """Rows of a cell, of each kind in turn."""
    turn = np.arange(count) % len(KINDS)
    columns = {"prompt": ["A B C D [F1] [F2] <think>"] * count, "gold": ["N O P Q [F2] <answer> O P Q N"] * count}
    columns |= {"completion": [text] * count, "executes": ["F1F2"] * count}
    columns |= {"kind": [KINDS[k] for k in turn], "steps": [STEPS[k] for k in turn]}
    return {name: np.array(values, dtype=object) for name, values in columns.items()} | {"untouched": turn > 0}


def make(folder, scores=(0.5, 0.2, 0.8), overrides=(), moved=0.0, text=None, rows_each=50):
    """A sweep over seeds (and `overrides`, one job each) at task levels 0 and 1 and format level 2; its shifted scores
    are `scores` moved by `moved`, its completions say `text`.
    """
    jobs = [(seed, score, more) for more in overrides or [""] for seed, score in enumerate(scores)]
    for number, (seed, score, more) in enumerate(jobs):
        home = folder / str(number)
        (home / ".hydra").mkdir(parents=True)
        (home / ".hydra" / "config.yaml").write_text(f"seed: {seed}\n")
        at = [("task", 0, 1.0), ("task", 1, score + moved), ("format", 2, score + moved)]
        write(home / "records.jsonl", records(seed, at))
        run = {**RUN, "overrides": [f"seed={seed}", *filter(None, [more])], "seed": seed}
        if text is not None:
            file = folder / "cells" / f"{number:02x}" / "0a.parquet"
            file.parent.mkdir(parents=True)
            write_parquet(file, rows(text, rows_each))
            run["rows_of"] = {"task - - 1": str(file), "format insert all 2": str(file)}
        (home / "run.json").write_text(json.dumps(run))
    return folder
