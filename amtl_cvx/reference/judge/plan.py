"""Which checks are made on which packs, each to be made when its turn comes.

    for plan in planned(backend, chosen(backend, None), ("L0", "L1")):
        plan.id, plan.reason        # "L0/objective-generic/tiny-pair", and why it is expected to fail
        result = plan.result()      # now the back end is asked

`judge` makes them one after another, the checks of a test suite (`reference.checks`) one test each.
"""

from __future__ import annotations

import fnmatch
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from amtl_cvx.arrays import Array
from amtl_cvx.errors import AMTLError, ModelError
from amtl_cvx.reference.judge.answers import NoAnswer
from amtl_cvx.reference.judge.backends import BackEnd
from amtl_cvx.reference.judge.case import Case, Outcome
from amtl_cvx.reference.judge.causes import causes_of
from amtl_cvx.reference.judge.checks import KINDS, Kind
from amtl_cvx.reference.judge.failure import Cause
from amtl_cvx.reference.judge.verdict import LEVELS, Check, Result, Status
from amtl_cvx.reference.pack import Pack

_NO_ANSWER = {
    "refused": Cause(name="raised", sentence="it refused to answer", fix="see what it says"),
    "crashed": Cause(name="crash", sentence="it crashed", fix="run the command by hand on the same input"),
    "hung": Cause(
        name="hang", sentence="it does not end in time", fix="bound its iterations, or give it longer"
    ),
    "invalid": Cause(name="no-answer", sentence="what it gave is no answer", fix="see what was expected"),
    "tampered": Cause(name="input-written", sentence="it wrote into its input", fix="work on a copy"),
}
"""What explains a check without an answer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """A check that is to be made on a pack."""

    kind: Kind
    case: Case
    place: tuple[int, int]
    """Of its level and of its kind, by which results are sorted."""

    @property
    def id(self) -> str:
        """What it is called."""
        return self.kind.id(self.case.name)

    @property
    def reason(self) -> str:
        """Why the back end says that it fails; "" where it does not."""
        return _expected(self.case.backend, self.id)

    def result(self) -> Result:
        """What comes of it: the back end is asked now."""
        return _result(self.kind, self.case)


def planned(backend: BackEnd, packs: Iterable[Pack], levels: Sequence[str] | None) -> Iterator[Planned]:
    """The checks on some packs, pack by pack; `ModelError` for an unknown level."""
    wanted = tuple(LEVELS) if levels is None else tuple(levels)
    if unknown := [level for level in wanted if level not in LEVELS]:
        raise ModelError(f"unknown level {', '.join(map(str, unknown))}: choose among {', '.join(LEVELS)}")
    kinds = [kind for kind in KINDS if kind.level in wanted]
    made, hung = Counter[str](), Counter[str]()
    for pack in packs:
        case = Case(backend, pack, hung=hung)
        for order, kind in enumerate(kinds):
            if _wanted(kind, case, made):
                yield Planned(kind=kind, case=case, place=(wanted.index(kind.level), order))


def unused(backend: BackEnd, ids: Sequence[str]) -> tuple[str, ...]:
    """The announced failures that no check has the name of."""
    return tuple(
        pattern for pattern in backend.expected_failures if not any(_matches(pattern, each) for each in ids)
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
        evidence=_evidence(outcome, causes),
        reason=reason,
    )


def _evidence(outcome: Outcome, causes: tuple[Cause, ...]) -> dict[str, Array]:
    """What the check left, and beside it what the first cause gives."""
    gives = causes[0].gives if causes else None
    return {**outcome.evidence, **({} if gives is None else {"mistaken": gives})}


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
