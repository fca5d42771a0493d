"""Verdicts on predictions: a number per seed, its contrast, and a verdict by rule."""

from collections.abc import Callable
from math import isnan, nan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from alchemy.results.table import seed_text
from alchemy.stats.contrasts import Contrast
from alchemy.stats.families import Judgement, judge, row_of
from alchemy.stats.predictions import SIGNS, Prediction
from alchemy.studies.reasoning_tax.coordinates import NONE, Column, column
from alchemy.studies.reasoning_tax.design import MEASURES
from alchemy.studies.reasoning_tax.trajectories import Run, Seeds, Tax, over_seeds

Array = NDArray[np.float64]
NOT_MOVED = "not compared"  # since the arms have hardly lost anything
NEAR = 0.2  # relative distance within which a load stands for another
LEAST = 0.05  # bits per fact: of a smaller loss, shares are told as shares of this, so that no seed is left out
MOVED = 0.1  # bits per fact that the arm of two which lost more has lost, at least, for a comparison of losses
COLUMNS = ["name", "source", "says", "estimate", "low", "high", "p", "p_adjusted", "equivalence_p", "verdict", "seeds"]
COLUMNS += ["above", "below", "compared", "power", "sentence", "role", "unit", "sesoi", "by_seed"]


def verdicts(tax: Tax) -> pd.DataFrame:
    """Table with one row per prediction.

    Both p of the primary prediction, of no difference and of equivalence, are its own. Those of all others are
    Holm-adjusted, each kind together. Arms that have hardly lost anything are not compared: they have neither.
    """
    plan = tax.design.predictions
    values = {one.name: seedwise(tax, one) for one in plan}
    still = {one.name: unmoved(tax, one) for one in plan}
    found = judge(plan, values, [name for name, why in still.items() if why])
    rows = [
        judged(tax, one, found[one.name], still[one.name]) | {"by_seed": seed_text(values[one.name])} for one in plan
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def judged(tax: Tax, one: Prediction, found: Judgement, still: str) -> dict[str, str | float]:
    """Row of one prediction in the table. `still` is why its arms are not compared; empty if they are."""
    its, row = found.found, row_of(one, found)
    if its.seeds and still:
        row["verdict"] = NOT_MOVED
    said = still or str(row["verdict"])
    row |= {"compared": comparison(tax, one), "unit": unit_of(one)}
    return row | {"sentence": sentence(tax, one, its, found.adjusted, found.equivalence, said)}


def unit_of(one: Prediction) -> str:
    """Unit of a prediction's number, in words."""
    return f"share of what {one.stake} loses" if one.stake else MEASURES[one.measure]


def comparison(tax: Tax, one: Prediction) -> str:
    """What is compared, in words: the arms, and where."""
    whose = f"{one.arm} less {one.other}" if one.other else one.arm
    return whose if one.measure in UNMATCHED else f"{whose} at {one.match} {tax.design.matches[one.match]:g}"


def unmoved(tax: Tax, one: Prediction) -> str:
    """Why the losses of two arms are not compared: neither has lost MOVED bits there, by the median seed. Empty if one
    has, or if the prediction is no such comparison.
    """
    if one.measure != "lost_bits" or not (one.other or one.stake):
        return ""
    load = load_of(tax, one)
    arms = {
        arm: over_seeds(tax.by_seed(load, *keep_of(arm), lambda run: lost_bits(tax, run, one.match))).estimate
        for arm in filter(None, dict.fromkeys((one.arm, one.other, one.stake)))
    }
    known = {arm: lost for arm, lost in arms.items() if not isnan(lost)}
    if not known or max(known.values()) >= MOVED:
        return ""
    lost = ", ".join(f"{arm} {value:.3f}" for arm, value in known.items())
    return f"not compared, since less than {MOVED:g} bits are lost there ({lost})"


def seedwise(tax: Tax, one: Prediction) -> Seeds:
    """Number that a prediction is about, by seed: the value of its arm or, if it names another, less that of the other
    arm. Where its stake is less than LEAST bits, it is a share of LEAST, so that such a seed is not left out.
    """
    load = load_of(tax, one)
    if one.measure == "added_r2":
        return added_r2(tax, load, one.arm.split("+"))
    mine, its = (
        tax.by_seed(load, *keep_of(arm), lambda run: VALUES[one.measure](tax, run, one.match)) if arm else {}
        for arm in (one.arm, one.other)
    )
    found = {seed: mine[seed] - its[seed] for seed in mine if seed in its} if one.other else mine
    if not one.stake:
        return found
    stake = tax.by_seed(load, *keep_of(one.stake), lambda run: lost_bits(tax, run, one.match))
    return {seed: value / max(stake[seed], LEAST) for seed, value in found.items() if seed in stake}


def load_of(tax: Tax, one: Prediction) -> float:
    """Load that a prediction is about: the nearest that was run, if it is near enough to the one named. None is the
    main load.
    """
    if (asked := one.load) is None:
        return tax.load
    nearest = min(tax.loads, key=lambda load: abs(load - asked))
    return nearest if abs(nearest - asked) <= NEAR * asked else asked


def keep_of(arm: str) -> tuple[str, str]:
    """Arm and preservation in a name such as arm or arm/keep."""
    name, _, keep = arm.partition("/")
    return name, keep or "none"


def change_of(name: str) -> Callable[[Tax, Run, str], float]:
    """Function of a run at a match that returns one of trajectories.CHANGES."""
    return lambda tax, run, match: tax.change(run, match, name)


lost_bits = change_of("lost_bits")


def put_back(run: Run, match: str, metric: str, weights: str, layer: int | str = NONE) -> list[Column]:
    """Columns of a metric in which a portion of the weights is the base's again.

    There is one column, or one for each random half that was drawn.
    """
    asked = ("restore", match, weights, layer)
    return [one for one in run.values if one.metric == metric and one.where[:4] == asked]


def returned(run: Run, match: str, weights: str, layer: int | str = NONE) -> float:
    """Share of lost bits that restoring a portion of the weights returns; of random halves, the mean over draws."""
    columns = put_back(run, match, "bits", weights, layer)
    return float(np.mean([run.last(one) for one in columns])) if columns else nan


def less(other: str) -> Callable[[Tax, Run, str], float]:
    """Function of a run at a match: what restoring the lower half returns, less what restoring `other` returns."""
    return lambda _, run, match: returned(run, match, "lower") - returned(run, match, other)


def latent_less_storage(tax: Tax, run: Run, match: str) -> float:  # noqa: ARG001
    """Latent less stored loss, as a share of all bits lost, or of LEAST."""
    latent, storage, lost = (run.last(column("split", f"{name}_bits", match)) for name in ("latent", "storage", "lost"))
    return (latent - storage) / max(lost, LEAST)


def recovered_less_missing(tax: Tax, run: Run, match: str) -> float:  # noqa: ARG001
    """What practice of other facts brings back, less what is missing after it, as a share of all bits lost, or of
    LEAST.
    """
    parts = ("recovered", "missing", "lost")
    back, missing, lost = (run.last(column("split", f"{name}_bits", match)) for name in parts)
    return (back - missing) / max(lost, LEAST)


def latent_gentle_less_usual(tax: Tax, run: Run, match: str) -> float:  # noqa: ARG001
    """Share of lost bits (or of LEAST) that is latent after the longest gentle practice, less that after the longest
    usual one. It is 0 if practice costs the model as much as the base, however strong.
    """
    known = {one.where.practice: one for one in sorted(latent_columns(run, match), key=lambda one: int(one.where.dose))}
    if not {"gentle", "usual"} <= set(known):
        return nan
    lost = run.last(column("split", "lost_bits", match))
    gentle, usual = (run.last(known[name]) for name in ("gentle", "usual"))
    return (gentle - usual) / max(lost, LEAST)


def latent_columns(run: Run, match: str) -> list[Column]:
    """Columns of latent bits at a match, one for each practice and dose."""
    return [one for one in run.values if one.metric == "latent_bits" and one.where[:2] == ("practice", match)]


def storage(tax: Tax, run: Run, match: str) -> float:  # noqa: ARG001
    """Bits per fact that are lost for good."""
    return run.last(column("split", "storage_bits", match))


def overthinking(tax: Tax, run: Run, match: str) -> float:  # noqa: ARG001
    """Part of the loss of accuracy that is overthinking."""
    return run.last(column("split", "overthinking", match))


def head_less_tail(tax: Tax, run: Run, match: str) -> float:
    """Share of bits kept of facts seen often, less that of facts seen rarely."""
    head, tail = (kept(tax, run, match, f"bits_{group}") for group in ("head", "tail"))
    return head - tail


def kept(tax: Tax, run: Run, match: str, metric: str = "bits") -> float:
    """Share of the base's bits that is kept where the match is reached."""
    known = column("knowledge", metric)
    before = run.base(known)
    return tax.at(run, match, known) / before if before > 0 else nan


def onset(run: Run) -> float:
    """Opening rate at which greedy completions first open a chain in half of the problems."""
    return run.at(column("procedural", "opening"), column("procedural", "opens"), 0.5)


def threshold(tax: Tax, run: Run, match: str) -> float:  # noqa: ARG001 (it is matched on itself)
    """Opening rate of `onset`, less the predicted p*."""
    return onset(run) - run.last(column("threshold", "p_star"))


def basis(kl: Array) -> Array:
    """(N, 3) basis of a smooth curve of KL (N,) that has no loss at no KL: a cubic in log(1 + KL)."""
    bent = np.log1p(kl)
    return np.column_stack([bent, bent**2, bent**3])


def points(run: Run) -> Array:
    """(N, 2) KL, and bits per fact lost, at every evaluated step but the base."""
    lost = run.base(column("knowledge", "bits")) - run.of(column("knowledge", "bits"))
    both = np.column_stack([run.of(column("update", "kl")), lost])[run.step > 0]
    return both[~np.isnan(both).any(axis=1)]


def r2(fitted: list[list[Array]], told: list[Array]) -> tuple[float, float]:
    """R² of bits lost, of two curves that were fitted to other seeds: one of KL alone, and one with terms for each arm.

    `fitted` holds the points of each other seed, `told` the points that R² is of, both by arm. The second curve has a
    factor and a bend of each arm's own. An R² below 0 means that a curve explains nothing.
    """

    def terms(parts: list[Array]) -> tuple[Array, Array]:
        kl, lost = np.concatenate(parts).T
        arm = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        own = [basis(kl)[:, :2] * (arm == number)[:, None] for number in range(1, len(parts))]
        return np.column_stack([basis(kl), *own]), lost

    seen = [terms(parts) for parts in fitted]
    x, y = np.concatenate([its for its, _ in seen]), np.concatenate([lost for _, lost in seen])
    asked, lost = terms(told)
    around = float(((lost - lost.mean()) ** 2).sum())
    left = [
        float(((lost - asked[:, :width] @ np.linalg.lstsq(x[:, :width], y, rcond=None)[0]) ** 2).sum())
        for width in (3, x.shape[1])
    ]
    return (1 - left[0] / around, 1 - left[1] / around) if around > 0 else (nan, nan)


def r2_by_seed(tax: Tax, load: float, arms: list[str]) -> dict[int, tuple[float, float]]:
    """R² of each seed that has all of these arms that were run, by curves fitted to the other seeds (see `r2`).

    In this way, what differs from run to run does not pass for an effect of the arm. If there is only one seed, its
    curves are fitted to itself, which flatters. Empty if fewer than two arms were run.
    """
    runs = [its for arm in arms if (its := tax.of(load, *keep_of(arm)))]
    if len(runs) < 2:
        return {}
    found = {seed: [points(its[seed]) for its in runs] for seed in runs[0] if all(seed in its for its in runs)}
    found = {seed: parts for seed, parts in found.items() if all(map(len, parts))}
    others = {seed: [parts for its, parts in found.items() if its != seed] or [found[seed]] for seed in found}
    return {seed: r2(others[seed], parts) for seed, parts in found.items()}


def added_r2(tax: Tax, load: float, arms: list[str]) -> Seeds:
    """R² that knowing the arm adds to that of KL alone, by seed."""
    found = {seed: whole - alone for seed, (alone, whole) in r2_by_seed(tax, load, arms).items()}
    return {seed: value for seed, value in found.items() if not isnan(value)}


VALUES: dict[str, Callable[[Tax, Run, str], float]] = {
    "lost_bits": lost_bits,
    "lower_less_upper": less("upper"),
    "lower_less_random": less("random"),
    "lower_less_halfway": less("halfway"),
    "recovered_less_missing": recovered_less_missing,
    "latent_less_storage": latent_less_storage,
    "latent_gentle_less_usual": latent_gentle_less_usual,
    "storage": storage,
    "overthinking": overthinking,
    "head_less_tail": head_less_tail,
    "threshold": threshold,
    "changed": change_of("changed"),
    "infogain_change": change_of("change_infogain_bounded"),
    "ki_change": change_of("change_ki"),
}
UNMATCHED = ("threshold", "added_r2")


def sentence(tax: Tax, one: Prediction, its: Contrast, adjusted: float, equivalence: float, said: str) -> str:
    """Result of a prediction in one line."""
    if not its.seeds:
        return f"Not measured: {why(tax, one)}."
    found = f"{comparison(tax, one)}: {its.estimate:+.3f}"
    spread = "" if isnan(its.low) else f" [{its.low:+.3f}, {its.high:+.3f}]"
    sides = f", {its.above} of {its.seeds} seeds above 0, {its.below} below" if its.seeds > 1 else ""
    found = f"{found}{spread} {unit_of(one)}{sides}"
    if said.startswith(NOT_MOVED):
        return f"{found}; {said}."
    if its.seeds < 2:
        return f"{found}; one seed has no interval, so undecided."
    against = "no difference" if not SIGNS[one.direction] else f"{one.direction} 0"
    return (
        f"{found}; adjusted p {adjusted:.2g}, equivalence p {equivalence:.2g} for {one.sesoi:g}; "
        f"predicted {against}: {said}."
    )


def why(tax: Tax, one: Prediction) -> str:
    """Reason why a prediction's number has no value in any seed."""
    load = load_of(tax, one)
    for arm in filter(None, (*one.arm.split("+"), one.other)):
        runs = tax.of(load, *keep_of(arm))
        if not runs:
            return f"arm {arm} was not run at load {load:g}"
        reasons = [tax.why_not(run, one.match) for run in runs.values()]
        if one.measure not in UNMATCHED and all(reasons):
            return f"{arm}: {reasons[0]}"
    if one.measure == "head_less_tail":
        return "every fact is seen equally often"
    return "its records are lacking, or too little was lost to take shares of it, or no seed has all arms"
