"""`amtl-cvx solvers`: what is installed, GPU or not, and why not."""

from __future__ import annotations

import dataclasses
import io
import json
import sys
from argparse import Namespace

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from amtl_cvx.console import emit, say
from amtl_cvx.errors import Exit
from amtl_cvx.solvers import ExtraInfo, GpuRoute, SolverInfo, available, extras, gpu, gpu_routes


def solvers(arguments: Namespace) -> Exit:
    """`amtl-cvx solvers`."""
    rows, routes = available(), gpu_routes()
    if arguments.json:
        content = {
            "solvers": [dataclasses.asdict(row) for row in rows],
            "extras": [dataclasses.asdict(row) for row in extras()],
            "gpu": {
                "devices": list(gpu.cuda().devices),
                "reason": gpu.cuda().reason,
                "routes": [{"name": route.name, **dataclasses.asdict(route)} for route in routes],
            },
        }
        say(json.dumps(content, indent=2))
        return Exit.DONE
    drawn = io.StringIO()  # so that `emit` alone writes to stdout
    console = Console(file=drawn, force_terminal=sys.stdout.isatty() or None)
    console.print(_solver_table(rows))
    console.print(_extras_table(extras()))
    console.print(_gpu_table(routes))
    emit(drawn.getvalue(), styled=True)
    return Exit.DONE


def _solver_table(rows: tuple[SolverInfo, ...]) -> Table:
    table = Table(title="solvers", title_justify="left", show_lines=True)
    for column in ("solver", "version"):
        table.add_column(column, no_wrap=True)
    for column in ("usable", "steps"):
        table.add_column(column)
    for row in rows:
        table.add_row(row.name, row.version, _usable(row), row.role)
    return table


def _extras_table(rows: tuple[ExtraInfo, ...]) -> Table:
    table = Table(title="extras", title_justify="left", show_lines=True)
    for column in ("package", "version"):
        table.add_column(column, no_wrap=True)
    for column in ("usable", "for"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(row.name, row.version, _usable(row), row.gives)
    return table


def _gpu_table(routes: tuple[GpuRoute, ...]) -> Table:
    found = gpu.cuda()
    table = Table(
        title=f"GPU routes of fit --gpu; CUDA devices: {', '.join(found.devices) or f'none, {found.reason}'}",
        title_justify="left",
        show_lines=True,
    )
    table.add_column("route", no_wrap=True)
    table.add_column("usable", overflow="fold")
    for route in routes:
        table.add_row(route.name, _usable(route))
    return table


def _usable(row: SolverInfo | ExtraInfo | GpuRoute) -> str:
    return "yes" if row.usable else escape(f"no: {row.reason}")
