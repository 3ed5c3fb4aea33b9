"""A transfer penalty as a CVXPY expression: the door, the bound from its cone program, fit, certificate."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, at, random_tasks

from amtl_cvx import Model, Options, UserTransfer, certify, fit
from amtl_cvx import transfer as terms
from amtl_cvx.certificate import transfer_gap
from amtl_cvx.certificate.by_cone import b_step, cone_gap
from amtl_cvx.errors import AMTLError, ConvexityError, ModelError
from amtl_cvx.problem import Point
from amtl_cvx.transfer import make_transfer


def row_max(B: Any, losses: Any) -> cp.Expression:
    return cp.sum(cp.multiply(losses, cp.max(B, axis=1)))


def huber(B: Any, losses: Any) -> cp.Expression:
    return cp.sum(cp.huber(B, 0.1))


def priced(B: Any, losses: Any) -> cp.Expression:
    return losses @ cp.sum(B, axis=1)


def groups(B: Any, losses: Any) -> cp.Expression:
    return losses @ cp.norm(B, 2, axis=1)


def squares(B: Any, losses: Any) -> cp.Expression:
    return losses @ cp.square(cp.sum(B, axis=1)) + cp.sum(B) / 9


def largest(V: Array, step: float, losses: Array) -> Array:
    """The prox of l_s max_t B_st, B >= 0: all above a level are cut to it, step l_s of them in sum."""
    B = np.maximum(V, 0.0)
    np.fill_diagonal(B, 0.0)
    for row, least in zip(B, step * losses, strict=True):
        sizes = np.sort(row)[::-1]
        levels = (np.cumsum(sizes) - least) / np.arange(1, len(row) + 1)
        row[:] = np.minimum(row, max(float(levels.max()), 0.0))
    return B


def certified_max(B: Any, losses: Any) -> cp.Expression:
    return row_max(B, losses)


certified_max.prox = largest  # type: ignore[attr-defined]
COUNTS = (9, 14, 20)
FUNCTIONS = (row_max, huber, groups, squares)
each = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)


def formula(function: Callable[..., Any], B: Array, losses: Array) -> float:
    """The same in NumPy, written apart."""
    size = np.abs(B)
    if function is row_max:
        return float(losses @ B.max(axis=1))
    if function is huber:
        return float(np.where(size <= 0.1, B**2, 0.2 * size - 0.01).sum())
    if function is groups:
        return float(losses @ np.linalg.norm(B, axis=1))
    return float(losses @ B.sum(axis=1) ** 2) + float(B.sum()) / 9


def true_gap(point: Point) -> float:
    """What a B of another solver, made feasible, gains: no tolerance of it enters."""
    W, losses, T = point.W, point.weighted_losses, point.tasks.T
    assert isinstance(point.model.transfer, UserTransfer)
    function, mu, coupling = point.model.transfer.function, point.model.mu, point.model.coupling
    B = cp.Variable((T, T), nonneg=True)
    J = coupling * cp.sum_squares(W - W @ B) + mu * function(B, losses)
    cp.Problem(cp.Minimize(J), [cp.diag(B) == 0]).solve(solver="SCS", eps=1e-7)
    found = np.maximum(np.asarray(B.value), 0.0)
    np.fill_diagonal(found, 0.0)

    def value(B: Array) -> float:
        return coupling * float(((W - W @ B) ** 2).sum()) + mu * formula(function, B, losses)

    return value(point.B) - value(found)


@each
@pytest.mark.parametrize("d", [6, 3])
def test_the_gap_is_never_below_what_another_solver_gains(
    function: Callable[..., Any], d: int, rng: np.random.Generator
) -> None:
    """At random points, with independent predictors and with dependent ones."""
    tasks, T = random_tasks(rng, d=d), 4
    model = Model(transfer=UserTransfer(function, mu=0.3), coupling=0.5)
    W = rng.normal(size=(tasks.d, 1)) + 0.5 * rng.normal(size=(tasks.d, T))
    for B in (np.zeros((T, T)), rng.random((T, T)) * (1 - np.eye(T))):
        point = at(tasks, model, W, B)
        assert point.terms.transfer == pytest.approx(0.3 * formula(function, B, point.weighted_losses))
        gap, gained = cone_gap(point), true_gap(point)
        assert gap is not None and gained * (1 - 1e-6) <= gap <= gained * (1 + 1e-4) + 1e-5


def test_a_price_as_an_expression_has_the_gap_of_the_penalty_itself(rng: np.random.Generator) -> None:
    """Close to the minimum, where the columns' gap is exact."""
    tasks = random_tasks(rng, d=6)
    amtl = Model(transfer=terms.LossWeightedL1(mu=0.2), coupling=0.5)
    own = Model(transfer=UserTransfer(priced, mu=0.2), coupling=0.5)
    solution = fit(tasks, amtl)
    moved = solution.B.copy()
    moved[0, 1] += 0.01
    for B in (solution.B, moved):
        theirs, _ = transfer_gap(at(tasks, amtl, solution.W, B))
        found, words = transfer_gap(at(tasks, own, solution.W, B))
        assert theirs is not None and found is not None and "canonicalisation" in words
        assert found == pytest.approx(theirs, abs=1e-9, rel=1e-4)


@each
def test_wrong_duals_prove_less_and_never_more(
    function: Callable[..., Any], rng: np.random.Generator
) -> None:
    """Whatever x0 and y are: f(v) - <S, v> at points of the box is never below the bound."""
    T, losses = 4, rng.uniform(0.5, 2.0, 4)
    cone = UserTransfer(function, mu=0.7).cone(losses)
    off = ~np.eye(T, dtype=bool)
    graphs = [rng.random((T, T)) * off for _ in range(6)]
    level = max(0.7 * formula(function, B, losses) for B in graphs)
    box = cone.box(np.zeros(T * (T - 1)), np.ones(T * (T - 1)), level)
    W = rng.normal(size=(5, T))
    dual = b_step(cone, W, 0.5)[-1]
    for size in (0.0, 1e-3, 1.0, 30.0):
        S = rng.normal(size=(T, T)) * off
        wrong = dual._replace(
            x=dual.x + size * rng.normal(size=len(dual.x)), y=dual.y + size * rng.normal(size=len(dual.y))
        )
        least = cone.least(wrong, S.T[off], box)
        values = [0.7 * formula(function, B, losses) - float((S * B).sum()) for B in graphs]
        assert least <= min(values)
        y = cone.dual_cone(wrong.y)
        k = cone.zero + cone.nonneg
        assert (y[cone.zero : k] >= 0.0).all()
        for part in np.split(y[k:], np.cumsum(cone.soc)[:-1]) if cone.soc else []:
            assert part[0] >= np.linalg.norm(part[1:])


def test_a_box_that_is_open_on_the_wrong_side_proves_nothing(rng: np.random.Generator) -> None:
    cone = UserTransfer(row_max, mu=1.0).cone(np.ones(3))
    dual = b_step(cone, rng.normal(size=(4, 3)), 1.0)[-1]
    n = len(cone.columns)
    low, high = cone.box(np.zeros(n), np.full(n, np.inf), 2.0)
    assert np.isfinite(low).all() and np.isfinite(high).all() and (high[cone.columns] >= 2.0).all()
    assert (high <= 2.0 * (1.0 + 1e-6)).all()  # no edge is dearer than the level
    wide = np.full(len(cone.q), np.inf)
    assert cone.least(dual, np.full(n, 5.0), (-wide, wide)) == -np.inf


@pytest.mark.parametrize("function", [row_max, huber], ids=lambda f: f.__name__)
def test_a_fit_reaches_C1_and_other_points_do_not(
    function: Callable[..., Any], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=COUNTS)
    model = Model(transfer=UserTransfer(function, mu=0.3), coupling=0.2)
    solution = fit(tasks, model, options=Options(tol=1e-7))
    found = solution.certificate
    assert found.level == "C1" and not found.passes and found.edges > 1
    assert found.gap_B is not None and found.gap_B <= 1e-9 * found.objective
    assert found.relative_W <= 1e-7 and found.relative == np.inf and "no prox" in found.reasons["relative_B"]
    words = " ".join(found.sentences())
    assert "trusts CVXPY's canonicalisation of the function, no solver" in words and "inf" not in words
    assert "not known for B" in found.verdict()
    for W, B in (
        (1.001 * solution.W, solution.B),
        (solution.W, solution.B + 1e-3 * (solution.B > 0)),
        (solution.W, solution.B.T),
        (-solution.W, 0.5 * solution.B),
    ):
        worse = certify(tasks, model, W, B)
        assert worse.level == "C0" and worse.objective > found.objective


def test_with_a_prox_C2_and_a_wrong_one_is_refused(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=COUNTS)
    model = Model(transfer=UserTransfer(certified_max, mu=0.3), coupling=0.2)
    solution = fit(tasks, model, options=Options(tol=1e-6))
    found = solution.certificate
    assert found.level == "C2" and found.passes and found.edges > 1
    assert found.gap_B is not None and found.gap_B <= 1e-9 * found.objective
    assert not certify(tasks, model, solution.W, 1.001 * solution.B, tol=1e-6).passes

    def cut(B: Any, losses: Any) -> cp.Expression:
        return row_max(B, losses)

    cut.prox = lambda V, step, losses: np.maximum(V - step, 0.0)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="the prox of cut is none"):
        UserTransfer(cut, mu=0.3).bind(tasks)


STRANGER = cp.Variable()


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda B, losses: cp.sum(cp.sqrt(B)), ConvexityError, "not convex"),
        (lambda B, losses: cp.square(cp.sum(losses)) * cp.sum(B), ConvexityError, "not DPP"),
        (
            lambda B, losses: cp.sum(cp.maximum(cp.multiply(losses, cp.sum(B, axis=1)), 1)),
            ConvexityError,
            "affine in the losses",
        ),
        (lambda B, losses: cp.sum(B) * (5 - cp.sum(losses)), ConvexityError, "not fall with a loss"),
        (lambda B, losses: cp.sum(B) - 1, ConvexityError, ">= 0"),
        (lambda B, losses: B, ModelError, r"one number, it has the shape \(4, 4\)"),
        (lambda B, losses: 3.0, ModelError, "must return a CVXPY expression"),
        (lambda B, losses: B @ np.ones(77), ModelError, "raises ValueError"),
        (lambda B, losses: cp.sum(B) + STRANGER**2, ModelError, "variable or parameter of its own"),
        (lambda B, losses: cp.sum(B) + cp.transforms.indicator([B <= 1]), ModelError, "hides a constraint"),
        (lambda B, losses: cp.sum(cp.inv_pos(1 - B)), ModelError, "hides a constraint"),
        (lambda B, losses: cp.sum(cp.inv_pos(B)), ModelError, "must be finite"),
    ],
)
def test_the_door(
    function: Callable[..., Any], error: type[AMTLError], words: str, rng: np.random.Generator
) -> None:
    with pytest.raises(error, match=words) as caught:
        UserTransfer(function, mu=1.0).bind(random_tasks(rng))
    assert "\n" not in str(caught.value) and "<lambda>" in str(caught.value)


def test_other_cones_have_no_gap_and_say_why(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    model = Model(transfer=UserTransfer(lambda B, losses: cp.sum(cp.logistic(B)), mu=1.0), coupling=0.5)
    found = certify(tasks, model, np.ones((tasks.d, tasks.T)), np.zeros((tasks.T, tasks.T)))
    assert found.gap_B is None and found.level == "C0" and "exponential cones" in found.reasons["gap_B"]


def test_what_a_function_cannot_have(rng: np.random.Generator) -> None:
    tasks = random_tasks(rng)
    with pytest.raises(ModelError, match=r"function\(B, losses\) or a class"):
        UserTransfer(3, mu=1.0)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="mu"):
        UserTransfer(row_max, mu=-1.0)
    penalty = UserTransfer(row_max, mu=0.3)
    assert repr(penalty) == "UserTransfer(row_max, mu=0.3)" and penalty.parameters() == {}
    with pytest.raises(ModelError, match="give mu a number"):
        penalty.mu_max(np.ones((3, 3)), np.ones(3))
    with pytest.raises(ModelError, match="engine 'cvxpy'"):
        fit(tasks, Model(transfer=penalty, coupling=0.5), options=Options(engine="fast"))


def test_a_registered_function_is_found_by_its_path() -> None:
    known = dict(terms.TRANSFERS)
    try:
        assert terms.register(row_max) is row_max
        label = terms.transfers.label_of(UserTransfer(row_max, mu=1.0))
        assert label == "test_user_transfer:row_max"
        assert make_transfer(label, mu=0.5) == UserTransfer(row_max, mu=0.5)
    finally:
        terms.TRANSFERS.clear()
        terms.TRANSFERS.update(known)


@pytest.mark.parametrize("function", [row_max, certified_max])
def test_one_task_has_no_edge_to_price(function: Callable[..., Any], rng: np.random.Generator) -> None:
    model = Model(transfer=UserTransfer(function, mu=0.5), coupling=1.0)
    found = fit(random_tasks(rng, d=2, counts=(9,)), model)
    assert found.B.tolist() == [[0.0]] and found.certificate.gap_B == 0.0


def test_threads_do_not_see_each_others_points() -> None:
    """What evaluates a function holds its point: each thread has one of its own."""
    penalty, wrong = UserTransfer(row_max, mu=1.0), list[float]()

    def evaluate(size: float) -> None:
        B = size * (1.0 - np.eye(3))
        wrong.extend(value for _ in range(400) if (value := penalty.value(B, np.ones(3))) != 3.0 * size)

    threads = [threading.Thread(target=evaluate, args=(size,)) for size in (1.0, 2.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
