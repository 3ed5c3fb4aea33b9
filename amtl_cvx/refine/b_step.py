r"""The B-step in NumPy for penalties that are not linear over B >= 0: W fixed, the whole graph.

Where every atom is an entry of B, or its negative, J(W, .) splits into columns. With K = W'W, one row s+ for
every positive part and, where entries have any sign, one row s- for every negative one, x = lo + z and

    min over z >= 0 of  coupling z_t'(K' + diag(q / coupling)) z_t - ...        K' = [[K, -K], [-K, K]]

is solved by the active-set method for all columns at once (`active_set`). Other atoms (B = B') are one
quadratic in x over bounds, and a penalty with a prox alone takes accelerated prox steps.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import scipy.linalg as sl
import scipy.sparse as sp

from amtl_cvx.problem import Model, Point
from amtl_cvx.problem.active_set import nonnegative_columns
from amtl_cvx.refine.boxqp import box_minimum
from amtl_cvx.refine.variables import engine_of
from amtl_cvx.solvers import Solved
from amtl_cvx.subproblems import HalfStep
from amtl_cvx.subproblems.numpy_steps import DirectTransferStep
from amtl_cvx.subproblems.polish import prox_polished
from amtl_cvx.transfer import Atoms, atoms_of

BOX_LIMIT = 2000
"""Largest number of atoms whose B-step is one dense quadratic; more of them take prox steps."""
_PROX_STEPS = 300  # what they leave to do, where it crawls, is for Newton's method or the next round
_RIDGE = 1e-13  # part of the diagonal of a box problem that is added to it, so that it has a factor


class TransferStep(Protocol):
    """An exact B-step in NumPy."""

    def solve(self, point: Point) -> HalfStep: ...


def direct_step(model: Model, T: int) -> TransferStep | None:
    """The B-step in NumPy of a penalty: by columns, by its atoms, by its prox; None where it has neither."""
    if model.transfer.edge_prices(np.zeros(T)) is not None:
        return DirectTransferStep()
    atoms = atoms_of(model.transfer, T)
    if atoms is not None and atoms.entries:
        return ColumnStep(atoms)
    if atoms is not None and len(atoms.lo) <= BOX_LIMIT:
        return AtomStep(atoms)
    return ProxStep() if engine_of(model, T) is not None else None


@dataclass(frozen=True)
class ColumnStep:
    """Column by column, where every atom is an entry of B or its negative."""

    atoms: Atoms

    def solve(self, point: Point) -> HalfStep:
        """argmin over B of J(W, .), (T, T); the support of `B` is the start."""
        started, atoms, T = time.perf_counter(), self.atoms, point.tasks.T
        coupling, (p, q) = point.model.coupling, atoms.prices(point.weighted_losses)
        signs, K = atoms.E.data, point.W.T @ point.W
        sources, targets = np.divmod(atoms.E.indices, T)
        rows = sources + T * (signs < 0.0)
        if (signs < 0.0).any():
            K = np.block([[K, -K], [-K, K]])
        curved = np.zeros(len(K))
        curved[rows] = q  # the same for all entries of a row
        K = K + np.diag(curved / coupling)
        Q, lowest, start = np.full((len(K), T), -np.inf), np.zeros((len(K), T)), np.zeros((len(K), T))
        lowest[rows, targets] = atoms.lo
        start[rows, targets] = point.coefficients - atoms.lo
        inner = signs * (point.W.T @ (point.W - point.W @ atoms.base))[sources, targets]
        Q[rows, targets] = inner - p / (2.0 * coupling) - (K @ lowest)[rows, targets]
        found, settled = nonnegative_columns(K, Q, start)
        value = atoms.graph(atoms.lo + found[rows, targets])
        status = "optimal" if settled else "user_limit"
        seconds = time.perf_counter() - started
        return HalfStep(value, Solved(solver="active-set", status=status, seconds=seconds))


@dataclass(frozen=True)
class AtomStep:
    """The whole graph as a quadratic in x over bounds, W fixed."""

    atoms: Atoms

    def solve(self, point: Point) -> HalfStep:
        """argmin over B of J(W, .), (T, T); from `B`."""
        started, atoms, T = time.perf_counter(), self.atoms, point.tasks.T
        x, (_, q) = point.coefficients, atoms.prices(point.weighted_losses)
        gram = 2.0 * point.model.coupling * (point.W.T @ point.W)
        H = (atoms.E.T @ sp.kron(sp.csr_array(gram), sp.eye_array(T)) @ atoms.E).toarray()
        H += np.diag(2.0 * q)
        diagonal = np.diag(H)
        root = np.sqrt(np.maximum(diagonal, 1e-12 * (float(diagonal.max(initial=0.0)) or 1.0)))
        S = H / np.outer(root, root) + _RIDGE * np.eye(len(H))
        slope = point.gradient_x / root
        lower = (atoms.lo - x) * root
        try:
            step = box_minimum(S, slope, lower)
        except sl.LinAlgError:
            step = np.zeros_like(x)
        value = atoms.graph(np.where(step > lower, np.maximum(x + step / root, atoms.lo), atoms.lo))
        return HalfStep(value, Solved(solver="box", status="optimal", seconds=time.perf_counter() - started))


@dataclass(frozen=True)
class ProxStep:
    """The whole graph by accelerated prox steps, W fixed."""

    def solve(self, point: Point) -> HalfStep:
        """argmin over B of J(W, .), (T, T); from `B`."""
        started = time.perf_counter()
        losses = point.weighted_losses
        value = prox_polished(point.model, point.W, point.B, losses, most=_PROX_STEPS)
        return HalfStep(value, Solved(solver="prox", status="optimal", seconds=time.perf_counter() - started))
