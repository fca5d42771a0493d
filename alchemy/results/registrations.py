"""Registrations, and the account of a run or sweep by them: which of its jobs were registered before they were run.

`python -m alchemy register` writes a registration (alchemy/runs/register.py). It holds what decides the numbers of each
job, under the key of the job, and a job's run.json has its key again. A file counts only if its checksum and all its
keys are right; nothing in it is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from alchemy.data.kinds import check
from alchemy.errors import sentence
from alchemy.results.digests import Damaged, digest, read_json
from alchemy.results.store import by_name, fingerprint

if TYPE_CHECKING:  # its import takes a second, which a training process need not spend
    from alchemy.results.runs import Results

FOLDER = Path("registrations")  # of the working directory
UNKNOWN = "no commit known"
NOT_REGISTERED = "not registered"
LATE = "registered after it was run"
TRAINED_BEFORE = "registered after its model was trained"
OTHERWISE = "run with other predictions or another exclusion rule than those registered"


class RegisteredJob(TypedDict):
    """What a registration holds of one job.

    - `words`: the settings typed for it
    - `key`: the digest of what decides its numbers, which is `settings` and `measured_by`
    - `model`: the fingerprint of its model; `settings`: what decides that
    - `measured_by`: the rest of what decides its numbers: seed, study, shifts and code
    - `study`: all settings of its study, those that decide no number among them
    """

    words: tuple[str, ...]
    seed: int
    key: str
    model: str
    settings: dict
    measured_by: dict
    study: dict


class Forecast(TypedDict):
    """What one theory says of the cells that the coordinates `cell` name."""

    theory: str
    probability: float
    cell: dict[str, str]


class Forecasts(TypedDict):
    """All forecasts of a registration, and the SHA-256 of the file that they are from."""

    sha256: str
    rows: tuple[Forecast, ...]


class Registered(TypedDict):
    """Contents of a registration, besides the checksum."""

    name: str
    question: str
    words: tuple[str, ...]
    date: str  # UTC
    commit: str
    seeds: tuple[int, ...]
    worlds: dict[str, tuple]  # settings of the tasks, by seed
    predictions: tuple[dict, ...]
    exclusion: dict | None
    jobs: tuple[RegisteredJob, ...]
    forecasts: Forecasts | None


@dataclass(frozen=True)
class Registration:
    """A checked registration: its file, the SHA-256 over all of it, and its contents."""

    path: Path
    sha256: str
    content: Registered

    @property
    def date(self) -> datetime:
        """Time at which it was written."""
        return datetime.fromisoformat(self.content["date"])

    def jobs(self, key: str) -> list[RegisteredJob]:
        """Its jobs of this key; several, if they differ in what decides no number, such as the name of an arm."""
        return [job for job in self.content["jobs"] if job["key"] == key]

    @property
    def name(self) -> str:
        """File, first digits of the hash, time and commit, in words."""
        commit = self.content["commit"]
        said = commit if commit == UNKNOWN else f"commit {commit[:12]}"
        return f"{self.path} ({self.sha256[:12]}, {self.content['date']}, {said})"


@dataclass(frozen=True)
class Standing:
    """How a finished job, with the `key` in its run.json, stands to the registrations: registered under `by`, or
    exploratory for the reason `why`.
    """

    number: int
    run: Mapping[str, Any]
    key: str
    by: Registration | None
    why: str = ""


@dataclass(frozen=True)
class Account:
    """Account of a run or sweep by the registrations that concern it, which are those that name one of its jobs.

    - `standings`: each finished job
    - `concerned`: the registrations
    - `lacking`: by the hash of a registration, its jobs without a registered result here, each with the reason
    - `damaged`: a sentence for each file that is no registration, or has changed since it was written
    """

    standings: tuple[Standing, ...]
    concerned: tuple[Registration, ...]
    lacking: Mapping[str, tuple[tuple[RegisteredJob, str], ...]]
    damaged: tuple[str, ...] = ()

    def registered(self, by: Registration | None = None) -> list[Standing]:
        """Jobs that are registered, under `by` if that is given."""
        return [one for one in self.standings if one.by and by in (None, one.by)]

    @property
    def words(self) -> list[tuple[str, ...]]:
        """Settings typed for each finished job."""
        return [tuple(one.run["overrides"]) for one in self.standings]

    @property
    def exploratory(self) -> list[Standing]:
        """Finished jobs that are not registered, or not in time."""
        return [one for one in self.standings if not one.by]


def key_of(settings: Mapping[str, Any], measured_by: Mapping[str, Any]) -> str:
    """Key of a job: SHA-256 of what decides its model and of what else decides its numbers."""
    return digest(by_name({"settings": settings, **measured_by}))


def key_in(run: Mapping[str, Any]) -> str:
    """Key of a finished job as its run.json has it; "" if it has none, or one that is not that of its settings."""
    settings, measured_by, key = (run.get(name) for name in ("settings", "measured_by", "key"))
    if not isinstance(settings, dict) or not isinstance(measured_by, dict):
        return ""
    return str(key) if key_of(settings, measured_by) == key else ""


def moment(text: Any) -> datetime | None:
    """Time that a text states; None if it states none, or one without its zone."""
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def read_registration(path: Path) -> Registration:
    """Registration in a file. Raises Damaged, a ValueError, for one that is not what was written, and
    FileNotFoundError if there is none.
    """
    content: Any = read_json(path)
    try:
        check(path.name, content, Registered)
    except ValueError as error:
        raise Damaged(f"{path} is no registration ({error}): write it with python -m alchemy register") from error
    for job in content["jobs"]:
        right = (fingerprint(job["settings"]), key_of(job["settings"], job["measured_by"]))
        if (job["model"], job["key"]) != right:
            raise Damaged(f"{path} names a job whose settings are not those of its key: write it anew, before the run")
    if not moment(content["date"]):
        raise Damaged(f"{path} has no date: write it with python -m alchemy register")
    return Registration(path, digest(content), content)


def read_registrations(folder: Path = FOLDER) -> tuple[list[Registration], list[str]]:
    """Registrations in a folder, the earliest first, and a sentence for each file that is none."""
    found, damaged = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(read_registration(path))
        except (OSError, ValueError) as error:
            damaged.append(sentence(error))
    return sorted(found, key=lambda one: one.date), damaged


def account(results: Results, folder: Path = FOLDER) -> Account:
    """Account of these results by the registrations in `folder`."""
    known, damaged = read_registrations(folder)
    standings = tuple(standing(number, run, known) for number, run in results.good.items())
    keys = {one.key for one in standings}
    failed = [run for run in results.failed.values() if run]
    concerned = [one for one in known if any(map(one.jobs, keys)) or any(failed_job(one, run) for run in failed)]
    lacking = {one.sha256: lacking_of(one, standings, failed) for one in concerned}
    return Account(standings, tuple(concerned), lacking, tuple(damaged))


def standing(number: int, run: Mapping[str, Any], known: Iterable[Registration]) -> Standing:
    """Standing of one finished job; `known` are in the order of their dates."""
    key = key_in(run)
    reasons = []
    for one in known:
        if jobs := one.jobs(key):
            why = too_late(run, one) or ("" if any(as_registered(run, job, one) for job in jobs) else OTHERWISE)
            if not why:
                return Standing(number, run, key, one)
            reasons.append(why)
    return Standing(number, run, key, None, reasons[0] if reasons else NOT_REGISTERED)


def too_late(run: Mapping[str, Any], by: Registration) -> str:
    """Why a job was not registered in time; "" if it was."""
    began, trained = moment(run.get("began_at")), moment(run.get("trained_at"))
    if began is None or began < by.date:
        return LATE
    return TRAINED_BEFORE if trained and trained < by.date else ""


def as_registered(run: Mapping[str, Any], job: RegisteredJob, by: Registration) -> bool:
    """Whether a run has the predictions and all the settings of the study that were registered for this job."""
    as_run = [run["study"], run.get("predictions", [])]
    return digest(by_name(as_run)) == digest(by_name([job["study"], by.content["predictions"]]))


def failed_job(by: Registration, run: Mapping[str, Any]) -> RegisteredJob | None:
    """Job of a registration that failed as this run.json says; None if it is none of them.

    A job that was killed has no key, and is known by the settings typed.
    """
    typed = list(run.get("overrides") or ())
    its = by.jobs(str(run["key"])) if run.get("key") else []
    alike = [job for job in its or by.content["jobs"] if typed and list(job["words"]) == typed]
    return next(iter([*alike, *its]), None)


def lacking_of(
    by: Registration, standings: Iterable[Standing], failed: Iterable[Mapping[str, Any]]
) -> tuple[tuple[RegisteredJob, str], ...]:
    """Jobs of a registration that have no registered result, each with the reason."""
    found: list[tuple[RegisteredJob, str]] = []
    errors = {tuple(job["words"]): run.get("error") for run in failed if (job := failed_job(by, run))}
    for job in by.content["jobs"]:
        here = [one for one in standings if one.key == job["key"]]
        if any(one.by and as_registered(one.run, job, by) for one in here):
            continue
        error = errors.get(tuple(job["words"]))
        why = next((one.why for one in here if one.why), f"failed: {error}" if error else "not in this folder")
        found.append((job, why))
    return tuple(found)


def only(results: Results, numbers: Iterable[int]) -> Results:
    """The same results without all finished jobs but these."""
    kept = set(numbers)
    good = {number: run for number, run in results.good.items() if number in kept}
    return replace(results, good=good, table=results.table[results.table["job"].isin(kept)].reset_index(drop=True))
