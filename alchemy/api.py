"""The lab in a notebook: `import alchemy as al`. Every default stands in conf/, as for the command.

What takes seconds to import is imported where it is used: a plan needs no pandas, and a picture no PyTorch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from alchemy.data import Batch, Distribution, Shift, Task
    from alchemy.models import Opening
    from alchemy.results import Record, Trained
    from alchemy.runs import Plan

Levels = Mapping[str, Sequence[int | str]]  # of each axis


def compose(*words: str, config_dir: str | Path | None = None) -> Plan:
    """The checked plan of one job: its task, untrained model, recipe, study and shifts. Nothing is written.

    `words` are settings as on the command line; `config_dir` is a folder of your own options, laid out like conf/. An
    experiment that sweeps gives the job of its defaults. Raises ValueError with one sentence that says what to change.

    >>> compose("task=cipher", "task.training=[F1F2]", "seed=1").task.training
    ('F1F2',)
    """
    from alchemy.runs.compose import compose_plan

    return compose_plan(words, config_dir)


def train(plan: Plan) -> Trained:
    """The trained model of a plan, and the folder that it is kept in.

    It is read from outputs/models if this plan, or the command with the same settings, trained it before, and trained
    now if not: the same weights to the last bit. `plan.model` is filled with them. Raises ValueError if the training
    comes to no number.

    >>> train(compose("train.steps=50", "train.mark=null")).home.parent  # doctest: +SKIP
    PosixPath('outputs/models')
    """
    from alchemy.results.store import Trained
    from alchemy.runs.job import trained, untrained

    models, what = Path(plan.cfg.output) / "models", f"seed {plan.cfg.seed}"
    with threads(plan):
        record = trained(plan, models, what, 0, lambda _: None) if plan.recipe else untrained(plan, what)
    return Trained(plan.model, models / record["fingerprint"])


def shift(task: Task, axis: str, level: int | str, kind: str = "hybrid", domain: str = "all") -> Distribution:
    """The distribution at one level of a shift; level 0 is training.

    `axis` is one of alchemy.data.AXES; on the composition axis `level` may be a composition's name. `kind` and `domain`
    say which noise falls on which tokens of the prompt, on the format axis alone. Raises ValueError where the world has
    no such level.

    >>> shift(compose().task, "length", 2).length
    6
    """
    from alchemy.data.shift import Shift
    from alchemy.runs.plan import composition_level

    number = composition_level(task, level)
    return Shift(axis, (number,), kind, domain).at(task, number)


def complete(
    model: Any,
    rows: Batch,
    temperature: float = 0.0,
    rng: np.random.Generator | None = None,
    opening: Opening | None = None,
) -> NDArray[np.int16]:
    """(B, C) ids of the completion of each of B prompts, without its end symbol, padded on the right.

    `model` is what `train` gives, or a Transformer itself. Completions are greedy at `temperature` 0, and above it
    sampled with `rng`; `opening` says how they begin (see alchemy.models.Opening), as the model likes if None.

    >>> complete(train(plan), rows).shape  # doctest: +SKIP
    (5, 11)
    """
    from alchemy.models import decoding
    from alchemy.results.store import Trained

    own = model.model if isinstance(model, Trained) else model
    return decoding.complete(own, rows, temperature, rng, opening)


def show(task: Task, rows: Batch, completion: NDArray[np.int16], clean: Batch | None = None) -> pd.DataFrame:
    """A table of rows as text: prompt, gold and completion, and the kind of mistake, or "right".

    `completion` (B, C) are token ids, as `complete` gives them. Rows with noise on their prompts need `clean`, the same
    rows without it: drawn with the same stream, from the distribution with noise=None. The kinds are those of
    alchemy.measures.Diagnosis.

    >>> show(plan.task, rows, rows.completion())["kind"].unique()  # doctest: +SKIP
    array(['right'], dtype=object)
    """
    import pandas as pd

    from alchemy.measures.diagnosis import KINDS, diagnose

    texts = {"prompt": rows.prompt(), "gold": rows.completion(), "completion": completion}
    table = pd.DataFrame({name: task.vocabulary.decode_rows(ids) for name, ids in texts.items()})
    found = diagnose(task, rows if clean is None else clean, completion)
    return table.assign(kind=[KINDS[number] for number in found.kind])


def study(plan: Plan, model: Trained, shifts: Levels | Sequence[Shift] | None = None) -> pd.DataFrame:
    """The table of all that the plan's study measures of a model, one row a record.

    `shifts` are levels by axis, or Shift objects; None stands for those of the plan. What was measured before, here or
    by the command, is read from outputs/cells. Raises ValueError for a level that the world does not have.

    >>> study(plan, model, {"task": [0, 1], "length": [-1, 0, 1]})["axis"].unique()  # doctest: +SKIP
    array(['task', 'length'], dtype=object)
    """
    from alchemy.results.table import from_records

    return from_records(measured(plan, model, chosen(plan, shifts)))


def heatmap(cells: pd.DataFrame, metric: str = "exact_match", part: str = "full", caption: str | None = None) -> Figure:
    """A Matplotlib figure: a row a shift, a column a level, each cell with its mean and the replay oracle's score.

    `cells` are those of `summarise`; `metric` is exact_match, edit_distance or bleu_corpus, `part` is full, chain or
    answer. `caption` stands below, None for how to read a cell. Raises ValueError for another metric or part.

    >>> heatmap(summarise(table)).savefig("heatmap.png")  # doctest: +SKIP
    """
    from alchemy.figures.draw import styled
    from alchemy.figures.heatmap import NAMES, PARTS, draw_heatmap
    from alchemy.results.runs import LEGEND

    for name, value, known in (("metric", metric, NAMES), ("part", part, PARTS)):
        if value not in known:
            raise ValueError(f"{name}={value} is not drawn: use one of {', '.join(known)}")
    swept = [*cells.columns][: [*cells.columns].index("axis")]
    legend = LEGEND if "format" in set(cells["axis"]) else LEGEND[:1]  # the second line is about noise
    with styled():
        figure = draw_heatmap(cells, metric, part, "\n".join(legend) if caption is None else caption, swept)
    return displayed(figure)


def curves(table: pd.DataFrame, over: str | None = None) -> Figure:
    """A Matplotlib figure: exact match over a number that a study varies, such as rows, a panel for each cell.

    It is drawn from the `table` of `study`, not from its cells, since each seed has a thin line. `over` is a column; by
    default the study's own number with the most values. Raises ValueError if there is none.

    >>> curves(study(compose("study=trajectory", "train.snapshots=8"), model)).savefig("a.png")  # doctest: +SKIP
    """
    from alchemy.figures.curves import draw_curves
    from alchemy.figures.draw import styled, x_coordinate
    from alchemy.results.table import apart, summarise

    own = apart(table)
    over = over or x_coordinate(table, own)
    if over not in own:
        raise ValueError("there is no number to draw curves over: study=recovery and study=trajectory vary one")
    kept = [name for name in own if name != "rows" or over != "share"]  # a share has its rows beside it
    with styled():
        figure = draw_curves(summarise(table), table, kept, over)
    return displayed(figure)


def displayed(figure: Figure) -> Figure:
    """The same figure; a notebook shows it where it is the last line of a cell, also without %matplotlib inline."""

    def png() -> bytes:
        with BytesIO() as file:
            figure.savefig(file, format="png")
            return file.getvalue()

    vars(figure)["_repr_png_"] = png
    return figure


def chosen(plan: Plan, shifts: Levels | Sequence[Shift] | None) -> tuple[Shift, ...]:
    """The shifts that `study` is asked for."""
    from omegaconf import OmegaConf

    from alchemy.runs.plan import possible_shifts

    if shifts is None:
        return plan.shifts
    if not isinstance(shifts, Mapping):
        return tuple(shifts)
    grid = {axis: [*levels] for axis, levels in shifts.items()}
    known: Any = OmegaConf.to_container(plan.cfg.shift)
    node = OmegaConf.create({**known, "axis": [*grid], "levels": None, "grid": grid})
    return possible_shifts(plan.task, plan.model, node)


def measured(plan: Plan, model: Trained, shifts: Sequence[Shift]) -> list[Record]:
    """All records of the plan's study of a model. Cells are kept under the weights that it has, also changed ones."""
    from alchemy.measures.bench import Bench
    from alchemy.results.store import fingerprint, weights_digest
    from alchemy.runs.job import kept_cells, untrained
    from alchemy.runs.progress import progress

    its = {"fingerprint": fingerprint(plan.settings), "sha256": weights_digest(model.model)} if plan.recipe else {}
    cells = kept_cells(plan, its or untrained(plan, f"seed {plan.cfg.seed}"), shifts)
    with threads(plan), progress(f"seed {plan.cfg.seed}, measuring", 0) as report:
        return list(plan.study(Bench(plan.task, model, plan.cfg.seed, tuple(shifts), cells, report)))


@contextmanager
def threads(plan: Plan) -> Iterator[None]:
    """Has PyTorch use as many threads as the plan says, on which bits hang, and then as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(plan.cfg.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
