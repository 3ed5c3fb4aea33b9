"""`amtl-cvx explore`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import add_data, add_method, add_model, add_running
from amtl_cvx.errors import Exit

EXAMPLES = (
    ("explore rows.npz --starts 60 --jobs 4 --out points", "the first-order points there are"),
    ("explore rows.npz --validation 0.2 --out points", "and which of them predicts best"),
)
CODES = tuple(Exit)


def add(commands: Commands) -> None:
    """Add the command."""
    explore = command(
        commands,
        "explore",
        help="fit from many starts: which first-order points there are, and how well each predicts",
        examples=EXAMPLES,
        codes=CODES,
    )
    add_data(explore)
    explore.add_argument("--starts", type=int, default=60, metavar="N", help="fits from N starts (60)")
    explore.add_argument(
        "--validation",
        metavar="PART",
        help="rows to judge the points and auto's choice by, as for fit (default: a problem's own)",
    )
    explore.add_argument(
        "--test", metavar="PART", help="rows to keep out, as for fit (`fit DATA --start DIR` scores them)"
    )
    add_method(explore, "alternating (default), another way from a start to a point, or a name (fit --help)")
    add_model(explore)
    add_running(explore, seeded="the random starts and of the held-out rows of auto")
