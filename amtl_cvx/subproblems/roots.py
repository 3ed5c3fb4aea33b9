r"""Newton steps of the W-step where I - B is nearly singular, from roots of the Hessian.

With A the rows sqrt(weight_i phi''_i) x_i of all tasks and sqrt(2 coupling) K' (x) I, K = I - B or that of
`problem.squares`, the Hessian is H = A'A. Its condition is that of A squared: where the smallest singular
value of K is 1e-9, nothing is left of it in H. The gradient is A'b + l, where

    b    weight_i phi'_i / sqrt(weight_i phi''_i) for the rows with phi'' > 0, and sqrt(2 coupling) W K
    l    the pull of the other rows (outliers of the Huber loss)

so the step -H^-1 (A'b + l) is -V S^-1 (U'b + S^-1 V'l) with A = U S V': singular values count once, not
twice. A part of U'b that is rounding is left out, and so are directions that A does not see.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from amtl_cvx.errors import SolveError
from amtl_cvx.problem import Point
from amtl_cvx.tasks import Array

_EPS = float(np.finfo(np.float64).eps)


def root_step(point: Point) -> Array:
    """The Newton step (d, T) at W."""
    loss, W, (d, T) = point.model.loss, point.W, point.W.shape
    blocks, targets, rest = [], [], np.zeros((T, d))
    for t, (task, w) in enumerate(zip(point.tasks, W.T, strict=True)):
        z, weight = task.X @ w, float(point.loss_weight[t]) * loss.scale(task)
        phi = loss.on(task.sample_weight)
        pull, curvature = weight * phi.slopes(z, task.y), weight * phi.curvatures(z, task.y)
        bent = curvature > 0.0
        root = np.sqrt(curvature[bent])
        blocks.append(root[:, None] * task.X[bent])
        targets.append(pull[bent] / root)
        rest[t] = task.X[~bent].T @ pull[~bent]
    coupled = np.sqrt(2.0 * point.square_weight) * point.K.T
    A = np.vstack([sl.block_diag(*blocks), np.kron(coupled, np.eye(d))])
    b = np.concatenate([*targets, (coupled @ W.T).ravel()])
    if not (np.isfinite(A).all() and np.isfinite(b).all()):
        message = "the W-step: curvatures overflow this far out; begin nearer to 0"
        raise SolveError(message, step="W", solver="direct", status="not finite")
    U, s, V = np.linalg.svd(A, full_matrices=False)
    seen = s > _EPS * s[0]
    U, s, V = U[:, seen], s[seen], V[seen]
    along = U.T @ b
    sizes = np.abs(coupled) @ np.abs(W).T
    along[np.abs(along) <= 8.0 * _EPS * (np.linalg.norm(b) + np.linalg.norm(sizes))] = 0.0
    step: Array = -V.T @ ((along + (V @ rest.ravel()) / s) / s)
    return step.reshape(T, d).T
