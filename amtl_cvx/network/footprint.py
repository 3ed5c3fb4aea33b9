"""How much memory a network takes, known before it begins: rows, units, and the square of its weights.

With N rows, K units in all layers, n weights (entries of all blocks), in bytes, what is held at one time:

    rows         X with a column of ones, and what their distinct ones are found by      48 N d
    a point      what a forward and a backward pass leave: u, z, w, masks of every unit  80 N K
    scores       F, R, E, the slopes of every task                                       80 N T
    kinks        of several layers, the normals of those that are active                 16 n^2, at most 1 GiB
    Hessian      C3 and Newton steps: H, its factors, what kinks hold of them             128 n^2
    directions   the arrays of the R-operator in chunks (`hessian.CHUNK`)                8 of 8 MiB

The coefficients are rounded up from what was measured. It is what a process takes beyond the interpreter, its
libraries and the data themselves. A certificate up to C2 needs no Hessian.
"""

from __future__ import annotations

from typing import NamedTuple

from amtl_cvx import memory
from amtl_cvx.network.hessian import CHUNK
from amtl_cvx.network.kinks import JOINT_LIMIT
from amtl_cvx.network.model import NetworkModel
from amtl_cvx.network.newton import LARGEST
from amtl_cvx.tasks import TaskSet

_BASE = 14 * 2**20
_ROWS, _UNITS, _SCORES, _SQUARES, _CHUNKS = 48, 80, 80, 128, 8
_VECTORS = 1000  # of L-BFGS, a weight, where there are too many for a Hessian
_CURE = "take fewer rows or smaller layers"


class Sizes(NamedTuple):
    """How many rows, features, tasks, units and weights there are."""

    N: int
    d: int
    T: int
    units: int
    weights: int

    @classmethod
    def of(cls, tasks: TaskSet, model: NetworkModel) -> Sizes:
        """Those of a problem; rows that are equal are not counted as one here."""
        widths = (tasks.d, *model.layers)
        k, T = widths[-1], tasks.T
        layers = sum((a + model.fit_bias) * b for a, b in zip(widths, widths[1:], strict=False))
        feedback = (T + model.feedback_bias) * k
        return cls(_rows(tasks), tasks.d, T, sum(model.layers), layers + k * T + feedback)


def certificate_bytes(tasks: TaskSet, model: NetworkModel) -> int:
    """About how many bytes a certificate up to C2 takes at its peak."""
    size = Sizes.of(tasks, model)
    normals = min(2 * size.weights**2, 2 * JOINT_LIMIT) if len(model.layers) > 1 else 0
    return _BASE + 8 * normals + size.N * (_ROWS * size.d + _UNITS * size.units + _SCORES * size.T)


def fit_bytes(tasks: TaskSet, model: NetworkModel) -> int:
    """About how many bytes a fit takes at its peak, and so does C3."""
    size = Sizes.of(tasks, model)
    chunk = min(CHUNK, size.weights * size.N * max(*model.layers, size.T))
    squares = _SQUARES * size.weights**2 if size.weights <= LARGEST else _VECTORS * size.weights
    return certificate_bytes(tasks, model) + squares + _CHUNKS * 8 * chunk


def check_certificate(tasks: TaskSet, model: NetworkModel) -> None:
    """`DataError`, with the number, where a certificate takes more memory than is free."""
    memory.check(certificate_bytes(tasks, model), "the certificate", _CURE)


def check_fit(tasks: TaskSet, model: NetworkModel) -> None:
    """`DataError`, with the number, where a fit takes more memory than is free."""
    weights = Sizes.of(tasks, model).weights
    memory.check(fit_bytes(tasks, model), f"the fit of {weights} weights", _CURE)


def _rows(tasks: TaskSet) -> int:
    """How many rows there are: those that tasks share once."""
    links = tasks.links
    if links is not None and links.index:
        return len(links.labelled)
    return sum({id(task.X): len(task.X) for task in tasks}.values())
