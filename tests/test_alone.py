# More than 300 lines: one J without edges, by every loss and penalty it can have.
"""Predictors by themselves (stl at coupling 0): J is convex, and its lower bound holds for every W."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from cases import LOSS_CASES, Array, loss_id, random_tasks, tasks_for
from scipy.optimize import linprog

from amtl_cvx import (
    Logistic,
    LossWeightedL1,
    MeanRegularised,
    Model,
    Options,
    Poisson,
    Problem,
    Ridge,
    Solution,
    Status,
    TaskSet,
    certify,
    fit,
)
from amtl_cvx.certificate.w_step import weight_problem
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import Hinge, Loss, Squared, SquaredHinge
from amtl_cvx.weights import L1, L21, Fused, QuadraticPenalty, TraceNorm, TraceNormSquared, WeightPenalty

COUNTS = (9, 14, 20)


def alone(omega: WeightPenalty | str | None, loss: Loss | str = "squared") -> Model:
    return Model(loss=loss, coupling=0, omega=omega)  # type: ignore[arg-type]


def single(tasks: TaskSet, model: Model, *, tol: float = 1e-8) -> Solution:
    return fit(tasks, model, method="stl", options=Options(tol=tol))


def least(tasks: TaskSet, model: Model) -> float:
    """min J by Clarabel, J written out here, Omega the mean's penalty."""
    W, rho = cp.Variable((tasks.d, tasks.T)), 0.0 if model.omega is None else model.omega.rho
    losses = [model.loss.expression(task, W[:, t]) for t, task in enumerate(tasks)]
    mean = cp.sum(W, axis=1, keepdims=True) @ np.ones((1, tasks.T)) / tasks.T
    J = cp.Minimize(cp.sum(losses) + rho * cp.sum_squares(W - mean))
    return float(cp.Problem(J).solve(solver="CLARABEL", tol_gap_abs=1e-11, tol_gap_rel=1e-11))


def test_ridge_by_itself_is_that_of_scikit_learn(rng: np.random.Generator) -> None:
    """(1/n) ||y - X w||^2 + rho ||w||^2 of every task, alpha = n rho; the bound is below J, by rounding."""
    others = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    tasks = random_tasks(rng, counts=COUNTS)
    found = single(tasks, alone(Ridge(rho=0.3)))
    for t, task in enumerate(tasks):
        expected = others.Ridge(alpha=task.n * 0.3, fit_intercept=False).fit(task.X, task.y).coef_
        assert np.abs(found.W[:, t] - expected).max() <= 1e-12
    certificate = found.certificate
    assert certificate.level == "C5" and certificate.global_method == "convex-duality"
    assert certificate.global_lower is not None and certificate.global_upper is not None
    assert certificate.global_lower < found.objective < certificate.global_upper
    assert not certificate.has("C3") and not certificate.has("C4") and not found.B.any()
    assert "in floating point" in certificate.rungs()[-1].words


@pytest.mark.parametrize("shape", [(20, 5), (8, 12)], ids=str)
@pytest.mark.parametrize("rho", [0.02, 0.5])
def test_lasso_and_multi_task_lasso_are_those_of_scikit_learn(
    shape: tuple[int, int], rho: float, rng: np.random.Generator
) -> None:
    """Theirs is ||Y - X W||^2 / 2n + alpha Omega, half of J at rho = 2 alpha; features may outnumber rows."""
    others = pytest.importorskip("sklearn.linear_model", reason="scikit-learn is not installed")
    n, d = shape
    X = rng.normal(size=shape)
    Y = X @ (rng.normal(size=(d, 3)) * (rng.random((d, 1)) < 0.4)) + 0.3 * rng.normal(size=(n, 3))
    tasks = TaskSet.from_arrays([X] * 3, list(Y.T))
    exact = {"alpha": rho / 2.0, "fit_intercept": False, "tol": 1e-14, "max_iter": 10**6}
    lasso = np.column_stack([others.Lasso(**exact).fit(X, y).coef_ for y in Y.T])
    multi = others.MultiTaskLasso(**exact).fit(X, Y).coef_.T
    sizes = (np.abs(lasso).sum(), np.linalg.norm(multi, axis=1).sum())
    for omega, V, size in zip((L1(rho=rho), L21(rho=rho)), (lasso, multi), sizes, strict=True):
        J = ((Y - X @ V) ** 2).sum() / n + rho * float(size)
        found = single(tasks, alone(omega))
        assert found.objective == pytest.approx(J, rel=1e-8) and found.certificate.level == "C5"
        bound = found.certificate.global_lower
        assert bound is not None and bound <= J and ((found.W == 0.0) == (np.abs(V) < 1e-9)).all()


PENALTIES = (L1(rho=0.1), L21(rho=0.1), TraceNorm(rho=0.1), TraceNormSquared(rho=0.05), Fused(rho=0.1))


@pytest.mark.parametrize("omega", PENALTIES, ids=lambda omega: omega.name)
def test_penalties_with_kinks_have_the_bound_and_refuse_a_wrong_W(
    omega: WeightPenalty, rng: np.random.Generator
) -> None:
    """Clarabel's J, for the logistic loss; at any other point the bound is below it, and C5 is refused."""
    tasks = tasks_for(Logistic(), rng, d=3, counts=COUNTS)
    model = alone(omega, Logistic())
    W, B = single(tasks, model).blocks.values()
    V = cp.Variable((3, 3))
    J = sum(model.loss.expression(task, V[:, t]) for t, task in enumerate(tasks)) + omega.expression(V)
    least = float(cp.Problem(cp.Minimize(J)).solve(solver="CLARABEL", tol_gap_rel=1e-10, tol_gap_abs=1e-10))
    for U, right in (
        (W, True),
        (1.001 * W, False),
        (W + 0.1 * rng.normal(size=W.shape), False),
        (0.0 * W, False),
    ):
        found = certify(tasks, model, U, B, kind="single-task", level="C5")
        assert (found.level == "C5") == right == found.passes
        assert (found.global_lower or 0.0) <= least * (1 + 1e-9)  # none far out where Omega bounds no W
    assert Problem(tasks, model).at(W, B).objective == pytest.approx(least, rel=1e-8)


@pytest.mark.parametrize("loss", [Squared(), Logistic()], ids=lambda loss: loss.name)
def test_a_row_of_tasks_with_more_features_than_rows(loss: Loss, rng: np.random.Generator) -> None:
    """No task sees every direction and Omega leaves the mean free: all rows together hold it."""
    tasks, model = tasks_for(loss, rng, d=5, counts=(4, 4, 4)), alone(Fused(rho=0.5), loss)
    W, B = single(tasks, model).blocks.values()
    V = cp.Variable((5, 3))
    J = sum(loss.expression(task, V[:, t]) for t, task in enumerate(tasks))
    J = J + 0.5 * cp.sum(cp.abs(V[:, 1:] - V[:, :-1]))
    least = float(cp.Problem(cp.Minimize(J)).solve(solver="CLARABEL", tol_gap_rel=1e-10, tol_gap_abs=1e-10))
    found = certify(tasks, model, W, B, kind="single-task")
    assert found.level == "C5" and found.objective == pytest.approx(least, rel=1e-8)
    for U in (W + 1e-3 * rng.normal(size=W.shape), -W):
        far = certify(tasks, model, U, B, kind="single-task")
        assert not far.passes and (far.global_lower or 0.0) <= least * (1 + 1e-9)


def test_a_radius_that_is_too_small_is_refused() -> None:
    class Short(L1):
        def radius(self, value: float) -> float:
            return 0.5 * value / self.rho

    with pytest.raises(ModelError, match="its radius or spread is too small"):
        Short(rho=1.0).check(3)


def test_least_squares_by_itself_and_fewer_rows_than_features(rng: np.random.Generator) -> None:
    """No penalty at all: the residuals are those of the pseudo-inverse, also where W is not determined."""
    tasks = random_tasks(rng, d=4, counts=(9, 3, 20))
    found = single(tasks, alone(None))
    exact = sum(
        float(((task.y - task.X @ np.linalg.pinv(task.X) @ task.y) ** 2).sum()) / task.n for task in tasks
    )
    assert found.objective == pytest.approx(exact, rel=1e-13) and found.certificate.level == "C5"
    assert found.certificate.global_lower is not None and found.certificate.global_lower <= exact


@pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
def test_the_bound_of_every_loss_is_below_the_minimum_and_next_to_it(
    loss: Loss, rng: np.random.Generator
) -> None:
    """The mean's penalty leaves all predictors free to move together: no ridge anywhere."""
    tasks = tasks_for(loss, rng, counts=COUNTS)
    model = alone(MeanRegularised(rho=0.6), loss)
    found, minimum = single(tasks, model), least(tasks, model)
    assert found.certificate.level == "C5" and found.objective == pytest.approx(minimum, rel=1e-8)
    far = found.W + 0.1 * rng.normal(size=found.W.shape)
    for W in (found.W, far):
        bound = certify(tasks, model, W, found.B, kind="single-task").global_lower
        assert bound is not None and bound <= minimum * (1 + 1e-9)


@pytest.mark.parametrize("omega", [Ridge(rho=0.3), MeanRegularised(rho=0.6), None], ids=str)
def test_a_wrong_W_is_refused(omega: QuadraticPenalty | None, rng: np.random.Generator) -> None:
    """One entry off by 1e-3 of itself, a flipped sign, tasks exchanged, zero, another rho: none passes."""
    tasks = random_tasks(rng, counts=COUNTS)
    model = alone(omega)
    W, B = single(tasks, model).blocks.values()
    one = W.copy()
    one[1, 2] *= 1.001
    for wrong in (one, -W, W[:, ::-1], 0.0 * W, single(tasks, alone(Ridge(rho=0.31))).W):
        found = certify(tasks, model, np.array(wrong), B, kind="single-task", level="C5")
        assert not found.passes and found.level == "C0" and not found.has("C5")
    assert certify(tasks, model, W, B + 0.1 * (1 - np.eye(3)), kind="single-task").level is None


@pytest.mark.parametrize("common", [True, False])
def test_a_rigid_penalty_is_judged_by_a_part_of_it(common: bool, rng: np.random.Generator) -> None:
    """Any H_0 <= H bounds the gain: next to it for a move of all tasks, which the penalty does not hold."""
    tasks, rho = random_tasks(rng, counts=COUNTS), 1e4
    (d, T), K = (tasks.d, tasks.T), np.eye(tasks.T) - 1.0 / tasks.T
    H = 2.0 * rho * np.kron(K, np.eye(d))
    for t, task in enumerate(tasks):
        H[t * d : (t + 1) * d, t * d : (t + 1) * d] += 2.0 * task.X.T @ task.X / task.n
    W = single(tasks, alone(MeanRegularised(rho=rho))).W
    move = np.outer(rng.normal(size=d), np.ones(T) if common else rng.normal(size=T))
    gain = 0.5 * float(move.T.ravel() @ H @ move.T.ravel())
    point = Problem(tasks, alone(MeanRegularised(rho=rho))).at(W + move, np.zeros((T, T)))
    problem = weight_problem(point, None)
    slope = problem.slope(None, True)
    found = problem._by_less(slope, problem._blocks(slope))
    assert found is not None and found.gain >= gain
    assert found.gain <= 1.01 * gain or not common


def test_a_loose_tolerance_is_no_global_minimum(rng: np.random.Generator) -> None:
    """tol .1 passes a point 1 % above the minimum, and C5 still asks for a thousandth."""
    tasks = random_tasks(rng, counts=COUNTS)
    W, B = single(tasks, alone(Ridge(rho=0.3))).blocks.values()
    model = alone(Ridge(rho=0.3))
    found = certify(tasks, model, 1.1 * W, B, kind="single-task", tol=0.3)
    assert found.passes and found.level == "C2" and found.global_excess is not None
    assert found.global_excess > 1e-3 * found.objective and "lower bound" in found.reasons["C5"]


def separable(rng: np.random.Generator) -> TaskSet:
    X = [rng.normal(size=(8, 2)) for _ in range(3)]
    return TaskSet.from_arrays(X, [np.sign(rows @ [1.0, -2.0]) for rows in X])


def test_where_there_is_no_minimum_it_says_so(rng: np.random.Generator) -> None:
    """Separable labels: the logistic loss falls for ever, the squared hinge has a minimum, 0."""
    tasks = separable(rng)
    for omega, ends in ((None, True), (MeanRegularised(rho=1.0), True), (Ridge(rho=1e-3), False)):
        found = single(tasks, alone(omega, Logistic()))
        reasons = found.certificate.reasons
        assert ("minimum" in reasons) == ends and found.certificate.passes != ends
        assert found.status is (Status.GROWING if ends else Status.CERTIFIED)
        assert not ends or ("J has no minimum" in reasons["minimum"] and found.certificate.level != "C5")
    level = single(tasks, alone(None, SquaredHinge()))
    assert level.objective <= 1e-12 and "minimum" not in level.certificate.reasons
    mixed = tasks_for(Logistic(), rng, counts=(60, 60))  # labels that no line separates
    assert single(mixed, alone(None, Logistic())).certificate.level == "C5"


def test_hinge_losses_by_themselves_are_a_linear_program(rng: np.random.Generator) -> None:
    """One task is separable, with many minima of 0, the others have one each: HiGHS finds no lower value."""
    tasks = tasks_for(Hinge(), rng, d=2, counts=(30, 30))
    X = rng.normal(size=(9, 2))
    easy = TaskSet.from_arrays([X], [np.sign(X @ [1.0, 2.0])], names=["easy"])
    tasks = TaskSet(tasks=(*tasks, *easy))
    found, least = single(tasks, alone(None, Hinge())), 0.0
    for task in tasks:
        A = np.hstack([-task.y[:, None] * task.X, -np.eye(task.n)])  # 1 - y x'w <= s
        cost = np.concatenate([np.zeros(2), np.full(task.n, 1.0 / task.n)])
        free = [(None, None)] * 2 + [(0, None)] * task.n
        least += linprog(cost, A_ub=A, b_ub=-np.ones(task.n), bounds=free).fun
    assert found.certificate.level == "C5" and found.objective == pytest.approx(least, rel=1e-9)
    assert found.losses[2] == 0.0 < least


@pytest.mark.parametrize("omega", [MeanRegularised(rho=0.6), None], ids=str)
def test_rows_of_weight_2_stand_there_twice(omega: QuadraticPenalty | None, rng: np.random.Generator) -> None:
    for loss in (Squared(), Hinge()):
        once = tasks_for(loss, rng, d=2, counts=(9, 14))
        heavy = TaskSet(tasks=tuple(replace(t, sample_weight=1.0 + (np.arange(t.n) < 4)) for t in once))
        twice = TaskSet.from_arrays(
            [np.vstack([t.X, t.X[:4]]) for t in once], [np.concatenate([t.y, t.y[:4]]) for t in once]
        )
        found = [single(tasks, alone(omega, loss)) for tasks in (heavy, twice)]
        assert all(each.certificate.passes for each in found)
        assert found[0].objective == pytest.approx(found[1].objective, rel=1e-11, abs=1e-14)


def test_a_task_without_features_is_a_number(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, d=3, counts=(9, 14))
    empty = TaskSet.from_arrays([tasks[0].X, 0.0 * tasks[1].X], [task.y for task in tasks])
    found = single(empty, alone(None))
    assert found.certificate.level == "C5" and found.losses[1] == pytest.approx((tasks[1].y ** 2).mean())


@pytest.mark.parametrize("apart", [1e-5, 1e-7])
def test_features_that_are_nearly_the_same(apart: float, rng: np.random.Generator) -> None:
    """Normal equations lose all digits there: the minimum is that of a QR factor."""
    X = rng.normal(size=(12, 3))
    X[:, 2] = X[:, 1] + apart * rng.normal(size=12)
    y = rng.normal(size=12)
    found = single(TaskSet.from_arrays([X], [y]), alone(None))
    Q = np.linalg.qr(X)[0]
    assert found.certificate.level == "C5"
    assert found.objective == pytest.approx(float(((y - Q @ (Q.T @ y)) ** 2).mean()), rel=1e-9)


def test_counts_that_are_all_0_have_no_minimum(rng: np.random.Generator) -> None:
    X = np.abs(rng.normal(size=(8, 2)))
    none = TaskSet.from_arrays([X], [np.zeros(8)])
    assert "minimum" in single(none, alone(None, Poisson())).certificate.reasons
    some = TaskSet.from_arrays([X], [np.arange(8.0)])
    assert single(some, alone(None, Poisson())).certificate.level == "C5"


@pytest.mark.parametrize("method", ["alternating", "curriculum"])
def test_coupling_0_is_for_single_tasks_alone(method: str, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=COUNTS)
    model = alone(Ridge(rho=0.3))
    with pytest.raises(ModelError, match=rf"'{method}' needs a coupling > 0: .*use the method 'stl'$"):
        fit(tasks, model, method=method)
    with pytest.raises(ModelError, match="needs a coupling > 0"):
        certify(tasks, model, np.zeros((tasks.d, 3)), np.zeros((3, 3)))


def test_with_a_coupling_the_bound_is_there_too(rng: np.random.Generator) -> None:
    """coupling ||W||^2 is a ridge: min J is that of coupling 0 with rho = coupling."""
    tasks = random_tasks(rng, counts=COUNTS)
    model = replace(alone(None), coupling=0.3, transfer=LossWeightedL1(mu=0.1))
    found, other = single(tasks, model), single(tasks, alone(Ridge(rho=0.3)))
    assert np.abs(found.W - other.W).max() <= 1e-12
    for up in (found.certificate, certify(tasks, model, found.W, found.B, kind="single-task", level="C5")):
        assert up.level == "C5" and up.global_lower == pytest.approx(other.objective, rel=1e-12)


def test_factors_of_streamed_rows_have_no_bound(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=COUNTS)
    model = alone(Ridge(rho=0.3))
    found = single(model.compress(tasks), model).certificate
    assert found.passes and found.level == "C2" and found.global_lower is None
    assert "C5" in found.refused and "factors" in found.reasons["C5"]


def test_what_is_joined_is_judged_together(rng: np.random.Generator) -> None:
    """A feature that one task alone has, and a W with a part that no row sees: it costs what Omega says."""
    tasks = random_tasks(rng, d=3, counts=COUNTS)
    wide = [np.column_stack([task.X, np.zeros(task.n)]) for task in tasks]
    more = TaskSet.from_arrays(wide, [task.y for task in tasks])
    model = alone(MeanRegularised(rho=0.6))
    W, B = single(tasks, model).blocks.values()
    unseen: Array = np.vstack([W, [0.5, 0.5, 0.5]])
    same = certify(more, model, unseen, B, kind="single-task")
    assert same.level == "C5" and same.gain_W is not None and same.gain_W <= 1e-12
    apart = certify(more, model, np.vstack([W, [0.5, 0.5, -0.5]]), B, kind="single-task")
    assert apart.gain_W == pytest.approx(0.6 * 2.0 / 3.0, rel=1e-9) and not apart.passes
