"""Checks of the network's multipliers, residuals, verdicts and snapping at points whose answer is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from network_draws import alone, kinked, tiny
from network_oracle import Oracle, exact
from network_points import Planted, planted

from amtl_cvx.network import NetworkPoint, NetworkProblem, certify
from amtl_cvx.network.kinks import kinks
from amtl_cvx.network.multipliers import multipliers
from amtl_cvx.network.residuals import residuals
from amtl_cvx.network.second_order import second_order
from amtl_cvx.network.sizes import sizes
from amtl_cvx.network.snap import snap
from checks.network import close, drawn


@cache
def stationary(deep: bool) -> Planted:
    how: dict[str, Any] = {"layers": (3, 2), "held": 1, "T": 2} if deep else {}
    return planted(np.random.default_rng(5 if deep else 4), **how)  # both are strict minima


def network_multipliers_are_those_planted() -> None:
    for deep in (False, True):
        point, masks = stationary(deep)
        point = point.at()
        found = multipliers(point)
        assert kinks(point).likq and len(kinks(point)) >= 4
        for mask, expected in zip(found.masks, masks, strict=True):
            assert np.abs(mask - expected).max() <= 1e-6
        assert residuals(point).relative <= 1e-10


def network_multipliers_are_the_best_there_are() -> None:
    """Masks in [0, 1], 0 where w is not above 0; with one layer no others leave less of the gradient."""
    rng = np.random.default_rng(7)
    for deep in (False, True):
        point = drawn(deep)[0].at()
        found, active = multipliers(point), kinks(point).active
        assert all((theta >= 0.0).all() for theta in found.theta)
        for mask, w, at in zip(found.masks, found.weights, active, strict=True):
            assert (mask >= 0.0).all() and (mask <= 1.0).all() and not mask[at & (w <= 0.0)].any()
    for point in (kinked(rng, deep=False) for _ in range(8)):
        found, (at,) = multipliers(point), kinks(point).active
        size = sizes(point, [np.where(at, 1.0, point.on[0])]).V[0]
        w, held = np.maximum(found.weights[0], 0.0), found.gradient.V[0]
        for _ in range(30):
            moved = found.theta[0] + rng.choice([1e-3, 0.1, 1.0]) * rng.normal(size=at.shape) * w
            theta = np.where(at, np.clip(moved, 0.0, w), 0.0)
            other = held + point.below[0].T @ (theta - found.theta[0])
            for unit in range(at.shape[1]):
                least, more = (np.linalg.norm((G / size)[:, unit]) for G in (held, other))
                assert least <= more * (1.0 + 1e-9)


def network_dependence_is_counted() -> None:
    """Rows (1, 1) and (2, 2) on the kink of one unit; a unit that is dead has no kinks."""
    rows, y = [[1, 0], [1, 1], [2, 2]], [1.0, -1.0, -1.0]
    point = alone(rows, y, [[1.0], [-1.0]], [[1.0]])
    assert len(kinks(point)) == 2 and kinks(point).deficiency == 1 and not kinks(point).likq
    point = alone(rows[:2], y[:2], [[1.0, 0.0], [-1.0, 0.0]], [[1.0], [0.0]])
    assert len(kinks(point)) == 1 and kinks(point).likq
    point = alone(rows[:2], y[:2], [[0.0], [0.0]], [[1.0]])
    assert len(kinks(point)) == 2


def damaged(sound: NetworkPoint, size: float) -> Iterator[tuple[str, NetworkPoint]]:
    """The point with one entry moved by `size`, or one unit turned off its kink, and what has to be seen."""
    problem, layout = sound.problem, sound.problem.layout
    moves = [("weights", layout.V[0].start, size), ("weights", layout.V[-1].stop - 1, -size)]
    for name, at, values in (("S", layout.S, sound.S), ("A", layout.A, sound.A)):
        live, zero = np.flatnonzero(values), np.flatnonzero(values == 0.0)
        moves += [(name, at.start + e, way * size) for e in (live[0], *zero[:1]) for way in (1.0, -1.0)]
    for name, entry, change in moves:
        x = sound.vector.copy()
        x[entry] += change
        yield name, problem.from_vector(x)
    A = sound.A.copy()
    A[tuple(each[0] for each in np.nonzero(A))] = 0.0
    yield "A", sound.at(A=A)
    active = kinks(sound)
    for place, V, below in zip(active.places, sound.V, sound.below, strict=True):
        row, unit = place.rows[0], place.units[0]
        for way in (1.0, -1.0):
            turned = V.copy()
            turned[:, unit] += (
                way * size * np.linalg.norm(V[:, unit]) * below[row] / np.linalg.norm(below[row])
            )
            layers = [turned if each is V else each for each in sound.V]
            yield "weights", problem.from_vector(layout.joined(*layers, sound.S, sound.A_plus))


def network_damage_is_seen() -> None:
    """A stationary point of which one entry, one price or one unit is changed."""
    for deep in (False, True):
        for name, point in damaged(stationary(deep).point, 1e-3):
            assert residuals(point).parts[name] > 1e-6


def network_verdicts_are_those_of_known_points() -> None:
    for deep in (False, True):
        sound = stationary(deep).point.at()
        found = certify(sound)
        assert found.passes and found.level == "C2" and found.likq
        assert not certify(sound, tol=found.relative / 2.0).passes
        zero = certify(sound.problem.zero)
        assert zero.relative <= 1e-8 and not zero.passes and zero.level == "C0"
        for _, point in damaged(sound, 1e-3):
            assert not certify(point).passes
        assert not certify(drawn(deep)[0]).passes
    problem = stationary(False).point.problem
    model = replace(problem.model, feedback="nonnegative")
    signed = NetworkProblem(problem.tasks, model).at(**stationary(False).point.blocks)
    assert signed.A.max() > 0.0 and certify(signed).level is not None
    assert certify(signed.at(A=-signed.A)).level is None


def network_points_are_snapped_onto_kinks_and_told_so() -> None:
    """A point a hair off its kinks is put back; one that is thirty widths off is rejected."""
    rng = np.random.default_rng(9)
    for deep in (False, True):
        sound = stationary(deep).point
        oracle = Oracle.of(sound.tasks, sound.model, pool=sound.problem.rows.X)
        point = sound.problem.from_vector(sound.vector + 1e-10 * rng.normal(size=sound.problem.size))
        found, there = certify(point, snapped=True), snap(point)
        assert not certify(point).passes and found.passes
        assert len(kinks(there.point)) == len(kinks(sound)) == there.units and found.snap_units == there.units
        zeros = sound.vector == 0.0
        assert not there.point.vector[zeros].any() and found.snap_entries == zeros.sum()
        distance = float(np.linalg.norm(there.point.vector - point.vector))
        assert 0.0 < distance < 1e-8
        close(found.snap_distance, distance, 1e-12)
        close(found.snap_relative, distance / np.linalg.norm(point.vector), 1e-12)
        J = [oracle.objective(exact(at.vector)) for at in (point, there.point)]
        close(found.snap_change, float(J[1] - J[0]), 1e-4)
        for size in (1e-3, 3e-5):
            assert not any(certify(point, snapped=True).passes for _, point in damaged(sound, size))
        worst = drawn(deep)[0].at()
        off = worst.problem.from_vector(worst.vector + 1e-8 * rng.normal(size=worst.problem.size))
        before, after = (sum(residuals(at).parts.values()) for at in (off, snap(off).point))
        assert after <= before and snap(off).distance < 1e-5


def network_minima_are_told_from_saddles() -> None:
    """In closed form, see `tiny`."""
    for name, (point, verdict) in tiny().items():
        found = second_order(point)
        assert found.verdict == verdict, (name, found.reason)
