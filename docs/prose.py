"""How the site reads a docstring: as prose, in which only backticks and indented lines mean something."""

import re
from typing import Any

from griffe import Extension, Object

MARKS = re.compile(r"([\\<>*_\[\]])")  # what Markdown would take for its own
COLUMNS = re.compile(r"\S {2,}\S")


class Prose(Extension):
    """Escapes what is no mark in a docstring, and keeps its columns."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = "\n\n".join(as_meant(part) for part in obj.docstring.value.split("\n\n"))


def as_meant(paragraph: str) -> str:
    """A paragraph in Markdown: one with columns as it stands, any other as prose."""
    lines = paragraph.split("\n")
    if any(COLUMNS.search(line) for line in lines):
        indented = all(line.startswith("    ") for line in lines)
        return paragraph if indented else "\n".join(f"    {line}" for line in lines)
    if all(line.startswith("    ") for line in lines):
        return paragraph
    parts = enumerate(paragraph.split("`"))  # every second one was within backticks
    return "`".join(part if number % 2 else MARKS.sub(r"\\\1", part) for number, part in parts)
