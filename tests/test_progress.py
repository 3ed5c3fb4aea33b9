"""Progress: silent at first where there is no terminal, one live line on one, never in the way."""

from __future__ import annotations

import io
import threading
import time

import pytest

from amtl_cvx import progress as module
from amtl_cvx.experiment import Trial
from amtl_cvx.progress import Progress
from amtl_cvx.solution import Record


def record(relative: float) -> Record:
    return Record(
        round=2, step="W", objective=3.25, stationarity={"W": 0.0, "B": 0.0}, relative=relative,
        seconds=0.0, solver="X", solver_status="optimal",
    )  # fmt: skip


def test_what_is_quick_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(quiet=False, tol=1e-8) as progress:
        progress.phase("reading")
        progress.record(record(0.1))
    assert capsys.readouterr() == ("", "")


def test_after_the_delay_the_latest_line_then_every_phase(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_DELAY", 0.02)
    with Progress(quiet=False, tol=1e-8) as progress:
        progress.phase("reading")
        progress.phase("choosing [bold]x[/bold]")
        time.sleep(0.2)
        progress.trial(Trial(coupling=1.0, mu=2.0, held_out_loss=3.0))  # too soon after a line
        progress.phase("compiling")
    assert capsys.readouterr() == ("", "choosing [bold]x[/bold]\ncompiling\n")


@pytest.mark.parametrize("relative", [0.0, 1e-300, 1e-8, 0.5, 1.0, 7.0, float("inf"), float("nan")])
def test_records_of_any_residual(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, relative: float
) -> None:
    monkeypatch.setattr(module, "_SILENCE", 0.0)
    monkeypatch.setattr(module, "_DELAY", 0.0)
    with Progress(quiet=False, tol=1e-8) as progress:
        time.sleep(0.05)
        progress.record(record(relative))
    assert "W 2  J 3.25" in capsys.readouterr().err


def test_only_a_certified_J_is_called_the_lowest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SILENCE", 0.0)
    monkeypatch.setattr(module, "_DELAY", 0.0)
    with Progress(quiet=False, tol=1e-8) as progress:
        time.sleep(0.05)
        progress.fitted(1, 3, float("inf"))
        progress.fitted(2, 3, 0.5)
    first, second = "1 of 3 fits done, none certified so far", "2 of 3 fits done, lowest certified J 0.5"
    assert capsys.readouterr().err == f"{first}\n{second}\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_DELAY", 0.0)
    with Progress(quiet=True, tol=1e-8) as progress:
        progress.phase("reading")
        time.sleep(0.05)
        progress.phase("compiling")
    assert capsys.readouterr() == ("", "")


def test_no_thread_stays_behind() -> None:
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt), Progress(quiet=False, tol=1e-8) as progress:
        progress.stop(record(1.0))
    assert threading.active_count() == before


def test_the_live_line_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal)
    with Progress(quiet=False, tol=1e-8) as progress:
        progress.phase("reading [a].npz")
        progress.record(record(1e-4))
        time.sleep(0.3)
    shown = terminal.getvalue()
    assert "W 2  J 3.25" in shown and shown.rstrip().endswith("\x1b[2K")  # the line is erased
