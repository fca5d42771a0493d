"""The mistakes that the tests are tried with: all that can be made in a small module, and what is left alone."""

import ast

import pytest

from benchmarks.mutations import mutants

KEPT = '''
"""More than 3 < 4 words."""
from os import path

def f(a: "int | 3", b=1) -> "float | 3":
    """1 + 1"""
    assert a > 0, "a - b"
    if a == 5 and b:
        raise ValueError(f"{a + 1} - 1")
'''


def names(text):
    return [one.name for one in mutants(ast.parse(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = a < 2 <= b", ["a <= 2 <= b", "a < 2 < b", "a < 3 <= b"]),
        ("x = a + -b", ["a - -b", "a + b"]),
        ("x = not a or b", ["not a and b", "a or b"]),
        ("x = {1: 2} | a", ["{2: 2}", "{1: 3}"]),
        ("x = a.sum(axis=0)", ["a.mean(axis=0)", "axis=1"]),
        ("x = max(a[b:-1], True)", ["min(a[b:-1], True)", "max(a[b:-1], False)", "a[b + 1:-1]", "b:1", "-2"]),
        ("x[0] = 1.5", ["pass", "x[1]", "2.5"]),
        ("x += 1", ["pass", "2"]),
        ("f(x)", ["pass"]),
        ("x = zip(a, b, strict=True)", []),
        ("x = [a for a in b if c]", ["[a for a in b if not c]"]),
        ("x = a if b else c", ["a if not b else c"]),
    ],
)
def test_each_mistake_is_made_once(text, expected):
    assert sorted(name.split(" -> ")[1] for name in names(text)) == sorted(expected)


def test_text_types_and_errors_are_left_alone():
    found = names(KEPT)
    assert [name for name in found if "raise" not in name] == [
        "f: 1 -> 2",  # what b is unless it is said
        "f: a == 5 and b -> a == 5 or b",
        "f: a == 5 and b -> a != 5 and b",
        "f: a == 5 -> a == 6",
    ]
    assert len(found) == 5  # and the condition turned round


def test_a_mistake_can_be_taken_back():
    tree = ast.parse("def f(x):\n    x[1:] += sum(-x) // 2\n    return x if x > 1 else f(x)\n")
    before, seen = ast.dump(tree), set()
    for one in mutants(tree):
        one.put()
        seen.add(ast.dump(tree))
        one.back()
        assert ast.dump(tree) == before
        assert one.lines.start in (2, 3)
    assert before not in seen
    assert len(seen) == len(mutants(tree)) == 8
