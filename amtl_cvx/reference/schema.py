"""What pack.json holds: each entry that is relied on has a line in a table, held against it when it is read.

name, title, grade, traits, origin, made            which problem it is, for people
ask, task                                           what the answer answers (`ASKS`)
family, loss, reduction, transfer, omega, T, d, rows, formula, layout
files                                               SHA-256 by relative path
claims                                              what is known of the answer (`claims`)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from amtl_cvx.errors import DataError
from amtl_cvx.reference.decimals import NAMES, are_decimals

FORMAT, SCHEMA = "amtl_cvx reference pack", 1
ASKS: Mapping[str, str] = {
    "joint": "all blocks together, from the start of the method",
    "single-task": "every task alone: W for B = 0",
    "curriculum": "one task after the other (Algorithm 2)",
    "w-step": "the best W for the B that is given",
    "b-step": "the best B for the W that is given",
    "one-task": "the best w of one task, the other predictors and B as given",
}
GRADES = ("easy", "average", "hard")
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,79}")
FILE = re.compile(
    r"(problem|given|solution|minima/[1-9][0-9]?)/[A-Za-z0-9_]{1,40}\.(npy|json)|(digits|proof)\.json"
)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def check_about(about: Mapping[str, Any], folder: str) -> None:
    """`DataError` for a pack.json that `pack.write_pack` did not write."""
    if about.get("format") != FORMAT:
        raise DataError(f"{folder}: pack.json is of another program: give the folder of a reference pack")
    if about.get("schema") != SCHEMA:
        raise DataError(
            f"{folder}: pack.json has the schema {str(about.get('schema'))[:20]}, expected {SCHEMA}: update"
        )
    for key, (words, holds) in _KINDS.items():
        if key not in about or not holds(about[key]):
            raise DataError(f"{folder}: pack.json: {key} must be {words}: get the pack again")
    if about["ask"] == "one-task" and not _whole(about.get("task")):
        raise DataError(f"{folder}: pack.json: one-task needs the number of its task: get the pack again")


def check_content(name: str, found: Any) -> None:
    """`DataError` for a digits.json or proof.json of which a part is not of its form."""
    if not isinstance(found, dict):
        raise DataError(f"{name} must be a mapping, it is {type(found).__name__}: get the pack again")
    if name != "digits.json":
        return
    decimals = [found[key] for key in ("objective", *NAMES) if found.get(key) is not None]
    radius, strict = found.get("radius", 0.0), found.get("strict_local_min", True)
    if not all(map(are_decimals, decimals)):
        raise DataError(f"{name} must hold J and the blocks of the answer in decimals: get the pack again")
    if not isinstance(radius, int | float) or not 0.0 <= radius < 1.0 or not isinstance(strict, bool):
        raise DataError(f"{name} must hold a radius below 1 and whether it is strict: get the pack again")


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _counts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_whole, value))


def _files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        FILE.fullmatch(name) and isinstance(digest, str) and _DIGEST.fullmatch(digest)
        for name, digest in value.items()
    )


_KINDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "name": (
        "small letters, digits, dots and hyphens",
        lambda v: isinstance(v, str) and bool(NAME.fullmatch(v)),
    ),
    "title": ("a sentence", _text),
    "ask": (f"one of {', '.join(ASKS)}", lambda v: isinstance(v, str) and v in ASKS),
    "grade": (f"one of {', '.join(GRADES)}", lambda v: v in GRADES),
    "traits": ("a list of words", _texts),
    "origin": ("a mapping", _mapping),
    "made": ("a mapping", _mapping),
    "family": ("the name of a family", _text),
    "loss": ("the name of a loss", _text),
    "reduction": ("mean or sum", lambda v: v in ("mean", "sum")),
    "transfer": ("the name of a penalty or null", lambda v: v is None or _text(v)),
    "omega": ("the name of a penalty or null", lambda v: v is None or _text(v)),
    "T": ("a whole number", _whole),
    "d": ("a whole number", _whole),
    "rows": ("a list of whole numbers", _counts),
    "formula": ("a formula", _text),
    "layout": ("a sentence", _text),
    "files": ("SHA-256 by relative path", _files),
    "claims": ("a mapping", _mapping),
}
