"""A quadratic penalty on W over the rationals."""

from __future__ import annotations

from flint import fmpq_mat

from amtl_cvx.digits.pieces import exact
from amtl_cvx.problem import Model
from amtl_cvx.weights import as_quadratic


def exact_gram(model: Model, T: int) -> fmpq_mat:
    """rho Gamma (T, T), so that Omega = tr(W rho Gamma W'); 0 without a penalty on W."""
    if model.omega is None:
        return fmpq_mat(T, T)
    return fmpq_mat([[exact(entry) for entry in row] for row in as_quadratic(model.omega).exact(T)])
