"""Which packs a command means: names, patterns as in a shell, or folders, and what is asked of them."""

from __future__ import annotations

import difflib
import fnmatch
import logging
import re
from argparse import Namespace
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.reference import Pack, pack_names, packs_folder, read_pack
from amtl_cvx.untrusted import shown

_EXACT = ("loss", "reduction", "transfer", "omega", "family", "ask", "grade")
_LEVELS = ("C0", "C1", "C2", "C3", "C4", "C5")
_log = logging.getLogger(__name__)


def places_of(words: Sequence[str], folder: Path | None) -> list[Path]:
    """The folders of packs that are named, in the order of the words, each once.

    Parameters
    ----------
    words : sequence of str
        Names, patterns, or folders of packs; none means all packs there are.
    folder : Path or None
        Where names and patterns are looked for; None is that of the package.

    Raises
    ------
    DataError
        For what is none; it names the nearest.
    """
    home = packs_folder() if folder is None else folder
    names = pack_names() if folder is None else _names_in(folder)
    found: dict[Path, None] = {}
    for word in words or ("*",):
        own = [name for name in names if name == word] or fnmatch.filter(names, word)
        if own:
            found |= dict.fromkeys(home / name for name in own)
        elif (Path(word) / "pack.json").is_file():
            found[Path(word)] = None
        elif words:
            raise _unknown(word, names)
    return list(found)


def _names_in(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        raise DataError(f"--folder must be a folder of packs, there is none at {folder}: check its name")
    return tuple(sorted(file.parent.name for file in folder.glob("*/pack.json")))


def _unknown(word: str, names: Sequence[str]) -> DataError:
    if any(letter in word for letter in "*?["):
        return DataError(f"no pack is called like {word[:60]!r}: `amtl-cvx reference list` names them")
    near = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    there = f"did you mean {shown(near)}?" if near else "`amtl-cvx reference list` names them"
    what = "a folder without a pack.json is there" if word and Path(word).is_dir() else "there is none"
    return DataError(f"expected a pack by name or its folder, {what} called {word[:60]!r}: {there}")


def read_named(word: str, folder: Path | None = None) -> Pack:
    """The one pack of a name or folder, every byte of it held against its SHA-256."""
    places = places_of([word], folder)
    if len(places) != 1:
        raise DataError(f"expected one pack, {word[:60]!r} names {len(places)}: give one name")
    return read_pack(places[0])


def read_all(places: Iterable[Path]) -> list[Pack]:
    """Packs without a look at their arrays; a damaged one is told of and left out."""
    found = []
    for place in places:
        try:
            found.append(read_pack(place, files=False))
        except DataError as error:
            _log.warning("%s", error)
    return found


def wanted(packs: Sequence[Pack], arguments: Namespace) -> list[Pack]:
    """Those of the packs that the options of `list` ask for.

    Raises
    ------
    ModelError
        For a value that no pack has, or a range that is none.
    """
    found = list(packs)
    for key in _EXACT:
        value = getattr(arguments, key)
        if value is not None:
            known = sorted({str(pack.about[key]) for pack in packs if pack.about[key] is not None})
            if value not in known:
                raise ModelError(
                    f"--{key} must be one that a pack has, {', '.join(known) or 'none'}, got {value!r}"
                )
            found = [pack for pack in found if pack.about[key] == value]
    for option, key in (("tasks", "T"), ("features", "d")):
        low, high = _range(option, getattr(arguments, option))
        found = [pack for pack in found if low <= pack.about[key] <= high]
    if arguments.level is not None:
        if arguments.level not in _LEVELS:
            raise ModelError(f"--level must be one of {', '.join(_LEVELS)}, got {arguments.level!r}")
        found = [pack for pack in found if level_of(pack) >= arguments.level]
    if arguments.digits is not None:
        found = [pack for pack in found if digits_of(pack) >= arguments.digits]
    if arguments.bound:
        found = [pack for pack in found if pack.claims.get("bound")]
    if arguments.trait is not None:
        text = arguments.trait.lower()
        found = [
            pack
            for pack in found
            if any(text in words.lower() for words in (*pack.about["traits"], pack.about["title"]))
        ]
    return found


def level_of(pack: Pack) -> str:
    """The level of the ladder that the answer is certified at; "" where none is claimed."""
    return str(pack.claims.get("level") or "")


def digits_of(pack: Pack) -> int:
    """How many digits of J are proven; 0 for none."""
    objective: dict[str, Any] = pack.claims.get("objective") or {}
    return int(objective.get("digits") or 0) if objective.get("proven") else 0


def _range(option: str, text: str | None) -> tuple[float, float]:
    """The ends of A..B; N is from N to N."""
    if text is None:
        return 0.0, float("inf")
    found = re.fullmatch(r"(\d*)(\.\.)?(\d*)", text)
    if found is None or not (found[1] or found[3]):
        raise ModelError(f"--{option} must be a whole number or a range A..B, got {text!r}")
    if found[2] is None:
        return float(found[1]), float(found[1])
    return float(found[1] or 0), float(found[3] or "inf")
