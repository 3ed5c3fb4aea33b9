"""`amtl-cvx tune`: its arguments."""

from __future__ import annotations

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import (
    add_choice,
    add_data,
    add_grid,
    add_method,
    add_model,
    add_running,
    add_search,
)
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
    add_grid(
        group,
        "NAME=VALUES",
        "values of a parameter of the method, as often as needed: mu=.01,.1,1, or with logarithmic steps"
        " mu=1e-3:1e1:9, or whole numbers rounds=1:10",
    )
    add_search(group)
    group.add_argument(
        "--random-seed",
        type=int,
        metavar="N",
        help="seed of the random points alone: other points on the same rows (default: that of --seed)",
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
    add_choice(group, "rmse, loss, ...")
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
    add_running(tune, seeded="test and held-out rows, folds, and random points without --random-seed")
