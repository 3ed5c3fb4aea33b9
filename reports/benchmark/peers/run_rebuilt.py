"""The alternation as one would first write it in CVXPY: both problems are built anew in every round.

Clarabel solves them; where it gives up, OSQP and then SCS are asked, and the status says how often.
"""

from __future__ import annotations

import argparse
import contextlib

import clarabel  # noqa: F401  (loaded before the clock starts)
import cvxpy as cp
import numpy as np
import protocol

SOLVERS = (cp.CLARABEL, cp.OSQP, cp.SCS)


def work(problem: protocol.Problem, recorder: protocol.Recorder, arguments: argparse.Namespace) -> str:
    """Rounds of W-step and B-step from B = 0 until the seconds are used up."""
    d, T = problem.d, problem.T
    B = np.zeros((T, T))
    recorder.describe(set_up_seconds=recorder.seconds, exact_rounds=-1)
    number = given_up = 0
    while True:
        number += 1
        price = 1.0 + problem.mu * B.sum(axis=1)
        V = cp.Variable((d, T))
        losses = [problem.scale(t) * cp.sum_squares(problem.X[t] @ V[:, t] - problem.y[t]) for t in range(T)]
        objective = sum(price[t] * losses[t] for t in range(T))
        clean = _solve(objective + problem.coupling * cp.sum_squares(V - V @ B), [])
        W = V.value
        values = np.array([loss.value for loss in losses])
        C = cp.Variable((T, T))
        objective = problem.mu * values @ cp.sum(C, axis=1)
        objective += problem.coupling * cp.sum_squares(W - W @ C)
        clean = _solve(objective, [C >= 0, cp.diag(C) == 0]) and clean
        B = np.maximum(C.value, 0.0)
        np.fill_diagonal(B, 0.0)
        given_up += not clean
        if not clean:
            recorder.describe(remark=f"Clarabel gave up in {given_up} rounds")
        recorder.point(number, W, B)


def _solve(objective: cp.Expression, constraints: list[cp.Constraint]) -> bool:
    """Solve; whether Clarabel did."""
    problem = cp.Problem(cp.Minimize(objective), constraints)
    for solver in SOLVERS:
        with contextlib.suppress(cp.SolverError):
            problem.solve(solver=solver)
            return solver == SOLVERS[0]
    raise cp.SolverError(f"none of {SOLVERS} solves it")


if __name__ == "__main__":
    protocol.main(work, packages=("cvxpy", "clarabel", "osqp", "scs", "numpy"))
