"""The one text of pack.json: sorted keys, one space deep, numbers as Python writes them, SHA-256 of the rest.

A content has exactly one such text. A file that is another one was changed, be it in a space: every flipped
byte is refused, those of the digest included.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from amtl_cvx.errors import DataError


def text_of(content: Mapping[str, Any]) -> str:
    """The text of a content, its digest with it; `ValueError` for a NaN or what JSON has not."""
    said = {key: value for key, value in content.items() if key != "sha256"}
    return _text({**said, "sha256": hashlib.sha256(_text(said).encode()).hexdigest()})


def content_of(text: bytes, name: str) -> dict[str, Any]:
    """The content of a text that `text_of` gave; `DataError` for any other."""
    try:
        found = json.loads(text)
        whole = isinstance(found, dict) and text_of(found).encode() == text
    except (ValueError, RecursionError):
        whole = False
    if not whole:
        raise DataError(f"{name} is not the file that was written: it was changed or cut off, get it again")
    content: dict[str, Any] = found
    return content


def _text(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"
