"""Training steps on a GPU, side by side in one run: python -m benchmarks.gpu [slots=16,64,256,1024] [seconds=3]

One eager model, Hugging Face's GPT-2 of the same size, one model as a stack of one (on a GPU one CUDA graph), and
stacks of more, with products in float32, tf32 and bfloat16. Rows are random tokens of the default world's length, 64 a
model and step. Beside each stands the most that the card's memory traffic would allow: what a step keeps for the
backward pass is written and read twice, weights and AdamW's memory eleven times; the bandwidth is that of a large copy.
It also runs on a CPU, with device=cpu, where it shows nothing but that it runs. The table is written to out/gpu.csv.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from time import perf_counter
from typing import Any

import pandas as pd
import torch

from alchemy.models.transformer import Transformer
from alchemy.runs.plan import device as known_device
from alchemy.training.fit import Recipe
from alchemy.training.packing import IGNORED
from alchemy.training.population import Form, Stacked, form, memory
from benchmarks.command import settings_of
from benchmarks.rows import default

WARM = 5  # steps before any is timed
COPIED = 1 << 28  # bytes of the copy that shows the bandwidth
MOVED = 11  # times that a weight's four bytes are read or written in a step: forward, backward, clip, AdamW
KEPT = 4  # times that a byte kept for the backward pass is moved: it and its gradient, written and read
SETTINGS = {"slots": "16,64,256,1024", "seconds": "3", "device": "cuda"}

Once = Callable[[], Any]


def rate(once: Once, rows: int, seconds: float, device: torch.device) -> float:
    """Rows a second of a step, after some that are not timed."""
    for _ in range(WARM):
        once()
    wait(device)
    begun, done = perf_counter(), 0
    while perf_counter() - begun < seconds:
        for _ in range(WARM):
            once()
        wait(device)
        done += WARM
    return rows * done / (perf_counter() - begun)


def wait(device: torch.device) -> None:
    """Waits until a GPU has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def bandwidth(device: torch.device) -> float:
    """Bytes a second that a large copy reads and writes."""
    one = torch.zeros(COPIED, dtype=torch.uint8, device=device)
    other = torch.empty_like(one)
    return rate(lambda: other.copy_(one), 2 * COPIED, 0.5, device)


def eager(model: Transformer, shape: Form, recipe: Recipe, device: torch.device) -> Once:
    """A step of one model as alchemy.training.fit does it, but for drawing rows."""
    from alchemy.training.packing import loss_of

    optimizer = torch.optim.AdamW(model.parameters(), fused=True, lr=recipe.learning_rate)
    tokens = torch.randint(1, len(model.tokens.weight), (shape.batch, shape.longest - 1), device=device)
    wanted = tokens[:, shape.first - 1 :].clone()

    def once() -> None:
        loss_of(model, [(tokens, wanted)]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()

    return once


def gpt2_step(model: Transformer, shape: Form, recipe: Recipe, device: torch.device) -> Once:
    """The same of Hugging Face's GPT-2, with the loss on all tokens."""
    from benchmarks.huggingface import twin

    theirs = twin(model.cpu()).to(device).train()
    optimizer = torch.optim.AdamW(theirs.parameters(), fused=True, lr=recipe.learning_rate)
    tokens = torch.randint(1, len(model.tokens.weight), (shape.batch, shape.longest - 1), device=device)

    def once() -> None:
        theirs(input_ids=tokens, labels=tokens).loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), recipe.clip)
        optimizer.step()
        optimizer.zero_grad()

    return once


def stacked(model: Transformer, shape: Form, slots: int, device: torch.device) -> Once:
    """A step of a stack, whose slots have the weights of one model and rows of their own."""
    its = Stacked(model, shape, slots)
    for slot in range(slots):
        its.stack.put(slot, model)
    its.tokens.copy_(torch.randint(1, len(model.tokens.weight), its.tokens.shape, device=device))
    its.wanted.copy_(its.tokens[..., shape.first - 1 :])
    assert not (its.wanted == IGNORED).any()
    return its.run


def lines(slots: list[int], seconds: float, device: torch.device) -> Iterator[dict[str, Any]]:
    """A row of the table for each contender, as it is measured."""
    plan = default()
    model, recipe = plan.model.to(device), plan.recipe
    shape = form(plan.task, model, recipe)
    assert shape
    traffic = bandwidth(device)
    weights = sum(weight.numel() for weight in model.parameters()) * 4
    kept = memory(default().model, shape, 1) - 4 * weights
    limit = traffic / ((MOVED * weights + KEPT * kept) / shape.batch)
    works: list[tuple[str, int, str, Callable[[], Once]]] = [
        ("one eager model", 1, "float32", lambda: eager(model, shape, recipe, device))
    ]
    if find_spec("transformers"):
        works.append(
            ("Hugging Face GPT-2, eager", 1, "float32", lambda: gpt2_step(default().model, shape, recipe, device))
        )
    for number in [1, *slots]:
        for precision in ("float32", "tf32", "bfloat16") if device.type == "cuda" else ("float32", "bfloat16"):
            works.append(("stack", number, precision, partial(stacked, model, shape, number, device)))
    for name, number, precision, make in works:
        torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        model.precision = "bfloat16" if precision == "bfloat16" else "float32"
        row = {"work": name, "slots": number, "precision": precision, "device": named(device)}
        try:
            found = rate(make(), number * shape.batch, seconds, device)
            row |= {"rows_a_second": found, "of_traffic": found / limit, "limit": limit, "why": ""}
        except torch.OutOfMemoryError as error:
            row |= {"rows_a_second": float("nan"), "of_traffic": float("nan"), "limit": limit, "why": str(error)[:80]}
        model.precision = "float32"
        print(f"{name:<28} {number:>5} {precision:<9} {row['rows_a_second']:>12,.0f} rows/s {row['why']}", flush=True)
        yield row


def named(device: torch.device) -> str:
    """The name of a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def main() -> None:
    with settings_of("gpu", "slots=16,64, seconds=3, device=cuda or out=FOLDER", **SETTINGS) as (settings, folder):
        if not all(number.isdigit() and int(number) for number in settings["slots"].split(",")):
            raise ValueError(f"slots={settings['slots']} must be whole numbers, such as slots=16,64")
        if not settings["seconds"].replace(".", "", 1).isdigit():
            raise ValueError(f"seconds={settings['seconds']} must be a number, such as seconds=3")
        device = known_device(settings["device"])
        folder.mkdir(parents=True, exist_ok=True)
        slots = [int(number) for number in settings["slots"].split(",")]
        found = pd.DataFrame(lines(slots, float(settings["seconds"]), device))
        found.to_csv(folder / "gpu.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
