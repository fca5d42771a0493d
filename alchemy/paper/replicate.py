"""The paper, measured again: every experiment of conf/experiment/paper, then its claims and its figures.

    python -m alchemy paper [quick=true] [large=true] [workers=2] [output=outputs]

A finished experiment is not run again while no code and no setting of it has changed; one that was stopped goes on
from its trained models and measured cells. Source: arXiv:2508.01191.
"""

import hashlib
import subprocess
import sys
from pathlib import Path
from time import monotonic

from alchemy.errors import Parser
from alchemy.paper.claims import LARGE
from alchemy.results.code import code_digest
from alchemy.results.digests import read_json, write_json
from alchemy.results.jobs import jobs
from alchemy.runs.plan import given
from alchemy.runs.settings import CONF, HERE

MINUTES = {  # on two cores, to estimate the time left: measured with three seeds, and scaled to the seeds of each
    "tasks": 27.0,
    "reversal": 4.0,
    "length": 6.8,
    "atoms": 4.0,
    "places": 3.8,
    "format_kinds": 6.0,
    "format_domains": 2.0,
    "temperature": 10.0,
    "steps": 20.0,
    "steps_rows": 6.0,
    "sft": 12.0,
    "element_sft": 12.0,
    "sizes": 24.0,
    "sft_sizes": 12.0,
    "large": 20.0,
    "sft_large": 9.0,
    "grouped": 8.0,
}
UNCLAIMED = ("steps_rows",)  # experiments that test a reason, and measure no published number
LAWFUL = ("tasks", "reversal", "length", "atoms", "places", "format_kinds")  # what laws are fitted to


def main(words: list[str]) -> int:
    """Runs the subcommand `paper`, and returns its exit code: 1 if an experiment failed."""
    parser = Parser("paper", __doc__, "quick=true")
    parser.add_argument("settings", nargs="*", help="quick=true, large=true, workers=2, output=outputs")
    settings = read(parser.parse_args(words).settings)
    chosen = [name for name in MINUTES if name not in LARGE or settings["large"] == "true"]
    quick, workers = settings["quick"] == "true", int(settings["workers"])
    return run(chosen, quick=quick, workers=workers, output=settings["output"])


def read(words: list[str]) -> dict[str, str]:
    """Returns the settings given as key=value. Raises ValueError for any other word or value."""
    known = {"quick": "false", "large": "false", "workers": "2", "output": "outputs"}
    settings = given(words, known, "a setting of the paper: use quick=true, large=true, workers=2, output=DIR")
    for name in ("quick", "large"):
        if settings[name] not in ("true", "false"):
            raise ValueError(f"{name}={settings[name]} must be true or false")
    if not settings["workers"].isdigit() or settings["workers"] == "0":
        raise ValueError(f"workers={settings['workers']} must be a whole number of processes, such as 2")
    return settings


def run(names: list[str], quick: bool, workers: int, output: str) -> int:
    """Runs those of these experiments that are not finished, writes claims and figures, and returns the exit code."""
    failed, taken, spent = [], 0.0, 0.0  # minutes taken, and those of MINUTES for the same experiments
    home = Path(output) / ("paper_quick" if quick else "paper")
    for number, name in enumerate(names, 1):
        done = home / name / "done.json"
        if finished(done, quick) is None:
            pace = taken / spent if spent else (1 / 6 if quick else 1.0) * 2 / workers
            left = pace * sum(MINUTES[later] for later in names[number - 1 :])
            print(f"\n== {name} ({number} of {len(names)}, about {left:.0f} minutes left)", flush=True)
            begun = monotonic()
            if experiment(name, quick, workers, output, done):
                taken, spent = taken + (monotonic() - begun) / 60, spent + MINUTES[name]
            else:
                failed.append(name)
    return close(home, quick, failed)


def close(home: Path, quick: bool, failed: list[str]) -> int:
    """Writes claims, figures and laws of finished experiments, prints which failed, and returns the exit code."""
    from alchemy.paper import claims, fewer_rows, laws
    from alchemy.paper import figures as drawings

    done = {name: finished(home / name / "done.json", quick) for name in MINUTES}
    folders = {name: folder for name, folder in done.items() if folder is not None}
    if folders:
        print("\n== claims, figures and laws", flush=True)
        table = claims.claims(folders)
        page = claims.write_claims(table, home)
        drawings.draw_figure(table, home)
        graded = [folder for name, folder in folders.items() if name in LAWFUL]
        said = laws.report(graded, home) if graded else []
        said += [fewer_rows.write_distances(folders["steps_rows"], home)] if "steps_rows" in folders else []
        print("\n".join([claims.summary(table).to_string(), "", *said, "", str(page)]), flush=True)
    if failed:
        print(f"alchemy: not finished: {', '.join(failed)}; the same command goes on from there", file=sys.stderr)
    return int(bool(failed))


def experiment(name: str, quick: bool, workers: int, output: str, done: Path) -> bool:
    """Runs one experiment in a process of its own, and returns whether all its jobs ended well."""
    begun = monotonic()
    words = [
        f"experiment=paper/{name}",
        f"workers={workers}",
        f"output={output}",
        f"name={done.parent.parent.name}/{name}",
    ]
    words += ["hydra.sweeper.params.seed=0"] if quick else []
    if subprocess.run([sys.executable, "-m", "alchemy", *words], check=False).returncode:  # noqa: S603 our own words
        return False
    newest = max(folder for folder in done.parent.iterdir() if folder.is_dir())
    facts = {"key": key(name, quick), "folder": newest.name, "minutes": round((monotonic() - begun) / 60, 2)}
    write_json(done, facts)
    return True


def finished(done: Path, quick: bool) -> Path | None:
    """Returns the folder of an experiment that ended well with the present code and settings, or None."""
    try:
        facts = read_json(done)
        folder = done.parent / facts["folder"]
        well = all(run.get("status") == "ok" for run in jobs(folder).values()) and (folder / "cells.csv").exists()
        return folder if well and facts["key"] == key(done.parent.name, quick) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def key(name: str, quick: bool) -> str:
    """Returns a digest of all that decides an experiment's numbers: its settings, and the code except for figures."""
    studies = [f"alchemy.studies.{path.stem}" for path in sorted((HERE / "studies").glob("*.py"))]
    worlds = [f"tasks.{path.stem}" for path in sorted((HERE.parent / "tasks").glob("*.py"))]
    code = code_digest("alchemy.runs.job", "alchemy.runs.plan", "alchemy.results.records", *studies, *worlds)
    settings = [path for path in sorted(CONF.rglob("*.yaml")) if "experiment" not in path.parts]
    own = [CONF / "experiment" / "paper" / f"{part}.yaml" for part in (name, "base")]
    content = b"\0".join(path.read_bytes() for path in (*settings, *own))
    return hashlib.sha256(content + code.encode() + bytes([quick])).hexdigest()[:24]
