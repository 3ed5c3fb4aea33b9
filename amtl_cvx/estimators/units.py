"""What is learned for prepared rows, in the units of the rows as they are given."""

from __future__ import annotations

from amtl_cvx.arrays import Array
from amtl_cvx.preparation import Preparation


def in_units_of_X(W: Array, preparation: Preparation) -> tuple[Array, Array]:
    """Coefficients (P, d) and intercepts (P,) for raw rows, from the predictors for prepared ones."""
    coefficients = W[: preparation.d] / preparation.scale[:, None]
    ones = W[preparation.d :].sum(axis=0)  # the weight of the ones, 0 where there are none
    return coefficients.T, ones - preparation.center @ coefficients
