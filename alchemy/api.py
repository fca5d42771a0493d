"""Functions for notebooks, as in `import alchemy as al`. Every default is in conf/, as for the command line.

Modules that take seconds to import are imported where they are used: a plan needs no pandas, and a picture no PyTorch.
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

Levels = Mapping[str, Sequence[int | str]]  # levels by axis


def compose(*words: str, config_dir: str | Path | None = None) -> Plan:
    """Checked plan of one job: its task, untrained model, recipe, study and shifts. Nothing is written.

    `words` are settings as on the command line; `config_dir` is a folder of your own options, laid out like conf/. Of
    an experiment that sweeps, it is the job with the default settings. Raises ValueError with one sentence that says
    what to change.

    >>> compose("task=cipher", "task.training=[F1F2]", "seed=1").task.training
    ('F1F2',)
    """
    from alchemy.runs.compose import compose_plan

    return compose_plan(words, config_dir)


def train(plan: Plan) -> Trained:
    """Trained model of a plan, and the folder that it is kept in.

    It is read from outputs/models if this plan, or the command with the same settings, trained it before, and trained
    now if not; either way the weights are the same to the last bit. They are also loaded into `plan.model`. Raises
    ValueError if the training diverges to values that are not numbers.

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
    """Distribution at one level of a shift. Level 0 is training.

    `axis` is one of alchemy.data.AXES; on the composition axis, `level` may be the name of a composition. `kind` and
    `domain` are for the format axis alone: which noise is put on which tokens of the prompt. Raises ValueError if the
    world has no such level.

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
    """(B, C) token ids of the completions of B prompts, without the end symbol, padded on the right.

    `model` is what `train` returns, or a Transformer. Completions are greedy at `temperature` 0, and above it sampled
    with `rng`. `opening` says how they begin (see alchemy.models.Opening); with None, the model decides.

    >>> complete(train(plan), rows).shape  # doctest: +SKIP
    (5, 11)
    """
    from alchemy.models import decoding
    from alchemy.results.store import Trained

    own = model.model if isinstance(model, Trained) else model
    return decoding.complete(own, rows, temperature, rng, opening)


def show(task: Task, rows: Batch, completion: NDArray[np.int16], clean: Batch | None = None) -> pd.DataFrame:
    """Table of rows as text: prompt, gold, completion, and the kind of mistake, or "right".

    `completion` (B, C) are token ids, as `complete` returns them. Rows with noise on their prompts need `clean`, the
    same rows without it: drawn with the same stream, from the distribution with noise=None. The kinds are those of
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
    """Table of everything that the plan's study measures of a model, with one row per record.

    `shifts` are levels by axis, or Shift objects; with None, they are those of the plan. What was measured before, here
    or by the command, is read from outputs/cells. Raises ValueError for a level that the world does not have.

    >>> study(plan, model, {"task": [0, 1], "length": [-1, 0, 1]})["axis"].unique()  # doctest: +SKIP
    array(['task', 'length'], dtype=object)
    """
    from alchemy.results.table import from_records

    return from_records(measured(plan, model, chosen(plan, shifts)))


def heatmap(cells: pd.DataFrame, metric: str = "exact_match", part: str = "full", caption: str | None = None) -> Figure:
    """Matplotlib figure with a row per shift and a column per level; each cell has its mean and the replay oracle's
    score.

    `cells` are those of `summarise`. `metric` is exact_match, edit_distance or bleu_corpus, and `part` is full, chain
    or answer. `caption` is written below; with None, it explains how to read a cell. Raises ValueError for another
    metric or part.

    >>> heatmap(summarise(table)).savefig("heatmap.png")  # doctest: +SKIP
    """
    from alchemy.figures.draw import styled
    from alchemy.figures.heatmap import NAMES, PARTS, draw_heatmap
    from alchemy.results.runs import LEGEND

    for name, value, known in (("metric", metric, NAMES), ("part", part, PARTS)):
        if value not in known:
            raise ValueError(f"{name}={value} is not drawn: use one of {', '.join(known)}")
    swept = [*cells.columns][: [*cells.columns].index("axis")]
    legend = LEGEND if "format" in set(cells["axis"]) else LEGEND[:1]  # its second line is about noise
    with styled():
        figure = draw_heatmap(cells, metric, part, "\n".join(legend) if caption is None else caption, swept)
    return displayed(figure)


def curves(table: pd.DataFrame, over: str | None = None) -> Figure:
    """Matplotlib figure of exact match over a number that a study varies, such as rows, with a panel for each cell.

    It is drawn from the `table` of `study`, not from its cells, since each seed has a thin line. `over` is a column; by
    default, it is the number with the most values that the study varies. Raises ValueError if there is none.

    >>> curves(study(compose("study=trajectory", "train.snapshots=8"), model)).savefig("a.png")  # doctest: +SKIP
    """
    from alchemy.figures.curves import draw_curves
    from alchemy.figures.draw import styled, x_coordinate
    from alchemy.results.table import apart, summarise

    own = apart(table)
    over = over or x_coordinate(table, own)
    if over not in own:
        raise ValueError("there is no number to draw curves over: study=recovery and study=trajectory vary one")
    kept = [name for name in own if name != "rows" or over != "share"]  # rows follow from the share
    with styled():
        figure = draw_curves(summarise(table), table, kept, over)
    return displayed(figure)


def displayed(figure: Figure) -> Figure:
    """The same figure, which a notebook now shows as the last line of a cell, also without %matplotlib inline."""

    def png() -> bytes:
        with BytesIO() as file:
            figure.savefig(file, format="png")
            return file.getvalue()

    vars(figure)["_repr_png_"] = png
    return figure


def chosen(plan: Plan, shifts: Levels | Sequence[Shift] | None) -> tuple[Shift, ...]:
    """Shifts that `study` measures."""
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
    """Records of the plan's study of a model. Cells are stored under the model's own weights, also if they were
    changed.
    """
    from alchemy.measures.bench import Bench
    from alchemy.results.store import fingerprint, weights_digest
    from alchemy.runs.job import kept_cells, untrained
    from alchemy.runs.progress import progress

    record = {"fingerprint": fingerprint(plan.settings), "sha256": weights_digest(model.model)} if plan.recipe else {}
    cells = kept_cells(plan, record or untrained(plan, f"seed {plan.cfg.seed}"), shifts)
    with threads(plan), progress(f"seed {plan.cfg.seed}, measuring", 0) as report:
        return list(plan.study(Bench(plan.task, model, plan.cfg.seed, tuple(shifts), cells, report)))


@contextmanager
def threads(plan: Plan) -> Iterator[None]:
    """Sets PyTorch's number of threads to the plan's, since results depend on it bit for bit, and resets it after."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(plan.cfg.threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
