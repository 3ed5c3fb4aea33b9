"""Checks of the network's J, its derivatives, its kinks and its judge against loops in sixty digits."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
from network_draws import posed, rich, somewhere
from network_oracle import Cell, Oracle, Row, exact

from amtl_cvx.network import NetworkPoint
from amtl_cvx.network.hessian import hessian
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.residuals import misses, residuals
from amtl_cvx.network.vertex import concave, vertex

Array = np.ndarray


def close(found: Any, expected: Any, tolerance: float) -> None:
    expected = np.array(expected, dtype=float)
    assert np.abs(np.asarray(found) - expected).max() <= tolerance * np.abs(expected).max()


def with_prices(point: NetworkPoint, gradient: Array, signs: Array) -> Array:
    """The gradient with the prices of S and A, each entry on a side of 0."""
    layout, whole, price = point.problem.layout, gradient.copy(), np.zeros_like(point.A_plus)
    price[: point.tasks.T] = point.prices[:, None]
    whole[layout.S] += point.model.mu * signs[layout.S]
    whole[layout.A] += price.ravel() * signs[layout.A]
    return whole


def rows_of(point: NetworkPoint) -> list[Row]:
    return [tuple(exact(row)) for row in point.problem.rows.X]


def derivatives_agree(case: str, rng: np.random.Generator) -> None:
    """J, gradient, weights of kinks and Hessian at a random point."""
    problem, oracle = posed(rng, case)
    point = somewhere(problem, rng)
    x = exact(point.vector)
    assert oracle.size == problem.size and not any(at.any() for at in point.touching)
    close(point.terms, oracle.terms(x), 1e-13)
    slopes, layout = np.array(oracle.gradient(x), dtype=float), problem.layout
    close(with_prices(point, point.gradient().vector, np.sign(point.vector)), slopes, 1e-12)
    unpriced = np.concatenate([slopes[: layout.S.start], slopes[layout.A.start + point.A.size :]])
    close(residuals(point).stationarity["weights"], np.abs(unpriced).max(), 1e-12)
    d = rng.normal(size=problem.size)
    close(hessian(point) @ d, oracle.hessian_times(x, exact(d)), 1e-11)
    rows = rows_of(point)
    for layer, w in enumerate(point.gradient().kinks):
        for i in (0, len(w) - 1):
            found = [oracle.kink_weight(x, rows[i], layer, j) for j in range(w.shape[1])]
            assert np.abs(w[i] - np.array(found, dtype=float)).max() <= 1e-12 * np.abs(w).max()


def slope(point: NetworkPoint, d: Array, R: Array) -> float:
    """J'(x; d) by the formula of `kinks` and `vertex`; R is R'(x; d)."""
    active, problem, T = kinks(point), point.problem, point.tasks.T
    *_, dS, dA = problem.layout.split(d)
    w = np.concatenate([w[place] for w, place in zip(point.gradient().kinks, active.places, strict=True)])
    moved = active.normals @ d
    for m in range(len(moved)):  # from below: what stands below m comes before it
        moved[m] += active.crossed[m] @ np.maximum(moved, 0.0)
    feedback = point.prices[:, None] * np.where(point.A == 0.0, np.abs(dA[:T]), np.sign(point.A) * dA[:T])
    size = point.model.mu * np.where(point.S == 0.0, np.abs(dS), np.sign(point.S) * dS)
    smooth = point.gradient().vector @ d + feedback.sum() + size.sum()
    return float(smooth + w @ np.maximum(moved, 0.0) - (concave(point) * np.maximum(R, 0.0)).sum())


def slopes_agree(point: NetworkPoint, oracle: Oracle, number: int, rng: np.random.Generator) -> None:
    """Along random directions, every second of them with few entries."""
    directions = rng.normal(size=(number, point.problem.size))
    directions[::2] *= rng.random(directions[::2].shape) < 0.15
    x, exactly = exact(point.vector), exact(directions)
    R = oracle.slopes_of_R(x, exactly, rows_of(point))
    found = [slope(point, d, np.array(of, dtype=float)) for d, of in zip(directions, R, strict=True)]
    expected = np.array(oracle.slopes(x, exactly), dtype=float)
    assert (np.abs(found - expected) <= 1e-12 + 1e-11 * np.abs(expected)).all()


def pieces_agree(point: NetworkPoint, oracle: Oracle, rng: np.random.Generator) -> None:
    """Gradient, weights and Hessian with fractional masks of the kinks and a side for every zero."""
    problem, layout, x, rows = point.problem, point.problem.layout, exact(point.vector), rows_of(point)
    share = [np.where(at, rng.random(at.shape), on) for at, on in zip(point.touching, point.on, strict=True)]
    signs = np.where(point.vector == 0.0, rng.choice([-1.0, 1.0], problem.size), np.sign(point.vector))
    cell = Cell(
        masks=[dict(zip(rows, exact(mask), strict=True)) for mask in share],
        rebuilt=dict(zip(rows, point.rebuilding.tolist(), strict=True)),
        signs=[int(sign) for sign in signs],
    )
    gradient = point.gradient(share)
    close(with_prices(point, gradient.vector, signs), oracle.gradient(x, cell), 1e-12)
    for layer, unit in ((0, 0), (len(point.V) - 1, 1)):
        w = [oracle.kink_weight(x, row, layer, unit, cell) for row in rows]
        close(gradient.kinks[layer][:, unit], w, 1e-12)
    sides = signs[layout.A].reshape(point.A_plus.shape)[: point.tasks.T]
    H = hessian(point, masks=share, signs=sides)
    for d in rng.normal(size=(2, problem.size)):
        close(H @ d, oracle.hessian_times(x, exact(d), cell), 1e-11)


@cache
def drawn(deep: bool) -> tuple[NetworkPoint, Oracle]:
    return rich(np.random.default_rng(8), deep=deep)


def network_derivatives_are_differences_of_J() -> None:
    for case in ("squared labelled", "squared sum", "squared-hinge", "squared"):
        derivatives_agree(case, np.random.default_rng(3))


def network_slopes_at_kinks_are_one_sided_differences() -> None:
    for deep in (False, True):
        point, oracle = drawn(deep)
        slopes_agree(point.at(), oracle, 60, np.random.default_rng(5))


def network_masks_and_signs_name_a_piece_of_J() -> None:
    for deep in (False, True):
        point, oracle = drawn(deep)
        pieces_agree(point.at(), oracle, np.random.default_rng(6))


def entry_slopes(point: NetworkPoint, oracle: Oracle) -> tuple[Array, Array]:
    """J'(x; e) and J'(x; -e) of every entry e."""
    n, x = point.problem.size, exact(point.vector)
    unit = exact(np.eye(n))
    ways = [oracle.slopes(x, [[way * value for value in e] for e in unit]) for way in (1, -1)]
    up, down = (np.array(each, dtype=float) for each in ways)
    return up, down


def taken_by_loops(point: NetworkPoint, oracle: Oracle) -> tuple[Array, Array]:
    """By how much features on their kinks have less weight, and the weights of those that are on jump."""
    x, gamma = exact(point.vector), Decimal(point.problem.gamma)
    *_, S, A = oracle.blocks(x)
    k, T = len(S), oracle.T
    q = [[sum(S[i][t] * A[t][j] for t in range(T)) for j in range(k)] for i in range(k)]
    touching, jumps = (np.zeros((len(point.F), k)) for _ in range(2))
    for row, times, less, jump in zip(
        rows_of(point), point.problem.rows.times.tolist(), touching, jumps, strict=True
    ):
        U, Z, _, R, _ = oracle.forward(x, row)
        pull = [2 * gamma * int(times) * z * (R[j] == 0) for j, z in enumerate(Z[-1])]
        for i in range(k):
            up, down = (
                float(sum(pull[j] * max(way * q[i][j], Decimal(0)) for j in range(k))) for way in (1, -1)
            )
            less[i] = up if U[-1][i] == 0 else 0.0
            jump[i] = max(up, down) if Z[-1][i] > 0 else 0.0
    return touching, jumps


def network_residuals_are_one_sided_slopes() -> None:
    """Of S and A, for a move of one entry meets no kink of the layers; of kinks, by their weights."""
    for deep in (False, True):
        point, oracle = drawn(deep)
        point = point.at()
        layout, T = point.problem.layout, point.tasks.T
        up, down = entry_slopes(point, oracle)
        found = residuals(point).stationarity
        close(found["S"], max(0.0, -min(up[layout.S].min(), down[layout.S].min())), 1e-12)
        A = np.arange(layout.A.start, layout.A.start + T * len(point.S))
        close(found["A"], max(0.0, -min(up[A].min(), down[A].min())), 1e-12)
        signed, taken = point.gradient(), vertex(point)
        whole = with_prices(point, signed.vector, np.sign(point.vector))
        for part, at in ((taken.S, layout.S), (taken.A, layout.A)):
            price = with_prices(point, np.zeros_like(whole), np.ones_like(whole))[at]
            price = np.where(point.vector[at] == 0.0, price, 0.0)
            close(whole[at] + price - part[0].ravel(), up[at], 1e-12)
            close(price - whole[at] - part[1].ravel(), down[at], 1e-12)
        less, jumps = taken_by_loops(point, oracle)
        assert np.allclose(taken.kinks, less, rtol=1e-12) and np.allclose(taken.jumps, jumps, rtol=1e-12)
        assert jumps.any() and less.any() and np.allclose(misses(point)["kinks"][-1].miss, jumps, rtol=1e-12)
        if not deep:  # where w does not depend on multipliers
            cell = Cell(rebuilt=dict(zip(rows_of(point), point.rebuilding.tolist(), strict=True)))
            worst = jumps.max()
            for row, missing in zip(rows_of(point), less, strict=True):
                for unit in np.flatnonzero([u == 0 for u in oracle.forward(exact(point.vector), row)[0][0]]):
                    w = float(oracle.kink_weight(exact(point.vector), row, 0, int(unit), cell))
                    worst = max(worst, missing[unit] - w)
            close(found["kinks"], worst, 1e-12)
