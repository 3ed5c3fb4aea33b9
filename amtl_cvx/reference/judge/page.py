"""The verdict as one HTML file: what passed, the likely causes, and every failed check with its picture.

In the style of the report of a run (`amtl_cvx.report`): pictures are inside, nothing is loaded from anywhere,
and whatever a back end calls itself or says is escaped.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amtl_cvx.reference.judge.summary import figures, likely, told, unexplained
from amtl_cvx.reference.judge.verdict import LEVELS, STATUSES, Result, Verdict

if TYPE_CHECKING:
    from amtl_cvx.report.pictures import Picture

MARKS = {
    "passed": "\N{CHECK MARK}",
    "failed": "\N{MULTIPLICATION X}",
    "unexpected pass": "\N{MULTIPLICATION X}",
    "expected": "!",
    "skipped": "\N{EN DASH}",
}
_DPI = 120


def write_page(path: str | PathLike[str], verdict: Verdict) -> None:
    """Write the verdict as one HTML file.

    Parameters
    ----------
    path : path
        The file to write.
    verdict : Verdict
        What to write.
    """
    from amtl_cvx.report import template  # matplotlib, which a table needs not

    page = template("page.html.jinja", home=__package__ or "").render(
        verdict=verdict,
        headline=_headline(verdict),
        tiles=_tiles(verdict),
        levels=[_level(verdict, level) for level in verdict.levels()],
        statuses=[status for status in STATUSES if status in verdict.counts()],
        blames=likely(verdict)[0],
        never_alone=likely(verdict)[1],
        unexplained=unexplained(verdict),
        failed=[_failed(result) for result in verdict.failed],
        announced=[result for result in verdict.results if result.status == "expected"],
        others=[result for result in verdict.results if result.status in ("passed", "skipped")],
        marks=MARKS,
        told=told,
        figures=figures,
        tasks=0,
    )
    Path(path).write_text(page, encoding="utf-8")


def _headline(verdict: Verdict) -> str:
    """The first line."""
    bad = len(verdict.failed)
    if verdict.passes:
        return f"{verdict.backend} passes"
    if not bad:
        return f"{verdict.backend}: no check was passed"
    return f"{verdict.backend} fails {bad} {'check' if bad == 1 else 'checks'}"


def _tiles(verdict: Verdict) -> list[tuple[str, str]]:
    """The tiles under it."""
    counts = verdict.counts()
    shown = [(status, str(counts[status])) for status in STATUSES if status in counts]
    return [*shown, ("packs", str(len(verdict.packs))), ("seconds", f"{verdict.seconds:.1f}")]


def _level(verdict: Verdict, level: str) -> dict[str, Any]:
    """A row of the table of levels."""
    counts = verdict.counts(level)
    seconds = sum(result.seconds for result in verdict.results if result.check.level == level)
    bad = counts.get("failed", 0) + counts.get("unexpected pass", 0)
    return {"code": level, "words": LEVELS[level], "counts": counts, "seconds": seconds, "bad": bad}


def _failed(result: Result) -> tuple[Result, Picture]:
    """A failed check with its picture."""
    from amtl_cvx.reference.judge.pictures import picture, words
    from amtl_cvx.report.pictures import embedded

    shown = words(result)
    return result, embedded(
        picture(result, titled=False), f"{result.check.id}: {told(result)}", shown, dpi=_DPI
    )
