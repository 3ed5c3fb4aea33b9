"""`amtl-cvx reference list`: which packs there are, as a table."""

from __future__ import annotations

import io
import json
import sys
from argparse import Namespace
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
        say(f"{len(found)} of {len(packs)} packs; `amtl-cvx reference show NAME` tells of one")
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

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("pack", "ask", "loss", "penalty on B"):
        table.add_column(column, no_wrap=column == "pack", overflow="fold")
    for column in ("T", "d", "rows"):
        table.add_column(column, justify="right")
    for column in ("grade", "level"):
        table.add_column(column, no_wrap=True)
    table.add_column("digits", justify="right")
    for column in ("bound", "unique"):
        table.add_column(column, no_wrap=True)
    for pack in packs:
        about = pack.about
        words = (
            pack.name, pack.ask, f"{about['loss']} {about['reduction']}", _penalties(pack), str(about["T"]),
            str(about["d"]), str(sum(about["rows"])), about["grade"], level_of(pack) or "-",
            str(digits_of(pack) or "-"), "exact" if pack.claims.get("bound") else "-", _unique(pack),
        )  # fmt: skip
        table.add_row(*(escape(clean(word)) for word in words))
    drawn = io.StringIO()  # so that `emit` alone writes to stdout
    terminal = sys.stdout.isatty()
    Console(file=drawn, force_terminal=terminal or None, width=None if terminal else 130).print(table)
    return "".join(f"{line.rstrip()}\n" for line in drawn.getvalue().splitlines())


def _penalties(pack: Pack) -> str:
    """The penalties of a model of AMTL, the family of another one."""
    about = pack.about
    if about["transfer"] is None:
        return str(about["family"])
    return str(about["transfer"]) + (f" + {about['omega']}" if about["omega"] else "")


def _unique(pack: Pack) -> str:
    """The word yes where no block has another value, else the blocks that have none: W."""
    flags = pack.claims.get("unique") or {}
    return "yes" if flags and all(flags.values()) else ", ".join(key for key in flags if flags[key]) or "-"
