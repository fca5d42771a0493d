"""One job: train the model or load it, run the study, write its records.

A job never raises: it writes how it ended into run.json, so that one bad cell stops neither a sweep nor its picture.
"""

import json
import logging
import traceback
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from alchemy.errors import sentence
from alchemy.plan import Plan, plan
from alchemy.records import write, write_aside
from alchemy.seeds import stream
from alchemy.shift import draw
from alchemy.task import Task

log = logging.getLogger(__name__)


def job(cfg: DictConfig) -> None:
    """Runs one job in the folder that Hydra made for it, and writes run.json at its end, whatever happens."""
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    number = 0 if OmegaConf.is_missing(hydra.job, "num") else hydra.job.num
    facts: dict[str, Any] = {"overrides": list(hydra.overrides.task)}
    begun = perf_counter()
    try:
        facts |= work(cfg, folder, number) | {"status": "ok"}
    except (ValueError, OSError) as error:
        facts |= {"status": "failed", "error": sentence(error)}
    except Exception as error:  # a fault of ours: keep the trace where the user can find it
        trace = folder / "error.txt"
        write_aside(trace, traceback.format_exc())
        facts |= {"status": "failed", "error": f"{type(error).__name__}: {sentence(error)} (trace in {trace})"}
    write_aside(folder / "run.json", json.dumps(facts | {"seconds": round(perf_counter() - begun, 2)}, indent=1))


def work(cfg: DictConfig, folder: Path, number: int) -> dict[str, Any]:
    """Trains or loads the model, runs the study, writes records.jsonl; returns the facts for run.json."""
    import torch

    from alchemy.progress import progress
    from alchemy.store import Cells, code_digest, digest

    torch.set_num_threads(cfg.threads)
    todo = plan(cfg)
    models = Path(cfg.output) / "models"
    record, home = trained(todo, models, f"job {number}: seed {cfg.seed}, training", number % cfg.workers)
    study = OmegaConf.to_container(cfg.study, resolve=True)
    key = {"study": study, "seed": cfg.seed, "device": str(cfg.device)}
    code = code_digest(type(todo.task).__module__, cfg.study._target_.rpartition(".")[0])
    cells = Cells(home / "cells", digest([key, code], 64))
    total = sum(len(shift.levels) for shift in todo.shifts)
    done = 0
    with progress(f"job {number}: seed {cfg.seed}, measuring", total, number % cfg.workers) as show:

        def report(cell: str) -> None:
            nonlocal done
            done += 1
            show(done, cell)

        records = list(todo.study(todo.task, todo.model, cfg.seed, todo.shifts, cells, report))
    write(folder / "records.jsonl", records)
    log.info("job %d: seed %d, %d cells measured", number, cfg.seed, total)
    train = todo.task.train
    return record | {
        "training": [todo.task.spell(composition) for composition in train.compositions],
        "length": train.length,
        "held_out": asdict(train.held_out) | {"written": held_out_but_written(todo.task)},
        "count": study.get("count"),  # type: ignore[union-attr]
        "seed": cfg.seed,
    }


def held_out_but_written(task: Task) -> list[str]:
    """Held-out atoms that training's chains or answers write all the same, as 4,096 rows show."""
    rows = draw(task, task.train, 4096, stream(0, "held out"), "train").tokens
    return [atom for atom in task.train.held_out.atoms if (rows == task.vocabulary.ids[atom]).any()]


def trained(todo: Plan, models: Path, what: str, row: int) -> tuple[dict[str, Any], Path]:
    """Fills `todo.model` with its weights, from the store or by training; returns their record and their folder."""
    from alchemy import store
    from alchemy.model import initialise
    from alchemy.progress import progress
    from alchemy.train import fit

    home = models / store.fingerprint(todo.settings)
    if home.exists():
        try:
            record = store.load(home, todo.model, todo.settings)
            log.info("%s: done before (%s)", what, home)
            return record, home
        except store.Damaged as error:
            log.warning("%s; the model is trained anew", error)
    models.mkdir(parents=True, exist_ok=True)
    initialise(todo.model, stream(todo.settings["seed"], "weights"))
    with progress(what, todo.recipe.steps, row) as show:
        checks = fit(
            todo.task,
            todo.model,
            todo.recipe,
            todo.settings["seed"],
            lambda at: show(at.step, f"loss {at.loss:.3f}, exact match {at.exact_match:.4f}"),
        )
    last = checks[-1]
    log.info(
        "%s: %d rows in %.0f s, exact match %.4f on held-out problems", what, last.rows, last.seconds, last.exact_match
    )
    if todo.recipe.mark is not None and last.exact_match < todo.recipe.mark:
        log.warning("%s: train.mark=%s was not reached in train.steps=%s", what, todo.recipe.mark, todo.recipe.steps)
    parameters = sum(weights.numel() for weights in todo.model.parameters())
    facts = {"parameters": parameters, "rows": last.rows, "exact_match": last.exact_match}
    store.save(home, todo.model, todo.settings, facts | {"checks": [asdict(at) for at in checks]})
    return store.load(home, todo.model, todo.settings), home
