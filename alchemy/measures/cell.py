"""Measurement of one cell: how right a model is on one Distribution, why it is wrong, and what replay would score."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from alchemy.data.answers import same
from alchemy.data.batch import Batch, Role
from alchemy.data.compositions import names_of
from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.data.task import Distribution, Task
from alchemy.data.vocabulary import PAD
from alchemy.measures.diagnosis import KINDS, Diagnosis, diagnose
from alchemy.measures.discrepancy import discrepancies
from alchemy.measures.replay import replay_oracle
from alchemy.measures.scores import METRICS, Scores, distinct, score
from alchemy.models.decoding import Completes, complete
from alchemy.models.transformer import Transformer
from alchemy.results.cells import Cell, Rows, Values
from alchemy.results.records import Record
from alchemy.stats.rows import row_error, share

UNITS = {"problems": "count", "novelty": "count", "length_gap": "tokens"}  # all else are shares
NAMED = 6  # compositions, at most, in the part `executed`
KEPT = 4  # batches whose completions are remembered: all noise levels have one without noise
RESAMPLED = 100  # resamples of the rows, for the error of corpus BLEU


def measure(
    task: Task,
    model: Transformer | Completes,
    where: Distribution,
    count: int,
    seed: int,
    temperature: float = 0.0,
) -> Cell:
    """Measurement of a model on `count` test problems of `where`.

    The `values` of the cell hold a value and its standard error over rows, by part and metric:

    - `full`, `chain`, `answer`: the scores METRICS of that part of the completions. There is no `chain` if no gold
      completion has one, since an empty chain would count as right.
    - `diagnosis`: the share of completions of each kind (see alchemy.measures.diagnosis).
    - `executed`: the share of rows whose answer only one composition leads to, for each of the commonest such
      compositions. Compositions that are the same map share one name (F1F2=F2F1). `tie` is the share of rows in which
      several different compositions lead to the answer.
    - `replay`: `rate`, the share of completions that equal those of the replay oracle.
    - `replay_full`, `replay_chain`, `replay_answer`: the scores of the replay oracle itself.
    - `discrepancy`: how far `where` is from training (see alchemy.measures.discrepancy).
    - `prompt`: `untouched`, the share of prompts that noise left as they were, which is also the exact match of a model
      that is right on those and on no others; `right_untouched` and `right_touched`, the exact match on such prompts
      and on the others; `problems`, the number of different problems.

    The `rows` of the cell are those of `outcomes`. Completions are greedy at `temperature` 0, and sampled above it.

    All cells of a seed draw from one stream, so all noise levels see the same problems. A prompt that noise left as it
    was is completed as without noise, in one batch with all others, so a model that `Remembers` decodes it once. If a
    world writes some rows with a chain and others without, for the same prompt, `full` compares with the form that a
    row was drawn in, so no model is expected to be right in more than the share of the commoner form. `answer` is about
    the answer in either form, and the diagnosis compares each completion with gold of its own form.

    >>> import alchemy as al
    >>> plan = al.compose("task=cipher")
    >>> cell = measure(plan.task, plan.model, plan.task.train, count=20, seed=0)  # not trained yet
    >>> cell.values["full"]["exact_match"][0], cell.values["replay_full"]["exact_match"][0]
    (0.0, 1.0)
    """
    clean = draw(task, where.clean(), count, stream(seed, "test"))
    batch = clean if where == where.clean() else draw(task, where, count, stream(seed, "test"))
    clear = untouched(batch, clean)
    if temperature:
        completion = complete(model, batch, temperature, stream(seed, "sampling"))
    else:
        completion = greedy(model, batch, clean, clear)
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
    values["prompt"] = {"untouched": share(clear), "problems": (float(len(np.unique(clean.tokens, axis=0))), 0.0)}
    for name, rows in (("right_untouched", clear), ("right_touched", ~clear)):
        if rows.any():
            values["prompt"][name] = share(right[rows])
    return Cell(values, outcomes(task, batch, completion, found, clear, [*called.values()]))


class Remembers:
    """A model whose greedy completions of the last few batches are kept. Its weights must stay as they are."""

    def __init__(self, model: Transformer | Completes) -> None:
        self.model = model
        self.known: dict[bytes, NDArray[np.int16]] = {}

    def complete(self, batch: Batch, temperature: float, rng: np.random.Generator | None) -> NDArray[np.int16]:
        """The same as alchemy.models.complete."""
        if temperature:
            return complete(self.model, batch, temperature, rng)
        its = sha256(batch.tokens.tobytes() + batch.role.tobytes()).digest()
        found = self.known.pop(its) if its in self.known else complete(self.model, batch)
        self.known = dict([*self.known.items(), (its, found)][-KEPT:])
        return found


def greedy(model: Transformer | Completes, batch: Batch, clean: Batch, clear: NDArray[np.bool_]) -> NDArray[np.int16]:
    """The greedy completion of each prompt (B, C). Where it is `clear` (B,) of noise, it is that of the whole batch
    without noise; the others are completed together.
    """
    if clear.all():
        return complete(model, clean)
    noised = complete(model, batch[~clear])
    if not clear.any():
        return noised
    known = complete(model, clean)
    found = np.full((len(batch), max(known.shape[1], noised.shape[1])), PAD, dtype=np.int16)
    found[clear, : known.shape[1]] = known[clear]
    found[~clear, : noised.shape[1]] = noised
    return found


def outcomes(
    task: Task, batch: Batch, completion: np.ndarray, found: Diagnosis, clear: np.ndarray, called: list[str]
) -> Rows:
    """Columns with one entry per row of a batch.

    - `prompt`, `gold`, `completion`: the tokens as text
    - `kind`: the kind of the completion (see alchemy.measures.diagnosis)
    - `steps`: a verdict on each line (see the function `steps`)
    - `executes`: the composition that alone leads to the answer; empty if there is none or several
    - `untouched`: whether noise left the prompt as it was
    """
    texts = {"prompt": batch.prompt(), "gold": batch.completion(), "completion": completion}
    columns: Rows = {name: np.array(task.vocabulary.decode_rows(rows), dtype=object) for name, rows in texts.items()}
    columns["kind"] = np.array(KINDS, dtype=object)[found.kind]
    columns["steps"] = steps(task.vocabulary.rules, found)
    names = np.array([*called, ""], dtype=object)
    columns["executes"] = names[np.where(found.compositions == 1, found.executes, -1)]
    return columns | {"untouched": clear}


def steps(rules: Sequence[str], found: Diagnosis) -> NDArray:
    """(B,) texts with a verdict on each line of a completion, such as "5 right, 10 [F1], missing".

    A line is given by the number of tokens in the completion up to its end. It is `right` if it follows by the rule
    named for it. If not, the rules by which it would follow are named, or it is `wrong` if there are none. There is a
    `missing` for each line that is lacking.
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
    """Value and standard error of each metric of one part.

    The error of corpus BLEU comes from rows that are resampled with `rng`.
    """
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
    """Records of one cell. `at` holds its coordinates besides those of the shift.

    >>> for record in records(plan.task, shift, 1, cell.values, 200, {"seed": 0}):  # doctest: +SKIP
    ...     print(record.metric, record.value)
    """
    at = at | {"axis": shift.axis, "kind": shift.kind, "domain": shift.domain, "level": level}
    at |= {"setting": shift.describe(task, level)}
    for part, metrics in values.items():
        for metric, (value, error) in metrics.items():
            yield Record(metric, value, error, count, at | {"part": part}, UNITS.get(metric, "share"))
