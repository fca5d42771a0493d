"""Jobs of a run or sweep: what the run.json of each says, checked against the records that the job wrote."""

import hashlib
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from alchemy.data.kinds import check
from alchemy.results.digests import Damaged, digest, read_json, sha256
from alchemy.results.records import job_folder

SWEEP = "sweep.json"  # file in a sweep's folder with its id and number of jobs


class Sweep(TypedDict):
    """Contents of sweep.json, which are known before the jobs begin."""

    id: str
    jobs: int


class Proof(TypedDict):
    """Checksum of a job's records and their number, as its run.json holds them."""

    sha256: str
    lines: int


class HeldOut(TypedDict):
    """What training leaves out, as run.json holds it."""

    atoms: tuple[str, ...]
    written: tuple[str, ...]
    places: int
    only: NotRequired[int]
    compositions: NotRequired[tuple]


class Study(TypedDict):
    """Settings of a study, as run.json holds them; each study adds settings of its own."""

    _target_: str


class Finished(TypedDict):
    """Entries that the run.json of a job has at least, if the job ended well."""

    study: Study
    predictions: NotRequired[tuple[dict, ...]]

    overrides: tuple[str, ...]
    config_dir: NotRequired[str | None]
    records: Proof
    training: tuple[str, ...]
    length: int
    held_out: HeldOut
    rows: int
    parameters: int
    exact_match: float | None
    reached: bool
    count: int | None
    seed: int
    rows_of: NotRequired[dict[str, str]]
    sweep: NotRequired[str | None]
    job: NotRequired[int]
    config: NotRequired[str | None]
    fingerprint: NotRequired[str]
    commit: NotRequired[str | None]


class Failed(TypedDict):
    """Entries that the run.json of a job has at least, if the job failed."""

    overrides: tuple[str, ...]
    config_dir: NotRequired[str | None]
    error: str


def intact(path: Path, proof: Proof) -> bool:
    """Whether a file holds exactly the records that were written to it."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return (hashlib.sha256(content).hexdigest(), content.count(b"\n")) == (proof["sha256"], proof["lines"])


def jobs(folder: Path) -> dict[int, dict[str, Any]]:
    """Contents of the run.json of each job, by job number; a single run has the number -1.

    A job that was ended before it wrote its run.json has no status. A job whose run.json or records have changed counts
    as failed.

    Raises ValueError if `folder` is not the folder of a run or sweep.
    """
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    numbers = sorted(int(path.name) for path in found if path.name.isdecimal() and path.name.isascii())
    if not numbers and (folder / ".hydra").is_dir():
        numbers = [-1]
    if not numbers:
        raise ValueError(f"{folder} is not the folder of a run or sweep: name one such as outputs/mirage/TIME")
    runs = {number: job_of(job_folder(folder, number)) for number in numbers}
    return runs if numbers == [-1] or not (folder / SWEEP).exists() else of_one_sweep(folder, runs)


def of_one_sweep(folder: Path, runs: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """The jobs `runs`, checked against the sweep.json of their folder.

    A job that is missing, or that is another job or one of another sweep, counts as failed. Raises Damaged, a
    ValueError, if sweep.json has changed.
    """
    try:
        sweep = read_json(folder / SWEEP)
        check(SWEEP, sweep, Sweep)
    except (OSError, ValueError) as error:
        said = f"{folder / SWEEP} has changed since it was written: start the same command again"
        raise Damaged(said) from error
    for number in range(max(sweep["jobs"], *(number + 1 for number in runs))):
        run, home = runs.setdefault(number, {}), job_folder(folder, number)
        if not home.is_dir():
            runs[number] = {"status": "failed", "error": f"{home} is not there: start the same command again"}
        elif run.get("status") == "ok" and (run.get("sweep"), run.get("job")) != (sweep["id"], number):
            wrong = f"{home} is not job {number} of this sweep: run that job again"
            runs[number] = asked_for(run) | {"began": True, "status": "failed", "error": wrong}
    return dict(sorted(runs.items()))


def proof_of(folder: Path) -> str:
    """Digest of the checksums of the records of all finished jobs in a folder; "" if there are none."""
    homes = [path for path in (folder, *folder.iterdir()) if (path / "run.json").is_file()] if folder.is_dir() else []
    proofs = {}
    for home in homes:
        try:
            run = read_json(home / "run.json")
        except (OSError, ValueError):
            continue
        if run.get("status") == "ok":
            proofs[home.name if home != folder else ""] = run.get("records")
    return digest(proofs) if proofs else ""


def job_of(home: Path) -> dict[str, Any]:
    """Contents of the run.json in a job's folder, checked as `jobs` describes; empty if there is none."""
    path, records = home / "run.json", home / "records.jsonl"
    if not path.exists():
        return {}
    try:
        run = read_json(path)
        if run.get("status") != "ok":
            check("run.json", run, Failed)
            return run
        check("run.json", run, Finished)
    except (OSError, ValueError):
        return {"status": "failed", "error": f"{path} cannot be read: run that job again"}
    settings = home / ".hydra" / "config.yaml"
    if not intact(records, run["records"]):
        error = f"{records} has changed since it was written: run that job again"
    elif run.get("config") and settings.exists() and sha256(settings) != run["config"]:
        error = f"{settings} has changed since it was written: run that job again"
    else:
        return run
    return asked_for(run) | {"began": True, "status": "failed", "error": error}


def asked_for(run: dict[str, Any]) -> dict[str, Any]:
    """What a job was started with: its overrides and its folder of options."""
    return {name: run.get(name) for name in ("overrides", "config_dir")}


def variants(runs: dict[int, dict[str, Any]]) -> dict[int, dict[str, str]]:
    """Swept settings that tell a job's cells from those of other jobs, by job number.

    Seeds and shifts are not among them. A setting that a job does not name is "-".
    """
    settings = {
        number: {
            key: value
            for key, _, value in (override.lstrip("+~").partition("=") for override in run.get("overrides", []))
            if key != "seed" and not key.startswith("shift.")
        }
        for number, run in runs.items()
    }
    keys = {key for chosen in settings.values() for key in chosen}
    moving = sorted(key for key in keys if len({chosen.get(key) for chosen in settings.values()}) > 1)
    return {number: {key: chosen.get(key, "-") for key in moving} for number, chosen in settings.items()}
