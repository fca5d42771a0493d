"""The benchmark: python -m benchmarks [rounds=5] [out=outputs/bench/bench.json] [compare=OLD.json] [only=WORD]

Every contender is one process with one thread. They take turns at each work, so that whatever else the machine does
slows all of them alike. A number is the median over rounds, with the lowest and highest. Nothing else should run.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

from alchemy.errors import sentence
from alchemy.results.files import write_aside
from alchemy.results.provenance import processor
from alchemy.runs.plan import given
from benchmarks.rows import LEARNT

CONTENDERS = ("ours", "huggingface", "released", "plain", "products")
PAIR = "training step, 18 tokens"  # the work that two processes do at the same time
Figures = dict[str, dict[str, list[float]]]  # work -> contender -> rows per second of each round


class Contender:
    """A process that does one contender's works, each when it is sent the name."""

    def __init__(self, name: str) -> None:
        words = [sys.executable, "-m", "benchmarks.contender", name]
        quiet = os.environ | {"OMP_NUM_THREADS": "1", "TRANSFORMERS_VERBOSITY": "error"}
        self.process = subprocess.Popen(  # noqa: S603 our own words
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet
        )
        self.name = name
        self.works = self.read()

    def ask(self, work: str) -> None:
        assert self.process.stdin
        print(work, file=self.process.stdin, flush=True)

    def read(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise ValueError(f"benchmarks.{self.name} ended: its message stands above")
        return json.loads(line)

    def once(self, work: str) -> tuple[int, float]:
        """Does a work once, and returns its rows and seconds."""
        self.ask(work)
        found = self.read()
        return found["rows"], found["seconds"]

    def rate(self, work: str) -> float:
        rows, seconds = self.once(work)
        return rows / seconds

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    try:
        settings = read(sys.argv[1:])
        old = json.loads(Path(settings["compare"]).read_text(encoding="utf-8")) if settings["compare"] else None
        before = flat(old) if old else {}
        out = Path(settings["out"])
        out.parent.mkdir(parents=True, exist_ok=True)
        facts = measure(int(settings["rounds"]), settings["only"])
        write_aside(out, json.dumps(facts, indent=1))
        print("\n".join(table(facts)))
        if old:
            print("\n" + "\n".join(moved(before, flat(facts))))
        print(f"\n{out}")
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"benchmarks: {sentence(error, elsewhere='out=FILE')}")


def read(words: list[str]) -> dict[str, str]:
    known = {"rounds": "5", "out": "outputs/bench/bench.json", "compare": "", "only": ""}
    settings = given(words, known, "a setting: use rounds=5, out=FILE, compare=FILE or only=WORD")
    if not settings["rounds"].isdigit() or settings["rounds"] == "0":
        raise ValueError(f"rounds={settings['rounds']} must be a whole number from 1")
    return settings


def measure(rounds: int, only: str) -> dict[str, Any]:
    """Measures every work of every contender in turns, then trainings to 0.999 and waits; returns all results."""
    found = find_spec("transformers")
    if not found:
        print("huggingface and released are left out: make bench installs their package", file=sys.stderr)
    contenders = [Contender(name) for name in CONTENDERS if found or name not in ("huggingface", "released")]
    figures: Figures = {}
    for work in dict.fromkeys(work for contender in contenders for work in contender.works):
        able = [each for each in contenders if work in each.works and only in work and work not in LEARNT]
        for number in range(rounds if able else 0):
            for contender in able:
                print(f"{work}, round {number + 1}, {contender.name}", file=sys.stderr, flush=True)
                figures.setdefault(work, {}).setdefault(contender.name, []).append(contender.rate(work))
    learnt = [contenders[0].once(work) for work in LEARNT if only in work]
    if not only:
        figures["two processes at once"] = {"ours": side_by_side(contenders[0], rounds)}
    for contender in contenders:
        contender.close()
    reached = [(float(rows), spent) for rows, spent in learnt if rows]
    counted = {"rows to 0.999": [rows for rows, _ in reached]} if reached else {}
    seconds = {"seconds to 0.999": [spent for _, spent in reached]} if reached else {}
    if len(reached) < len(learnt):
        print(f"{len(learnt) - len(reached)} of {len(learnt)} seeds did not reach 0.999", file=sys.stderr)
    seconds |= {} if only else waits(rounds)
    return {"machine": machine(), "rows per second": figures, "rows": counted, "seconds": seconds}


def side_by_side(one: Contender, rounds: int) -> list[float]:
    """Returns, for each round, the rows a second of two processes together, over those of one."""
    two, ratios = Contender("ours"), []
    two.rate(PAIR)
    for _ in range(rounds):
        alone = one.rate(PAIR)
        for contender in (one, two):
            contender.ask(PAIR)
        together = sum(found["rows"] / found["seconds"] for found in (one.read(), two.read()))
        ratios.append(together / alone)
    two.close()
    return ratios


def waits(rounds: int) -> dict[str, list[float]]:
    """Returns the seconds that a user waits for an import, for the help, and from nothing to two measured levels."""
    mirage = ["-m", "alchemy", "shift.axis=task", "shift.levels=[0,1]", "train.mark=0.999"]
    commands = {
        "import alchemy": ["-c", "import alchemy"],
        "python -m alchemy --help": ["-m", "alchemy", "--help"],
        "from nothing to level 0 and CMP measured": mirage,
        "the same at the first use, which compiles": mirage,
    }
    seconds: dict[str, list[float]] = {}
    for name, words in commands.items():
        for number in range(min(rounds, 5)):
            with tempfile.TemporaryDirectory() as folder:
                own = [f"output={folder}", f"seed={10 + number}"] if words is mirage else []
                env = os.environ | ({"NUMBA_CACHE_DIR": folder} if "compiles" in name else {})
                begun = perf_counter()
                done = subprocess.run([sys.executable, *words, *own], capture_output=True, text=True, env=env)  # noqa: S603, PLW1510
                if done.returncode:
                    raise ValueError(f"{' '.join(words)} failed: {done.stderr.strip().splitlines()[-1]}")
                seconds.setdefault(name, []).append(perf_counter() - begun)
                print(f"{name}: {seconds[name][-1]:.1f} s", file=sys.stderr, flush=True)
    return seconds


def machine() -> dict[str, str]:
    from importlib.metadata import version

    facts = {"processor": processor(), "cores": str(os.cpu_count())}
    packages = {name: version(name) for name in ("torch", "numpy", "transformers") if find_spec(name)}
    return {"date": str(date.today()), **facts, "python": platform.python_version(), **packages}


def table(facts: dict[str, Any]) -> list[str]:
    """Returns the results in Markdown: rows a second of each contender, and the ratios of the lab to the others."""
    said = ", ".join(f"{name} {value}" for name, value in facts["machine"].items())
    lines = [said, "", "| work | " + " | ".join(CONTENDERS) + " | ours over theirs |"]
    lines += ["|---" * (len(CONTENDERS) + 2) + "|"]
    for work, its in facts["rows per second"].items():
        mine = statistics.median(its.get("ours", [0.0]))
        over = [f"{name} {mine / statistics.median(rates):.2f}" for name, rates in its.items() if name != "ours"]
        cells = [spread(its[name]) if name in its else "" for name in CONTENDERS]
        lines.append(f"| {work} | " + " | ".join(cells) + f" | {', '.join(over) if mine else ''} |")
    lines += ["", "| default model, seeds 10 to 14, and waits | rows, or seconds |", "|---|---|"]
    lines += [f"| {name} | {spread(its)} |" for name, its in (facts["rows"] | facts["seconds"]).items()]
    return lines


def spread(values: list[float]) -> str:
    digits = 0 if min(values) > 100 else 2
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def moved(before: dict[str, list[float]], now: dict[str, list[float]]) -> list[str]:
    """Returns a line on each number whose range does not touch that of an earlier run."""
    lines = [
        f"{name}: {spread(was)} before, {spread(now[name])} now, "
        f"{statistics.median(now[name]) / statistics.median(was):.2f} times"
        for name, was in before.items()
        if name in now and (max(was) < min(now[name]) or max(now[name]) < min(was))
    ]
    return sorted(lines) or ["nothing moved beyond its spread"]


def flat(facts: dict[str, Any]) -> dict[str, list[float]]:
    """Returns the values of every result by one name. Raises ValueError for facts that no benchmark wrote."""
    if not {"rows per second", "seconds"} <= set(facts):
        raise ValueError("compare= names no result of a benchmark: name a bench.json that one wrote")
    rates = facts["rows per second"].items()
    return (
        {f"{work}, {name}": values for work, its in rates for name, values in its.items()}
        | facts.get("rows", {})
        | facts["seconds"]
    )


if __name__ == "__main__":
    main()
