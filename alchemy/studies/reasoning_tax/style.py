"""Common style of the panels of the headline figure: names, colours and markers of arms and of preservation."""

from collections.abc import Callable

from alchemy.figures.style import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from alchemy.stats.contrasts import Contrast
from alchemy.studies.reasoning_tax.trajectories import Run, Tax, over_seeds

ARMS = {  # in words, and in colours that stay apart for the colour-blind (Okabe and Ito), controls dashed
    "gold": ("SFT, gold chains", VERMILION, "-"),
    "foreign": ("SFT, foreign chains", PURPLE, "-"),
    "self": ("SFT, own right chains", ORANGE, "-"),
    "rlvr": ("RL, right answers rewarded", BLUE, "-"),
    "gold_rlvr": ("SFT, then RL", SKY, "-"),
    "one_shot": ("RL, one problem", "#332288", "-"),
    "equal": ("facts seen alike", "#44AA99", "-."),
    "zipf": ("facts by Zipf's law", "#B8A600", "-."),
    "deep": ("8 layers: SFT, gold chains", "#994F00", ":"),
    "deep_foreign": ("8 layers: SFT, foreign chains", "#882255", ":"),
    "deep_rlvr": ("8 layers: RL", "#5D3A9B", ":"),
    "random": ("control: RL, random reward", GREEN, "--"),
    "direct": ("control: SFT, answers alone", BLACK, "--"),
    "unrelated": ("control: SFT, unrelated rows", "#888888", "--"),
}
OTHERS = ("#661100", "#117733", "#AA4499")  # colours of arms that ARMS lacks
KEEPS = {  # preservation, in words, and its marker
    "lower": ("lower half frozen", "v"),
    "upper": ("upper half frozen", "^"),
    "random": ("random half frozen", "X"),
    "low_rank": ("low rank", "s"),
    "anchor": ("KL anchor", "P"),
    "anchor_facts": ("KL anchor on facts", "p"),
    "replay_1": ("replay 1 %", "<"),
    "replay_5": ("replay 5 %", ">"),
    "replay_10": ("replay 10 %", "D"),
}


def style(tax: Tax, arm: str) -> tuple[str, str, str]:
    """Name, colour and dashes of an arm."""
    unknown = [name for name in dict.fromkeys(arm for _, arm, _ in tax.rows) if name not in ARMS]
    return ARMS.get(arm) or (arm, OTHERS[unknown.index(arm) % len(OTHERS)], "-.")


def arms_of(tax: Tax, load: float | None = None) -> list[str]:
    """Arms of a load without preservation, in the order of ARMS, so that controls are last."""
    known = [*ARMS]
    return sorted(tax.arms(load), key=lambda arm: known.index(arm) if arm in known else -1)


def mean_of(tax: Tax, arm: str, value: Callable[[Run], float]) -> Contrast:
    """Median seed of `value` of an arm's runs, at the main load and without preservation."""
    return over_seeds(tax.by_seed(tax.load, arm, "none", value))
