"""The quadratic with kinks: a conic solver, conditions of optimality, and soft thresholds in closed form."""

from __future__ import annotations

from typing import NamedTuple

import cvxpy as cp
import numpy as np
import pytest

from amtl_cvx.network import kink_qp
from amtl_cvx.network.kink_qp import KinkQP, Minimum


class Drawn(NamedTuple):
    H: np.ndarray
    g: np.ndarray
    normals: np.ndarray
    offsets: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def drawn(seed: int, *, n: int = 12, m: int = 40) -> Drawn:
    """Kinks of which some are met at d = 0, some are one-sided, some have no weight."""
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(n, n))
    normals = rng.normal(size=(m, n)) * (rng.random((m, n)) < 0.5)
    offsets = np.where(rng.random(m) < 0.2, 0.0, rng.normal(size=m))
    share, w = rng.choice([0.0, 0.3, 1.0], size=m), 2.0 * rng.random(m) * (rng.random(m) < 0.9)
    g = 3.0 * rng.normal(size=n)
    return Drawn(B @ B.T / n + 0.05 * np.eye(n), g, normals, offsets, -share * w, (1.0 - share) * w)


def solved(of: Drawn, *, parts: int = 1) -> Minimum:
    """Kinks added in parts, each after the minimum of those before."""
    problem = KinkQP(of.H, of.g)
    for which in np.array_split(np.arange(len(of.offsets)), parts):
        problem.add(of.normals[which], of.offsets[which], of.lower[which], of.upper[which])
        found = problem.minimum()
    return found


def value(of: Drawn, d: np.ndarray) -> float:
    v = of.offsets + of.normals @ d
    kinks = np.maximum(of.lower * v, of.upper * v).sum()
    return float(of.g @ d + 0.5 * d @ of.H @ d + kinks)


def off(of: Drawn, found: Minimum) -> float:
    """The largest violation of 0 = g + H d + N'theta, theta in its bounds and at the end that v says."""
    v, theta = of.offsets + of.normals @ found.step, found.multipliers
    beyond = np.maximum(np.maximum(of.lower - theta, theta - of.upper), 0.0)
    wrong = np.where(v > 1e-9, of.upper - theta, np.where(v < -1e-9, theta - of.lower, 0.0))
    slope = of.H @ found.step + of.g + of.normals.T @ theta
    return max(
        float(np.abs(part).max()) for part in (slope, beyond, wrong, v[found.held], [0.0]) if len(part)
    )


@pytest.mark.parametrize("guesses", [8, 0])
def test_it_is_where_a_conic_solver_says(guesses: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kink_qp, "_GUESSES", guesses)
    for seed in range(6):
        of = drawn(seed, m=(15, 60)[seed % 2])
        d = cp.Variable(len(of.g))
        v = of.offsets + of.normals @ d
        kinks = cp.sum(cp.maximum(cp.multiply(of.lower, v), cp.multiply(of.upper, v)))
        goal = cp.Minimize(of.g @ d + 0.5 * cp.quad_form(d, cp.psd_wrap(of.H)) + kinks)
        least = cp.Problem(goal).solve(
            solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12
        )
        found = solved(of)
        assert np.abs(found.step - d.value).max() < 1e-6
        assert value(of, found.step) == pytest.approx(least, rel=1e-9)
        assert value(of, found.step) <= least + 1e-12 * abs(least)


@pytest.mark.parametrize("guesses", [8, 0])
@pytest.mark.parametrize("parts", [1, 4])
def test_its_conditions_hold_to_rounding(guesses: int, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kink_qp, "_GUESSES", guesses)
    for seed in range(20):
        of = drawn(seed, n=int(2 + seed), m=int(5 + 4 * seed))
        assert off(of, solved(of, parts=parts)) < 1e-10


def test_prices_are_soft_thresholds() -> None:
    rng = np.random.default_rng(3)
    x, g, price = (
        np.where(rng.random(30) < 0.5, 0.0, rng.normal(size=30)),
        rng.normal(size=30),
        rng.random(30),
    )
    problem = KinkQP(np.eye(30), g)
    problem.add(np.eye(30), x, -price, price)
    found = problem.minimum()
    expected = np.sign(x - g) * np.maximum(np.abs(x - g) - price, 0.0)
    assert np.abs(x + found.step - expected).max() < 1e-14
    assert np.array_equal(found.held, expected == 0.0) and not found.values[found.held].any()


def test_kinks_whose_normals_depend_on_each_other() -> None:
    for seed in range(10):
        of = drawn(seed, n=4, m=10)
        twice = [np.concatenate([part, part]) for part in of[2:]]
        double = of._replace(**dict(zip(Drawn._fields[2:], twice, strict=True)))
        once = of._replace(lower=2.0 * of.lower, upper=2.0 * of.upper)
        found = solved(double, parts=2)
        assert off(double, found) < 1e-9
        assert np.abs(found.step - solved(once).step).max() < 1e-10


def test_the_correction_is_the_shortest_step_onto_the_held_kinks() -> None:
    of = drawn(2, n=10, m=30)
    problem = KinkQP(of.H, of.g)
    problem.add(*of[2:])
    held = problem.minimum().held
    N, out = of.normals[held], np.random.default_rng(0).normal(size=int(held.sum()))
    found = problem.correction(held, out)
    assert held.any() and np.abs(N @ found + out).max() < 1e-11
    free = np.linalg.svd(N)[2][len(N) :]
    assert np.abs(free @ of.H @ found).max() < 1e-11


def test_what_the_kinks_rise_by() -> None:
    of = drawn(4)
    problem = KinkQP(of.H, of.g)
    problem.add(*of[2:])
    found = problem.minimum()
    model = float(of.g @ found.step + 0.5 * found.step @ of.H @ found.step) + problem.rise(found.values)
    assert model == pytest.approx(value(of, found.step) - value(of, np.zeros(len(of.g))), rel=1e-12)


def test_what_is_not_convex_is_refused() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        KinkQP(-np.eye(2), np.zeros(2))
