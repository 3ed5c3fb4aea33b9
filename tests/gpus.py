"""What the tests of the GPU share: a package that stands in for it, and problems to solve."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest
from scs import _scs_direct

from amtl_cvx.solvers import gpu

MODULES = {"cudss": "scs._scs_cudss", "gpu_indirect": "scs._scs_gpu"}


FAILURES = [
    ValueError("ScsWork allocation error!"),
    ImportError("libcublas.so.13: cannot open shared object file"),
    RuntimeError("CUDA error 700"),
]


class Standin(ModuleType):
    """A back end of scs: counts its calls; from call `fails_at` on it raises `error`, or stops at a limit."""

    def __init__(self, name: str, error: Exception | None = None, fails_at: int | None = None) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.error, self.fails_at, self.sizes = error, fails_at, []

    def SCS(self, shape: tuple[int, int], *data: Any, **settings: Any) -> Any:
        self.sizes.append(shape[1])
        if self.fails_at is not None and len(self.sizes) >= self.fails_at:
            if self.error is not None:
                raise self.error
            settings["max_iters"] = 1
        return _scs_direct.SCS(shape, *data, **settings)


def install(
    monkeypatch: pytest.MonkeyPatch, linear_solver: str = "cudss", *, visible: bool = True, **how: Any
) -> Standin:
    """Put a stand-in in place, with or without a device to be seen."""
    found = gpu.Cuda(("Stand-in 1",)) if visible else gpu.Cuda((), "the driver shows none")
    standin = Standin(MODULES[linear_solver], **how)
    monkeypatch.setattr(gpu, "cuda", lambda: found)
    monkeypatch.setitem(sys.modules, MODULES[linear_solver], standin)
    return standin


def none_present(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a back end nor a device, whatever the machine has."""
    for name in MODULES.values():
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda((), "no NVIDIA driver"))
