"""Figures of learned features, judged by their geometry and words; and the graph that they show, as data."""

from __future__ import annotations

import io
import itertools
import re
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from pictures import outside, panel, words

from amtl_cvx.bipartite import FEEDBACK, USE, FeatureGraph
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.plotting import features as drawing
from amtl_cvx.plotting import write_png
from amtl_cvx.plotting.features.feedback import FeedbackPanel, rank_correlation
from amtl_cvx.plotting.features.raster import raster_from, raster_of

FIGURES = (
    drawing.feature_heatmaps,
    drawing.feature_links,
    drawing.feedback_figure,
    drawing.reconstruction_figure,
)


def example(T: int, k: int, *, d: int = 5, name: str = "task {}", dead: tuple[int, ...] = ()) -> FeatureGraph:
    """Signed, sparse; sizes and errors are numbers of their own here."""
    rng = np.random.default_rng(T + 100 * k)
    L = rng.normal(size=(d, k))
    S, A = (np.where(rng.random(shape) < 0.4, rng.normal(size=shape), 0.0) for shape in ((k, T), (T, k)))
    L[:, dead], S[dead, :], A[:, dead] = 0.0, 0.0, 0.0
    S[0, 0], A[0, 0] = 1.5, -0.5
    sizes = np.where(np.isin(np.arange(k), dead), 0.0, rng.uniform(1.0, 2.0, k))
    return FeatureGraph(
        L=L, S=S, A=A, tasks=tuple(name.format(t) for t in range(T)), losses=rng.uniform(0.1, 0.9, T),
        sizes=sizes, errors=0.5 * sizes,
    )  # fmt: skip


def arrows(figure: Figure) -> dict[str, FancyArrowPatch]:
    found = [patch for patch in panel(figure, "links").patches if isinstance(patch, FancyArrowPatch)]
    return {str(patch.get_gid()): patch for patch in found}


def ends(arrow: FancyArrowPatch) -> tuple[tuple[float, float], tuple[float, float]]:
    start, end = arrow._posA_posB  # type: ignore[attr-defined]
    return start, end


def test_an_arrow_runs_from_its_task_to_its_feature_and_from_there_to_the_task_that_uses_it() -> None:
    """A[2, 0] < 0 is the only feedback, S[1, 0] and S[0, 1] are the only uses; x grows to the right."""
    A, S = np.zeros((3, 2)), np.zeros((2, 3))
    A[2, 0], S[1, 0], S[0, 1] = -0.5, 2.0, -1.0
    graph = FeatureGraph(L=np.ones((4, 2)), S=S, A=A, tasks=("a", "b", "c"))
    figure = drawing.feature_links(graph)
    found = arrows(figure)
    assert set(found) == {"feedback 2 -> 0", "use 1 -> 0", "use 0 -> 1"}
    texts: dict[str, list[tuple[float, float]]] = {}
    for text in panel(figure, "links").texts:
        texts.setdefault(text.get_text(), []).append(text.get_position())
    level = {name: places[0][1] for name, places in texts.items()}
    for name, source, target in (("feedback 2 -> 0", "c", "z0"), ("use 1 -> 0", "z1", "a")):
        start, end = ends(found[name])
        assert start[0] < end[0] and (start[1], end[1]) == (level[source], level[target])
    (x0, _), (x1, _) = ends(found["feedback 2 -> 0"])
    assert min(x for x, _ in texts["c"]) < x0 < x1 < texts["z0"][0][0]
    (x0, _), (x1, _) = ends(found["use 1 -> 0"])
    assert texts["z1"][0][0] < x0 < x1 < max(x for x, _ in texts["a"])
    assert level["a"] < level["b"] and level["z0"] < level["z1"]
    assert found["use 1 -> 0"].get_linewidth() > found["use 0 -> 1"].get_linewidth()
    for name, negative in (("feedback 2 -> 0", True), ("use 1 -> 0", False), ("use 0 -> 1", True)):
        red, _, blue, _ = found[name].get_edgecolor()
        assert (red > blue) == negative == (found[name].get_linestyle() != "-")
    said = words(figure)
    assert f"left: {FEEDBACK}; width = |A[t, j]|, at most 0.5" in said
    assert f"right: {USE}; width = |S[j, t]|, at most 2" in said and "dashed, red: negative" in said


def test_without_feedback_only_the_right_half_is_drawn() -> None:
    graph = replace(example(4, 3), A=None)
    for draw in FIGURES:
        assert "A[t, j]" not in words(draw(graph))
    figure = drawing.feature_links(graph)
    assert all(name.startswith("use") for name in arrows(figure)) and len(arrows(figure)) == len(graph.use)
    assert "tasks give feedback" not in words(figure)
    assert "gives ||a_t||_1" not in words(drawing.feature_heatmaps(graph))


def test_the_heatmaps_hold_A_and_S_with_tasks_in_rows() -> None:
    graph = example(5, 3, dead=(2,))
    figure = drawing.feature_heatmaps(graph)
    assert graph.A is not None
    for label, values in (("feedback A", graph.A), ("use S, transposed", graph.S.T)):
        axes = panel(figure, label)
        shown = axes.images[-1].get_array()
        np.testing.assert_array_equal(np.ma.getmaskarray(shown), values == 0.0)
        np.testing.assert_array_equal(np.ma.filled(shown, 0.0), values)
        assert axes.get_ylim() == (4.5, -0.5)
        assert [text.get_text() for text in axes.get_xticklabels()] == ["z0", "z1", "z2"]
    for label, values in (("gives ||a_t||_1", np.abs(graph.A).sum(axis=1)), ("loss", graph.losses)):
        axes = panel(figure, label)
        np.testing.assert_allclose([bar.get_width() for bar in axes.patches], values)
        assert axes.get_position().intervaly == pytest.approx(
            panel(figure, "feedback A").get_position().intervaly
        )
    assert "dead features: z2" in words(figure)
    assert {FEEDBACK, USE} <= {line.split(": ", 1)[-1] for line in words(figure).split("\n")}


def test_what_is_all_zero_says_so() -> None:
    graph = example(4, 3)
    nothing = replace(graph, A=np.zeros((4, 3)))
    assert "none: A = 0" in words(drawing.feature_links(nothing))
    assert "all 0" in words(drawing.feature_heatmaps(nothing))
    assert "no task gives feedback: A = 0" in words(drawing.feedback_figure(nothing))
    assert "No task gives feedback (A = 0)" in nothing.describe()
    dead = replace(nothing, L=0 * graph.L, S=0 * graph.S)
    assert dead.describe() == "None of the 3 learned features is live: every predictor is 0."
    assert "dead features: z0, z1, z2" in words(drawing.feature_heatmaps(dead))
    write_png(drawing.reconstruction_figure(dead), io.BytesIO(), dpi=30)


def test_feedback_stands_against_loss() -> None:
    graph = replace(
        example(4, 2), losses=np.array([0.2, 0.1, 0.4, 0.3]), A=np.diag([3.0, 4.0, 1.0, 2.0])[:, :2]
    )
    figure = drawing.feedback_figure(graph)
    marks = panel(figure, "feedback").collections[0].get_offsets()
    np.testing.assert_allclose(marks, [[0.2, 3.0], [0.1, 4.0], [0.4, 0.0], [0.3, 0.0]])
    assert "2 of 4 give any" in words(figure) and "Spearman): -0.95" in words(
        figure
    )  # ranks 2 1 4 3 against 3 4 1.5 1.5
    assert rank_correlation(np.arange(4.0), np.array([1.0, 1.0, 1.0, 1.0])) is None
    assert rank_correlation(np.array([1.0, 2.0, 5.0]), np.array([0.0, 1.0, 9.0])) == pytest.approx(1.0)


@pytest.mark.parametrize("T", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_names_beside_marks_never_meet_and_what_has_no_room_is_counted(T: int) -> None:
    found = FeedbackPanel(example(T, 4, name="a rather long name {}"))._named()
    for a, b in itertools.combinations(found.values(), 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    left = T - len(found)
    assert (
        f"for want of room: {left} of {T}"
        in words(drawing.feedback_figure(example(T, 4, name="a rather long name {}")))
    ) == (left > 0)


def test_reconstruction_errors_stand_beside_sizes() -> None:
    graph = replace(
        example(3, 4, dead=(1,)), sizes=np.array([2.0, 0.0, 4.0, 1.0]), errors=np.array([1.0, 0.0, 3.0, 1.0])
    )
    axes = panel(drawing.reconstruction_figure(graph), "||E_j|| (orange) of ||Z_j||")
    widths = [bar.get_width() for bar in axes.patches]
    assert widths == [2.0, 0.0, 4.0, 1.0, 1.0, 0.0, 3.0, 1.0]
    assert [text.get_text() for text in axes.texts] == ["0.500", "\N{EN DASH}", "0.750", "1.00"]
    unknown = words(drawing.reconstruction_figure(replace(graph, errors=None, sizes=None)))
    assert "E_j" not in unknown and "use by all tasks" in unknown


@pytest.mark.parametrize(
    ("T", "k", "name"),
    [
        (1, 3, "task {}"),
        *(
            pytest.param(T, k, "a rather long name of task {} in the north", marks=pytest.mark.slow)
            for T, k in ((60, 40), (2, 40), (2, 1), (60, 1), (12, 6))
        ),
    ],
)
def test_no_text_leaves_a_figure(T: int, k: int, name: str) -> None:
    graph = example(T, k, name=name, dead=(k - 1,) if k > 1 else ())
    for draw in FIGURES:
        assert not outside(draw(graph, title="a title")), draw
        assert T == 1 or not outside(draw(replace(graph, A=None))), draw


def test_of_many_arrows_the_strongest_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing.links, "MAX_LINKS", 2)
    graph = example(6, 4)
    figure = drawing.feature_links(graph)
    kept = {f"feedback {t} -> {j}" for t, j, _ in graph.feedback[:2]}
    assert set(arrows(figure)) == kept | {f"use {j} -> {t}" for t, j, _ in graph.use[:2]}
    assert f"the 2 strongest of {len(graph.use)}" in words(figure)
    sizes = [abs(link.weight) for link in graph.use]
    assert sizes == sorted(sizes, reverse=True) and len(sizes) == np.count_nonzero(graph.S)


@pytest.mark.parametrize(
    ("names", "shape"),
    [
        ([f"pixel {r},{c}" for r in range(2) for c in range(3)], (2, 3)),
        ([f"pixel_{r}_{c}" for c in range(3) for r in range(2)], (2, 3)),  # column after column
        ([f"px{r}x{c}" for r in range(1, 4) for c in range(1, 3)], (3, 2)),  # counted from 1
        ([f"r{r}c{c}" for r in range(2) for c in range(2)], (2, 2)),
        ([*(f"pixel {r},{c}" for r in range(2) for c in range(2)), "intercept"], (2, 2)),
        ([f"feature {j}" for j in range(64)], None),  # a square number is no shape
        ([f"x_{r}_{c}" for r in range(2) for c in range(2)], None),  # perhaps products
        ([f"pixel {j}" for j in range(4)], None),
        ([f"pixel {r},{c}" for r in range(2) for c in range(2)][:3], None),
        (["pixel 0,0", "pixel 0,1", "pixel 1,0", "pixel 1,0"], None),
        (["pixel 0,0", "pixel 0,1", "pixel 1,0", "age", "pixel 1,1"], None),
        (None, None),
    ],
)
def test_inputs_are_pixels_where_their_names_say_so(
    names: list[str] | None, shape: tuple[int, int] | None
) -> None:
    found = raster_of(names)
    assert (None if found is None else (found.rows, found.columns)) == shape
    if found is not None and names is not None:
        image = found.image(np.arange(len(names), dtype=float))
        for (r, c), j in np.ndenumerate(image):
            low = min(int(part) for name in names for part in re.findall(r"\d+", name))
            assert [int(part) for part in re.findall(r"\d+", names[int(j)])] == [r + low, c + low]


def test_columns_of_L_are_drawn_as_images() -> None:
    graph = example(3, 2, d=7, dead=(1,))
    figure = drawing.feature_images(graph, raster_from("2x3", d=6))
    shown = panel(figure, "image 0").images[0].get_array()
    np.testing.assert_array_equal(shown, graph.L[:6, 0].reshape(2, 3))  # the intercept is no pixel
    low, high = panel(figure, "image 0").images[0].get_clim()
    assert -low == high == np.abs(graph.L[:6, 0]).max()
    assert "z1  dead" in words(figure) and not outside(figure)
    for text, match in (("8", "like 8x8"), ("0x6", "like 8x8"), ("2x2", "4 pixels, the data 6")):
        with pytest.raises(ModelError, match=match):
            raster_from(text, d=6)


def test_the_graph_is_told_in_words_and_written_with_the_direction_of_its_arrows(tmp_path: Path) -> None:
    A, S = np.zeros((2, 3)), np.zeros((3, 2))
    A[1, 0], S[0, 0], S[1, 0] = -0.5, 2.0, 1.0
    L = np.ones((2, 3))
    L[:, 2] = 0.0
    graph = FeatureGraph(L=L, S=S, A=A, tasks=("north", "so\x00uth"), losses=[0.5, 0.25])
    assert graph.live.tolist() == [True, True, False] and graph.using.tolist() == [2, 0]
    assert graph.giving.tolist() == [0.0, 0.5] and graph.receiving.tolist() == [0.5, 0.0, 0.0]
    assert graph.serving.tolist() == [2.0, 1.0, 0.0]
    assert graph.describe() == (
        "2 of 3 learned features are live; a task uses 1 on average. 1 of 2 tasks gives feedback,"
        " 'so\\x00uth' most: 0.5 in total."
    )
    graph.write_graphml(tmp_path / "features.graphml")
    read = nx.read_graphml(tmp_path / "features.graphml")
    assert {(*edge, kind) for *edge, kind in read.edges(data="kind")} == {
        ("t1", "z0", "feedback"), ("z0", "t0", "use"), ("z1", "t0", "use"),
    }  # fmt: skip
    assert read.edges["t1", "z0"]["weight"] == -0.5 and read.nodes["t1"]["name"] == "so\ufffduth"
    assert read.nodes["z2"]["live"] is False and read.graph["orientation"] == f"{FEEDBACK}; {USE}"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"S": np.ones((2, 4))}, "fit each other"),
        ({"tasks": ("one",)}, "4 task names"),
        ({"A": np.ones((3, 4))}, r"A must have shape \(4, 3\)"),
        ({"errors": np.ones(4)}, r"errors must have shape \(3,\)"),
        ({"A": np.full((4, 3), np.nan)}, "finite"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], match: str) -> None:
    with pytest.raises(DataError, match=match):
        replace(example(4, 3), **change)  # type: ignore[arg-type]
