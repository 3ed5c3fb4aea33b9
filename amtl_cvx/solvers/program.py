r"""A compiled quadratic program as data, and a Clarabel solver that is kept set up.

CVXPY compiles a DPP problem to sparse matrices that map the vector v of its parameters to

    min_x  (1/2) x'P(v) x + q(v)'x    subject to    b(v) - A(v) x  in  {0}^z x R_+^m x second-order cones

`Program` takes these matrices (`ParamConeProg`) and skips what CVXPY does around them at every solve. From
one solve to the next the solver only gets new numbers (`DefaultSolver.update`). It is set up again where the
places of the zeros of P change: a sparse B makes the W-step sparse, and the factorisation lives on that
(School: T d = 3892, .1 s with the 18% of the entries that are not 0, .8 s with all). Up to `_WHOLE` unknowns
all entries are taken, 0 or not, for there setting up costs more than factoring. A keeps its zeros.

The data are taken as they come, without equilibration, so that an updated solver holds just what a new one
would, and a result does not depend on earlier calls. Whoever writes the problem scales it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import clarabel  # type: ignore[import-untyped]
import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from amtl_cvx.solvers.watch import OWN_LIMIT, SolverFault, watched
from amtl_cvx.tasks import Array, Indices

_SETTINGS: Mapping[str, Any] = {
    "verbose": False,
    "max_threads": 1,
    "direct_solve_method": "faer",
    "presolve_enable": False,
    "chordal_decomposition_enable": False,
    "equilibrate_enable": False,
    "tol_gap_abs": 1e-12,
    "tol_gap_rel": 1e-12,
    "tol_feas": 1e-12,
    "iterative_refinement_reltol": 1e-16,
    "iterative_refinement_abstol": 1e-16,
}
_TOLERANCES = ("tol_gap_abs", "tol_gap_rel", "tol_feas")
_WHOLE = 400
_SOLVED = str(clarabel.SolverStatus.Solved)


class Answer(NamedTuple):
    """What the solver said, its seconds (set-up or update included), and whether it had to be given up."""

    optimal: bool
    status: str
    seconds: float
    hung: bool = False


class Entries(NamedTuple):
    """A sparse matrix by columns, its entries as a function of the parameters."""

    values: sp.csr_array
    rows: Indices
    starts: Indices

    def where(self, kept: NDArray[np.bool_]) -> Entries:
        """Some of the entries only; `values` stays as it is."""
        columns = np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))
        counts = np.bincount(columns[kept], minlength=len(self.starts) - 1)
        return Entries(self.values, self.rows[kept], np.r_[0, np.cumsum(counts)])

    def matrix(self, data: Array, shape: tuple[int, int]) -> sp.csc_array:
        return sp.csc_array((data, self.rows, self.starts), shape=shape)


class Program:
    """One compiled problem; `solve` leaves the answer in the problem's variables.

    Parameters
    ----------
    problem : cvxpy.Problem
        Its parameters and variables have no attributes (CVXPY would replace them by others).
    compiled : ParamConeProg
        What `problem.get_problem_data("CLARABEL")` holds under "param_prob": a QP.
    refinement : bool
        Iterative refinement of the solver's linear systems. The one system of an unconstrained problem needs
        it; the steps of an interior-point run to a polished answer do not, and take half the time without.
    tolerance : float, optional
        What is asked of the answer, in place of 1e-12.
    """

    def __init__(
        self, problem: cp.Problem, compiled: Any, *, refinement: bool, tolerance: float | None = None
    ) -> None:
        self.variables = [(v, compiled.var_id_to_col[v.id]) for v in problem.variables()]
        self.columns = {p: compiled.param_id_to_col[p.id] for p in problem.parameters()}
        self.vector = np.ones(compiled.total_param_size + 1)
        self.n, self.m = compiled.x.size, compiled.constr_size
        self.q = sp.csr_array(compiled.q)[: self.n]
        self.P = _upper(compiled.reduced_P)
        self.A, self.b = _split(compiled.reduced_A, self.m)
        self.cones = [clarabel.ZeroConeT(compiled.cone_dims.zero)] * (compiled.cone_dims.zero > 0)
        self.cones += [clarabel.NonnegativeConeT(compiled.cone_dims.nonneg)] * (compiled.cone_dims.nonneg > 0)
        self.cones += [clarabel.SecondOrderConeT(size) for size in compiled.cone_dims.soc]
        self.settings = clarabel.DefaultSettings()
        asked = {} if tolerance is None else dict.fromkeys(_TOLERANCES, tolerance)
        for name, value in {**_SETTINGS, **asked, "iterative_refinement_enable": refinement}.items():
            setattr(self.settings, name, value)
        self.kept: NDArray[np.bool_] | None = None
        self.solver: Any = None

    @staticmethod
    def fits(compiled: Any) -> bool:
        """Whether a compiled problem has the form above."""
        cones = compiled.cone_dims
        return compiled.P is not None and cones.zero + cones.nonneg + sum(cones.soc) == compiled.constr_size

    def solve(self, values: Mapping[cp.Parameter, Array], *, limit: float) -> Answer:
        """Solve for these values of the parameters, within so many seconds (see `watch`)."""
        for parameter, column in self.columns.items():
            value = values[parameter]
            self.vector[column : column + value.size] = value.ravel(order="F")
        P, q = self.P.values @ self.vector, self.q @ self.vector
        A, b = -(self.A.values @ self.vector), self.b @ self.vector
        started, pattern = time.perf_counter(), (P != 0.0) | (self.n <= _WHOLE)
        solver, kept = self.solver, self.kept if self.settings.time_limit == OWN_LIMIT * limit else None
        self.solver = self.kept = None  # a solver that failed is not used again
        known = kept is not None and np.array_equal(pattern, kept)
        if not known:
            solver = None  # its factor makes room for that of the new one
        self.settings.time_limit = OWN_LIMIT * limit

        def work() -> tuple[Any, Array, str]:
            if known:
                solver.update(P=P[pattern], q=q, b=b, **({"A": A} if A.size else {}))
                asked = solver
            else:
                asked = self._set_up(P, q, A, b, pattern)
            solution = asked.solve()
            return asked, np.array(solution.x, dtype=float), str(solution.status)

        try:
            asked, x, status = watched(work, limit=limit)
        except SolverFault as fault:
            return Answer(False, str(fault), time.perf_counter() - started, fault.hung)
        seconds = time.perf_counter() - started
        if x.shape != (self.n,) or not np.isfinite(x).all():
            return Answer(False, f"{status}, with values that are no answer", seconds)
        self.solver, self.kept = asked, pattern
        for variable, column in self.variables:
            part = x[column : column + variable.size]
            variable.save_value(part.reshape(variable.shape, order="F"))
        return Answer(status == _SOLVED, status, seconds)

    def _set_up(self, P: Array, q: Array, A: Array, b: Array, pattern: NDArray[np.bool_]) -> Any:
        """A solver for the entries of P that are not 0."""
        quadratic = self.P.where(pattern).matrix(P[pattern], (self.n, self.n))
        constraints = self.A.matrix(A, (self.m, self.n))
        return clarabel.DefaultSolver(quadratic, q, constraints, b, self.cones, self.settings)


def _upper(reduced: Any) -> Entries:
    """The upper triangle of a quadratic form that CVXPY holds in full."""
    rows, starts, _ = reduced.problem_data_index
    values = sp.csr_array(reduced.reduced_mat)
    upper = rows <= np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return Entries(values, rows, starts).where(upper)._replace(values=values[upper])


def _split(reduced: Any, m: int) -> tuple[Entries, sp.csr_array]:
    """A, and the map from the parameters to b: CVXPY holds both as one matrix, b in the last column."""
    rows, starts, _ = reduced.problem_data_index
    values, end = sp.csr_array(reduced.reduced_mat), starts[-2]
    count = len(rows) - end
    place = sp.csr_array((np.ones(count), (rows[end:], np.arange(count))), shape=(m, count))
    return Entries(values[:end], rows[:end], starts[:-1]), sp.csr_array(place @ values[end:])
