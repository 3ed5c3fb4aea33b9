# More than 300 lines: the tests of one bound, beside its exact twin.
"""What a move of W alone can gain, as it is judged, against the W-step in 50 digits (`test_gaps_exact`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cases import LOSS_CASES, Array, loss_id, random_transfer, tasks_for
from exact_gaps import exact, exact_problem, model_of
from mpmath import mp, mpf

from amtl_cvx import fit
from amtl_cvx.certificate import certify, resolution, rungs, w_step, weight_evidence
from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared, SquaredHinge
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

smooth_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
labels = pytest.mark.parametrize("loss", [Logistic(), SquaredHinge()], ids=loss_id)
large = pytest.mark.parametrize("size", [1e6, 1e9, 1e15])
ALONE = np.zeros((1, 1))


def true_gain(tasks: TaskSet, model: Model, W: Array, B: Array, best: Any = None) -> Any:
    """J(W, B) - min J(., B) in 50 digits."""
    problem = exact_problem(tasks, model, B)
    best = problem.minimum(exact(W)) if best is None else best
    return problem.primal(exact(W))[0] - problem.primal(best)[0]


def one_task(loss: Loss, size: float) -> tuple[TaskSet, Model]:
    """Rows of `size` and rows of 1, one feature; w wants to be of order 1."""
    X, y = np.array([[size], [-size], [1.0], [-1.0]]), np.array([1.0, -1.0, 1.0, -1.0])
    transfer = LossWeightedL1(mu=0.1)
    model = Model(loss=loss, transfer=transfer, coupling=1e-4, task_weights=(1.0,))
    return TaskSet.from_arrays([X], [y]), model


def closed(loss: Loss, w: float) -> Any:
    """J of `one_task` for w > 0, with nothing left of the large rows from w = 1e-4 on."""
    margin = 1 - mpf(w)
    row = mp.log1p(mp.exp(-mpf(w))) if loss.name == "logistic" else max(mpf(0), margin) ** 2
    return row / 2 + mpf("1e-4") * mpf(w) ** 2


@pytest.mark.sampled(2)
@large
@labels
def test_a_point_that_large_rows_hold_does_not_pass(loss: Loss, size: float) -> None:
    """Moving w from about 20 / size to 5 (or 1) lowers J by 98 %, though (1/2) g'H^-1 g is all but 0."""
    tasks, model = one_task(loss, size)
    lower = closed(loss, 5.0 if loss.name == "logistic" else 1.0)
    for z in (*np.linspace(10.0, 40.0, 13), 1.0 - 1e-9, 1.0 - 1e-12, 1.0 + 1e-9):
        found = certify(Problem(tasks, model).at(np.array([[z / size]]), ALONE))
        assert not found.passes and found.level == "C0"
        assert found.gain_W is not None and found.gain_W >= found.objective - float(lower)
        words = {rung.code: rung for rung in rungs(found)}["C1"]
        assert words.state == "not reached"


@large
@labels
@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_a_fit_with_large_rows_reaches_the_minimum(loss: Loss, size: float, engine: str) -> None:
    tasks, model = one_task(loss, size)
    found = fit(tasks, model, options=Options(engine=engine))
    if loss.name == "logistic":
        best = mp.findroot(lambda w: mpf("2e-4") * w - 1 / (2 * (1 + mp.exp(w))), 6)
    else:
        best = 1 / mpf("1.0002")
    J = closed(loss, found.W[0, 0])
    assert J - closed(loss, best) <= mpf("1e-8") * closed(loss, best)
    assert found.certificate.passes


def kink_rows(away: float) -> tuple[TaskSet, Model, Array, Array]:
    """Two tasks; both rows of the second stand `away` beside their kink, so that H is large and J is not."""
    X = [np.array([[0.0, -1.0], [-1.0, -2.0]]), np.array([[1.0, -1.0], [1.5, -2.0]])]
    tasks = TaskSet.from_arrays([np.vstack([x, -x]) for x in X], [np.array([1.0, 1.0, -1.0, -1.0])] * 2)
    transfer = LossWeightedL1(mu=1.0)
    model = Model(loss=SquaredHinge(), transfer=transfer, coupling=1e-10, task_weights=(1.0, 1.0))
    second = np.linalg.solve(X[1], [1.0 - away, 1.0 - away])
    first = np.linalg.solve(X[0], [1.0 - 1e-10, 1.0 - 1e-10])
    return tasks, model, np.column_stack([first, second]), np.array([[0.0, 0.5], [0.2, 0.0]])


def test_rows_beside_their_kink_hide_no_gain() -> None:
    tasks, model, W, B = kink_rows(1e-12)
    found, true = weight_evidence(Problem(tasks, model).at(W, B)), true_gain(tasks, model, W, B)
    assert found.gain is not None and found.gain < 1e-3 * true  # what used to be judged
    assert found.judged >= true > 0.5 * model.objective(tasks, W, B)
    assert not certify(Problem(tasks, model).at(W, B), kind="single-task").passes


def spread(rng: np.random.Generator, loss: Loss, count: int) -> Any:
    """Problems with features, tasks and couplings of many sizes and I - B down to nearly singular."""
    for k in range(count):
        tasks = tasks_for(loss, rng, d=2, counts=(4, 6, 5))
        features = 10.0 ** rng.uniform(-3, 3, size=2) if k % 3 == 0 else np.ones(2)
        rows = [1.0 if k % 3 else 10.0 ** rng.uniform(-1, 1, size=(len(t.y), 1)) for t in tasks]
        if loss.name == "poisson":
            features, rows = 10.0 ** rng.uniform(-2, 0, size=2), [1.0] * 3
        tasks = TaskSet.from_arrays(
            [t.X * features * r for t, r in zip(tasks, rows, strict=True)], [t.y for t in tasks]
        )
        B = random_transfer(rng, 3)
        if k % 2:
            B = np.abs(rng.normal(size=(3, 3))) * (1.0 - np.eye(3))
            B *= (1.0 - 10.0 ** rng.uniform(-9, -1)) / float(max(abs(np.linalg.eigvals(B))))
        yield tasks, model_of(loss, coupling=10.0 ** rng.uniform(-3, 2)), B


@pytest.mark.sampled(3)
@smooth_loss
def test_the_judged_gain_is_never_below_the_true_one(loss: Loss, rng: np.random.Generator) -> None:
    """At the minimum rounded to doubles it is all but 0; on the way there a bound, sharp in the end."""
    for tasks, model, B in spread(rng, loss, 2):
        best = exact_problem(tasks, model, B).minimum(exact(np.zeros((2, 3))))
        J = model.objective(tasks, best.astype(float), B)
        for away in (0.0, 1e-12, 1e-8, 1e-4, 1e-1, 10.0):
            W = best.astype(float) * (1.0 + away * rng.normal(size=(2, 3)))
            found, true = (
                weight_evidence(Problem(tasks, model).at(W, B)),
                true_gain(tasks, model, W, B, best=best),
            )
            assert found.judged >= true
            assert away > 1e-4 or found.judged <= 4 * true + 1e-14 * J
            assert found.by in ("decrement", "gap")
            loose = weight_evidence(Problem(tasks, model).at(W, B), enough=0.1 * J)
            assert loose.judged >= true and (loose.by == "gap" or loose.judged == found.judged)
            assert (loose.gap, loose.error, loose.condition) == (found.gap, found.error, found.condition)


@pytest.mark.parametrize("loss", [Squared(), Logistic(), Poisson(), Huber(threshold=0.5)], ids=loss_id)
def test_above_the_dense_limit_the_blocks_of_the_hessian_are_a_bound(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(w_step, "DENSE_LIMIT", 0)
    for tasks, model, B in spread(rng, loss, 2):
        best = exact_problem(tasks, model, B).minimum(exact(np.zeros((2, 3))))
        J = model.objective(tasks, best.astype(float), B)
        for away in (0.0, 1e-9, 1e-3):
            W = best.astype(float) * (1.0 + away * rng.normal(size=(2, 3)))
            found = weight_evidence(Problem(tasks, model).at(W, B))
            assert found.judged >= true_gain(tasks, model, W, B, best=best)
            assert away > 0.0 or found.judged <= 1e-8 * J
    W = best.astype(float) + 1.0
    assert not certify(Problem(tasks, model).at(W, np.zeros((3, 3))), kind="single-task").passes


def test_rounding_is_in_the_judged_gain() -> None:
    """Targets of 1e9 with a part of 1 to be fitted: the gradient is rounding, and so is the gain."""
    rng = np.random.default_rng(3)
    X = np.column_stack([np.ones(30), rng.normal(size=30)])
    tasks = TaskSet.from_arrays([X], [1e9 + X[:, 1] + 0.1 * rng.normal(size=30)])
    model = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1e-13, task_weights=(1.0,))
    best = exact_problem(tasks, model, ALONE).minimum(exact(np.zeros((2, 1))))
    W = best.astype(float)
    for step in range(-20, 21):
        V = W + np.array([[0.0], [step * 1e-9]])
        found = weight_evidence(Problem(tasks, model).at(V, ALONE))
        assert found.judged >= true_gain(tasks, model, V, ALONE, best=best)
    assert found.judged <= 1e-8 * model.objective(tasks, W, ALONE)


@pytest.mark.parametrize("loss", [Hinge(), Quantile(tau=0.3)], ids=loss_id)
def test_the_judged_gain_of_a_loss_with_kinks(loss: Loss, rng: np.random.Generator) -> None:
    """Never below the fall to another point, in 50 digits, wherever that is from; sharp at the minimum."""
    for tasks, model, B in spread(rng, loss, 4):
        problem = exact_problem(tasks, model, B)
        best = Problem(tasks, model).at(np.zeros((2, 3)), B).kinked.W
        least = problem.primal(exact(best))[0]
        for away in (0.0, 1e-13, 1e-8, 1e-3, 1.0):
            W = best * (1.0 + away * rng.normal(size=best.shape))
            found, value = weight_evidence(Problem(tasks, model).at(W, B)), problem.primal(exact(W))[0]
            assert found.judged >= value - least
            assert away > 1e-13 or found.judged <= 1e-8 * value


def test_large_rows_on_their_kinks_do_not_make_a_good_point_fail() -> None:
    """Rows of 1e12 on their kinks: Q, summed from 1e12, is rounding, and hinders no move of W."""
    X = np.array([[1e12, 0.0], [-1e12, 0.5], [1e12, 1.0], [1.0, 1.0], [1.0, -1.0]])
    tasks = TaskSet.from_arrays([X], [np.array([1.0, -1.0, -1.0, 1.0, -1.0])])
    transfer = LossWeightedL1(mu=0.1)
    model = Model(loss=Hinge(), transfer=transfer, coupling=1e-4, task_weights=(1.0,))
    W = Problem(tasks, model).at(np.zeros((2, 1)), ALONE).kinked.W
    problem, found = exact_problem(tasks, model, ALONE), weight_evidence(Problem(tasks, model).at(W, ALONE))
    value = problem.primal(exact(W))[0]
    assert found.by == "decrement" and found.judged <= 1e-10 * value
    for step in ([[1e-12], [0.0]], [[0.0], [1e-3]], [[0.0], [-1e-3]], [[1e-13], [1e-6]], [[-1e-12], [0.1]]):
        V = W + np.array(step)
        assert problem.primal(exact(V))[0] >= value - mpf(found.judged)
        moved, fall = weight_evidence(Problem(tasks, model).at(V, ALONE)), problem.primal(exact(V))[0] - value
        assert moved.judged >= fall


def free_cycle(loss: Loss) -> tuple[TaskSet, Model, Array, Array]:
    """Tasks 1 and 2 are fitted without loss and copy each other: along them I - B and H are singular.

    Task 0 is alone and stands at its best double, in 50 digits.
    """
    X0 = np.array([[1.0, 0.5], [-1.0, 0.25], [0.5, -1.0], [-0.25, -1.0]])
    y0 = np.array([1.0, -1.0, 1.0, 1.0])
    X = [X0, np.array([[1.0, 0.0], [-1.0, 0.5]]), np.array([[1.0, 0.25], [-2.0, 0.0]])]
    tasks = TaskSet.from_arrays(X, [y0, np.array([1.0, -1.0]), np.array([1.0, -1.0])])
    transfer = LossWeightedL1(mu=0.5)
    model = Model(loss=loss, transfer=transfer, coupling=0.1, task_weights=(1.0, 1.0, 1.0))
    alone = Model(loss=loss, transfer=transfer, coupling=0.1, task_weights=(1.0,))
    problem = exact_problem(TaskSet.from_arrays([X0], [y0]), alone, ALONE)
    best = problem.minimum(exact(np.zeros((2, 1)))).astype(float) if loss.smooth else np.zeros((2, 1))
    W = np.column_stack([best[:, 0], [4.0, 0.0], [8.0, 0.0]])
    return tasks, model, W, np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [0.0, 0.5, 0.0]])


def test_a_cycle_of_tasks_that_cost_nothing_hides_nothing() -> None:
    """J is that of task 0 alone, however far the others grow; a move of task 0 is seen."""
    tasks, model, W, B = free_cycle(SquaredHinge())
    found = weight_evidence(Problem(tasks, model).at(W, B))
    assert found.gap is None and found.sigma_min < 1e-15
    assert found.by == "decrement" and found.judged <= 1e-20 * model.objective(tasks, W, B)
    for moved in (1e-3, 1e-1, 10.0):
        V = W + moved * np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        gain = model.objective(tasks, V, B) - model.objective(tasks, W, B)
        found = certify(Problem(tasks, model).at(V, B))
        assert found.gain_W is not None and found.gain_W >= gain * (1.0 - 1e-9) and not found.passes
    bound = B + np.array([[0.0, 0.0, 0.0], [0.1, 0.0, 0.0], [0.0, 0.0, 0.0]])  # now task 1 gives to task 0
    gain = model.objective(tasks, W, bound) - model.objective(tasks, W * [1.0, 1e-9, 1e-9], bound)
    found = certify(Problem(tasks, model).at(W, bound))
    assert found.gain_W is not None and found.gain_W >= gain and not found.passes


def test_a_cycle_of_a_loss_with_kinks_hides_nothing() -> None:
    """Task 0 at w = 0 can gain; what it can is known although I - B is singular."""
    tasks, model, W, B = free_cycle(Hinge())
    found = certify(Problem(tasks, model).at(W, B))
    assert found.gap_W is None and not found.passes and found.gain_W_by == "gap"
    lower = np.column_stack([[0.5, 0.0], W[:, 1], W[:, 2]])
    gain = model.objective(tasks, W, B) - model.objective(tasks, lower, B)
    assert found.gain_W is not None and math.inf > found.gain_W >= gain > 0.0


@pytest.mark.parametrize("size", [1e6, 1e7, 1e8])
def test_a_refusal_that_is_rounding_says_so(size: float) -> None:
    """At the minimum a row of `size` is short of its kink by less than the rounding of its score."""
    X = np.array([[size, -size], [0.25, 1.0], [-0.5, -1.0], [0.125, 1.0]])
    tasks = TaskSet.from_arrays([X], [np.array([1.0, 1.0, -1.0, 1.0])])
    transfer = LossWeightedL1(mu=0.1)
    model = Model(loss=SquaredHinge(), transfer=transfer, coupling=1e-3, task_weights=(1.0,))
    W = exact_problem(tasks, model, ALONE).minimum(exact(np.zeros((2, 1)))).astype(float)
    found = certify(Problem(tasks, model).at(W, ALONE))
    assert not found.passes and found.relative <= found.tol
    assert "rounding leaves up to" in found.reasons["gain_W"]
    assert "rounding leaves up to" in {rung.code: rung.words for rung in rungs(found)}["C1"]
    far = certify(Problem(tasks, model).at(W + np.array([[0.0], [1e-3]]), ALONE))
    assert "rounding" not in far.reasons["gain_W"]


def test_where_nothing_is_proved_the_reason_is_told(rng: np.random.Generator) -> None:
    """I - B singular and a step beyond what is known of the curvature: no pass, whatever the tolerance."""
    tasks = tasks_for(Logistic(), rng, d=2, counts=(9, 9))
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=0.0), coupling=0.7)
    W, B = np.full((2, 2), 30.0), np.array([[0.0, 1.0], [1.0, 0.0]])
    found = certify(Problem(tasks, model).at(W, B), tol=0.999)
    assert found.gain_W == math.inf and found.gain_W_by == "none" and not found.passes
    assert "no bound is proved" in found.reasons["gain_W"]
    assert "singular" in found.reasons["gain_W"]
    assert "not known" in {rung.code: rung.words for rung in rungs(found)}["C1"]


def test_the_verdict_says_which_figure_decided(rng: np.random.Generator) -> None:
    words = {"decrement": "by the Newton decrement", "gap": "by the duality gap"}
    for loss in (Logistic(), Hinge()):
        tasks = tasks_for(loss, rng, d=2, counts=(9, 9))
        found = fit(tasks, Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=0.7)).certificate
        by = words[found.gain_W_by]
        assert found.passes and by in found.verdict() and "(tol J)" in found.verdict()
        assert by in "".join(found.sentences())
        assert by in {rung.code: rung.words for rung in rungs(found)}["C1"]
        assert found.limit == found.tol * found.objective


def test_a_curriculum_is_judged_by_the_same_bounds() -> None:
    """The refit of a task whose large rows are satisfied and whose rows of 1 are not."""
    from amtl_cvx.curriculum import certify_curriculum

    for loss in (Logistic(), SquaredHinge()):
        for size in (1e9, 1e12):
            tasks, model = one_task(loss, size)
            for z in (20.0, 30.0, 1.0 - 1e-12):
                assert not certify_curriculum(tasks, model, np.array([[z / size]]), ALONE, (0,)).passes
            best = fit(tasks, model, method="curriculum")
            assert best.certificate.passes and best.certificate.gain_W_by == "decrement"
            assert best.W[0, 0] > 0.9


EXACT_FITS = {
    "squared": (Squared(), 1.0),
    "huber": (Huber(threshold=1.0), 1.0),
    "quantile": (Quantile(tau=0.3), 1.0),
    "squared, small": (Squared(), 1e-6),
    "quantile, large": (Quantile(tau=0.3), 1e6),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", EXACT_FITS)
def test_a_point_with_no_loss_left_passes_up_to_rounding(name: str, rng: np.random.Generator) -> None:
    """w_2 = 2 w_1 and both tasks are interpolated: J = 0 is the minimum, and doubles have J at rounding."""
    loss, unit = EXACT_FITS[name]
    for _ in range(5):
        w = rng.normal(size=3)
        X = [rng.normal(size=(3, 3)) for _ in range(2)]
        W = unit * np.column_stack([w, 2.0 * w])
        B = np.array([[0.0, 2.0], [0.5, 0.0]])
        tasks = TaskSet.from_arrays(X, [x @ v for x, v in zip(X, W.T, strict=True)])
        model = Model(loss=loss, transfer=LossWeightedL1(mu=0.1), coupling=0.5)
        V = W * (1.0 + 2.0**-52 * rng.integers(-1, 2, size=W.shape))
        found = certify(Problem(tasks, model).at(V, B))
        assert found.limit == resolution(Problem(tasks, model)) > found.tol * found.objective
        assert found.passes and "rounding of J" in found.verdict()
        assert "rounding of J" in {rung.code: rung.words for rung in rungs(found)}["C1"]
        for worse in (V * (1.0 + 1e-3), V * np.array([1.0, -1.0]), V * np.array([[1.0], [1.0], [-1.0]])):
            assert not certify(Problem(tasks, model).at(worse, B)).passes
        assert not certify(Problem(tasks, model).at(V, 0.0 * B)).passes


def test_the_resolution_is_that_of_the_loss() -> None:
    """J(0, 0) by hand: 2 (1/2) (1 + 4) for the squared loss, 2 (1/2) (1 + 2) / 2 for the quantile one."""
    tasks = TaskSet.from_arrays([np.eye(2)] * 2, [np.array([1.0, -2.0])] * 2)
    transfer = LossWeightedL1(mu=0.1)
    squared = Model(loss=Squared(), transfer=transfer, coupling=0.5)
    quantile = Model(loss=Quantile(tau=0.5), transfer=transfer, coupling=0.5)
    assert resolution(Problem(tasks, squared)) == 5.0 * 2.0 ** (2 * (16 - 52))
    assert resolution(Problem(tasks, quantile)) == 1.5 * 16.0 * 2.0**-52


@pytest.mark.parametrize("engine", ["cvxpy", "fast"])
def test_large_rows_of_one_task_are_left_behind_beside_a_task_that_moves_no_more(engine: str) -> None:
    """The W-step goes on for the task with rows of 1e12, whose w is 1e-11 on the way, beside a large w."""
    tasks, model = one_task(Logistic(), 1e12)
    beside = np.array([[1e-3], [-1e-3], [2e-3], [-1e-3]])
    both = TaskSet.from_arrays([tasks[0].X, beside], [tasks[0].y, tasks[0].y])
    model = Model(loss=Logistic(), transfer=LossWeightedL1(mu=1e6), coupling=1e-8)
    found = fit(both, model, options=Options(engine=engine))
    assert found.certificate.passes and found.W[0, 0] > 1.0
