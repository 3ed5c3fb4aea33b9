r"""Alignment: the order of tasks and features in which a foreign point would pass.

A W and B from elsewhere may have its tasks or features in another order than the data, or a block transposed.
What is seen then is a point that is no minimum at all. `align` looks for the order in which it is one:

    transposes   B', and W' where W is square
    tasks        columns of W with rows and columns of B. C = 2 coupling W P moves with them, so the true
                 order makes a_s,t grad L_t(w_s) + C_s vanish for every task t and its column s: an
                 assignment, whose costs are these residuals over the size of their terms. For a loss with
                 kinks or a curriculum, whose gradients need not vanish, the losses L_t(w_s) are tried too.
    features     rows of W. B fixes the best W, and the rows of a minimum are rows of it: an assignment by
                 their squared distances; likewise the columns of W alone, where B is in the right order.
    both         columns by their sorted entries, which no order of the features changes, held against those
                 of a fit; then rows and columns in turn.

Every assignment is one linear program (`scipy.optimize.linear_sum_assignment`); no orders are enumerated.
What is found is only a proposal: the caller's judge certifies the arranged point as it does any other.

Source: Kuhn, The Hungarian method for the assignment problem, 1955.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from amtl_cvx.certificate import Certificate, infeasibility, residuals
from amtl_cvx.errors import AMTLError
from amtl_cvx.methods import fit
from amtl_cvx.options import Options
from amtl_cvx.problem import Point, Problem
from amtl_cvx.subproblems.numpy_steps import minimal_weights
from amtl_cvx.tasks import Array, Indices

LIMIT = 3000
"""Most tasks or features that are assigned, and most unknowns of W for which the best W is computed."""
_TURNS = 2  # of tasks and features, where both are in another order
_ROUNDS = 20  # of the fit that such a point is held against
_BETTER = 1e-2  # of the residual: a point that does not pass in its best order either is worth telling


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrangement:
    """A way to read W and B, and what it makes of them.

    Attributes
    ----------
    W, B : ndarray
        The point, arranged.
    certificate : Certificate or None
        Of this point, once it was judged.
    flipped_W, flipped_B : bool
        Whether W or B was transposed first.
    tasks, features : (T,), (d,) ndarray of int or None
        Column t of the arranged W is column ``tasks[t]`` of the file; its row j is row ``features[j]``.
    with_B : bool
        Whether rows and columns of B are reordered with the columns of W.
    """

    W: Array
    B: Array
    certificate: Certificate | None = None
    flipped_W: bool = False
    flipped_B: bool = False
    tasks: Indices | None = None
    features: Indices | None = None
    with_B: bool = True

    @property
    def changes(self) -> bool:
        """Whether this differs from the point as it was given."""
        return self.flipped_W or self.flipped_B or self.tasks is not None or self.features is not None

    def by_tasks(self, order: Indices, *, with_B: bool = True) -> Arrangement:
        """The same with its columns (and B) in another order."""
        if np.array_equal(order, np.arange(len(order))):
            return self
        before = np.arange(len(order)) if self.tasks is None else self.tasks
        B = self.B[np.ix_(order, order)] if with_B else self.B
        return replace(self, W=self.W[:, order], B=B, tasks=before[order], with_B=with_B)

    def by_features(self, order: Indices) -> Arrangement:
        """The same with its rows in another order."""
        if np.array_equal(order, np.arange(len(order))):
            return self
        before = np.arange(len(order)) if self.features is None else self.features
        return replace(self, W=self.W[order], features=before[order])

    def learned(self, order: tuple[int, ...] | None) -> tuple[int, ...] | None:
        """A curriculum's order of learning, in the numbers of the arranged tasks."""
        if order is None or self.tasks is None:
            return order
        place = np.argsort(self.tasks)
        return tuple(int(place[t]) for t in order if t < len(place))


def align(point: Point, *, judge: Callable[[Arrangement], Certificate]) -> Arrangement | None:
    """The arrangement of a point that passes, or is at least a hundred times nearer to it.

    Parameters
    ----------
    point : Point
        One that does not pass.
    judge : callable
        The certificate of an arrangement.

    Returns
    -------
    Arrangement or None
        With its certificate; None where no order was found that is better.
    """
    if infeasibility(point.model, point.B) > 0.0:
        return None
    given, problem = Arrangement(W=point.W, B=point.B), point.problem
    before = _miss(problem, given)
    for search in (_transposes, _by_tasks, _by_features, _by_both):
        try:
            found = [each for each in search(problem, given) if each.changes]
            ranked = sorted(((_miss(problem, each), k) for k, each in enumerate(found)), key=lambda r: r)
            for miss, k in ranked[:2]:
                certificate = judge(found[k])
                if certificate.passes or miss <= _BETTER * before:
                    return replace(found[k], certificate=certificate)
        except AMTLError:  # such as an overflow of W in another order: no proposal
            continue
    return None


def _miss(problem: Problem, point: Arrangement) -> float:
    return residuals(problem.at(point.W, point.B)).relative


def _transposes(problem: Problem, given: Arrangement) -> Iterator[Arrangement]:
    """Every block as it is and transposed; the point as it was given first."""
    square = given.W.shape[0] == given.W.shape[1]
    for flipped_W in (False, True)[: 1 + square]:
        for flipped_B in (False, True)[: 1 + given.B.any()]:
            W, B = (given.W.T if flipped_W else given.W), (given.B.T if flipped_B else given.B)
            yield replace(given, W=W, B=B, flipped_W=flipped_W, flipped_B=flipped_B)


def _by_tasks(problem: Problem, given: Arrangement) -> Iterator[Arrangement]:
    """Columns of W with rows and columns of B."""
    for point in _transposes(problem, given):
        for cost in _task_costs(problem, point):
            yield point.by_tasks(_assign(cost))


def _by_features(problem: Problem, given: Arrangement) -> Iterator[Arrangement]:
    """Rows of W, and columns of W alone, held against the best W for this B."""
    if given.W.size > LIMIT:
        return
    for point in _transposes(problem, given):
        best = minimal_weights(problem.at(point.W, point.B))
        yield point.by_features(_assign(_distances(point.W, best)))
        yield point.by_tasks(_assign(_distances(point.W.T, best.T)), with_B=False)


def _by_both(problem: Problem, given: Arrangement) -> Iterator[Arrangement]:
    """Columns (with B) and rows in turn."""
    if given.W.size > LIMIT:
        return
    fitted = fit(
        problem.tasks, problem.model, options=Options(engine="fast", refine=False, max_rounds=_ROUNDS)
    ).W
    point = given.by_tasks(_assign(_distances(np.sort(given.W.T), np.sort(fitted.T))))
    for _ in range(_TURNS):
        best = minimal_weights(problem.at(point.W, point.B))
        point = point.by_features(_assign(_distances(point.W, best)))
        yield point
        point = point.by_tasks(_assign(_task_costs(problem, point)[0]))
        yield point


def _task_costs(problem: Problem, point: Arrangement) -> tuple[Array, ...]:
    """Costs (T, T) of column s at task t: residuals of its gradient, and losses."""
    tasks, model, W, B = problem.tasks, problem.model, point.W, point.B
    T = tasks.T
    residual, losses = np.empty((T, T)), np.empty((T, T))
    squares = problem.at(W, B).square_gradient_W
    transfer = 1.0 + model.transfer.weights(B)
    for t, (task, c) in enumerate(zip(tasks, model.task_weight(tasks), strict=True)):
        z, scale = (task.X @ W).T, model.loss.scale(task)
        y, phi = np.broadcast_to(task.y, z.shape), model.loss.on(task.sample_weight)
        with np.errstate(over="ignore", invalid="ignore"):
            pull = c * scale * transfer * (task.X.T @ phi.slopes(z, y).T)
            losses[:, t] = scale * phi.rows(z, y).sum(axis=1)
            size = np.linalg.norm(pull, axis=0) + np.linalg.norm(squares, axis=0)
            residual[:, t] = np.linalg.norm(pull + squares, axis=0) / np.where(size > 0.0, size, 1.0)
    return residual, losses


def _distances(rows: Array, others: Array) -> Array:
    """Squared distances of every row to every other one, (k, k)."""
    from scipy.spatial.distance import cdist

    distances: Array = cdist(rows, others, "sqeuclidean")
    return distances


def _assign(cost: Array) -> Indices:
    """order with least sum of cost[order[t], t]; as it is where there are too many."""
    from scipy.optimize import linear_sum_assignment

    if len(cost) > LIMIT:
        return np.arange(len(cost))
    finite = np.nan_to_num(cost, nan=1e300, posinf=1e300)
    columns, order = linear_sum_assignment(finite.T)
    assert np.array_equal(columns, np.arange(len(cost)))
    return np.asarray(order, dtype=np.intp)
