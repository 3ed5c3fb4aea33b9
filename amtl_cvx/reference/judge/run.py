"""The judge: every check on every pack that suits a back end, each a `Result`, all of them a `Verdict`.

Whatever a back end does is a result: an exception, a crash, a call that does not end, an answer that is
none. What is bounded of its time and memory is said in `Verdict.bounds` (`backends`, `executable`). The
judge itself computes in NumPy, in double precision, and calls no solver.
"""

from __future__ import annotations

import fnmatch
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from amtl_cvx.errors import AMTLError, ModelError
from amtl_cvx.reference.judge.answers import NoAnswer
from amtl_cvx.reference.judge.backends import BackEnd, backend_of
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.causes import causes_of
from amtl_cvx.reference.judge.checks import KINDS, Kind
from amtl_cvx.reference.judge.choice import chosen
from amtl_cvx.reference.judge.failure import Cause
from amtl_cvx.reference.judge.verdict import LEVELS, Check, Result, Status, Verdict

_NO_ANSWER = {
    "refused": Cause(name="raised", sentence="it refused to answer", fix="see what it says"),
    "crashed": Cause(name="crash", sentence="it crashed", fix="run the command by hand on the same input"),
    "hung": Cause(name="hang", sentence="it does not end in time", fix="bound its iterations"),
    "invalid": Cause(name="no-answer", sentence="what it gave is no answer", fix="see shapes and dtype"),
    "tampered": Cause(name="input-written", sentence="it wrote into its input", fix="work on a copy"),
}
"""What explains a check without an answer."""


def judge(
    backend: Any,
    *,
    packs: Iterable[Any] | None = None,
    levels: Sequence[str] | None = None,
    observe: Callable[[Result], None] | None = None,
) -> Verdict:
    """Judge a back end.

    Parameters
    ----------
    backend
        An object with methods `evaluate`, `w_step`, `one_task`, `b_step`, `rounds`, `fit` (at least one), its
        class, or an `Executable`.
    packs : sequence of Pack, name or folder, optional
        What it is asked about; else what suits it (`choice`).
    levels : sequence of str, optional
        Those of ``("L0", ..., "L5")`` that are tried; all of them if not given.
    observe : callable(Result), optional
        Is told each result as it comes.

    Returns
    -------
    Verdict

    Raises
    ------
    ModelError
        For an object without any of the methods, an unknown level, or a pack that does not suit.
    DataError
        For a pack that is not there or was changed.

    Examples
    --------
    >>> import numpy as np
    >>> from amtl_cvx.reference.judge import judge
    >>> class Mine:
    ...     def evaluate(self, asked):
    ...         return {"losses": np.full(asked.T, -1.0)}
    >>> judge(Mine(), levels=["L0"]).passes
    False
    """
    started = time.perf_counter()
    asked_of = backend_of(backend)
    wanted = tuple(LEVELS) if levels is None else tuple(levels)
    if unknown := [level for level in wanted if level not in LEVELS]:
        raise ModelError(f"unknown level {', '.join(map(str, unknown))}: choose among {', '.join(LEVELS)}")
    found = chosen(asked_of, packs)
    kinds = [kind for kind in KINDS if kind.level in wanted]
    results: list[tuple[tuple[int, int], Result]] = []
    made, hung = Counter[str](), Counter[str]()
    for pack in found:
        case = Case(asked_of, pack, hung=hung)
        for order, kind in enumerate(kinds):
            if not _wanted(kind, case, made):
                continue
            result = _result(kind, case)
            results.append(((wanted.index(kind.level), order), result))
            if observe is not None:
                observe(result)
    results.sort(key=lambda each: each[0])
    ids = [result.check.id for _, result in results]
    unused = [
        pattern for pattern in asked_of.expected_failures if not any(_matches(pattern, each) for each in ids)
    ]
    return Verdict(
        backend=asked_of.name,
        dtype=asked_of.dtype,
        results=tuple(result for _, result in results),
        packs=tuple(pack.name for pack in found),
        seconds=time.perf_counter() - started,
        bounds=asked_of.bounds,
        unused=tuple(unused),
    )


def _wanted(kind: Kind, case: Case, made: Counter[str]) -> bool:
    """Whether a check is made on a pack, which is counted then."""
    name = f"{kind.level}/{kind.name}"
    if case.pack.ask not in kind.asks or (kind.most is not None and made[name] >= kind.most):
        return False
    if kind.applies(case):
        return False
    made[name] += 1
    return True


def _result(kind: Kind, case: Case) -> Result:
    """What comes of a check on a pack."""
    started = time.perf_counter()
    name = kind.id(case.name)
    about = Check(
        id=name, level=kind.level, name=kind.name, title=kind.title, needs=kind.needs, pack=case.name
    )
    outcome, causes = _made(kind, case, name)
    status: Status = outcome.status
    reason = _expected(case.backend, name)
    if reason and status != "skipped":
        status = "expected" if status == "failed" else "unexpected pass"
    return Result(
        check=about,
        status=status,
        words=outcome.words,
        causes=causes,
        figures=outcome.figures,
        seconds=time.perf_counter() - started,
        evidence=outcome.evidence,
        reason=reason,
    )


def _made(kind: Kind, case: Case, name: str) -> tuple[Outcome, tuple[Cause, ...]]:
    """The outcome of a check, and what explains it where it failed."""
    if not case.backend.offers(kind.needs):
        return Outcome("skipped", f"the back end has no {kind.needs.replace('-', '_')}"), ()
    with np.errstate(all="ignore"):
        try:
            outcome = kind.run(case)
        except NoAnswer as error:
            if error.kind == "unsupported":
                return Outcome("skipped", str(error)), ()
            return Outcome("failed", str(error)), (_NO_ANSWER[error.kind],)
        except (AMTLError, ArithmeticError, np.linalg.LinAlgError) as error:
            return Outcome("failed", f"the answer cannot be judged: {error}"), ()
        if outcome.status != "failed" or outcome.failure is None:
            return outcome, ()
        return outcome, causes_of(replace(outcome.failure, check=name))


def _expected(backend: BackEnd, name: str) -> str:
    """Why the back end says that a check fails; "" where it does not."""
    for pattern, why in backend.expected_failures.items():
        if _matches(pattern, name):
            return why
    return ""


def _matches(pattern: str, name: str) -> bool:
    """Whether a pattern is a check's id, matches it, or is its level, or level and name."""
    return fnmatch.fnmatchcase(name, pattern) or name.startswith(f"{pattern}/")
