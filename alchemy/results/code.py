"""Digests of code, followed through its imports.

Numbers are stored under the digest of the code that made them, so a change of code measures them again. A change of
wording, as in a docstring, leaves the digest as it was.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec, resolve_name
from pathlib import Path

LAB = ("alchemy", "tasks")
APART = ("alchemy.results", "alchemy.errors")  # paths and error messages, which decide no number


@cache
def code_digest(*modules: str) -> str:
    """SHA-256 of the code of these modules and of all modules that they import, directly or not.

    Imports count if they are of the lab or of the modules' own packages, and not of APART. The digest stays the same
    when a docstring, a comment, the text of an error or an import line changes, or a file moves.
    """
    return hashlib.sha256("".join(sorted(map(meaning, used_by(*modules)))).encode()).hexdigest()


def used_by(*modules: str) -> tuple[str, ...]:
    """These modules, and all modules of the lab and of their own packages that they import, directly or not."""
    own = {*LAB, *(name.partition(".")[0] for name in modules)}
    found: dict[str, None] = {}
    more = [*modules]
    while more:
        name = more.pop(0)
        if name not in found:
            found[name] = None
            more += [one for one in imports_of(name) if one.partition(".")[0] in own and decides(one)]
    return tuple(found)


def decides(module: str) -> bool:
    """Whether a module can decide a number: it is a Python file, and not in a package of APART."""
    return not f"{module}.".startswith(tuple(f"{name}." for name in APART)) and file_of(module) is not None


@cache
def imports_of(module: str) -> tuple[str, ...]:
    """Dotted names of everything that a module imports of the lab and of its own package, anywhere in the file.

    A name may be that of an object inside a module, not of a module.
    """
    package = module if is_package(module) else module.rpartition(".")[0]
    return tuple(
        name
        for node in ast.walk(tree_of(module))
        for name in (imported(node, package) if isinstance(node, ast.Import | ast.ImportFrom) else ())
        if name.partition(".")[0] in (*LAB, module.partition(".")[0])
    )


def imported(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Dotted names that one import statement brings in. For names that a package of the lab exports lazily, these are
    the modules that define them.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
            yield from exports(alias.name).values()  # any of its names may be used
        return
    name = resolve_name("." * node.level + (node.module or ""), package) if node.level else str(node.module)
    yield name
    for alias in node.names:
        yield exports(name).get(alias.name, f"{name}.{alias.name}")


@cache
def exports(package: str) -> dict[str, str]:
    """Module that defines each exported name of a lab package, read from its stub (`from .batch import Batch as
    Batch`).

    Empty for a package of anything else, or without a stub.
    """
    file = file_of(package) if package.partition(".")[0] in LAB else None
    if file is None or not (stub := file.with_suffix(".pyi")).is_file():
        return {}
    tree = ast.parse(stub.read_text(encoding="utf-8"))
    lines = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    return {
        alias.asname or alias.name: resolve_name("." * node.level + (node.module or alias.name), package)
        for node in lines
        for alias in node.names
    }


@cache
def file_of(module: str) -> Path | None:
    """File of a module, which is not imported. None if there is no such module, or it is not a Python file."""
    top, *below = module.split(".")
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    bases = [Path(place, *below) for place in spec.submodule_search_locations or ()]
    files = [file for base in bases for file in (base.parent / f"{base.name}.py", base / "__init__.py")]
    files += [Path(spec.origin)] if spec.origin and not below else []
    return next((file for file in files if file.suffix == ".py" and file.is_file()), None)


def is_package(module: str) -> bool:
    """Whether a module is the `__init__.py` of a package."""
    return (file := file_of(module)) is not None and file.name == "__init__.py"


def tree_of(module: str) -> ast.Module:
    """Syntax tree of a module. Raises ValueError if it is not a Python file."""
    if (file := file_of(module)) is None:
        raise ValueError(f"{module} is no file of Python that can be found: put it into one, in a folder on the path")
    return ast.parse(file.read_text(encoding="utf-8"))


@cache
def meaning(module: str) -> str:
    """SHA-256 of the code of one module, without comments, docstrings, imports and the texts of errors."""
    tree = Plain().visit(tree_of(module))
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


class Plain(ast.NodeTransformer):
    """Removes from a syntax tree what decides no number.

    That is docstrings, imports, and the texts of errors and assertions.
    """

    def visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args = [one for one in node.exc.args if not is_text(one)]
        if isinstance(node, ast.Assert):
            node.msg = None
        for name in ("body", "orelse", "finalbody"):
            lines = getattr(node, name, None)
            if isinstance(lines, list) and lines:
                kept = [line for line in lines if not isinstance(line, ast.Import | ast.ImportFrom) and not words(line)]
                setattr(node, name, kept or [ast.Pass()])
        return node


def words(line: ast.AST) -> bool:
    """Whether a statement is a string alone, as a docstring is."""
    return isinstance(line, ast.Expr) and is_text(line.value)


def is_text(node: ast.AST) -> bool:
    """Whether a node is a string, formatted or not."""
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
