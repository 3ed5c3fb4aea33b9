"""Solvers that go wrong in one way each: what they do instead of answering, and where it can be planted.

A fault takes the call of a solver and its honest answer, of which it may spoil a copy. A place is where the
toolkit meets a solver: Clarabel as data, and CVXPY's interface of each solver.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cvxpy.reductions.solvers.conic_solvers.clarabel_conif import CLARABEL
from cvxpy.reductions.solvers.conic_solvers.scs_conif import SCS
from cvxpy.reductions.solvers.qp_solvers.osqp_qpif import OSQP

from amtl_cvx.solvers import program

RELEASE = threading.Event()
"""Set by a test that is over: what hangs ends."""

Fault = Callable[[Callable[[], Any]], Any]


class PanicException(BaseException):
    """Like that of PyO3, no `Exception`."""


def _raises(error: BaseException) -> Fault:
    def fault(_: Callable[[], Any]) -> Any:
        raise error

    return fault


def _with_x(change: Callable[[np.ndarray], Any]) -> Fault:
    """The honest answer, "solved", with other values."""

    def fault(honest: Callable[[], Any]) -> Any:
        found = honest()
        x = change(np.array(found["x"] if isinstance(found, dict) else found.x))
        if isinstance(found, dict):
            return {**found, "x": x}
        return _like(found, x=x)

    return fault


def _like(found: Any, **changes: Any) -> SimpleNamespace:
    """A copy of an answer with other attributes."""
    names = (name for name in dir(found) if not name.startswith("_"))
    return SimpleNamespace(**{name: getattr(found, name) for name in names} | changes)


def _unknown_status(honest: Callable[[], Any]) -> Any:
    found = honest()
    if isinstance(found, dict):
        return {**found, "info": {**found["info"], "status_val": 77}}
    if "info" in dir(found):
        return _like(found, info=_like(found.info, status_val=77))
    return _like(found, status="Perhaps")


def _hangs(_: Callable[[], Any]) -> Any:
    RELEASE.wait()
    raise RuntimeError("released")


FAULTS: Mapping[str, Fault] = {
    **{
        type(error).__name__: _raises(error)
        for error in (
            RuntimeError("bang"),
            ValueError(),
            ZeroDivisionError("x" * 1000),
            MemoryError(),
            RecursionError("too\ndeep"),
            StopIteration(),
            SystemExit(3),
            GeneratorExit(),
            PanicException("index out of bounds"),
        )
    },
    "None": lambda honest: None,
    "a text": lambda honest: "solved",
    "no values": _with_x(lambda x: None),
    "nan": _with_x(lambda x: x * np.nan),
    "one nan": _with_x(lambda x: np.r_[np.nan, x[1:]]),
    "infinite": _with_x(lambda x: x + np.inf),
    "one value short": _with_x(lambda x: x[:-1]),
    "one value more": _with_x(lambda x: np.r_[x, 0.0]),
    "one value": _with_x(lambda x: x[:1]),
    "a matrix": _with_x(lambda x: x[:, None]),
    "texts": _with_x(lambda x: ["a"] * len(x)),
    "an unknown status": _unknown_status,
    "a hang": _hangs,
}
"""What a solver does, by its name."""

PLACES = ("data", "CLARABEL", "OSQP", "SCS")
"""Where it does so."""


def plant(monkeypatch: pytest.MonkeyPatch, place: str, fault: Fault) -> None:
    """Make every call of a solver at that place go wrong."""
    if place == "data":
        monkeypatch.setattr(
            program.clarabel, "DefaultSolver", _wrapped(program.clarabel.DefaultSolver, fault)
        )
        return
    interface = {"CLARABEL": CLARABEL, "OSQP": OSQP, "SCS": SCS}[place]
    honest = interface.solve_via_data

    def solve_via_data(self: Any, *arguments: Any, **options: Any) -> Any:
        return fault(lambda: copy.copy(honest(self, *arguments, **options)))

    monkeypatch.setattr(interface, "solve_via_data", solve_via_data)


def _wrapped(honest: type, fault: Fault) -> Callable[..., Any]:
    class Solver:
        def __init__(self, *data: Any) -> None:
            self.solver = honest(*data)

        def update(self, **data: Any) -> None:
            self.solver.update(**data)

        def solve(self) -> Any:
            return fault(self.solver.solve)

    return Solver
