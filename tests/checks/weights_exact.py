"""Penalties on W in exact arithmetic: proven digits, exact steps, the global minimum and its checker."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import proven
from cases import random_tasks, random_transfer, tasks_for
from scipy.optimize import minimize_scalar

from amtl_cvx.digits import exact_weights, prove
from amtl_cvx.enclosure import Enclosure, checker, enclose
from amtl_cvx.enclosure.box import box_of
from amtl_cvx.enclosure.exact import ExactProblem, exact_matrix, squares_of
from amtl_cvx.enclosure.polynomial import scale_problem
from amtl_cvx.enclosure.scip import claim
from amtl_cvx.enclosure.stored import difference, problem_in
from amtl_cvx.losses import Logistic, Squared
from amtl_cvx.problem import Model, Problem
from amtl_cvx.tasks import TaskSet
from checks.points import amtl, close
from checks.weights import OMEGAS, gram, slope, solved_with_omega, value


def digits_with_omega_are_those_of_J() -> None:
    """Decimals of the proof put into J in mpmath with Omega added; the exact W-step over the rationals."""
    for tasks, model, W, B in solved_with_omega():
        omega, found = model.omega, prove(tasks, model, W, B)
        assert omega is not None and found.strict_local_min
        with mpmath.workdps(60):
            V, C = ([[mpmath.mpf(x) for x in row] for row in block] for block in (found.W, found.B))
            Gamma = [[mpmath.mpf(g.numerator) / g.denominator for g in row] for row in gram(omega, 2)]
            rho = mpmath.mpf(omega.rho)
            pulls = [[rho * sum(row[s] * Gamma[s][t] for s in range(2)) for t in range(2)] for row in V]
            G_W, _ = proven.exact_gradient(tasks, model, V, C, mpmath.mpf(10) ** -18)
            rest = [[g + 2 * p for g, p in zip(*rows, strict=True)] for rows in zip(G_W, pulls, strict=True)]
            assert max(abs(g) for row in rest for g in row) < mpmath.mpf(10) ** -30
            added = sum(w * p for rows in zip(V, pulls, strict=True) for w, p in zip(*rows, strict=True))
            total = proven.exact_objective(tasks, model, V, C) + added
            assert abs(total / mpmath.mpf(found.objective) - 1) < mpmath.mpf(10) ** -37
        exact = exact_weights(tasks, model, B)
        assert exact.gap == 0 and exact.gradient == 0
        assert np.abs(np.array(exact.W, dtype=float) - W).max() <= 1e-12


@functools.cache
def enclosed() -> tuple[tuple[TaskSet, Model, Enclosure], ...]:
    """Proofs of two tasks of one feature, on the default penalties."""
    found = []
    for omega in OMEGAS:
        tasks = random_tasks(np.random.default_rng(5), d=1, counts=(6, 9))
        model = replace(amtl(Squared(), mu=0.05, coupling=0.6, c="equal"), omega=omega)
        zero = np.zeros((1, 2)), np.zeros((2, 2))
        found.append((tasks, model, enclose(tasks, model, *zero, starts=3)))
    return tuple(found)


def global_bounds_with_omega_hold() -> None:
    """On a grid of B with the best W of each; the checker takes the proof and no changed one."""
    for tasks, model, found in enclosed():
        assert model.omega is not None and found.width <= 1e-9
        least = np.inf
        for given in np.ndindex(25, 25):
            B = np.array([[0.0, given[0] / 8.0], [given[1] / 8.0, 0.0]])
            at = functools.partial(slope, tasks, model, B)  # affine in W
            g = at(np.zeros((1, 2)))
            H = np.array([(at(e[None]) - g)[0] for e in np.eye(2)])
            least = min(least, value(tasks, model, B, np.linalg.solve(H, -g[0])[None]))
        assert float(found.lower) <= least * (1 + 1e-12) and least <= 1.01 * float(found.upper)
        proof = json.loads(json.dumps(found.proof))
        assert checked(proof) == (found.lower, found.upper)
        for forged in ([["1/7", "1", "0"], ["1/7", "0", "1"]], []):
            rejected(lambda proof=proof, forged=forged: checker.check(proof | {"omega": forged}))
        for forged in ([["-1/7", "1", "0"]], [["1", "1"]]):
            rejected(lambda proof=proof, forged=forged: checker.Problem(proof | {"omega": forged}))
        other = replace(model, omega=replace(model.omega, rho=model.omega.rho * 2))  # type: ignore[type-var]
        assert difference(proof, tasks, model) == ""
        rejected(lambda proof=proof: problem_in(proof | {"problem": proof["problem"] | {"mu": 0.1}}))
        for changed in (other, replace(model, omega=None)):
            assert "penalty on W" in difference(proof, tasks, changed)


def definite_is_told_from_indefinite() -> None:
    """And a semidefinite matrix is the sum of its squares."""
    half, zero, one = Fraction(1, 2), Fraction(0), Fraction(1)
    for matrix, answer in (
        (((one, -half), (-half, one)), True),
        (((half, -half), (-half, half)), True),
        (((zero, zero), (zero, one)), True),
        (((zero, half), (half, one)), False),
        (((half, one), (one, half)), False),
        (((-half, zero), (zero, one)), False),
        (((one, half), (zero, one)), False),
        (((one, zero, one), (zero, zero, half), (one, half, one)), False),
        (((one, one, zero), (one, one, half), (zero, half, one)), False),
    ):
        found = squares_of(matrix)
        assert (found is not None) == answer
        if found is not None:
            n, terms = range(len(matrix)), [(a, g) for a, *g in found]
            again = tuple(tuple(sum((a * g[s] * g[t] for a, g in terms), zero) for t in n) for s in n)
            assert again == matrix and all(a > 0 for a, _ in terms)


def exact_J_has_omega() -> None:
    """J and its gradient in rationals, and the polynomial of J on a box, at points from anywhere."""
    rng = np.random.default_rng(8)
    for tasks, model, found in enclosed():
        problem, W, B = ExactProblem.read(tasks, model), rng.normal(size=(1, 2)), random_transfer(rng, 2, 0.9)
        place = exact_matrix(W), exact_matrix(B)
        assert close(float(problem.objective(*place)), value(tasks, model, B, W), 1e-12)
        G_W = np.array(problem.gradients(*place)[0], dtype=float)
        assert close(G_W, slope(tasks, model, B, W), 1e-11)
        box = scale_problem(problem, box_of(problem, found.upper * 2), found.W, found.B)
        x = rng.uniform(-1.0, 1.0, size=4)
        z = np.array(box.centre, dtype=float) + np.array(box.radius, dtype=float) * x
        total = sum(float(a) * float(np.prod(x[list(variables)])) for variables, a in box.objective.items())
        edges = np.array([[0.0, z[2]], [z[3], 0.0]])
        assert close(total, value(tasks, model, edges, z[None, :2]), 1e-11)


def claims_have_omega() -> None:
    """SCIP's bounds of one logistic task with ridge, against its minimum in one variable."""
    tasks = tasks_for(Logistic(), np.random.default_rng(2), d=1, counts=(14,))
    model = replace(amtl(Logistic(), c="equal"), omega=OMEGAS[0])
    alone = np.zeros((1, 1))
    least = float(minimize_scalar(lambda w: value(tasks, model, alone, np.array([[w]]))).fun)
    found = claim(Problem(tasks, model).at(np.zeros((1, 1)), alone), seconds=20.0)
    assert least * (1 - 1e-4) <= found.lower <= least * (1 + 1e-9) and close(found.upper, least, 1e-5)


def checked(proof: dict[str, object]) -> tuple[Fraction, Fraction]:
    try:
        return checker.check(proof)
    except ValueError as error:
        raise AssertionError("a sound proof is refused") from error


def rejected(act: Callable[[], object]) -> None:
    try:
        act()
    except (ValueError, KeyError):
        return
    raise AssertionError("a forged proof is accepted")
