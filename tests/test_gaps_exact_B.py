"""gap_B and proved zeros against the exact columns, in 50 digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from cases import Array, random_transfer
from exact_gaps import Exact, column, exact
from mpmath import mpf

from amtl_cvx.certificate import b_step
from amtl_cvx.losses import Squared
from amtl_cvx.problem import Model
from amtl_cvx.transfer import LossWeightedL1


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
        duals = b_step.column_duals(W, B, prices, model.coupling)
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
        duals = b_step.column_duals(W, B, prices, model.coupling)
        found = b_step.proven_zeros(W, prices, model.coupling, duals)
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
        duals = b_step.ColumnDuals(np.array([0.0, gap]), np.column_stack([0 * a, theta]), np.zeros((2, 2)))
        assert abs(each.primal(each.b) - each.dual(exact(theta)) - gap) <= 1e-9 * gap
        assert not b_step.proven_zeros(W, prices, coupling, duals)[0, 1]
        without = duals._replace(gaps=duals.gaps / 4)  # sqrt(coupling gap) for 2 sqrt(coupling gap)
        assert b_step.proven_zeros(W, prices, coupling, without)[0, 1]


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
        duals = b_step.column_duals(W, B, prices, coupling)
        proven = b_step.proven_zeros(W, prices, coupling, duals)
        open_ = ~proven & ~np.eye(6, dtype=bool)
        assert np.array_equal(open_, best > 0)
        _, least = b_step.column_range(W, open_)
        errors = b_step.column_errors(W, B, prices, coupling, duals, open_, least)
        distance = np.sqrt(((exact(B) - best) ** 2).sum(axis=0).astype(float))
        assert (distance <= errors).all() and errors.max() <= 1e-8
        far = np.where(np.eye(6, dtype=bool), 0.0, 1.0)
        loose = b_step.proven_zeros(W, prices, coupling, b_step.column_duals(W, far, prices, coupling))
        assert not loose.all() and (b_step.column_range(W, ~loose)[1] <= 0.0).any()
