"""What an exploration leaves: its files and its picture."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explored import MODEL, explored, several

from amtl_cvx.amtl.starts import Start
from amtl_cvx.errors import DataError
from amtl_cvx.explore import (
    Landscape,
    explore,
)
from amtl_cvx.graph import ORIENTATION
from amtl_cvx.options import Options
from amtl_cvx.plotting import landscape_figure, write_png


@pytest.fixture
def landscape() -> Landscape:
    return explored()


def test_files_tell_what_the_landscape_tells(landscape: Landscape, tmp_path: Path) -> None:
    landscape.write_csv(tmp_path / "a.csv")
    landscape.write_json(tmp_path / "a.json")
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    stored = json.loads((tmp_path / "a.json").read_text())
    assert tuple(rows[0]) == landscape.columns and len(rows) == len(landscape.points) == len(stored["points"])
    for number, (row, kept, point) in enumerate(
        zip(rows, stored["points"], landscape.points, strict=True), 1
    ):
        assert int(row["point"]) == kept["point"] == number
        assert float(row["objective"]) == kept["objective"] == point.objective
        assert row["starts"].split("; ") == kept["starts"] == list(point.starts)
        assert int(row["hits"]) == len(point.starts)
        assert row["level"] == kept["level"] == ("C3" if "strict" in str(point.second_order) else "C2")
        np.testing.assert_array_equal(kept["B"], point.solution.B)
    assert stored["orientation"] == ORIENTATION
    lowest = landscape.points[0].objective
    assert [float(row["above_lowest"]) for row in rows] == pytest.approx(
        [point.objective / lowest - 1.0 for point in landscape.points], abs=1e-12
    )


def texts(figure: Any) -> str:
    parts = [text.get_text() for text in figure.texts]
    parts += [text.get_text() for axes in figure.axes for text in axes.texts]
    parts += [axes.get_title(loc="left") for axes in figure.axes]
    return "\n".join(parts)


def test_the_picture_shows_hits_errors_and_graphs_in_one_scale(landscape: Landscape) -> None:
    figure = landscape_figure(landscape, title="towns")
    said = texts(figure)
    for words in (
        "towns",
        ORIENTATION,
        "validation rmse",
        "Does the lowest J predict best? No.",
        "Point 1: lowest J",
    ):
        assert words in said
    named = {axes.get_label(): axes for axes in figure.axes}
    number = landscape.points.index(landscape.best_predictor) + 1  # type: ignore[arg-type]
    graphs = [name for name in named if name.startswith("graph of point")]
    assert graphs[0] == "graph of point 1" and f"graph of point {number}" in graphs
    limits = {image.get_clim() for name in graphs for image in named[name].images[1:]}
    shown = [landscape.points[int(name.split()[-1]) - 1].solution.B.max() for name in graphs]
    assert limits == {(0.0, max(shown))}
    bars = [bar.get_width() for bar in named["hits: starts that end here"].patches]
    assert bars == [point.hits for point in landscape.points]
    marks = named["scatter"].collections
    drawn = sorted(tuple(mark.get_offsets()[0]) for mark in marks)
    expected = [(100 * landscape.above_lowest(point), point.error) for point in landscape.points]
    np.testing.assert_allclose(drawn, sorted(expected), rtol=1e-12)


def test_the_picture_of_one_point_and_of_none(rng: np.random.Generator, tmp_path: Path) -> None:
    tasks = several(rng)
    starts = [Start("zero", np.zeros((4, 4)))]
    one = explore(tasks, MODEL, starts, validation=tasks)
    figure = landscape_figure(one)
    assert "scatter" not in {axes.get_label() for axes in figure.axes} and "1 start, 1 point" in texts(figure)
    none = explore(tasks, MODEL, starts, options=Options(max_rounds=1, refine=False))
    assert "none of them certified" in texts(landscape_figure(none))
    for each in (one, none):
        write_png(landscape_figure(each), tmp_path / "a.png")
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(DataError, match="nothing to draw"):
        landscape_figure(Landscape(points=()))


def test_nothing_here_is_called_an_optimum(landscape: Landscape) -> None:
    assert "optim" not in landscape.describe().lower() + texts(landscape_figure(landscape)).lower()
    for source in (Path(__file__).resolve().parents[1] / "amtl_cvx" / "explore").glob("*.py"):
        assert "optimum" not in source.read_text().lower()
