"""Notebooks: what objects show of themselves there, as small pieces of HTML from their lines and tables."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence


def paragraph(lines: Iterable[str]) -> str:
    """Lines of text."""
    return "<p>" + "<br>".join(html.escape(line) for line in lines) + "</p>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of texts and numbers."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def picture(png: bytes, words: str) -> str:
    """A picture, with words for those who do not see it."""
    data = base64.b64encode(png).decode()
    return f'<img alt="{html.escape(words)}" style="max-width: 100%" src="data:image/png;base64,{data}">'
