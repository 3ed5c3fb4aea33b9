"""The GPU: which routes are usable here and why not, and SCS with a GPU linear solver for the inner solves.

SCS can hand its linear systems to a GPU, if it was built so (the PyPI wheel is not): to cuDSS, a sparse
direct factorisation, which is tried first, or to conjugate gradients on cuSPARSE ("gpu_indirect"). Its answer
goes the way of every other: polished where the step has a polish, and judged by the certificate. `Gpu` says
for one fit which inner solves go there:

    off    none
    on     W-steps and whole B-steps; what is solved one task or one column at a time stays on the CPU,
           which has done it before a device is set up
    auto   of these, the ones with `GPU_SIZE` unknowns or more (measured by `reports/gpu/measure.py`)

A failure on the GPU is said in a warning and in the history, the CPU's chain solves the problem, and the GPU
is not tried again in that fit.

The other routes are listed for information: CVXPY can drive them, the toolkit does not. A route is looked for
without importing it. The driver is asked for the number and names of the devices; no context is created, and
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

GpuChoice = Literal["auto", "on", "off"]

GPU_SIZE: Mapping[str, int | None] = {"W": None, "B": None}
"""Unknowns of a W-step and of a whole B-step from which the GPU is the faster one: "crossover" in
reports/gpu/figures.json, taken over by hand. None: not measured, and auto stays on the CPU."""

log = logging.getLogger(__name__)

_EVERY_SIZE: Mapping[str, int | None] = {"W": 0, "W-cone": 0, "B": 0, "B-cone": 0}
_SCS_BUILD = "pip install scs --no-binary scs -Csetup-args=-D{}=true -Csetup-args=-Dint32=true"
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


class Cuda(NamedTuple):
    """The names of the CUDA devices that this process sees, and why there are none."""

    devices: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class GpuRoute:
    """A way to solve on a GPU: whether it is usable here, and if not, everything that is missing.

    `linear_solver` is SCS's name of the route where the toolkit itself can take it (`--gpu`), else empty.
    """

    name: str
    use: str
    usable: bool
    reason: str = ""
    linear_solver: str = ""


class _Needs(NamedTuple):
    """What a route needs: all of `packages`, one of `backends`, and a device."""

    name: str
    packages: tuple[str, ...]
    backends: tuple[str, ...]
    install: str
    use: str
    linear_solver: str = ""


_NEEDS = (
    _Needs("SCS cudss", ("scs",), ("scs._scs_cudss",), _SCS_BUILD.format("link_cudss"), "fit --gpu", "cudss"),
    _Needs(
        "SCS gpu_indirect",
        ("scs",),
        ("scs._scs_gpu",),
        _SCS_BUILD.format("use_gpu"),
        "fit --gpu",
        "gpu_indirect",
    ),
    _Needs(
        "MPAX",
        ("mpax", "jax"),
        ("jax_cuda13_plugin", "jax_cuda12_plugin"),
        'pip install mpax "jax[cuda13]"',
        "CVXPY: MPAX",
    ),
    _Needs("cuOpt", ("cuopt",), (), "pip install cuopt-cu13", "CVXPY: CUOPT"),
    _Needs(
        "CuClarabel",
        ("juliacall", "cupy"),
        (),
        "pip install juliacall cupy-cuda13x, and in Julia: add Clarabel CUDA",
        "CVXPY: CUCLARABEL",
    ),
    _Needs(
        "Moreau",
        ("moreau",),
        ("moreau_cuda",),
        'pip install "moreau[cuda]" (Python 3.12 or later)',
        'CVXPY: MOREAU, device="cuda"',
    ),
    _Needs(
        "QOCO (CUDA)",
        ("qoco",),
        ("qoco_cuda",),
        'pip install "qoco[cuda]"',
        'CVXPY: QOCO, algebra="cuda"',
    ),
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
    """Every route, those of the toolkit first and in the order in which it tries them."""
    visible = bool(cuda().devices)
    routes = []
    for needs in _NEEDS:
        unseen = "" if visible else "no CUDA device is visible"
        reasons = [reason for reason in (_missing(needs), unseen) if reason]
        routes.append(
            GpuRoute(
                name=needs.name,
                use=needs.use,
                usable=not reasons,
                reason="; ".join(reasons),
                linear_solver=needs.linear_solver,
            )
        )
    return tuple(routes)


def _missing(needs: _Needs) -> str:
    """What has to be installed or built; empty if all is there."""
    absent = [package for package in needs.packages if not _found(package)]
    if absent:
        return f"not installed ({', '.join(absent)}): {needs.install}"
    if needs.backends and not any(_found(module) for module in needs.backends):
        return f"installed without its GPU back end: {needs.install}"
    return ""


def _found(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:  # of the package that should hold it
        return False


def scs_linear_solver() -> tuple[str, str]:
    """SCS's linear solver to use on the GPU; empty where none is usable, and then what is missing."""
    routes = [route for route in gpu_routes() if route.linear_solver]
    usable = [route.linear_solver for route in routes if route.usable]
    if usable:
        return usable[0], ""
    built = any(_found(module) for needs in _NEEDS if needs.linear_solver for module in needs.backends)
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
