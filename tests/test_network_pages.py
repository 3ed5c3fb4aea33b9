"""A network in the report, the run folder and the command `plot`."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, assert_error
from matplotlib.figure import Figure
from test_network_pictures import point
from test_report import Page

from amtl_cvx import plotting
from amtl_cvx.network import certify, footprint, pages
from amtl_cvx.network.figures import ARRAYS, figures
from amtl_cvx.network.newton import LARGEST
from amtl_cvx.plotting import features as of_graph
from amtl_cvx.plotting import network as drawing
from amtl_cvx.preparation import Preparation
from amtl_cvx.report import pictures, write_report
from amtl_cvx.runfolder import save
from amtl_cvx.solution import Record, Solution, Status

KINDS = ("graph", "heatmap", "node-link", "feedback", "reconstruction", "kinks", "losses")


def solved() -> Solution:
    """A point that is none of a fit: two layers of 3 and 2 units, two classes, six rows."""
    at = point()
    history = tuple(
        Record(
            round=n, step=step, objective=at.objective + 1.0 / n, relative=0.1**n, seconds=0.1, solver="",
            stationarity=dict.fromkeys(("weights", "S", "A", "kinks"), 0.1**n), solver_status="",
        )
        for n, step in enumerate(("lbfgs", "refine", "refine"), start=1)
    )  # fmt: skip
    return Solution(
        blocks=at.blocks, losses=at.losses, objective=at.objective, certificate=certify(at, tol=1e-8),
        status=Status.ROUND_LIMIT, history=history, method="deep-amtfl", model=at.model,
        task_names=at.tasks.names, facts=figures(at), seconds={"total": 1.5},
    )  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def coarse_pictures() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "_DPI", 20)
        patch.setattr(plotting, "write_png", functools.partial(plotting.write_png, dpi=20))
        yield


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was to be drawn, by the names of the figures, which are empty."""
    found: dict[str, Any] = {}

    def sketch(name: str, shown: Any, *more: Any, **words: Any) -> Figure:
        found[name] = (shown, *more)
        return Figure()

    for module in (of_graph, drawing):
        for name in module.__all__:
            if name.startswith("feature_") or name.endswith(("_figure", "_images")):
                monkeypatch.setattr(module, name, functools.partial(sketch, name))
    return found


@pytest.mark.usefixtures("drawn")
def test_the_page_shows_layers_tasks_and_features(tmp_path: Path) -> None:
    solution = solved()
    about = {"name": "toy", "source": "drawn", "T": 2, "d": 2, "rows": 12, "fingerprint": "ab"}
    write_report(tmp_path / "report.html", solution=solution, arguments={}, versions={}, data=about)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page, kinks = Page(text), solution.facts["kinks"]
    rows = page.tables["layers"]
    assert rows[0] == ["layer", "units", "live", "on", "active kinks", "held", "at an end", "concave"]
    for layer, width in enumerate((3, 2)):
        count = int((kinks[:, 0] == layer).sum())
        row = rows[1 + layer]
        assert row[:2] == [str(layer + 1), str(width)] and row[4] == str(count)
        assert sum(map(int, row[5:])) == count
    assert page.tables["tasks"][0] == [
        "task", "name", "rows", "of its class", "loss", "price", "feedback", "features shaped",
        "features used",
    ]  # fmt: skip
    assert [row[2:4] for row in page.tables["tasks"][1:]] == [["6", "3"], ["6", "1"]]
    features = page.tables["features"][1:]
    share = solution.facts["errors"] / solution.facts["sizes"]
    assert [row[0] for row in features] == ["z0", "z1"]
    np.testing.assert_allclose([float(row[6]) for row in features], share, rtol=1e-3)
    assert "the last of 2 hidden layers (3, 2)" in page.text and "There is no level C1" in page.text
    assert "E = Z - max(Z S A, 0)" in page.text and "Predictors" not in page.text
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert "Active kinks by layer, and how near the other units come to theirs." in captions
    sources = [value for tag, name, value in page.attributes if name in ("src", "href")]
    assert len(sources) == 7 and all(each.startswith("data:image/png;base64,") for each in sources)


@pytest.mark.usefixtures("drawn")
def test_without_its_figures_a_page_has_fewer_tables() -> None:
    bare = solved()
    bare = Solution(**{**vars(bare), "facts": {}})
    graph = bare.family.learned(bare)  # type: ignore[attr-defined]
    assert 'id="layers"' not in pages.sections(bare, graph)["details"]


@pytest.mark.usefixtures("pictures")
def test_a_run_folder_holds_the_pictures_and_is_drawn_again(run: Run, drawn: dict[str, Any]) -> None:
    solution = solved()
    scaled = Preparation(center=[1.0, 2.0], scale=[2.0, 4.0], intercept=False)
    solution = replace(solution, preparation=scaled)
    save(solution, "out", tasks=point().tasks)
    names = {path.name for path in Path("out").iterdir()}
    assert names == {
        "solution.npz", "certificate.json", "history.csv", "report.html", "run.json",
        "features.png", "features.graphml", "kinks.png", "losses.png",
    }  # fmt: skip
    with np.load("out/solution.npz") as stored:
        assert set(stored) == {*solution.blocks, "losses", "objective", *ARRAYS}
    drawn.clear()
    for kind in KINDS:
        assert run("plot", "out", "--kind", kind, "--out", "p.png") == (0, "", "")
    assert len(drawn) == len(KINDS)
    (shown,) = drawn["kinks_figure"]
    np.testing.assert_array_equal(shown.kinks, solution.facts["kinks"])
    np.testing.assert_array_equal(np.concatenate(shown.on), solution.facts["on"])
    assert shown.rows == 5 and shown.graph.tasks == point().tasks.names
    M = np.random.default_rng(0).normal(size=(2, 6))
    np.savez("map.npz", image_map=M)
    plot = ("plot", "out", "--kind", "images", "--out", "p.png")
    assert_error(run(*plot), "give --image-shape HxW, or an array")
    assert run(*plot, "--image-map", "map.npz", "--image-shape", "2x3") == (0, "", "")
    shown, mapped = drawn["layer_images"]
    w = solution.blocks["W1"][:, 1] / [2.0, 4.0]  # of the inputs as they are
    np.testing.assert_allclose(mapped.image(shown.weights[0][:, 1]), (M.T @ w).reshape(2, 3))
    assert_error(run(*plot, "--image-map", "out/solution.npz", "--image-shape", "2x3"), "image_map")
    assert_error(
        run("plot", "out", "--image-map", "map.npz", "--out", "p.png"), "--image-map is of --kind images"
    )
    assert_error(run("plot", "out", "--kind", "truth", "--out", "p.png"), "a network has no truth to draw")


def test_the_guide_states_the_memory_that_is_asked_for() -> None:
    """By the coefficients of the estimate, and how many weights Newton steps take."""
    guide = Path(__file__).resolve().parents[1] / "reports" / "guide" / "networks.md"
    text = " ".join(guide.read_text(encoding="utf-8").split())
    names = ("_ROWS", "_UNITS", "_SCORES", "_SQUARES")
    rows, units, scores, squares = (getattr(footprint, name) for name in names)
    assert f"`{rows} N d + {units} N K + {scores} N T + {squares} n^2` bytes" in text
    assert f"up to {LARGEST} weights" in text
