"""The law that needs a training: a tiny model memorises a few rows of a world."""

from typing import Any

from alchemy.data.answers import same
from alchemy.data.sampling import draw, span
from alchemy.data.seeds import stream
from alchemy.data.task import Task
from alchemy.testing.grounds import Grounds, Rows
from alchemy.testing.law import LabLaw, anything

STEPS, ROWS = 400, 8


def learns(grounds: Grounds) -> None:
    import torch

    from alchemy.models.decoding import complete, follows_gold, to_tensor
    from alchemy.training.packing import counted, loss_of, targets

    batch = draw(grounds.task, grounds.task.train, ROWS, stream(0, "heart"), "train")
    rows = Rows(grounds.task, batch, 0, 'purpose "heart", side train, training')
    model = tiny(grounds.task)
    rows.need(not follows_gold(model, batch).all(), "a model that has learnt nothing is right on every row")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    tokens, wanted = (
        to_tensor(batch.tokens[:, :-1], model),
        to_tensor(targets(batch.tokens, counted(batch, "completion")), model),
    )
    for step in range(1, STEPS + 1):
        loss_of(model, [(tokens, wanted)]).backward()
        optimizer.step()
        optimizer.zero_grad()
        if step % 20 == 0 and follows_gold(model, batch).all():
            break
    rows.need(follows_gold(model, batch), f"after {STEPS} steps on these {ROWS} rows a tiny model does not follow it")
    rows.need(same(complete(model, batch), batch.completion()), "what a model writes that follows gold is not gold")


def tiny(task: Task) -> Any:
    """Returns an untrained model whose context holds every row of training."""
    from alchemy.models.transformer import Transformer, initialise

    model = Transformer(len(task.vocabulary), max(64, sum(span(task, task.train))), 2, 2, 32, "learned")
    initialise(model, stream(0, "weights"))
    return model


LEARNABLE = LabLaw("a tiny model learns eight rows by heart", learns, anything, anything)
