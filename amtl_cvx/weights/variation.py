r"""The prox of total variation in one dimension, exactly.

    least(v, cut) = argmin over x of (1/2) ||x - v||^2 + cut sum_t |x_t - x_(t+1)|

Condat's direct algorithm: it carries the lowest and the highest value that the running segment may have, with
the dual variables they lead to, and ends the segment where one of these leaves [-cut, cut]. Its work is that
of one pass for most data and T^2 at worst; there are no iterations and no tolerance. The values of a segment
are one number, so that what is equal is exactly equal.

Source: Condat, A direct algorithm for 1D total variation denoising, IEEE Signal Processing Letters 2013.
"""

from __future__ import annotations

import numpy as np

from amtl_cvx.tasks import Array


def least_variation(V: Array, cut: float) -> Array:
    """The minimum for every row of V (d, T)."""
    if V.shape[1] < 2 or not cut > 0.0:
        return V.copy()
    flat = np.ptp(V, axis=1) == 0.0
    return np.array([v if same else _least(v.tolist(), cut) for v, same in zip(V, flat, strict=True)])


def _least(v: list[float], cut: float) -> list[float]:
    """The minimum for one row; names as in the paper, positions counted from 0."""
    last, x = len(v) - 1, list[float]()
    k = k_low = k_high = 0
    low, high, u_low, u_high = v[0] - cut, v[0] + cut, cut, -cut
    while True:
        if k == last:
            if u_low < 0.0:  # low is too high: the segment ends with a fall
                x += [low] * (k_low + 1 - len(x))
                k = k_low = len(x)
                low, u_low = v[k], cut
                u_high = low + cut - high
            elif u_high > 0.0:
                x += [high] * (k_high + 1 - len(x))
                k = k_high = len(x)
                high, u_high = v[k], -cut
                u_low = high - cut - low
            else:
                return x + [low + u_low / (last + 1 - len(x))] * (last + 1 - len(x))
            continue
        u_low += v[k + 1] - low
        u_high += v[k + 1] - high
        if u_low < -cut or u_high > cut:
            value, end = (low, k_low) if u_low < -cut else (high, k_high)
            falls = u_low < -cut
            x += [value] * (end + 1 - len(x))
            k = k_low = k_high = len(x)
            low, high = (v[k], v[k] + 2.0 * cut) if falls else (v[k] - 2.0 * cut, v[k])
            u_low, u_high = cut, -cut
            continue
        k += 1
        if u_low >= cut:
            k_low = k
            low += (u_low - cut) / (k + 1 - len(x))
            u_low = cut
        if u_high <= -cut:
            k_high = k
            high += (u_high + cut) / (k + 1 - len(x))
            u_high = -cut
