"""Rows and factors: a certificate that judged triangular factors, held against the rows they stand for.

Where rows are streamed (`data.stream`), fit and certificate see R_t, the factor of [1 X_t y_t], instead of
X_t, y_t. A second pass sums losses and gradients over the rows, at W and at 0. With l_t, g_t from the rows
and l'_t, g'_t from the factors, the disagreement of task t is the largest of

    |l_t - l'_t| / (l_t + room)       |g_ti - g'_ti| / (||x_ti|| (||phi'_t|| + room) / n_t)       (every i)

at both points. a_t times the second size is a part of size_W[i, t], mu c_t times the first one a part of
size_B[t, u] for every u (`residuals`, with its room for rounding). So an entry of the residual over the rows
is at most that over the factors plus the disagreement, both in the sizes of the factors; and these are those
of the rows, since a QR factor keeps the norm of every single column to a few eps (Higham, Accuracy and
Stability of Numerical Algorithms, theorem 19.4). The sum becomes the `relative` of the certificate, which
passes only if it is within the tolerance.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from amtl_cvx.certificate.misses import ROOM, SLOPES, Misses
from amtl_cvx.certificate.verdict import Certificate
from amtl_cvx.certificate.weight_residuals import task_slopes
from amtl_cvx.losses import Loss
from amtl_cvx.tasks import Array, TaskSet


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
    """The certificate of the rows, from that of the factors that stand for them in `tasks`.

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
        if sums.counts[t] != task.rows:
            continue
        points = np.column_stack([sums.W[:, t], np.zeros(tasks.d)])
        misses, sizes = [], []
        scale, lengths = loss.scale(task), tasks.lengths[:, t]
        for k, w in enumerate(points.T):
            reach = np.array([lengths @ np.abs(w)])
            at = task_slopes(loss, [task], w[:, None], reach)
            steep, l_ = float(at.norm[0] + SLOPES * at.terms[0]), scale * sums.losses[k, t]
            shift = scale * at.norm[0] * (reach[0] + tasks.target_lengths[t])
            misses += [
                abs(l_ - loss.value(task, w)),
                *np.abs(scale * sums.gradients[k, :, t] - at.pull[:, 0]),
            ]
            sizes += [l_ + ROOM * shift, *(scale * lengths * steep)]
        apart[t] = Misses(np.array(misses), np.array(sizes)).relative()
    return apart
