"""The report of a run: one self-contained HTML file.

Pictures are embedded as PNG, style and script are inline, and a content security policy forbids the page to
load anything, so a report can be mailed, archived and opened anywhere. Names of tasks and everything else
that comes from users' files is escaped.

    >>> data = {"name": "pilot", "source": "generated", "T": 15, "d": 20, "rows": 600, "fingerprint": "9f"}
    >>> run = {"arguments": {"mu": 0.1}, "versions": {"numpy": "2.4"}, "data": data}
    >>> write_report("report.html", solution=solution, **run)
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import jinja2
from numpy.typing import ArrayLike

from amtl_cvx.certificate import LEVELS
from amtl_cvx.certificate.figures import facts
from amtl_cvx.certificate.levels import is_stopped
from amtl_cvx.plotting.canvas import shortened
from amtl_cvx.report import pictures
from amtl_cvx.report.tables import (
    digits,
    method_words,
    score_table,
    score_words,
    settings,
    shown,
    tiles,
    weight_table,
)
from amtl_cvx.solution import Solution

_EMPTY = {"learned": "", "about": "", "details": ""}
"""Where a family may put sections of its own."""
_MARKS = {
    "reached": "\N{CHECK MARK}",
    "not reached": "\N{MULTIPLICATION X}",
    "cannot tell": "?",
    "cannot be had": "\N{EN DASH}",
    "not tried": "",
}


def write_report(
    path: str | PathLike[str],
    *,
    solution: Solution,
    arguments: Mapping[str, Any],
    versions: Mapping[str, str],
    data: Mapping[str, Any],
    scores: Mapping[str, Any] | None = None,
    truth_B: ArrayLike | None = None,
    further: str = "",
) -> None:
    """Write the HTML report of a run.

    Parameters
    ----------
    path : path
        The file to write.
    solution : Solution
        The result.
    arguments, versions : Mapping
        The run's arguments, and the versions of the software.
    data : Mapping
        What was learned from: name, source, T, d, rows, fingerprint (any other entry is listed too).
    scores : Mapping, optional
        Per method a number, or a mapping from metric to number; e.g. test errors.
    truth_B : (T, T) array_like, optional
        The planted truth that the family knows to draw (AMTL: B), where there is one.
    further : str
        Sections of the page that are not of the solution, such as `report.tuning.section`.

    Raises
    ------
    DataError
        If truth_B has another shape than B.
    """
    page = template("page.html.jinja").render(
        solution=solution,
        certificate=solution.certificate,
        stopped=is_stopped(solution.certificate.kind) and not solution.certificate.passes,
        level_word=LEVELS.get(solution.certificate.level or "", ""),
        sentences=solution.certificate.sentences(),
        headline=solution.family.headline(solution.certificate),
        numbers=tiles(solution, data),
        tasks=len(solution.task_names),
        sections={**_EMPTY, **solution.family.sections(solution, truth=truth_B)},
        further=further,
        weights=weight_table(solution) if solution.family.linear else None,
        command=arguments.get("command_line"),
        method=method_words(solution, arguments),
        score_words=score_words(scores or {}),
        convergence=pictures.convergence_picture(solution),
        rungs=[
            (rung, _MARKS[rung.state], rung.state.replace(" ", "-")) for rung in solution.certificate.rungs()
        ],
        fact_groups=facts(solution.certificate),
        score_table=score_table(scores or {}),
        run_tables=[
            ("Settings", settings(arguments)),
            ("Data", data),
            ("Versions", versions),
            ("Seconds", solution.seconds),
        ],
    )
    Path(path).write_text(page, encoding="utf-8")


def template(name: str, *, home: str = __name__) -> jinja2.Template:
    """A template of the package `home`, which may import and include those of this one."""
    places = [importlib.resources.files(each) for each in dict.fromkeys((home, __name__))]

    def text(name: str) -> str:
        """Where it is first found."""
        return next(place.joinpath(name) for place in places if place.joinpath(name).is_file()).read_text(
            encoding="utf-8"
        )

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["shown"] = shown
    environment.filters["digits"] = digits
    environment.filters["short"] = lambda name: shortened(name, 22)
    return environment.get_template(name)
