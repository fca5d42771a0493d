"""Models that are half trained, and what greedy decoding means, one row at a time."""

from functools import cache

import torch

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.vocabulary import END, PAD
from alchemy.models.decoding import to_tensor
from tests.helpers.worlds import WORLDS, tiny_model


@cache
def half_trained(positions, context=40):
    """A model that has seen a few rows a few times: some completions are right, all end where they please."""
    task = WORLDS["cipher"]
    model = tiny_model(task, 1, positions, context)
    batch = draw(task, task.train, 200, stream(0, "test"))[:20]
    tokens = to_tensor(batch.tokens, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def greedy(model, prompt, written):
    """Whether each symbol written is the likeliest after those before it, and the end after the last one if there is
    room: one row, no cache. Two that are as likely but for rounding are both the likeliest, on whatever processor.
    """
    if not prompt:
        return not written
    chosen = [*written, END][: model.context - len(prompt)]
    logits = model(torch.tensor([[*prompt, *written]]))[0].detach()[len(prompt) - 1 :][: len(chosen)]
    logits[:, PAD] = -torch.inf
    best = logits.max(dim=1).values
    return bool((logits[range(len(chosen)), chosen] > best - 1e-4).all())
