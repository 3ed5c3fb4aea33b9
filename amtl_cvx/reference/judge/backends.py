"""Back ends: whatever answers the questions, behind one interface; and a Python object behind it.

    class Mine:
        name = "mine"
        dtype = "float64"                          # or "float32"
        losses = ("squared", "logistic")
        reductions = ("mean", "sum")
        transfers = ("loss-weighted-l1",)
        omegas = ()
        row_weights = False
        expected_failures = {"L5/nan-in-X": "we do not look"}
        def evaluate(self, asked): ...             # and w_step, one_task, b_step, rounds, fit: at least one

What is bounded. A call runs in a thread of this process and is given up at its limit of time: it is told to
stop (an exception in that thread, which Python code hears at its next instruction) and fails its check. Code
that never comes back from C goes on in its thread until the process ends; after `GIVEN_UP` such calls no
further one is made. The memory of a Python object is not bounded: it lives in this process. An executable is
bounded in both (`executable`).
"""

from __future__ import annotations

import abc
import ctypes
import math
import queue
import threading
from collections.abc import Mapping
from typing import Any, cast

from amtl_cvx.arrays import Array
from amtl_cvx.console import one_line
from amtl_cvx.errors import ModelError
from amtl_cvx.losses import LOSSES
from amtl_cvx.reference.judge.answers import NoAnswer, checked, named
from amtl_cvx.reference.judge.asked import DTYPES, METHODS, Asked

LIMIT = 10.0
"""Seconds for one answer, unless told otherwise."""
GIVEN_UP = 2
"""Calls that may be lost in a thread that does not end, before no other is made."""
_DEFAULTS: Mapping[str, Any] = {
    "dtype": "float64",
    "losses": ("squared", "logistic"),
    "reductions": ("mean", "sum"),
    "transfers": ("loss-weighted-l1",),
    "omegas": (),
    "row_weights": False,
    "accuracy": None,
    "expected_failures": {},
}
"""What a back end that does not say otherwise supports."""


class BackEnd(abc.ABC):
    """Whatever answers questions.

    Attributes
    ----------
    name, dtype, losses, reductions, transfers, omegas, row_weights, expected_failures
        As the essay of this module has them.
    accuracy : float or None
        The relative first-order residual at which its iterations stop, where it says so; it widens the limits
        of steps and final points accordingly (`tolerance`).
    bounds : str
        What of its time and memory is bounded, in words.
    at_once : int
        On how many packs it may be asked at the same time.
    """

    bounds: str = ""
    at_once: int = 1

    def __init__(self, name: str, said: Mapping[str, Any]) -> None:
        values = {**_DEFAULTS, **{key: value for key, value in said.items() if value is not None}}
        self.name = one_line(str(name))[:80].encode("utf-8", "replace").decode()
        self.dtype = str(values["dtype"])
        self.losses = _words(values["losses"])
        self.reductions = _words(values["reductions"])
        self.transfers = _words(values["transfers"])
        self.omegas = _words(values["omegas"])
        self.row_weights = bool(values["row_weights"])
        self.accuracy: float | None = values["accuracy"]
        failures = values["expected_failures"]
        if not isinstance(failures, Mapping):
            raise ModelError("expected_failures maps the id of a check, or a pattern, to its reason")
        self.expected_failures: Mapping[str, str] = {str(key): why for key, why in failures.items()}
        self._check()

    def _check(self) -> None:
        if self.dtype not in DTYPES:
            raise ModelError(f"dtype of the back end must be {' or '.join(DTYPES)}, got {self.dtype!r}")
        if unknown := [loss for loss in self.losses if loss not in LOSSES]:
            raise ModelError(f"unknown losses {', '.join(unknown)}: choose among {', '.join(LOSSES)}")
        if bad := set(self.reductions) - {"mean", "sum"}:
            raise ModelError(f"reductions are mean and sum, got {', '.join(sorted(bad))}")
        known = self.accuracy is None or isinstance(self.accuracy, int | float)
        if not known or (self.accuracy is not None and not 0.0 < self.accuracy < 1e-2):
            raise ModelError(f"accuracy must lie between 0 and 0.01, got {self.accuracy!r}")
        if not all(isinstance(why, str) and why.strip() for why in self.expected_failures.values()):
            raise ModelError("expected_failures maps the id of a check, or a pattern, to its reason")

    @abc.abstractmethod
    def offers(self, ask: str) -> bool:
        """Whether it answers such questions at all."""

    @abc.abstractmethod
    def _answer(self, asked: Asked) -> Mapping[str, object]:
        """The parts of an answer by name; `NoAnswer` where there is none."""

    def answer(self, asked: Asked) -> dict[str, Array]:
        """The answer in finite doubles; `NoAnswer` where there is none that could be judged."""
        return checked(self._answer(asked), asked)

    def begin(self) -> None:  # noqa: B027 - most have nothing to end
        """It is going to be asked."""

    def stop(self) -> None:  # noqa: B027
        """It is asked no more: end what is running."""

    def lacks(self, problem: Any, *, weighted: bool) -> str:
        """Why it cannot be asked about a problem; "" where it can."""
        model = problem.model
        words = model.to_dict()
        said = (
            ("loss", model.loss.name, self.losses, "losses"),
            ("reduction", model.loss.reduction, self.reductions, "reductions"),
            ("penalty", words["transfer"], self.transfers, "transfers"),
            *((("omega", words["omega"], self.omegas, "omegas"),) if words.get("omega") else ()),
        )
        for what, value, known, name in said:
            if value not in known:
                return f"the {what} {value} is not among its {name}"
        return "it does not take row weights" if weighted and not self.row_weights else ""


class PythonBackEnd(BackEnd):
    """A Python object with methods `evaluate`, `w_step`, `one_task`, `b_step`, `rounds`, `fit`."""

    def __init__(self, found: Any, *, limit: float = LIMIT) -> None:
        attributes = (*_DEFAULTS,)
        name = getattr(found, "name", None) or type(found).__name__
        super().__init__(name, {key: getattr(found, key, None) for key in attributes})
        if not any(callable(getattr(found, method, None)) for method in METHODS.values()):
            methods = ", ".join(METHODS.values())
            raise ModelError(f"a back end has at least one of the methods {methods}, {self.name} has none")
        self._found, self._limit, self._lost = found, limit, 0
        self.bounds = (
            f"{limit:g} s a call, in a thread that is given up at its end; the memory of a Python object"
            " is not bounded"
        )

    def offers(self, ask: str) -> bool:
        return callable(getattr(self._found, METHODS[ask], None))

    def _answer(self, asked: Asked) -> Mapping[str, object]:
        if self._lost >= GIVEN_UP:
            raise NoAnswer("hung", f"not asked: {self._lost} earlier calls have not come back")
        handed = asked.copy()
        method = getattr(self._found, asked.method)
        kind, value = self._called(lambda: checked(named(method(handed), asked), asked))
        if name := asked.changed(handed):
            raise NoAnswer("tampered", f"{asked.method} wrote into asked.{name}: work on a copy")
        if kind == "answer":
            return cast(Mapping[str, object], value)
        assert isinstance(value, BaseException)
        if isinstance(value, NoAnswer):
            raise value
        said = _said(value)
        if isinstance(value, NotImplementedError):
            raise NoAnswer("unsupported", f"{asked.method} is not implemented: {said}")
        raise NoAnswer("refused", f"{asked.method} raised {said}") from value

    def _called(self, work: Any) -> tuple[str, object]:
        """What a call gave or raised, within the limit."""
        answers: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answers.put(("answer", work()))
            except BaseException as error:  # SystemExit, the panic of compiled code
                answers.put(("raised", error))

        thread = threading.Thread(target=run, name="amtl_cvx back end", daemon=True)
        thread.start()
        try:
            return answers.get(timeout=None if math.isinf(self._limit) else self._limit)
        except queue.Empty:
            self._stop(thread)
            raise NoAnswer("hung", f"no answer within {self._limit:g} s") from None

    def _stop(self, thread: threading.Thread) -> None:
        """Tell a thread to end, and count it where it does not."""
        number = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(SystemExit))
        thread.join(1.0)
        self._lost += thread.is_alive()


def _said(error: BaseException) -> str:
    """What an exception says; its name where it cannot even say that."""
    try:
        return f"{type(error).__name__}: {error}".rstrip(": ")
    except Exception:
        return type(error).__name__


def backend_of(found: Any) -> BackEnd:
    """A back end, or a Python object as one; `ModelError` where it has no method to call."""
    return (
        found if isinstance(found, BackEnd) else PythonBackEnd(found() if isinstance(found, type) else found)
    )


def _words(given: Any) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(str(word) for word in given)
