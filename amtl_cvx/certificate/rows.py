"""Rows and factors: a certificate that judged triangular factors, held against the rows they stand for.

Where rows are streamed (`data.stream`), fit and certificate see R_t, the factor of [1 X_t y_t], instead of
X_t, y_t. A second pass sums losses and gradients over the rows, at W and at 0. With l_t, g_t from the rows
and l'_t, g'_t from the factors, the disagreement of task t is the largest of

    |l_t - l'_t| / max(l_t, floor l_t(0))       |g_t - g'_t| / max(|g_t|, |g_t(0)|)       (largest entries)

at both points. These are the sizes that `relative_W` divides by, and an edge's price is a multiple of l_t; a
loss below floor = 1.5e-8, the root of the machine precision, is made of rounding errors. So the residual of
the rows is at most that of the factors plus the disagreement. This sum becomes the `relative` of the
certificate, which passes only if it is within the tolerance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.certificate.verdict import Certificate
from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, TaskSet

_FLOOR = float(np.sqrt(np.finfo(np.float64).eps))


class RowSums(NamedTuple):
    """Sums over the rows of every task, at W and, second, at 0: n_t, phi, gradients of phi."""

    W: Array
    """(d, T)"""
    counts: NDArray[np.int64]
    """(T,)"""
    losses: Array
    """(2, T)"""
    gradients: Array
    """(2, d, T)"""


def confirm(certificate: Certificate, tasks: TaskSet, loss: Loss, sums: RowSums) -> Certificate:
    """The certificate of the rows, from that of the factors in `tasks`; see the module essay.

    Parameters
    ----------
    certificate : Certificate
        Of W = `sums.W` on `tasks`.
    tasks : TaskSet
        Prepared tasks, as the certificate saw them.
    loss : Loss
        That of the model.
    sums : RowSums
        What `data.stream.evaluate` found.
    """
    apart = disagreement(tasks, loss, sums)
    worst = int(np.argmax(apart))
    relative = certificate.relative + float(apart[worst])
    passes = certificate.passes and relative <= certificate.tol
    stands = passes or (not certificate.passes and apart[worst] <= certificate.tol)
    found = f"{int(sums.counts.sum())} rows read again: their losses and gradients, at W and at 0, are within"
    found += f" {apart[worst]:.1e} of those of the factors that were fitted (part of relative)"
    if not stands:
        found += (
            f"; {tasks.names[worst]!r} is the worst: scale its columns (--standardize), or check the file"
        )
    return replace(
        certificate,
        relative=relative,
        passes=passes,
        level=certificate.level if stands or certificate.level is None else "C0",
        reasons={**certificate.reasons, "rows": found},
    )


def disagreement(tasks: TaskSet, loss: Loss, sums: RowSums) -> Array:
    """How far rows and factors are apart, (T,); infinite where a task has not as many rows as its factor."""
    apart = np.full(tasks.T, np.inf)
    for t, task in enumerate(tasks):
        if sums.counts[t] != task.n:
            continue
        losses = loss.scale(task) * sums.losses[:, t]
        gradients = loss.scale(task) * sums.gradients[:, :, t]
        points = sums.W[:, t], np.zeros(tasks.d)
        misses = [
            *(np.abs(losses - [loss.value(task, w) for w in points])),
            *(np.abs(gradients - [loss.gradient(task, w) for w in points]).max(axis=1)),
        ]
        sizes = np.abs(gradients).max(axis=1)
        apart[t] = max(
            _ratio(miss, size)
            for miss, size in zip(
                misses, (max(losses[0], _FLOOR * losses[1]), losses[1], sizes.max(), sizes[1]), strict=True
            )
        )
    return apart


def _ratio(miss: float, size: float) -> float:
    return 0.0 if miss <= 0 else float(miss / size) if size > 0 else np.inf
