r"""What a move of one block alone can gain: the Frank-Wolfe gaps of two convex problems over balls.

    gap_D = <G_D, D> + sum_k ||G_D[:, k]||_2             gap_G = <G_G, G> + radius sum_t ||G_G[:, t]||_inf

J is convex in D, so J(D') >= J(D) + <G_D, D' - D>, and over all D' with columns in the unit ball the right
side is least at D'_k = -G_D[:, k] / ||G_D[:, k]||: no D' has a J lower by more than gap_D. The same for G,
whose linear minimum puts the whole radius on the largest |G_G[k, t]|. Nothing else is assumed, not even that
D is in its ball: the bounds hold from a point that is out of it by rounding.

Rounding. Slopes may be those at any scores: phi(z') >= phi(z) + phi'(z) (z' - z) holds at z as computed, with
phi' there. So only sums with these slopes are off, by u = (4 sqrt(rows) + d + K + T + 8) eps times what they
are summed from (`residuals.Long`); what the scores are off by, u times their terms, enters squared, with the
curvature. Both are added, so that no gap comes out below what it bounds.

Source: Jaggi, Revisiting Frank-Wolfe, ICML 2013, section 2.
"""

from __future__ import annotations

import math

import numpy as np

from amtl_cvx.dictionary.point import DictionaryPoint
from amtl_cvx.dictionary.residuals import long

_EPS = float(np.finfo(np.float64).eps)


def unit(point: DictionaryPoint) -> float:
    """u of the essay."""
    rows, (d, K) = max(len(task.y) for task in point.tasks), point.D.shape
    return (4.0 * math.sqrt(rows) + float(d + K + point.tasks.T + 8)) * _EPS


def gap(block: str, point: DictionaryPoint) -> float:
    """That of a block by its name."""
    return {"D": gap_D, "G": gap_G}[block](point)


def gap_D(point: DictionaryPoint) -> float:
    """What D can gain while G stands still."""
    size, slope, D = long(point), point.gradient_D, point.D
    parts = (slope * D).sum(axis=0) + np.linalg.norm(slope, axis=0)
    room = size.gradients(size.slopes)["D"]
    lost = float((room * np.abs(D)).sum() + np.linalg.norm(room, axis=0).sum())
    return float(np.maximum(parts, 0.0).sum()) + unit(point) * lost + _moved(point)


def gap_G(point: DictionaryPoint) -> float:
    """What G can gain while D stands still."""
    size, slope, G, radius = long(point), point.gradient_G, point.G, point.model.radius
    parts = (slope * G).sum(axis=0) + radius * np.abs(slope).max(axis=0)
    room = size.gradients(size.slopes)["G"]
    lost = float((room * np.abs(G)).sum() + radius * room.max(axis=0).sum())
    return float(np.maximum(parts, 0.0).sum()) + unit(point) * lost + _moved(point)


def _moved(point: DictionaryPoint) -> float:
    """What J changes by to second order where the scores move by what they are known to."""
    size = long(point)
    bent = np.concatenate([each.curvatures.max(axis=1, initial=0.0) for each in point.scores])
    return float(size.rate @ (bent * (unit(point) * size.reach) ** 2))
