"""What is installed, and which solver is tried when."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from amtl_cvx.errors import SolverUnavailableError

Step = Literal[
    "W",
    "W-cone",
    "W-omega",
    "B",
    "B-cone",
    "L",
    "L-cone",
    "S",
    "S-cone",
    "A",
    "D",
    "G",
    "cell",
    "cell-cone",
    "kinks",
]

CHAINS: Mapping[Step, tuple[str, ...]] = {
    "W": ("CLARABEL", "SCS", "OSQP"),
    "W-cone": ("CLARABEL", "SCS"),
    "W-omega": ("CLARABEL", "SCS"),
    "B": ("CLARABEL", "OSQP", "SCS"),
    "B-cone": ("CLARABEL", "SCS"),
    "L": ("CLARABEL", "SCS", "OSQP"),
    "L-cone": ("CLARABEL", "SCS"),
    "S": ("CLARABEL", "OSQP", "SCS"),
    "S-cone": ("CLARABEL", "SCS"),
    "A": ("CLARABEL", "OSQP", "SCS"),
    "D": ("CLARABEL", "SCS"),
    "G": ("CLARABEL", "OSQP", "SCS"),
    "cell": ("CLARABEL", "OSQP", "SCS"),
    "cell-cone": ("CLARABEL", "SCS"),
    "kinks": ("CLARABEL", "OSQP", "SCS"),
}
"""Solvers of each step, the default first."""

AS_DATA: tuple[Step, ...] = ("W", "B", "L", "S", "A", "D", "G", "cell")
"""Steps that are quadratic programs, over balls too, which Clarabel gets as data."""

_PACKAGES = {"CLARABEL": "clarabel", "OSQP": "osqp", "SCS": "scs"}


@dataclass(frozen=True, kw_only=True)
class SolverInfo:
    """One row of `amtl-cvx solvers`."""

    name: str
    usable: bool
    version: str
    role: str
    reason: str = ""


@functools.cache
def installed() -> frozenset[str]:
    """Those of our solvers whose package is here; CVXPY would look for all of its solvers (10 to 20 ms)."""
    return frozenset(name for name, package in _PACKAGES.items() if importlib.util.find_spec(package))


def available() -> tuple[SolverInfo, ...]:
    """What is installed, and for what is not, why not."""
    rows = []
    for name, package in _PACKAGES.items():
        steps = ", ".join(
            f"{step}{' (default)' if chain[0] == name else ''}"
            for step, chain in CHAINS.items()
            if name in chain
        )
        found = name in installed()
        rows.append(
            SolverInfo(
                name=name,
                usable=found,
                version=importlib.metadata.version(package) if found else "",
                role=steps,
                reason="" if found else f"the package {package!r} is not installed: pip install {package}",
            )
        )
    return tuple(rows)


def check_solver(name: str) -> str:
    """The solver's canonical name ("auto" included).

    Raises
    ------
    SolverUnavailableError
        If the name is unknown or the solver is not installed.
    """
    canonical = "auto" if name.lower() == "auto" else name.upper()
    if canonical == "auto":
        return canonical
    if canonical not in _PACKAGES:
        raise SolverUnavailableError(f"unknown solver {name!r}: choose auto, {', '.join(_PACKAGES)}")
    if canonical not in installed():
        raise SolverUnavailableError(
            f"solver {canonical} is not installed: pip install {_PACKAGES[canonical]}, or choose auto"
        )
    return canonical


def chain(step: Step, solver: str) -> tuple[str, ...]:
    """The solvers to try, in order: `solver` first where it can do the step."""
    usable = tuple(name for name in CHAINS[step] if name in installed())
    return tuple(sorted(usable, key=lambda name: name != solver)) if solver in usable else usable
