"""`amtl-cvx reference list`: which packs there are, as a table."""

from __future__ import annotations

import io
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import Any

from amtl_cvx.commands.reference.selection import digits_of, level_of, places_of, read_all, wanted
from amtl_cvx.console import clean, emit, say
from amtl_cvx.errors import Exit
from amtl_cvx.reference import Pack

_KEYS = (
    "name",
    "title",
    "ask",
    "grade",
    "traits",
    "family",
    "loss",
    "reduction",
    "transfer",
    "omega",
    "T",
    "d",
)
_USUAL = "loss-weighted-l1"


def run(arguments: Namespace) -> Exit:
    """`amtl-cvx reference list`."""
    packs = read_all(places_of(arguments.patterns, arguments.folder))
    found = wanted(packs, arguments)
    if arguments.json:
        say(json.dumps([_facts(pack) for pack in found], indent=2))
    elif arguments.names:
        say(*(pack.name for pack in found))
    else:
        emit(_table(found), styled=True)
        usual = f" (penalty on B: {_USUAL} where none is named)" if found else ""
        say(f"{len(found)} of {len(packs)} packs{usual}; `amtl-cvx reference show NAME` tells of one")
    return Exit.DONE


def _facts(pack: Pack) -> dict[str, Any]:
    """One pack, for a script."""
    claims, about = pack.claims, pack.about
    return {
        **{key: about[key] for key in _KEYS},
        "rows": sum(about["rows"]),
        "level": level_of(pack) or None,
        "digits": digits_of(pack),
        "objective": claims["objective"],
        "unique": claims.get("unique"),
        "bound": claims.get("bound"),
        "minima": len(pack.claims.get("minima") or ()),
        "folder": str(pack.folder),
    }


def _table(packs: list[Pack]) -> str:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    drawn = io.StringIO()  # so that `emit` alone writes to stdout
    terminal = sys.stdout.isatty()
    console = Console(file=drawn, force_terminal=terminal or None, width=None if terminal else _WIDTH)
    cells = {title: [title, *map(tell, packs)] for title, tell in _COLUMNS.items()}
    for title in _LEFT_OUT:
        if sum(_least(title, column) for title, column in cells.items()) <= console.width:
            break
        del cells[title]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in cells:
        table.add_column(title, no_wrap=title != _WORDS, overflow="fold")
        table.columns[-1].justify = "right" if title in _NUMBERS else "left"
    for row in zip(*(column[1:] for column in cells.values()), strict=True):
        table.add_row(*(escape(clean(word)) for word in row))
    console.print(table)
    return "".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines())


def _least(title: str, column: list[str]) -> int:
    """How wide a column has to be, with the space before the next one; words may go on in a line below."""
    return 2 + (len(_WORDS) if title == _WORDS else max(map(len, column)))


def _model(pack: Pack) -> str:
    """Loss and reduction, a penalty on B that is not the usual one, one on W, a family that is not AMTL."""
    about = pack.about
    own = about["family"] if about["transfer"] is None else about["transfer"]
    further = "" if own == _USUAL else f", {own}"
    omega = f" + {about['omega']}" if about["omega"] else ""
    return f"{about['loss']} {about['reduction']}{further}{omega}"


def _unique(pack: Pack) -> str:
    """The word yes where no block has another value, else the blocks that have none: W."""
    flags = pack.claims.get("unique") or {}
    return "yes" if flags and all(flags.values()) else ", ".join(key for key in flags if flags[key]) or "-"


_WIDTH = 130
"""Characters in a line where there is no terminal."""
_WORDS = "loss and penalties"
_NUMBERS = ("T", "d", "rows", "digits")
_LEFT_OUT = ("unique", "bound", "rows", "grade", "digits", "ask", "level")
"""What a narrow terminal has no room for, first to go first."""
_COLUMNS: Mapping[str, Callable[[Pack], str]] = {
    "pack": lambda pack: pack.name,
    "ask": lambda pack: pack.ask,
    _WORDS: _model,
    "T": lambda pack: str(pack.about["T"]),
    "d": lambda pack: str(pack.about["d"]),
    "rows": lambda pack: str(sum(pack.about["rows"])),
    "grade": lambda pack: str(pack.about["grade"]),
    "level": lambda pack: level_of(pack) or "-",
    "digits": lambda pack: str(digits_of(pack) or "-"),
    "bound": lambda pack: "exact" if pack.claims.get("bound") else "-",
    "unique": _unique,
}
"""What is told of a pack."""
