"""`amtl-cvx solvers`: what is installed, GPU or not, and why not."""

from __future__ import annotations

import dataclasses
import json
from argparse import Namespace

from rich.table import Table

from amtl_cvx.commands.output import OutputConsole
from amtl_cvx.errors import Exit
from amtl_cvx.solvers import available


def solvers(arguments: Namespace) -> Exit:
    """`amtl-cvx solvers`."""
    rows = available()
    if arguments.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))  # noqa: T201
        return Exit.DONE
    table = Table(title="solvers", title_justify="left", show_lines=True)
    for column in ("solver", "version"):
        table.add_column(column, no_wrap=True)
    for column in ("usable", "GPU", "steps"):
        table.add_column(column)
    for row in rows:
        usable = "yes" if row.usable else f"no: {row.reason}"
        table.add_row(row.name, row.version, usable, row.gpu, row.role)
    OutputConsole().print(table)
    return Exit.DONE
