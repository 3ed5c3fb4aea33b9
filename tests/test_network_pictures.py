"""Pictures of networks, judged by their geometry and words; the figures that they show, by plain loops."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from pictures import outside, panel, words

from amtl_cvx import NetworkModel, TaskSet
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.network import NetworkPoint, NetworkProblem, drawing
from amtl_cvx.network import figures as facts
from amtl_cvx.plotting import convergence_figure, network
from amtl_cvx.plotting import features as of_graph
from amtl_cvx.plotting.features.raster import mapped_from, raster_from
from amtl_cvx.plotting.network import shown as shown_module
from amtl_cvx.solution import Record

Array = Any


def point() -> NetworkPoint:
    """Two tasks of classes of whole numbers, so that units are on their kinks; the first row twice."""
    X = np.array([[1.0, 2.0], [2.0, 1.0], [-1.0, 1.0], [0.0, 3.0], [1.0, 2.0], [3.0, -1.0]])
    labels = np.array([[1, 0, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]])
    tasks = TaskSet.from_matrix(X, labels.T)
    model = NetworkModel(
        layers=(3, 2), loss="logistic", mu=0.1, alpha=0.5, gamma=0.2, decay=0.3, fit_bias=True
    )
    return NetworkProblem(tasks, model).at(
        W1=[[1.0, -1.0, 2.0], [-1.0, 1.0, 0.0]], bias1=[1.0, -1.0, -2.0],
        W2=[[1.0, 0.0], [1.0, -1.0], [-1.0, 1.0]], bias2=[0.0, -1.0],
        S=[[0.5, 0.0], [0.25, -1.0]], A=[[0.5, 0.0], [0.0, 0.0]],
    )  # fmt: skip


def example(
    widths: tuple[int, ...], T: int, *, rows: int = 50, d: int = 6, name: str = "task {}"
) -> network.Shown:
    """Weights, kinks and counts that are drawn; every 20th kink is concave, the last feature dead."""
    rng = np.random.default_rng(T + 100 * sum(widths))
    sizes = (d, *widths)
    weights = tuple(rng.normal(size=shape) for shape in itertools.pairwise(sizes))
    k = widths[-1]
    S, A = (np.where(rng.random(s) < 0.5, rng.normal(size=s), 0.0) for s in ((k, T), (T, k)))
    S[0, 0], A[0, 0] = 1.0, -0.5
    if k > 1:
        S[-1], A[:, -1] = 0.0, 0.0
    graph = FeatureGraph(
        L=weights[-1], S=S, A=A, tasks=tuple(name.format(t) for t in range(T)),
        losses=rng.uniform(0.1, 0.5, T), prices=rng.uniform(0.1, 0.5, T),
        sizes=np.ones(k), errors=np.full(k, 0.5), missed="Z - max(Z S A, 0)",
    )  # fmt: skip
    kinks = [
        (layer, rng.integers(rows), unit, 0.1 * rng.integers(3), -0.2 if unit % 20 == 19 else 0.2)
        for layer, width in enumerate(widths)
        for unit in range(width)
        for _ in range(unit % 4)
    ]
    return network.Shown(
        weights=weights, graph=graph, rows=rows, kinks=np.array(kinks, dtype=float).reshape(-1, 5),
        on=tuple(rng.integers(0, rows + 1, width).astype(float) for width in widths),
        near=rng.integers(0, 900, (len(widths), network.DECADES)).astype(float),
        labels=np.column_stack([np.full(T, rows), np.arange(1, T + 1)]).astype(float),
    )  # fmt: skip


def test_figures_are_those_of_plain_loops() -> None:
    """Rows, counts, kinks and decades one by one; theta and w are within their limits."""
    at = point()
    found = facts.figures(at)
    X = np.array([[1.0, 2.0], [2.0, 1.0], [-1.0, 1.0], [0.0, 3.0], [3.0, -1.0]])  # each once
    times = [2, 1, 1, 1, 1]
    blocks = at.blocks
    on, kinks, near = [np.zeros(3), np.zeros(2)], [], np.zeros((2, 16))
    sizes, errors = np.zeros(2), np.zeros(2)
    for row, x in enumerate(X):
        z = x
        for layer in range(2):
            W, bias = blocks[f"W{layer + 1}"], blocks[f"bias{layer + 1}"]
            u = [sum(z[i] * W[i, j] for i in range(len(z))) + bias[j] for j in range(W.shape[1])]
            terms = [
                sum(abs(z[i] * W[i, j]) for i in range(len(z))) + abs(bias[j]) for j in range(W.shape[1])
            ]
            for j, value in enumerate(u):
                on[layer][j] += value > 0
                if value == 0:
                    kinks.append((layer, row, j))
                else:
                    near[layer, min(15, int(np.floor(np.log10(abs(value) / terms[j]))) + 16)] += 1
            z = np.maximum(u, 0.0)
        error = z - np.maximum(z @ blocks["S"] @ blocks["A"], 0.0)
        sizes, errors = sizes + times[row] * z**2, errors + times[row] * error**2
    np.testing.assert_array_equal(found["on"], np.concatenate(on))
    np.testing.assert_array_equal(found["near"], near)
    np.testing.assert_allclose(found["sizes"], np.sqrt(sizes))
    np.testing.assert_allclose(found["errors"], np.sqrt(errors))
    assert {tuple(kink[:3].astype(int)) for kink in found["kinks"]} == set(kinks) and len(kinks) >= 4
    theta, w = found["kinks"][:, 3:].T
    assert ((theta >= 0.0) & (theta <= np.maximum(w, 0.0) + 1e-12)).all()
    assert found["pooled"] == [5.0] and found["labels"].tolist() == [[6, 3], [6, 1]]
    np.testing.assert_allclose(found["prices"], 0.5 * at.losses)
    assert facts.DECADES == network.DECADES
    away = facts.figures(at.at(bias1=[1.0, -1.0 + 3e-7, -2.0]))["near"][0]
    on_kink = sum(layer == 0 and unit == 1 for layer, _, unit in kinks)
    assert on_kink and away[8] == on_kink  # 3e-7 of terms of 4 or more: 1e-8 to 1e-7


def test_what_a_file_says_of_a_network_is_checked() -> None:
    found = facts.figures(point())
    kept = facts.checked_figures(found, widths=(3, 2), T=2)
    assert set(kept) == set(facts.ARRAYS)
    graph = facts.graph_of(point().blocks, tasks=("a", "b"), losses=None, known=kept)
    assert graph.missed == "Z - max(Z S A, 0)" and graph.L.shape == (4, 2)  # the bias is a row
    shown = drawing.shown(point().blocks, graph, kept)
    assert shown is not None and shown.widths == (3, 2) and shown.names(0) == ("1.0", "1.1", "1.2")
    assert drawing.shown(point().blocks, graph, {**kept, "near": None}) is None
    kinks = found["kinks"]
    for change, match in (
        ({"on": np.ones(4)}, r"on must hold numbers in the shape \(5,\)"),
        ({"labels": -np.ones((2, 2))}, "labels must hold numbers >= 0"),
        ({"near": np.full((2, 16), np.nan)}, "finite"),
        ({"kinks": np.ones((1, 4))}, r"shape \(1, 5\)"),
        ({"kinks": kinks + np.array([0.0, 5.0, 0.0, 0.0, 0.0])}, "kinks must name a layer, a row and a unit"),
        ({"kinks": kinks + np.array([1.0, 0.0, 0.0, 0.0, 0.0])}, "kinks must name a layer, a row and a unit"),
        ({"kinks": kinks + np.array([0.0, 0.0, 0.5, 0.0, 0.0])}, "kinks must name a layer, a row and a unit"),
    ):
        with pytest.raises(DataError, match=match):
            facts.checked_figures({**found, **change}, widths=(3, 2), T=2)


def test_kinks_stand_at_their_rows_and_units_by_what_holds_them() -> None:
    kinks = np.array([
        [0, 3, 1, 0.1, 0.2], [0, 9, 1, 0.0, 0.2], [0, 4, 2, 0.2, 0.2], [1, 7, 0, 0.0, -0.2],
        [1, 8, 0, 0.1, 0.2],
    ])  # fmt: skip
    shown = replace(example((3, 2), 2, rows=10), kinks=kinks)
    assert shown_module.states(kinks).tolist() == [0, 1, 1, 2, 0]
    figure = network.kinks_figure(shown)
    for layer, heights in enumerate(([[0, 1, 0], [0, 1, 1], [0, 0, 0]], [[1, 0], [0, 0], [1, 0]])):
        bars = [bar.get_height() for bar in panel(figure, f"kinks of layer {layer + 1}").patches]
        np.testing.assert_array_equal(np.reshape(bars, (4, -1))[:3], heights)
        share = panel(figure, f"share on, layer {layer + 1}").patches[len(heights[0]) :]
        np.testing.assert_allclose([bar.get_height() for bar in share], shown.on[layer] / 10)
        axes = panel(figure, f"rows of layer {layer + 1}")
        marks = [each for each in axes.collections if isinstance(each, PathCollection)]
        at = np.vstack([each.get_offsets() for each in marks])
        assert {tuple(place) for place in at} == {(k[2], k[1]) for k in kinks if k[0] == layer}
        assert axes.get_ylim() == (9.5, -0.5)
    said = words(figure)
    assert "units at u = 0: 5 of 50 (10 rows times 5 units); 2 held, 2 at an end of [0, w], 1 concave" in said
    assert "theta not sought" not in said
    heights = np.reshape([bar.get_height() for bar in panel(figure, "near").patches], (2, -1))
    np.testing.assert_array_equal(heights, np.column_stack([[3, 2], shown.near]))
    unknown = replace(shown, kinks=kinks * [1, 1, 1, np.nan, np.nan])
    assert "theta not sought" in words(network.kinks_figure(unknown))


def test_tasks_stand_by_the_rows_of_their_class() -> None:
    shown = example((3,), 4)
    figure = network.losses_figure(shown)
    losses, order = shown.graph.losses, [3, 2, 1, 0]
    assert losses is not None
    for name, values in (("rows of the class", [4, 3, 2, 1]), ("loss", losses[order])):
        np.testing.assert_allclose([bar.get_width() for bar in panel(figure, name).patches], values)
    named = [text.get_text() for text in panel(figure, "rows of the class").get_yticklabels()]
    assert named == ["task 3", "task 2", "task 1", "task 0"]
    alike = replace(shown, labels=np.full((4, 2), 7.0))
    assert panel(network.losses_figure(alike), "rows").get_title(loc="left") == "rows"
    plain = words(network.losses_figure(replace(shown, labels=None)))
    assert "rows" not in plain.split("\n")


def test_units_are_images_of_their_pixels_or_of_what_takes_them_there() -> None:
    """Inputs x = M p of pixels p: unit w reads (M'w)'p."""
    shown = example((3, 2), 2)
    M = np.random.default_rng(0).normal(size=(6, 12))
    for raster, image in (
        (raster_from("2x3", d=6), shown.weights[0][:, 1].reshape(2, 3)),
        (mapped_from(M, "3x4", d=6), (M.T @ shown.weights[0][:, 1]).reshape(3, 4)),
        (mapped_from(M.reshape(6, 4, 3), None, d=6), (M.T @ shown.weights[0][:, 1]).reshape(4, 3)),
    ):
        figure = network.layer_images(shown, raster)
        np.testing.assert_allclose(panel(figure, "image 1").images[0].get_array(), image)
        assert f"on {2 * shown.on[0][1]:.3g}" in words(figure) and not outside(figure)
        assert ("taken back to pixels" in words(figure)) == (image.size == 12)
    graph = shown.graph
    figure = of_graph.feature_images(replace(graph, L=np.ones((6, 2))), mapped_from(M, "3x4", d=6))
    np.testing.assert_allclose(panel(figure, "image 0").images[0].get_array(), M.sum(axis=0).reshape(3, 4))
    for array, shape, error, match in (
        (M[:5], "3x4", DataError, r"\(6, pixels\)"),
        (M, None, DataError, "give --image-shape"),
        (M, "5x5", ModelError, "does not fit image_map"),
        (M.reshape(6, 4, 3), "3x4", ModelError, "does not fit image_map"),
        (M * np.nan, "3x4", DataError, "finite"),
    ):
        with pytest.raises(error, match=match):
            mapped_from(array, shape, d=6)


def collisions(figure: Figure) -> list[tuple[str, str]]:
    """Texts that lie on each other."""
    figure.draw_without_rendering()
    texts = [each for each in figure.findobj(Text) if each.get_text().strip() and each.get_visible()]
    areas = [(each.get_text(), each.get_window_extent().shrunk(0.9, 0.8)) for each in texts]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(areas, 2) if one.overlaps(other)]


@pytest.mark.parametrize(
    ("widths", "T", "name"),
    [
        ((5, 3), 4, "task {}"),
        *(
            pytest.param(widths, T, "a rather long name of task {} in the north", marks=pytest.mark.slow)
            for widths, T in (((1,), 1), ((100, 60, 30), 40), ((1, 40), 2), ((2,), 60))
        ),
    ],
)
def test_no_text_leaves_a_figure_or_lies_on_another(widths: tuple[int, ...], T: int, name: str) -> None:
    shown = example(widths, T, name=name)
    for figure in (
        network.kinks_figure(shown, title="a title"),
        network.losses_figure(shown, title="a title"),
        network.layer_images(shown, raster_from("2x3", d=6), title="a title"),
    ):
        assert not outside(figure) and not collisions(figure)


def test_the_steps_of_a_network_are_marked_by_what_they_are() -> None:
    parts = ("weights", "S", "A", "kinks")
    history = [
        Record(
            round=n, step=step, objective=10.0 - n, stationarity=dict.fromkeys(parts, 0.1**n),
            relative=0.1**n, seconds=float(n), solver="", solver_status="",
        )
        for n, step in enumerate(["lbfgs"] * 4 + ["refine"] * 3, start=1)
    ]  # fmt: skip
    figure = convergence_figure(history, tol=1e-8)
    named = {text.get_text(): text for text in panel(figure, "objective").texts}
    assert {name: named[name].xy[0] for name in ("L-BFGS", "kink Newton")} == {
        "L-BFGS": 0.5,
        "kink Newton": 4.5,
    }
    (shade,) = panel(figure, "residuals").patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (4.5, 7.5)
    lines = {line.get_label(): line for line in panel(figure, "residuals").lines}
    for name in (*(f"stationarity_{part}" for part in parts), "relative"):
        np.testing.assert_array_equal(lines[name].get_xdata(), np.arange(1.0, 8.0))
    for some in (history, history[3:4] + 40 * history[4:5]):  # one step of L-BFGS is too short for its name
        drawn = convergence_figure(some, tol=1e-8)
        assert not collisions(drawn) and not outside(drawn) and "L-BFGS" in words(drawn)
