"""Learned features in the report, the run folder and the command `plot`."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command_line import Run, assert_error
from matplotlib.figure import Figure
from pictures import outside, words
from test_report import EVIL, Page

from amtl_cvx import plotting
from amtl_cvx.bipartite import FeatureGraph
from amtl_cvx.explore import FirstOrderPoint, Landscape
from amtl_cvx.features import FeatureModel, FeaturePoint, FeatureProblem, GoMtlModel, certify, pages
from amtl_cvx.features import family as features_family
from amtl_cvx.features.figures import figures
from amtl_cvx.plotting import features as drawing
from amtl_cvx.plotting import landscape_figure
from amtl_cvx.report import pictures, write_report
from amtl_cvx.runfolder import save
from amtl_cvx.scoring import AT_DECAY
from amtl_cvx.solution import Record, Solution, Status
from amtl_cvx.tasks import TaskSet

PIXELS = tuple(f"pixel {r},{c}" for r in range(2) for c in range(2))


def data(*, names: tuple[str, ...] | None = ("north", "south", "east")) -> TaskSet:
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(3, 9, 4)), rng.normal(size=(3, 9))
    return TaskSet.from_arrays(X, y, names=names, feature_names=PIXELS)


def amtfl(**change: object) -> FeatureModel:
    settings = {"features": 3, "mu": 0.1, "alpha": 0.5, "gamma": 0.2, "decay": 0.3, **change}
    return FeatureModel(**settings)  # type: ignore[arg-type]


def point(tasks: TaskSet, model: FeatureModel) -> FeaturePoint:
    """z2 is dead; 'south' gives nothing."""
    L, S = (
        np.array([[1.0, 0.5, 0], [0, 1, 0], [2, 0, 0], [0, -1, 0]]),
        np.array([[1.0, 0, -2], [0.5, 1, 0], [0, 0, 0]]),
    )
    A = np.array([[0.25, 0.0, 0.0], [0.0, 0.0, 0.0], [-0.5, 0.125, 0.0]])
    blocks = {"L": L, "S": S, "A": A}
    return FeatureProblem(tasks, model).at(**{name: blocks[name] for name in model.blocks})


def solved(model: FeatureModel | None = None, *, tasks: TaskSet | None = None) -> Solution:
    model, tasks = model or amtfl(), tasks or data()
    at = point(tasks, model)
    certificate = certify(at)
    history = tuple(
        Record(
            round=1, step=step, objective=at.objective, stationarity=dict.fromkeys(model.blocks, 0.1),
            relative=0.5, seconds=0.1, solver="CLARABEL", solver_status="optimal",
        )
        for step in model.blocks
    )  # fmt: skip
    return Solution(
        blocks=at.blocks, losses=at.losses, objective=at.objective, certificate=certificate,
        status=Status.ROUND_LIMIT, history=history, method="amtfl-linear", model=model,
        task_names=tasks.names, feature_names=tasks.feature_names, facts=figures(at), seconds={"total": 1.5},
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def coarse_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_DPI", 20)
        patch.setattr(plotting, "write_png", functools.partial(plotting.write_png, dpi=20))
        yield


def sketched(
    drawn: dict[str, FeatureGraph], name: str, graph: FeatureGraph, *more: object, **words: object
) -> Figure:
    """An empty figure; what should have been drawn is taken down."""
    drawn[name] = graph
    return Figure()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, FeatureGraph]:
    """What was to be drawn, by the names of the figures, which are empty."""
    found: dict[str, FeatureGraph] = {}
    for name in drawing.__all__:
        if name.startswith("feature_") or name.endswith("_figure"):
            monkeypatch.setattr(drawing, name, functools.partial(sketched, found, name))
    return found


def written(folder: Path, solution: Solution) -> tuple[str, Page]:
    about = {"name": "toy", "source": "drawn", "T": 3, "d": 4, "rows": 27, "fingerprint": "ab"}
    write_report(folder / "report.html", solution=solution, arguments={}, versions={}, data=about)
    text = (folder / "report.html").read_text(encoding="utf-8")
    return text, Page(text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Page]:
    return written(tmp_path_factory.mktemp("report"), solved())


def test_figures_are_those_of_their_definitions() -> None:
    """By rows: Z = X L over all rows of all tasks, E = Z - Z S A."""
    tasks, model = data(), amtfl(price_floor=0.25)
    at = point(tasks, model)
    found = figures(at)
    Z = np.vstack([task.X for task in tasks]) @ at.L
    E = Z - Z @ at.S @ at.A
    np.testing.assert_allclose(found["sizes"], np.linalg.norm(Z, axis=0), atol=1e-12)
    np.testing.assert_allclose(found["errors"], np.linalg.norm(E, axis=0), atol=1e-12)
    losses = [float(((task.X @ at.L @ at.S[:, t] - task.y) ** 2).mean()) for t, task in enumerate(tasks)]
    np.testing.assert_allclose(found["prices"], 0.5 * (np.array(losses) + 0.25), rtol=1e-12)
    parts = [
        2 * 0.3 * (at.L**2).sum(axis=0), 2 * 0.2 * (E**2).sum(axis=0),
        found["prices"] @ np.abs(at.A), -0.1 * np.abs(at.S).sum(axis=1),
    ]  # fmt: skip
    total, size = sum(parts), sum(map(np.abs, parts))
    np.testing.assert_allclose(found["balance"] * size, np.abs(total), rtol=1e-10)
    assert found["balance"][2] == 0.0
    assert set(figures(point(tasks, amtfl(gamma=0.0, alpha=0.0)))) == {"balance"}


def test_the_page_shows_tasks_and_features(whole: tuple[str, Page]) -> None:
    text, page = whole
    solution = solved()
    rows = page.tables["tasks"]
    assert rows[0] == ["task", "name", "loss", "price", "feedback", "features shaped", "features used"]
    assert [(row[1], *row[4:]) for row in rows[1:]] == [
        ("north", "0.2500", "1", "2"), ("south", "0", "0", "1"), ("east", "0.6250", "2", "1"),
    ]  # fmt: skip
    exact = np.array(page.values["tasks"], dtype=float).reshape(3, -1)
    np.testing.assert_array_equal(exact[:, 1], solution.losses)
    np.testing.assert_allclose(exact[:, 2], 0.5 * solution.losses, rtol=1e-12)
    rows = page.tables["features"]
    assert [row[0] for row in rows[1:]] == ["z0", "z1", "z2 (dead)"]
    assert [row[2:6] for row in rows[1:]] == [
        ["3.000", "2", "0.7500", "2"],
        ["1.500", "2", "0.1250", "1"],
        ["0", "0", "0", "0"],
    ]
    assert float(rows[1][1]) == pytest.approx(np.sqrt(5.0), rel=1e-3) and rows[3][6] == "\N{EM DASH}"
    share = solution.facts["errors"] / solution.facts["sizes"].clip(min=1e-9)
    np.testing.assert_allclose([float(row[6]) for row in rows[1:3]], share[:2], rtol=1e-3)
    assert "2 of 3 learned features are live; a task uses 1.33 on average." in page.text
    assert "z0 to z2 are the columns of Z = X L" in page.text and "W = L S: the weight" in page.text
    assert "2 of 3 live learned features" in page.text and "2 of 3 tasks that give feedback" in page.text
    assert "not in all of them together" in page.text


def test_the_page_has_every_picture_and_loads_nothing(whole: tuple[str, Page]) -> None:
    text, page = whole
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert len(captions) == page.tags.count("img") == 6
    assert sum("feedback A[t, j]" in alt for tag, name, alt in page.attributes if name == "alt") == 2
    assert "The features as images of 2 times 2 pixels, as their names say." in captions
    sources = [value for tag, name, value in page.attributes if name in ("src", "href")]
    assert all(source.startswith("data:image/png;base64,") for source in sources)


@pytest.mark.usefixtures("drawn")
def test_a_page_without_feedback_says_nothing_of_it(tmp_path: Path) -> None:
    model = GoMtlModel(features=3, mu=0.1, decay=0.3)
    tasks = TaskSet.from_arrays([task.X for task in data()], [task.y for task in data()])
    text, page = written(tmp_path, solved(model, tasks=tasks))
    assert page.tables["tasks"][0] == ["task", "name", "loss", "features used"]
    assert page.tables["features"][0] == ["feature", "length", "use", "users", "balance residual"]
    told = page.text[: page.text.index("How the run converged")] + page.text[page.text.index("Tasks Uses") :]
    assert "A[t, j]" not in text and "feedback" not in told.lower()
    assert "in L for fixed S and in S for fixed L, but not in both" in page.text
    assert page.tags.count("img") == 4


def test_names_in_a_page_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("main_pictures", "other_pictures"):
        monkeypatch.setattr(pages, name, lambda graph: [])
    text, page = written(tmp_path, solved(tasks=data(names=("north", EVIL, "{{ 7 * 7 }}"))))
    assert EVIL not in text and page.tags.count("script") == 1 and "{{ 7 * 7 }}" in text


@pytest.mark.usefixtures("pictures")
def test_a_run_folder_holds_the_pictures_and_is_drawn_again(
    run: Run, tmp_path: Path, drawn: dict[str, FeatureGraph]
) -> None:
    solution, tasks = solved(), data()
    save(solution, "out", tasks=tasks)
    names = {path.name for path in Path("out").iterdir()}
    assert names == {
        "solution.npz", "certificate.json", "history.csv", "report.html", "run.json",
        "features.png", "features.graphml", "images.png",
    }  # fmt: skip
    with np.load("out/solution.npz") as stored:
        assert set(stored) == {*"LSA", "losses", "objective", "prices", "sizes", "errors", "balance"}
    drawn.clear()
    for kind in ("graph", "heatmap", "node-link", "feedback", "reconstruction", "images"):
        assert run("plot", "out", "--kind", kind, "--out", "p.png") == (0, "", "")
    assert len(drawn) == 6
    graph = drawn["reconstruction_figure"]
    assert graph.tasks == tasks.names
    for name in ("A", "L", "losses"):
        np.testing.assert_array_equal(getattr(graph, name), getattr(solution, name))
    for name in ("errors", "sizes", "prices"):
        np.testing.assert_array_equal(getattr(graph, name), solution.facts[name])
    assert_error(run("plot", "out", "--kind", "truth", "--out", "p.png"), "no truth to draw")
    assert_error(run("plot", "out", "--threshold", "0.1", "--out", "p.png"), "--threshold is of graphs")
    assert_error(run("plot", "out", "--image-shape", "2x2", "--out", "p.png"), "--kind images")
    assert_error(
        run("plot", "out", "--kind", "images", "--image-shape", "3x3", "--out", "p.png"),
        "9 pixels, the data 4",
    )


def test_images_need_a_shape_that_somebody_says(run: Run, tmp_path: Path) -> None:
    tasks = TaskSet.from_arrays([task.X for task in data()], [task.y for task in data()])
    save(solved(GoMtlModel(features=3, mu=0.1, decay=0.3), tasks=tasks), "out", tasks=tasks)
    assert not Path("out/images.png").exists()
    assert_error(run("plot", "out", "--kind", "images", "--out", "p.png"), "give --image-shape HxW")
    assert run("plot", "out", "--kind", "images", "--image-shape", "2x2", "--out", "p.png").code == 0
    assert_error(
        run("plot", "out", "--kind", "feedback", "--out", "p.png"), "'go-mtl' has no feedback to draw"
    )


@pytest.mark.parametrize("feedback", ["signed", pytest.param("nonnegative", marks=pytest.mark.slow)])
def test_points_of_a_landscape_stand_with_features_in_one_order(feedback: str) -> None:
    """The second point is the first one with features in another order, and with turned signs if they may."""
    first = solved(amtfl(feedback=feedback))
    order, signs = np.array([1, 2, 0]), np.array([-1.0, 1.0, -1.0] if feedback == "signed" else [1.0] * 3)
    turned = {
        "L": first.L[:, order] * signs, "S": first.S[order] * signs[:, None], "A": first.A[:, order] * signs
    }  # fmt: skip
    second = dataclasses.replace(first, blocks=turned)
    points = [FirstOrderPoint(solution=each, starts=("svd",), spread=0.0) for each in (first, second)]
    figure = landscape_figure(Landscape(points=tuple(points)))
    shown = [axes for axes in figure.axes if axes.get_label() == "use S, transposed"]
    for axes in shown:
        found = np.ma.filled(axes.images[-1].get_array(), 0.0)
        np.testing.assert_array_equal(found[:, :2], first.S[:2].T)  # z2 is dead, and its place free
    said = words(figure)
    assert len(shown) == 2 and f"Point 1: lowest J (J {first.objective:.6g})" in said
    assert ("in the order and with the signs of those of the first point" in said) == (feedback == "signed")
    assert "(the svd start)" in said and not outside(figure)


@pytest.mark.usefixtures("drawn")
def test_a_solution_is_told_in_a_line_and_drawn_in_a_notebook() -> None:
    solution = solved()
    assert solution.family.summary(solution) == solution.family.learned(solution).describe()  # type: ignore[attr-defined]
    png = solution.family.png(solution)
    assert png is not None and png.startswith(b"\x89PNG")
    words = solution.family.model_words(solution.model)
    assert words == ", 3 learned features, alpha 0.5, mu 0.1, gamma 0.2, decay 0.3"
    name, (method, model) = next(iter(solution.family.baselines(solution.model).items()))
    assert (name, method) == (features_family.WITHOUT_FEEDBACK, "go-mtl")
    assert model == GoMtlModel(features=3, mu=0.1, decay=0.3) and not model.has_feedback
    (name, (method, model)), *more = solution.family.baselines(model).items()
    assert (name, method, model.coupling, more) == (AT_DECAY, "stl", 0.3, [])
    assert not solution.family.baselines(amtfl(decay=0.0))
    better = dataclasses.replace(solution, objective=solution.certificate.zero_objective - 0.5)
    assert dict(better.family.tiles(better))["J below the zero point's"].startswith("0.5 of")
