"""Where a cell of the box is cut, after the moments of its relaxation, and the two parts it falls into."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from amtl_cvx.enclosure.polynomial import Monomial, Polynomial, Scaled, add, edges_of, scaled
from amtl_cvx.enclosure.zoom import Zoom
from amtl_cvx.tasks import Array

_ASIDE = 0.25  # distance of a cut from the minimiser and from the cell's lower end, in standard deviations
_KEPT = 0.9  # of the width of a cell: the most that a part keeps
_PLACES = 40  # binary digits of a cut, in the variables of the solver


def halves(cell: Scaled, number: int, at: Fraction) -> tuple[Scaled, Scaled]:
    """The parts h >= at and h <= at of a cell, h its inequality `number`, that of an edge.

    The new inequality takes the next number, and replaces the one that it implies.
    """
    side = add(edge_of(cell, number), {(): -at})
    return _with(cell, side), _with(cell, scaled(side, Fraction(-1)))


def edge_of(cell: Scaled, number: int) -> Polynomial:
    """B[s, t] / radius for edge `number`."""
    k = cell.edges[number]
    return {(): cell.centre[k] / cell.radius[k], (k,): Fraction(1)}


def _with(cell: Scaled, side: Polynomial) -> Scaled:
    (slope,) = (monomial for monomial in side if monomial)
    kept = {
        i: h
        for i, h in cell.linear.items()
        if len(h.keys() - {()}) > 1 or h.get(slope, Fraction(0)) * side[slope] <= 0
    }
    return replace(cell, linear={**kept, max(cell.linear) + 1: side})


def place(cell: Scaled, zoom: Zoom, moments: Mapping[Monomial, float]) -> tuple[int, Fraction] | None:
    """Where to cut, after the moments in the variables of `zoom`: the number of an edge and B[s, t] / radius.

    None where the moments name no place inside the cell.
    """
    if not (cell.edges and moments):
        return None
    near = zoom.inward(cell)
    unsure = [_unsureness(near, number, moments) for number in range(len(near.edges))]
    number = max(range(len(unsure)), key=unsure.__getitem__)
    k = near.edges[number]
    mean, spread = _spread(moments, k)
    low, high = _range(near, k)
    at = max(mean, low + _ASIDE * spread)
    if abs(at) < _ASIDE * spread:  # the minimiser is at 0
        at = _ASIDE * spread
    at = min(at, low + _KEPT * (high - low))
    if not (low < at < high and abs(at) > 1e-6 * spread):
        return None
    value = (near.centre[k] + near.radius[k] * Fraction(at)) / cell.radius[k]
    unit = 2 ** (_PLACES + zoom.powers[k])
    return number, Fraction(round(value * unit), unit)


def means(near: Scaled, moments: Mapping[Monomial, float]) -> tuple[Array, Array]:
    """W (d, T) and B (T, T) >= 0 in the mean of the pseudo-distribution."""
    values = [
        float(centre) + float(radius) * moments[(k,)]
        for k, (centre, radius) in enumerate(zip(near.centre, near.radius, strict=True))
    ]
    B = np.zeros((near.T, near.T))
    for k, edge in zip(near.edges, edges_of(near.T), strict=True):
        B[edge] = max(values[k], 0.0)
    return np.array(values[: near.edges.start]).reshape(near.d, near.T), B


def _unsureness(near: Scaled, number: int, moments: Mapping[Monomial, float]) -> float:
    """Variance of B[s, t] times the mean of ||w_s||^2."""
    k = near.edges[number]
    s, _ = edges_of(near.T)[number]
    norm = 0.0
    for i in range(s, near.edges.start, near.T):
        centre, radius = float(near.centre[i]), float(near.radius[i])
        norm += centre**2 + 2.0 * centre * radius * moments[(i,)] + radius**2 * moments[(i, i)]
    return norm * (float(near.radius[k]) * _spread(moments, k)[1]) ** 2


def _spread(moments: Mapping[Monomial, float], k: int) -> tuple[float, float]:
    """Mean and standard deviation of a variable."""
    mean = moments[(k,)]
    return mean, math.sqrt(max(moments[(k, k)] - mean**2, 0.0))


def _range(near: Scaled, k: int) -> tuple[float, float]:
    """Between which values the inequalities in variable k alone leave it."""
    low, high = -math.inf, math.inf
    for h in near.linear.values():
        if h.keys() - {()} == {(k,)}:
            end = float(-h.get((), Fraction(0)) / h[(k,)])
            low, high = (max(low, end), high) if h[(k,)] > 0 else (low, min(high, end))
    return low, high
