"""CVXPY's cone program of an expression, compiled once for all values of its parameter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from amtl_cvx.arrays import Array, Indices
from amtl_cvx.cones.program import Cone
from amtl_cvx.errors import NotCertifiable


@dataclass(frozen=True, eq=False)
class ConeForm:
    """The compiled program of f(v; losses), for all losses >= 0.

    Attributes
    ----------
    compiled : ParamConeProg
        What CVXPY makes of ``min f(v; losses) - marks'v``; the marks tell the places of v, then they are 0.
    losses : cvxpy.Parameter or None
    columns : (n,)
    """

    compiled: Any
    losses: cp.Parameter | None
    columns: Indices

    @classmethod
    def of(cls, expression: cp.Expression, v: cp.Variable, losses: cp.Parameter | None = None) -> ConeForm:
        """The program of an expression in v (n,); `NotCertifiable` for cones that are not checked here."""
        marks = cp.Parameter(v.size, value=np.zeros(v.size))
        if losses is not None:
            losses.value = np.ones(losses.size)
        problem = cp.Problem(cp.Minimize(expression - marks @ v))
        data, _, _ = problem.get_problem_data("CLARABEL", enforce_dpp=True)
        compiled = data[cp.settings.PARAM_PROB]
        _check_cones(compiled.cone_dims)
        form = cls(compiled, losses, np.arange(v.size))
        before = form._program().q
        marks.value = -np.arange(1.0, v.size + 1.0)
        moved = np.rint(form._program().q - before).astype(np.int64)
        marks.value = np.zeros(v.size)
        columns = np.flatnonzero(moved)
        if sorted(moved[columns]) != list(range(1, v.size + 1)):
            raise NotCertifiable("CVXPY's program of it does not hold its variable by itself")
        return cls(compiled, losses, columns[np.argsort(moved[columns])])

    def at(self, losses: Array | None = None) -> Cone:
        """The program at these losses (T,)."""
        if self.losses is not None:
            self.losses.value = losses
        return self._program()

    def _program(self) -> Cone:
        """CVXPY's data, with the constant that those for the solver lack."""
        quadratic, dims = self.compiled.P is not None, self.compiled.cone_dims
        found = self.compiled.apply_parameters(quad_obj=quadratic)
        q, d, A, b = found[1:] if quadratic else found
        P = found[0] if quadratic else (len(q), len(q))
        return Cone(
            P=sp.csc_array(P),
            q=np.asarray(q, dtype=np.float64),
            A=sp.csc_array(-A),
            b=np.asarray(b, dtype=np.float64),
            d=float(d),
            columns=self.columns,
            zero=dims.zero,
            nonneg=dims.nonneg,
            soc=tuple(dims.soc),
        )


def _check_cones(dims: Any) -> None:
    """Raise `NotCertifiable` for cones whose dual is not checked here."""
    cones = {"exponential": dims.exp, "power": dims.p3d or dims.pnd, "semidefinite": dims.psd}
    odd = [name for name, there in cones.items() if there]
    if odd:
        raise NotCertifiable(
            f"CVXPY writes it with {' and '.join(odd)} cones: only linear, quadratic and second-order ones"
            " are checked without trust in a solver"
        )
