"""The folder of a comparison: one of its own, held while the comparison runs, written when it is done.

    comparison.html    the page
    comparison.json    all figures, one object
    methods.csv, fits.csv, tasks.csv    one row a method, a fit, a task of a fit
    errors.png, gains.png, graphs.png, stability.png    the pictures, where there is something to draw

DIR is absent, empty, or an earlier comparison, whose files are replaced; whatever else lies in it stays.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from amtl_cvx.errors import DataError
from amtl_cvx.experiment.comparing import Comparison, write_json, write_rows
from amtl_cvx.experiment.comparing.tables import contender_rows, fit_rows, task_rows
from amtl_cvx.runfolder.files import OWN_PREFIX
from amtl_cvx.runfolder.work import Work

_log = logging.getLogger(__name__)
MAIN = "comparison.json"
FILES = (
    "comparison.html", "methods.csv", "fits.csv", "tasks.csv", "errors.png", "gains.png", "graphs.png",
    "stability.png", MAIN,
)  # fmt: skip
"""What is ours in the folder; the last one says that the others are there."""


class ComparisonFolder:
    """The place of a comparison, held for one process.

    Parameters
    ----------
    place : Path
        DIR.

    Raises
    ------
    DataError
        Where DIR is something else than an earlier comparison, or cannot be written.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self._target = Path(os.path.realpath(place))
        self._check()
        try:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            home = self._target if self._target.is_dir() else self._target.parent
            self._work = Work(self._target, home=home)
        except OSError as error:
            raise DataError(
                f"cannot write to {place}: {error.strerror}: choose another folder (--out)"
            ) from error

    @property
    def journal(self) -> Path:
        """DIR.comparison, beside DIR: where finished fits are kept."""
        return self._target.with_name(f"{self._target.name}.comparison")

    def __enter__(self) -> ComparisonFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._work.close()

    def _check(self) -> None:
        place = self._target
        if not os.path.lexists(place):
            return
        if not place.is_dir():
            what = "is a file"
        elif not _is_ours(place) and any(not name.startswith(OWN_PREFIX) for name in os.listdir(place)):
            what = "is a folder without a comparison of ours"
        else:
            return
        raise DataError(
            f"{self.place} exists and {what}: it is left alone, choose another folder (--out) or remove it"
        )

    def write(self, comparison: Comparison, *, name: str, page: Mapping[str, Any]) -> None:
        """Write all files, then put them at their place, comparison.json last."""
        staged = self._work.new()
        try:
            write_json(comparison, staged / MAIN)
            write_rows(contender_rows(comparison), staged / "methods.csv")
            write_rows(fit_rows(comparison), staged / "fits.csv")
            write_rows(task_rows(comparison), staged / "tasks.csv")
            _draw(comparison, staged, name, page)
            self._put(staged)
        except OSError as error:
            raise DataError(
                f"cannot write to {self.place}: {error.strerror}: the fits are in {self.journal}, choose"
                " another folder (--out)"
            ) from error

    def _put(self, staged: Path) -> None:
        if not self._target.is_dir():
            os.rename(staged, self._target)
            return
        for file in FILES:
            if (staged / file).exists():
                os.replace(staged / file, self._target / file)
            else:
                (self._target / file).unlink(missing_ok=True)


def _is_ours(place: Path) -> bool:
    """Whether a folder holds a comparison of ours."""
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((place / MAIN).read_text(encoding="utf-8"))
        return isinstance(content, dict) and content.get("format") == "amtl_cvx comparison"
    return False


def _draw(comparison: Comparison, folder: Path, name: str, page: Mapping[str, Any]) -> None:
    """The pictures and the page; what cannot be drawn is a warning."""
    from amtl_cvx.plotting import write_png
    from amtl_cvx.plotting.comparing import compared_graphs, errors_figure, gains_figure, stability_figure
    from amtl_cvx.report.comparing import write_comparison

    figures: dict[str, Callable[..., Any]] = {"errors.png": errors_figure}
    if comparison.baseline is not None and len(comparison.contenders) > 1:
        figures["gains.png"] = gains_figure
    if any(comparison.stability(each) for each in comparison.contenders):
        figures["graphs.png"] = compared_graphs
        if len(comparison.parts) > 1:
            figures["stability.png"] = stability_figure
    for file, figure in figures.items():
        try:
            write_png(figure(comparison, title=name), folder / file)
        except Exception as error:
            _log.warning("%s is not drawn: %s", file, error)
    try:
        write_comparison(folder / "comparison.html", comparison, name=name, **page)
    except Exception as error:
        _log.warning("comparison.html is not written: %s", error)
