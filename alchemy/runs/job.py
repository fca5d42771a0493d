"""Runs one job: trains the model or loads it, runs the study, and writes its records.

An error in a job is written into run.json and not raised, so that it stops neither a sweep nor its picture.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from math import nan
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift, axis_module
from alchemy.data.task import Task
from alchemy.errors import sentence, settings_at
from alchemy.results.digests import Damaged, read_json, sha256, write_json
from alchemy.results.files import write_aside
from alchemy.results.jobs import SWEEP
from alchemy.results.provenance import now, provenance
from alchemy.results.records import COORDINATES, Record, write_records
from alchemy.runs.plan import Plan, plan, predicted, study_of
from alchemy.runs.settings import words_of
from alchemy.runs.track import Job, Reporting, Tell, tracking

if TYPE_CHECKING:
    from alchemy.results.cells import Cells
    from alchemy.training.fit import Progress

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds to wait for a model's lock before a line is logged


def job(cfg: DictConfig) -> float:
    """Runs one job in the folder that Hydra made for it, and returns its distance from `target`, NaN if it failed.

    At its end it writes run.json, also after an error. A sweeper that searches, such as Optuna's, minimises the
    distance.
    """
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    number = 0 if OmegaConf.is_missing(hydra.job, "num") else hydra.job.num
    facts: dict[str, Any] = job_words(hydra) | {"began": False, "status": "failed"} | provenance()
    facts |= {"job": number, "sweep": sweep_of(folder)}
    begun = perf_counter()
    try:
        todo = plan(cfg)
        facts |= {"began": True} | keyed_by(todo)
        facts |= work(cfg, todo, folder, number) | {"status": "ok"}
    except (ValueError, OSError, MemoryError) as error:
        facts["error"] = sentence(error)
    except Exception as error:  # a fault of the lab: keep the trace where the user can find it
        trace = folder / "error.txt"
        write_aside(trace, traceback.format_exc())
        facts |= {"began": True, "error": f"{type(error).__name__}: {sentence(error)} (trace in {trace})"}
    facts |= {"seconds": round(perf_counter() - begun, 2), "config": sha256(folder / ".hydra" / "config.yaml")}
    write_json(folder / "run.json", facts)
    return facts.get("distance", nan)


def sweep_of(folder: Path) -> str | None:
    """Returns the id of the sweep that a job's folder belongs to; None if it belongs to none."""
    try:
        return read_json(folder.parent / SWEEP)["id"]
    except (OSError, ValueError, KeyError):
        return None


def job_words(hydra: Any) -> dict[str, Any]:
    """Returns how a job was started, for its run.json: the settings typed, and the folder of the user's options."""
    own = [source.path for source in hydra.runtime.config_sources if source.provider == "command-line"]
    return {"overrides": words_of(hydra), "config_dir": own[0] if own else None}


def work(cfg: DictConfig, todo: Plan, folder: Path, number: int) -> dict[str, Any]:
    """Trains or loads the model, runs the study and writes records.jsonl; returns the facts for run.json."""
    import torch

    from alchemy.measures.bench import Bench
    from alchemy.results import store
    from alchemy.runs.progress import progress

    torch.set_num_threads(cfg.threads)
    models = Path(cfg.output) / "models"
    what = f"job {number}: seed {cfg.seed}"
    told = Job(folder, OmegaConf.to_container(cfg, resolve=True), store.fingerprint(todo.settings))  # type: ignore[arg-type]
    with tracking(cfg.track, told) as tell:
        record = trained(todo, models, what, number % cfg.workers, tell) if todo.recipe else untrained(todo, what)
    cells = kept_cells(todo, record, todo.shifts)
    model = store.Trained(todo.model, models / record["fingerprint"])
    with progress(f"job {number}: seed {cfg.seed}, measuring", number % cfg.workers) as show:
        records = list(todo.study(Bench(todo.task, model, cfg.seed, todo.shifts, cells, show)))
    proof = write_records(folder / "records.jsonl", records)
    log.info("job %d: seed %d, measured", number, cfg.seed)
    train = todo.task.train
    parts = train.parts()
    shown = dict.fromkeys(composition for part in parts for composition in part.compositions)
    return record | {
        "training": [todo.task.spell(composition) for composition in shown],
        "length": max(part.length for part in parts),
        "lengths": sorted({part.length for part in parts}),
        "held_out": asdict(train.held_out) | {"written": held_out_but_written(todo.task)},
        "reached": todo.recipe is None or todo.recipe.mark is None or record["exact_match"] >= todo.recipe.mark,
        "count": cfg.study.get("count"),
        "records": proof,
        "rows_of": files_of(todo, cells),
        "distance": abs(last_levels(todo, records) - cfg.target),
        "seed": cfg.seed,
        "study": OmegaConf.to_container(cfg.study, resolve=True),
        "predictions": predicted(cfg),
    }


def kept_cells(todo: Plan, record: dict[str, Any], shifts: Iterable[Shift]) -> Cells:
    """Returns the store of the cells of a job's study: those measured before, and the place where new ones go.

    `record` is that of its model, `shifts` those that the model is studied under.
    """
    from alchemy.results.cells import Cells
    from alchemy.results.digests import digest

    cfg = todo.cfg
    decides, code = deciding(todo, shifts)
    key = digest([decides, cfg.seed, record["sha256"], code], 64)
    return Cells(Path(cfg.output) / "cells" / record["fingerprint"], key, cfg.force)


def deciding(todo: Plan, shifts: Iterable[Shift]) -> tuple[dict[str, Any], str]:
    """Returns the settings of a job's study that decide its numbers, and the digest of the code that measures them."""
    from alchemy.results.code import code_digest
    from alchemy.results.store import by_name

    settings: Any = OmegaConf.to_container(todo.cfg.study, resolve=True)
    unmeasured = getattr(study_of(todo.cfg), "UNMEASURED", ())
    decides = by_name({name: value for name, value in settings.items() if name not in unmeasured})
    axes = dict.fromkeys(map(axis_module, shifts))
    return decides, code_digest(todo.study.func.__module__, *todo.worlds, *axes)


def keyed_by(todo: Plan) -> dict[str, Any]:
    """Returns what decides a job's numbers besides the settings of its model, and the key of both (see
    alchemy.results.registrations).
    """
    from alchemy.results.registrations import key_of

    decides, code = deciding(todo, todo.shifts)
    shifts = [[shift.axis, shift.kind, shift.domain, list(shift.levels)] for shift in todo.shifts]
    measured_by = {"seed": todo.cfg.seed, "study": decides, "shifts": shifts, "code": code}
    return {"measured_by": measured_by, "key": key_of(todo.settings, measured_by)}


def last_levels(todo: Plan, records: list[Record]) -> float:
    """Returns the mean exact match of chain and answer at the last level of each shift; NaN if there is none."""
    ends = {(shift.axis, shift.kind, shift.domain, shift.levels[-1]) for shift in todo.shifts if shift.levels}
    found = [
        record.value
        for record in records
        if (record.metric, record.at["part"]) == ("exact_match", "full")
        and tuple(record.at[name] for name in COORDINATES) in ends
    ]
    return sum(found) / len(found) if found else nan


def files_of(todo: Plan, cells: Any) -> dict[str, str]:
    """Returns the files with the rows of the cells that the trained model was measured on, by shift and level."""
    files = {
        " ".join((shift.axis, shift.kind, shift.domain, str(level))): cells.path(shift.at(todo.task, level))
        for shift in todo.shifts
        for level in shift.levels
    }
    return {name: str(path.with_suffix(".parquet")) for name, path in files.items() if path.exists()}


def held_out_but_written(task: Task) -> list[str]:
    """Returns the held-out atoms that chains or answers of training contain nevertheless, as 4,096 rows show."""
    rows = draw(task, task.train, 4096, stream(0, "held out"), "train").tokens
    return [atom for atom in task.train.held_out.atoms if (rows == task.vocabulary.ids[atom]).any()]


def trained(todo: Plan, models: Path, what: str, row: int, tell: Tell) -> dict[str, Any]:
    """Loads the weights of `todo.model` from the store, or trains them, and returns the model's record.

    Of several jobs that need one model, one trains it while the others wait. `tell` is called with the checks of the
    training, new or stored.
    """
    from alchemy.results import store

    home = models / store.fingerprint(todo.settings)
    models.mkdir(parents=True, exist_ok=True)
    with alone(store.lock_of(home), what):
        if home.exists():
            try:
                record = store.load_weights(home, todo.model, todo.settings)
                log.info("%s, training: done before (%s)", what, home)
                tell(record["checks"])
                return record
            except Damaged as error:
                log.warning("%s; the model is trained anew", error)
        partial = store.Partial(store.partial_of(home))
        facts = train_or_resume(todo, what, row, Reporting(partial, tell))
        partial.close(home, todo.model, todo.settings, facts)
        return store.load_weights(home, todo.model, todo.settings)


@contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Holds the lock on a model within; if another process holds it, logs that and waits."""
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        log.info("%s: another process trains this model and has %s; waiting for it", what, path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def untrained(todo: Plan, what: str) -> dict[str, Any]:
    """Returns the record of a model from elsewhere, which the lab neither trains nor stores."""
    from alchemy.results import store
    from alchemy.results.digests import digest

    files = todo.settings["files"]
    log.info("%s, training: none, the model is from %s", what, todo.model.folder)
    parameters = sum(weights.numel() for weights in todo.model.parameters())
    record = {"fingerprint": store.fingerprint(todo.settings), "settings": todo.settings, "parameters": parameters}
    return record | {"sha256": digest(files), "rows": 0, "exact_match": None, "from": str(todo.model.folder)}


def train_or_resume(todo: Plan, what: str, row: int, checkpointer: Reporting) -> dict[str, Any]:
    """Trains `todo.model`, from fresh weights or from its checkpoint, and returns the facts for its record."""
    from alchemy.runs.progress import progress
    from alchemy.training.fit import Unusable, begin, fit_model
    from alchemy.training.population import Member, fit_among

    seed, mark, slots = todo.settings["seed"], todo.recipe.mark, todo.settings["slots"]
    with progress(f"{what}, training", row) as show, settings_at("train", vars(todo.recipe)):

        def tell(at: Progress) -> None:
            show(at.step, todo.recipe.steps, f"loss {at.loss:.3f}, exact match {at.exact_match:.4f}")

        how = todo.task, todo.model, todo.recipe, seed, tell, checkpointer

        def checked() -> list[Any]:
            if slots:
                return fit_among(Member(*how), slots)
            begin(todo.model, seed)
            return fit_model(*how)

        try:
            checks = checked()
        except Unusable as error:
            log.warning("%s, training: %s; it is begun anew", what, error)
            checkpointer.clear()
            checks = checked()
    last = checks[-1]
    log.info("%s, training: %d rows in %.0f s, exact match %.4f", what, last.rows, last.seconds, last.exact_match)
    if mark is not None and last.exact_match < mark:
        log.warning("%s, training: train.mark=%s was not reached in train.steps=%s", what, mark, todo.recipe.steps)
    return facts_of(todo, checks)


def facts_of(todo: Plan, checks: list[Progress]) -> dict[str, Any]:
    """Returns the facts for the record of a trained model, from the checks of its training."""
    parameters, last = sum(weights.numel() for weights in todo.model.parameters()), checks[-1]
    facts = {"parameters": parameters, "rows": last.rows, "exact_match": last.exact_match, "trained_at": now()}
    return facts | {"checks": [asdict(check) for check in checks]}
