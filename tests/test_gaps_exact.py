"""Gaps, dual points, proved zeros and error bounds against 50-digit arithmetic and second solvers.

Primal and dual values are written here as CERTIFICATES prints them, apart from the package, in mpmath.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import cvxpy as cp
import numpy as np
import pytest
from cases import LOSS_CASES, NONSMOOTH_CASES, Array, at, loss_id, random_transfer, tasks_for
from mpmath import mp, mpf

from amtl_cvx.amtl import alternate
from amtl_cvx.certificate import Certificate, certify, columns, fenchel, weight_evidence, weights
from amtl_cvx.losses import Hinge, Huber, Logistic, Loss, Poisson, Quantile, Squared, SquaredHinge
from amtl_cvx.options import Options
from amtl_cvx.problem import Model
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

mp.dps = 50
Exact = np.ndarray[Any, np.dtype[np.object_]]
exact: Callable[[Any], Exact] = np.vectorize(mpf, otypes=[object])
every_loss = pytest.mark.parametrize("loss", [*LOSS_CASES, *NONSMOOTH_CASES], ids=loss_id)
smooth_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
kinked_loss = pytest.mark.parametrize("loss", NONSMOOTH_CASES, ids=loss_id)


def solved(A: Exact, b: Exact) -> Exact:
    """A^-1 b for b (n,) or (n, k)."""
    columns = b.reshape(len(b), -1).T
    answers = [list(mp.lu_solve(mp.matrix(A.tolist()), mp.matrix(column.tolist()))) for column in columns]
    return np.array(answers, dtype=object).T.reshape(b.shape)


def phi(loss: Loss, z: Any, y: Any) -> Any:
    """One row: the left column of the table of CERTIFICATES section 1."""
    s, r = mp.sign(y) or -1, z - y
    match loss:
        case Squared():
            return r**2
        case Huber(threshold=K):
            return r**2 if abs(r) <= mpf(K) else 2 * mpf(K) * abs(r) - mpf(K) ** 2
        case Quantile(tau=tau):
            return -mpf(tau) * r if r <= 0 else (1 - mpf(tau)) * r
        case Poisson():
            return mp.exp(z) - y * z + (y * mp.log(y) - y if y > 0 else 0)
        case Logistic():
            return mp.log(1 + mp.exp(-s * z))
        case SquaredHinge():
            return max(mpf(0), 1 - s * z) ** 2
        case Hinge():
            return max(mpf(0), 1 - s * z)
    raise NotImplementedError(f"write phi of {loss.name} here")


def conjugate(loss: Loss, v: Any, y: Any) -> Any:
    """One row: the second column of that table; v inside of the domain."""
    label = mp.sign(y) or -1
    s = -label * v
    match loss:
        case Squared() | Huber():
            return v**2 / 4 + v * y
        case Quantile():
            return v * y
        case Poisson():
            m = v + y
            return (m * mp.log(m) if m > 0 else 0) - m - (y * mp.log(y) - y if y > 0 else 0)
        case Logistic():
            return sum(x * mp.log(x) for x in (s, 1 - s) if x > 0)
        case SquaredHinge():
            return -s + s**2 / 4
        case Hinge():
            return -s
    raise NotImplementedError(f"write phi* of {loss.name} here")


def natural(loss: Loss, z: Any, y: Any) -> Any:
    """One row: phi', the last column."""
    s, r = mp.sign(y) or -1, z - y
    match loss:
        case Squared():
            return 2 * r
        case Huber(threshold=K):
            return max(-2 * mpf(K), min(2 * mpf(K), 2 * r))
        case Poisson():
            return mp.exp(z) - y
        case Logistic():
            return -s / (1 + mp.exp(s * z))
        case SquaredHinge():
            return -2 * s * max(mpf(0), 1 - s * z)
    raise NotImplementedError(f"write phi' of {loss.name} here")


def curvature(loss: Loss, z: Any, y: Any) -> Any:
    """One row: phi'' away from its jumps."""
    match loss:
        case Squared():
            return mpf(2)
        case Huber(threshold=K):
            return mpf(2) if abs(z - y) <= mpf(K) else mpf(0)
        case Poisson():
            return mp.exp(z)
        case Logistic():
            return 1 / (2 + mp.exp(z) + mp.exp(-z))
        case SquaredHinge():
            return mpf(2) if (mp.sign(y) or -1) * z < 1 else mpf(0)
    raise NotImplementedError(f"write phi'' of {loss.name} here")


class Problem(NamedTuple):
    """The W-step for one B in 50 digits: a_t/n_t, X_t, y_t, M, coupling."""

    loss: Loss
    rates: list[Any]
    X: list[Exact]
    y: list[Exact]
    M: Exact
    coupling: Any

    def predictions(self, W: Exact) -> list[Exact]:
        return [X @ w for X, w in zip(self.X, W.T, strict=True)]

    def natural(self, W: Exact) -> list[Exact]:
        rows = zip(self.predictions(W), self.y, strict=True)
        return [np.array([natural(self.loss, *row) for row in zip(z, y, strict=True)]) for z, y in rows]

    def primal(self, W: Exact) -> tuple[Any, Any]:
        """F(W) and the sum of the sizes of its terms."""
        total = self.coupling * ((W @ self.M) ** 2).sum()
        for rate, z, y in zip(self.rates, self.predictions(W), self.y, strict=True):
            total += rate * sum(phi(self.loss, *row) for row in zip(z, y, strict=True))
        return total, total

    def gradient(self, W: Exact) -> Exact:
        rows = zip(self.rates, self.X, self.natural(W), strict=True)
        pull = np.column_stack([rate * (X.T @ u) for rate, X, u in rows])
        return pull + 2 * self.coupling * (W @ self.M @ self.M.T)

    def hessian(self, W: Exact) -> Exact:
        d, T = W.shape
        H = 2 * self.coupling * np.kron(self.M @ self.M.T, exact(np.eye(d)))
        for t, (rate, X, z, y) in enumerate(
            zip(self.rates, self.X, self.predictions(W), self.y, strict=True)
        ):
            curve = np.array([curvature(self.loss, *row) for row in zip(z, y, strict=True)])
            H[t * d : (t + 1) * d, t * d : (t + 1) * d] += rate * ((X.T * curve) @ X)
        return H

    def minimum(self, W: Exact) -> Exact:
        """argmin of F by Newton's method from W, gradient below 1e-35."""
        for _ in range(40):
            step = solved(self.hessian(W), self.gradient(W).T.ravel()).reshape(W.T.shape).T
            length = mpf(1)
            while self.primal(W - length * step)[0] > self.primal(W)[0] * (1 + mpf(10) ** -45):
                length /= 2
            W = W - length * step
            if abs(self.gradient(W)).max() <= mpf(10) ** -35:
                return W
        raise AssertionError("Newton's method did not end")

    def dual(self, u: list[Exact]) -> tuple[Any, Any]:
        """D(u) and the sum of the sizes of its terms."""
        G = np.column_stack([rate * (X.T @ v) for rate, X, v in zip(self.rates, self.X, u, strict=True)])
        S = self.coupling * (self.M @ self.M.T)
        square = (G * solved(S, G.T).T).sum() / 4
        value, size = -square, square
        for rate, v, y in zip(self.rates, u, self.y, strict=True):
            rows = [rate * conjugate(self.loss, *row) for row in zip(v, y, strict=True)]
            value, size = value - sum(rows), size + sum(abs(row) for row in rows)
        return value, size


def exact_problem(tasks: TaskSet, model: Model, B: Array) -> Problem:
    assert isinstance(model.task_weights, tuple)
    weights = [
        mpf(c) * (1 + mpf(model.mu) * exact(row).sum()) for c, row in zip(model.task_weights, B, strict=True)
    ]
    rates = [
        a / len(task.y) if model.loss.reduction == "mean" else a
        for a, task in zip(weights, tasks, strict=True)
    ]
    X, y = [exact(task.X) for task in tasks], [exact(task.y) for task in tasks]
    return Problem(model.loss, rates, X, y, exact(np.eye(len(B))) - exact(B), mpf(model.coupling))


def model_of(loss: Loss, *, mu: float = 0.05, coupling: float = 0.7) -> Model:
    transfer = LossWeightedL1(mu=mu)
    return Model(loss=loss, transfer=transfer, coupling=coupling, task_weights=(0.5, 2.0, 1.0))


SHAPE = {"d": 3, "counts": (6, 9, 5)}


def starts(rng: np.random.Generator, loss: Loss, count: int) -> Any:
    """Random points at many scales."""
    tasks, model = tasks_for(loss, rng, **SHAPE), model_of(loss)
    for _ in range(count):
        yield tasks, model, 10.0 ** rng.uniform(-2, 0.5) * rng.normal(size=(3, 3)), random_transfer(rng, 3)


def close(found: float | None, expected: Any, digits: float = 1e-12) -> bool:
    return found is not None and abs(mpf(found) - expected) <= digits * expected


@pytest.mark.slow
@smooth_loss
def test_gap_W_is_primal_minus_dual_at_the_natural_multipliers(
    loss: Loss, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "DENSE_LIMIT", 0)  # the bound, for the squared loss too
    for tasks, model, W, B in starts(rng, loss, 100):
        problem, V = exact_problem(tasks, model, B), exact(W)
        found = weight_evidence(at(tasks, model, W, B))
        assert not found.exact
        assert close(found.gap, problem.primal(V)[0] - problem.dual(problem.natural(V))[0])


@pytest.mark.slow
@every_loss
def test_gap_W_is_primal_minus_dual_at_given_multipliers(loss: Loss, rng: np.random.Generator) -> None:
    """Any multipliers are clipped into the domain of phi*; outside of it they would bound nothing."""
    for tasks, model, W, B in starts(rng, loss, 100):
        given = [2.0 * rng.normal(size=len(task.y)) for task in tasks]
        clipped = [exact(loss.clip(u, task.y)) for u, task in zip(given, tasks, strict=True)]
        problem = exact_problem(tasks, model, B)
        found = weight_evidence(at(tasks, model, W, B), multipliers=given)
        assert not found.exact and close(found.gap, problem.primal(exact(W))[0] - problem.dual(clipped)[0])


@pytest.mark.slow
@kinked_loss
def test_gap_W_of_a_loss_with_kinks_is_primal_minus_dual_at_its_own_multipliers(
    loss: Loss, rng: np.random.Generator
) -> None:
    for tasks, model, W, B in starts(rng, loss, 100):
        chosen = fenchel.kinked_multipliers(at(tasks, model, W, B))
        clipped = [exact(loss.clip(u, task.y)) for u, task in zip(chosen, tasks, strict=True)]
        problem = exact_problem(tasks, model, B)
        expected = problem.primal(exact(W))[0] - problem.dual(clipped)[0]
        assert close(weight_evidence(at(tasks, model, W, B)).gap, expected)


@every_loss
def test_gap_W_holds_against_a_second_solver(loss: Loss, rng: np.random.Generator) -> None:
    """D <= the minimum that CVXPY finds, gap >= the rise above it; at that minimum the gap is all but 0."""
    for tasks, model, W, B in starts(rng, loss, 3):
        V, M, a = cp.Variable((3, 3)), np.eye(3) - B, model.loss_weight(tasks, B)
        terms = [weight * loss.expression(task, v) for weight, task, v in zip(a, tasks, V.T, strict=True)]
        problem = cp.Problem(cp.Minimize(sum(terms) + model.coupling * cp.sum_squares(V @ M)))
        least = problem.solve(solver="CLARABEL")
        for point in (W, V.value, V.value * (1 + 0.1 * rng.normal(size=W.shape))):
            value = sum(model.terms(tasks, point, B))
            found = weight_evidence(at(tasks, model, point, B)).gap
            assert found is not None and value - found <= least * (1 + 1e-7)
            assert found >= value - least * (1 + 1e-7)
        best = weight_evidence(at(tasks, model, V.value, B)).gap
        assert best is not None and best <= 1e-5 * least


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_multipliers_of_a_solver_are_a_certificate(reduction: str, rng: np.random.Generator) -> None:
    """Hinge with slacks: s = clip(n_t dual / a_t, 0, 1) of the constraint slack >= 1 - y z, u = -y s."""
    loss = Hinge(reduction=reduction)  # type: ignore[arg-type]
    for tasks, model, _, B in starts(rng, loss, 3):
        V, M, rates = cp.Variable((3, 3)), np.eye(3) - B, exact_problem(tasks, model, B).rates
        slacks = [cp.Variable(len(task.y), nonneg=True) for task in tasks]
        signs = [np.where(task.y > 0, 1.0, -1.0) for task in tasks]
        rows = zip(tasks, V.T, slacks, signs, strict=True)
        margins = [slack >= 1 - cp.multiply(sign, task.X @ v) for task, v, slack, sign in rows]
        cost = sum(float(rate) * cp.sum(slack) for rate, slack in zip(rates, slacks, strict=True))
        cp.Problem(cp.Minimize(cost + model.coupling * cp.sum_squares(V @ M)), margins).solve(
            solver="CLARABEL"
        )
        given = [
            -sign * np.clip(margin.dual_value / float(rate), 0.0, 1.0)
            for sign, margin, rate in zip(signs, margins, rates, strict=True)
        ]
        value = sum(model.terms(tasks, V.value, B))
        gap = weight_evidence(at(tasks, model, V.value, B), multipliers=given).gap
        assert gap is not None and 0.0 <= gap <= 1e-6 * value
        flipped = weight_evidence(at(tasks, model, V.value, B), multipliers=[-u for u in given]).gap
        assert flipped is not None and flipped > 1e-3 * value
        assert certify(at(tasks, model, V.value, B), multipliers=given).gap_W == gap


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gap_W_of_the_squared_loss_is_the_exact_sub_optimality(
    reduction: str, rng: np.random.Generator
) -> None:
    for tasks, model, W, B in starts(rng, Squared(reduction=reduction), 100):  # type: ignore[arg-type]
        problem, V = exact_problem(tasks, model, B), exact(W)
        best = problem.minimum(V)
        found = weight_evidence(at(tasks, model, W, B))
        assert found.exact and close(found.gap, problem.primal(V)[0] - problem.primal(best)[0])
        distance = mp.sqrt(((V - best) ** 2).sum())
        assert found.error is not None and distance <= found.error <= distance * (1 + 1e-9)


class Column(NamedTuple):
    """One B-step column in 50 digits."""

    A: Exact
    w: Exact
    b: Exact
    p: Exact
    coupling: Any

    def primal(self, b: Exact) -> Any:
        return self.coupling * ((self.w - self.A @ b) ** 2).sum() + (self.p * b).sum()

    def dual(self, theta: Exact) -> Any:
        return (theta * self.w).sum() - (theta**2).sum() / (4 * self.coupling)

    def minimum(self) -> Exact:
        """b* by trying every support: that whose solution is positive and whose gradient is >= 0 off it."""
        A, p, size = self.A, self.p, len(self.p)
        for count in range(size + 1):
            for support in map(list, itertools.combinations(range(size), count)):
                b = exact(np.zeros(size))
                if support:
                    K = 2 * self.coupling * (A[:, support].T @ A[:, support])
                    b[support] = solved(K, 2 * self.coupling * (A[:, support].T @ self.w) - p[support])
                gradient = p - 2 * self.coupling * (A.T @ (self.w - A @ b))
                off = [j for j in range(size) if j not in support]
                if all(b[support] > 0) and all(gradient[off] >= 0):
                    return b
        raise AssertionError("no support is optimal")


def column(model: Model, W: Array, B: Array, prices: Array, t: int) -> Column:
    others = np.arange(len(B)) != t
    rows = (W[:, others], W[:, t], B[others, t], prices[others])
    return Column(*(exact(x) for x in rows), mpf(model.coupling))


def transfer_starts(rng: np.random.Generator, count: int) -> Any:
    """Random W, B and prices, some of them 0 or nearly so; more sources than features now and then."""
    for k in range(count):
        d, T = ((4, 3), (3, 4), (6, 4), (2, 5))[k % 4]
        model = Model(loss=Squared(), transfer=LossWeightedL1(mu=1.0), coupling=float(rng.uniform(0.2, 3.0)))
        W = rng.normal(size=(d, T)) + rng.uniform(0, 1)
        prices = rng.uniform(0, 4, size=T) * (rng.random(T) < 0.8) * (1.0 if k % 3 else 1e-3)
        yield model, W, random_transfer(rng, T, 10.0 ** rng.uniform(-2, 0)), prices


def scaled(W: Array, B: Array, theta: Array, t: int) -> bool:
    """Whether the dual point of column t is a multiple of its residual."""
    r = W[:, t] - W @ B[:, t]
    return bool(np.linalg.norm(theta - r * (theta @ r) / (r @ r)) <= 1e-9 * np.linalg.norm(r))


def test_gap_B_is_primal_minus_dual_at_its_dual_point(rng: np.random.Generator) -> None:
    kinds = set()
    for model, W, B, prices in transfer_starts(rng, 120):
        duals = columns.column_duals(W, B, prices, model.coupling)
        for t in range(len(B)):
            each, theta = column(model, W, B, prices, t), exact(duals.theta[:, t])
            expected = each.primal(each.b) - each.dual(theta)
            gap, cost = mpf(float(duals.gaps[t])), each.primal(each.b)
            assert expected <= gap <= expected * (1 + 1e-12) + 2e-14 * cost  # rounding is added
            pull = 2 * each.coupling * (each.w - each.A @ each.b)
            size = each.p + abs(each.A.T) @ (abs(theta) + abs(pull - theta))
            assert all(each.A.T @ theta <= each.p + 1e-14 * size)  # feasible up to rounding
            kinds.add(scaled(W, B, duals.theta[:, t], t))
    assert kinds == {True, False}


def optimal_columns(
    rng: np.random.Generator, count: int
) -> Iterator[tuple[Model, Array, Array, Array, Exact]]:
    """Random problems with B* in 50 digits, and B at some distance from it, from 1e-9 of it to all of it."""
    for k, (model, W, _, prices) in enumerate(transfer_starts(rng, 4 * count)):
        if k % 4 == 3:  # T - 1 > d: the minimiser need not be unique
            continue
        T = W.shape[1]
        prices = np.maximum(prices, 1e-3)
        best = exact(np.zeros((T, T)))
        for t in range(T):
            others = np.arange(T) != t
            best[others, t] = column(model, W, np.zeros((T, T)), prices, t).minimum()
        near = best.astype(float) * (1 + 10.0 ** rng.uniform(-9, 0) * rng.normal(size=(T, T)))
        near += 10.0 ** rng.uniform(-12, -1) * rng.random((T, T)) * (rng.random((T, T)) < 0.3)
        np.fill_diagonal(near, 0.0)
        yield model, W, np.maximum(near, 0.0), prices, best


@pytest.mark.slow
def test_proved_zeros_are_zeros_of_the_minimiser(rng: np.random.Generator) -> None:
    """At least 200 columns against every support tried in 50 digits."""
    checked = proved = zeros = 0
    for model, W, B, prices, best in optimal_columns(rng, 30):
        duals = columns.column_duals(W, B, prices, model.coupling)
        found = columns.proven_zeros(W, B, prices, model.coupling, duals)
        assert all(best[found] == 0) and not np.diag(found).any()
        checked, proved = checked + len(B), proved + int(found.sum())
        zeros += int((best == 0).sum()) - len(B)
    assert checked >= 200 and proved >= 0.5 * zeros


def test_the_rule_for_zeros_is_tight(rng: np.random.Generator) -> None:
    """theta off theta* along A_j, b*_j just above 0: without the factor 2, b*_j = 0 would be "proved"."""
    for _ in range(200):
        a, coupling, price = rng.normal(size=4), float(rng.uniform(0.2, 3)), float(rng.uniform(0.1, 2))
        length, small, away = float(np.linalg.norm(a)), 1e-9, float(rng.uniform(0.1, 1))
        across = rng.normal(size=4)
        across -= a * (a @ across) / length**2
        w = a * (small + price / (2 * coupling * length**2)) + across  # b* = small
        theta = 2 * coupling * (w - small * a) - away * a / length
        gap = away**2 / (4 * coupling) + small * away * length
        W, B, prices = np.column_stack([a, w]), np.array([[0, small], [0, 0]]), np.array([price, 1e9])
        each = column(Model(transfer=LossWeightedL1(mu=1.0), coupling=coupling), W, B, prices, 1)
        assert abs(each.minimum()[0] - small) <= 1e-12
        duals = columns.ColumnDuals(np.array([0.0, gap]), np.column_stack([0 * a, theta]), np.zeros((2, 2)))
        assert abs(each.primal(each.b) - each.dual(exact(theta)) - gap) <= 1e-9 * gap
        assert not columns.proven_zeros(W, B, prices, coupling, duals)[0, 1]
        without = duals._replace(gaps=duals.gaps / 4)  # sqrt(coupling gap) for 2 sqrt(coupling gap)
        assert columns.proven_zeros(W, B, prices, coupling, without)[0, 1]


def first_order_point(loss: Loss) -> tuple[TaskSet, Model, Array, Array]:
    """That of a small problem with edges."""
    tasks = tasks_for(loss, np.random.default_rng(3), d=3, counts=(16, 19, 15))
    model = model_of(loss, mu=0.005, coupling=0.1)
    solution = alternate(tasks, model, Options())
    assert solution.certificate.passes and solution.certificate.edges
    return tasks, model, solution.W, solution.B


@pytest.fixture(scope="module", params=LOSS_CASES, ids=loss_id)
def certified(request: pytest.FixtureRequest) -> tuple[TaskSet, Model, Array, Array]:
    return first_order_point(request.param)


def test_gaps_at_a_certified_point(certified: tuple[TaskSet, Model, Array, Array]) -> None:
    """To 1e-14 of the sum of the terms, where primal and dual values agree to all digits of a double."""
    tasks, model, W, B = certified
    problem, V, found = exact_problem(tasks, model, B), exact(W), certify(at(tasks, model, W, B))
    (primal, size), (dual, more) = problem.primal(V), problem.dual(problem.natural(V))
    best = problem.primal(problem.minimum(V))[0] if found.gap_W_exact else dual
    assert found.gap_W is not None and abs(mpf(found.gap_W) - (primal - best)) <= 1e-14 * (size + more)
    assert_gap_B(found, tasks, model, W, B)


@pytest.mark.slow
@kinked_loss
def test_gaps_at_a_certified_point_of_a_loss_with_kinks(loss: Loss) -> None:
    """The same at the multipliers that the certificate finds."""
    tasks, model, W, B = first_order_point(loss)
    problem, found = exact_problem(tasks, model, B), certify(at(tasks, model, W, B))
    chosen = fenchel.kinked_multipliers(at(tasks, model, W, B))
    clipped = [exact(loss.clip(u, task.y)) for u, task in zip(chosen, tasks, strict=True)]
    (primal, size), (dual, more) = problem.primal(exact(W)), problem.dual(clipped)
    assert found.gap_W is not None and abs(mpf(found.gap_W) - (primal - dual)) <= 1e-14 * (size + more)
    assert_gap_B(found, tasks, model, W, B)


def assert_gap_B(found: Certificate, tasks: TaskSet, model: Model, W: Array, B: Array) -> None:
    prices = model.mu * model.weighted_losses(tasks, W)
    duals = columns.column_duals(W, B, prices, model.coupling)
    gap = size = mpf(0)
    for t in range(3):
        each, theta = column(model, W, B, prices, t), exact(duals.theta[:, t])
        gap += each.primal(each.b) - each.dual(theta)
        size += each.primal(each.b) + abs(theta * each.w).sum() + (theta**2).sum() / (4 * each.coupling)
    assert found.gap_B is not None and gap <= mpf(found.gap_B) <= gap + 1e-13 * size  # rounding is added


@pytest.mark.slow
def test_errors_at_a_certified_point_and_beside_it(
    certified: tuple[TaskSet, Model, Array, Array], rng: np.random.Generator
) -> None:
    """The distances to W* and B*, in 50 digits, are within the bounds, which are of their size nearby."""
    tasks, model, W, B = certified
    for size in (0.0, 1e-9, 1e-5, 1e-2, 1.0):
        V = W * (1 + size * rng.normal(size=W.shape) * (size < 1.0))
        C = B * (1 + size * rng.random(B.shape)) if size < 1.0 else 0.0 * B  # another support
        found = certify(at(tasks, model, V, C))
        distance = mp.sqrt(((exact(V) - exact_problem(tasks, model, C).minimum(exact(V))) ** 2).sum())
        prices = model.mu * model.weighted_losses(tasks, V)
        squares = mpf(0)
        for t in range(3):
            each = column(model, V, C, prices, t)
            squares += ((each.b - each.minimum()) ** 2).sum()
        for error, true in ((found.error_W, distance), (found.error_B, mp.sqrt(squares))):
            assert error is not None and true <= error
            assert size > 1e-9 or error <= 1e3 * true + 1e-9


@pytest.mark.slow
@smooth_loss
def test_the_error_of_W_holds_where_the_curvature_changes(loss: Loss, rng: np.random.Generator) -> None:
    """One feature, no edges: the bound is near the Newton step, which is too short where phi'' falls off."""
    tasks, B = tasks_for(loss, rng, d=1, counts=(6, 9)), np.zeros((2, 2))
    transfer = LossWeightedL1(mu=0.1)
    model = Model(loss=loss, transfer=transfer, coupling=1e-3, task_weights=(1.0, 1.0))
    problem = exact_problem(tasks, model, B)
    best = problem.minimum(exact(np.zeros((1, 2))))
    sharp = 0
    for _ in range(60):
        W = best.astype(float) * (1 + 10.0 ** rng.uniform(-4, 0) * rng.choice([-1, 1], size=(1, 2)))
        found, distance = (
            weight_evidence(at(tasks, model, W, B)),
            mp.sqrt(((exact(W) - best) ** 2).sum()),
        )
        assert found.error is not None and distance <= found.error
        sharp += bool(found.error <= 10 * distance)
    assert sharp >= 5


def test_condition_numbers(certified: tuple[TaskSet, Model, Array, Array]) -> None:
    tasks, model, W, B = certified
    found = certify(at(tasks, model, W, B))
    supports = [np.flatnonzero(b) for b in B.T if b.any()]
    expected = max(np.linalg.cond(W[:, support].T @ W[:, support]) for support in supports)
    assert found.condition_B == pytest.approx(expected, rel=1e-6)
    H = model.hessian_W(tasks, W, B)
    assert found.condition_W is not None
    assert np.linalg.cond(H, 1) / 3 <= found.condition_W <= np.linalg.cond(H, 1) * (1 + 1e-9)


@pytest.mark.slow
def test_more_sources_than_features(rng: np.random.Generator) -> None:
    """T - 1 > d: nothing is known about B far from the minimum; near it proved zeros leave a unique B."""
    for _ in range(20):
        W = rng.normal(size=(2, 6))
        prices, coupling = rng.uniform(0.05, 0.5, size=6), 1.0
        best = exact(np.zeros((6, 6)))
        model = Model(transfer=LossWeightedL1(mu=1.0), coupling=coupling)
        for t in range(6):
            others = np.arange(6) != t
            best[others, t] = column(model, W, np.zeros((6, 6)), prices, t).minimum()
        B = best.astype(float)
        duals = columns.column_duals(W, B, prices, coupling)
        proven = columns.proven_zeros(W, B, prices, coupling, duals)
        open_ = ~proven & ~np.eye(6, dtype=bool)
        assert np.array_equal(open_, best > 0)
        _, least = columns.column_range(W, open_)
        errors = columns.column_errors(W, B, prices, coupling, duals, open_, least)
        distance = np.sqrt(((exact(B) - best) ** 2).sum(axis=0).astype(float))
        assert (distance <= errors).all() and errors.max() <= 1e-8
        far = np.where(np.eye(6, dtype=bool), 0.0, 1.0)
        loose = columns.proven_zeros(W, far, prices, coupling, columns.column_duals(W, far, prices, coupling))
        assert not loose.all() and (columns.column_range(W, ~loose)[1] <= 0.0).any()
