"""Registers a sweep before it is run: `python -m alchemy register FILE.yaml` freezes what it will be and what is
predicted of it.

FILE has `words`, what would be typed as the sweep, and may have a `question` and `forecasts`, a CSV file of what rival
theories expect. The registration is a JSON file in registrations/, where pages of results look for it. It is refused
where a model or a record of the sweep exists already, and where code or settings differ from the last commit.
"""

import json
import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from alchemy.data.kinds import check, quoted
from alchemy.data.shift import axis_module
from alchemy.errors import COMMAND, Parser, shortened
from alchemy.results.code import file_of, used_by
from alchemy.results.digests import Damaged, read_json, write_json
from alchemy.results.provenance import HERE, git, now, unsaved
from alchemy.results.registrations import FOLDER, UNKNOWN, Registered, RegisteredJob, read_registration
from alchemy.results.store import fingerprint
from alchemy.results.theories import read_forecasts, typed_settings
from alchemy.runs.compose import compose_sweep
from alchemy.runs.job import keyed_by
from alchemy.runs.mistakes import explain
from alchemy.runs.plan import Plan, plan, predicted, study_of
from alchemy.runs.settings import CONF, words_of
from alchemy.runs.sweep import check_jobs
from alchemy.runs.words import misplaced
from alchemy.stats.power import fewest, needed, outlook
from alchemy.stats.predictions import predictions

ASKED = {"words": tuple[str, ...], "question": str, "forecasts": str}  # what a file may have
FOUND_IN = ("alchemy", "tasks", "conf", "hydra_plugins")  # of the lab's checkout: what decides numbers and verdicts
HERE_FIRST = "register before anything is run, or choose seeds that nothing has seen"


@dataclass(frozen=True)
class Request:
    """What a researcher asks to register: the words of the sweep, the question, and the file of forecasts."""

    words: tuple[str, ...]
    question: str
    forecasts: Path | None


@dataclass(frozen=True)
class Job:
    """A job that is to be registered: its settings and its plan, of which nothing has weights."""

    cfg: DictConfig
    todo: Plan
    entry: RegisteredJob

    @property
    def name(self) -> str:
        """Number and words of the job, for a message."""
        return f"job {self.cfg.hydra.job.num} ({shortened(' '.join(self.entry['words']), 90)})"


def main(words: list[str]) -> int:
    """Runs the subcommand `register`, and returns its exit code: 0 if the sweep is registered, now or before."""
    parser = Parser("register", __doc__, "FILE.yaml")
    parser.add_argument("file", type=Path, metavar="FILE", help="YAML with words, and question and forecasts if any")
    parser.add_argument("--out", type=Path, metavar="FILE", help="another file to write than registrations/NAME.json")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="your own options, if the sweep uses them")
    chosen = parser.parse_args(words)
    out = chosen.out or FOLDER / f"{chosen.file.stem}.json"
    if out.suffix != ".json":
        raise ValueError(f"--out {out} is not named .json, as pages look for it: name it {out.with_suffix('.json')}")
    asked = read_request(chosen.file)
    found = jobs_of(asked.words, chosen.config_dir)
    content = contents(chosen.file.stem, asked, found)
    refuse_hopeless(content)
    before = registered_before(out, content)
    if before is None:
        content["commit"] = commit_of(found, chosen.config_dir)
        refuse_known(found)
        out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, cast(dict[str, Any], content))
    print("\n".join(told(content, before)))
    print(out)
    return 0


def read_request(path: Path) -> Request:
    """Returns what a file asks for. Raises ValueError if it is no such file."""
    such = f"{path} is no registration to be: write words: [what you would type as the sweep]"
    try:
        asked = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{such} ({shortened(str(error), 100)})") from None
    if not isinstance(asked, dict) or not isinstance(asked.get("words"), list):
        raise ValueError(such)
    if wrong := [name for name in asked if name not in ASKED]:
        raise ValueError(f"{path} has {quoted(wrong[0])}, which nothing reads: use {', '.join(ASKED)}")
    if split := [word for word in asked["words"] if not isinstance(word, str)]:
        raise ValueError(f"{path}: words has {quoted(split[0])}: quote a word that has a comma, such as 'seed=0,1'")
    for name, kind in ASKED.items():
        if name in asked:
            check(f"{path}: {name}", asked[name], kind)
    words = tuple(word for word in asked["words"] if word not in ("-m", "--multirun"))
    if options := [word for word in words if word.startswith("-")]:
        raise ValueError(
            f"{path}: words has {quoted(options[0])}, an option: type it after {COMMAND} register, if at all"
        )
    if wrong := [said for word in words if (said := misplaced(word))]:
        raise ValueError(f"{path}: {wrong[0]}; and quote a word that has a comma, such as 'seed=0,1'")
    forecasts = path.parent / asked["forecasts"] if asked.get("forecasts") else None
    return Request(words, asked.get("question", ""), forecasts)


def jobs_of(words: Sequence[str], config_dir: Path | None) -> list[Job]:
    """Returns all jobs of the sweep, checked as before a run. Raises ValueError with what the command would say."""
    try:
        configs = compose_sweep(words, config_dir)
        check_jobs(configs)
        logging.getLogger(plan.__module__).disabled = True  # it has told once what the world lacks, as before a run
        return [job_from(cfg) for cfg in configs]
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        raise ValueError(explain(error)) from None
    finally:
        logging.getLogger(plan.__module__).disabled = False


def job_from(cfg: DictConfig) -> Job:
    """Returns a job with its plan, and with what its registration holds of it."""
    HydraConfig.instance().set_config(cfg)  # settings may refer to Hydra's
    todo = plan(cfg, sketch=True)
    study = cast(dict[str, Any], OmegaConf.to_container(cfg.study, resolve=True))
    entry = {"words": words_of(cfg.hydra), "seed": cfg.seed, "model": fingerprint(todo.settings)}
    entry |= {"settings": todo.settings, "study": study} | keyed_by(todo)
    return Job(cfg, todo, cast(RegisteredJob, entry))


def contents(name: str, asked: Request, found: Sequence[Job]) -> Registered:
    """Returns what a registration holds, as JSON has it; no commit is known yet. Raises ValueError for forecasts that
    are none, and for jobs that do not share their predictions and their exclusion rule.
    """
    analyses = [[predicted(job.cfg), job.entry["study"].get("base")] for job in found]
    if any(one != analyses[0] for one in analyses):
        raise ValueError("jobs of this sweep differ in predictions or in study.base: register a sweep for each")
    seeds = sorted({job.entry["seed"] for job in found})
    worlds: dict[str, list[Any]] = {str(seed): [] for seed in seeds}
    for job in found:
        if (task := job.entry["settings"]["task"]) not in (its := worlds[str(job.entry["seed"])]):
            its.append(task)
    swept = {key for job in found for key in typed_settings(job.entry["words"])}
    coordinates = [*sorted(swept), *getattr(study_of(found[0].cfg), "COORDINATES", ())]
    content = {
        "name": name,
        "question": asked.question,
        "words": asked.words,
        "date": now(),
        "commit": UNKNOWN,
        "seeds": seeds,
        "worlds": worlds,
        "predictions": analyses[0][0],
        "exclusion": analyses[0][1],
        "jobs": [job.entry for job in found],
        "forecasts": read_forecasts(asked.forecasts, coordinates, seeds) if asked.forecasts else None,
    }
    return cast(Registered, json.loads(json.dumps(content)))


def registered_before(out: Path, content: Registered) -> str | None:
    """Returns when this was registered, if the file `out` holds the same already; None if there is no such file.

    Raises ValueError if the file holds something else.
    """
    try:
        before = read_registration(out).content
    except FileNotFoundError:
        return None
    apart = ("date", "commit")
    if {key: its for key, its in before.items() if key not in apart} == {
        key: its for key, its in content.items() if key not in apart
    }:
        return before["date"]
    raise ValueError(f"{out} holds another registration, of {before['date']}: name another file with --out")


def commit_of(found: Iterable[Job], config_dir: Path | None) -> str:
    """Returns the commit of the lab's checkout. Raises ValueError if a file that decides numbers differs from it, or
    one of the user's own from the commit of its repository.
    """
    at = git("rev-parse", "HEAD") if (HERE / ".git").exists() else None
    changed = unsaved(FOUND_IN) if at else []
    for path in own_files(found, config_dir):
        if git("rev-parse", "--show-toplevel", at=path.parent):
            changed += unsaved([path.name], at=path.parent)
    if changed:
        some = f"{changed[0]} and others differ" if len(changed) > 1 else f"{changed[0]} differs"
        raise ValueError(f"{some} from the last commit: commit or undo that, so that the commit says what is run")
    return at or UNKNOWN


def own_files(found: Iterable[Job], config_dir: Path | None) -> list[Path]:
    """Returns what outside of the lab decides numbers: modules of the user's own, and the folder of options."""
    files = {config_dir.absolute(): None} if config_dir else {}
    for job in found:
        todo = job.todo
        axes = dict.fromkeys(map(axis_module, todo.shifts))
        modules = used_by(type(todo.model).__module__, todo.study.func.__module__, *todo.worlds, *axes)
        files |= {file.absolute(): None for file in map(file_of, modules) if file}
    lab = [HERE / name for name in FOUND_IN] + [CONF]
    return [file for file in files if not any(folder in (file, *file.parents) for folder in lab)]


def refuse_hopeless(content: Registered) -> None:
    """Raises ValueError for predictions that so few seeds can neither support nor refute, whatever comes out."""
    seeds, family = len(content["seeds"]), sum(not one.get("primary", False) for one in content["predictions"])
    if content["predictions"] and not needed(seeds):
        raise ValueError(
            f"{seeds} seeds can show nothing of {max(family, 1)} predictions, whatever comes out: register {fewest()} "
            "seeds or more, or predictions=none"
        )


def refuse_known(found: Sequence[Job]) -> None:
    """Raises ValueError if a model of a job exists, finished or begun, or cells or records of one."""
    ran = {output: runs_under(output) for output in {Path(job.cfg.output) for job in found}}
    for job in found:
        output, model = Path(job.cfg.output), job.entry["model"]
        if job.todo.recipe is not None:  # a model from elsewhere is known to everybody
            if (output / "models" / model).exists() or (output / "models" / f".{model}.partial").exists():
                raise ValueError(f"{job.name} has its model in {output / 'models'} already: {HERE_FIRST}")
            if (output / "cells" / model).exists():
                raise ValueError(f"{job.name} has measured cells in {output / 'cells'} already: {HERE_FIRST}")
        for folder, run in ran[output]:
            if run.get("key") == job.entry["key"] or (job.todo.recipe and run.get("fingerprint") == model):
                raise ValueError(f"{job.name} has records in {folder} already: {HERE_FIRST}")


def runs_under(output: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Returns folder and run.json of each job below `output` that has records. Raises ValueError for a run.json that
    cannot be read, since nobody can tell what it ran.
    """
    found = []
    for place, below, files in os.walk(output):
        if Path(place) == output:
            below[:] = [name for name in below if name not in ("models", "cells")]
        if "run.json" in files and "records.jsonl" in files:
            try:
                found.append((Path(place), read_json(Path(place) / "run.json")))
            except Damaged as error:
                raise ValueError(f"{error}, so nobody can tell what ran there: remove that folder") from None
    return found


def told(content: Registered, before: str | None) -> list[str]:
    """Returns lines on what is registered; `before` is the date of a registration that was there already."""
    models, seeds = {job["model"] for job in content["jobs"]}, ", ".join(map(str, content["seeds"]))
    rows = content["forecasts"]["rows"] if content["forecasts"] else ()
    said = (
        f"{len(content['jobs'])} jobs on {len(models)} models, seeds {seeds}; {len(content['predictions'])} predictions"
    )
    if rows:
        said += f"; {len(rows)} forecasts by {', '.join(dict.fromkeys(row['theory'] for row in rows))}"
    commit = content["commit"] if content["commit"] == UNKNOWN else f"commit {content['commit']}"
    registered = f"registered already, on {before}" if before else f"registered on {content['date']}, {commit}"
    return [said, *outlook(predictions(content["predictions"]), len(content["seeds"])), registered]
