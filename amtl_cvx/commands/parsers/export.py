"""`amtl-cvx export`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import add_data, add_method, add_model, path

EXAMPLES = (
    ("export rows.csv run --out problem", "the problem that a run solved, for other code"),
    ("export digits --out problem", "a packaged problem by its recommended settings"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    export = command(commands, "export", help="the prepared problem as a folder of arrays", examples=EXAMPLES)
    add_data(export)
    export.add_argument(
        "run",
        type=path,
        nargs="?",
        metavar="RUN",
        help="a run folder whose model and preparation to take where no options are given",
    )
    add_method(export, "which family the options are of (default: the run's, AMTL)")
    add_model(export)
    export.add_argument(
        "--out", type=path, required=True, metavar="DIR", help="folder to write, absent or empty"
    )
