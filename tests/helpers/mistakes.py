"""Mistakes as people make them, on the command line and in files of options: a generator of many of each kind.

Every one must be answered in one sentence; `said` composes and checks as the command does, in this process.
"""

import random
import string

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from alchemy.runs.mistakes import explain
from alchemy.runs.plan import plan
from alchemy.runs.settings import CONF, audit, keys, own

GROUPS = ("task", "model", "train", "study")
FILES = {"task": "cipher", "model": "gpt", "train": "adamw", "study": "degradation"}
GARBAGE = ["banana", "-1", "1e400", "[1,2", "{a:1}", "[[]]", "null", "''", "\\x00", "${nope}", "${oc.env:NOPE_NOPE}"]
GARBAGE += ["${", "x" * 5000, "[" + ",".join("7" * 2000) + "]", "💥", "{_target_:os.getcwd}", "???", "${.}", "${now:}"]


def said(words, folder=None):
    """The sentence that answers these settings, with the options in a folder of one's own; "" if they are taken."""
    own_words = [f"hydra.searchpath=[file://{folder}]"] if folder else []
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
            cfg = compose("config", [*words, *own_words], return_hydra_config=True)
            cfg.hydra.job.num, cfg.hydra.job.id, cfg.hydra.runtime.output_dir = 0, "0", "."
            audit(cfg)
            plan(cfg)
    except (Exception, SystemExit) as error:
        return explain(error) or "nothing"
    return ""


def leaves():
    """Dotted names of every setting of a default run."""
    found = [name for group, file in FILES.items() for name in keys(CONF / group / f"{file}.yaml")]
    found += [name for name in keys(CONF / "config.yaml") if not name.startswith(("defaults", "hydra"))]
    return [name for name in found if "._" not in name]


def misspelt(rng, name):
    """The name with one letter too many, too few, or exchanged, in its last part."""
    group, dot, last = name.rpartition(".")
    at = rng.randrange(len(last))
    kind = rng.randrange(3)
    if kind == 0:
        last = last[:at] + rng.choice(string.ascii_lowercase) + last[at:]
    elif kind == 1 and len(last) > 2:
        last = last[:at] + last[at + 1 :]
    else:
        last = last[::-1]
    return group + dot + last


def bad_overrides(count, seed=0):
    """Lists of words, each with a mistake."""
    rng = random.Random(seed)
    names = leaves()
    known = {*names, *own(), *GROUPS}
    while count:
        name, wrong = rng.choice(names), rng.choice(GARBAGE)
        kind = rng.randrange(8)
        other = misspelt(rng, name)
        if kind in (1, 2, 5) and other in known:
            continue
        words = [
            [f"{name}={{_target_: {rng.choice(['os.getcwd', 'sys.exit', 'pandas.read_pickle'])}}}"],
            [f"{other}=1"],
            [f"+{other}=1"],
            [f"{rng.choice(GROUPS)}={misspelt(rng, 'cipher')}"],
            [f"{name}.{rng.choice(['a', '0', '_target_'])}=1"],
            [f"~{other}"],
            [f"{name}={rng.choice(['[', '{', '(', '=', '$', chr(34)])}"],
            [f"{rng.choice(['seed', 'task.length', 'model.width', 'train.steps', 'study.count', 'threads'])}={wrong}"],
        ][kind]
        yield words
        count -= 1


HEAD = "# @package _global_\n"


def bad_files(count, seed=0):
    """Pairs of a group and the bytes of an option of it, each with a mistake."""
    rng = random.Random(seed)
    names = leaves()
    known = {*names, *own(), *GROUPS}
    while count:
        name = rng.choice(names)
        other = misspelt(rng, name)
        if other in known:
            continue
        nested = OmegaConf.to_yaml(OmegaConf.from_dotlist([f"{other}=1"]))
        right = OmegaConf.to_yaml(OmegaConf.from_dotlist([f"{name}=1"]))
        group = rng.choice(GROUPS)
        its = (CONF / group / f"{FILES[group]}.yaml").read_text(encoding="utf-8")
        yield rng.choice(
            [
                ("experiment", HEAD + nested),
                ("experiment", right),
                ("experiment", HEAD + f"{name.partition('.')[0]}: !!python/object/apply:os.getcwd []\n"),
                ("experiment", HEAD + "a: &a [*a]\n"),
                ("experiment", HEAD + "sed: &x 1\nseed: *x\n"),
                ("experiment", HEAD + "seed: *nowhere\n"),
                ("experiment", HEAD + "seed: !mine 3\n"),
                ("experiment", HEAD + "\tseed: 1\n"),
                ("experiment", HEAD + "seed: 1\nseed: 2\n"),
                ("experiment", HEAD + "- a\n- b\n"),
                ("experiment", HEAD + "just words\n"),
                ("experiment", HEAD + "seed: ${nope}\n"),
                ("experiment", HEAD + "seed: ${seed}\n"),
                ("experiment", HEAD + "seed: " + "9" * 5000 + "\n"),
                ("experiment", HEAD + "defaults: [override /task: nothing]\n"),
                ("experiment", HEAD + "defaults: [override /tsak: cipher]\n"),
                ("experiment", HEAD + "defaults: 3\n"),
                ("experiment", HEAD + "defaults: [{a: 1, b: 2}]\n"),
                ("experiment", HEAD + "defaults: [nowhere]\n"),
                ("experiment", HEAD + "defaults: [mine]\n"),
                ("experiment", HEAD + "hydra: {sweep: {subdir: x}}\n"),
                ("experiment", HEAD + "hydra: {swep: {dir: x}}\n"),
                ("experiment", HEAD + "hydra: {job: {chdir: true}}\n"),
                ("experiment", HEAD + "hydra: {launcher: {parameters: {_target_: os.getcwd}}}\n"),
                ("experiment", HEAD + "hydra: {launcher: {_target_: os.getcwd}}\n"),
                ("experiment", HEAD + "hydra: {callbacks: {mine: {_target_: os.getcwd}}}\n"),
                ("experiment", HEAD + "hydra: {callbacks: null}\n"),
                ("experiment", HEAD + "shift: {grid: {lenght: [1]}}\n"),
                ("experiment", HEAD + "shift: 3\n"),
                ("experiment", HEAD + "task: null\n"),
                ("experiment", HEAD + "predictions: {a: 3}\n"),
                ("experiment", HEAD + "predictions: {a: {name: x}}\n"),
                ("experiment", HEAD + "minutes: {modle: 3, job: 1}\n"),
                ("experiment", HEAD + "minutes: {model: three, job: 1}\n"),
                ("experiment", HEAD + "base: {bits: x}\n"),
                ("experiment", HEAD + f"{name.partition('.')[0]}: [1, 2]\n"),
                ("experiment", b"\xff\xfe\x00s"),
                ("experiment", HEAD.encode() + b"name: \xc3\x28\n"),
                (group, its + "banana: 1\n"),
                (group, its.replace("_target_: ", "_target_: nowhere.")),
                (group, its.replace("_target_: ", "_targt_: ")),
                (group, its + "_args_: [1]\n"),
                (group, its + "_recursive_: false\n"),
                (group, "_target_: os.getcwd\n"),
                (group, "_target_: sys.exit\n_partial_: true\n"),
                (group, "_target_: 3\n"),
                (group, "_target_: alchemy\n"),
                (group, "_target_: [alchemy.training.Recipe]\n"),
                (group, HEAD + its),
                (group, ""),
                (group, "3\n"),
                (group, "{}\n"),
            ]
        )
        count -= 1
