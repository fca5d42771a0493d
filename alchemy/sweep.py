"""The end of a run or sweep: gather its jobs, write cells.csv, draw, and say what failed."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from alchemy.plan import plan, sentence
from alchemy.records import job_folder, load, summarise, write_aside


class Finish(Callback):
    """Hydra's hooks. It turns exceptions in them into warnings, but lets SystemExit through."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        try:
            plan(config)  # before Hydra makes a folder
        except (ValueError, OSError) as error:
            sys.exit(f"alchemy: {sentence(error)}")

    def on_run_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.run.dir))

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        close(Path(config.hydra.sweep.dir))


def close(folder: Path) -> None:
    """Finishes a folder and leaves with its exit code if anything failed."""
    if status := finish(folder):
        sys.exit(status)


def finish(folder: Path) -> int:
    """Writes cells.csv and the pictures of all finished jobs in `folder`; the last line printed is heatmap.png's path.

    Returns the exit code: 0, or 1 if a job failed, each of them named on stderr.
    """
    try:
        runs = jobs(folder)
        failed = {number: run for number, run in runs.items() if run.get("status") != "ok"}
        good = {number: run for number, run in runs.items() if number not in failed}
        for number, run in failed.items():
            name = f"job {number} ({' '.join(run.get('overrides', []))}): " if number >= 0 else ""
            print(f"alchemy: {name}{run.get('error', 'did not finish: start the same command again')}", file=sys.stderr)
        if not good:
            if failed and all("error" in run and "trace in" not in run["error"] for run in failed.values()):
                shutil.rmtree(folder)  # nothing began: leave nothing behind
            return 1
        report(folder, good)
    except (ValueError, OSError) as error:
        print(f"alchemy: {sentence(error)}", file=sys.stderr)
        return 1
    return int(bool(failed))


def report(folder: Path, runs: dict[int, dict[str, Any]]) -> None:
    from alchemy.figures import draw_all, table_text  # drawing takes seconds to import: not in a training process

    swept = variants(runs)
    names = sorted({name for coordinates in swept.values() for name in coordinates})
    cells = summarise(load(folder, swept), names)
    write_aside(folder / "cells.csv", cells.to_csv(index=False))
    picture = draw_all(cells, list(runs.values()), names, folder)
    print(table_text(cells, names))
    print(f"every cell with its interval: {folder / 'cells.csv'}")
    print(picture, flush=True)


def jobs(folder: Path) -> dict[int, dict[str, Any]]:
    """What each job's run.json says, by job number; a job that was ended before writing it has no status.

    Raises ValueError if `folder` is not the folder of a run or sweep.
    """
    numbers = sorted(int(path.name) for path in folder.glob("*") if path.is_dir() and path.name.isdigit())
    if not numbers and (folder / ".hydra").is_dir():
        numbers = [-1]
    if not numbers:
        raise ValueError(f"{folder} is not the folder of a run or sweep: name one such as outputs/mirage/TIME")
    runs = {}
    for number in numbers:
        path = job_folder(folder, number) / "run.json"
        try:
            runs[number] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            raise ValueError(f"{path} cannot be read: run that job again") from None
    return runs


def variants(runs: dict[int, dict[str, Any]]) -> dict[int, dict[str, str]]:
    """Per job, the swept settings that make its cells differ from another job's: all but seeds and shifts."""
    settings = {
        number: {
            key: value
            for key, _, value in (override.lstrip("+~").partition("=") for override in run["overrides"])
            if key != "seed" and not key.startswith("shift.")
        }
        for number, run in runs.items()
    }
    keys = {key for chosen in settings.values() for key in chosen}
    moving = sorted(key for key in keys if len({chosen.get(key) for chosen in settings.values()}) > 1)
    return {number: {key: chosen.get(key, "-") for key in moving} for number, chosen in settings.items()}
