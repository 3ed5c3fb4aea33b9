"""The hand-written compiled alternation, alternation.cpp: the stand-in for the physical limit.

`--library` is the shared library made from alternation.cpp. BLAS and LAPACK are those of SciPy, through the
function pointers that `scipy.linalg.cython_blas` and `cython_lapack` export. `--wstep auto|cholesky|pcg`;
`--newton ROUNDS`: Newton on the free variables after so many rounds, but not before the relative residual is
below `--handover` (looked at every tenth round, and paid for).
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import math

import numpy as np
import protocol
import scipy.linalg.cython_blas
import scipy.linalg.cython_lapack

PCG_TOLERANCE = 1e-12
"""Largest residual of a task's equations, relative to its right-hand side."""
CHOLESKY_LIMIT = 100
"""Unknowns of the W-step up to which the dense factor is not the slower one (`--wstep auto`, measured)."""


class Alternation:
    """A problem in the compiled library. W and B are kept transposed: its columns are NumPy's rows."""

    def __init__(self, library: ctypes.CDLL, problem: protocol.Problem) -> None:
        T, d = problem.T, problem.d
        self._library = library
        self._data = [np.empty((T, d, d)), np.empty((T, d)), np.empty(T)]
        for t, (X, y) in enumerate(zip(problem.X, problem.y, strict=True)):
            scale = problem.scale(t)
            self._data[0][t], self._data[1][t] = 2.0 * scale * (X.T @ X), 2.0 * scale * (X.T @ y)
            self._data[2][t] = scale * (y @ y)
        library.amtl_new.restype = ctypes.c_void_p
        pointers = [_pointer(scipy.linalg.cython_blas, "dgemm")]
        pointers += [_pointer(scipy.linalg.cython_lapack, name) for name in ("dpotrf", "dpotrs", "dpotri")]
        weights = (ctypes.c_double(problem.mu), ctypes.c_double(problem.coupling))
        self._problem = ctypes.c_void_p(
            library.amtl_new(T, d, *weights, *(_address(array) for array in self._data), *pointers)
        )
        self._W, self._B, self._shift = np.zeros((T, d)), np.zeros((T, T)), ctypes.c_double(1e-3)

    @property
    def W(self) -> protocol.Array:  # noqa: N802
        return self._W.T

    @property
    def B(self) -> protocol.Array:  # noqa: N802
        return self._B.T

    def round(self, tolerance: float) -> int:
        """One W-step and one B-step; 0, or which of the two (1, 2) failed. Tolerance 0: Cholesky."""
        place = (_address(self._W), _address(self._B))
        return int(self._library.amtl_round(self._problem, *place, ctypes.c_double(tolerance)))

    @property
    def residual(self) -> float:
        """The relative first-order residual at the present point."""
        self._library.amtl_residual.restype = ctypes.c_double
        return float(self._library.amtl_residual(self._problem, _address(self._W), _address(self._B)))

    def newton(self) -> bool:
        """One Newton step; whether there was one that improves the point."""
        place = (_address(self._W), _address(self._B))
        return int(self._library.amtl_newton(self._problem, *place, ctypes.byref(self._shift))) == 0


def work(problem: protocol.Problem, recorder: protocol.Recorder, arguments: argparse.Namespace) -> str:
    """Rounds from B = 0, then Newton steps if asked for."""
    solver = Alternation(ctypes.CDLL(arguments.library), problem)
    wstep, newton = arguments.wstep, arguments.newton
    if wstep == "auto":
        wstep = "cholesky" if problem.T * problem.d <= CHOLESKY_LIMIT else "pcg"
    recorder.describe(set_up_seconds=recorder.seconds, exact_rounds=-1, wstep=wstep)
    tolerance = 0.0 if wstep == "cholesky" else PCG_TOLERANCE
    for number in itertools.count(1):
        if failed := solver.round(tolerance):
            return f"failed: {'WB'[failed - 1]}-step of round {number}"
        recorder.point(number, solver.W, solver.B)
        if newton and number >= newton and number % 10 == 0 and solver.residual <= arguments.handover:
            break
    recorder.describe(exact_rounds=number)
    for number in itertools.count(number + 1):  # noqa: B020
        if not solver.newton():
            break
        recorder.point(number, solver.W, solver.B)
    return "no step improves the point any more"


def _address(array: protocol.Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _pointer(module: object, name: str) -> ctypes.c_void_p:
    """The address of a Fortran routine that a Cython module of SciPy exports."""
    capsule = module.__pyx_capi__[name]  # type: ignore[attr-defined]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return ctypes.c_void_p(api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule)))


if __name__ == "__main__":
    defaults = {"library": "", "wstep": "auto", "newton": 0, "handover": math.inf}
    protocol.main(work, packages=("scipy", "numpy"), options=defaults)
