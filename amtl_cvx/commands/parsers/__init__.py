"""The parser of the command line: one file a command, and what several share.

Nothing heavy is imported, so that --help is quick; what the commands do is in `commands`.
"""

from __future__ import annotations

import argparse

from amtl_cvx.commands.parsers import (
    certify,
    compare,
    explore,
    export,
    fit,
    plot,
    predict,
    reference,
    solvers,
    tune,
)
from amtl_cvx.commands.parsers.base import Parser, epilog
from amtl_cvx.errors import Exit

EXAMPLES = (
    ("fit digits --out out/digits", "a packaged problem, for a first look"),
    ("fit rows.csv --task school --target score --out run", "a table of your own"),
    ("certify rows.csv run --level C3", "judge it again, by NumPy alone"),
    ("predict run new.csv --task school", "predictions on new rows"),
)


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = Parser(
        prog="amtl-cvx",
        epilog=epilog(EXAMPLES, tuple(Exit)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Asymmetric multi-task learning as convex optimization: certified predictors and\n"
        "the directed graph of who helps whom.",
    )
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    parser.add_argument(
        "--print-completion",
        choices=("bash", "zsh", "tcsh"),
        help="print a script that completes commands and options in a shell (needs shtab)",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    for each in (fit, tune, explore, compare, certify, export, predict, plot, reference, solvers):
        each.add(commands)
    return parser
