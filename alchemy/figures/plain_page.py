"""A plain page for a study's own tables: one file with a picture in it, which loads nothing from elsewhere."""

from base64 import b64encode
from html import escape
from pathlib import Path

from alchemy.results.runs import Results

KINDS = {"png": "image/png", "svg": "image/svg+xml"}


def plain_page(results: Results, heading: str, picture: str, alt: str, body: str) -> str:
    """HTML of a page with a `heading`, the results' picture of that name, described by `alt`, and `body` below it."""
    title = "/".join(results.folder.resolve().parts[-2:])
    shown = embedded(results.folder, picture, alt)
    return PAGE.format(title=escape(title), heading=escape(heading), picture=shown, body=body)


def embedded(folder: Path, name: str, alt: str) -> str:
    """HTML element with the picture of that name; empty if the folder has none."""
    for kind, media in KINDS.items():
        if (path := folder / f"{name}.{kind}").is_file():
            return f'<img alt="{escape(alt)}" src="data:{media};base64,{b64encode(path.read_bytes()).decode()}">'
    return ""


PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>body{{font:15px/1.45 system-ui,sans-serif;margin:1.5rem;color-scheme:light dark}}
img{{max-width:100%;background:#fff}}table{{border-collapse:collapse}}div{{overflow-x:auto}}
td,th{{padding:.2rem .6rem;border-bottom:1px solid #8884;text-align:left;vertical-align:top}}</style></head><body>
<h1>{heading}: {title}</h1>
{picture}
{body}
</body></html>
"""
