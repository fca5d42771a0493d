"""Makes small mistakes in a module's code, one at a time, such as < for <= or a statement left out.

benchmarks.mutants tries them. Types, docstrings and other text, what is raised, and asserts are left as they are.
"""

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.Gt: ast.GtE, ast.Eq: ast.NotEq}
COMPARED |= {ast.LtE: ast.Lt, ast.GtE: ast.Gt, ast.NotEq: ast.Eq}
COMPARED |= {ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is}
JOINED: dict[type, type] = {ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd}
JOINED |= {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
JOINED |= {ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.RShift: ast.LShift}
PAIRS = ("min max", "any all", "mean sum", "argmin argmax", "amin amax", "minimum maximum", "floor ceil", "exp log")
CALLED = {one: other for pair in map(str.split, PAIRS) for one, other in (pair, pair[::-1])}
PASSED = (ast.Raise, ast.Assert, ast.JoinedStr, ast.Import, ast.ImportFrom)
TYPES = ("returns", "annotation", "decorator_list", "type_params")
EQUIVALENT = {  # module.function: the mutant's code (… is any), and why it cannot be told from the original
    "score.bleu_sentence: not predicted and (not gold)": "an empty text has no word in common, and so 0 as well",
    "score.parts: -2…": "no marker: any number below 0 says so",
    "replay.replay: …>= 0": "wider by nothing",
    "replay.length_of: stream(1, 'length')": "all elements of a rule have as many atoms",
    "discrepancy.alignment: stream(1, 'alignment')": "other prompts show the same symbols",
    "discrepancy.alignment: shown.role[1]": "all rows of a group have as many atoms",
    "discrepancy.alignment: max(width + tails.tokens.shape[1], 0)": "what is padded more is cut off",
    "statistics.ends: start + 1025": "a row is computed twice, alike",
    "statistics.ends: np.minimum(low, 1)": "the low end is above the mean by rounding alone",
    "statistics.ends: …- errors[some] @ shift.T)": "rows move either way alike",
    "contrast.verdict: found.estimate / sign > 0": "the sign is 1 or -1",
    "contrast.contrast: mean if abs(mean) >= least else 0.0": "what rounding makes is no exact number",
    "contrast.: {'above': 2,…": "only its sign is asked for",
    "contrast.: -2": "only its sign is asked for",
    "contrast.contrast: abs(mean) <= least or error < least": "an error that is as large is 0, as the mean is then",
    "contrast.contrast: min(p, 2.0)": "twice the tail of a distance is 1 at most",
    "contrast.verdict: SUPPORTED if found.estimate * sign >= 0 else REFUTED": "an estimate of 0 has a p of 1",
    "restore.mixed: share == 2": "torch.lerp at 1 is the base as well, bit for bit",
    "information.unaided: (len(clean), 1)": "none of its tokens is read",
    "noise.perturb: eligible & (chance <= noise.rate)": "no draw is exactly the rate",
    "diagnose.diagnose: (rows[laid], :len(text) + 1)": "the column more is not read",
    "diagnose.diagnose: states[-1] -> states[1]": "all lines of a form have as many atoms",
    "diagnose.forms: (1,)": "lines are laid out alike for any rule",
    "shift.deepen: (2.0,)": "where training does not say how many have chains, nor does this",
    "shift.corrupt: round(level * NOISE_STEP, 7)": "takes the same rounding away",
}
Key = tuple[str, int | None]  # a field of a node, and a place in it
Found = tuple[str, range, ast.AST, Key, ast.AST]  # function, lines of the statement, parent, key there, node


@dataclass
class Mutant:
    """A node in a tree and its replacement; `name` describes the change, `lines` are those of the node's statement."""

    name: str
    lines: range
    holder: ast.AST
    key: Key
    old: ast.AST
    new: ast.AST

    def put(self) -> None:
        setting(self.holder, self.key, self.new)

    def back(self) -> None:
        setting(self.holder, self.key, self.old)


def setting(holder: ast.AST, key: Key, node: ast.AST) -> None:
    field, number = key
    if number is None:
        setattr(holder, field, node)
    else:
        getattr(holder, field)[number] = node


def mutants(tree: ast.Module) -> list[Mutant]:
    """Returns all mutants of a module; `put` makes the change in `tree` itself, and `back` reverts it."""
    found: list[Mutant] = []
    times: dict[str, int] = {}
    for place, lines, holder, key, old in nodes(tree, "", range(0)):
        for new in others(old, holder):
            one = Mutant("", lines, holder, key, old, new)
            around = holder if isinstance(holder, ast.expr | ast.keyword) else None
            before = text(around or old)
            one.put()
            one.name = f"{place}: {before} -> {text(around or new)}"
            one.back()
            times[one.name] = times.get(one.name, 0) + 1
            one.name += f" #{times[one.name]}" * (times[one.name] > 1)
            found.append(one)
    return found


def equivalent(module: str, mutant: str) -> bool:
    """Whether a mutant is one of EQUIVALENT."""
    place, _, change = mutant.partition(": ")
    known = [key.partition(": ")[2] for key in EQUIVALENT if key.startswith(f"{module}.{place}: ")]
    whole = [has if " -> " in has else f"… -> {has}" for has in known]
    return any(fnmatchcase(change.replace("[", "("), has.replace("[", "(").replace("…", "*")) for has in whole)


def text(node: ast.AST) -> str:
    return " ".join(ast.unparse(ast.fix_missing_locations(node)).split())[:110]


def nodes(at: ast.AST, place: str, lines: range) -> Iterator[Found]:
    """Yields every node that may be mutated."""
    for field, value in ast.iter_fields(at):
        for number, node in enumerate(value) if isinstance(value, list) else ((None, value),):
            if field in TYPES or not isinstance(node, ast.AST) or isinstance(node, PASSED):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue
            inner, its = place, lines
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                inner = f"{place}.{node.name}".strip(".")
            if isinstance(node, ast.stmt):
                body = getattr(node, "body", None)
                its = range(node.lineno, body[0].lineno if body else (node.end_lineno or node.lineno) + 1)
            yield inner, its, at, (field, number), node
            yield from nodes(node, inner, its)


def others(node: ast.AST, holder: ast.AST) -> Iterator[ast.AST]:
    """Yields replacements of a node, each of which is one mistake."""
    match node:
        case ast.Constant(value=value):
            yield from constants(node, value, isinstance(holder, ast.keyword) and holder.arg in ("axis", "dim"))
        case ast.Compare(ops=ops):
            for number, op in enumerate(ops):
                yield like(node, ops=[*ops[:number], COMPARED[type(op)](), *ops[number + 1 :]])
        case ast.BinOp(op=ast.BitOr()) if any(
            isinstance(part, ast.Dict | ast.DictComp) for part in (node.left, node.right)
        ):
            return  # of dictionaries
        case ast.BinOp(op=op) | ast.BoolOp(op=op) if type(op) in JOINED:
            yield like(node, op=JOINED[type(op)]())
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.Call(func=ast.Name(id=name)) if name in CALLED:
            yield like(node, func=ast.Name(CALLED[name], ast.Load()))
        case ast.Call(func=ast.Attribute(attr=name)) if name in CALLED:
            yield like(node, func=like(node.func, attr=CALLED[name]))
        case ast.Slice():
            for end in ("lower", "upper"):
                bound = getattr(node, end)
                if bound is not None and not isinstance(bound, ast.Constant | ast.UnaryOp):
                    yield like(node, **{end: ast.BinOp(bound, ast.Add(), ast.Constant(1))})
        case _:
            yield from turned(node)


def constants(node: ast.Constant, value: object, axis: bool) -> Iterator[ast.AST]:
    """Another truth, the other axis, or one more."""
    if isinstance(value, bool):
        yield like(node, value=not value)
    elif isinstance(value, int) and axis:
        yield like(node, value=1 - value if value in (0, 1) else 0)
    elif isinstance(value, int | float):
        yield like(node, value=value + 1)


def turned(node: ast.AST) -> Iterator[ast.AST]:
    """Yields a node with its condition negated (comparisons have mistakes of their own), or an omitted statement."""
    match node:
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test) if not isinstance(test, ast.Compare):
            yield like(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.comprehension(ifs=[test, *more]) if not isinstance(test, ast.Compare):
            yield like(node, ifs=[ast.UnaryOp(ast.Not(), test), *more])
        case ast.Expr(value=ast.Call()) | ast.AugAssign() | ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield ast.copy_location(ast.Pass(), node)


def like(node: ast.AST, **changes: Any) -> Any:
    """Returns a copy of a node, at the same position, with these fields changed."""
    other = copy.copy(node)
    for field, value in changes.items():
        setattr(other, field, value)
    return other
