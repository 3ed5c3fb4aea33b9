"""dbcp: the biconvex problem as its users state it, proximal alternation with weight `--lbd`.

Its `solve` has no callback, but prints a line after every round: the `print` of its module is replaced by one
that records the variables instead. Its own convergence test (the costs of the two steps agree) is replaced by
one that never says yes, and the round in which it would have ended the run is noted.
"""

from __future__ import annotations

import argparse
import warnings

import clarabel  # noqa: F401  (loaded before the clock starts)
import cvxpy as cp
import dbcp
import dbcp.problem
import numpy as np
import protocol
from dbcp.error import SolveError

TOLERANCE = 1e-6
"""dbcp's default, absolute and relative, for the difference of the two costs."""


def work(problem: protocol.Problem, recorder: protocol.Recorder, arguments: argparse.Namespace) -> str:
    """Rounds of dbcp from W = 0, B = 0 until the seconds are used up."""
    d, T = problem.d, problem.T
    W, B = cp.Variable((d, T)), cp.Variable((T, T), nonneg=True)
    W.value, B.value = np.zeros((d, T)), np.zeros((T, T))
    objective = sum(
        (1 + problem.mu * cp.sum(B[t, :]))
        * (problem.scale(t) * cp.sum_squares(problem.X[t] @ W[:, t] - problem.y[t]))
        for t in range(T)
    )
    objective += problem.coupling * cp.sum_squares(W - W @ B)
    stated = dbcp.BiconvexProblem(cp.Minimize(objective), [W], [B], [cp.diag(B) == 0])
    exact = -1 if arguments.lbd <= 0 else 0
    recorder.describe(set_up_seconds=recorder.seconds, exact_rounds=exact)
    declared = False

    def after_a_round(line: str) -> None:
        nonlocal declared
        words = line.split()
        if len(words) != 4 or not words[0].isdigit():
            return
        number, costs = int(words[0]) + 1, [float(word) for word in words[1:3]]
        agree = abs(costs[0] - costs[1]) <= TOLERANCE * (1.0 + max(map(abs, costs)))
        if agree and not declared:
            declared = True
            recorder.describe(declared_converged=number)
        recorder.point(number, W.value, B.value)

    dbcp.problem.print = after_a_round
    dbcp.problem._objective_gap_within_tolerance = lambda *costs: False
    warnings.simplefilter("ignore")  # its B-step is not DPP, and CVXPY says so
    try:
        stated.solve(solver=cp.CLARABEL, lbd=arguments.lbd, max_iter=10**9)
    except SolveError as error:
        return f"failed: {error}"
    return str(stated.status)


if __name__ == "__main__":
    protocol.main(work, packages=("dbcp", "cvxpy", "clarabel", "numpy"), options={"lbd": 0.1})
