"""When the alternation hands over to refinement: that depends on what a round costs next to a Newton step.

Where the fast engine solves a large W-step by conjugate gradients, at a residual of 1e-4: a Newton step costs
as much as twenty to eighty rounds (T = 60 and 120, d = 20); or at 0.002 where each round takes Newton steps
of its own (no quadratic loss). Else at 0.05, or 0.1 for up to `DENSE_SIZE` unknowns in W, and after a hundred
rounds in any case; after twenty where the rounds go on in NumPy. Waiting longer keeps hardly more runs in the
basin of the plain alternation (reports/benchmark/handover.md).
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.options import Options
from amtl_cvx.run import Run
from amtl_cvx.subproblems.numpy_steps import DENSE_SIZE

_CHEAP, _STEPS, _LARGE, _SMALL = 1e-4, 2e-3, 0.05, 0.1
_PATIENCE = 100  # rounds after which refinement takes over anyway, where a round costs as a Newton step does
_FEW = 20  # of the compiled problems, where the same rounds go on in NumPy


def hands_over(run: Run, options: Options) -> bool:
    """Whether refinement takes over now."""
    if options.handover is not None:
        return run.history[-1].relative <= options.handover
    last_W = next(record for record in reversed(run.history) if record.step == "W")
    if run.point.W.size > DENSE_SIZE and last_W.solver == "conjugate-gradients":
        return _imbalance(run) <= (_CHEAP if run.point.model.loss.quadratic else _STEPS)
    patience = _FEW if goes_on(run, options) else _PATIENCE
    return _imbalance(run) <= (_LARGE if run.point.W.size > DENSE_SIZE else _SMALL) or run.round >= patience


def goes_on(run: Run, options: Options) -> bool:
    """Whether the rounds go on in NumPy where those of the compiled problems end."""
    return options.engine == "cvxpy" and run.point.model.loss.smooth and run.point.W.size > DENSE_SIZE


def _imbalance(run: Run) -> float:
    """How far the alternation is: the largest entry of every column of G_W over the largest of its terms.

    After a B-step nothing else is left. Entries in small units follow late; on the basin they have no say,
    and the certificate waits for them.
    """
    if not run.point.model.loss.smooth:
        return run.history[-1].relative
    tasks, squares = run.tasks, run.point.square_gradient_W
    squares = squares if run.point.model.prox_omega is None else squares + run.point.subgradient_W
    slopes = (run.point.loss_gradient, run.problem.slopes_at_zero)
    pulls = [run.point.loss_weight * slope for slope in slopes]
    terms = [np.abs(tasks.lift(term)).max(axis=0) for term in (squares, *pulls)]
    miss, size = np.abs(tasks.lift(pulls[0] + squares)).max(axis=0), np.max(terms, axis=0)
    return float((miss / np.where(size > 0.0, size, 1.0)).max())
