"""Words that fit into a picture: how wide they are, and broken, smaller or fewer words where there is less room.

All lengths are inches, all sizes of letters points. What these functions return is never read as mathematics.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags

CUT = "…"
WORD = re.compile(r"[^\s,;=/|]*[\s,;=/|]*")  # a line may end after these
SAME = 12  # letters that values must share for them to be left out
LONG = 40  # letters of a value, from which on what all share is left out
PAGES = 4  # pictures of one kind at most


@cache
def advance(letter: str, bold: bool) -> float:
    """How far a letter takes the line, in sizes of letters."""
    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))
    font.set_size(1, 72)
    return (
        font.load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 * 1.03
    )  # hinting takes some


def wide(text: str, size: float, bold: bool = False) -> float:
    """The width of a text, of several lines that of the longest."""
    return max(sum(advance(letter, bold) for letter in line) for line in text.split("\n")) * size / 72


def tall(lines: int, size: float) -> float:
    """The height of so many lines."""
    return lines * size * 1.2 / 72


def plain(text: str) -> str:
    """The text in one line, without letters that cannot be seen."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def shown(text: str) -> str:
    """The text as matplotlib is to be given it: a dollar is a dollar."""
    return text.replace("$", r"\$")


def cut(text: str, room: float, size: float, bold: bool = False) -> str:
    """The text, without its middle where there is no room for it."""
    if wide(text, size, bold) <= room:
        return text
    left, right, used, ends = "", "", wide(CUT, size, bold), False
    for _ in text:
        letter = text[-len(right) - 1] if ends else text[len(left)]
        used += advance(letter, bold) * size / 72
        if used > room:
            break
        left, right = (left, letter + right) if ends else (left + letter, right)
        ends = len(right) < len(left) / 2  # the beginning says more
    return left.rstrip() + CUT + right.lstrip()


def broken(text: str, room: float, size: float, most: int = 8, bold: bool = False) -> list[str]:
    """The text in lines, at most so many: what is longer lacks its middle."""
    text = plain(text)
    for share in (1.0, 0.95, 0.85, 0.75, 0.6, 0.4):
        lines = lines_of(cut(text, share * most * room, size, bold), room, size, bold)
        if len(lines) <= most:
            break
    return lines[:most]


def lines_of(text: str, room: float, size: float, bold: bool) -> list[str]:
    """The text in lines that end after words, or within those that are longer than a line."""
    lines = [""]
    for word in WORD.findall(text):
        if lines[-1] and wide(lines[-1] + word.rstrip(), size, bold) > room:
            lines.append("")
        for part in [word] if wide(word.rstrip(), size, bold) <= room else word:
            if wide(lines[-1] + part.rstrip(), size, bold) > room:
                lines.append("")
            lines[-1] += part
    return [line.rstrip() for line in lines if line.strip()] or [""]


def fitted(ways: Sequence[str], room: float, size: float, least: float = 6.0, bold: bool = False) -> tuple[str, float]:
    """The first way of saying something that fits, if need be in smaller letters; else the last, cut; and the size."""
    for text in ways:
        needed = wide(text, size, bold) / room if room > 0 else 2 * size
        if needed <= 1:
            return shown(text), size
        if size / needed >= least:
            return shown(text), size / needed
    return shown(cut(ways[-1], room, least, bold)), least


def columns(names: Sequence[str], room: float, size: float, most: int) -> int:
    """In how many columns, at most so many, a legend of these names fits."""
    for number in range(min(most, len(names)), 1, -1):
        each = [names[len(names) * at // number : len(names) * (at + 1) // number] for at in range(number)]
        if sum(max(wide(name, size) for name in some) + 5.5 * size / 72 for some in each) <= room:
            return number
    return 1


def told_apart(values: Sequence[str]) -> dict[str, str]:
    """Values, as they are or, where they are long, without the beginning and the end that all long ones share."""
    long = sorted({value for value in values if len(value) > LONG})
    if len(long) < 2:
        return {value: value for value in values}
    first, last = long[0], long[-1]  # what these share, all do
    same = next(
        (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, (first, last)))
    )
    same -= same and len(first[:same]) - max(map(first[:same].rfind, ",[ ")) - 1  # not within a word
    backwards = sorted(value[same:][::-1] for value in long)
    first, last = backwards[0], backwards[-1]
    end = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, (first, last))))
    same, end = (number if number >= SAME else 0 for number in (same, end))
    return {
        value: value if len(value) <= LONG else CUT * (same > 0) + value[same : len(value) - end] + CUT * (end > 0)
        for value in values
    }


def portions(cells: pd.DataFrame, keys: list[str], most: int, what: str) -> Iterator[tuple[pd.DataFrame, str, str]]:
    """Cells in several pictures of at most so many rows, or `what` they are, each with what its name ends in and what
    it says of the others; rows beyond PAGES pictures are left out, and it says so.
    """
    number = cells.groupby(keys, sort=False, dropna=False).ngroup().to_numpy()
    count = int(number.max()) + 1 if len(number) else 0
    if count <= most:
        yield cells, "", ""
        return
    pages = min(-(-count // most), PAGES)
    more = count - pages * most
    left = f" {more:,} more are left out: cells.csv and report.html have them." if more > 0 else ""
    for page in range(pages):
        first, last = page * most, min((page + 1) * most, count)
        words = f"{what} {first + 1:,} to {last:,} of {count:,}.{left}"
        yield cells[(number >= first) & (number < last)], f"_{page + 1}" if page else "", words
