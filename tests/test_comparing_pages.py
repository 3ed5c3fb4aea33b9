"""Pictures and page of a comparison: what they show is what it says, whatever the names hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compared import by_hand
from matplotlib.collections import LineCollection
from pictures import outside, panel, words
from test_report import EVIL, Page

from amtl_cvx.errors import DataError
from amtl_cvx.experiment.comparing import Comparison
from amtl_cvx.experiment.comparing.tables import interval_words
from amtl_cvx.plotting.comparing import compared_graphs, errors_figure, gains_figure, stability_figure
from amtl_cvx.report.comparing import headline, write_comparison


def drawn(
    T: int = 5, parts: int = 3, *, names: tuple[str, ...] | None = None, graphs: bool = True
) -> Comparison:
    rng = np.random.default_rng(T)
    base = rng.uniform(1.0, 2.0, size=(parts, T))
    errors = {
        "stl": base,
        "mean": base - np.linspace(0.4, -0.3, T),
        "amtl": base + rng.normal(size=(parts, T)),
    }
    made = np.where(rng.random((parts, T, T)) < 0.3, rng.random((parts, T, T)), 0.0)
    for B in made:
        np.fill_diagonal(B, 0.0)
    return by_hand(
        {name: each.tolist() for name, each in errors.items()},
        names=names or tuple(f"task {t}" for t in range(T)),
        graphs={"amtl": list(made)} if graphs else None,
    )


SEVERAL = drawn()


def test_errors_and_gains_with_their_intervals() -> None:
    figure = errors_figure(SEVERAL, title="shops")
    assert not outside(figure) and {"STL", "MEAN", "AMTL"} <= set(words(figure).splitlines())
    means = [float(line.get_xdata()[0]) for line in panel(figure, "error").lines if line.get_marker() in "so"]
    for name in SEVERAL.contenders:
        assert any(mean == pytest.approx(SEVERAL.error(name).mean) for mean in means)
    bars = [each for each in panel(figure, "gain").collections if isinstance(each, LineCollection)]
    ends = [segment[:, 0].tolist() for each in bars for segment in each.get_segments()]
    for name in ("mean", "amtl"):
        gain = SEVERAL.gain(name)
        assert any(pair == pytest.approx([gain.low, gain.high]) for pair in ends)
    one = errors_figure(drawn(parts=1))
    assert "one part, no interval" in words(one) and not outside(one)


@pytest.mark.parametrize("T", [1, 5, 60])
def test_losers_are_marked(T: int) -> None:
    found = drawn(T, graphs=False)
    figure = gains_figure(found, title="shops")
    assert not outside(figure)
    for name in ("mean", "amtl"):
        axes, gains = panel(figure, f"gains of {name}"), found.gains(name)
        heights = [float(patch.get_height()) for patch in axes.patches]
        means = [gain.interval.mean for gain in gains.tasks]
        assert heights == pytest.approx(sorted(means, reverse=True) if T > 40 else means)
        marks = next(line for line in axes.lines if line.get_marker() == "v").get_xdata()
        assert [heights[int(at)] < 0 for at in marks] == [True] * gains.lost
        assert f"{name.upper()}: {gains.words}" in words(figure) and axes.get_ylabel() == "gain in rmse"
    worst = min(found.gains("mean").tasks, key=lambda gain: gain.interval.mean).task
    assert T <= 40 or worst in words(figure)


def test_no_interval_hides_a_mark() -> None:
    for axes in (panel(gains_figure(drawn(12)), f"gains of {name}") for name in ("mean", "amtl")):
        marks = next(line for line in axes.lines if line.get_marker() == "v")
        high = marks.get_transform().transform(marks.get_xydata())[:, 1] + marks.get_markersize() / 144 * 100
        assert (high < axes.get_window_extent().y0).all()


def test_one_graph_leaves_no_half_of_the_picture_empty() -> None:
    several = drawn(12)
    stable = several.stability("amtl")
    assert stable is not None
    for figure in (stability_figure(several, title="a-data-set"), compared_graphs(several)):
        cells = next(axes for axes in figure.axes if "of amtl" in axes.get_label())
        assert cells.get_position().x1 > 0.75
    axes = panel(stability_figure(several), "share of parts of amtl")
    numbers = {text.get_position()[::-1]: float(text.get_text()) for text in axes.texts}
    assert numbers == {
        (s, t): pytest.approx(3 * stable.share[s, t]) for s, t in np.argwhere(stable.share).tolist()
    }


def test_graphs_and_how_often_their_edges_are_there() -> None:
    stable = SEVERAL.stability("amtl")
    assert stable is not None
    for figure, label, shown in (
        (compared_graphs(SEVERAL), "B[s, t] of amtl", stable.mean),
        (compared_graphs(SEVERAL, part="part 1"), "B[s, t] of amtl", stable.graphs[1]),
        (stability_figure(SEVERAL), "share of parts of amtl", stable.share),
    ):
        assert not outside(figure) and "task s helps task t" in words(figure)
        assert [axes.get_label() for axes in figure.axes if "of " in axes.get_label()] == [label]
        cells = panel(figure, label).images[-1].get_array()
        np.testing.assert_allclose(np.ma.filled(cells, 0.0), shown)


def test_what_is_not_there_is_not_drawn() -> None:
    empty = drawn(graphs=False)
    assert empty.stability("amtl") is None
    for figure in (compared_graphs, stability_figure):
        with pytest.raises(DataError, match="learned"):
            figure(empty)
    with pytest.raises(DataError, match="several parts"):
        stability_figure(drawn(parts=1))
    with pytest.raises(DataError, match="baseline"):
        gains_figure(by_hand({"amtl": [[1.0, 1.0, 1.0]]}))


@pytest.mark.slow
def test_the_page_is_whole_and_safe(tmp_path: Path) -> None:
    names = (EVIL, "b & <b>", *(f"task {t}" for t in range(3)))
    found = drawn(names=names)
    write_comparison(tmp_path / "page.html", found, name=EVIL, arguments={"command_line": f"amtl-cvx {EVIL}"})
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert EVIL not in text and "http:" not in text and "https:" not in text
    page = Page(text)
    assert page.tags.count("img") == 4
    assert [row[0] for row in page.tables["methods"]] == ["method", "STL", "MEAN", "AMTL"]
    gains = {gain.task: gain for gain in found.gains("amtl").tasks}
    rows = {row[0]: row[2] for row in page.tables["tasks-gains"][1:]}
    assert rows == {name: interval_words(gain.interval) for name, gain in gains.items()}
    assert len(page.tables["fits"]) == 1 + 9 and page.tables["fits"][1][4] == "C2"
    single = drawn(parts=1, graphs=False)
    write_comparison(tmp_path / "page.html", single)
    assert Page((tmp_path / "page.html").read_text(encoding="utf-8")).tags.count("img") == 2


def test_a_headline_claims_no_more_than_the_interval() -> None:
    equal = by_hand({"stl": [[1.0] * 3, [2.0] * 3], "amtl": [[1.1] * 3, [1.8] * 3]})
    assert headline(equal).endswith("which may be chance") and headline(equal).startswith(
        "AMTL has the least"
    )
    clear = by_hand({"stl": [[1.0] * 3, [2.0] * 3, [3.0] * 3], "amtl": [[0.5] * 3, [1.52] * 3, [2.49] * 3]})
    assert "interval" in headline(clear) and "chance" not in headline(clear)
    assert headline(by_hand({"stl": [[1.0] * 3], "amtl": [[2.0] * 3]})) == "STL has the least rmse, 1"
    right = {"stl": [False] * 3 + [True] * 9, "amtl": [True] * 12}
    one = by_hand({"stl": [[0.25] * 3], "amtl": [[0.0] * 3]}, right=right)
    assert "McNemar p 0.25, which may be chance" in headline(one)


def test_a_method_that_went_astray_leaves_the_others_their_scale() -> None:
    inf = float("inf")
    errors = {
        "stl": [[1.0, 1.2, 0.9], [1.1, 1.3, 1.0]],
        "amtl": [[0.9, 1.1, 0.9], [1.0, 1.2, 1.1]],
        "smtl": [[5e6, 1.1, 0.9], [1.0, 2e7, 1.1]],
        "mean": [[1.0, inf, 0.9], [1.0, 1.2, 1.0]],
    }
    found = by_hand(errors)
    figure = errors_figure(found)
    assert not outside(figure) and {"no number", "4.2e+06", "-4.2e+06"} <= set(words(figure).splitlines())
    assert panel(figure, "error").get_xlim()[1] < 2 and panel(figure, "gain").get_xlim()[0] > -1
    bars = gains_figure(found)
    assert not outside(bars) and panel(bars, "gains of smtl").get_ylim()[0] > -2
