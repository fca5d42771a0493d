"""Contender: the lab's own code at each kind of work."""

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.measures.scores import METRICS, PARTS, score, score_pair
from alchemy.measures.trace import trace_steps
from alchemy.models.decoding import complete, follows_gold
from alchemy.runs.plan import LONGEST_NAME, composition_level
from benchmarks.contender import Once, Work
from benchmarks.rows import (
    BATCH,
    COMPLETIONS,
    KINDS,
    LEARNT,
    MARK,
    SCORED,
    SEED,
    STEPS,
    default,
    learn,
    mixture,
    steps,
    tested,
    trained,
    world,
    written,
)

DRAWN = 200_000  # rows


def generate() -> Once:
    rng = stream(SEED, "drawn")

    def once() -> int:
        return len(draw(world(), world().train, DRAWN, rng, "train"))

    return once


def learnt(seed: int) -> Once:
    """Returns a training by the default recipe until held-out problems are right; 0 rows if they never are."""
    todo = default(seed=seed)

    def once() -> int:
        last = learn(todo)
        return last.rows if last.exact_match >= MARK else 0

    return once


def decode(kind: str, tokens: str) -> Once:
    mine, prompts = trained(tokens), tested(kind, 4096)

    def once() -> int:
        return len(complete(mine, prompts))

    return once


def verify() -> Once:
    """Returns the pass that verifies whether gold is the greedy completion: the least that right rows cost."""
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


def typed() -> Once:
    """Returns the trace of gold chains: what each step does, and whether it is right."""
    batch = draw(mixture(), mixture().train, SCORED, stream(SEED, "traced"))
    gold = batch.completion()

    def once() -> int:
        return len(trace_steps(mixture(), batch, gold).right)

    return once


def looked_up() -> Once:
    """Returns the search for a composition by its name, the last of all names; its rows are names."""
    rules = len(mixture().vocabulary.rules)
    last = mixture().spell((rules - 1,) * LONGEST_NAME)

    def once() -> int:
        assert composition_level(mixture(), last)
        return sum(rules**k for k in range(1, LONGEST_NAME + 1))

    return once


WORKS: dict[str, Work] = {"generation": generate, "typed trace": typed, "composition by name": looked_up}
WORKS |= {
    work: lambda tokens=tokens: steps(default(tokens, words=("train.loss=all",)), BATCH)  # type: ignore[misc]
    for work, tokens in STEPS.items()
}
WORKS |= {work: lambda seed=seed: learnt(seed) for work, seed in LEARNT.items()}  # type: ignore[misc]
WORKS |= {
    work: lambda kind=kind, tokens=tokens: decode(kind, tokens)  # type: ignore[misc]
    for work, (kind, tokens) in COMPLETIONS.items()
}
WORKS |= {"following gold": verify}
WORKS |= {f"metrics, {kind}": lambda kind=kind: metrics(kind) for kind in KINDS}  # type: ignore[misc]
