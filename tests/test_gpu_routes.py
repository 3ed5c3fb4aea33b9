"""Which routes to a GPU there are, found without importing them."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest
from gpus import MODULES, install, none_present

from amtl_cvx import Options
from amtl_cvx.errors import ModelError, SolverUnavailableError
from amtl_cvx.solvers import cuda, gpu, gpu_routes

BACKENDS = set(MODULES.values())

# routes


@pytest.mark.parametrize(
    "there, devices, reason",
    [
        ({"scs"} | BACKENDS, ("H1",), ""),
        ({"scs"} | BACKENDS, (), "no CUDA device is visible"),
        ({"scs"}, ("H1",), "without its GPU back end: pip install"),
        (set(), ("H1",), "not installed"),
        (set(), (), "; no CUDA device is visible"),
    ],
)
def test_every_route_is_usable_or_says_why_not(
    monkeypatch: pytest.MonkeyPatch, there: set[str], devices: tuple[str, ...], reason: str
) -> None:
    monkeypatch.setattr(gpu, "_found", there.__contains__)
    monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda(devices, "hidden"))
    routes = gpu_routes()
    assert [route.linear_solver for route in routes] == list(MODULES)
    for route in routes:
        assert route.usable == (not reason) == (not route.reason)
        assert reason in route.reason


def test_builds_are_looked_for_without_importing_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import scs

    for name in MODULES.values():
        monkeypatch.delitem(sys.modules, name, raising=False)
        (tmp_path / f"{name.partition('.')[2]}.py").write_text("raise SystemExit('imported')")
    monkeypatch.setattr(scs, "__path__", [*scs.__path__, str(tmp_path)])
    monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda(("H1",)))
    assert all(route.usable for route in gpu_routes())
    assert not set(MODULES.values()) & set(sys.modules)


def test_a_missing_parent_package_is_not_found() -> None:
    assert not gpu._found("no_such_package.part") and not gpu._found("no_such_package")
    assert gpu._found("scs._scs_direct")


class Driver:
    """libcuda with `names` as its devices, or an error code of cuInit."""

    def __init__(self, code: int = 0, names: tuple[str, ...] = ()) -> None:
        self.code, self.names = code, names

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGetName(self, text: Any, size: int, number: int) -> int:
        text.value = self.names[number].encode()[: size - 1]
        return 0


@pytest.mark.parametrize(
    "driver, hidden, devices, reason",
    [
        (None, None, (), "no NVIDIA driver"),
        (Driver(names=("H1", "H2")), None, ("H1", "H2"), ""),
        (Driver(), None, (), "the NVIDIA driver shows none"),
        (Driver(code=100), "", (), "shows none: CUDA_VISIBLE_DEVICES is ''"),
        (Driver(code=34), None, (), "error 34"),
    ],
)
def test_the_driver_says_which_devices_are_visible(
    monkeypatch: pytest.MonkeyPatch,
    driver: Driver | None,
    hidden: str | None,
    devices: tuple[str, ...],
    reason: str,
) -> None:
    def load(name: str) -> Driver:
        if driver is None:
            raise OSError(name)
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    found = cuda.__wrapped__()
    assert found.devices == devices and reason in found.reason and bool(found.reason) == (not devices)


@pytest.mark.parametrize("built, visible", [(False, False), (True, False), (False, True)])
def test_on_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, built: bool, visible: bool) -> None:
    none_present(monkeypatch)
    if built:
        install(monkeypatch, visible=False)
    if visible:
        monkeypatch.setattr(gpu, "cuda", lambda: gpu.Cuda(("H1",)))
    with pytest.raises(SolverUnavailableError) as caught:
        Options(gpu="on")
    said = str(caught.value)
    assert ("built without its GPU back end" in said) == (not built)
    assert ("no CUDA device is visible" in said) == (not visible)
    assert said.endswith("choose 'auto' or 'off'") and "\n" not in said


def test_options_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.raises(ModelError, match="gpu must be 'auto', 'on' or 'off', got 'yes'"):
        Options(gpu="yes")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="solves with SCS, the solver asked for is OSQP"):
        Options(gpu="on", solver="osqp")
    with pytest.raises(ModelError, match="fast engine does not use a GPU"):
        Options(gpu="on", engine="fast")
    assert Options(gpu="on", solver="scs").backend.gpu.linear_solver == "cudss"
