"""What the tests of pictures share: an example, and what is found in a figure."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from amtl_cvx.graph import TransferGraph

Array = NDArray[np.float64]


def example(
    T: int, edges: int, *, names: tuple[str, ...] | None = None, losses: bool = True
) -> TransferGraph:
    rng = np.random.default_rng(T)
    places = [(s, t) for s in range(T) for t in range(T) if s != t]
    B = np.zeros((T, T))
    for place in rng.choice(len(places), edges, replace=False) if edges else []:
        B[places[place]] = rng.uniform(0.05, 1.0)
    labels = names or tuple(f"task {t}" for t in range(T))
    return TransferGraph(B=B, names=labels, losses=rng.uniform(0.1, 0.5, T) if losses else None)


def panel(figure: Figure, label: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_label() == label)


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in figure.findobj(Text))


def boxes(texts: list[Text], figure: Figure) -> list[Array]:
    """The (rotated) corners of each text, shrunk a little, so that touching is allowed."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    corners = []
    for text in texts:
        angle = np.radians(text.get_rotation())
        text.set_rotation(0)
        box = text.get_window_extent(renderer)
        text.set_rotation(float(np.degrees(angle)))
        anchor = text.get_transform().transform(text.get_position())
        corner = np.array([[box.x0, box.y0], [box.x1, box.y0], [box.x1, box.y1], [box.x0, box.y1]]) - anchor
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        corner = corner @ turn.T + anchor
        corners.append(corner.mean(axis=0) + 0.85 * (corner - corner.mean(axis=0)))
    return corners


def outside(figure: Figure) -> list[str]:
    """Texts that the border of the figure cuts."""
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    found = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in found]
    return [t for t, b in boxes if b.x0 < 0 or b.y0 < 0 or b.x1 > width or b.y1 > height]
