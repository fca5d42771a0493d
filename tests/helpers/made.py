"""Results that no model made: folders of runs as the lab writes them, with numbers and rows of the test's choice."""

import json

import numpy as np

from alchemy.results.cells import write_parquet
from alchemy.results.digests import digest, read_json, sha256, write_json
from alchemy.results.records import Record, write_records
from alchemy.studies.reasoning_tax.coordinates import Part, unit

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
    "study": {"_target_": "alchemy.studies.degradation.run", "count": 10},
}


def records(seed, values):
    for axis, level, value in values:
        kind, domain = ("insert", "all") if axis == "format" else ("-", "-")
        at = {"axis": axis, "kind": kind, "domain": domain, "level": level, "setting": f"level {level}", "seed": seed}
        for part in ("full", "chain", "answer"):
            for metric in ("exact_match", "edit_distance"):
                yield Record(metric, value, 0.0, 10, {**at, "part": part}, "share")
                yield Record(metric, 0.25, 0.0, 10, {**at, "part": f"replay_{part}"}, "share")
        for metric in ("untouched", "problems"):
            yield Record(metric, value, 0.0, 10, {**at, "part": "prompt"}, "share")
        yield Record("rate", 0.25, 0.0, 10, {**at, "part": "replay"}, "share")
        for kind, share in (("right", value), ("replayed", 1 - value), ("wrong_step", 0.0)):
            yield Record(kind, share, 0.0, 10, {**at, "part": "diagnosis"}, "share")
        yield Record("tie", 0.0, 0.0, 10, {**at, "part": "executed"}, "share")
        for whose, share in (("untouched", 0.9), ("touched", 0.1)):
            yield Record(f"right_{whose}", share * value, 0.0, 10, {**at, "part": "prompt"}, "share")
        yield Record("F1" if seed else "F2", 1.0, 0.0, 10, {**at, "part": "executed"}, "share")


KINDS = ("right", "replayed", "wrong_answer", "wrong_step", "malformed")
STEPS = ("5 right, 10 right", "5 right, 10 right", "5 right, 10 [F1]", "5 wrong, 10 right", "")


def rows(text="N O P Q [F2] <answer> O P Q N", count=50):
    """Rows of a cell, of each kind in turn."""
    turn = np.arange(count) % len(KINDS)
    columns = {"prompt": ["A B C D [F1] [F2] <think>"] * count, "gold": ["N O P Q [F2] <answer> O P Q N"] * count}
    columns |= {"completion": [text] * count, "executes": ["F1F2"] * count}
    columns |= {"kind": [KINDS[k] for k in turn], "steps": [STEPS[k] for k in turn]}
    return {name: np.array(values, dtype=object) for name, values in columns.items()} | {"untouched": turn > 0}


def make_rows(folder, columns):
    """The Parquet file of a cell with these rows, and its record."""
    key = digest("a cell of nothing")
    file = folder / f"{key[:24]}.parquet"
    folder.mkdir(parents=True)
    write_parquet(file, columns)
    write_json(file.with_suffix(".json"), {"key": key, "values": {}, "rows": sha256(file)})
    return file


def change_run(home, **changes):
    """Changes what the run.json in a job's folder says, as the lab itself would write it."""
    write_json(home / "run.json", read_json(home / "run.json") | changes)


def change_records(home, change):
    """Changes the text of a job's records, as if the job had measured that."""
    path = home / "records.jsonl"
    records = [Record(**json.loads(line)) for line in change(path.read_text(encoding="utf-8")).splitlines()]
    change_run(home, records=write_records(path, records))


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
        proof = write_records(home / "records.jsonl", records(seed, at))
        run = {**RUN, "records": proof, "overrides": [f"seed={seed}", *filter(None, [more])], "seed": seed}
        if text is not None:
            file = make_rows(folder / "cells" / f"{number:02x}", rows(text, rows_each))
            run["rows_of"] = {"task - - 1": str(file), "format insert all 2": str(file)}
        write_json(home / "run.json", run)
    return folder


MATCH = {"opening": 0.5, "kl": 0.5, "norm": 0.003}
TAX = {"_target_": "alchemy.studies.reasoning_tax.run", "match": MATCH}
WORSE = {"foreign": 0.3}  # bits per fact that an arm loses at an opening rate of .5, beyond what its KL says
EVALUATED = range(0, 44, 4)
CLOSED = {"direct": 4.0, "random": 0.7, "unrelated": 0.5}  # arms that never open: bits lost per nat
RESTORED: dict[tuple, float] = {("layer", number): share for number, share in enumerate((0.76, 0.19, 0.12, 0.03))}
RESTORED |= {("lower",): 0.92, ("upper",): 0.14, ("halfway",): 0.72, ("all",): 1.0}
RESTORED |= {("random", "-", number): share for number, share in enumerate((0.19, 0.38, 0.5))}


def course(arm, keep, seed, load, worse=WORSE):
    """(step, opening, kl, lost) of a run: without `worse`, bits lost are 0.7 KL, and less with preservation."""
    speed = 1 + 0.05 * (seed % 5) + {"rlvr": 0.15, "self": -0.1}.get(arm, 0)
    for step in EVALUATED:
        gained = 1 - np.exp(-((speed * step / 22) ** 2))
        if arm in CLOSED:
            yield step, 0.04 * (1 - gained / 2), 0.9 * gained, CLOSED[arm] * 0.9 * gained * (load > 0.05)
            continue
        opening, kl = 0.04 + 0.94 * gained, 3 * gained**1.5
        spared = {"none": 1.0, "lower": 0.2, "upper": 0.9, "random": 0.55}.get(keep, 0.35)
        lost = spared * (0.7 * kl + worse.get(arm, 0) * (opening - 0.04) / 0.46) * (load > 0.05)
        yield step, opening, kl, lost


def tax_records(seed, arms=("gold", "foreign", "rlvr"), keeps=("none",), load=0.1, spread=0.02, worse=WORSE):
    """Records of runs of a study of the reasoning tax whose truth `course` has; what is measured of each run deviates
    by `spread`.
    """
    for arm, keep in [(arm, keep) for keep in keeps for arm in arms]:
        rng = np.random.default_rng([seed, sum(map(ord, arm + keep))])
        off = spread * rng.standard_normal()
        place = {"axis": "-", "kind": "-", "domain": "-", "level": 0, "setting": "", "seed": seed}
        place |= {"arm": arm, "keep": keep, "load": load}
        steps = list(course(arm, keep, seed, load, worse))
        for step, opening, kl, lost in steps:
            opens = 1 / (1 + np.exp(-(opening - 0.12 - off / 5) / 0.012))
            moved = off if step else 0
            bits = 6.4 - 0.9 * (load > 0.05) - lost - moved
            its = {
                "procedural": {"free": 0.97 * opens, "fast": 0.0, "slow": 0.97, "opening": opening, "opens": opens}
                | {"ood": 0.9 * opens, "deeper": 0.5 * opens},
                "knowledge": {"bits": bits, "fast": bits / 7, "free": bits / 7 - 0.004 * kl, "slow": 0.06}
                | {"opening": opening / 9, "opens": opening / 9, "invalid": 0.0, "overthinking": 0.004 * kl},
                "chain": {"infogain": -500 * (1 - opens), "infogain_bounded": 2.4 - opening + moved, "steps": 3.0}
                | {"nats": 1 + 6 * opening, "nats_step": 0.3 + 2 * opening}
                | {"ki": 0.9 + 0.1 * opening + moved / 50, "ki_recall": 0.5},
                "update": {"kl": kl, "kl_facts": kl / 5, "norm": 0.006 * kl}
                | {"changed": (0.3 if arm == "rlvr" else 0.6) * (1 - np.exp(-kl))},
            }
            its = {Part(name): values for name, values in its.items()}
            for layer in range(4):
                its[Part("update", weights="layer", layer=layer)] = {"norm": 0.006 * kl * (1 + 0.02 * layer)}
            if step == 0:
                its[Part("threshold")] = {"v_eff": 7.5, "p_star": 1 / 8.5, "p_cot": 0.06, "capacity": 6.64}
            yield from told(its, place, step)
        for match, reached in (("opening", 0.5), ("kl", 0.5)):
            at = next((one for one in steps if one[1 if match == "opening" else 2] >= reached), None)
            if at and keep == "none":
                lost = max(at[3], 0.0)
                split = {"f_loss": lost / 7, "o_loss": lost / 7 + 0.004 * at[2], "storage": 0.2 * lost / 7}
                split |= {"latent": 0.8 * lost / 7, "overthinking": 0.004 * at[2] + off / 50, "format": 0.0}
                split |= {"storage_bits": 0.2 * lost + off / 5, "latent_bits": 0.8 * lost, "lost_bits": lost}
                split |= {"control_bits": 0.1, "recovered_bits": split["latent_bits"] - 0.1}
                split |= {"missing_bits": lost - split["recovered_bits"]}
                practised = {
                    Part("practice", match, practice=name, dose=dose): {"latent_bits": split["latent_bits"] * share}
                    for name in ("usual", "gentle")
                    for dose, share in ((5, 0.5), (20, 1.0))
                }
                back = {portion: share + off + spread * rng.normal() for portion, share in RESTORED.items()}
                its = {Part("restore", match, *portion): {"bits": share} for portion, share in back.items()}
                for portion, share in RESTORED.items():
                    its[Part("restore", match, *portion)]["gain"] = 1 - 0.4 * share
                yield from told({Part("split", match): split} | practised | its, place, at[0])


def told(its, place, step):
    for part, values in its.items():
        for metric, value in values.items():
            yield Record(
                metric, float(value), 0.01, 1500, {**place, "step": step, **part._asdict()}, unit(part.part, metric)
            )


def make_tax(folder, seeds=(0, 1, 2), predictions=(), unloaded=True, keeps=("none",), base=None, **arms):
    """A sweep over seeds of the study of the reasoning tax, with these predictions in its run.json."""
    for number, seed in enumerate(seeds):
        home = folder / str(number)
        (home / ".hydra").mkdir(parents=True)
        (home / ".hydra" / "config.yaml").write_text(f"seed: {seed}\n")
        lines = [*tax_records(seed, **arms)]
        lines += [one for keep in keeps if keep != "none" for one in tax_records(seed, ("gold",), (keep,))]
        lines += tax_records(seed, ("gold",), load=0.02) if unloaded else []
        proof = write_records(home / "records.jsonl", lines)
        run = {**RUN, "records": proof, "overrides": [f"seed={seed}"], "seed": seed, "predictions": [*predictions]}
        write_json(home / "run.json", run | {"study": TAX | {"base": base}})
    return folder
