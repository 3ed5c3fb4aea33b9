"""`amtl-cvx compare`: its arguments."""

from __future__ import annotations

from argparse import ArgumentParser

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import (
    add_choice,
    add_data,
    add_grid,
    add_quiet,
    add_search,
    add_setting,
    add_workers,
    path,
)
from amtl_cvx.errors import Exit
from amtl_cvx.families.settings.named import NAMED
from amtl_cvx.families.settings.table import SHARED

EXAMPLES = (
    (
        "compare rows.npz --methods stl,mtfl,amtl --splits 5 --test 0.25 --out methods",
        "five draws of a quarter of every task's rows; parameters by folds of the rest",
    ),
    (
        "compare rows.npz --methods stl,amtl --grid amtl:mu=.1,1 --grid rounds=1:10 --folds 5 --out methods",
        "every row tested once; grids of a method, and of all that have the parameter",
    ),
    (
        "compare train.csv --task school --target score --test test.csv --methods stl,amtl --out methods",
        "on test rows of their own: one part, with McNemar's test where targets are classes",
    ),
)
CODES = tuple(code for code in Exit if code is not Exit.UNCERTIFIED)
WORDS = {Exit.DONE: "done: every point was judged, those that were stopped early at the level they have"}
SETTINGS = ("loss", "reduction", "task_weights", "class_weight", "standardize", "intercept")
"""What all methods have in common."""


def add(commands: Commands) -> None:
    """Add the command."""
    compare = command(
        commands,
        "compare",
        help="methods beside each other on the same rows: tuned, fitted, judged, scored once",
        examples=EXAMPLES,
        codes=CODES,
        words=WORDS,
    )
    add_data(compare)
    group = compare.add_argument_group("what is compared")
    group.add_argument(
        "--methods", required=True, metavar="A,B,C", help=f"names separated by commas: {', '.join(NAMED)}"
    )
    group.add_argument(
        "--baseline", metavar="NAME", help="what gains are taken against (stl); it is compared too"
    )
    add_grid(
        group,
        "[METHOD:]NAME=VALUES",
        "values of a parameter, as for tune, of one method or of all that have it, as often as needed",
    )
    group = compare.add_argument_group("on which rows (default: the test rows of a problem, else --splits 5)")
    parts = group.add_mutually_exclusive_group()
    parts.add_argument(
        "--splits",
        type=int,
        metavar="N",
        help="N draws of test rows, --test as a share of each task's (0.25)",
    )
    parts.add_argument(
        "--folds", type=int, metavar="K", help="K folds of each task's rows: each is tested once"
    )
    group.add_argument(
        "--test",
        metavar="PART",
        help="test rows, as for fit, read once after the last fit; or the share of --splits",
    )
    group = compare.add_argument_group(
        "how parameters are chosen (default: on validation rows, else by 5 folds)"
    )
    chosen = group.add_mutually_exclusive_group()
    chosen.add_argument("--tune-folds", type=int, metavar="K", help="K folds of the training rows of a part")
    chosen.add_argument(
        "--held-out", metavar="SHARE", help="a share of the training rows of a part, such as 0.2"
    )
    chosen.add_argument(
        "--validation", metavar="PART", help="validation rows, as for fit, which no fit is trained on"
    )
    add_search(group)
    add_choice(group, "rmse")
    group = compare.add_argument_group("what all methods share (default: as a problem recommends)")
    for setting in SHARED:
        if setting.name in SETTINGS:
            add_setting(group, setting)
    _add_running(compare)


def _add_running(parser: ArgumentParser) -> None:
    """Where to write, how to solve, where to work."""
    add = parser.add_argument
    add(
        "--out",
        type=path,
        required=True,
        metavar="DIR",
        help="folder to write: new, empty, or an earlier comparison",
    )
    add("--tol", type=float, default=1e-8, metavar="X", help="tolerance of the certificates (1e-8)")
    add("--max-rounds", type=int, default=500, metavar="N", help="rounds of alternation (500)")
    add(
        "--engine",
        choices=("auto", "cvxpy", "fast"),
        default="auto",
        help="steps in NumPy where there are some (auto)",
    )
    add_workers(parser, "work in N processes (1)")
    add("--seed", type=int, default=0, metavar="N", help="seed of splits, folds and random points (0)")
    add("--json", action="store_true", help="print what comparison.json holds")
    add_quiet(parser)
