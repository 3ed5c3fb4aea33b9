"""Progress on the console: what a fit is doing, on stderr, never in the way of results.

On a terminal one live line: phase, step, objective, residual, and a bar that fills as the relative residual
falls from 1 to the tolerance (on a logarithmic scale). Elsewhere a plain line at each phase and every few
seconds, from the third second on, so that a mistake that shows at once is one line on stderr. Where nothing
new comes for `_BEAT` seconds, the last line comes again with the time: what is at work has not ended.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from amtl_cvx.console import clean

if TYPE_CHECKING:
    from amtl_cvx.experiment import Trial
    from amtl_cvx.solution import Record

_SILENCE = 3.0
"""Seconds between plain lines where there is no terminal."""
_DELAY = 2.0
"""Seconds before the first of them."""
_BEAT = 20.0
"""Seconds of silence there, after which a line says that the work goes on; and between steps of trials."""


class Progress:
    """Shows phases and records; `quiet` shows nothing."""

    def __init__(self, *, quiet: bool, tol: float) -> None:
        self._quiet, self._tol = quiet, tol
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._live = self._console.is_terminal and not quiet
        self._latest, self._spoke, self._awake = "", -math.inf, False
        self._lock = threading.Lock()
        self._timer = threading.Timer(_DELAY, self._wake)
        self._timer.daemon = True
        self._begun, self._over, self._trials = time.monotonic(), threading.Event(), ""
        self._pulse = threading.Thread(target=self._beat, daemon=True)
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._task = self._bar.add_task("starting", total=1.0)

    def __enter__(self) -> Progress:
        self._bar.start()
        if not (self._quiet or self._live):
            self._timer.start()
            self._pulse.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._timer.is_alive():
            self._timer.join()
        self._over.set()
        if self._pulse.is_alive():
            self._pulse.join()
        self._bar.stop()

    def phase(self, text: str) -> None:
        """Something new begins."""
        self._trials = text
        self._show(text, 0.0, spoken=True)

    def counting(self, text: str) -> Callable[[int], None]:
        """A phase that reads rows; what comes back is told how many so far."""
        self.phase(text)
        return lambda seen: self._show(f"{text}: {seen:,} rows", 0.0)

    def record(self, record: Record) -> None:
        """A step of the fit is done."""
        residual = f"J {record.objective:.10g}  residual {record.relative:.1e}"
        done = math.log(max(record.relative, self._tol)) / math.log(self._tol) if record.relative > 0 else 1.0
        self._show(f"{record.step} {record.round}  {residual}", min(max(done, 0.0), 1.0))

    def trial(self, trial: Trial) -> None:
        """A setting was tried."""
        self._show(
            f"coupling {trial.coupling:.3g}, mu {trial.mu:.3g}: held-out loss {trial.held_out_loss:.5g}", 0.0
        )

    def fitted(self, done: int, total: int, lowest: float) -> None:
        """One fit of many is done; `lowest` is the lowest certified J, infinite where there is none yet."""
        best = f"lowest certified J {lowest:.10g}" if math.isfinite(lowest) else "none certified so far"
        self._show(f"{done} of {total} fits done, {best}", done / total)

    def tried(self, done: int, total: int, least: float) -> None:
        """Some fits of a tuning are done; `least` is the least mean error so far, or infinite."""
        best = f", least error {least:.5g}" if math.isfinite(least) else ""
        self._trials = f"{done} of {total} points and splits so far{best}"
        self._show(self._trials, done / total)

    def step(self, record: Record) -> None:
        """A step within a trial is done."""
        fit = f"at work: {record.step} {record.round}, J {record.objective:.4g}, {record.seconds:.0f} s"
        self._show(f"{self._trials}; {fit}", None, every=_BEAT)

    def passing(self, text: str) -> None:
        """What is at work now, one of many: told every few seconds."""
        self._show(text, 0.0)

    def stop(self, record: Record) -> None:
        """A callback that ends the fit after its first step."""
        raise KeyboardInterrupt

    def _show(
        self, text: str, done: float | None, *, spoken: bool = False, every: float | None = None
    ) -> None:
        text, every = clean(text), _SILENCE if every is None else every
        if self._live:
            self._bar.update(self._task, description=escape(text), completed=done)
            return
        with self._lock:
            self._latest = text
            if self._awake and (spoken or time.monotonic() - self._spoke > every):
                self._speak()

    def _wake(self) -> None:
        with self._lock:
            self._awake = True
            if self._latest:
                self._speak()

    def _beat(self) -> None:
        while not self._over.wait(_BEAT / 4.0):
            with self._lock:
                if self._awake and time.monotonic() - self._spoke > _BEAT:
                    self._speak(f" ({time.monotonic() - self._begun:.0f} s so far)")

    def _speak(self, more: str = "") -> None:
        self._console.print(f"{self._latest}{more}", markup=False)
        self._spoke = time.monotonic()
