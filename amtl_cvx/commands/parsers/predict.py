"""`amtl-cvx predict`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import add_classes, add_dialect, add_weights, path

EXAMPLES = (
    ("predict run new.csv --task school --out predictions.csv", "one prediction a row"),
    ("predict run new.npz", "one column a task, where the rows have none"),
)


def add(commands: Commands) -> None:
    """Add the command."""
    predict = command(commands, "predict", help="predictions on raw new rows", examples=EXAMPLES)
    predict.add_argument("run", type=path, metavar="DIR", help="run folder that fit wrote")
    predict.add_argument(
        "rows",
        type=path,
        metavar="ROWS",
        help=".npz or folder with X (and task), .csv, .xlsx or .parquet of raw features",
    )
    predict.add_argument("--task", metavar="COLUMN", help="column of the table that names each row's task")
    predict.add_argument("--target", metavar="COLUMN", help="column of the table to leave out")
    add_weights(predict, "left out")
    add_dialect(predict)
    add_classes(predict)
    predict.add_argument(
        "--out", type=path, metavar="FILE.csv", help="file to write (default: standard output)"
    )
