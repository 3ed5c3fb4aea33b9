"""Penalties on W with kinks: their contract against Clarabel and closed forms, and as a term of a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from cases import missing, random_tasks
from omega_cases import EVERY, literal

from amtl_cvx import LossWeightedL1, Model, Problem, TaskSet
from amtl_cvx.errors import DataError, ModelError
from amtl_cvx.runfolder import model_from_dict
from amtl_cvx.weights import (
    OMEGAS,
    Fused,
    WeightPenalty,
    make_omega,
)

every_omega = pytest.mark.parametrize("omega", EVERY, ids=lambda omega: omega.label)
EXACT = {"solver": "CLARABEL", "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10}


def test_every_penalty_has_a_case() -> None:
    assert not missing(OMEGAS, EVERY)


@every_omega
def test_value_and_expression_are_the_formula_and_dpp(omega: WeightPenalty, rng: np.random.Generator) -> None:
    W = rng.normal(size=(4, 3))
    expected = literal(omega, W)
    assert omega.value(W) == pytest.approx(expected, rel=1e-12)
    assert omega.expression(W).value == pytest.approx(expected, rel=1e-12)
    assert omega.value(np.zeros((4, 3))) == 0.0
    unit = cp.Parameter((4, 3))  # a W-step scales its variable
    found = omega.expression(cp.multiply(unit, cp.Variable((4, 3))))
    assert found.is_dpp() and found.is_convex() and found.is_scalar()


@every_omega
def test_the_prox_is_that_of_a_conic_solver(omega: WeightPenalty, rng: np.random.Generator) -> None:
    """And its subgradient one at the prox: Fenchel and Young with equality."""
    for V, step in ((rng.normal(size=(4, 3)), 0.7), (3.0 * rng.normal(size=(2, 3)), 0.2)):
        U = cp.Variable(V.shape)
        cp.Problem(cp.Minimize(omega.expression(U) + cp.sum_squares(U - V) / (2.0 * step))).solve(**EXACT)
        W, Z = omega.prox(V, step), omega.subgradient(V, step)
        assert np.abs(W - U.value).max() <= 1e-6 and np.abs(V - W - step * Z).max() <= 1e-14
        assert abs(omega.value(W) + omega.conjugate(Z) - float((Z * W).sum())) <= 1e-13


@every_omega
def test_the_prox_does_not_expand(omega: WeightPenalty, rng: np.random.Generator) -> None:
    """Firmly: ||P - Q||^2 <= <P - Q, V - U>."""
    for V, U in rng.normal(size=(20, 2, 4, 3)):
        apart = omega.prox(V, 0.8) - omega.prox(U, 0.8)
        assert (apart**2).sum() <= (apart * (V - U)).sum() + 1e-14


@every_omega
def test_the_conjugate_is_the_supremum(omega: WeightPenalty, rng: np.random.Generator) -> None:
    """Inside its domain a solver's value, outside it more than any; what is clipped is inside."""
    S = rng.normal(size=(4, 3))
    W = cp.Variable((4, 3))
    for Z in (S, 0.05 * S, omega.clip(S), 0.9 * omega.clip(S)):
        rule = cp.sum(cp.multiply(Z, W)) - omega.expression(W)
        supremum = cp.Problem(cp.Maximize(rule), [cp.norm(W, "fro") <= 1e3]).solve(**EXACT)
        found = omega.conjugate(Z)
        if np.isfinite(found):
            assert found == pytest.approx(supremum, rel=1e-6, abs=1e-6)
        else:
            assert supremum > 1.0
    assert np.isfinite(omega.conjugate(omega.clip(S)))
    assert np.allclose(WeightPenalty.clip(omega, omega.clip(S)), omega.clip(S), rtol=0.0, atol=1e-12)


def test_a_row_of_tasks_goes_by_name(tmp_path: Path, rng: np.random.Generator) -> None:
    tasks = random_tasks(rng, counts=(5, 6, 7))
    named = replace(tasks, tasks=tuple(replace(t, name=n) for t, n in zip(tasks, "abc", strict=True)))
    (tmp_path / "order.txt").write_text("c\na\n\nb\n")
    W = rng.normal(size=(6, 3))
    expected = Fused(rho=0.5, order=(2, 0, 1)).value(W)
    given = make_omega(f"fused:rho=0.5,file={tmp_path / 'order.txt'}")
    assert given.bind(named).value(W) == expected
    model = Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0, omega=given)
    problem = Problem(named, model)
    problem.save(tmp_path / "problem")
    assert Problem.load(tmp_path / "problem").at(W, np.zeros((3, 3))).terms.omega == expected
    turned = TaskSet(tasks=named.tasks[::-1])
    assert problem.model.omega is not None and problem.model.omega.bind(turned).value(W[:, ::-1]) == expected
    with pytest.raises(ModelError, match="there is no task 'x'"):
        Fused(rho=1.0, order=("a", "x", "b")).bind(named)
    with pytest.raises(ModelError, match="2 of 3 tasks are there"):
        Problem(named, replace(model, omega=Fused(rho=1.0, order=("a", "b"))))
    with pytest.raises(ModelError, match="'a' is there twice"):
        Fused(rho=1.0, order=("a", "a"))
    with pytest.raises(ModelError, match="must be names or numbers"):
        Fused(rho=1.0, order=(0.5, 1))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="cannot read the order"):
        make_omega(f"fused:rho=0.5,file={tmp_path / 'none.txt'}")


@every_omega
def test_a_model_keeps_it(omega: WeightPenalty, rng: np.random.Generator) -> None:
    tasks, W = random_tasks(rng, counts=(5, 6, 7)), rng.normal(size=(6, 3))
    model = Model(transfer=LossWeightedL1(mu=0.1), coupling=1.0, omega=omega)
    assert Problem(tasks, model).at(W, np.zeros((3, 3))).terms.omega == pytest.approx(literal(omega, W))
    assert model_from_dict(json.loads(json.dumps(model.to_dict()))) == model
    if omega.parameters() == {"rho": omega.rho}:
        assert make_omega(f"{omega.name}:{omega.rho}") == omega == make_omega(omega.label)
