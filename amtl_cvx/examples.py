"""What stands below the options in every --help: examples of the command, and its exit codes."""

from __future__ import annotations

from collections.abc import Mapping

from amtl_cvx.errors import Exit

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("fit digits --out out/digits", "a packaged problem, for a first look"),
        ("fit rows.csv --task school --target score --out run", "a table of your own"),
        ("certify rows.csv run --level C3", "judge it again, by NumPy alone"),
        ("predict run new.csv --task school", "predictions on new rows"),
    ),
    "fit": (
        ("fit rows.csv --task school --target score --standardize --intercept --out run", "a table"),
        ("fit rows.npz --test 0.2 --validation 0.2 --seed 1 --out run", "scored on rows kept apart"),
        ("fit rows.npz --coupling 1 --mu 0.05 --level C3 --json --out run", "for a script"),
        ("fit rows.npz --start run.interrupted --out run", "go on where a run was stopped"),
    ),
    "explore": (
        ("explore rows.npz --starts 60 --jobs 4 --out points", "the first-order points there are"),
        ("explore rows.npz --validation 0.2 --out points", "and which of them predicts best"),
    ),
    "certify": (
        ("certify rows.npz run", "a run of fit, by the model in its run.json"),
        ("certify rows.npz solution.npz --loss squared --coupling 1 --mu 0.05", "a W, B of other code"),
        ("certify rows.npz run --level C4 --digits 30", "W, B and J to 30 proven digits"),
        ("certify rows.npz run --quiet && echo certified", "the exit code alone"),
    ),
    "export": (
        ("export rows.csv run --out problem", "the problem that a run solved, for other code"),
        ("export digits --out problem", "a packaged problem by its recommended settings"),
    ),
    "predict": (
        ("predict run new.csv --task school --out predictions.csv", "one prediction a row"),
        ("predict run new.npz", "one column a task, where the rows have none"),
    ),
    "plot": (
        ("plot run --out graph.pdf", "the graph of a run"),
        ("plot run --kind convergence --out convergence.png", "how the fit went"),
    ),
    "solvers": (
        ("solvers", "what is installed, and what installs the rest"),
        ("solvers --json", "the same for a script"),
    ),
}
"""Command lines without the program's name, and what they are for."""

_WORDS: Mapping[Exit, str] = {
    Exit.DONE: "done, and certified where that is asked for",
    Exit.UNCERTIFIED: "done, but the certificate does not pass",
    Exit.USAGE: "bad usage or bad data",
    Exit.SOLVER: "a solver failed, or a worker was lost",
    Exit.BUG: "a bug",
    Exit.INTERRUPTED: "interrupted",
}
_CODES: Mapping[str, tuple[Exit, ...]] = {
    "": tuple(Exit),
    "fit": tuple(Exit),
    "explore": tuple(Exit),
    "certify": (Exit.DONE, Exit.UNCERTIFIED, Exit.USAGE, Exit.BUG, Exit.INTERRUPTED),
}
"""Which of them a command has, where it has more than 0, 2, 70 and 130."""


def epilog(command: str) -> str:
    """Examples and exit codes of a command, "" for the program."""
    lines = ["examples:"]
    for line, words in EXAMPLES[command]:
        lines += [f"  amtl-cvx {line}", f"      {words}"]
    codes = _CODES.get(command, (Exit.DONE, Exit.USAGE, Exit.BUG, Exit.INTERRUPTED))
    lines += ["", "exit codes:"]
    lines += [f"  {int(code):>3}  {_WORDS[code]}" for code in codes]
    return "\n".join(lines)
