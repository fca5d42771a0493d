"""Writes cells of a study as tasks of the lm-evaluation-harness: for each a YAML file and its rows, and a group of all.

    lm_eval --model hf --model_args pretrained=CHECKPOINT --tasks alchemy --include_path DIR --batch_size 64

The rows are those that the lab itself tests on; the exact match of the harness is that of chain and answer, decoded
greedily.
Source: lm-evaluation-harness 0.4, its guide to task files.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alchemy.data.sampling import draw
from alchemy.data.seeds import stream
from alchemy.data.shift import Shift
from alchemy.data.task import Task
from alchemy.data.vocabulary import END, SPECIALS, UNKNOWN
from alchemy.results.files import new_folder, write_aside

GROUP = "alchemy"
EXACT = {"metric": "exact_match", "aggregation": "mean"}


def name_of(shift: Shift, level: int) -> str:
    """Returns the name of a cell's task in the harness, such as alchemy_task_1 or alchemy_format_insert_all_2."""
    return "_".join([GROUP, *(word for word in (shift.axis, shift.kind, shift.domain) if word != "-"), str(level)])


def write_tasks(folder: Path, task: Task, model: Any, shifts: Sequence[Shift], count: int, seed: int) -> None:
    """Writes all cells of `shifts` into `folder`, whole or not at all.

    Completions may be as long as the context of `model` allows, in its own tokens. The files contain the path of
    `folder`, so they cannot be moved. Raises ValueError for a folder that holds files already.
    """
    home = folder.absolute()
    names = []
    with new_folder(folder) as other:
        for shift in shifts:
            for level in shift.levels:
                names.append(name := name_of(shift, level))
                rows, room = cell(task, model, shift, level, count, seed)
                write_aside(other / f"{name}.jsonl", rows)
                what = shift.describe(task, level) or "the training distribution"
                write_json(other / f"{name}.yaml", settings(name, what, home / f"{name}.jsonl", room))
        mean = EXACT | {"weight_by_size": False, "filter_list": "none"}
        group = {"group": GROUP, "task": names, "aggregate_metric_list": [mean]}
        write_json(other / f"{GROUP}.yaml", group)


def cell(task: Task, model: Any, shift: Shift, level: int, count: int, seed: int) -> tuple[list[str], int]:
    """Returns the lines of a cell's rows, and how many tokens a completion may have after the longest prompt.

    A prompt of which noise has deleted every token is written as one noise token, since the harness cannot complete an
    empty prompt; the lab itself leaves it empty.
    """
    batch = draw(task, shift.at(task, level), count, stream(seed, "test"))
    prompts = task.vocabulary.decode_rows(batch.prompt())
    golds = task.vocabulary.decode_rows(batch.completion())
    pairs = zip(prompts, golds, strict=True)
    rows = [json.dumps({"prompt": prompt or SPECIALS[UNKNOWN], "gold": gold}) + "\n" for prompt, gold in pairs]
    own = model.tokenizer.encode(batch) if model.tokenizer else batch
    return rows, int(model.context - max(own.prompt_length.max(), 1))


def settings(name: str, what: str, rows: Path, room: int) -> dict[str, Any]:
    return {
        "task": name,
        "task_alias": f"{name} ({what})",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(rows)}},
        "test_split": "test",
        "output_type": "generate_until",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_target": "gold",
        "generation_kwargs": {"until": [SPECIALS[END]], "do_sample": False, "max_gen_toks": room},
        "filter_list": [{"name": "none", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
        "metric_list": [EXACT | {"higher_is_better": True}],
        "metadata": {"version": 1.0},
    }


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON, which is YAML, too."""
    write_aside(path, json.dumps(content, indent=1) + "\n")
