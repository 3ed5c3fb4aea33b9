"""Figures, judged by their geometry and their words; no picture is compared with a stored one."""

from __future__ import annotations

import dataclasses
import io
import itertools

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from pictures import Array, boxes, example, outside, panel, words

from amtl_cvx.graph import ORIENTATION, TransferGraph
from amtl_cvx.plotting import (
    MAX_EDGES,
    graph_figure,
    heatmap,
    node_link,
    truth_figure,
    write_png,
)
from amtl_cvx.plotting.canvas import shortened


def arrows(figure: Figure) -> dict[str, FancyArrowPatch]:
    patches = [patch for patch in panel(figure, "node-link").patches if isinstance(patch, FancyArrowPatch)]
    return {str(patch.get_gid()): patch for patch in patches}


def nodes(figure: Figure) -> dict[str, Circle]:
    return {str(p.get_gid()): p for p in panel(figure, "node-link").patches if isinstance(p, Circle)}


def course(patch: FancyArrowPatch, points: int = 60) -> Array:
    """Points along the arrow's curve between the centres of its nodes, in inches."""
    (start, end), style = patch._posA_posB, patch.get_connectionstyle()  # type: ignore[attr-defined]
    p0, p1, p2 = np.asarray(style.connect(start, end).vertices)
    u = np.linspace(0.0, 1.0, points)[:, None]
    return np.asarray((1 - u) ** 2 * p0 + 2 * u * (1 - u) * p1 + u**2 * p2)


def apart(a: Array, b: Array) -> bool:
    """Separating axes of two rectangles."""
    for rectangle in (a, b):
        for side in (rectangle[1] - rectangle[0], rectangle[3] - rectangle[0]):
            if (a @ side).max() < (b @ side).min() or (b @ side).max() < (a @ side).min():
                return True
    return False


def test_the_heatmap_shows_an_edge_in_the_row_of_its_source() -> None:
    B = np.zeros((3, 3))
    B[0, 2] = 0.5
    figure = heatmap(TransferGraph(B=B, names=("a", "b", "c")))
    axes = panel(figure, "heatmap")
    shown = np.ma.getmaskarray(axes.images[-1].get_array())
    assert np.argwhere(~shown).tolist() == [[0, 2]]
    assert axes.get_ylim() == (2.5, -0.5) and axes.get_xlim() == (-0.5, 2.5)  # row 0 on top, column 0 left
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "c"]


def test_cells_carry_their_number_in_two_digits() -> None:
    B = np.zeros((4, 4))
    B[0, 1:], B[1, [0, 2, 3]] = (0.934, 0.0051, 0.0049), (3e-12, 1.25, 1e6)
    cells = panel(heatmap(TransferGraph(B=B, names=tuple("abcd"))), "heatmap").texts
    found = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in cells}
    first = {(0, 1): ".93", (0, 2): ".01", (0, 3): "<.01"}
    assert found == {**first, (1, 0): "<.01", (1, 2): "1.25", (1, 3): "1e+06"}


def test_the_margins_are_in_line_with_the_rows() -> None:
    graph = example(7, 12)
    figure = heatmap(graph)
    cells = panel(figure, "heatmap")
    for label, values in (("gives (row sum)", graph.outgoing), ("loss", graph.losses)):
        axes = panel(figure, label)
        assert axes.get_ylim() == cells.get_ylim()
        assert axes.get_position().intervaly == pytest.approx(cells.get_position().intervaly)
        np.testing.assert_allclose([bar.get_width() for bar in axes.patches], values)


@pytest.mark.parametrize("edge", [(0, 2), (2, 0), (1, 3)])
def test_an_arrow_runs_from_the_border_of_its_source_to_the_border_of_its_target(
    edge: tuple[int, int],
) -> None:
    B = np.zeros((4, 4))
    B[edge] = 0.5
    figure = node_link(TransferGraph(B=B, names=("a", "b", "c", "d")))
    figure.draw_without_rendering()
    arrow = arrows(figure)[f"edge {edge[0]} -> {edge[1]}"]
    paths, fillable = arrow._get_path_in_displaycoord()  # type: ignore[attr-defined]
    scale = panel(figure, "node-link").transData
    inch = scale.transform((1, 0))[0] - scale.transform((0, 0))[0]
    source, target = (nodes(figure)[f"node {t}"] for t in edge)
    start = np.linalg.norm(paths[0].vertices[0] - scale.transform(source.center)) / inch
    tip = np.linalg.norm(paths[1].vertices - scale.transform(target.center), axis=1).min() / inch
    assert list(fillable) == [False, True]  # the head is at the end, none at the start
    assert start == pytest.approx(source.radius, abs=0.02)
    assert target.radius < tip < target.radius + 0.08  # its mitred corner reaches further than its vertices


@pytest.mark.parametrize("T", [2, 3, 4, 5, 8, *(pytest.param(T, marks=pytest.mark.slow) for T in (12, 13))])
def test_the_two_arrows_of_a_pair_never_lie_on_each_other_nor_cross_a_node(T: int) -> None:
    figure = node_link(example(T, min(T * (T - 1), MAX_EDGES)))
    found = arrows(figure)
    for name, arrow in found.items():
        _, source, _, target = name.split()
        line = course(arrow)
        back = found.get(f"edge {target} -> {source}")
        if back is not None:
            assert np.linalg.norm(line - course(back)[::-1], axis=1).max() > 0.05
        for other, node in nodes(figure).items():
            if other not in (f"node {source}", f"node {target}"):
                assert np.linalg.norm(line - node.center, axis=1).min() > node.radius


def test_width_and_colour_follow_weight_and_strong_edges_lie_on_top() -> None:
    graph = example(9, 30)
    found = arrows(node_link(graph))
    ordered = [found[f"edge {e.source} -> {e.target}"] for e in graph.edges]
    for strong, weak in itertools.pairwise(ordered):
        assert strong.get_linewidth() > weak.get_linewidth() and strong.get_zorder() > weak.get_zorder()


def test_negative_edges_have_a_colour_and_a_line_of_their_own() -> None:
    """Red and dashed for -B, blue and solid for B; what is as strong is as dark."""
    B = np.array([[0, -0.8, 0.8], [0.2, 0, 0], [0, -0.2, 0]])
    graph = TransferGraph(B=B, names=("a", "b", "c"), losses=np.ones(3), signed=True)
    figure = graph_figure(graph)
    found = arrows(figure)
    for s, t in np.argwhere(B):
        red, _, blue, _ = found[f"edge {s} -> {t}"].get_edgecolor()
        assert (red > blue) == (B[s, t] < 0)
        assert (found[f"edge {s} -> {t}"].get_linestyle() != "-") == (B[s, t] < 0)
    assert found["edge 0 -> 1"].get_linewidth() == found["edge 0 -> 2"].get_linewidth()
    cells = panel(figure, "heatmap").images[-1]
    shown = cells.cmap(cells.norm(B))
    np.testing.assert_array_equal(shown[..., 0] > shown[..., 2], B < 0)
    np.testing.assert_array_equal(np.ma.getmaskarray(cells.get_array()), B == 0)
    assert shown[0, 2, :3].sum() < shown[1, 0, :3].sum() and shown[0, 1, :3].sum() < shown[2, 1, :3].sum()
    assert {"\N{MINUS SIGN}.80", ".80", "gives (sizes)"} <= set(words(figure).split("\n"))
    assert "dashed, red" in words(figure) and "|B[s, t]|, at most 0.8" in words(figure)
    assert "red" not in words(graph_figure(dataclasses.replace(graph, B=np.abs(B))))
    assert not outside(figure)


def test_node_colours_order_as_losses() -> None:
    graph = example(8, 10)
    assert graph.losses is not None
    found = nodes(node_link(graph))
    brightness = [sum(found[f"node {t}"].get_facecolor()[:3]) for t in np.argsort(graph.losses)]
    assert brightness == sorted(brightness, reverse=True)  # a high loss is dark


def test_a_picture_of_many_edges_draws_the_strongest_and_says_so() -> None:
    graph = example(20, 150)
    figure = node_link(graph)
    assert set(arrows(figure)) == {f"edge {e.source} -> {e.target}" for e in graph.edges[:MAX_EDGES]}
    assert f"the {MAX_EDGES} strongest of 150 edges" in words(figure)
    assert "strongest" not in words(node_link(example(20, MAX_EDGES)))


@pytest.mark.parametrize("T", [1, pytest.param(2, marks=pytest.mark.slow), 5])
def test_every_figure_of_a_graph_states_its_orientation(T: int) -> None:
    graph = example(T, 0 if T == 1 else 2)
    arrow = "arrow s \N{RIGHTWARDS ARROW} t: task s helps task t"
    assert ORIENTATION in words(heatmap(graph)) and arrow in words(node_link(graph))
    assert {ORIENTATION, arrow} <= set(words(graph_figure(graph, title="a title")).splitlines())
    assert ORIENTATION in words(truth_figure(graph, graph.B))


def test_an_empty_graph_says_so() -> None:
    for figure in (heatmap(example(5, 0)), node_link(example(5, 0))):
        assert "empty graph" in words(figure)


@pytest.mark.parametrize(
    "T", [1, 12, 13, 80, *(pytest.param(T, marks=pytest.mark.slow) for T in (10, 41, 139, 200))]
)
@pytest.mark.slow
def test_names_never_overlap(T: int) -> None:
    figure = graph_figure(
        example(T, min(T * (T - 1), 9), names=tuple(f"school {t} of the north side" for t in range(T)))
    )
    cells, circle = panel(figure, "heatmap"), panel(figure, "node-link")
    for texts in (cells.get_xticklabels(), cells.get_yticklabels(), circle.texts):
        corners = boxes([text for text in texts if text.get_text()], figure)
        assert corners
        assert all(apart(a, b) for a, b in itertools.combinations(corners, 2))


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("T", "losses"),
    [
        (1, False),
        (2, True),
        (6, True),
        *(
            pytest.param(T, losses, marks=pytest.mark.slow)
            for T, losses in ((1, True), (2, False), (10, True), (50, True))
        ),
    ],
)
def test_no_text_leaves_the_figure(T: int, losses: bool) -> None:
    graph = example(
        T,
        min(T * (T - 1), 12),
        names=tuple(f"{t} a rather long name, part {t}" for t in range(T)),
        losses=losses,
    )
    for figure in (graph_figure(graph), truth_figure(graph, graph.B)):
        assert not outside(figure)


def test_names_are_drawn_as_they_are() -> None:
    names = ("a $x$ b", r"\frac{1}", "$\\nonsense{", "tab\tline\nbreak", "\u5b66\u6821", "")
    graph = example(6, 8, names=names)
    figure = graph_figure(graph, title="costs $5 or $6")
    write_png(figure, io.BytesIO(), dpi=50)  # neither mathtext nor a missing glyph raises or warns
    assert "a $x$ b" in words(figure) and "tab line break" in words(figure)


def test_long_names_keep_their_beginning_and_end() -> None:
    short = shortened("inner london boys, cohort of 1985, group B", 20)
    assert len(short) <= 20 and short.startswith("inner") and short.endswith("group B")


def test_equal_losses_and_large_numbers_are_drawn() -> None:
    B = np.array([[0, 1e6, 0], [1e-9, 0, 0], [0, 0, 0]])
    for losses in (np.zeros(3), np.full(3, 2.5), np.array([1e-12, 1.0, 1e9])):
        write_png(
            graph_figure(TransferGraph(B=B, names=("a", "b", "c"), losses=losses)), io.BytesIO(), dpi=50
        )


def test_losses_that_differ_by_rounding_have_one_colour() -> None:
    losses = np.array([1.0, 1.0 + 2**-52, 1.0 - 2**-53])
    graph = TransferGraph(B=np.zeros((3, 3)), names=("a", "b", "c"), losses=losses)
    assert len({node.get_facecolor() for node in nodes(node_link(graph)).values()}) == 1
    other = dataclasses.replace(graph, losses=np.array([1.0, 1.0 + 1e-6, 1.0]))
    assert len({node.get_facecolor() for node in nodes(node_link(other)).values()}) == 2


def test_edges_that_may_not_be_are_hatched() -> None:
    """One patch over their cells, and a line that says so; none where every edge may be."""
    B, barred = np.zeros((4, 4)), np.zeros((4, 4), dtype=bool)
    B[0, 1], barred[2, 1], barred[3, 0] = 0.5, True, True
    plain = TransferGraph(B=B, names=("a", "b", "c", "d"))
    graph = dataclasses.replace(plain, barred=barred | np.eye(4, dtype=bool))
    for each, cells in ((graph, {(2, 1), (3, 0)}), (plain, set())):
        figure = graph_figure(each)
        hatched = [patch for patch in panel(figure, "heatmap").patches if patch.get_hatch()]
        squares = [path.vertices for patch in hatched for path in [patch.get_path()]]
        found = {
            (round(float(corner[1] + 0.5)), round(float(corner[0] + 0.5)))
            for vertices in squares
            for corner in vertices.reshape(-1, 5, 2)[:, 0]
        }
        assert found == cells and len(hatched) == bool(cells)
        said = words(figure)
        assert ("hatched: an edge that may not be" in said) == bool(cells)
        assert ("edges that may not be: 2" in said) == bool(cells)
