"""A penalty on W as a CVXPY expression: the door, the bound from its cone program, fit, certificate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cases import Array, at, random_tasks

from amtl_cvx import LossWeightedL1, Model, Options, Squared, UserOmega, UserTransfer, certify, fit
from amtl_cvx.certificate import weight_evidence
from amtl_cvx.errors import AMTLError, ConvexityError, ModelError, NotCertifiable
from amtl_cvx.problem import Point
from amtl_cvx.weights import L1, make_omega, omegas

COUNTS = (9, 14, 20)
RHO = 0.1


def sizes(W: Any) -> cp.Expression:
    return cp.sum(cp.abs(W))


def largest(W: Any) -> cp.Expression:
    return cp.sum(cp.max(cp.abs(W), axis=1))


def bent(W: Any) -> cp.Expression:
    return cp.sum(cp.huber(W, 0.5))


def shrunk(V: Array, step: float) -> Array:
    return np.sign(V) * np.maximum(np.abs(V) - step, 0.0)


def certified_sizes(W: Any) -> cp.Expression:
    return sizes(W)


certified_sizes.prox = shrunk  # type: ignore[attr-defined]
FUNCTIONS = (sizes, largest, bent)
each = pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)


def formula(function: Callable[..., Any], W: Array) -> float:
    """The same in NumPy, written apart."""
    size = np.abs(W)
    if function is sizes:
        return float(size.sum())
    if function is largest:
        return float(size.max(axis=1).sum())
    return float(np.where(size <= 0.5, W**2, size - 0.25).sum())


def model_of(function: Callable[..., Any], *, coupling: float = 0.2) -> Model:
    return Model(transfer=LossWeightedL1(mu=0.2), coupling=coupling, omega=UserOmega(function, rho=RHO))


def true_gain(point: Point) -> float:
    """What the W of another solver gains: no tolerance of it enters."""
    tasks, model = point.tasks, point.model
    W = cp.Variable((tasks.d, tasks.T))
    assert isinstance(model.omega, UserOmega)
    J = model.coupling * cp.sum_squares(W @ (np.eye(tasks.T) - point.B)) + RHO * model.omega.function(W)
    for t, task in enumerate(tasks):
        J += point.loss_weight[t] * cp.sum_squares(task.X @ W[:, t] - task.y) / len(task.y)
    cp.Problem(cp.Minimize(J)).solve(solver="SCS", eps=1e-7)
    return point.objective - point.at(W=np.asarray(W.value)).objective


@each
def test_the_gain_is_never_below_what_another_solver_finds(
    function: Callable[..., Any], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=COUNTS)
    W, B = rng.normal(size=(tasks.d, 3)), 0.2 * rng.random((3, 3)) * (1 - np.eye(3))
    point = at(tasks, model_of(function), W, B)
    assert point.terms.omega == pytest.approx(RHO * formula(function, W))
    found, gained = weight_evidence(point), true_gain(point)
    assert gained * (1 - 1e-6) <= found.judged <= 30.0 * gained
    assert "no solver" in found.reasons["gain_W"]


@pytest.mark.parametrize("function", [largest, bent], ids=lambda f: f.__name__)
def test_a_fit_reaches_C1_and_other_points_do_not(
    function: Callable[..., Any], rng: np.random.Generator
) -> None:
    tasks = random_tasks(rng, counts=COUNTS)
    solution = fit(tasks, model_of(function), options=Options(tol=1e-7))
    found = solution.certificate
    assert found.level == "C1" and not found.passes and found.edges > 1
    assert found.gain_W is not None and found.gain_W <= 1e-8 * found.objective
    assert found.relative_B <= 1e-7 and found.relative == np.inf and "no prox" in found.reasons["relative_W"]
    assert "not known for W" in found.verdict() and "inf" not in " ".join(found.sentences())
    for W in (1.01 * solution.W, solution.W + 1e-2, -solution.W):
        worse = certify(tasks, solution.model, W, solution.B, tol=1e-7)
        assert worse.level == "C0" and worse.objective > found.objective


def test_sizes_are_the_penalty_of_the_package(rng: np.random.Generator) -> None:
    """The same J, the same minimum; with its prox C2, refined."""
    tasks = random_tasks(rng, counts=COUNTS)
    own = fit(tasks, model_of(certified_sizes))
    theirs = fit(tasks, Model(transfer=LossWeightedL1(mu=0.2), coupling=0.2, omega=L1(rho=RHO)))
    assert own.certificate.level == "C2" and own.certificate.passes
    assert own.objective == pytest.approx(theirs.objective, rel=1e-12)
    bare = certify(tasks, model_of(sizes), theirs.W, theirs.B)
    assert bare.level == "C1" and bare.gain_W is not None
    assert theirs.certificate.gain_W is not None and theirs.certificate.gain_W <= bare.gain_W + 1e-15
    assert bare.gain_W <= 1e-9 * bare.objective


def test_predictors_alone(rng: np.random.Generator) -> None:
    """The method "stl": a bound of J from below, but no level above C1 without a prox."""
    tasks = random_tasks(rng, counts=COUNTS)
    for coupling in (0.0, 0.1):
        found = fit(tasks, model_of(largest, coupling=coupling), method="stl").certificate
        assert found.level == "C1" and found.global_lower is None or found.global_excess is not None


def test_both_terms_are_functions(rng: np.random.Generator) -> None:
    def row_max(B: Any, losses: Any) -> cp.Expression:
        return cp.sum(cp.multiply(losses, cp.max(B, axis=1)))

    tasks = random_tasks(rng, counts=COUNTS)
    model = Model(
        loss=Squared(), transfer=UserTransfer(row_max, mu=0.2), coupling=0.2, omega=UserOmega(bent, rho=RHO)
    )
    found = fit(tasks, model, options=Options(tol=1e-6)).certificate
    assert found.level == "C1" and "not known for W and B" in found.verdict()


STRANGER = cp.Variable()


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda W: cp.sum(cp.sqrt(cp.abs(W))), ConvexityError, "not convex"),
        (lambda W: cp.sum(cp.maximum(W, -1)), ConvexityError, ">= 0 for all W"),
        (lambda W: cp.sum_squares(W - 1), ModelError, "must be 0 at W = 0"),
        (lambda W: W, ModelError, "one number"),
        (lambda W: cp.sum(cp.abs(W)) + STRANGER**2, ModelError, "of its own"),
        (lambda W: cp.sum(cp.abs(W)) + cp.transforms.indicator([W <= 1]), ModelError, "hides a constraint"),
        (lambda W: cp.norm(W, "nuc"), NotCertifiable, "semidefinite cones"),
    ],
)
def test_the_door(
    function: Callable[..., Any], error: type[AMTLError], words: str, rng: np.random.Generator
) -> None:
    with pytest.raises(error, match=words) as caught:
        UserOmega(function, rho=1.0).bind(random_tasks(rng))
    assert "\n" not in str(caught.value)


def test_a_wrong_prox_and_what_is_no_function(rng: np.random.Generator) -> None:
    def half(W: Any) -> cp.Expression:
        return sizes(W)

    half.prox = lambda V, step: shrunk(V, 0.5 * step)  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="the prox of half is none"):
        UserOmega(half, rho=1.0).bind(random_tasks(rng))
    with pytest.raises(ModelError, match=r"function\(W\) or a class"):
        UserOmega(3, rho=1.0)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="rho"):
        UserOmega(sizes, rho=0.0)


def test_a_registered_function_is_found_by_its_path() -> None:
    known = dict(omegas.classes)
    try:
        omegas.register(sizes)
        label = omegas.label_of(UserOmega(sizes, rho=1.0))
        assert label == "test_user_omega:sizes"
        assert make_omega(f"{label}:0.5") == UserOmega(sizes, rho=0.5)
        with pytest.raises(ModelError, match="no parameter but rho"):
            make_omega(f"{label}:mu=0.5")
    finally:
        omegas.classes.clear()
        omegas.classes.update(known)
