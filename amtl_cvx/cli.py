"""The command line: `amtl-cvx`, also `python -m amtl_cvx`.

    amtl-cvx fit DATA --out DIR        learn W and B, certify, draw, report
    amtl-cvx tune DATA --out DIR       choose the parameters of a method on rows kept apart
    amtl-cvx explore DATA --out DIR    fit from many starts: which first-order points there are
    amtl-cvx compare DATA --out DIR    methods beside each other on the same rows
    amtl-cvx certify DATA SOLUTION     judge a W, B from any source
    amtl-cvx export DATA --out DIR     the prepared problem as arrays, for any other code
    amtl-cvx predict DIR ROWS          predictions on raw new rows
    amtl-cvx plot DIR                  draw a stored run again
    amtl-cvx reference ACTION          problems with answers to trust, and a judge for other code
    amtl-cvx solvers                   what is installed, GPU or not, and why not

Exit codes (`errors.Exit`): 0 done and certified, 1 done but the certificate does not pass, 2 bad usage or bad
data, 3 a solver failed, 70 a bug, 130 interrupted. A user's mistake is one line on stderr, `error: what was
expected, what came, what to try`. A bug, that is any exception which is not an `AMTLError`, is a traceback
and after it one such line, which asks for a report.

A warning of the package is shown once, as one line `warning: ...` on stderr, and not with --quiet.

This module parses (`commands.parsers`) and dispatches; the module of a command is imported once there is
work, so that --help is quick and Ctrl-C is heard while NumPy and CVXPY load.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import logging
import re
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence

from amtl_cvx.commands.parsers import build_parser
from amtl_cvx.console import Log, clean, note, say, streams
from amtl_cvx.errors import AMTLError, Exit, SolveError, WorkerError

_NEGATIVE = re.compile(r"-(\d+\.|(\d+\.?\d*|\.\d+)e[+-]?\d+|inf|nan)", re.IGNORECASE)
"""Negative numbers that argparse takes for options."""


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
        with (
            _loading(quiet=quiet or arguments.command not in ("fit", "tune", "explore", "compare")),
            _uncollected(),
        ):
            import numpy as np

            module = importlib.import_module(f"amtl_cvx.commands.{arguments.command}")
        with np.errstate(all="ignore"):  # whatever the process has set; what is not finite is refused later
            code: int = getattr(module, arguments.command)(arguments)
    return code


def _parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments; what no option takes is an error of the command, not of the program."""
    parser = build_parser()
    arguments, left = parser.parse_known_args(_joined(argv))
    if left:
        action = getattr(arguments, "action", None)
        command = "".join(f" {each}" for each in (arguments.command, action) if isinstance(each, str))
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
    if "cvxpy" in sys.modules or not gc.isenabled():
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


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"amtl-cvx {version('amtl-cvx')}"
    except PackageNotFoundError:
        return "amtl-cvx (not installed)"


def _fail(error: object, code: Exit) -> Exit:
    note(f"error: {error}")
    return code
