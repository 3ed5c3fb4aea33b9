"""Solvers: which are here, with which options, in which order, and how one problem is solved with them.

A quadratic program goes to Clarabel as data, past CVXPY (`program`); everything else, and what that does not
solve, goes through CVXPY along a fallback chain (`solving`). The choice is measured (one core, CVXPY 1.9.3,
Clarabel 0.11.1; accuracy is the gradient or KKT residual relative to its terms):

    W-step (a QP without inequalities): Clarabel solves it in its initial KKT step, to 1e-15 and with any
        tolerance, as fast as LAPACK's Cholesky factor where nothing is sparse. T = 15, d = 20: 1.2 ms once it
        is set up with its multifrontal factorisation ("faer"), 2.4 ms with qdldl, 4 ms OSQP, 6 ms SCS; 9 ms
        with the residuals as variables of their own, as `sum_squares` makes them.
    W-step with exponential cones: Clarabel, then SCS (OSQP has no such cone).
    B-step (a QP with bounds): Clarabel (T = 15: 1.2 ms on the Gram matrix, 2.6 ms with the residuals as
        variables; School, column by column: 3 ms a column, where OSQP runs into its limit of iterations).
        The support of any solver's answer is solved once more in NumPy (`subproblems.polished`), which makes
        B exact.
    B-step with second-order cones (penalties with norms): Clarabel, then SCS.

    L-, S- and A-step of shared features (QPs on dense Gram matrices, the last two with prices): Clarabel as
        data (120, 72 and 12 unknowns: 1, 3 and .5 ms), then as above.
    Steps of a network in an activation cell (QPs with a few of the signs of all units as rows): the same.

    Around the solver a step of T = 15 costs 4 to 7 ms through CVXPY's `solve`, .2 ms as data.

GPU: asked before the chain where `gpu` says so; the chain takes over where it fails.

Fallback chain: the chosen solver first, then the others of the step in the order of `CHAINS`. A status other
than "optimal" sends the problem to the next solver, and so does whatever else is no answer: an exception, no
values, too many or too few, values that are not finite, a solve that runs past its time limit (`watch`). If
no solver reaches "optimal", the first "optimal_inaccurate" answer, else the first "user_limit", is used under
that status, which the history shows and a warning is logged for; the coordinator then judges it by its
duality gap like every other answer. No answer at all is a `SolveError`. Solvers are started cold each time,
so that a result does not depend on earlier calls. A `Backend` names the chosen solver and the solves that go
to the GPU before all that (`gpu`).
"""

from amtl_cvx.solvers.backend import AUTO, SOLVE_LIMIT, Backend, Solved
from amtl_cvx.solvers.compiled import Compiled, check_dpp
from amtl_cvx.solvers.extras import ExtraInfo, extras
from amtl_cvx.solvers.gpu import Gpu, GpuChoice, GpuRoute, cuda, gpu_for, gpu_routes
from amtl_cvx.solvers.inventory import CHAINS, SolverInfo, Step, available, chain, check_solver, installed
from amtl_cvx.solvers.solving import solve
from amtl_cvx.solvers.watch import SolverFault, watched

__all__ = [
    "AUTO",
    "CHAINS",
    "SOLVE_LIMIT",
    "Backend",
    "Compiled",
    "ExtraInfo",
    "Gpu",
    "GpuChoice",
    "GpuRoute",
    "Solved",
    "SolverFault",
    "SolverInfo",
    "Step",
    "available",
    "chain",
    "check_dpp",
    "check_solver",
    "cuda",
    "extras",
    "gpu_for",
    "gpu_routes",
    "installed",
    "solve",
    "watched",
]
