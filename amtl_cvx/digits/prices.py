"""The prices of a transfer penalty as exact numbers."""

from __future__ import annotations

import numpy as np

from amtl_cvx.errors import NotCertifiable
from amtl_cvx.transfer import TransferPenalty


def linear_prices(transfer: TransferPenalty, T: int) -> list[tuple[float, float]]:
    """Of every task s, the price p_s of an edge out of it at the losses l_s = 0 and 1.

    With exact differences, p_s = p_s(0) + (p_s(1) - p_s(0)) l_s is the penalty that is proved.

    Raises
    ------
    NotCertifiable
        If the penalty has no prices, or the price of an edge depends on another task's loss.
    """
    at_zero = transfer.row_prices(np.zeros(T))
    if at_zero is None:
        raise NotCertifiable(
            f"{type(transfer).__name__} is not linear in B above bounds (it has a norm, or a budget that"
            " edges share): proofs need a transfer penalty with prices"
        )
    at_unit = np.array([transfer.row_prices(unit) for unit in np.eye(T)])
    own = np.diag(at_unit)
    if not np.array_equal(at_unit, np.where(np.eye(T, dtype=bool), own, at_zero)):
        raise NotCertifiable(
            f"{type(transfer).__name__} prices an edge by the loss of another task than its source:"
            " proofs need prices p_s that depend on l_s alone"
        )
    return [(float(a), float(b)) for a, b in zip(at_zero, own, strict=True)]
