"""A quadratic penalty on W over the rationals."""

from __future__ import annotations

import numpy as np
from flint import fmpq_mat

from amtl_cvx.digits.pieces import exact
from amtl_cvx.errors import NotCertifiable
from amtl_cvx.problem import Model


def exact_gram(model: Model, T: int) -> fmpq_mat:
    """rho Gamma (T, T), so that Omega = tr(W rho Gamma W'); 0 without a penalty on W."""
    if model.omega is None:
        return fmpq_mat(T, T)
    rows, gram = model.omega.exact_gram(T), model.omega.gram(T)
    if not np.abs(np.array(rows, dtype=float) - gram).max() <= 1e-12 * np.abs(gram).max():
        raise NotCertifiable(f"the penalty {model.omega.name}: its exact Gamma is not that of its root")
    return exact(float(model.omega.rho)) * fmpq_mat([[exact(entry) for entry in row] for row in rows])
