"""`amtl-cvx fit`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import (
    add_data,
    add_limit,
    add_method,
    add_model,
    add_running,
    method_words,
    name_lines,
    path,
)
from amtl_cvx.errors import Exit

EXAMPLES = (
    ("fit rows.csv --task school --target score --standardize --intercept --out run", "a table"),
    ("fit rows.npz --test 0.2 --validation 0.2 --seed 1 --out run", "scored on rows kept apart"),
    ("fit rows.npz --coupling 1 --mu 0.05 --level C3 --json --out run", "for a script"),
    ("fit rows.npz --method mtfl --rho 0.1 --out run", "a method of the papers by its name"),
    (
        "fit rows.npz --method amtfl-linear --features 6 --mu 0.1 --gamma 0.1 --decay 1 --out run",
        "features that tasks share, AMTFL",
    ),
    ("fit rows.npz --start run.interrupted --out run", "go on where a run was stopped"),
)
CODES = tuple(Exit)


def add(commands: Commands) -> None:
    """Add the command."""
    fit = command(
        commands,
        "fit",
        help="learn W and B, certify, draw the graph, write a report",
        examples=EXAMPLES,
        codes=CODES,
    )
    add_data(fit)
    for part, use in (("validation", "auto judges the coupling on them"), ("test", "only scored")):
        fit.add_argument(
            f"--{part}",
            metavar="PART",
            help=f"{part} rows: a FILE with the columns of DATA, a share such as 0.2 or 20%% of each task's"
            f" rows, or column:NAME, a column of DATA that marks them; {use}",
        )
    add_method(fit, method_words())
    fit.add_argument(
        "--start",
        type=path,
        metavar="RUN",
        help="go on from an interrupted run of ours (what is not given here is as it was there), or begin at"
        " the blocks (of AMTL: W and B) of any run or file",
    )
    add_model(fit, fit=True)
    fit.add_argument(
        "--level",
        choices=("C2", "C3", "C4", "C5"),
        default="C2",
        help="level of the certificate: C2 first-order (default), C3 strict local minimum, C4 proven digits,"
        " C5 proven global minimum",
    )
    add_limit(fit)
    fit.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object: status, certificate, where the run is, scores",
    )
    add_running(fit, seeded="the rows that are drawn, of --validation, --test and auto")
    fit.further = name_lines
