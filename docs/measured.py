"""Numbers of the pages, recomputed from the tables of docs/gallery: `python docs/measured.py --check`, or `--write`.

A number that was measured carries a key right behind it, a comment that no page shows:

    0.39 [0.00, 0.67]<!--= diversity.csv task.compositions=16 level=1 part=full: [mean] .2f-->

    key       <!--= ROWS: VALUE ... FORMAT-->    one value for each number, from left to right
    ROWS      a table of docs/gallery, or an alias, and conditions on its columns: COLUMN=WORD, or != < <= > >=, or
              COLUMN~PATTERN for words that a regular expression matches as a whole
    VALUE     COLUMN               of the one row that is left; -COLUMN is its negative, COLUMN*COLUMN a product
              [COLUMN]             three numbers: it, and its interval from low and high, or COLUMN_low and COLUMN_high
              seed=N               what seed N has in the column by_seed of the one row (`0=0.1 1=0.2`)
              seeds>=X             how many of its seeds have that much there; also = != < <= >
              #                    how many rows are left
              #COLUMN=WORD         for how many of them a further condition holds
              min(COLUMN) max(COLUMN) sum(COLUMN)    over all rows that are left
              each(COLUMN)         one number for each row that is left, in their order
              last(COLUMN)         the last number in the text that the one row has there
    FORMAT    .2f with two decimals, .1% in percent, d whole; before it + for a sign and , for thousands; after it
              /1000 for thousands, and so on. w is a whole number in words, s a word between ** as the table has it

A word with spaces stands in double quotes. A key stands in one line, and in no code. `<!--= no table 3-->` says that
the three numbers before it stand in no table yet; the tests count these, and there are to be no more. Aliases stand in
a comment of their own, anywhere in the page, and one may begin with another that is above it:

    <!-- keys
    held = diversity.csv axis=task level=1 part=full metric=exact_match
    deep = held model.layers=4
    -->
"""

import csv
import operator
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

ROOT = Path(__file__).parents[1]
KEY = re.compile(r"<!--=(.*?)-->", re.S)
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.S | re.M)
OWED = re.compile(r"no table ([1-9]\d?)")
ALIASES = re.compile(r"<!-- keys\n(.*?)-->\n*", re.S)
TOKEN = re.compile(r'(?:[^\s":]|:(?!\s)|"[^"]*")+|:')
OPERATORS: dict[str, Callable[..., bool]] = {
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "~": lambda word, pattern: re.fullmatch(pattern, word) is not None,
}
CONDITION = re.compile(r"([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)", re.S)
REDUCTION = re.compile(r"(min|max|sum|each|last)\((.+)\)")
FORMAT = re.compile(r"(\+?)(,?)(?:\.(\d)([f%])|(d))(?:/([1-9]\d*))?|[ws]")
WORDS = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]

NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+"
NUMBERS = {"w": r"\b(?i:" + "|".join(WORDS) + r")\b|\d+", "s": r"(?<=\*\*)[^*]+(?=\*\*)"}
BETWEEN = r"\s?%?\]?[,;]?\s+(?:(?:to|of|of\s+the|and|or)\s+)?[\[(]?"
BEHIND = r"(?:\s?%)?[\])]?(?:\*\*)?"

Row = dict[str, str]


class Wrong(ValueError):
    """A key that cannot be read, in one sentence."""


@dataclass(frozen=True)
class Printed:
    """The numbers of one key as a page has them and as its table does, and where they stand."""

    key: str
    line: int
    spans: tuple[tuple[int, int], ...]
    found: tuple[str, ...]
    meant: tuple[str, ...]
    owed: bool  # that is, no table has them


def main() -> None:
    words = sys.argv[1:]
    if words not in (["--check"], ["--write"]):
        sys.exit("python docs/measured.py takes one word, --check or --write")
    wrong = []
    for path in pages(ROOT):
        text = path.read_text(encoding="utf-8")
        wrong += list(faults(text, ROOT / "docs" / "gallery", str(path.relative_to(ROOT)), words == ["--write"]))
        if words == ["--write"] and (new := rewritten(text, ROOT / "docs" / "gallery")) != text:
            path.write_text(new, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} is written anew")
    sys.exit("\n".join(wrong) or None)


def pages(root: Path) -> list[Path]:
    """Every page that may have keys."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def faults(text: str, tables: Path, page: str, only_keys: bool = False) -> Iterator[str]:
    """A sentence for each number that is not what its table has, and for each key that cannot be read."""
    for one in keyed(text, tables):
        if isinstance(one, Wrong):
            yield f"{page}:{one}"
        elif one.found != one.meant and not only_keys:
            yield f"{page}:{one.line}: {'  '.join(one.found)} should be {'  '.join(one.meant)} by the key {one.key}"


def rewritten(text: str, tables: Path) -> str:
    """The page with the numbers of its tables; what has a wrong key stays."""
    for one in reversed([*keyed(text, tables)]):
        if isinstance(one, Printed):
            for (start, end), meant in zip(reversed(one.spans), reversed(one.meant), strict=True):
                text = text[:start] + meant + text[end:]
    return text


def shown(text: str) -> str:
    """The page without its keys."""
    spans = sorted(found.span() for shape in (KEY, ALIASES) for found in shape.finditer(without_code(text)))
    for start, end in reversed(spans):
        text = text[:start] + text[end:]
    return text


def without_code(text: str) -> str:
    """The page with blanks for its code, in which nothing is a key."""
    return CODE.sub(lambda code: re.sub(r"\S", " ", code[0]), text)


def keyed(text: str, tables: Path) -> Iterator[Printed | Wrong]:
    """Each key of a page with its numbers, or with what is wrong with it."""
    known: dict[str, list[str]] = {}
    text = without_code(text)
    for block in ALIASES.finditer(text):
        for number, line in enumerate(block[1].splitlines(), start=text.count("\n", 0, block.start()) + 2):
            try:
                alias(line, known)
            except Wrong as wrong:
                yield Wrong(f"{number}: {wrong}")
    end = 0
    for key in KEY.finditer(text):
        line = text.count("\n", 0, key.start()) + 1
        said = " ".join(key[1].split())
        try:
            if "\n" in key[0]:
                raise Wrong("a key stands in one line")
            owed = OWED.fullmatch(said)
            values, shape = ([""] * int(owed[1]), "") if owed else read(said, known, tables)
            spans = places(text[end : key.start()], len(values), NUMBERS.get(shape, NUMBER), end)
        except Wrong as wrong:
            yield Wrong(f"{line}: {wrong}, in the key {said[:120]}")
        else:
            found = tuple(text[start:stop] for start, stop in spans)
            meant = found if owed else tuple(map(styled, values, [shape] * len(values), found))
            yield Printed(said, line, spans, found, meant, bool(owed))
        end = key.end()


def places(before: str, count: int, number: str, offset: int) -> tuple[tuple[int, int], ...]:
    """Where the last numbers before a key stand."""
    shape = BETWEEN.join([f"({number})"] * count)
    found = re.search(rf"(?<![\w.,])(?:{shape}){BEHIND}\Z", before[-400:])
    if not found:
        raise Wrong(f"no {count} numbers stand right before it" if count > 1 else "no number stands right before it")
    first = offset + max(0, len(before) - 400)
    return tuple((first + found.start(i), first + found.end(i)) for i in range(1, count + 1))


def alias(line: str, known: dict[str, list[str]]) -> None:
    """Adds one line of the comment of aliases to those that are known."""
    name, sign, rest = line.partition(" = ")
    if not sign or not re.fullmatch(r"[a-z]\w*", name):
        raise Wrong(f"an alias is written NAME = TABLE CONDITION ..., not {line[:60]!r}")
    if name in known:
        raise Wrong(f"the alias {name} is there twice")
    known[name] = opened(TOKEN.findall(rest), known)


def opened(words: list[str], known: dict[str, list[str]]) -> list[str]:
    """A table and conditions, with the alias that may stand for the first of them put in."""
    if not words:
        raise Wrong("no table is named")
    return [*known.get(words[0], words[:1]), *words[1:]]


def read(key: str, known: dict[str, list[str]], tables: Path) -> tuple[list[float | str], str]:
    """The values that a key asks for, and their format."""
    words = TOKEN.findall(key)
    if words.count(":") != 1 or TOKEN.sub("", key).strip():
        raise Wrong('a key is written TABLE CONDITION ...: VALUE ... FORMAT, with spaces within "..." alone')
    cut = words.index(":")
    (table, *conditions), asked = opened(words[:cut], known), words[cut + 1 :]
    if len(asked) < 2 or not FORMAT.fullmatch(asked[-1]):
        raise Wrong("behind the colon stand values and a format, such as mean .2f")
    rows = selected(tables, table, *conditions)
    if not rows:
        raise Wrong(f"no row of {table} is so")
    return [value for word in asked[:-1] for value in valued(word, rows, asked[-1])], asked[-1]


@cache
def selected(tables: Path, name: str, *conditions: str) -> list[Row]:
    """The rows of a table for which every condition holds."""
    if conditions:
        return kept(selected(tables, name, *conditions[:-1]), conditions[-1])
    if not re.fullmatch(r"\w+\.csv", name) or not (tables / name).is_file():
        raise Wrong(f"{name} is no table of docs/gallery, and no alias")
    with (tables / name).open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file, restkey="", restval="")]


def kept(rows: list[Row], condition: str) -> list[Row]:
    """The rows for which a condition holds: by number where both sides are numbers, else by word."""
    parts = CONDITION.fullmatch(condition)
    if not parts:
        raise Wrong(f"{condition} is no condition such as level=1")
    column, sign, word = unquoted(parts[1]), parts[2], unquoted(parts[3])
    holds, wanted = OPERATORS[sign], number(word)
    if sign == "~":
        wanted = None
        check_pattern(word)
    elif wanted is None and sign not in ("=", "!="):
        raise Wrong(f"{condition} compares with what is no number")
    return [row for row in rows if compared(cell(row, column), word, wanted, holds)]


def check_pattern(word: str) -> None:
    try:
        re.compile(word)
    except re.error as error:
        raise Wrong(f"{word} is no regular expression: {error}") from None


def compared(text: str, word: str, wanted: float | None, holds: Callable[..., bool]) -> bool:
    value = None if wanted is None else number(text)
    if value is None:  # a cell without a number is unlike any number, and neither above nor below it
        return holds(text, word) if wanted is None or holds in (operator.eq, operator.ne) else False
    return holds(value, wanted)


def valued(word: str, rows: list[Row], shape: str) -> list[float | str]:
    """What one value of a key comes to: a single number, or with `each` one for each row."""
    if word == "#":
        return [len(rows)]
    if word.startswith("#"):
        return [len(kept(rows, word[1:]))]
    if asked := REDUCTION.fullmatch(word):
        if asked[1] == "last":
            numbers = re.findall(NUMBER, cell(single(rows), asked[2]))
            return [measured(numbers[-1] if numbers else "", asked[2])]
        values = [measured(cell(row, asked[2]), asked[2]) for row in rows]
        if asked[1] == "each":
            return [*values]
        return [sum(values) if asked[1] == "sum" else min(values) if asked[1] == "min" else max(values)]
    row = single(rows)
    if parts := CONDITION.fullmatch(word):
        seeds = dict(one.split("=", 1) for one in cell(row, "by_seed").split() if "=" in one)
        if parts[1] == "seed" and parts[2] == "=" and parts[3] in seeds:
            return [measured(seeds[parts[3]], word)]
        if parts[1] != "seeds" or not seeds:
            raise Wrong(f"{word} is in no by_seed of the row")
        return [len(kept([{"seeds": one} for one in seeds.values()], word))]
    if shape == "s":
        return [cell(row, word)]
    if column := re.fullmatch(r"\[(.+)\]", word):
        start = f"{column[1]}_" if f"{column[1]}_low" in row else ""
        return [measured(cell(row, name), name) for name in (column[1], f"{start}low", f"{start}high")]
    columns = word.removeprefix("-").split("*")
    return [prod(measured(cell(row, column), column) for column in columns) * (-1 if word[0] == "-" else 1)]


def single(rows: list[Row]) -> Row:
    if len(rows) > 1:
        differ = [column for column in rows[0] if len({row[column] for row in rows}) > 1]
        raise Wrong(f"{len(rows)} rows are so, which differ in {', '.join(differ[:6])}")
    return rows[0]


def cell(row: Row, column: str) -> str:
    if column not in row:
        raise Wrong(f"there is no column {column} beside {', '.join(row)[:150]}")
    return row[column]


def measured(text: str, column: str) -> float:
    value = number(text)
    if value is None:
        raise Wrong(f"{column} has no number there, but {text[:40]!r}")
    return value


@cache
def number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", text) else None


def unquoted(word: str) -> str:
    return word.replace('"', "")


def styled(value: float | str, shape: str, like: str) -> str:
    """A value in its format; a number that is printed without the zero before its point stays without."""
    parts = FORMAT.fullmatch(shape)
    assert parts
    if isinstance(value, str):
        return value
    if shape == "w":
        word = WORDS[round(value)] if round(value) in range(len(WORDS)) else str(round(value))
        return word.capitalize() if like[:1].isupper() else word
    value *= 100 if parts[4] == "%" else 1
    value /= int(parts[6] or 1)
    text = f"{value:{parts[1]}{parts[2]}.{parts[3] or 0}f}"
    return re.sub(r"^([-+]?)0\.", r"\1.", text) if re.match(r"[-+]?\.", like) else text


if __name__ == "__main__":
    main()
