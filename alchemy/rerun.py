"""Does a result come out again? `python -m alchemy rerun outputs/NAME/TIME[/JOB]` trains and measures anew, elsewhere.

Prints that every number is the same, bit for bit, or which differ and what else has changed since; exit code 1 then.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, cast

from omegaconf import DictConfig, OmegaConf

from alchemy.errors import sentence
from alchemy.plan import plan
from alchemy.provenance import provenance
from alchemy.run import work

USAGE = "usage: python -m alchemy rerun outputs/NAME/TIME   (or outputs/NAME/TIME/JOB, one job of a sweep)"
SHOWN = 5  # numbers that differ


def main(words: list[str]) -> None:
    """The command; leaves with exit code 0 if the numbers are the same."""
    if len(words) != 1 or words[0].startswith("-"):
        sys.exit(USAGE)
    try:
        said = compare(Path(words[0]))
    except (ValueError, OSError) as error:
        sys.exit(f"alchemy: {sentence(error)}")
    print("\n".join(said))
    sys.exit(len(said) > 1)


def compare(folder: Path) -> list[str]:
    """One line if the job in `folder` gives its numbers again; else what differs. Raises ValueError if it is no job."""
    try:
        cfg = cast(DictConfig, OmegaConf.load(folder / ".hydra" / "config.yaml"))
        before = (folder / "records.jsonl").read_text(encoding="utf-8").splitlines()
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} holds no finished job ({sentence(error)}): name a folder with records.jsonl"
        ) from None
    with tempfile.TemporaryDirectory() as elsewhere:
        cfg.output, cfg.track = elsewhere, "none"
        again = work(cfg, plan(cfg), Path(elsewhere), 0)
        after = (Path(elsewhere) / "records.jsonl").read_text(encoding="utf-8").splitlines()
    if before == after:
        return [f"{folder}: all {len(before)} numbers are the same again"]
    different = [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]]
    number = len(different) + abs(len(before) - len(after))
    said = [f"{folder}: {number} of {len(before)} numbers differ"]
    said += [f"  before {old}\n  after  {new}" for old, new in different[:SHOWN]]
    return said + changes(facts, again | provenance())


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What else has changed: the model's settings and code, versions, commit, machine."""
    names = ("settings", "sha256", "versions", "commit", "dirty", "machine")
    return [
        f"  {name}: {before.get(name)} before, {after.get(name)} now"
        for name in names
        if before.get(name) != after.get(name)
    ] or ["  nothing else is known to have changed"]
