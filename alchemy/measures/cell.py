"""One cell: how right a model is on one Distribution, why it is wrong, and what a replay of training would score."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import same
from alchemy.data.batch import Batch, Role
from alchemy.data.compositions import names_of
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.data.task import Distribution, Task
from alchemy.measures.diagnosis import KINDS, Diagnosis, diagnose
from alchemy.measures.discrepancy import discrepancies
from alchemy.measures.replay import replay_oracle
from alchemy.measures.scores import METRICS, Scores, distinct, score
from alchemy.models.decoding import complete
from alchemy.models.transformer import Transformer
from alchemy.results.cells import Cell, Rows, Values
from alchemy.results.records import Record
from alchemy.stats.intervals import row_error, share

UNITS = {"problems": "count", "novelty": "count", "length_gap": "tokens"}  # all else are shares
NAMED = 6  # compositions, at most, that a cell names as executed
RESAMPLED = 100  # times that corpus BLEU is computed on rows drawn again


def measure(
    task: Task, model: Transformer, where: Distribution, count: int, seed: int, temperature: float = 0.0
) -> Cell:
    """By part and metric, value and standard error over the rows, of completions of `count` test problems of `where`;
    and what each row came to.

    full, chain, answer  the four scores of each part; no chain where gold has none: an empty one would count as right
    diagnosis            the share of completions of each kind (see alchemy.measures.diagnosis)
    executed             which composition alone leads to the answer written, the commonest ones, with those that are
                         the same map (F1F2=F2F1); in how many rows several different ones `tie`
    replay               `rate`, the share of completions that equal the replay oracle's
    replay_full, …       the oracle's own four scores of each part
    discrepancy          how far `where` is from training (see alchemy.measures.discrepancy)
    prompt               `untouched`, the share that noise left as they were (the exact match of a model that is right
                         on those and on no others); exact match on them and on the `touched`; different `problems`

    Every cell of a seed draws from one stream, so all noise levels see the same problems. Where a world writes some
    rows with a chain and others without, by the same prompt, `full` is against the form that a row was drawn in, so no
    model is expected to be right in more than the commoner form's share; `answer` asks for the answer in either form,
    and the diagnosis holds a completion against gold of its own form.
    """
    batch = draw(task, where, count, stream(seed, "test"))
    clean = draw(task, replace(where, noise=None), count, stream(seed, "test"))
    completion = complete(model, batch, temperature, stream(seed, "sampling"))
    gold, replayed = batch.completion(), replay_oracle(task, clean)
    has_chain = (batch.role == Role.CHAIN).any()
    values: Values = {}
    for whose, rows in (("", completion), ("replay_", replayed)):
        for part, scores in score(task.vocabulary, rows, gold).items():
            if part != "chain" or has_chain:
                values[whose + part] = scored(scores, stream(seed, "bootstrap"))
    found = diagnose(task, clean, completion)
    values["diagnosis"] = {name: share(rows) for name, rows in found.flags().items()}
    called = dict(zip(found.maps, names_of(task, found.maps, where.length, len(where.compositions[0])), strict=True))
    executed = [("tie" if c is None else called[c], rows) for c, rows in found.executed().items()]
    values["executed"] = {name: share(rows) for name, rows in executed[: 1 + NAMED]}
    values["replay"] = {"rate": share(same(completion, replayed))}
    values["discrepancy"] = discrepancies(task, where, batch)
    right = same(completion, gold)
    clear = untouched(batch, clean)
    values["prompt"] = {"untouched": share(clear), "problems": (float(len(np.unique(clean.tokens, axis=0))), 0.0)}
    for name, rows in (("right_untouched", clear), ("right_touched", ~clear)):
        if rows.any():
            values["prompt"][name] = share(right[rows])
    return Cell(values, outcomes(task, batch, completion, found, clear, [*called.values()]))


def outcomes(
    task: Task, batch: Batch, completion: np.ndarray, found: Diagnosis, clear: np.ndarray, called: list[str]
) -> Rows:
    """Per row: prompt, gold and completion as text; its `kind` (see alchemy.measures.diagnosis); what became of its
    `steps` (see below); the composition alone that it `executes`, if one does; and whether noise left its prompt
    `untouched`.
    """
    texts = {"prompt": batch.prompt(), "gold": batch.completion(), "completion": completion}
    columns: Rows = {name: np.array(task.vocabulary.decode_rows(rows), dtype=object) for name, rows in texts.items()}
    columns["kind"] = np.array(KINDS, dtype=object)[found.kind]
    columns["steps"] = steps(task.vocabulary.rules, found)
    names = np.array([*called, ""], dtype=object)
    columns["executes"] = names[np.where(found.compositions == 1, found.executes, -1)]
    return columns | {"untouched": clear}


def steps(rules: Sequence[str], found: Diagnosis) -> NDArray:
    """Of each row, for each line that it writes, after how many tokens of the completion it ends, and whether it is
    `right` by the rule named for it, or would be by others, which are named, or is `wrong`; then what is `missing`:
    such as "5 right, 10 [F1], missing".
    """
    B = len(found.kind)
    columns: list[NDArray] = [found.lines[:, None], found.missing[:, None], found.valid, found.ends]
    columns.append(found.rules.reshape(B, -1))
    unique, where = distinct(np.concatenate(columns, axis=1, dtype=np.int16))  # equal rows are written once
    K, texts = found.valid.shape[1], []
    for lines, missing, *told in unique.tolist():
        valid, ends, led = told[:K], told[K : 2 * K], told[2 * K :]
        said = []
        for line in range(lines):
            others = [rule for rule, leads in zip(rules, led[line * len(rules) :], strict=False) if leads]
            said.append(f"{ends[line]} {'right' if valid[line] else ' '.join(others) or 'wrong'}")
        texts.append(", ".join(said + ["missing"] * missing))
    return np.array(texts, dtype=object)[where]


def scored(scores: Scores, rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Value and standard error of each metric of one part; corpus BLEU's is over its rows drawn again with `rng`."""
    errors = {metric: row_error(getattr(scores, metric)) for metric in METRICS if metric != "bleu_corpus"}
    different, times = np.unique(scores.statistics, axis=0, return_counts=True)  # equal rows are drawn together
    drawn = rng.multinomial(times.sum(), times / times.sum(), RESAMPLED)
    errors["bleu_corpus"] = float(np.std([scores.bleu(sums) for sums in drawn @ different]))
    return {metric: (scores.mean(metric), errors[metric]) for metric in METRICS}


def untouched(batch: Batch, clean: Batch) -> np.ndarray:
    """(B,) whether noise left each prompt as it was."""
    width = min(batch.tokens.shape[1], clean.tokens.shape[1])
    same = (batch.tokens[:, :width] == clean.tokens[:, :width]).all(axis=1)
    return same & (batch.prompt_length == clean.prompt_length)


def records(
    task: Task, shift: Shift, level: int, values: Values, count: int, at: dict[str, str | int | float]
) -> Iterator[Record]:
    """The records of one cell; `at` are its coordinates besides those of the shift."""
    at = at | {"axis": shift.axis, "kind": shift.kind, "domain": shift.domain, "level": level}
    at |= {"setting": shift.describe(task, level)}
    for part, metrics in values.items():
        for metric, (value, error) in metrics.items():
            yield Record(metric, value, error, count, at | {"part": part}, UNITS.get(metric, "share"))
