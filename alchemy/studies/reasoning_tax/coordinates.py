"""Coordinates of the numbers of this study: what was measured, at which match, and with which weights restored."""

from typing import NamedTuple

NONE = "-"
UNITS = {"chain": "nats", "update": "nats", "split": "ratio", "restore": "ratio", "graft": "ratio"}
UNITS |= {"practice": "bits"}  # all else: shares
BITS = ("lost", "recovered", "missing", "control", "storage", "latent")  # parts of a loss in bits
EXCEPT = {  # metrics whose unit is not that of their part
    **dict.fromkeys([("knowledge", f"bits{group}") for group in ("", "_head", "_tail")], "bits"),
    **dict.fromkeys([("split", f"{name}_bits") for name in BITS], "bits"),
    **dict.fromkeys([("knowledge", f"gain{group}") for group in ("", "_c", "_o")], "ratio"),
    ("threshold", "capacity"): "bits",
    ("threshold", "v_eff"): "count",
    ("chain", "steps"): "count",
    ("chain", "infogain"): "ratio",
    ("chain", "infogain_bounded"): "ratio",
    ("chain", "ki"): "share",
    ("chain", "ki_recall"): "share",
    ("update", "norm"): "ratio",
    ("update", "changed"): "share",
    ("restore", "free"): "share",
}


class Part(NamedTuple):
    """What a number is about.

    - `part`: the subject, such as procedural or knowledge
    - `match`: the match at which it was measured, if at one
    - `weights`: the portion of the weights that it is about, if it is about one, such as layer, lower or random
    - `layer`: the number of the layer
    - `draw`: the number of the random half
    - `practice`: the practice of other facts after which it was measured, such as usual or gentle
    - `dose`: the length of that practice, in steps
    """

    part: str
    match: str = NONE
    weights: str = NONE
    layer: int | str = NONE
    draw: int | str = NONE
    practice: str = NONE
    dose: int | str = NONE


class Column(NamedTuple):
    """One `metric` at the coordinates `where`."""

    where: Part
    metric: str


def column(part: str, metric: str, *where: int | str, **named: int | str) -> Column:
    """Column of a metric. The other arguments are those of Part.

    >>> column("practice", "recovered_bits", "opening", practice="gentle", dose=20).where.dose
    20
    """
    return Column(Part(part, *where, **named), metric)  # type: ignore[arg-type]


def unit(part: str, metric: str) -> str:
    """Unit of a metric of a part, one of alchemy.results.records.UNITS."""
    return EXCEPT.get((part, metric), UNITS.get(part, "share"))
