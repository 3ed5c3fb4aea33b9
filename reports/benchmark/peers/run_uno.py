"""CVXPY's DNLP with UNO (filter SQP): W and B jointly as one nonlinear program, from a plain start.

The start is W = 0, B = 0 (`--seed -1`) or Gaussian W and B = 0 (`--seed` >= 0). CVXPY offers no callback, but
UNO asks its oracles for the gradient of the objective once at every point that it accepts: the oracles are
replaced by ones that record the point first.
"""

from __future__ import annotations

import argparse

import cvxpy as cp
import numpy as np
import protocol
import unopy  # noqa: F401  (loaded before the clock starts)
from cvxpy.reductions.solvers.nlp_solvers import nlp_solver

TOLERANCES = {"primal_tolerance": 1e-11, "dual_tolerance": 1e-11}
"""Beyond UNO's defaults of 1e-8, since it is judged down to 1e-9."""


def work(problem: protocol.Problem, recorder: protocol.Recorder, arguments: argparse.Namespace) -> str:
    """One solve, limited to the seconds left."""
    d, T = problem.d, problem.T
    W, B = cp.Variable((d, T)), cp.Variable((T, T), nonneg=True)
    W.value, B.value = np.zeros((d, T)), np.zeros((T, T))
    if arguments.seed >= 0:
        W.value = np.random.default_rng(arguments.seed).normal(size=(d, T))
    objective = sum(
        (1 + problem.mu * cp.sum(B[t, :]))
        * (problem.scale(t) * cp.sum_squares(problem.X[t] @ W[:, t] - problem.y[t]))
        for t in range(T)
    )
    objective += problem.coupling * cp.sum_squares(W - W @ B)
    stated = cp.Problem(cp.Minimize(objective), [cp.diag(B) == 0])
    number = 0

    class Recording(nlp_solver.Oracles):
        """Oracles that record where they are asked for a gradient."""

        def __init__(self, smooth: cp.Problem, **options: object) -> None:
            sizes = [variable.size for variable in smooth.variables()]
            starts = dict(zip((v.id for v in smooth.variables()), np.cumsum([0, *sizes[:-1]]), strict=True))
            self.places = [slice(starts[v.id], starts[v.id] + v.size) for v in (W, B)]
            super().__init__(smooth, **options)
            recorder.describe(set_up_seconds=recorder.seconds, exact_rounds=0)

        def gradient(self, x: np.ndarray) -> np.ndarray:
            nonlocal number
            number += 1
            found = [
                x[place].reshape(v.shape, order="F") for place, v in zip(self.places, (W, B), strict=True)
            ]
            recorder.point(number, *found)
            return super().gradient(x)

    nlp_solver.Oracles = Recording
    left = max(arguments.limit - recorder.seconds, 1.0)
    try:
        stated.solve(nlp=True, solver="UNO", time_limit=left, **TOLERANCES)
    except cp.SolverError as error:  # CVXPY calls a time limit that, too
        late = recorder.seconds >= arguments.limit
        return "time limit" if late else f"failed: {str(error).splitlines()[0]}"
    return str(stated.status)


if __name__ == "__main__":
    protocol.main(work, packages=("cvxpy", "unopy", "numpy"), options={"seed": -1})
