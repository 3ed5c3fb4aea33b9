"""Growth of W outside the tasks' own rows: what is far out, when it is looked for, how a fit ends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import Array, narrow_tasks, random_tasks

from amtl_cvx import fit
from amtl_cvx.coordinator import Options
from amtl_cvx.errors import SolveError
from amtl_cvx.problem import Point, Problem, make_model
from amtl_cvx.refine import Growth, outside
from amtl_cvx.refine.outside import LOOK, farther
from amtl_cvx.rowspace import OwnSpaces
from amtl_cvx.solution import Solution, Status
from amtl_cvx.tasks import TaskSet
from amtl_cvx.weights import MeanRegularised, Ridge

SD, MU = 0.5, 0.2


def lending() -> Problem:
    """Two tasks that see feature 0 alone and one that sees feature 1: L_t = SD^2 + (its entry - 1)^2."""
    X = [np.array([row] * 2, dtype=float) for row in ([1, 0], [1, 0], [0, 1])]
    tasks = TaskSet.from_arrays(X, [[1.0 + SD, 1.0 - SD]] * 3)
    return Problem(tasks, make_model(mu=MU, coupling=1.0))


def lent(K: float) -> tuple[Array, Array]:
    """W = W B with the least losses: J = SD^2 (3 + mu (2 + 1 / K)), which falls for ever with K."""
    W = np.array([[1.0, 1.0, 1.0 / K], [K, K, 1.0]])
    return W, np.array([[0.0, 1.0, 1.0 / K], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def spaces(problem: Problem) -> OwnSpaces:
    found = OwnSpaces.of(task.X for task in problem.tasks)
    assert found is not None
    return found


@pytest.mark.parametrize("K", [0.5, 1.0, 80.0])
def test_the_ratio_is_that_of_what_the_rows_see(K: float) -> None:
    point = lending().at(*lent(K))
    assert point.objective == pytest.approx(SD**2 * (3.0 + MU * (2.0 + 1.0 / K)), rel=1e-13)
    assert outside._ratio(spaces(lending()), point.W) == pytest.approx(
        np.sqrt((2.0 * K**2 + K**-2) / 3.0), rel=1e-13
    )
    assert outside._ratio(spaces(lending()), np.zeros((2, 3))) == 0.0


def test_J_is_found_lower_far_out_where_it_is_and_nowhere_else() -> None:
    """J >= 3 SD^2, and SD^2 (3 + 2 mu) is what it falls to along `lent`."""
    problem, near = lending(), lending().at(*lent(1.0))
    below = SD**2 * (3.0 + 2.02 * MU)
    found = farther(near, spaces(problem), below=below)
    assert found is not None and 3.0 * SD**2 < problem.at(found.W, found.B).objective < below
    assert np.linalg.norm(found.W, axis=0).max() > 10.0 * np.sqrt(2.0) and (found.B >= 0.0).all()
    assert farther(near, spaces(problem), below=3.0 * SD**2) is None
    assert farther(near.at(W=1e6 * near.W), spaces(problem), below=below) is None  # as far out already


def test_nothing_is_found_where_no_two_tasks_miss_what_another_needs() -> None:
    """Each task sees a feature of its own: no direction is unseen by two of them."""
    X = [np.array([row] * 2, dtype=float) for row in ([1, 0], [0, 1])]
    problem = Problem(TaskSet.from_arrays(X, [[1.5, 0.5]] * 2), make_model(mu=MU, coupling=1.0))
    start = problem.at(np.eye(2), np.zeros((2, 2)))
    assert farther(start, spaces(problem), below=np.inf) is None


def test_a_step_that_no_solver_answers_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(point: Point) -> Array:
        raise SolveError("no answer", step="W", solver="numpy", status="failed")

    monkeypatch.setattr(outside, "minimised", fails)
    assert farther(lending().at(*lent(1.0)), spaces(lending()), below=np.inf) is None


def test_rows_that_see_all_or_the_same_are_not_watched(rng: np.random.Generator) -> None:
    X = rng.normal(size=(2, 3))
    for tasks in (random_tasks(rng, counts=(9, 12), d=3), TaskSet.from_matrix(X, rng.normal(size=(2, 4)))):
        assert OwnSpaces.of(task.X for task in tasks) is None


class Told:
    """q as told, whether J is lower far out at each look, and what it was to be lower than."""

    def __init__(self, ratio: float, lower: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lower, self.limits = iter(lower), list[float]()
        monkeypatch.setattr(outside, "_ratio", lambda spaces, W: ratio)
        monkeypatch.setattr(outside, "farther", self.farther)
        monkeypatch.setattr(outside, "recession_fall", lambda point: 0.0)

    def farther(self, point: Point, spaces: OwnSpaces, *, below: float) -> Point | None:
        self.limits.append(below)
        return point.at(W=100.0 * point.W) if next(self.lower) == "y" else None

    def watched(self, *, steps: int) -> Growth:
        growth, point = Growth(), lending().at(*lent(1.0))
        for _ in range(steps):
            growth.see(point, tol=1e-3)
        return growth


@pytest.mark.parametrize(("lower", "looks"), [("yy", 2), ("nyy", 3), ("ynyy", 4)])
def test_two_looks_running_at_which_J_is_lower_far_out_end_a_fit(
    lower: str, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, J = LOOK * 2 ** (looks - 1), SD**2 * (3.0 + 3.0 * MU)
    assert not Told(2.0, lower, monkeypatch).watched(steps=steps - 1).endless
    told = Told(2.0, lower, monkeypatch)
    growth = told.watched(steps=steps)
    assert growth.endless and told.limits == pytest.approx([J * (1.0 - 1e-3)] * looks, rel=1e-12)
    words = growth.words(lending().at(*lent(1.0)))
    assert "to 2 times" in words and "length 1.4, " in words and "has 1.4e+02" in words


def test_it_is_not_looked_for_before_W_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(0.9, "", monkeypatch)
    growth = told.watched(steps=4 * LOOK)
    assert growth.ratio == 0.9 and not growth.endless and not told.limits


def test_a_fit_ends_where_W_grows_outside_the_rows() -> None:
    """With time it gets to predictors of 1e6 and more, J lower all the way."""
    model = make_model(mu=0.03, coupling=3.0)
    found = fit(narrow_tasks(), model, options=Options(engine="fast"))
    why = found.certificate.reasons["growth"]
    assert found.status is Status.GROWING and not found.certificate.passes and "--omega mean" in why
    here, there = why.partition("far out: ")[2].split(" here, ")
    assert float(here) == pytest.approx(found.objective, rel=1e-6)
    assert float(there.partition(", and ")[2].split()[0]) < found.objective


@pytest.mark.parametrize("omega", ["mean:1", "ridge:0.1"])
def test_the_cure_helps(omega: str) -> None:
    model = make_model(mu=0.03, coupling=3.0, omega=omega)
    found = fit(narrow_tasks(), model, options=Options(engine="fast"))
    assert found.status is Status.CERTIFIED and found.certificate.edges > 0


def test_it_is_not_looked_for_where_a_penalty_bounds_W(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(2.0, "yy", monkeypatch)
    for omega, looks in ((Ridge(rho=1e-9), 0), (MeanRegularised(rho=1e-9), 2)):
        growth, at = Growth(), lending()
        point = Problem(at.tasks, replace(at.model, omega=omega)).at(*lent(1.0))
        for _ in range(2 * LOOK):
            growth.see(point, tol=1e-3)
        assert len(told.limits) == looks == growth.lower


def test_what_was_seen_is_carried_over_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("amtl_cvx.run.INTERVAL", 0.0)
    saved: list[Solution] = []
    model, options = make_model(mu=0.03, coupling=3.0), Options(engine="fast", checkpoint=saved.append)
    whole = fit(narrow_tasks(), model, options=options)
    for before in (saved[-1], saved[-4]):
        state = before.state
        assert state is not None and state.facts["refining"]["growth"]["slow"] > LOOK
        found = fit(narrow_tasks(), model, options=Options(engine="fast", start=state))
        assert found.status is Status.GROWING and np.array_equal(found.W, whole.W)
        assert found.certificate.reasons == whole.certificate.reasons


def test_a_minimum_with_long_predictors_is_reached() -> None:
    """Two tasks of a feature each: J is least near m = sd_1 / sd_0, so W has an entry of about 25."""
    X = [np.array([row] * 2, dtype=float) for row in ([1, 0], [0, 1])]
    tasks = TaskSet.from_arrays(X, [[1.0 + s, 1.0 - s] for s in (0.5, 0.02)])
    found = fit(tasks, make_model(mu=0.1, coupling=1.0), options=Options(engine="fast"))
    assert found.status is Status.CERTIFIED


@pytest.mark.parametrize("unit", [1.0, 10.0])
def test_a_direction_is_carried_the_way_in_which_more_is_lent(unit: float) -> None:
    """Lent are 1/2, 1/2 one way and 3/5 the other: 1/2 by their squares against 9/25."""
    own = OwnSpaces((np.eye(2)[:, :1], np.eye(2)[:, :1], np.eye(2)))
    W = np.array([[1.0, 1.0, 1.0], [0.5, 0.5, -0.6]])
    for sign in (1.0, -1.0):
        ((pair, u),) = outside._carriers(own, unit * W * [[1.0], [sign]])
        assert pair == [0, 1] and u == pytest.approx([0.0, sign])


def test_nothing_found_farther_out_counts_as_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "farther", lambda *_, **__: None)
    problem, growth = lending(), Growth()
    for _ in range(LOOK):
        growth.see(problem.at(*lent(1e3)), tol=1e-8)
    assert growth.ratio is not None and growth.ratio > 1.0
    assert growth.lower == 0 and growth.far_objective is None
