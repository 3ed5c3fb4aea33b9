"""Arguments that several commands have: the data, the model, the work, and how it is told."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def add_data(parser: argparse.ArgumentParser) -> None:
    """What is learned from, or judged against."""
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a problem (digits, paper-synthetic), a .npz, .csv, .xlsx, .mat or .parquet file, or a"
        " folder with X.npy, y.npy, task.npy",
    )
    parser.add_argument("--task", metavar="COLUMN", help="task column of a .csv, .xlsx or .parquet")
    parser.add_argument("--target", metavar="COLUMN", help="target column of a .csv, .xlsx or .parquet")
    add_weights(parser, "how often each row counts, >= 0: 2 is the row twice, 0 its absence")
    parser.add_argument(
        "--missing",
        choices=("drop",),
        help="drop: leave rows without a target out of their task, counted by task (default: an error)",
    )
    add_dialect(parser)


def add_weights(parser: argparse.ArgumentParser, words: str) -> None:
    """The column of weights, sample_weight in Python."""
    parser.add_argument(
        "--weights", dest="sample_weight", metavar="COLUMN", help=f"column of a table: {words}"
    )


def add_dialect(parser: argparse.ArgumentParser) -> None:
    """How texts are read."""
    group = parser.add_argument_group("how a .csv is written (default: found where it is clear)")
    group.add_argument("--sep", metavar="C", help="separator: one character, or comma, semicolon, tab, bar")
    group.add_argument("--decimal", metavar="C", help="decimal mark: . or a comma")
    group.add_argument("--encoding", metavar="NAME", help="utf-8, cp1252, utf-16, ...")


def add_classes(parser: argparse.ArgumentParser) -> None:
    """Classes and functions of the user's own that a stored run may need."""
    for option, what in (
        ("transfer", "class or function"),
        ("loss", "class"),
        ("omega", "class or function"),
    ):
        parser.add_argument(
            f"--{option}", metavar="MODULE:NAME", help=f"the {option} {what} of a run that has one of its own"
        )


def add_model(parser: argparse.ArgumentParser) -> None:
    """J, and how the features are prepared."""
    group = parser.add_argument_group("model (default: a problem's recommended settings, else auto)")
    group.add_argument(
        "--loss",
        metavar="NAME",
        help="auto, squared, huber[:K], quantile[:tau], poisson, logistic, squared-hinge, hinge, or your own"
        " MODULE:CLASS",
    )
    group.add_argument("--reduction", choices=("mean", "sum"), help="over a task's rows (mean)")
    group.add_argument("--coupling", metavar="X", help="weight of ||W - W B||^2, > 0 (0: stl alone), or auto")
    group.add_argument("--mu", metavar="X", help="price of transfer, >= 0, or auto")
    group.add_argument(
        "--transfer",
        metavar="NAME",
        help="transfer penalty, with its parameters as NAME:key=value,...: loss-weighted-l1 (default), l1,"
        " size-priced-l1 (power), signed-l1, squared, elastic-net (rho), source-group-l2"
        " (weighted=true|false), target-group-l2, forbidden (file=edges.csv with source,target), required"
        " (file=edges.csv with source,target,value), ordered (file= with a task name a line, or order=names),"
        " symmetric, row-budget (budget), degree-cap (degree, cap), total-budget (total), or MODULE:CLASS,"
        " MODULE:FUNCTION of your own",
    )
    group.add_argument(
        "--omega",
        metavar="NAME",
        help="penalty on the predictors, NAME:rho=... or NAME:number: ridge, mean (how far they are from"
        " their mean), laplacian (file=edges.csv with source,target,value), l1, l21 (features), trace,"
        " trace-squared, fused (tasks in a row; file= with a task name a line), or MODULE:CLASS,"
        " MODULE:FUNCTION of your own; none (default) for none",
    )
    parser.set_defaults(transfer_parameters=None, omega_parameters=None)
    group.add_argument("--task-weights", metavar="NAME", help="equal or inverse-sqrt")
    group.add_argument(
        "--class-weight",
        choices=("balanced", "none"),
        help="balanced: rows count so that both classes of a task weigh the same (default: none)",
    )
    for flag, words in (
        ("--standardize", "centre and scale the features"),
        (
            "--intercept",
            "append a column of ones, penalised and transferred like any feature: centre a target whose mean"
            " is large",
        ),
    ):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=words)


def add_running(parser: argparse.ArgumentParser, *, seeded: str) -> None:
    """What every command that fits has: where to write, how to solve, where to work."""
    parser.add_argument(
        "--out",
        type=path,
        required=True,
        metavar="DIR",
        help="folder to write: new, empty, or an earlier run",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="let a run that is interrupted or not certified replace a certified one (default: it goes to"
        " DIR.interrupted or DIR.uncertified)",
    )
    parser.add_argument("--tol", type=float, metavar="X", help="tolerance of the certificate (1e-8)")
    parser.add_argument("--max-rounds", type=int, metavar="N", help="rounds of alternation (500)")
    parser.add_argument(
        "--engine",
        choices=("cvxpy", "fast"),
        help="steps as CVXPY problems (default) or in NumPy",
    )
    parser.add_argument("--solver", metavar="NAME", help="auto (default), CLARABEL, OSQP, SCS")
    parser.add_argument(
        "--solve-limit",
        type=float,
        metavar="SECONDS",
        help="time for one subproblem, before the next solver is tried (600, more where it is large)",
    )
    parser.add_argument(
        "--gpu",
        choices=("auto", "on", "off"),
        default="auto",
        help="SCS on a GPU for the large inner solves: where measured to pay (auto), always, never",
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="work in N processes: fits, auto's path, B-steps (1)"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="work on a Dask cluster: the address of its scheduler"
    )
    parser.add_argument("--seed", type=int, metavar="N", help=f"seed of {seeded} (0)")
    add_quiet(parser)


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Time for the ladder."""
    parser.add_argument(
        "--limit",
        type=float,
        metavar="SECONDS",
        help="time for the levels above C2; what is not decided by then is said (600)",
    )


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Nothing but errors."""
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def path(text: str) -> Path:
    """A path; `~` counts also where the shell leaves it alone (`--out=~/run`)."""
    from pathlib import Path  # a tenth of the time that --help takes

    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a path, got {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~somebody" without such a user
        return Path(text)
