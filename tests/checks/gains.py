"""What W can gain, as it is judged, against closed forms, exact fractions and Newton's method in loops."""

from __future__ import annotations

import math
from fractions import Fraction

import literal
import numpy as np
from mpmath import mp

from amtl_cvx.certificate import certify, weight_evidence
from amtl_cvx.certificate.newton import rough_newton
from amtl_cvx.certificate.w_step import weight_problem
from amtl_cvx.curriculum import certify_curriculum
from amtl_cvx.losses import Logistic, Quantile, Squared, SquaredHinge
from amtl_cvx.problem import Problem
from amtl_cvx.tasks import TaskSet
from checks.points import amtl, smooth

ZERO = np.zeros((1, 1))


def judged_gains_are_bounds() -> None:
    """Anywhere; and where rows of 1e9 are satisfied and hide what rows of 1 gain."""
    for tasks, model, W, B in smooth():
        best = literal.best_W(tasks, model, B)
        for away in (1.0, 1e-2, 1e-4):
            V = best + away * (W - best)
            rise = literal.J(tasks, model, V, B) - literal.J(tasks, model, best, B)
            found = weight_evidence(Problem(tasks, model).at(V, B)).judged
            assert found >= rise * (1 - 1e-6)
            assert away > 1e-3 or found <= 2.0 * rise
    size, y = 1e9, np.array([1.0, -1.0, 1.0, -1.0])
    X = np.array([[size], [-size], [1.0], [-1.0]])
    for loss, lower in ((Logistic(), math.log1p(math.exp(-5.0)) / 2), (SquaredHinge(), 0.0)):
        model = amtl(loss, coupling=1e-4, c="equal")
        for z in (20.0, 1.0 - 1e-12):
            W, tasks = np.array([[z / size]]), TaskSet.from_arrays([X], [y])
            found = certify(Problem(tasks, model).at(W, ZERO))
            assert not found.passes and found.gain_W is not None
            assert found.gain_W >= found.objective - lower - 2.5e-3
            assert not certify_curriculum(tasks, model, W, ZERO, (0,)).passes
            beside = TaskSet.from_arrays([1e9 * np.ones((2, 1)), X], [y[:2], y])
            found = certify(
                Problem(beside, model).at(np.array([[0.0, z / size]]), np.zeros((2, 2))), kind="single-task"
            )
            assert not found.passes


def judged_gains_have_room_for_rounding() -> None:
    """Targets of 1e8 with residuals of 1: (1/2) g^2 / H in fractions, at the doubles around the best w.

    Where the coupling is most of H, the duality gap is as good as exact.
    """
    x, y = (
        np.array([3.0, 7.0, 11.0, 2.0]),
        1e8 * np.array([3.0, 7.0, 11.0, 2.0]) + np.array([1.0, -1, 0.5, 0]),
    )
    rows, tasks = list(zip(x.tolist(), y.tolist(), strict=True)), TaskSet.from_arrays([x[:, None]], [y])
    for coupling in (1e-9, 1e4):
        model, lam = amtl(Squared(), coupling=coupling, c="equal"), Fraction(coupling)
        H = sum(Fraction(a) ** 2 for a, _ in rows) / 2 + 2 * lam
        best = float(sum(Fraction(a) * Fraction(b) for a, b in rows) / 2 / H)
        for step in range(-20, 21):
            w = Fraction(best + step * np.spacing(best))
            g = sum(Fraction(a) * (Fraction(a) * w - Fraction(b)) for a, b in rows) / 2 + 2 * lam * w
            found = weight_evidence(Problem(tasks, model).at(np.array([[float(w)]]), ZERO))
            assert Fraction(found.judged) >= g * g / (2 * H)


def rough_steps_are_refined() -> None:
    """Newton steps from single precision against 50 digits; conditions to three; none where large."""
    rng, (T, d), coupling = np.random.default_rng(31), (3, 2), 0.7
    for size in (1e-40, 1.0, 1e40):
        roots, M = rng.normal(size=(T, 5, d)), np.eye(T) - 0.5 * rng.random((T, T)) * (1.0 - np.eye(T))
        blocks, gradient = roots.swapaxes(1, 2) @ roots, size * rng.normal(size=(d, T))
        H = 2.0 * coupling * np.kron(M @ M.T, np.eye(d))
        for t, block in enumerate(blocks):
            H[t * d : (t + 1) * d, t * d : (t + 1) * d] += block
        bound = np.stack([np.linalg.inv(np.linalg.cholesky(block)) for block in blocks])
        found, worst = rough_newton(blocks, M, coupling, gradient, bound), np.linalg.cond(H, 1)
        assert found is not None and found.factor is None
        with mp.workdps(50):
            g = mp.matrix(gradient.T.ravel().tolist())
            x = mp.lu_solve(mp.matrix(H.tolist()), g)
            assert abs(found.gain - (g.T * x)[0] / 2) <= 1e-14 * found.gain
            assert abs(found.step - mp.norm(x)) <= 1e-11 * found.step
        assert abs(found.condition - worst) <= 1e-3 * worst
        assert abs(found.smallest * worst - np.linalg.norm(H, 1)) <= 1e-3 * np.linalg.norm(H, 1)
        assert rough_newton(blocks, M, coupling, gradient, 1e3 * bound) is None
        assert rough_newton(blocks, M, coupling, np.inf * gradient, bound) is None


def judged_gaps_have_room_for_rounding() -> None:
    """||g||^2 / (4 coupling) in fractions, at the doubles around the best w: what is judged for large W."""
    x = np.array([3.0, 7.0, 11.0, 2.0])
    y = 1e8 * x + np.array([1.0, -1.0, 0.5, 0.0])
    rows, tasks = list(zip(x.tolist(), y.tolist(), strict=True)), TaskSet.from_arrays([x[:, None]], [y])
    for coupling in (0.1, 0.3, 1e4):
        model, lam = amtl(Squared(), coupling=coupling, c="equal"), Fraction(coupling)
        H = sum(Fraction(a) ** 2 for a, _ in rows) / 2 + 2 * lam
        best = float(sum(Fraction(a) * Fraction(b) for a, b in rows) / 2 / H)
        for step in range(-5, 6):
            w = best + step * np.spacing(best)
            g = sum(Fraction(a) * (Fraction(a) * Fraction(w) - Fraction(b)) for a, b in rows) / 2
            problem = weight_problem(Problem(tasks, model).at(np.array([[w]]), ZERO), None)
            gap, _ = problem.gap(problem.slope(None, True), True, sharp=True)
            assert Fraction(gap.safe) >= (g + 2 * lam * Fraction(w)) ** 2 / (4 * lam)


def a_value_of_rounding_is_no_loss() -> None:
    """w_1 = 2 w_0 and every row is met: J is 0 but for rounding, J(0, 0) = tau (2 + 4) by hand."""
    X = np.array([[1.0, 0.0], [0.0, 1.0]])
    W, B = np.array([[2.0, 4.0], [2.0, 4.0]]), np.array([[0.0, 2.0], [0.5, 0.0]])
    tasks, model = TaskSet.from_arrays([X, X], [W[:, 0], W[:, 1]]), amtl(Quantile(tau=0.5), c="equal")
    near = W * (1.0 + 2.0**-52)
    found = certify(Problem(tasks, model).at(near, B))
    assert found.passes and found.limit == 16.0 * 2.0**-52 * 3.0
    assert not certify(Problem(tasks, model).at(W * (1.0 + 1e-9), B)).passes
    assert not certify(Problem(tasks, model).at(near, 0.0 * B)).passes
