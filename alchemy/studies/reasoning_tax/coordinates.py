"""Where a number of this study was measured: what of, at which match, and with which of the weights put back."""

from typing import NamedTuple

NONE = "-"
UNITS = {"chain": "nats", "update": "nats", "split": "ratio", "restore": "ratio", "graft": "ratio"}  # all else: shares
EXCEPT = {  # metrics whose unit is not that of their part
    **dict.fromkeys([("knowledge", f"bits{group}") for group in ("", "_head", "_tail")], "bits"),
    **dict.fromkeys([("split", f"{name}_bits") for name in ("lost", "latent", "storage", "control")], "bits"),
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
    """What is measured: `part`, such as procedural or knowledge; at which `match`, if at one; and of which `weights`,
    if of some: a `layer` by its number, a half, a random half by its `draw`.
    """

    part: str
    match: str = NONE
    weights: str = NONE
    layer: int | str = NONE
    draw: int | str = NONE


class Column(NamedTuple):
    """A `metric` of a part."""

    where: Part
    metric: str


def column(
    part: str, metric: str, match: str = NONE, weights: str = NONE, layer: int | str = NONE, draw: int | str = NONE
) -> Column:
    """The column of a metric; see Part."""
    return Column(Part(part, match, weights, layer, draw), metric)


def unit(part: str, metric: str) -> str:
    """The unit of a metric of a part, one of alchemy.results.records.UNITS."""
    return EXCEPT.get((part, metric), UNITS.get(part, "share"))
