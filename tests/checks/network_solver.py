"""Checks of kink Newton: its quadratic with kinks, its steps, the scale of units, its start."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from network_draws import alone, posed, somewhere
from network_oracle import Oracle, exact, many_digits

from amtl_cvx.network import NetworkPoint, kink_qp
from amtl_cvx.network.balance import balanced
from amtl_cvx.network.kink_qp import KinkQP
from amtl_cvx.network.lbfgs import _Split
from amtl_cvx.network.newton import refine
from amtl_cvx.network.pruning import escaped, tidied
from amtl_cvx.network.residuals import residuals
from amtl_cvx.network.units import flat, unit_normals, unit_slopes
from checks.network import close, rows_of
from checks.network_judge import stationary

Array = np.ndarray


def network_quadratics_with_kinks_are_least() -> None:
    """No move of the step lowers the value of the definition, and its multipliers are slopes of the kinks."""
    for guesses in (8, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kink_qp, "_GUESSES", guesses)
            for seed in range(4):
                _least(np.random.default_rng(seed), m=18)
                _least(np.random.default_rng(seed), m=7)


def _least(rng: np.random.Generator, *, m: int) -> None:
    n = 6
    B, N, g = rng.normal(size=(n, n)), rng.normal(size=(m, n)), 3.0 * rng.normal(size=n)
    H, c = B @ B.T / n + 0.1 * np.eye(n), np.where(rng.random(m) < 0.2, 0.0, rng.normal(size=m))
    share, w = rng.choice([0.0, 0.3, 1.0], size=m), 2.0 * rng.random(m)
    lower, upper = -share * w, (1.0 - share) * w
    qp = KinkQP(H, g)
    qp.add(N[:5], c[:5], lower[:5], upper[:5])
    qp.minimum()
    qp.add(N[5:], c[5:], lower[5:], upper[5:])
    found = qp.minimum()

    def value(d: Array) -> float:
        v = c + N @ d
        return float(g @ d + 0.5 * d @ H @ d + np.maximum(lower * v, upper * v).sum())

    least, v = value(found.step), c + N @ found.step
    for size in (1e-3, 1e-1):
        assert all(value(found.step + size * rng.normal(size=n)) > least for _ in range(40))
    assert np.abs(g + H @ found.step + N.T @ found.multipliers).max() < 1e-10
    assert (found.multipliers >= lower - 1e-12).all() and (found.multipliers <= upper + 1e-12).all()
    assert np.abs(v[found.held]).max(initial=0.0) < 1e-12
    assert np.allclose(found.values, np.where(found.held, 0.0, v), atol=1e-12)
    kinks = (np.maximum(lower * at, upper * at).sum() for at in (v, c))
    assert qp.rise(found.values) == pytest.approx(next(kinks) - next(kinks), rel=1e-9, abs=1e-12)
    off = rng.normal(size=int(found.held.sum()))
    assert np.abs(N[found.held] @ qp.correction(found.held, off) + off).max(initial=0.0) < 1e-9


def network_normals_of_units_are_differences() -> None:
    for case in ("squared labelled", "squared"):
        problem, oracle = posed(np.random.default_rng(3), case)
        point = somewhere(problem, np.random.default_rng(4))
        d = np.random.default_rng(5).normal(size=problem.size)
        units = np.arange(sum(u.size for u in point.U))
        slopes, x = flat(unit_slopes(point, d, point.on)), exact(point.vector)
        near = Decimal("1e-25")
        ends = [_units(oracle, oracle.moved(x, exact(d), way * near), point) for way in (1, -1)]
        expected = [float((up - down) / (2 * near)) for up, down in zip(*ends, strict=True)]
        close(slopes, expected, 1e-12)
        close(unit_normals(point, units, point.on) @ d, expected, 1e-12)


@many_digits
def _units(oracle: Oracle, x: list[Decimal], point: NetworkPoint) -> list[Decimal]:
    """u of all units, layer by layer."""
    of = [oracle.forward(x, row)[0] for row in rows_of(point)]
    return [u for layer in range(len(point.V)) for row in of for u in row[layer]]


@cache
def beside(deep: bool) -> NetworkPoint:
    """A point near to a stationary one, with its zeros."""
    x = stationary(deep).point.vector
    move = 1e-4 * (x != 0.0) * np.random.default_rng(0).normal(size=len(x))
    return stationary(deep).point.problem.from_vector(x + move)


def network_steps_fall_onto_the_kinks() -> None:
    """A strict minimum is found again in few steps, in each of which J falls, to the last digits."""
    for deep in (False, True):
        start = beside(deep).at()
        J = [start.objective]
        found = refine(start, max_steps=40, observe=lambda point, _, J=J: J.append(point.objective))
        assert residuals(start).relative > 1e-4 and found.ended == "converged"
        assert found.steps <= 7 and residuals(found.point).relative <= 1e-11
        assert all(np.diff(J) <= 1e-13 * J[0])
        assert np.abs(found.point.vector - stationary(deep).point.vector).max() <= 1e-10
        oracle = Oracle.of(start.tasks, start.model, pool=start.problem.rows.X)
        assert oracle.objective(exact(found.point.vector)) < oracle.objective(exact(start.vector))
    for deep in (False, True):  # far from it
        x = stationary(deep).point.vector
        start = stationary(deep).point.problem.from_vector(
            x + 0.2 * (x != 0.0) * np.random.default_rng(1).normal(size=len(x))
        )
        J = [start.objective]
        refine(start, max_steps=12, observe=lambda point, _, J=J: J.append(point.objective))
        assert len(J) > 8 and all(np.diff(J) <= 1e-13 * J[0])


def network_scales_are_the_best_and_feedback_comes() -> None:
    for case in ("squared sum", "squared"):
        problem, oracle = posed(np.random.default_rng(6), case)
        point = somewhere(problem, np.random.default_rng(7))
        found = balanced(point)
        close(found.F, point.F, 1e-10)
        for _ in range(6):  # layers meet in the weights between them
            found = balanced(found)
        J = oracle.objective(exact(found.vector))
        assert oracle.objective(exact(point.vector)) > J
        for layer, V in enumerate(found.V):
            for unit in range(V.shape[1]):
                parts = [part.copy() for part in (*found.V, found.S, found.A_plus)]
                for by in (1.01, 0.99):
                    _scale(parts, layer, unit, by)
                    assert oracle.objective(exact(problem.layout.joined(*parts))) > J
                    _scale(parts, layer, unit, 1.0 / by)
        useless = point.at(S=np.zeros_like(point.S), A=np.zeros_like(point.A))
        assert not tidied(useless).V[-1].any()
    dear = alone([[1.0]], [1.25], [[1.0]], [[1.0]], gamma=2.0, alpha=0.5)
    pull, price = 4.0, 0.5 * 0.0625
    assert escaped(dear).A[0, 0] == pytest.approx((pull - price) / 4.0, rel=1e-14)


def _scale(parts: list[Array], layer: int, unit: int, by: float) -> None:
    parts[layer][:, unit] *= by
    parts[layer + 1][unit] /= by
    if layer == len(parts) - 3:
        parts[-1][:, unit] *= by


def network_slopes_of_the_start_are_differences() -> None:
    """Of J in the positive and negative parts of the entries, both of which may be there at once."""
    for case in ("squared", "logistic sum"):
        problem, _ = posed(np.random.default_rng(8), case)
        point = somewhere(problem, np.random.default_rng(9))
        split = _Split(point)
        z = np.abs(split.begin(point)) + 0.1 * (np.arange(len(split.begin(point))) >= problem.layout.S.start)
        z[: problem.layout.S.start] = point.vector[: problem.layout.S.start]
        value, slopes = split.value(z)
        assert value >= split.point(z).objective
        for at in range(0, len(z), 3):
            ends = []
            for way in (1e-6, -1e-6):
                moved = z.copy()
                moved[at] += way
                ends.append(split.value(moved)[0])
            assert slopes[at] == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-6)
