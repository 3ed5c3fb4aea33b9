r"""The unreduced relaxation in multiple precision: a second way to a narrow enclosure, by SDPA-GMP.

    maximise gamma   subject to   J - gamma = sum_k (m_k'G_k m_k) weight_k,  G_k >= 0

in the standard form of an SDP solver: the coefficient of every monomial but the constant is an equality in
the entries of the G_k, and gamma is what is left of the constant. It has no interior point (see
`relaxation`), which 160 bits make up for. CVXPY's interface would add free variables, which SDPA splits; so
SDPA is called directly. The result comes back in doubles, about 1e-13 of J. Package sdpa-multiprecision
(GPL-2), extra `[global]`.
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp

from amtl_cvx.enclosure.polynomial import Polynomial
from amtl_cvx.enclosure.relaxation import LIMIT, Relaxation
from amtl_cvx.errors import NotCertifiable, SolverUnavailableError
from amtl_cvx.limits import seconds_left
from amtl_cvx.solvers import SolverFault, watched
from amtl_cvx.tasks import Array

SETTINGS = {
    "print": "no",
    "numThreads": 1,
    "mpfPrecision": 160,
    "epsilonStar": 1e-20,
    "epsilonDash": 1e-20,
    "maxIteration": 200,
    "lambdaStar": 1e3,
}


def bound_precisely(relaxation: Relaxation, polynomial: Polynomial) -> Array:
    """The Gram matrices of max gamma, stacked.

    Raises
    ------
    NotCertifiable
        Where SDPA has no answer.
    SolverUnavailableError
        Where the extra is not installed.
    """
    try:
        import sdpap
    except ImportError as missing:
        raise SolverUnavailableError(
            "solver 'SDPA' needs the package sdpa-multiprecision: pip install 'amtl-cvx[global]', or choose"
            " 'CLARABEL'"
        ) from missing
    constant = relaxation.rows[()]
    others = [row for row in relaxation.rows.values() if row != constant]
    target = relaxation.target(polynomial)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # its own estimate of errors, which is not used
        problem = (
            relaxation.A[others].tocsc(),
            sp.csc_matrix(target[others][:, None]),
            sp.csc_matrix(relaxation.A[constant].T),
            sdpap.SymCone(s=relaxation.sizes),
            sdpap.SymCone(f=len(others)),
        )
        try:
            stacked = watched(
                lambda: np.asarray(sdpap.solve(*problem, dict(SETTINGS))[0].todense()).ravel(),
                limit=min(LIMIT, seconds_left()),
            )
        except SolverFault as fault:
            raise NotCertifiable(f"SDPA found no bound ({fault}): choose solver 'CLARABEL'") from fault
    if stacked.shape != (relaxation.A.shape[1],) or not np.isfinite(stacked).all():
        raise NotCertifiable("SDPA found no bound for the relaxation: choose solver 'CLARABEL'")
    return stacked
