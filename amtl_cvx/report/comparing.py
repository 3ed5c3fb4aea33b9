"""The page of a comparison: one self-contained HTML file, as the report of a run is.

>>> write_comparison("comparison.html", comparison, name="school")
"""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from amtl_cvx.experiment.comparing import Comparison
from amtl_cvx.experiment.comparing.tables import contender_rows, fit_rows, interval_words, notes
from amtl_cvx.plotting.comparing import compared_graphs, errors_figure, gains_figure, stability_figure
from amtl_cvx.report import template
from amtl_cvx.report.pictures import Picture, embedded

_TASKS = 400
"""Tasks that the table of gains lists at most."""


def write_comparison(
    path: str | PathLike[str],
    comparison: Comparison,
    *,
    name: str = "comparison",
    arguments: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    versions: Mapping[str, str] | None = None,
) -> None:
    """Write the page of a comparison.

    Parameters
    ----------
    path : path
        The file to write.
    comparison : Comparison
        What `compare` returned.
    name : str
        What titles call the data.
    arguments, data, versions : mapping, optional
        The arguments of the run, what was learned from, the versions of the software.
    """
    told = [each for each in comparison.contenders if each != comparison.baseline]
    page = template("comparison.html.jinja").render(
        comparison=comparison,
        name=name,
        headline=headline(comparison),
        notes=notes(comparison),
        numbers=_tiles(comparison),
        rows=contender_rows(comparison),
        over="" if comparison.baseline is None else comparison.titles[comparison.baseline],
        fits=fit_rows(comparison),
        outcomes=comparison.outcomes,
        gains={each: comparison.gains(each) for each in told} if comparison.baseline else {},
        stable={each: found for each in comparison.contenders if (found := comparison.stability(each))},
        pictures=_pictures(comparison),
        task_rows=_task_rows(comparison, told),
        listed=_TASKS,
        tasks=len(comparison.tasks),
        command=(arguments or {}).get("command_line"),
        run_tables=[
            ("Settings", _settings(arguments or {})),
            ("Data", data or {}),
            ("Versions", versions or {}),
        ],
    )
    Path(path).write_text(page, encoding="utf-8")


def headline(comparison: Comparison) -> str:
    """Who has the least error, and what is known of its gain; no claim where the interval holds 0."""
    least = min(comparison.contenders, key=lambda each: comparison.error(each).mean)
    error = comparison.error(least)
    words = f"{comparison.titles[least]} has the least {comparison.measure}, {error.mean:.4g}"
    if comparison.baseline is None or least == comparison.baseline:
        return words
    gain, over = comparison.gain(least), comparison.titles[comparison.baseline]
    words += f": {gain.mean:.3g} less than {over}"
    test = comparison.mcnemar(least)
    if gain.low is not None:
        words += f", interval {gain.low:.3g} to {gain.high:.3g}"
        return words if gain.side else f"{words}, which may be chance"
    if test is not None:
        words += f", McNemar p {test.p:.2g}"
        return words if test.p < 1.0 - comparison.level else f"{words}, which may be chance"
    return words


def _tiles(comparison: Comparison) -> list[tuple[str, str]]:
    outcomes = comparison.outcomes
    passed = sum(each.learned.passes for each in outcomes)
    early = sum(each.learned.stopped for each in outcomes)
    seconds = sum(sum(each.learned.seconds.values()) for each in outcomes)
    found = [
        ("methods", str(len(comparison.contenders))),
        ("parts", str(len(comparison.parts))),
        ("tasks", str(len(comparison.tasks))),
        ("fits judged", str(len(outcomes))),
        ("of them certified", str(passed)),
    ]
    found += [("stopped early, as chosen", str(early))] if early else []
    return [*found, ("seconds of fitting", f"{seconds:.3g}")]


def _pictures(comparison: Comparison) -> dict[str, Picture]:
    """Those that there are, by name."""
    found = {
        "errors": embedded(
            errors_figure(comparison),
            "Errors of the methods, and gains over the baseline",
            "Small grey: each part. The interval of a gain is paired, part by part.",
        )
    }
    if comparison.baseline is not None and len(comparison.contenders) > 1:
        words = "What each task gains or loses"
        found["gains"] = embedded(gains_figure(comparison), words, f"{words}; triangles mark who loses.")
    if any(comparison.stability(each) for each in comparison.contenders):
        found["graphs"] = embedded(
            compared_graphs(comparison),
            "Learned graphs side by side",
            "An edge goes from the row to the column.",
        )
        if len(comparison.parts) > 1:
            words = "How often each edge is there"
            found["stability"] = embedded(stability_figure(comparison), words, f"{words}, over the parts.")
    return found


def _task_rows(comparison: Comparison, told: list[str]) -> list[tuple[str, list[tuple[float, str, int]]]]:
    """Task, and its gain with each contender: the number, in words, and its side."""
    if comparison.baseline is None:
        return []
    columns = [{gain.task: gain for gain in comparison.gains(each).tasks} for each in told]
    names = [task for task in comparison.tasks if all(task in column for column in columns)]
    return [
        (task, [(c[task].interval.mean, interval_words(c[task].interval), c[task].side) for c in columns])
        for task in (names if columns else [])[:_TASKS]
    ]


def _settings(arguments: Mapping[str, Any]) -> dict[str, Any]:
    left_out = ("command", "command_line", "data", "out", "quiet", "verbose", "json", "force", "jobs")
    return {
        name: value
        for name, value in arguments.items()
        if name not in left_out and value is not None and value is not False
    }
