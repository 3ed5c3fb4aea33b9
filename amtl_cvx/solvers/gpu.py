"""The GPU: which routes are usable here and why not, and SCS with a GPU linear solver for the inner solves.

SCS can hand its linear systems to a GPU, if it was built so (the PyPI wheel is not): to cuDSS, a sparse
direct factorisation, which is tried first, or to conjugate gradients on cuSPARSE ("gpu_indirect"). Its answer
goes the way of every other: polished where the step has a polish, and judged by the certificate. `Gpu` says
for one fit which inner solves go there:

    off    none
    on     W-, L- and S-steps, whole B-steps, and steps in cells; what is solved one task or one column at a
           time stays on the CPU, which has done it before a device is set up
    auto   of these, the ones with `GPU_SIZE` unknowns or more (measured by `reports/gpu/measure.py`)

A failure on the GPU is said in a warning and in the history, the CPU's chain solves the problem, and the GPU
is not tried again in that fit.

A build is looked for without importing it (other solvers that CVXPY can drive on a GPU, and why they are not
used: the guide, GPU). The driver is asked for the number and names of the devices; no context is created, and
devices that the environment hides (CUDA_VISIBLE_DEVICES) do not count.

Source: https://www.cvxgrp.org/scs/linear_solver/ (SCS 3.3); cuInit, cuDeviceGetCount, cuDeviceGetName: CUDA
driver API.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

from amtl_cvx.errors import ModelError, SolverUnavailableError
from amtl_cvx.solvers.inventory import CHAINS

GpuChoice = Literal["auto", "on", "off"]

GPU_SIZE: Mapping[str, int | None] = {"W": None, "B": None}
"""Unknowns of a W-step and of a whole B-step from which the GPU is the faster one: "crossover" in
reports/gpu/figures.json, taken over by hand. None: not measured, and auto stays on the CPU."""

log = logging.getLogger(__name__)

_EVERY_SIZE: Mapping[str, int | None] = dict.fromkeys(CHAINS, 0) | {"A": None}
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


class Cuda(NamedTuple):
    """The names of the CUDA devices that this process sees, and why there are none."""

    devices: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class GpuRoute:
    """One of SCS's linear solvers on a GPU: usable here, or everything that is missing."""

    linear_solver: str
    usable: bool
    reason: str = ""

    @property
    def name(self) -> str:
        return f"SCS {self.linear_solver}"


class _Build(NamedTuple):
    """A build of SCS with a GPU linear solver: the extension module that tells, the flag that makes it."""

    linear_solver: str
    module: str
    flag: str

    @property
    def missing(self) -> str:
        """What has to be installed or built; empty if all is there."""
        if _found(self.module):
            return ""
        absent = "installed without its GPU back end" if _found("scs") else "not installed"
        flags = f"-Csetup-args=-D{self.flag}=true -Csetup-args=-Dint32=true"
        return f"{absent}: pip install scs --no-binary scs {flags}"


_BUILDS = (
    _Build("cudss", "scs._scs_cudss", "link_cudss"),
    _Build("gpu_indirect", "scs._scs_gpu", "use_gpu"),
)


@functools.cache
def cuda() -> Cuda:
    """The devices as the driver lists them; asked once in a process."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return Cuda((), f"no NVIDIA driver: {library} is not there")
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code not in (0, _NO_DEVICE):
        return Cuda((), f"the NVIDIA driver answers with error {code}")
    if not count.value:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        why = "" if hidden is None else f": CUDA_VISIBLE_DEVICES is {hidden!r}"
        return Cuda((), f"the NVIDIA driver shows none{why}")
    return Cuda(tuple(_device_name(driver, number) for number in range(count.value)))


def _device_name(driver: ctypes.CDLL, number: int) -> str:
    text = ctypes.create_string_buffer(256)
    driver.cuDeviceGetName(text, len(text), number)
    return text.value.decode(errors="replace")


def gpu_routes() -> tuple[GpuRoute, ...]:
    """SCS's routes in the order in which they are tried."""
    unseen = "" if cuda().devices else "no CUDA device is visible"
    routes = []
    for build in _BUILDS:
        reason = "; ".join(filter(None, (build.missing, unseen)))
        routes.append(GpuRoute(build.linear_solver, usable=not reason, reason=reason))
    return tuple(routes)


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of the package that should hold it
        return False


def scs_linear_solver() -> tuple[str, str]:
    """SCS's linear solver to use on the GPU; empty where none is usable, and then what is missing."""
    usable = [route.linear_solver for route in gpu_routes() if route.usable]
    if usable:
        return usable[0], ""
    built = any(_found(build.module) for build in _BUILDS)
    why = [] if built else ["scs is built without its GPU back end (how to build it: the guide, GPU)"]
    seen = cuda()
    if not seen.devices:
        why.append(f"no CUDA device is visible ({seen.reason})")
    return "", " and ".join(why)


@dataclass(kw_only=True, eq=False)
class Gpu:
    """Which inner solves of one fit go to the GPU, and how they went.

    Parameters
    ----------
    least : mapping
        By step, the number of unknowns from which the GPU is used; a step that is not in it, or None there,
        stays on the CPU.
    why_not : str
        Why the CPU does all of it, as far as that is known beforehand.
    """

    least: Mapping[str, int | None] = field(default_factory=dict)
    why_not: str = "off"
    linear_solver: str = ""
    solves: int = 0
    failure: str = ""

    def takes(self, step: str, size: int) -> bool:
        """Whether a problem of a step with `size` unknowns goes to the GPU."""
        least = self.least.get(step)
        if self.failure or least is None or size < least:
            return False
        if not self.linear_solver:
            self.linear_solver, why_not = scs_linear_solver()
            if why_not:
                self.least, self.why_not = {}, why_not
        return bool(self.linear_solver)

    def fail(self, step: str, reason: str) -> None:
        """No more GPU in this fit; warns."""
        self.failure = f"SCS {self.linear_solver} failed at a {step}-step ({reason})"
        log.warning("gpu: %s, the CPU goes on and the GPU is not tried again in this fit", self.failure)

    def sentence(self) -> str:
        """What run.json says."""
        counted = f"SCS {self.linear_solver}: {self.solves} inner solves" if self.solves else ""
        if self.failure:
            return "; ".join(filter(None, (counted, f"{self.failure}, the CPU went on")))
        return counted or f"not used: {self.why_not}"


def gpu_for(asked: GpuChoice, solver: str) -> Gpu:
    """The GPU's part in a new fit.

    Parameters
    ----------
    asked : {"auto", "on", "off"}
        See the module essay.
    solver : str
        The solver to try first, "auto" for the default chain.

    Raises
    ------
    ModelError
        For another word, or "on" with a solver that has no GPU route here.
    SolverUnavailableError
        For "on" where SCS has no usable GPU route.
    """
    if asked not in get_args(GpuChoice):
        raise ModelError(f"gpu must be 'auto', 'on' or 'off', got {asked!r}")
    if asked == "on":
        if solver not in ("auto", "SCS"):
            raise ModelError(
                f"gpu 'on' solves with SCS, the solver asked for is {solver}: choose auto or SCS"
            )
        linear_solver, missing = scs_linear_solver()
        if missing:
            raise SolverUnavailableError(f"gpu 'on' cannot be had here, {missing}: choose 'auto' or 'off'")
        why_not = "every step of this fit solves one task or one column at a time"
        return Gpu(least=_EVERY_SIZE, why_not=why_not, linear_solver=linear_solver)
    if asked == "off" or solver not in ("auto", "SCS"):
        return Gpu(why_not="off" if asked == "off" else f"the solver asked for is {solver}")
    if all(size is None for size in GPU_SIZE.values()):
        return Gpu(
            why_not="auto stays on the CPU, the size from which a GPU pays is not measured (reports/gpu)"
        )
    return Gpu(least=GPU_SIZE, why_not=f"no inner solve is large enough to pay (unknowns: {dict(GPU_SIZE)})")
