"""`amtl-cvx certify`: its arguments."""

from __future__ import annotations

import argparse

from amtl_cvx.commands.parsers.base import Commands, command
from amtl_cvx.commands.parsers.shared import add_data, add_limit, add_method, add_model, add_quiet, path
from amtl_cvx.errors import Exit

EXAMPLES = (
    ("certify rows.npz run", "a run of fit, by the model in its run.json"),
    ("certify rows.npz solution.npz --loss squared --coupling 1 --mu 0.05", "a W, B of other code"),
    ("certify rows.npz run --level C4 --digits 30", "W, B and J to 30 proven digits"),
    ("certify rows.npz run --quiet && echo certified", "the exit code alone"),
)
CODES = (Exit.DONE, Exit.UNCERTIFIED, Exit.USAGE, Exit.BUG, Exit.INTERRUPTED)


def add(commands: Commands) -> None:
    """Add the command."""
    certify = command(
        commands, "certify", help="judge a W, B from any source", examples=EXAMPLES, codes=CODES
    )
    add_data(certify)
    certify.add_argument(
        "solution",
        type=path,
        metavar="SOLUTION",
        help="W and B: a run folder, a .npz or .json file, or a folder of W.npy and B.npy, or of .csv; with"
        " --method of another family its blocks in a run folder, .npz, .json, .mat, .npy or .csv",
    )
    add_method(certify, "what the point claims to solve (default: run.json's)")
    add_model(certify)
    certify.add_argument(
        "--ridge", type=float, metavar="X", help="start of a curriculum (default: run.json's)"
    )
    certify.add_argument(
        "--reading", choices=("greedy", "fixed"), help="order of curriculum-simple (default: run.json's)"
    )
    certify.add_argument(
        "--tol", type=float, default=None, metavar="X", help="tolerance (default: run.json's, 1e-8)"
    )
    certify.add_argument(
        "--level",
        default="C2",
        metavar="C2",
        help="level to reach: C0 evaluated, C1 both gaps, C2 first-order (default), C3 strict local minimum,"
        " C4 proven digits, C5 proven global minimum",
    )
    add_limit(certify)
    certify.add_argument(
        "--digits", type=int, metavar="N", help="print blocks, J to N proven digits, up to 40 (level C4, C5)"
    )
    certify.add_argument(
        "--proof",
        type=path,
        metavar="FILE",
        help="write the proof of the lower bound there (level C5; needs pip install 'amtl-cvx[verify]'); one"
        " that is there must be about these data and this model, and is checked in place of a search",
    )
    certify.add_argument(
        "--snap",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="of a network: judge it at the nearest point on the kinks that it is near, and say how far that"
        " is (default), or as it is",
    )
    certify.add_argument(
        "--kink-width",
        type=float,
        metavar="X",
        help="how near a kink is near, in units of the terms of that unit (1e-6)",
    )
    certify.add_argument("--json", action="store_true", help="print the certificate as JSON")
    certify.add_argument("--figures", action="store_true", help="print every figure, and what it is")
    add_quiet(certify)
    certify.further = _figures


def _figures() -> list[str]:
    from amtl_cvx import known

    return ["figures of a certificate (--figures, --json), with their units:", *known.listing(), ""]
