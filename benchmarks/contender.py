"""Runs the works of one contender in a process of its own: python -m benchmarks.contender ours

It reads names of works from stdin. Each line does that work once, prepared the first time, and prints rows and seconds.
"""

import importlib
import json
import sys
from collections.abc import Callable
from time import perf_counter

Once = Callable[[], int]  # does the work, returns how many rows it was
Work = Callable[[], Once]  # prepares it


def main() -> None:
    import torch

    torch.set_num_threads(1)
    works: dict[str, Work] = importlib.import_module(f"benchmarks.{sys.argv[1]}").WORKS
    prepared: dict[str, Once] = {}
    print(json.dumps(list(works)), flush=True)
    for line in sys.stdin:
        name = line.strip()
        if name not in prepared:
            prepared.clear()
            prepared[name] = works[name]()
            prepared[name]()
        begun = perf_counter()
        rows = prepared[name]()
        print(json.dumps({"rows": rows, "seconds": perf_counter() - begun}), flush=True)


if __name__ == "__main__":
    main()
