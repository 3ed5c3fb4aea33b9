"""Arguments that several commands have: the data, the model, the work, and how it is told."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from amtl_cvx.families import all_settings
from amtl_cvx.families.settings import SHARED, Setting
from amtl_cvx.families.settings.named import NAMED

if TYPE_CHECKING:
    from pathlib import Path


_WIDTH = 80
"""Characters of a line of help that argparse does not wrap."""


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


def add_model(parser: argparse.ArgumentParser, *, fit: bool = False) -> None:
    """J by family, and how the features are prepared; with `fit` also how that family is fitted."""
    group = parser.add_argument_group("model (default: a problem's recommended settings, else auto)")
    for setting in SHARED:
        add_setting(group, setting)
    known: dict[str, dict[str, str]] = {}  # by name: what an option means, and which family said so
    for table in all_settings():
        settings = [*table.model, *(table.fit if fit else ())]
        title = f"{table.title} (--method {', '.join(table.methods)})"
        group = parser.add_argument_group(title, _said_again(settings, known))
        for setting in settings:
            if setting.name not in known:
                add_setting(group, setting)
            known.setdefault(setting.name, {}).setdefault(setting.words, table.title)
        parser.set_defaults(**dict.fromkeys(table.kept))


def _said_again(settings: Sequence[Setting], known: Mapping[str, Mapping[str, str]]) -> str | None:
    """What options mean to a family that are options of another one already; None for none."""
    same: dict[str, list[str]] = {}
    lines = []
    for setting in settings:
        if title := known.get(setting.name, {}).get(setting.words):
            same.setdefault(title, []).append(setting.option)
        elif setting.name in known:
            lines.append(f"{setting.option}: here {setting.words}")
    lines += [f"{', '.join(options)}: as of {title}" for title, options in same.items()]
    return "\n".join(lines) or None


def add_setting(group: argparse._ArgumentGroup, setting: Setting) -> None:
    """The option of a setting; what is not given is None."""
    if setting.switch:
        action = argparse.BooleanOptionalAction
        group.add_argument(setting.option, action=action, default=None, help=setting.words)
    elif setting.choices is not None:
        group.add_argument(setting.option, choices=_choices(setting), help=setting.words)
    else:
        group.add_argument(setting.option, type=_reader(setting), metavar=setting.metavar, help=setting.words)


def _choices(setting: Setting) -> tuple[str, ...]:
    """The choices of an option in any family; which of them one has is checked with its table."""
    named = [each for table in all_settings() for each in table if each.name == setting.name]
    return tuple(dict.fromkeys(word for each in (setting, *named) for word in each.choices or ()))


def _reader(setting: Setting) -> Callable[[str], Any]:
    """What reads the text of an option; where families differ it stays text, and the family reads it."""
    kinds = {each.kind for table in all_settings() for each in table if each.name == setting.name}
    return setting.kind if len(kinds) < 2 else str


def add_method(parser: argparse.ArgumentParser, words: str) -> None:
    """The method, which decides of which family the model is."""
    parser.add_argument("--method", metavar="NAME", help=words)


def method_words() -> str:
    """The methods by family, and where their names are."""
    first, *others = (f"{', '.join(table.methods)} ({table.title})" for table in all_settings())
    default = all_settings()[0].methods[0]
    families = ", ".join([first.replace(default, f"{default} (default)", 1), *others])
    return f"a name of the tables of the papers (below), or a method with all its options: {families}"


def name_lines() -> list[str]:
    """The methods by their names, with their parameters and what they are."""
    lines = ["methods by name, and what to give them (auto chooses --coupling, --mu and --rho):"]
    for name, method in NAMED.items():
        options = " ".join(f"--{each.name}" for each in method.parameters)
        lines.append(f"  {name:<18}{options}")
        lines += textwrap.wrap(method.words, _WIDTH, initial_indent=" " * 20, subsequent_indent=" " * 20)
    return [*lines, ""]


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
    add_workers(parser, "work in N processes: fits, auto's path, B-steps (1)")
    parser.add_argument("--seed", type=int, metavar="N", help=f"seed of {seeded} (0)")
    add_quiet(parser)


def add_workers(parser: argparse.ArgumentParser, words: str) -> None:
    """Where to work."""
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help=words)
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="work on a Dask cluster: the address of its scheduler"
    )


def add_grid(group: argparse._ArgumentGroup, metavar: str, words: str) -> None:
    """The values of parameters that are tried."""
    default = "(default: a grid in units of the data)"
    group.add_argument("--grid", action="append", default=[], metavar=metavar, help=f"{words} {default}")


def add_search(group: argparse._ArgumentGroup) -> None:
    """Which points of a grid are tried, and which beyond it."""
    group.add_argument(
        "--random", type=int, metavar="N", help="N points drawn between the ends of a grid (default: all)"
    )
    group.add_argument(
        "--widen",
        type=int,
        default=3,
        metavar="N",
        help="how often a grid goes on beyond an end at which the best point lies (3)",
    )


def add_choice(group: argparse._ArgumentGroup, further: str) -> None:
    """By which error one of the points that were tried is chosen, and how; `further` errors beside auto's."""
    known = "auto (pooled rmse, class error of classes over shared rows, else error)"
    group.add_argument("--measure", default="auto", metavar="NAME", help=f"{known}, {further}")
    group.add_argument(
        "--rule",
        choices=("best", "one-se"),
        default="best",
        help="the least error (default), or the simplest point within one standard error of it",
    )


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
