"""The lab's own code at each kind of work."""

import torch

from alchemy.evaluate import complete, own_tokens, to_tensor
from alchemy.model import Transformer
from alchemy.score import METRICS, PARTS, score
from alchemy.seeds import stream
from alchemy.task import draw
from alchemy.tokenizer import Tokenizer
from alchemy.train import lay_out, loss_of
from benchmarks.contender import Once, Work
from benchmarks.rows import BATCH, KINDS, SEED, model, recipe, tested, to_train_on, trained, world, written

DRAWN, SCORED = 200_000, 100_000


def generate() -> Once:
    rng = stream(SEED, "drawn")

    def once() -> int:
        return len(draw(world(), world().train, DRAWN, rng, "train"))

    return once


def train(tokenizer: Tokenizer | None) -> Once:
    """Steps as the trainer takes them: loss, gradients, clipping, AdamW."""
    mine: Transformer = model(tokenizer)
    batches = list(lay_out(own_tokens(mine, to_train_on()), recipe(), 8, mine))
    optimizer = torch.optim.AdamW(mine.parameters(), fused=True, lr=1e-3)

    def once() -> int:
        for tokens, wanted in batches:
            loss = loss_of(mine, tokens, wanted)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(mine.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
            loss.item()
        return len(batches) * BATCH

    return once


def decode(kind: str) -> Once:
    mine, prompts = trained(), tested(kind, 4096)

    def once() -> int:
        return len(complete(mine, prompts))

    return once


def metrics(kind: str) -> Once:
    completion, gold = written(kind, SCORED)

    def once() -> int:
        scores = score(world().vocabulary, completion, gold)
        assert all(scores[part].mean(metric) >= 0 for part in PARTS for metric in METRICS)
        return len(completion)

    return once


WORKS: dict[str, Work] = {
    "generation": generate,
    "training step, 18 tokens": lambda: train(None),
    "training step, 31 tokens": lambda: train(Tokenizer(world().vocabulary)),
}
WORKS |= {f"greedy completion, {kind}": lambda kind=kind: decode(kind) for kind in KINDS}  # type: ignore[misc]
WORKS |= {f"metrics, {kind}": lambda kind=kind: metrics(kind) for kind in KINDS}  # type: ignore[misc]


def forward() -> Once:
    """The verifying pass alone: what well-behaved rows cost at least."""
    mine, prompts = trained(), tested("in distribution", 4096)
    tokens = to_tensor(prompts.tokens[:, :-1], mine)

    @torch.inference_mode()
    def once() -> int:
        for some in tokens.split(1024):
            mine(some)
        return len(tokens)

    return once


WORKS["one forward pass, 18 tokens"] = forward
