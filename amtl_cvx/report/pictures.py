"""The pictures of a report, as PNG inside the page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, NamedTuple

from amtl_cvx.plotting import convergence_figure, write_png
from amtl_cvx.solution import Solution

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 180


class Picture(NamedTuple):
    """An embedded figure; `width` in CSS pixels at its natural size."""

    uri: str
    alt: str
    caption: str
    width: int


def convergence_picture(solution: Solution) -> Picture:
    """Objective and residuals over the steps."""
    figure = convergence_figure(solution.history, tol=solution.certificate.tol)
    words = f"Objective and residuals over the {len(solution.history)} steps of the run"
    return embedded(figure, words, f"{words}. Hollow marks on the lowest line are zeros.")


def embedded(figure: Figure, alt: str, caption: str, *, dpi: int = _DPI) -> Picture:
    """A figure as the page holds it."""
    buffer = io.BytesIO()
    write_png(figure, buffer, dpi=dpi)
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(uri, alt, caption, width=round(96 * figure.get_figwidth()))
