"""Registrations of jobs that nobody has run, and runs that are theirs."""

from alchemy.results.digests import read_json, write_json
from alchemy.results.registrations import key_of
from alchemy.results.store import fingerprint
from tests.helpers.made import change_run

BEFORE, REGISTERED, AFTER = (f"2026-01-0{day}T12:00:00+00:00" for day in (1, 2, 3))


def deciding(seed):
    """What decides the numbers of a made-up job."""
    settings = {"task": {"_target_": "tasks.cipher.Cipher", "length": 4}, "seed": seed}
    measured_by = {"seed": seed, "study": {"count": 10}, "shifts": [["task", "-", "-", [0, 1]]], "code": "c0de"}
    return {"settings": settings, "measured_by": measured_by, "key": key_of(settings, measured_by)}


def keyed(folder, **changes):
    """The same folder of made-up jobs, whose run.json have the key of each, as the lab itself would write them."""
    for home in sorted(path.parent for path in folder.glob("*/run.json")):
        run = read_json(home / "run.json")
        its = {"fingerprint": fingerprint(deciding(run["seed"])["settings"]), "began_at": AFTER, "trained_at": AFTER}
        change_run(home, **(deciding(run["seed"]) | its | changes))
    return folder


def register(path, seeds, study=None, forecasts=(), **changes):
    """Writes a registration of made-up jobs with these seeds."""
    jobs = [
        deciding(seed)
        | {"words": [f"seed={seed}"], "seed": seed, "model": fingerprint(deciding(seed)["settings"])}
        | {"study": study or {"_target_": "alchemy.studies.degradation.run", "count": 10}}
        for seed in seeds
    ]
    content = {"name": path.stem, "question": "", "words": ["seed=..."], "date": REGISTERED, "commit": "a" * 40}
    content |= {"seeds": [*seeds], "worlds": {}, "predictions": [], "exclusion": None, "jobs": jobs}
    content |= {"forecasts": {"sha256": "f" * 64, "rows": [*forecasts]} if forecasts else None}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content | changes)
    return path


def forecast(theory, probability, **cell):
    return {"theory": theory, "probability": probability, "cell": cell}
