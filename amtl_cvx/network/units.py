r"""How units move with the weights: their slopes along a direction, and their normals.

    du^l = dz^(l-1) V_l + z^(l-1) dV_l,     dz^l = M^l du^l

with a mask M^l in [0, 1] for every unit (`backward`). The normal of unit j of layer l on row i is the
gradient of u^l_ij in all entries: z^(l-1)_i in column j of V_l, and below that what comes down through the
masks. S and A move no unit.

All units have one number, layer by layer from below, in each row by row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from amtl_cvx.arrays import Array, Indices, Mask
from amtl_cvx.network.point import NetworkPoint


def flat(layers: Sequence[Array | Mask]) -> Array:
    """One number for each unit, (U,), from those of each layer, (N, k_l)."""
    found: Array = np.concatenate([layer.ravel() for layer in layers])
    return found


def layered(values: Array, like: Sequence[Array]) -> tuple[Array, ...]:
    """The numbers of each layer, (N, k_l), from those of all units, (U,)."""
    ends = np.cumsum([0, *(layer.size for layer in like)])
    return tuple(
        values[first:last].reshape(layer.shape)
        for first, last, layer in zip(ends, ends[1:], like, strict=False)
    )


def unit_slopes(point: NetworkPoint, direction: Array, masks: Sequence[Array]) -> tuple[Array, ...]:
    """du^l, (N, k_l) of each layer, along a direction (n,)."""
    *moves, _, _ = point.problem.layout.split(direction)
    found: list[Array] = []
    dz: Array | None = None
    for number, move in enumerate(moves):
        du = point.below[number] @ move
        if dz is not None:
            du += dz @ point.V[number][: dz.shape[1]]
        found.append(du)
        dz = masks[number] * du
    return tuple(found)


def unit_normals(point: NetworkPoint, units: Indices, masks: Sequence[Array]) -> Array:
    """The normals of units by their numbers, (m, n) in the order of the problem's layout.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx import NetworkModel, TaskSet
    >>> from amtl_cvx.network import NetworkProblem
    >>> from amtl_cvx.network.units import unit_normals
    >>> tasks = TaskSet.from_arrays([np.array([[3.0]])], [[3.0]])
    >>> problem = NetworkProblem(tasks, NetworkModel(layers=(1, 1), mu=0.1, decay=0.5))
    >>> point = problem.at(W1=[[2.0]], W2=[[0.5]], S=[[1.0]], A=[[0.0]])
    >>> unit_normals(point, np.array([1]), point.on)  # of .5 max(3 w, 0) in w, and of w 6
    array([[1.5, 6. , 0. , 0. ]])
    """
    layout, found = point.problem.layout, np.zeros((len(units), point.problem.size))
    first = 0
    for number, u in enumerate(point.U):
        which = np.flatnonzero((units >= first) & (units < first + u.size))
        rows, columns = np.divmod(units[which] - first, u.shape[1])
        slope = np.zeros((len(which), u.shape[1]))
        slope[np.arange(len(which)), columns] = 1.0
        for lower in reversed(range(number + 1)):
            moved = point.below[lower][rows][:, :, None] * slope[:, None, :]
            found[which, layout.V[lower]] = moved.reshape(len(which), point.V[lower].size)
            if lower:
                slope = (slope @ point.V[lower][: point.U[lower - 1].shape[1]].T) * masks[lower - 1][rows]
        first += u.size
    return found
