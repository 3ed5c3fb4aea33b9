"""The judge for faster back ends: is an implementation of AMTL right, and if not, which mistake is it?

    from amtl_cvx.reference.judge import judge, Executable
    verdict = judge(Mine())                          # a Python object
    verdict = judge(Executable("./solve"))           # a program: solve IN_DIR OUT_DIR
    print(verdict.line())

The chapters:

    asked        what a back end is handed
    answers      what it says, taken apart without trust
    backends     a Python object as a back end
    executable   a program as a back end
    files        what it is handed and hands back
    tolerance    how far an answer may be off, derived
    misses       what gradients are off by
    points       where it is asked
    case         a back end before one problem
    checks       level by level
    failure      what failed, and the mistake behind it
    causes       which mistake explains a failure
    choice       which packs it is asked about
    verdict      the results
    plan         which checks are made on which packs
    run          all of it
    summary      what a verdict says before any single check
    table        the verdict on the console; `junit` for a CI, `page` with `pictures` (`axes`, `meters`)

Answers are judged by what is recomputed from the data: gaps, residuals, objectives; by their distance from
ours only where there is one answer.
"""

from __future__ import annotations

from amtl_cvx.reference.judge.asked import Asked
from amtl_cvx.reference.judge.backends import BackEnd, PythonBackEnd
from amtl_cvx.reference.judge.executable import Executable
from amtl_cvx.reference.judge.failure import Cause, Failure
from amtl_cvx.reference.judge.run import judge
from amtl_cvx.reference.judge.verdict import Check, Result, Verdict

__all__ = [
    "Asked",
    "BackEnd",
    "Cause",
    "Check",
    "Executable",
    "Failure",
    "PythonBackEnd",
    "Result",
    "Verdict",
    "judge",
]
