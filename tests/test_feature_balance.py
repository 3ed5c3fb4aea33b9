"""The scale of each feature: the D-step against brute force, what it leaves alone, the balance."""

from __future__ import annotations

import numpy as np
import pytest
from feature_draws import LOSSES, drawn_point, drawn_problem, without_feedback
from feature_oracle import Oracle
from scipy.optimize import minimize_scalar

from amtl_cvx.features.balance import Balance, balance, balanced, best_scales


def test_the_best_scale_is_that_of_brute_force() -> None:
    rng = np.random.default_rng(0)
    q, b, m = 10.0 ** rng.uniform(-8, 8, size=(3, 40))
    q[::5], b[1::5] = 0.0, 0.0
    for found, part in zip(best_scales(Balance(q, b, m)), zip(q, b, m, strict=True), strict=True):

        def along(x: float, part: tuple[float, float, float] = part) -> float:
            return float(np.log(part[0] * np.exp(2 * x) + part[1] * np.exp(x) + part[2] * np.exp(-x)))

        brute = minimize_scalar(along, bounds=(-25.0, 25.0), method="bounded", options={"xatol": 1e-12})
        assert np.log(found) == pytest.approx(brute.x, abs=1e-6)
        assert 2 * part[0] * found**3 + part[1] * found**2 == pytest.approx(part[2], rel=1e-14)


def test_a_scale_that_gains_nothing_is_one_and_an_unused_feature_dies() -> None:
    q, b, m = np.array([[0, 0, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 1, 0], [2, 0, 4], [0, 9, 9.0]]).T
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(best_scales(Balance(q, b, m)), [1, 1, 0, 0, 0, 1, 1])
    extreme = best_scales(
        Balance(np.array([1e-300, 1e300]), np.array([0.0, 1e300]), np.array([1e300, 1e-300]))
    )
    np.testing.assert_allclose(extreme, [0.5 ** (1 / 3) * 1e200, 1e-300], rtol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_J_of_a_scaled_feature_is_what_the_step_minimises(loss: str) -> None:
    problem = drawn_problem(loss, price_floor=0.1)
    point, scale = drawn_point(problem), np.array([0.5, 1.0, 3.0])
    q, b, m = balance(point)
    scaled = problem.at(L=point.L * scale, S=point.S / scale[:, None], A=point.A * scale)
    for name in ("losses", "W"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(point, name), rtol=1e-12)
    moved = (q * (scale**2 - 1.0) + b * (scale - 1.0) + m * (1.0 / scale - 1.0)).sum()
    assert scaled.objective - point.objective == pytest.approx(moved, rel=1e-10)
    best = balanced(point)
    assert best.objective < point.objective
    assert balance(best).relative.max() < 1e-13 and balanced(best) is best
    without = balanced(drawn_point(without_feedback(problem)))
    assert balance(without).relative.max() < 1e-13 and not balance(without).feedback.any()


def test_a_dead_feature_stays_dead_and_an_unused_one_dies() -> None:
    problem = drawn_problem()
    point = drawn_point(problem)
    for kept in ([1.0, 1.0, 0.0], [1.0, 1.0, 1.0]):
        given = point.at(L=point.L * kept, S=point.S * [[1.0], [1.0], [0.0]], A=point.A * kept)
        after = balanced(given)
        assert not after.live[2] and after.live[:2].all()
        assert after.objective < given.objective and balance(after).relative[2] == 0.0
    assert balanced(problem.zero) is problem.zero


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_at_a_first_order_point_the_features_are_in_balance(loss: str) -> None:
    problem = drawn_problem(loss, T=3, d=3, k=2, n=6)
    exact = Oracle.of(problem.tasks, problem.model).first_order_point(0)
    point = problem.at(**{name: np.array(getattr(exact, name), dtype=float) for name in "LSA"})
    assert balance(point).sparsity.max() > 0.0 and balance(point).relative.max() < 1e-13
    assert best_scales(balance(point)) == pytest.approx(1.0, abs=1e-13)
