# More than 300 lines: one perturbation after another.
"""The certificate at a thousand perturbed points, at a thousand certified ones and at what is no point.

Perturbed: one block of a first-order point is moved by a relative 1e-6 to 1e-1, the other one kept or solved
again exactly (`literal`). The residual of the move is that of SPEC section 4, computed apart from the
package; a loss with a kink has no gradient, there it is what the move has lost of J, over J. No such point
passes at a tolerance ten times below its residual.

Certified: fits, seen in other coordinates (tasks, features and rows relabelled, rows duplicated, X, y or the
task weights in other units, features rotated). All of them pass at the tolerance they were fitted to.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import literal
import numpy as np
import pytest
from cases import LOSS_CASES, NONSMOOTH_CASES, Array, at, loss_id, tasks_for

from amtl_cvx.certificate import certify
from amtl_cvx.errors import DataError
from amtl_cvx.losses import Huber, Loss, Squared
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from amtl_cvx.transfer import LossWeightedL1

TOL = 1e-8
KINKED = tuple(loss for loss in NONSMOOTH_CASES if loss.reduction == "mean")
every_smooth_loss = pytest.mark.parametrize("loss", LOSS_CASES, ids=loss_id)
every_loss = pytest.mark.parametrize("loss", [*LOSS_CASES, *KINKED], ids=loss_id)


class Point(NamedTuple):
    """A problem and a point of it."""

    tasks: TaskSet
    model: Model
    W: Array
    B: Array

    def passes(self, tol: float) -> bool:
        return certify(at(*self), tol=tol).passes


@functools.cache
def fitted(loss: Loss, seed: int) -> Point:
    """A first-order point at `TOL` with edges; prices, coupling and task weights are drawn with the seed."""
    for attempt in range(20):
        rng = np.random.default_rng([seed, attempt])
        T, d = int(rng.integers(3, 5)), int(rng.integers(3, 5))
        tasks = tasks_for(loss, rng, d=d, counts=rng.integers(2 * d + 4, 24, size=T))
        rows = 1.0 if loss.reduction == "mean" else 15.0
        model = Model(
            loss=loss,
            transfer=LossWeightedL1(mu=float(rng.uniform(0.01, 0.1)) / rows),
            coupling=float(rng.uniform(0.05, 0.3)) * rows,
            task_weights=tuple(rng.uniform(0.5, 2.0, size=T)),
        )
        found = fit(tasks, model, options=Options(engine="fast", tol=TOL))
        if found.certificate.passes and found.certificate.edges:
            return Point(tasks, model, found.W, found.B)
    raise AssertionError("no fit with edges")


# --- perturbed points --------------------------------------------------------------------------------------

Move = Callable[[np.random.Generator, Point, float], tuple[Array, Array]]


def noise_on_W(rng: np.random.Generator, at: Point, size: float) -> tuple[Array, Array]:
    return at.W + size * np.abs(at.W).max() * rng.normal(size=at.W.shape), at.B


def one_entry_of_W(rng: np.random.Generator, at: Point, size: float) -> tuple[Array, Array]:
    W, entry = at.W.copy(), tuple(rng.integers(n) for n in at.W.shape)
    W[entry] += size * np.abs(W).max()
    return W, at.B


def one_column_of_W(rng: np.random.Generator, at: Point, size: float) -> tuple[Array, Array]:
    factors = np.ones(at.tasks.T)
    factors[rng.integers(at.tasks.T)] += size
    return at.W * factors, at.B


def edges_of_B(rng: np.random.Generator, at: Point, size: float) -> tuple[Array, Array]:
    return at.W, at.B * (1 + size * rng.uniform(-1, 1, size=at.B.shape))


def one_edge_of_B(rng: np.random.Generator, at: Point, size: float) -> tuple[Array, Array]:
    """An edge moved, present or not."""
    B, (s, t) = at.B.copy(), rng.choice(at.tasks.T, size=2, replace=False)
    B[s, t] += size * B.max()
    return at.W, B


MOVES: tuple[Move, ...] = (noise_on_W, one_entry_of_W, one_column_of_W, edges_of_B, one_edge_of_B)


def perturbed(loss: Loss, count: int) -> Iterator[tuple[Point, Point]]:
    """Points beside those of fits, with the fit; every other one has its other block solved again exactly."""
    rng = np.random.default_rng(20260101)
    for k in range(count):
        at = fitted(loss, k % 2)
        tasks, model = at.tasks, at.model
        W, B = MOVES[k % len(MOVES)](rng, at, 10.0 ** rng.uniform(-6, -1))
        moved_W = B is at.B
        if k // len(MOVES) % 2 and loss.smooth:
            if moved_W:
                B = literal.best_B(W, literal.prices(tasks, model, W), model.coupling)
            else:
                W = literal.best_W(tasks, model, B, start=W)
        yield at, Point(tasks, model, W, B)


def residual(at: Point, moved: Point) -> float:
    """How far the move is from stationary, apart from the package."""
    if at.model.loss.smooth:
        return literal.residual(*moved).relative
    return literal.J(*moved) / literal.J(*at) - 1.0


def rejected(loss: Loss, count: int) -> int:
    """How many perturbed points there were; all of them must be rejected."""
    found = 0
    for place, moved in perturbed(loss, count):
        size = residual(place, moved)
        if loss.smooth:
            assert size > 1e-10
        elif size <= 1e-10:  # a move of second order, or along a flat part
            continue
        certificate = certify(at(*moved), tol=min(0.1 * size, 0.5))
        assert not certificate.passes and certificate.level in ("C0", "C1"), certificate
        found += 1
    return found


@pytest.mark.sampled(3)
@every_smooth_loss
def test_perturbed_points_are_rejected(loss: Loss) -> None:
    assert rejected(loss, 10) == 10


@pytest.mark.slow
@every_loss
def test_a_thousand_perturbed_points_are_rejected(loss: Loss) -> None:
    """100 per smooth loss, 1,000 in all; and the losses with kinks on top."""
    count = rejected(loss, 100)
    assert count == 100 if loss.smooth else count >= 80


# --- certified points --------------------------------------------------------------------------------------

View = Callable[[np.random.Generator, Point], Point]


def other_data(at: Point, X: list[Array], y: list[Array], W: Array, **settings: Any) -> Point:
    return Point(TaskSet.from_arrays(X, y), replace(at.model, **settings), W, at.B)


def tasks_relabelled(rng: np.random.Generator, at: Point) -> Point:
    order = rng.permutation(at.tasks.T)
    weights = at.model.task_weights
    assert isinstance(weights, tuple)
    tasks = TaskSet.from_arrays([at.tasks[t].X for t in order], [at.tasks[t].y for t in order])
    model = replace(at.model, task_weights=tuple(weights[t] for t in order))
    return Point(tasks, model, at.W[:, order], at.B[np.ix_(order, order)])


def features_relabelled(rng: np.random.Generator, at: Point) -> Point:
    order = rng.permutation(at.tasks.d)
    return other_data(at, [task.X[:, order] for task in at.tasks], [task.y for task in at.tasks], at.W[order])


def features_rotated(rng: np.random.Generator, at: Point) -> Point:
    Q = np.linalg.qr(rng.normal(size=(at.tasks.d, at.tasks.d)))[0]
    return other_data(at, [task.X @ Q for task in at.tasks], [task.y for task in at.tasks], Q.T @ at.W)


def rows_relabelled(rng: np.random.Generator, at: Point) -> Point:
    orders = [rng.permutation(len(task.y)) for task in at.tasks]
    pairs = list(zip(at.tasks, orders, strict=True))
    return other_data(at, [k.X[order] for k, order in pairs], [k.y[order] for k, order in pairs], at.W)


def rows_duplicated(rng: np.random.Generator, at: Point) -> Point:
    """Means stay; sums grow by the factor, and with the coupling J does."""
    times = int(rng.integers(2, 4))
    factor = times if at.model.loss.reduction == "sum" else 1
    X, y = [np.tile(k.X, (times, 1)) for k in at.tasks], [np.tile(k.y, times) for k in at.tasks]
    return other_data(at, X, y, at.W, coupling=at.model.coupling * factor)


def features_in_other_units(rng: np.random.Generator, at: Point) -> Point:
    factor = 10.0 ** rng.uniform(-3, 3)
    X, y = [factor * k.X for k in at.tasks], [k.y for k in at.tasks]
    return other_data(at, X, y, at.W / factor, coupling=at.model.coupling * factor**2)


def targets_in_other_units(rng: np.random.Generator, at: Point) -> Point:
    """Squared and Huber loss; J grows by the square of the factor."""
    loss, factor = at.model.loss, 10.0 ** rng.uniform(-5, 5)
    if not isinstance(loss, Squared | Huber):
        return task_weights_scaled(rng, at)
    loss = replace(loss, threshold=loss.threshold * factor) if isinstance(loss, Huber) else loss
    return other_data(at, [k.X for k in at.tasks], [factor * k.y for k in at.tasks], factor * at.W, loss=loss)


def task_weights_scaled(rng: np.random.Generator, at: Point) -> Point:
    factor, weights = 10.0 ** rng.uniform(-3, 3), at.model.task_weights
    assert isinstance(weights, tuple)
    model = replace(
        at.model, task_weights=tuple(factor * c for c in weights), coupling=factor * at.model.coupling
    )
    return at._replace(model=model)


def signs_flipped(_: np.random.Generator, at: Point) -> Point:
    return other_data(at, [-k.X for k in at.tasks], [k.y for k in at.tasks], -at.W)


def useless_feature(_: np.random.Generator, at: Point) -> Point:
    X = [np.column_stack([k.X, np.zeros(len(k.y))]) for k in at.tasks]
    return other_data(at, X, [k.y for k in at.tasks], np.vstack([at.W, np.zeros(at.tasks.T)]))


VIEWS: tuple[View, ...] = (
    tasks_relabelled,
    features_relabelled,
    features_rotated,
    rows_relabelled,
    rows_duplicated,
    features_in_other_units,
    targets_in_other_units,
    task_weights_scaled,
    signs_flipped,
    useless_feature,
)


def accepted(loss: Loss, count: int) -> int:
    """How many views of certified points there were; all of them must pass."""
    rng = np.random.default_rng(20260102)
    for k in range(count):
        point = VIEWS[k % len(VIEWS)](rng, fitted(loss, k % 2))
        point = VIEWS[int(rng.integers(len(VIEWS)))](rng, point)
        certificate = certify(at(*point), tol=TOL)
        assert certificate.passes, certificate
    return count


@pytest.mark.sampled(2)
@every_smooth_loss
def test_certified_points_pass_in_every_view(loss: Loss) -> None:
    assert accepted(loss, 10) == 10


@pytest.mark.slow
@every_loss
def test_a_thousand_certified_points_pass_in_every_view(loss: Loss) -> None:
    """100 per smooth loss, 1,000 in all; and the losses with kinks on top."""
    assert accepted(loss, 100) == 100


# --- what is no point --------------------------------------------------------------------------------------


def rectangular() -> Point:
    """A certified point with more features than tasks."""
    at = fitted(Squared(), 0)
    while at.tasks.d <= at.tasks.T:
        at = useless_feature(np.random.default_rng(0), at)
    return at


def garbage() -> Iterator[tuple[str, Any, Any]]:
    """W and B that are no point of the problem: wrong shapes, missing and infinite numbers, other types."""
    at = rectangular()
    W, B = at.W, at.B
    for value in (np.nan, np.inf, -np.inf):
        for entry in ((0, 0), (1, 2)):
            V, C = W.copy(), B.copy()
            V[entry] = C[entry] = value
            yield f"W {value} at {entry}", V, B
            yield f"B {value} at {entry}", W, C
    yield "W transposed", W.T, B
    yield "W of a task less", W[:, 1:], B
    yield "W of a feature less", W[1:], B
    yield "W flat", W.ravel(), B
    yield "W stacked", W[None], B
    yield "W empty", W[:0], B
    yield "B of a task less", W, B[1:, 1:]
    yield "B not square", W, B[:, 1:]
    yield "B a vector", W, np.diag(B)
    yield "B a number", W, 0.0
    yield "W nothing", None, B
    yield "B words", W, "none"
    yield "W complex", W + 1j, B
    yield "W objects", np.full(W.shape, None), B
    yield "W ragged", [[1.0], [1.0, 2.0]], B
    yield "W and B exchanged", B, W


@pytest.mark.parametrize(("W", "B"), [pytest.param(W, B, id=name) for name, W, B in garbage()])
def test_what_is_no_point_is_bad_data(W: Any, B: Any) -> None:
    at = rectangular()
    with pytest.raises(DataError):
        certify(Problem(at.tasks, at.model).at(W, B))


def test_infeasible_points_are_never_certified(rng: np.random.Generator) -> None:
    """Negative entries and diagonals of every size, place the worst tolerance there is."""
    place = fitted(Squared(), 0)
    for size in 10.0 ** np.arange(-300.0, 151.0, 50.0):
        for _ in range(4):
            B, (s, t) = place.B.copy(), rng.choice(place.tasks.T, size=2, replace=False)
            B[s, t] = -size
            assert not place._replace(B=B).passes(0.999) and certify(at(*place._replace(B=B))).level is None
            B = place.B.copy()
            B[s, s] = rng.choice([-1.0, 1.0]) * size
            assert not place._replace(B=B).passes(0.999) and certify(at(*place._replace(B=B))).level is None


SIZES = (1e-308, 1e-200, 1e-160, 1e-150, 1e150, 1e160, 1e200, 1e300)


def judged(point: Point) -> bool:
    """Whether a point at the ends of the number range passes; a refusal in one line is no pass."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of numbers that overflow on the way
        try:
            return point.passes(1e-3)
        except DataError:
            return False


@pytest.mark.sampled(3)
@pytest.mark.parametrize("size", SIZES)
@every_smooth_loss
def test_wrong_points_of_huge_and_tiny_scale_are_never_certified(
    loss: Loss, size: float, rng: np.random.Generator
) -> None:
    """W or B alone at the scale; random ones; a wrong B with the best W where y and W are at the scale."""
    at = fitted(loss, 0)
    assert not judged(at._replace(W=size * at.W)) and not judged(at._replace(B=size * at.B))
    assert not judged(at._replace(W=size * rng.normal(size=at.W.shape), B=size * at.B))
    assert not judged(at._replace(W=size * rng.normal(size=at.W.shape), B=rng.random() * at.B))
    if isinstance(loss, Squared):
        B = 1.3 * at.B
        tasks = TaskSet.from_arrays([k.X for k in at.tasks], [size * k.y for k in at.tasks])
        assert not judged(Point(tasks, at.model, size * literal.best_W(at.tasks, at.model, B), B))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("size", [1e-250, 1e-150, 1e150, 1e250])
@every_smooth_loss
def test_settings_of_huge_and_tiny_scale_do_not_certify_a_wrong_point(loss: Loss, size: float) -> None:
    """A point of other settings: coupling, features or task weights at the scale, W and B as they were."""
    at = fitted(loss, 0)
    assert not judged(at._replace(model=replace(at.model, coupling=size * at.model.coupling)))
    tasks = TaskSet.from_arrays([size * k.X for k in at.tasks], [k.y for k in at.tasks])
    assert not judged(at._replace(tasks=tasks))
    weights = tuple(size * c for c in literal.price_weights(at.tasks, at.model))
    assert not judged(at._replace(model=replace(at.model, task_weights=weights)))
