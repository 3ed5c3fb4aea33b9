r"""The second derivatives of J in L, S and A, each entry of S and A on its side of 0.

There ||S||_1 is linear and e_t = c_t (1 + alpha sum_j sigma_tj A_tj), sigma the signs, so that the price of
feedback crosses with L and S. With H_t the Hessian of L_t, l'_t its gradient in the predictor, Q = X'X,
g = 2 gamma, P = L'QL, K = Q L M, GW the weighted gradients, [.] for 1 where the words are true, else 0:

    L_ia L_jb   sum_t e_t (H_t)_ij S_at S_bt + g Q_ij (M M')_ab + 2 decay [ia = jb]
    L_ia S_bt   e_t (H_t L)_ib S_at + (GW - g K A')_it [a = b] - g (Q L)_ib (M A')_at
    L_ia A_tb   alpha c_t sigma_tb (l'_t)_i S_at - g ((Q W)_it M_ab + K_ib S_at)
    S_at S_bu   e_t (L'H_t L)_ab [t = u] + g P_ab (A A')_tu
    S_at A_ub   (alpha c_t sigma_tb (L'l'_t)_a - g (L'K)_ab) [t = u] + g (P S)_au A_tb
    A_ta A_ub   g (W'Q W)_tu [a = b]

Entries come in the order of L, S, A, row by row. Where a loss is not twice differentiable (Huber, squared
hinge) H_t is one of both limits. Checked against differences of the gradients.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.features.point import FeaturePoint


class Entries(NamedTuple):
    """One number, or one truth value, for each entry of L (d, k), S (k, T) and A (T, k)."""

    L: Array | Mask
    S: Array | Mask
    A: Array | Mask

    @property
    def stacked(self) -> Array:
        """All of them, (n,), n = d k + 2 k T."""
        found: Array = np.concatenate([np.ravel(part) for part in self])
        return found

    @classmethod
    def parts(cls, stacked: Array, like: FeaturePoint) -> Entries:
        """The blocks that `stacked` (n,) holds, of the shapes that they have at a point."""
        L, S = like.L, like.S
        first, second = L.size, L.size + S.size
        return cls(
            stacked[:first].reshape(L.shape),
            stacked[first:second].reshape(S.shape),
            stacked[second:].reshape(S.T.shape),
        )


def live_entries(point: FeaturePoint) -> Indices:
    """Where the entries stand that move while zeros stay zeros: L of live features, nonzeros of S and A.

    Without a price on signed feedback (alpha = 0) all of A moves; where A is no block nothing of it does.
    """
    live, model = np.asarray(point.live, dtype=bool), point.model
    A = (point.A != 0.0) | (model.signed & (point.prices[:, None] <= 0.0) & live)
    masks = Entries(np.broadcast_to(live, point.L.shape), point.S != 0.0, A & model.has_feedback)
    return np.flatnonzero(masks.stacked)


def reduced_hessian(point: FeaturePoint, places: Indices | None = None) -> Array:
    """The Hessian of J in the entries at `places`, by default in `live_entries`, (m, m).

    Parameters
    ----------
    point : FeaturePoint
        Where.
    places : (m,) indices, optional
        Into L, S, A, row by row.

    Returns
    -------
    (m, m) ndarray
        With the signs that A has; a 0 in A counts as growing against its slope, or up where A >= 0.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import TaskSet
    >>> from amtl_cvx.features import FeatureProblem, GoMtlModel
    >>> from amtl_cvx.features.curvature import reduced_hessian
    >>> tasks = TaskSet.from_arrays([np.ones((1, 1))], [[3.0]])
    >>> point = FeatureProblem(tasks, GoMtlModel(features=1, mu=0.1, decay=0.5)).at(L=[[1.0]], S=[[2.0]])
    >>> reduced_hessian(point)  # of (l s - 3)^2 + .5 l^2 + .1 |s|
    array([[9., 2.],
           [2., 2.]])
    """
    places = live_entries(point) if places is None else places
    H: Array = hessian(point, feedback_signs(point))[np.ix_(places, places)]
    return H


def feedback_signs(point: FeaturePoint) -> Array:
    """The side of 0 on which each entry of A is, or to which a 0 would go, (T, k)."""
    if not point.model.signed:
        return np.ones_like(point.A)
    return np.where(point.A != 0.0, np.sign(point.A), -np.sign(point.gradient_A))


def hessian(point: FeaturePoint, signs: Array) -> Array:
    """The Hessian of J in all entries of L, S and A, (n, n), n = d k + 2 k T.

    Parameters
    ----------
    point : FeaturePoint
        Where.
    signs : (T, k) ndarray
        sigma, of the entries of A.
    """
    n = (point.L.size, point.S.size, point.A.size)
    (LL, LS, LA), (SS, SA), AA = _of_L(point, signs), _of_S(point, signs), _of_A(point)
    H = np.empty((sum(n), sum(n)))
    L, S, A = slice(0, n[0]), slice(n[0], n[0] + n[1]), slice(n[0] + n[1], None)
    for rows, columns, block in ((L, L, LL), (L, S, LS), (L, A, LA), (S, S, SS), (S, A, SA), (A, A, AA)):
        H[rows, columns] = block.reshape(H[rows, columns].shape)
        if rows != columns:
            H[columns, rows] = H[rows, columns].T
    return H


def _of_L(point: FeaturePoint, signs: Array) -> tuple[Array, Array, Array]:
    """L-L (d, k, d, k), L-S (d, k, k, T), L-A (d, k, T, k)."""
    L, S, A, M, K = point.L, point.S, point.A, point.M, point.K
    g, Q, k = 2.0 * point.problem.gamma, point.problem.reconstruction.gram, len(S)
    H = point.loss_weight[:, None, None] * point.loss_curvature
    QL, pairs = Q @ L, (S.T[:, :, None] * S.T[:, None, :])
    LL = np.tensordot(H, pairs, axes=(0, 0)) + g * np.multiply.outer(Q, M @ M.T)
    LL = np.ascontiguousarray(LL.transpose(0, 2, 1, 3)).reshape(L.size, L.size)
    LL.flat[:: L.size + 1] += 2.0 * point.model.decay
    LS = np.einsum("tib,at->iabt", H @ L, S) - g * np.einsum("ib,at->iabt", QL, M @ A.T)
    same = np.arange(k)
    LS[:, same, same, :] += (point.weighted_gradient - g * (K @ A.T))[:, None, :]
    LA = np.einsum("it,at,tb->iatb", point.loss_gradient, S, _rates(point, signs))
    LA -= g * (np.einsum("it,ab->iatb", QL @ S, M) + np.einsum("ib,at->iatb", K, S))
    return LL, LS, LA


def _of_S(point: FeaturePoint, signs: Array) -> tuple[Array, Array]:
    """S-S (k, T, k, T), S-A (k, T, T, k)."""
    L, S, A, Z = point.L, point.S, point.A, point.Z
    g, T, P = 2.0 * point.problem.gamma, S.shape[1], Z.T @ Z
    curvature = point.loss_weight[:, None, None] * (L.T @ point.loss_curvature @ L)
    SS = g * np.einsum("ab,tu->atbu", P, A @ A.T)
    SA = g * np.einsum("au,tb->atub", P @ S, A)
    same = np.arange(T)
    SS[:, same, :, same] += curvature
    pull = np.einsum("at,tb->tab", L.T @ point.loss_gradient, _rates(point, signs))
    SA[:, same, same, :] += (pull - g * (L.T @ point.K)).transpose(1, 0, 2)
    return SS, SA


def _of_A(point: FeaturePoint) -> Array:
    """A-A (T, k, T, k)."""
    ZS, k = point.Z @ point.S, len(point.S)
    found: Array = np.einsum("tu,ab->taub", 2.0 * point.problem.gamma * (ZS.T @ ZS), np.eye(k))
    return found


def _rates(point: FeaturePoint, signs: Array) -> Array:
    """How e_t grows with A_tj, alpha c_t sigma_tj, (T, k)."""
    rates: Array = point.model.alpha * point.problem.task_weight[:, None] * signs
    return rates
