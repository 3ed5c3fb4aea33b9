"""The command line: `amtl-cvx`, also `python -m amtl_cvx`.

    amtl-cvx fit DATA --out DIR        learn W and B, certify, draw, report
    amtl-cvx explore DATA --out DIR    fit from many starts: which first-order points there are
    amtl-cvx certify DATA SOLUTION     judge a W, B from any source
    amtl-cvx export DATA --out DIR     the prepared problem as arrays, for any other code
    amtl-cvx predict DIR ROWS          predictions on raw new rows
    amtl-cvx plot DIR                  draw a stored run again
    amtl-cvx solvers                   what is installed, GPU or not, and why not

Exit codes (`errors.Exit`): 0 done and certified, 1 done but the certificate does not pass, 2 bad usage or bad
data, 3 a solver failed, 70 a bug, 130 interrupted. A user's mistake is one line on stderr, `error: what was
expected, what came, what to try`. A bug, that is any exception which is not an `AMTLError`, is a traceback
and after it one such line, which asks for a report.

A warning of the package is shown once, as one line `warning: ...` on stderr, and not with --quiet.

This module only parses and dispatches; `commands` does the work and is imported once there is some, so that
--help is quick and Ctrl-C is heard while NumPy and CVXPY load.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import logging
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from amtl_cvx.console import Log, clean, note, say, streams
from amtl_cvx.errors import AMTLError, Exit, SolveError, WorkerError
from amtl_cvx.examples import epilog

_NEGATIVE = re.compile(r"-(\d+\.|(\d+\.?\d*|\.\d+)e[+-]?\d+|inf|nan)", re.IGNORECASE)
"""Negative numbers that argparse takes for options."""


class _Parser(argparse.ArgumentParser):
    """Bad usage is one line, like every other error; help goes the way of results.

    Below the options stand examples and exit codes, above them what `further` says, made where it is printed.
    """

    further: Callable[[], Sequence[str]] = staticmethod(list)

    def error(self, message: str) -> NoReturn:
        note(f"error: {message}; see {self.prog} --help")
        self.exit(Exit.USAGE)

    def print_help(self, file: object = None) -> None:
        self.epilog = "\n".join([*self.further(), self.epilog or ""])
        say(self.format_help().rstrip())


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with streams():
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        except (SolveError, WorkerError) as error:
            return _fail(error, Exit.SOLVER)
        except AMTLError as error:
            return _fail(error, Exit.USAGE)
        except MemoryError:
            return _fail("this needs more memory than there is: fewer tasks or features", Exit.USAGE)
        except KeyboardInterrupt:
            note("interrupted: nothing was written")
            return Exit.INTERRUPTED
        except OSError as error:  # no file of ours is named here: the system refused
            what = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
            return _fail(f"the system refused what this needs: {what}: try from another folder", Exit.USAGE)
        except Exception as error:
            for line in "".join(traceback.format_exception(error)).splitlines():
                sys.stderr.write(f"{clean(line)}\n")
            return _fail("a bug in amtl_cvx, please report it with the lines above", Exit.BUG)


def _run(argv: Sequence[str]) -> int:
    arguments = _parsed(argv)
    arguments.command_line = shlex.join(["amtl-cvx", *argv])
    quiet = getattr(arguments, "quiet", False)
    level = logging.INFO if arguments.verbose else logging.CRITICAL if quiet else logging.WARNING
    with _logging(Log(level)):
        with _loading(quiet=quiet or arguments.command not in ("fit", "explore")), _uncollected():
            import numpy as np

            from amtl_cvx import commands
        with np.errstate(all="ignore"):  # whatever the process has set; what is not finite is refused later
            code: int = getattr(commands, arguments.command)(arguments)
    return code


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; what no option takes is an error of the command, not of the program."""
    parser = build_parser()
    arguments, left = parser.parse_known_args(_joined(argv))
    if left:
        command = f" {arguments.command}" if arguments.command else ""
        note(f"error: unrecognized arguments: {' '.join(left)}; see amtl-cvx{command} --help")
        raise SystemExit(Exit.USAGE)
    if arguments.version or arguments.print_completion or not arguments.command:
        say(_answer(parser, arguments))
        raise SystemExit(Exit.DONE)
    del arguments.version, arguments.print_completion  # no arguments of a run
    return arguments


def _answer(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> str:
    """What is printed where no command is run."""
    if arguments.version:
        return _version()
    if arguments.print_completion is None:
        return parser.format_help().rstrip()
    from amtl_cvx.completion import completion

    return completion(parser, arguments.print_completion).rstrip()


@contextlib.contextmanager
def _logging(handler: logging.Handler) -> Iterator[None]:
    """Give the messages of the package to `handler` for a while; without one, logging prints the warnings."""
    logger = logging.getLogger("amtl_cvx")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(handler.level, logging.WARNING))
    with warnings.catch_warnings():
        warnings.showwarning = _as_message
        warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy: what is not finite is refused by name
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


def _as_message(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """A warning of any library, as one line among those of the package."""
    logging.getLogger("amtl_cvx").warning("%s: %s", category.__name__, message)


def _loading(*, quiet: bool) -> contextlib.AbstractContextManager[object]:
    """A first sign of life on a terminal, while the imports take their seconds."""
    if quiet or not sys.stderr.isatty():
        return contextlib.nullcontext()
    from amtl_cvx.progress import Progress

    progress = Progress(quiet=False, tol=1e-8)
    progress.phase("loading CVXPY")
    return progress


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection during the first imports, nor of what they leave: all of it stays."""
    if "amtl_cvx.commands" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


def _joined(argv: Sequence[str]) -> list[str]:
    """`--mu -1e-3` as `--mu=-1e-3`, so that the number reaches the check of mu."""
    words: list[str] = []
    for word in argv:
        if words and re.fullmatch(r"--[\w-]+", words[-1]) and _NEGATIVE.fullmatch(word):
            words[-1] += f"={word}"
        else:
            words.append(word)
    return words


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = _Parser(
        prog="amtl-cvx",
        epilog=epilog(""),
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
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    _add_fit(commands)
    _add_explore(commands)
    _add_certify(commands)
    _add_export(commands)
    _add_predict(commands)
    _add_plot(commands)
    solvers = _command(commands, "solvers", help="what is installed, GPU or not, and why not")
    solvers.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _command(commands: argparse._SubParsersAction[_Parser], name: str, *, help: str) -> _Parser:
    """A command, with what every one of them has."""
    parser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=epilog(name),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="say on stderr what is done, and what it will take"
    )
    return parser


def _add_fit(commands: argparse._SubParsersAction[_Parser]) -> None:
    fit = _command(commands, "fit", help="learn W and B, certify, draw the graph, write a report")
    _add_data(fit)
    for part, use in (("validation", "auto judges the coupling on them"), ("test", "only scored")):
        fit.add_argument(
            f"--{part}",
            metavar="PART",
            help=f"{part} rows: a FILE with the columns of DATA, a share such as 0.2 or 20%% of each task's"
            f" rows, or column:NAME, a column of DATA that marks them; {use}",
        )
    fit.add_argument("--method", metavar="NAME", help="alternating (default), curriculum, stl")
    fit.add_argument(
        "--start",
        type=_path,
        metavar="RUN",
        help="go on from an interrupted run of ours (what is not given here is as it was there), or begin at"
        " the W and B of any run or file",
    )
    _add_model(fit)
    fit.add_argument(
        "--ridge", type=float, metavar="X", help="single-task start of the curriculum (coupling)"
    )
    for flag, words in (
        ("--refine", "refinement after the alternation, or alternation only"),
        ("--definition", "solve the W-step in its defining, conic form (slow)"),
    ):
        fit.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=words)
    fit.add_argument(
        "--sweep", choices=("joint", "tasks"), help="W-step over all tasks at once (default), or one by one"
    )
    fit.add_argument(
        "--level",
        choices=("C2", "C3", "C4", "C5"),
        default="C2",
        help="level of the certificate: C2 first-order (default), C3 strict local minimum, C4 proven digits,"
        " C5 proven global minimum",
    )
    _add_limit(fit)
    fit.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object: status, certificate, where the run is, scores",
    )
    _add_running(fit, seeded="the rows that are drawn, of --validation, --test and auto")


def _add_explore(commands: argparse._SubParsersAction[_Parser]) -> None:
    explore = _command(
        commands,
        "explore",
        help="fit from many starts: which first-order points there are, and how well each predicts",
    )
    _add_data(explore)
    explore.add_argument("--starts", type=int, default=60, metavar="N", help="fits from N starts (60)")
    explore.add_argument(
        "--validation",
        metavar="PART",
        help="rows to judge the points and auto's choice by, as for fit (default: a problem's own)",
    )
    explore.add_argument(
        "--test", metavar="PART", help="rows to keep out, as for fit (`fit DATA --start DIR` scores them)"
    )
    _add_model(explore)
    _add_running(explore, seeded="the random starts and of the held-out rows of auto")


def _add_running(parser: argparse.ArgumentParser, *, seeded: str) -> None:
    """What every command that fits has: where to write, how to solve, where to work."""
    parser.add_argument(
        "--out",
        type=_path,
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
    _add_quiet(parser)


def _add_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--limit",
        type=float,
        metavar="SECONDS",
        help="time for the levels above C2; what is not decided by then is said (600)",
    )


def _add_quiet(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")


def _add_certify(commands: argparse._SubParsersAction[_Parser]) -> None:
    certify = _command(commands, "certify", help="judge a W, B from any source")
    _add_data(certify)
    certify.add_argument(
        "solution",
        type=_path,
        metavar="SOLUTION",
        help="W and B: a run folder, a .npz or .json file, or a folder of W.npy and B.npy, or of .csv",
    )
    certify.add_argument(
        "--method", metavar="NAME", help="what the point claims to solve (default: run.json's)"
    )
    _add_model(certify)
    certify.add_argument(
        "--ridge", type=float, metavar="X", help="start of a curriculum (default: run.json's)"
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
    _add_limit(certify)
    certify.add_argument(
        "--digits", type=int, metavar="N", help="print W, B and J to N proven digits, up to 40 (level C4, C5)"
    )
    certify.add_argument(
        "--proof",
        type=_path,
        metavar="FILE",
        help="write the proof of the lower bound there (level C5; needs pip install 'amtl-cvx[verify]'); one"
        " that is there must be about these data and this model, and is checked in place of a search",
    )
    certify.add_argument("--json", action="store_true", help="print the certificate as JSON")
    certify.add_argument("--figures", action="store_true", help="print every figure, and what it is")
    _add_quiet(certify)
    certify.further = _figures


def _figures() -> list[str]:
    from amtl_cvx import known

    return ["figures of a certificate (--figures, --json), with their units:", *known.listing(), ""]


def _add_export(commands: argparse._SubParsersAction[_Parser]) -> None:
    export = _command(commands, "export", help="the prepared problem as a folder of arrays")
    _add_data(export)
    export.add_argument(
        "run",
        type=_path,
        nargs="?",
        metavar="RUN",
        help="a run folder whose model and preparation to take where no options are given",
    )
    _add_model(export)
    export.add_argument(
        "--out", type=_path, required=True, metavar="DIR", help="folder to write, absent or empty"
    )


def _add_predict(commands: argparse._SubParsersAction[_Parser]) -> None:
    predict = _command(commands, "predict", help="predictions on raw new rows")
    predict.add_argument("run", type=_path, metavar="DIR", help="run folder that fit wrote")
    predict.add_argument(
        "rows",
        type=_path,
        metavar="ROWS",
        help=".npz or folder with X (and task), .csv, .xlsx or .parquet of raw features",
    )
    predict.add_argument("--task", metavar="COLUMN", help="column of the table that names each row's task")
    predict.add_argument("--target", metavar="COLUMN", help="column of the table to leave out")
    _add_dialect(predict)
    _add_classes(predict)
    predict.add_argument(
        "--out", type=_path, metavar="FILE.csv", help="file to write (default: standard output)"
    )


def _add_plot(commands: argparse._SubParsersAction[_Parser]) -> None:
    plot = _command(commands, "plot", help="draw a stored run again")
    plot.add_argument("run", type=_path, metavar="DIR", help="run folder that fit wrote")
    plot.add_argument("--out", type=_path, required=True, metavar="FILE", help=".png, .svg or .pdf to write")
    plot.add_argument(
        "--kind",
        choices=("graph", "heatmap", "node-link", "convergence", "truth"),
        default="graph",
        help="what to draw (graph: heatmap and node-link)",
    )
    plot.add_argument("--threshold", type=float, default=0.0, metavar="X", help="leave out edges up to X (0)")
    _add_classes(plot)


def _add_classes(parser: argparse.ArgumentParser) -> None:
    """Classes of the user's own that a stored run may need."""
    for option in ("transfer", "loss"):
        parser.add_argument(
            f"--{option}", metavar="MODULE:CLASS", help=f"the {option} class of a run that has one of its own"
        )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a problem (digits, paper-synthetic), a .npz, .csv, .xlsx, .mat or .parquet file, or a"
        " folder with X.npy, y.npy, task.npy",
    )
    parser.add_argument("--task", metavar="COLUMN", help="task column of a .csv, .xlsx or .parquet")
    parser.add_argument("--target", metavar="COLUMN", help="target column of a .csv, .xlsx or .parquet")
    _add_dialect(parser)


def _add_dialect(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how a .csv is written (default: found where it is clear)")
    group.add_argument("--sep", metavar="C", help="separator: one character, or comma, semicolon, tab, bar")
    group.add_argument("--decimal", metavar="C", help="decimal mark: . or a comma")
    group.add_argument("--encoding", metavar="NAME", help="utf-8, cp1252, utf-16, ...")


def _add_model(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model (default: a problem's recommended settings, else auto)")
    group.add_argument(
        "--loss",
        metavar="NAME",
        help="auto, squared, huber[:K], quantile[:tau], poisson, logistic, squared-hinge, hinge, or your own"
        " MODULE:CLASS",
    )
    group.add_argument("--reduction", choices=("mean", "sum"), help="over a task's rows (mean)")
    group.add_argument("--coupling", metavar="X", help="weight of ||W - W B||^2, > 0, or auto")
    group.add_argument("--mu", metavar="X", help="price of transfer, >= 0, or auto")
    group.add_argument(
        "--transfer",
        metavar="NAME",
        help="transfer penalty, with its parameters as NAME:key=value,...: loss-weighted-l1 (default),"
        " elastic-net (rho), source-group-l2 (weighted=true|false), forbidden (file=edges.csv with"
        " source,target), symmetric, row-budget (budget), or MODULE:CLASS of your own",
    )
    parser.set_defaults(transfer_parameters=None)
    group.add_argument("--task-weights", metavar="NAME", help="equal or inverse-sqrt")
    for flag, words in (
        ("--standardize", "centre and scale the features"),
        (
            "--intercept",
            "append a column of ones, penalised and transferred like any feature: centre a target whose mean"
            " is large",
        ),
    ):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=words)


def _path(text: str) -> Path:
    """A path; `~` counts also where the shell leaves it alone (`--out=~/run`)."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a path, got {text!r}")
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~somebody" without such a user
        return Path(text)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"amtl-cvx {version('amtl-cvx')}"
    except PackageNotFoundError:
        return "amtl-cvx (not installed)"


def _fail(error: object, code: Exit) -> Exit:
    note(f"error: {error}")
    return code
