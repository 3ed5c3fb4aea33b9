"""The picture of a run: objective and residuals over its steps."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from pictures import outside, panel, words

from amtl_cvx.plotting import (
    convergence_figure,
    write_png,
)
from amtl_cvx.solution import Record


def record(step: str, objective: float, residual: float, number: int = 1) -> Record:
    return Record(
        round=number, step=step, objective=objective, stationarity={"W": residual, "B": 0.0},
        relative=residual,
        seconds=0.1 * number, solver="CLARABEL", solver_status="optimal",
    )  # fmt: skip


def run(rounds: int, refinements: int) -> list[Record]:
    steps = [step for _ in range(rounds) for step in ("W", "B")] + ["refine"] * refinements
    return [record(step, 3.0 + 0.5**k, 0.3**k, k + 1) for k, step in enumerate(steps)]


def test_the_objective_panel_shows_the_distance_to_the_smallest() -> None:
    history = run(6, 4)
    figure = convergence_figure(history, tol=1e-8)
    drawn = panel(figure, "objective").lines[-1].get_ydata()
    expected = [r.objective - history[-1].objective for r in history[:-1]]
    np.testing.assert_allclose(drawn[:-1], expected)  # type: ignore[index]
    assert np.isnan(drawn[-1])  # type: ignore[index]
    assert panel(figure, "objective").get_yscale() == "log"
    assert f"{history[-1].objective:.10g}" in words(figure)


def half_steps(rounds: int) -> list[Record]:
    """Records as a fit makes them: the residual of the block just solved is rounding error."""
    return [
        dataclasses.replace(
            one, round=k // 2 + 1,
            stationarity={"W": 1e-16, "B": 0.2**k} if one.step == "W" else {"W": 0.3**k, "B": 1e-16},
             relative=0.25**k,
        )
        for k, one in enumerate(run(rounds, 0))
    ]  # fmt: skip


def test_a_half_step_shows_the_residual_of_the_other_block() -> None:
    history = [*half_steps(4), *run(0, 2)]
    figure = convergence_figure(history, tol=1e-8)
    lower = panel(figure, "residuals")
    lines = {str(line.get_label()): np.asarray(line.get_xydata()) for line in lower.lines}
    for name, steps in {
        "stationarity_W": (2, 4, 6, 8, 9, 10),
        "stationarity_B": (1, 3, 5, 7, 9, 10),
        "relative": (1, 2, 4, 6, 8, 9, 10),
    }.items():
        assert lines[name][:, 0].tolist() == list(steps)
        values = [getattr(history[step - 1], name) for step in steps]
        np.testing.assert_array_equal(lines[name][:, 1], [value or np.nan for value in values])
    assert len(np.asarray(panel(figure, "objective").lines[-1].get_ydata())) == len(history)
    assert "of B after each W-step, of W after each B-step" in words(figure)
    assert lower.get_ylim()[0] > 1e-12  # nothing that is not drawn stretches the axis


def test_the_last_step_of_an_interrupted_run_shows_what_it_left() -> None:
    history = half_steps(3)[:-1]
    lines = {
        line.get_label(): line for line in panel(convergence_figure(history, tol=1e-8), "residuals").lines
    }
    assert list(lines["relative"].get_xdata()) == [1, 2, 4, 5]
    assert list(lines["stationarity_W"].get_xdata()) == [2, 4]


def test_residuals_and_tolerance_are_labelled_and_share_the_axis() -> None:
    figure = convergence_figure(run(5, 3), tol=1e-6)
    lower = panel(figure, "residuals")
    lines = {line.get_label(): line for line in lower.lines}
    assert lines["relative"].get_linewidth() > 2 * lines["stationarity_W"].get_linewidth()
    limit = lines["tol for relative = 1e-6"]
    assert limit.get_ydata() == [1e-6, 1e-6] and limit.get_linestyle() != "-"
    assert lower.get_shared_x_axes().joined(lower, panel(figure, "objective"))
    marks = np.vstack([np.asarray(marks.get_offsets()) for marks in lower.collections])
    assert len(marks) == 5 + 3  # stationarity_B is 0 after every W-step and refinement
    assert (marks[:, 1] >= lower.get_ylim()[0]).all()


@pytest.mark.parametrize("history", [half_steps(100), [record("stl", 9.0, 0.1), record("task 0", 8.5, 0.2)]])
def test_no_text_leaves_the_convergence_figure(history: list[Record]) -> None:
    figure = convergence_figure(history, tol=2.5e-8)
    assert not outside(figure)


def test_the_phases_are_named() -> None:
    both = words(convergence_figure(run(10, 10), tol=1e-8))
    assert "alternation" in both and "refinement" in both
    assert "refinement" not in words(convergence_figure(run(10, 0), tol=1e-8))


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("history", "sentence"),
    [
        ([], "no step was recorded"),
        ([record("stl", 3.25, 1e-12)], "J = 3.25"),
        ([record("stl", 3.25, 0.0)], "J = 3.25"),
        ([record("W", 3.25, 0.0), record("B", 3.25, 0.0)], "J is constant: 3.25"),
        ([record("W", float("nan"), float("inf"))], "nothing to draw"),
        ([record("stl", 9.0, 0.1), record("task $1$", 8.0, 0.2), record("task 0", 8.5, 0.2)], "task $1$"),
        (
            [record("stl", 9.0, 0.1), *(record(f"task {t}", 9.0 - t / 99, 0.1) for t in range(80))],
            "not required",
        ),
        ([record("W", 0.0, 1e-300), record("B", -1e-9, 1e300)], "smallest J = -1e-09"),
        ([record("W", 5e-324, 5e-324), record("B", 1.7e308, 1.7e308)], "1e308"),
    ],
)
def test_unusual_histories_are_drawn(history: list[Record], sentence: str) -> None:
    figure = convergence_figure(history, tol=1e-8)
    write_png(figure, io.BytesIO(), dpi=50)
    assert sentence in words(figure)
