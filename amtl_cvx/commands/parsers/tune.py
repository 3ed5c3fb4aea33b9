"""`amtl-cvx tune`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import add_data, add_method, add_model, add_running
from amtl_cvx.errors import Exit
from amtl_cvx.families.settings.named import NAMED

EXAMPLES = (
    ("tune rows.npz --grid coupling=1e-2:1e2:5 --grid mu=.01,.1,1 --out run", "a grid, judged by five folds"),
    ("tune rows.npz --grid mu=.01,.1,1 --grid rounds=1:10 --test 0.2 --out run", "and after how many rounds"),
    ("tune rows.npz --method mtfl --grid rho=1e-3:1e1:9 --rule one-se --out run", "another method, and rule"),
    (
        "tune rows.npz --grid coupling=.01,100 --grid mu=.001,10 --random 30 --out run",
        "points drawn at random between the ends",
    ),
)
CODES = tuple(code for code in Exit if code is not Exit.UNCERTIFIED)
WORDS = {Exit.DONE: "done: every point was judged, and the chosen one is judged at the level it has"}


def add(commands: Commands) -> None:
    """Add the command."""
    tune = command(
        commands,
        "tune",
        help="choose the parameters of a method on rows kept apart, and fit the chosen point",
        examples=EXAMPLES,
        codes=CODES,
        words=WORDS,
    )
    add_data(tune)
    add_method(tune, f"{', '.join(NAMED)} (amtl)")
    group = tune.add_argument_group("what is tried")
    group.add_argument(
        "--grid",
        action="append",
        default=[],
        metavar="NAME=VALUES",
        help="values of a parameter of the method, as often as needed: mu=.01,.1,1, or with logarithmic steps"
        " mu=1e-3:1e1:9, or whole numbers rounds=1:10 (default: a grid in units of the data)",
    )
    group.add_argument(
        "--random", type=int, metavar="N", help="N points drawn between the ends of the grid (default: all)"
    )
    group.add_argument(
        "--widen",
        type=int,
        default=3,
        metavar="N",
        help="how often a grid is widened while the best point lies at an edge (3)",
    )
    group = tune.add_argument_group(
        "how a point is judged (default: a problem's validation rows, or 5 folds)"
    )
    splits = group.add_mutually_exclusive_group()
    splits.add_argument("--folds", type=int, metavar="K", help="K folds of the rows of each task")
    splits.add_argument(
        "--validation",
        metavar="PART",
        help="validation rows, as for fit: a FILE, a share of each task's rows, or column:NAME",
    )
    splits.add_argument(
        "--held-out",
        metavar="SHARE",
        help="a share of each task's rows; the last fit is trained on all",
    )
    group.add_argument(
        "--measure",
        default="auto",
        metavar="NAME",
        help="auto (pooled rmse, class error of classes over shared rows, else error), rmse, loss, ...",
    )
    group.add_argument(
        "--rule",
        choices=("best", "one-se"),
        default="best",
        help="the least error (default), or the simplest point within one standard error of it",
    )
    tune.add_argument(
        "--test",
        metavar="PART",
        help="test rows, as for fit; they are read once, when the last fit is done",
    )
    add_model(tune)
    tune.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object: what was chosen, all that was tried, status, certificate, scores",
    )
    add_running(tune, seeded="folds, held-out rows and random points")
