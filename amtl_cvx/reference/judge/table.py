"""The verdict on the console: what passed by level, the likely causes, and every check that failed.

print(table(verdict))

level                                    passed  failed  skipped  expected   time
L0  J, its losses and gradients ...          40      20                         1.2
...
likely cause: incoming-weights (20 failed checks, alone on 12)
    your gradient equals the one with incoming weights
    do: ...
"""

from __future__ import annotations

import io
from collections import Counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from amtl_cvx.console import clean
from amtl_cvx.reference.judge.summary import far, figures, likely, told, unexplained
from amtl_cvx.reference.judge.verdict import LEVELS, STATUSES, Result, Verdict

MOST = 20
"""How many kinds of failed checks are told, unless all are asked for."""
_CAUSES = 5
_COLORS = {
    "passed": "green",
    "failed": "bold red",
    "unexpected pass": "bold red",
    "expected": "yellow",
    "skipped": "dim",
}


def table(
    verdict: Verdict, *, every: bool = False, most: int = MOST, color: bool = False, width: int = 110
) -> str:
    """The verdict as a console shows it.

    Parameters
    ----------
    verdict : Verdict
        What to show.
    every : bool
        Whether every check has a line of its own, on every pack, those that passed too.
    most : int
        How many kinds of failed checks are told.
    color : bool
        Whether with the colours of a terminal.
    width : int
        In characters.

    Examples
    --------
    >>> from amtl_cvx.reference.judge import Check, Result, Verdict
    >>> from amtl_cvx.reference.judge.table import table
    >>> check = Check(id="L0/objective/pair", level="L0", name="objective", title="J", needs="evaluate")
    >>> result = Result(check=check, status="passed", words="J is right", seconds=0.5)
    >>> verdict = Verdict(backend="mine", dtype="float64", results=(result,), seconds=0.5)
    >>> print(table(verdict).splitlines()[-1])
    mine (float64) passes: 1 passed; 0.5 s
    """
    drawn = io.StringIO()
    console = Console(
        file=drawn, force_terminal=color or None, width=width, highlight=False, legacy_windows=False
    )
    console.print(_levels(verdict))
    for line in _causes(verdict):
        console.print(line)
    kinds = _kinds(verdict)
    if every and kinds:
        console.print(_checks(verdict.failed))
    elif kinds:
        console.print(_worst(verdict, dict(list(kinds.items())[:most])))
    if not every and len(kinds) > most:
        console.print(f"and {len(kinds) - most} more kinds of checks")
    for status in ("expected", *(("passed", "skipped") if every else ())):
        found = [result for result in verdict.results if result.status == status]
        if found:
            console.print(_checks(found))
    if not every:
        for line in _skipped(verdict):
            console.print(line)
    for name in verdict.unused:
        console.print(Text(clean(f"expected failure {name!r}: no check has this name"), style="yellow"))
    console.print(Text(clean(f"{verdict.line()}; {verdict.seconds:.1f} s"), style=_verdict_style(verdict)))
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines()).strip("\n") + "\n"


def _verdict_style(verdict: Verdict) -> str:
    return "bold green" if verdict.passes else "bold red"


def _levels(verdict: Verdict) -> Table:
    """Counts by level."""
    seen = [status for status in STATUSES if verdict.counts().get(status)]
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    drawn.add_column("level", no_wrap=True)
    for status in seen:
        drawn.add_column(status, justify="right")
    drawn.add_column("time", justify="right")
    for level in verdict.levels():
        counts = verdict.counts(level)
        seconds = sum(result.seconds for result in verdict.results if result.check.level == level)
        cells = [Text(str(counts.get(status, "")), style=_COLORS[status]) for status in seen]
        drawn.add_row(f"{level}  {LEVELS[level]}", *cells, f"{seconds:.1f} s")
    return drawn


def _causes(verdict: Verdict) -> list[Text | Padding | str]:
    """The likely causes, each with what to change."""
    lines: list[Text | Padding | str] = [""]
    found, others = likely(verdict)
    for blame in found[:_CAUSES]:
        name = Text.assemble("likely cause: ", (clean(blame.cause.name), "bold"), f" ({blame.words()})")
        lines += [name, Padding(Text(clean(blame.cause.sentence)), (0, 0, 0, 4))]
        if blame.cause.fix:
            lines.append(Padding(Text(clean(f"do: {blame.cause.fix}")), (0, 0, 0, 4)))
    if len(found) > _CAUSES:
        lines.append(f"and {len(found) - _CAUSES} causes more that fewer checks name")
    if others:
        lines.append(clean(f"never alone: {', '.join(blame.cause.name for blame in others)}"))
    left = unexplained(verdict)
    if left:
        checks = "1 failed check has" if left == 1 else f"{left} failed checks have"
        lines.append(f"{checks} no known cause")
    return [*lines, ""] if len(lines) > 1 else lines


def _kinds(verdict: Verdict) -> dict[str, list[Result]]:
    """The failed checks by level and name."""
    found: dict[str, list[Result]] = {}
    for result in verdict.failed:
        found.setdefault(f"{result.check.level}/{result.check.name}", []).append(result)
    return found


def _worst(verdict: Verdict, kinds: dict[str, list[Result]]) -> Table:
    """A line for every kind of failed check."""
    made = Counter(f"{result.check.level}/{result.check.name}" for result in verdict.results)
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    drawn.add_column("check", overflow="fold")
    drawn.add_column("failed", no_wrap=True, justify="right")
    drawn.add_column("found", overflow="fold")
    for kind, results in kinds.items():
        worst = max(results, key=far)
        pack = f"{worst.check.pack}: " if worst.check.pack else ""
        lines = [f"{pack}{told(worst)}"]
        causes = dict.fromkeys(cause.name for result in results for cause in result.causes)
        if causes:
            lines.append(f"cause: {' or '.join(causes)}")
        count = f"{len(results)} of {made[kind]}"
        found = Text("\n").join(Text(clean(line)) for line in lines)
        drawn.add_row(Text(clean(kind)), Text(count, style=_COLORS["failed"]), found)
    return drawn


def _checks(results: list[Result] | tuple[Result, ...]) -> Table:
    """A line for every check: what it found, its causes, its figures."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    drawn.add_column("check", overflow="fold", ratio=5)
    drawn.add_column("", no_wrap=True)
    drawn.add_column("found", overflow="fold", ratio=8)
    for result in results:
        lines = [told(result)]
        if result.causes:
            lines.append("cause: " + " or ".join(cause.name for cause in result.causes))
        if result.figures and result.status != "passed":
            lines.append(figures(result))
        found = Text("\n").join(Text(clean(line)) for line in lines)
        state = Text(result.status.replace("unexpected ", "un-\nexpected "), style=_COLORS[result.status])
        drawn.add_row(Text(clean(result.check.id)), state, found)
    return drawn


def _skipped(verdict: Verdict) -> list[str]:
    """Why checks were skipped, each reason once."""
    reasons: dict[str, int] = {}
    for result in verdict.results:
        if result.status == "skipped":
            reasons[result.words] = reasons.get(result.words, 0) + 1
    return [f"skipped {count}: {clean(words)}" for words, count in reasons.items()]
