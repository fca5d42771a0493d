"""Texts that fit into a picture: their width, and ways to break, shrink or shorten them where there is less room.

All lengths are inches, and all sizes of letters points. Texts that `shown` and `fitted` return are never read as
mathematics.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags

CUT = "…"
WORD = re.compile(r"[^\s,;=/|]*[\s,;=/|]*")  # a line may end after these
SAME = 12  # shared letters, at least, that are left out
LONG = 40  # letters, at most, of a value that is left whole
PAGES = 4  # pictures of one kind at most


@cache
def advance(letter: str, bold: bool) -> float:
    """Width of a letter, as a multiple of the size of letters."""
    font = get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))
    font.set_size(1, 72)
    return (
        font.load_char(ord(letter), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 * 1.03
    )  # 3 % more, for hinting


def wide(text: str, size: float, bold: bool = False) -> float:
    """Width of a text; of several lines, that of the longest."""
    return max(sum(advance(letter, bold) for letter in line) for line in text.split("\n")) * size / 72


def tall(lines: int, size: float) -> float:
    """Height of so many lines."""
    return lines * size * 1.2 / 72


def one_line(text: str) -> str:
    """The text in one line, without letters that cannot be seen."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def shown(text: str) -> str:
    """The text as matplotlib needs it to show a dollar sign as such."""
    return text.replace("$", r"\$")


def cut(text: str, room: float, size: float, bold: bool = False) -> str:
    """The text, with an ellipsis for its middle if it is wider than `room`."""
    if wide(text, size, bold) <= room:
        return text
    left, right, used, ends = "", "", wide(CUT, size, bold), False
    for _ in text:
        letter = text[-len(right) - 1] if ends else text[len(left)]
        used += advance(letter, bold) * size / 72
        if used > room:
            break
        left, right = (left, letter + right) if ends else (left + letter, right)
        ends = len(right) < len(left) / 2  # keep more of the beginning
    return left.rstrip() + CUT + right.lstrip()


def broken(text: str, room: float, size: float, most: int = 8, bold: bool = False) -> list[str]:
    """The text in at most `most` lines; a text that is longer loses its middle."""
    text = one_line(text)
    for share in (1.0, 0.95, 0.85, 0.75, 0.6, 0.4):
        lines = lines_of(cut(text, share * most * room, size, bold), room, size, bold)
        if len(lines) <= most:
            break
    return lines[:most]


def lines_of(text: str, room: float, size: float, bold: bool) -> list[str]:
    """The text in lines that end after words, or within a word that is longer than a line."""
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
    """First of several wordings that fits, in smaller letters if need be, and the size of its letters.

    If none fits, it is the last one, cut, in letters of the size `least`.
    """
    for text in ways:
        needed = wide(text, size, bold) / room if room > 0 else 2 * size
        if needed <= 1:
            return shown(text), size
        if size / needed >= least:
            return shown(text), size / needed
    return shown(cut(ways[-1], room, least, bold)), least


def columns(names: Sequence[str], room: float, size: float, most: int) -> int:
    """Number of columns, at most `most`, in which a legend of these names fits."""
    for number in range(min(most, len(names)), 1, -1):
        each = [names[len(names) * at // number : len(names) * (at + 1) // number] for at in range(number)]
        if sum(max(wide(name, size) for name in some) + 5.5 * size / 72 for some in each) <= room:
            return number
    return 1


def told_apart(values: Sequence[str]) -> dict[str, str]:
    """Short form of each value, by value: long ones lose the beginning and the end that all long ones share."""
    long = sorted({value for value in values if len(value) > LONG})
    if len(long) < 2:
        return {value: value for value in values}
    first, last = long[0], long[-1]  # sorted, so what the first and the last share, all share
    same = next(
        (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, (first, last)))
    )
    same -= same and len(first[:same]) - max(map(first[:same].rfind, ",[ ")) - 1  # do not cut within a word
    backwards = sorted(value[same:][::-1] for value in long)
    first, last = backwards[0], backwards[-1]
    end = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(map(len, (first, last))))
    same, end = (number if number >= SAME else 0 for number in (same, end))
    return {
        value: value if len(value) <= LONG else CUT * (same > 0) + value[same : len(value) - end] + CUT * (end > 0)
        for value in values
    }


def portions(cells: pd.DataFrame, keys: list[str], most: int, what: str) -> Iterator[tuple[pd.DataFrame, str, str]]:
    """Cells in several pictures of at most `most` rows, or panels.

    Yields, for each picture, its cells, what its name ends in, and a sentence on which rows it shows; both are empty if
    one picture is enough. `what` names the rows in that sentence. There are at most PAGES pictures, and the sentence
    says how many rows are left out.
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
