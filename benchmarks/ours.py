"""The lab's own code at each kind of work."""

from dataclasses import replace

from alchemy.evaluate import complete, follows_gold
from alchemy.model import initialise
from alchemy.score import METRICS, PARTS, score, score_pair
from alchemy.seeds import stream
from alchemy.task import draw
from alchemy.train import fit
from benchmarks.contender import Once, Work
from benchmarks.rows import (
    BATCH,
    COMPLETIONS,
    KINDS,
    LEARNT,
    SCORED,
    SEED,
    STEPS,
    default,
    tested,
    trained,
    world,
    written,
)

DRAWN, TAKEN = 200_000, 8  # rows, steps


def generate() -> Once:
    rng = stream(SEED, "drawn")

    def once() -> int:
        return len(draw(world(), world().train, DRAWN, rng, "train"))

    return once


def train(tokens: str) -> Once:
    """The trainer itself, for a few steps of fresh rows with the loss on all tokens, and one held-out problem."""
    todo = default(tokens)
    recipe = replace(todo.recipe, steps=TAKEN, batch=BATCH, check_every=TAKEN, check_problems=1, mark=None, loss="all")

    def once() -> int:
        return fit(todo.task, todo.model, recipe, SEED, report=lambda _: None)[-1].rows

    return once


def learn(seed: int) -> Once:
    """The default recipe from fresh weights until 0.999 of held-out problems are right; no rows if they never are."""
    todo = default(seed=seed)
    recipe = replace(todo.recipe, mark=0.999)

    def once() -> int:
        initialise(todo.model, stream(seed, "weights"))
        last = fit(todo.task, todo.model, recipe, seed, report=lambda _: None)[-1]
        return last.rows if last.exact_match >= 0.999 else 0

    return once


def decode(kind: str, tokens: str) -> Once:
    mine, prompts = trained(tokens), tested(kind, 4096)

    def once() -> int:
        return len(complete(mine, prompts))

    return once


def verify() -> Once:
    """The verifying pass alone: what well-behaved rows cost at least."""
    mine, prompts = trained(), tested("in distribution", 4096)

    def once() -> int:
        return len(follows_gold(mine, prompts))

    return once


def metrics(kind: str) -> Once:
    completion, gold = written(kind, SCORED)

    def once() -> int:
        score_pair.cache_clear()
        scores = score(world().vocabulary, completion, gold)
        assert all(scores[part].mean(metric) >= 0 for part in PARTS for metric in METRICS)
        return len(completion)

    return once


WORKS: dict[str, Work] = {"generation": generate}
WORKS |= {work: lambda tokens=tokens: train(tokens) for work, tokens in STEPS.items()}  # type: ignore[misc]
WORKS |= {work: lambda seed=seed: learn(seed) for work, seed in LEARNT.items()}  # type: ignore[misc]
WORKS |= {
    work: lambda kind=kind, tokens=tokens: decode(kind, tokens)  # type: ignore[misc]
    for work, (kind, tokens) in COMPLETIONS.items()
}
WORKS |= {"following gold": verify}
WORKS |= {f"metrics, {kind}": lambda kind=kind: metrics(kind) for kind in KINDS}  # type: ignore[misc]
