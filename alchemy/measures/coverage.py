"""What a composition shares with those of training: how often each of its rules was seen in its place, and whether the
rules are connected through others.

Sources: the coverage principle (arXiv:2505.20278), where a place is filled by what was seen there k times; and
connectivity (arXiv:2312.15001), where two places are of one component if compositions of training join them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from alchemy.data.task import Composition


@dataclass(frozen=True)
class Coverage:
    """What one composition shares with training.

    - `times`: how often each of its rules was seen in its place, the least of them
    - `anywhere`: how often each of its rules was seen in any place, the least of them
    - `connected`: whether its rules, each in its place, are in one component of the graph in which compositions of
      training join their rules
    - `whole`: whether all known rules, in all places, are one component
    """

    times: int
    anywhere: int
    connected: bool
    whole: bool


def covered(training: Sequence[Composition], asked: Iterable[Composition], known: Iterable[int]) -> list[Coverage]:
    """What each composition `asked` shares with those of `training`. `known` are the rules that training could have.

    >>> covered([(0, 1), (0, 2), (1, 1)], [(0, 1), (1, 2), (2, 0)], range(3))[1]
    Coverage(times=1, anywhere=1, connected=True, whole=False)
    """
    seen = Counter((place, rule) for one in training for place, rule in enumerate(one))
    anywhere = Counter(rule for one in training for rule in one)
    component = components(training)
    places = range(max(map(len, training), default=0))
    parts = {component.get((place, rule), (place, rule)) for place in places for rule in known}
    return [
        Coverage(
            min((seen[place, rule] for place, rule in enumerate(one)), default=0),
            min((anywhere[rule] for rule in one), default=0),
            len({component.get((place, rule), (place, rule)) for place, rule in enumerate(one)}) <= 1,
            len(parts) <= 1,
        )
        for one in asked
    ]


def components(training: Iterable[Composition]) -> dict[tuple[int, int], tuple[int, int]]:
    """The component of each rule in each place, (place, rule), by one of its members. One that training never has
    there has none.
    """
    parent: dict[tuple[int, int], tuple[int, int]] = {}

    def root(node: tuple[int, int]) -> tuple[int, int]:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one in training:
        nodes = [*enumerate(one)]
        for node in nodes:
            parent[root(node)] = root(nodes[0])
    return {node: root(node) for node in parent}
