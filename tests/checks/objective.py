"""J and its derivatives against loops and differences, conjugates against suprema."""

from __future__ import annotations

import functools
from typing import Any

import literal
import numpy as np
from cases import (
    Array,
    central_gradient,
    literal_row,
)

from amtl_cvx.certificate import (
    curvature,
)
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from checks.points import LOSSES, anywhere, close, smooth


def objective_is_the_formula() -> None:
    for tasks, model, W, B in anywhere():
        assert close(model.objective(tasks, W, B), literal.J(tasks, model, W, B), 1e-11)
        assert close(model.losses(tasks, W), literal.losses(tasks, model, W), 1e-11)
        alone = [model.loss.value(task, w) for task, w in zip(tasks, W.T, strict=True)]
        assert close(alone, literal.losses(tasks, model, W), 1e-11)


def factors_keep_the_objective() -> None:
    """A triangular factor of the rows has fewer of them; n_t stays the original count."""
    for tasks, model, W, B in anywhere():
        if model.loss.quadratic:
            factors = model.compress(tasks)
            assert len(factors[1].y) < len(tasks[1].y)
            assert close(model.objective(factors, W, B), literal.J(tasks, model, W, B), 1e-10)
            alone = [model.loss.value(task, w) for task, w in zip(factors, W.T, strict=True)]
            assert close(alone, literal.losses(tasks, model, W), 1e-10)


def gradients_are_differences_of_J() -> None:
    for tasks, model, W, B in smooth():
        J = functools.partial(literal.J, tasks, model)
        G_W, G_B = model.gradient_W(tasks, W, B), model.gradient_B(tasks, W, B)
        expected = central_gradient(lambda C, J=J, W=W: J(W, C), B)
        np.fill_diagonal(expected, 0.0)
        assert close(G_W, central_gradient(lambda V, J=J, B=B: J(V, B), W), 1e-7)
        assert close(G_B, expected, 1e-7)
        losses = functools.partial(literal.losses, tasks, model)
        alone = [model.loss.gradient(task, w) for task, w in zip(tasks, W.T, strict=True)]
        slopes = central_gradient(lambda V, losses=losses: float(np.sum(losses(V))), W)
        assert close(np.column_stack(alone), slopes, 1e-7)


def hessian_is_differences_of_the_gradient() -> None:
    """The whole Hessian in (W, B), and that of the W-step, against literal gradients."""
    for tasks, model, W, B in smooth():
        free = ~np.eye(3, dtype=bool)
        H = curvature.reduced_hessian(Problem(tasks, model).at(W, B), free)

        def gradient(x: Array, tasks: TaskSet = tasks, model: Model = model, free: Any = free) -> Array:
            C = np.zeros((3, 3))
            C[free] = x[9:]
            G_W, G_B = literal.gradients(tasks, model, x[:9].reshape(3, 3).T, C)
            return np.r_[G_W.T.ravel(), G_B[free]]

        x, step = np.r_[W.T.ravel(), B[free]], 1e-6
        columns_ = [(gradient(x + step * e) - gradient(x - step * e)) / (2 * step) for e in np.eye(15)]
        assert close(H, np.column_stack(columns_), 1e-6)
        assert close(Problem(tasks, model).at(W, B).hessian_W(), H[:9, :9], 1e-12)
        alone = [model.loss.hessian(task, w) for task, w in zip(tasks, W.T, strict=True)]
        weight = model.loss_weight(tasks, B)[:, None, None]
        assert close(Problem(tasks, model).at(W, B).loss_hessians, weight * np.stack(alone), 1e-12)


def conjugates_are_suprema() -> None:
    """Fenchel-Young: equality at v = phi'(z), an inequality everywhere, +inf outside of the domain."""
    rng = np.random.default_rng(2)
    grid = np.linspace(-12.0, 12.0, 4801)
    for loss in LOSSES:
        y = np.array([1.0, -1.0] * 20) if loss.classification else np.floor(rng.uniform(0, 5, size=40))
        z, v = rng.normal(size=40), loss.clip(3 * rng.normal(size=40), y)
        if loss.smooth:
            u = literal.slopes(loss, z, y)
            rows = np.array([literal_row(loss, *pair) for pair in zip(z, y, strict=True)])
            assert close(loss.conjugate(u, y) + rows, u * z, 1e-10, 1e-12)
        found, low, high = loss.conjugate(v, y), *loss.domain(y)
        for value, slope, target, ends in zip(found, v, y, zip(low, high, strict=True), strict=True):
            supremum = (slope * grid - loss.rows(grid, np.full_like(grid, target))).max()
            assert value >= supremum - 1e-9
            inside = min(slope - ends[0], ends[1] - slope) > 1e-2 and abs(slope) < 3
            assert not inside or value <= supremum + 1e-4
        assert np.isinf(loss.conjugate(low[np.isfinite(low)] - 1e-9, y[np.isfinite(low)])).all()
        assert np.isinf(loss.conjugate(high[np.isfinite(high)] + 1e-9, y[np.isfinite(high)])).all()
        for end, sign in ((low, -1.0), (high, 1.0)):  # beyond the domain the supremum is infinite
            for value, target in zip(end, y, strict=True):
                if np.isfinite(value):
                    far = sign * np.array([1e2, 7e2])
                    near, further = (value + 0.05 * sign) * far - loss.rows(far, np.full(2, target))
                    assert further > near + 10
        if not loss.smooth:  # the slope of either side is a conjugate pair of its own
            for end in (low, high):
                assert np.allclose(loss.conjugate(end, y), [(e * grid - loss.rows(grid, np.full_like(grid, t))
                    ).max() for e, t in zip(end, y, strict=True)], atol=1e-9)  # fmt: skip
