"""Memory: what is free, and fits and certificates that would not fit are refused before they begin."""

from __future__ import annotations

import logging
import resource
import runpy
from pathlib import Path

import numpy as np
import pytest

from amtl_cvx import LossWeightedL1, Model, Options, TaskSet, certify, fit, memory
from amtl_cvx.errors import DataError
from amtl_cvx.footprint import certificate_bytes, fit_bytes
from amtl_cvx.losses import Hinge, Squared

MODEL = Model(loss=Squared(), transfer=LossWeightedL1(mu=0.1), coupling=1.0)


@pytest.fixture(scope="module")
def tall() -> TaskSet:
    """3 tasks of full rank whose W-problem takes gigabytes as CVXPY has it."""
    X = np.random.default_rng(0).normal(size=(3, 1000, 1000))
    return TaskSet.from_arrays(list(X), list(X[:, :, 0]))


def test_what_is_free_is_the_least_of_what_each_authority_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = memory.available()
    assert 0 < whole < 2**50
    meminfo, limit, used = (tmp_path / name for name in ("meminfo", "limit", "used"))
    meminfo.write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable: 5000 kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_GROUPS", ((str(limit), str(used)),))
    assert memory.available() == 5000 * 1024
    limit.write_text("max\n")
    used.write_text("2000000\n")
    assert memory.available() == 5000 * 1024
    limit.write_text("3000000\n")
    assert memory.available() == 1_000_000
    limit.write_text("1000\n")
    assert not memory.available()
    meminfo.unlink()
    monkeypatch.setattr(memory, "_GROUPS", ())
    assert memory.available() >= whole  # the machine's whole memory


def test_the_limit_of_the_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**40 + 2**33, 2**41))
    monkeypatch.setattr(memory, "_MEMINFO", Path("/nowhere"))
    monkeypatch.setattr(memory, "_GROUPS", ())
    monkeypatch.setattr(memory.os, "sysconf", lambda name: 2**40)
    assert 2**39 < memory.available() < 2**40 + 2**33


def test_a_fit_that_does_not_fit_is_refused_with_the_number_and_a_cure(
    tall: TaskSet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(memory, "available", lambda: 500 * 2**20)
    with caplog.at_level(logging.INFO, logger="amtl_cvx"), pytest.raises(DataError) as caught:
        fit(tall, MODEL)
    words = str(caught.value)
    assert "\n" not in words and "the fit needs about" in words and "500 MiB are free" in words
    assert "--engine fast" in words and "fewer features" in words
    assert "the fit needs about" in caplog.text
    with pytest.raises(DataError, match="the fit needs about .* take fewer features or tasks$"):
        monkeypatch.setattr(memory, "available", lambda: 2**20)
        fit(tall, MODEL, method="stl")
    with pytest.raises(DataError, match="the certificate needs about"):
        certify(tall, MODEL, np.zeros((1000, 3)), np.zeros((3, 3)))


def test_small_fits_ask_nobody(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    monkeypatch.setattr(memory, "available", lambda: 0)
    X, y = rng.normal(size=(2, 9, 3)), rng.normal(size=(2, 9))
    tasks = TaskSet.from_arrays(list(X), list(y))
    assert fit(tasks, MODEL, options=Options(engine="fast")).certificate.passes


def test_the_estimate_grows_with_what_is_held(tall: TaskSet) -> None:
    cvxpy, fast = fit_bytes(tall, MODEL, Options()), fit_bytes(tall, MODEL, Options(engine="fast"))
    assert fast < cvxpy  # no tensors of 3 (d, d) blocks with their indices
    assert cvxpy > 3 * 1000**2 * (8 + 4) * 5  # at least five sparse copies of these
    assert fast > 8 * 3000**2  # the Hessian
    assert certificate_bytes(tall, MODEL) <= fast
    hinge = Model(loss=Hinge(), transfer=MODEL.transfer, coupling=1.0)
    assert fit_bytes(tall, hinge, Options()) > 3 * 1000**2 * 100


@pytest.mark.slow
def test_the_estimate_is_near_what_a_process_takes() -> None:
    report = Path(__file__).parents[1] / "reports" / "scale" / "memory.py"
    measured = runpy.run_path(str(report))["measured"]
    found = [measured(3, 400, 500, loss="squared", engine="cvxpy") for _ in range(3)]
    peak = max(each["peak"] for each in found)  # a busy machine takes pages away from a process that waits
    assert 0.8 * peak <= found[0]["estimate"] <= 1.4 * peak, found  # some kernels count less
