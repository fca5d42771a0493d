"""What README.md, the pages of docs/ and the comments of conf/ promise, where no other test holds it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from importlib.util import find_spec
from itertools import pairwise
from math import prod
from types import SimpleNamespace
from typing import get_args, get_type_hints

import duckdb
import matplotlib as mpl
import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from alchemy.data.noise import NOISE_DOMAINS, NOISE_KINDS
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import AXES, Shift
from alchemy.data.vocabulary import UNKNOWN
from alchemy.interop.words import arguments
from alchemy.measures import cell as measure
from alchemy.models.transformer import Positions
from alchemy.paper import replicate as paper
from alchemy.paper.claims import LARGE
from alchemy.results import store
from alchemy.results.digests import seal
from alchemy.results.jobs import proof_of
from alchemy.results.query import select
from alchemy.results.runs import read_results
from alchemy.results.store import Partial
from alchemy.runs.build import build
from alchemy.runs.job import last_levels
from alchemy.runs.plan import chosen_shifts, plan
from alchemy.runs.settings import CONF
from alchemy.runs.track import NEEDED
from alchemy.runs.words import WORDS
from alchemy.stats.intervals import interval
from alchemy.studies.reasoning_tax.study import KEEPS, REWARDED, SUPERVISED
from alchemy.training.fit import Recipe
from tests.helpers.command import TINY, alchemy
from tests.helpers.completions import half_right
from tests.helpers.made import make
from tests.helpers.mistakes import said
from tests.helpers.worlds import ROOT, WORLDS

README = (ROOT / "README.md").read_text(encoding="utf-8")
GALLERY = (ROOT / "docs" / "gallery" / "README.md").read_text(encoding="utf-8")
TEXTS = {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in [ROOT / "README.md"]}
TEXTS |= {path.relative_to(ROOT): path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("docs/**/*.md"))}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)


def composed(*words):
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", [*words])


def shown():
    """The words after `python -m alchemy` of every command in the README's blocks, each once."""
    lines = [line for language, block in FENCED.findall(README) if not language for line in block.splitlines()]
    found = [shlex.split(line, comments=True) for line in lines if line.startswith("python -m alchemy ")]
    return sorted({tuple(words[3:]) for words in found})


def one_job(words):
    """The settings of the last job of a sweep over these words."""
    found = OverridesParser.create().parse_overrides([word for word in words if word != "-m"])
    for one in found:
        swept = [*one.sweep_string_iterator()] if one.is_sweep_override() else []
        yield f"{one.get_key_element()}={swept[-1]}" if swept else str(one.input_line)


def comment(path, key):
    """What is said of a setting in the file of its option, on the line of its key."""
    [line] = re.findall(rf"^ *{key}:.* # (.*)$", (CONF / path).read_text(encoding="utf-8"), re.M)
    return line


# ---- the commands that are shown


RUNS = [words for words in shown() if not {*words} & {*WORDS, "--help"}]
LIKE = ("launcher=", "experiment=", "workers=4", "hydra/sweeper")  # of those that differ in such words a few are enough


def rarely(words):
    more = [pytest.mark.slow] if any(word.startswith(LIKE) for word in words) else []
    return pytest.param(words, id=" ".join(words) or "alone", marks=more)


@pytest.mark.parametrize("words", [*map(rarely, RUNS)])
def test_a_command_of_the_readme_is_taken(words):
    """Each of a sweep's last settings; what is not here (a GPU, Optuna, the reader's own folder) is left out."""
    its = [word for word in one_job(words) if not word.startswith(("hydra/sweeper", "hydra.sweeper", "device="))]
    answer = said(its)
    elsewhere = ("model.path=DIR is no folder", "model=hf needs the library transformers")  # it is an extra
    assert answer == "" or ("model=hf" in its and answer.startswith(elsewhere)), answer


def test_the_readme_shows_a_dozen_commands_and_the_gallery_and_the_headline_name_experiments_there_are():
    assert len(RUNS) > 12
    for path, text in TEXTS.items():
        for name in re.findall(r"experiment=([\w/]+)", text):
            mine = f"options/experiment/{name}.yaml" in text  # an option that the page itself writes
            assert mine or (CONF / "experiment" / f"{name}.yaml").is_file(), f"{path}: experiment={name}"


def test_a_command_for_other_tools_is_taken():
    asked = [words for words in shown() if words[:1] and words[0] in WORDS]
    assert {words[0] for words in asked} >= {"export", "score", "load", "export-model", "export-tasks"}
    for word, *rest in [words for words in asked if WORDS[words[0]].module == arguments.__module__]:
        assert arguments(word).parse_args(rest).out or word == "load"


def test_the_question_of_the_readme_has_its_answer(tmp_path):
    make(tmp_path, scores=(0.1, 0.2))
    (tmp_path / "cells.csv").write_text(read_results(tmp_path).cells.to_csv(index=False).replace("task,", "length,"))
    seal(tmp_path / "cells.csv", proof_of(tmp_path))
    [where] = [words[words.index("--where") + 1] for words in shown() if "--where" in words]
    found = select(tmp_path, where)
    assert set(found["level"][found["part"] == "full"]) == {1}
    assert (found["mean"] < 0.5).all()
    assert set(found["metric"]) == {"exact_match"}


def test_every_module_and_extra_that_is_named_is_there():
    for name in re.findall(r"python -m ([\w.]+)", README + GALLERY):
        assert name in ("alchemy", "benchmarks") or find_spec(name), name
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = README + "".join(path.read_text(encoding="utf-8") for path in (CONF / "launcher").glob("*.yaml"))
    extras = set(re.findall(r"pip install\s+'\.\[(\w+)\]'", texts))
    assert {"hf", "harness", "track", "slurm", "ray"} <= extras <= set(project["optional-dependencies"])
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11 to 3.13" in README
    assert f"called `{project['name']}`" in " ".join(README.split())


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_does_what_the_readme_says():
    def done(*words):
        return subprocess.run(
            ["make", "-n", "--no-print-directory", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")},
        ).stdout.rstrip()

    assert done("heatmap").endswith("-m alchemy experiment=mirage")
    assert done("headline").endswith("-m alchemy experiment=reasoning_tax/headline")
    assert done("paper", "quick=true", "large=true").endswith("-m alchemy paper quick=true large=true")
    assert done("paper").endswith("-m alchemy paper quick=false large=false")
    assert done("bench", "rounds=3", "compare=OLD.json").endswith("-m benchmarks rounds=3 compare=OLD.json")
    checks = done("test")
    parts = ("ruff check", "ruff format --check", "mypy", '-m "not slow"')
    assert [part for part in parts if part in checks] == [*parts]
    assert done("slow").endswith("-m slow")
    assert done("ray").endswith("-m slow tests/system/test_engines.py")


def test_every_link_leads_somewhere():
    for path, text in TEXTS.items():
        for link in re.findall(r"\]\(([^)#]+)\)", text):
            assert link.startswith("https://") or (ROOT / path).parent.joinpath(link).exists(), f"{path}: {link}"


def test_the_gallery_has_every_picture_and_a_command_for_each_section():
    names = {path.name for path in (ROOT / "docs" / "gallery").iterdir()} - {"README.md"}
    assert names == set(re.findall(r"\]\(([\w.]+\.(?:png|csv))\)", GALLERY))
    for section in GALLERY.split("\n## ")[1:]:
        assert re.search(r"`(make|python -m) ", section), section.partition("\n")[0]
    for line in GALLERY.splitlines():
        cells = line.strip("|").split(" | ")
        if len(cells) == 3 and ".png" in cells[0]:
            assert re.search(r"`(make|python -m) |the same", cells[2]), line


# ---- what the defaults are


def test_the_defaults_are_those_that_are_told():
    cfg = composed()
    assert (cfg.train.loss, cfg.study.temperature, cfg.model.context, cfg.tokens) == ("completion", 0, 64, "symbols")
    assert (cfg.workers, cfg.target, cfg.track, cfg.study.count, cfg.output) == (2, 0.5, "none", 2000, "outputs")
    assert cfg.study._target_ == "alchemy.studies.degradation.run"
    assert {shift.axis for shift in plan(cfg).shifts} == {"task", "element", "length", "steps", "format"}
    assert "one model, all five shifts" in README
    assert OmegaConf.load(CONF / "launcher" / "slurm.yaml").hydra.launcher.jobs_each == 8
    assert "eight jobs in each of Slurm's" in README
    assert mpl.rc_params_from_file(ROOT / "alchemy" / "figures" / "draw.mplstyle")["savefig.dpi"] == 200
    given = arguments("export").parse_args(["--composition", "F1", "--out", "x"])
    assert (given.length, given.rotation, given.roll, given.seed) == (4, 13, 1, 0)  # as its --help has them


def test_the_experiments_are_as_large_as_they_are_said_to_be():
    sizes = {}
    for name in ("reasoning_tax/headline", "diversity", "paper/base", "paper/tasks", "paper/reversal"):
        swept = OmegaConf.load(CONF / "experiment" / f"{name}.yaml").hydra.sweeper.params
        sizes[name] = {key: str(values).split(",") for key, values in swept.items()}
    arms, seeds = sizes["reasoning_tax/headline"]["arm"], sizes["reasoning_tax/headline"]["seed"]
    assert (len(arms) * len(seeds), 2 * len(seeds)) == (60, 20)  # one arm has a base of its own
    assert "# 60 jobs on 20 models" in TEXTS[next(path for path in TEXTS if path.name == "headline.md")]
    assert len(sizes["paper/base"]["seed"]) == 6
    assert len(sizes["paper/tasks"]["seed"]) == len(sizes["paper/reversal"]["seed"]) == 10
    assert sizes["diversity"]["task.compositions"][::6] == ["1", "56"]
    assert set(LARGE) < set(paper.MINUTES) == {path.stem for path in CONF.glob("experiment/paper/*.yaml")} - {"base"}
    base = composed("experiment=reasoning_tax/headline").study.base
    assert (base.bits, base.slow) == (0.8, 0.6)


def test_the_experiments_of_coverage_are_as_large_as_they_are_said_to_be():
    whole = OmegaConf.load(CONF / "experiment" / "coverage.yaml").hydra.sweeper.params
    sizes = []
    for name in ("coverage", "coverage_quick", "coverage_rows"):
        swept = OmegaConf.load(CONF / "experiment" / f"{name}.yaml").hydra.sweeper.params
        sizes.append(prod(len(str(values).split(",")) for values in OmegaConf.merge(whole, swept).values()))
    assert sizes == [270, 90, 24]
    assert "# 270 models" in next(text for path, text in TEXTS.items() if path.name == "coverage.md")


def test_eight_of_64_compositions_are_held_out_others_for_each_seed():
    held_out = []
    for seed in range(3):
        train = build("task", composed("experiment=diversity", f"seed={seed}").task).train
        assert {len(composition) for composition in train.compositions} == {2}
        assert {rule for composition in train.compositions for rule in composition} <= set(range(8))
        held_out.append(set(train.held_out.compositions))
        assert len(held_out[-1]) == 8
        assert not held_out[-1] & set(train.compositions)
    assert all(one != other for one, other in pairwise(held_out))


# ---- what a setting may be


def test_a_comment_names_everything_that_its_setting_may_be():
    hints = get_type_hints(Recipe)
    study = "study/reasoning_tax.yaml"
    for path, key, names in (
        ("train/adamw.yaml", "loss", get_args(hints["loss"])),
        ("train/adamw.yaml", "padding", get_args(hints["padding"])),
        ("config.yaml", "track", NEEDED.keys() - {"none"}),
        ("config.yaml", "domain", NOISE_DOMAINS),
        ("config.yaml", "precision", ["bfloat16"]),
        ("config.yaml", "tokens", ["pieces"]),
        (study, "arm", (*SUPERVISED, *REWARDED)),
        (study, "keep", KEEPS),
    ):
        told = comment(path, key)
        for name in names:
            assert re.search(rf"\b{name}\b", told), f"{path}: {key} may be {name}"
    for name in re.findall(r"\w+", comment("model/gpt.yaml", "positions").replace(" or ", " ")):
        assert name in get_args(Positions)


def test_the_table_of_the_readme_has_every_axis_kind_and_domain():
    table = README.partition("| axis | level 0 |")[2].partition("\n\n")[0]
    first = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")][1:]
    assert sorted(re.findall(r"`(\w+)`", " ".join(first))) == sorted(AXES)
    for name in (*NOISE_KINDS, *NOISE_DOMAINS):
        assert re.search(rf"\b{name}\b", table), name
    for group, words, number in (("study", "Five studies", 5), ("task", "Four worlds", 4)):
        section = README.partition(f"**{words}**")[2].partition("\n\n")[0]
        options = {path.stem for path in (CONF / group).glob("*.yaml")}
        variants = {"diverse", "coverage", "shown"} if group == "task" else set()
        assert len(options - variants) == number
        assert all(f"`{name}`" in section for name in options)


def test_a_mixture_is_asked_to_recall_and_to_compute_as_the_readme_does():
    words = re.search(r"\(`(shift\.axis=composition 'shift\.levels=\[r3:x\+4\]')`\)", README).group(1)
    [shift] = chosen_shifts(WORLDS["mixture"], composed(*shlex.split(words)).shift)
    [composition] = shift.at(WORLDS["mixture"], *shift.levels).compositions
    assert WORLDS["mixture"].spell(composition) == "r3:x+4"
    assert [WORLDS["mixture"].kinds[rule] for rule in composition] == ["recall", "compute"]


# ---- what is drawn and what is measured


def test_the_noise_token_is_never_trained(task):
    assert not (draw(task, task.train, 300, stream(0, "train"), "train").tokens == UNKNOWN).any()


def test_problems_counts_different_ones_of_which_there_are_172_at_two_letters():
    cipher = WORLDS["cipher"]
    for level, least, most in ((-2, 172, 172), (-1, 1400, 1600), (0, 1900, 2000)):
        batch = draw(cipher, Shift("length", (level,)).at(cipher, level), 2000, stream(0, "test"))
        assert least <= len(np.unique(batch.tokens, axis=0)) <= most


def test_what_the_readme_names_of_a_cell_is_measured(monkeypatch):
    monkeypatch.setattr(measure, "complete", half_right)
    cipher = WORLDS["cipher"]
    cell = measure.measure(cipher, None, Shift("format", (4,), "modify", "all").at(cipher, 4), 50, 0)
    parts = {part: set(metrics) for part, metrics in cell.values.items()}
    for part in ("full", "chain", "answer"):
        assert {"exact_match", "edit_distance", "bleu_corpus", "bleu_sentence"} <= parts[part]
    kinds = {"right", "replayed", "wrong_answer", "wrong_step", "malformed"}
    assert kinds | {"fluent", "inconsistent"} <= parts["diagnosis"]
    assert sum(cell.values["diagnosis"][kind][0] for kind in kinds) == pytest.approx(1)
    assert "tie" in parts["executed"]
    assert "rate" in parts["replay"]
    assert {"total_variation", "novelty", "length_gap", "alignment"} < parts["discrepancy"]
    assert len(parts["discrepancy"]) >= 5
    assert {"problems", "untouched"} <= parts["prompt"]
    assert {"prompt", "gold", "completion", "kind"} <= cell.rows.keys()


def test_a_search_is_told_how_far_the_last_level_of_each_shift_is_from_its_goal():
    shifts = (Shift("task", (0, 2)), Shift("format", (3, 1), "insert", "all"))
    at = {"task": ("-", "-"), "format": ("insert", "all")}
    values = {("task", 0): 1.0, ("task", 2): 0.2, ("format", 3): 0.9, ("format", 1): 0.6}
    records = [
        SimpleNamespace(
            metric="exact_match",
            value=value,
            at={"axis": axis, "kind": at[axis][0], "domain": at[axis][1], "level": level, "part": part},
        )
        for (axis, level), value in values.items()
        for part in ("full", "chain")
    ]
    assert last_levels(SimpleNamespace(shifts=shifts), records) == pytest.approx((0.2 + 0.6) / 2)


def test_a_training_is_put_down_every_half_minute(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(store, "monotonic", lambda: now[0])
    partial = Partial(tmp_path / "part", last=0.0)
    written = []
    for second in (29.0, 31.0, 59.0, 62.0):
        now[0] = second
        partial.save({}, [{"step": int(second)}])
        file = tmp_path / "part" / "training.json"
        written.append(json.loads(file.read_text())["checks"][0]["step"] if file.exists() else None)
    assert written == [None, 31, 31, 62]


def test_an_interval_over_seeds_holds_the_truth_in_95_of_100_runs_from_two_seeds_on_or_from_six():
    """Of a share, whose mean it is, and of any other number, whose median seed it is; in 400 made-up runs each."""
    rng = stream(5, "cells")
    for seeds in (2, 3, 5, 10):
        low, high = interval((0.7 + 0.15 * rng.standard_normal((400, seeds))).clip(0.4, 1))
        assert ((low <= 0.7) & (high >= 0.7)).mean() >= 0.95
        low, high = interval(rng.standard_normal((400, seeds)), "bits")
        assert np.isnan(low).all() if seeds < 6 else ((low <= 0) & (high >= 0)).mean() >= 0.95


# ---- the map


def test_the_map_counts_the_nouns():
    nouns = re.findall(r"\*\*(\w+)\*\*", README.partition("## Map")[2].partition("```")[0])
    assert len(nouns) == 9


# ---- a run as it lies on the disk


@pytest.mark.slow
def test_a_folder_of_a_run_holds_what_the_readme_says_and_no_pickle(tmp_path):
    done = alchemy(tmp_path, "-m", "seed=0,1", "model.width=8", "shift.axis=task,format", "shift.levels=[0,1]", *TINY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done before") == 2
    folder = (tmp_path / done.stdout.splitlines()[-1]).parent
    names = {path.name for path in folder.iterdir() if path.is_file()}
    assert {"report.html", "cells.csv", "heatmap.png", "diagnosis.png"} <= names
    for job in range(4):
        home = folder / str(job)
        assert {"records.jsonl", "run.json", ".hydra"} <= {path.name for path in home.iterdir()}
        assert OmegaConf.load(home / ".hydra" / "config.yaml").study.count == 16
        facts = json.loads((home / "run.json").read_text())
        assert {"settings", "versions", "commit", "machine", "training", "status"} <= facts.keys()
        for line in (home / "records.jsonl").read_text().splitlines():
            assert isinstance(json.loads(line)["value"], float)
        assert len(facts["rows_of"]) == 2
        for file in facts["rows_of"].values():
            columns = duckdb.sql(f"SELECT * FROM '{tmp_path / file}'").columns  # the folder is our own
            assert {"prompt", "gold", "completion", "kind"} <= set(columns)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.stat().st_size:
            assert path.suffix not in (".pkl", ".pickle", ".pt", ".pth"), path
            assert path.read_bytes()[:2] not in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK"), path
