"""Comparing: methods beside each other on the same rows, and what can be said of their differences.

    parts = drawn_parts(tasks, 5, test=0.25)
    found = compare(parts, ["stl", "mtfl", "amtl"], resampled=True)
    print(*describe(found), sep="; ")

Every contender is tuned on the training rows of each part (`tuning`), fitted on all of them with the
parameters that were chosen, and judged like any other fit. When the last fit is done, and not before, the
test rows of each part are read once. What a comparison says:

    error           mean and standard error over parts
    gain            over a baseline, paired part by part, with an interval (`statistics`)
    tasks           who gained and who lost against the baseline: negative transfer is counted
    graphs          the learned graphs, and which edges are there on every part (`stability`)
    certificates    what is known of every fit, and the seconds it took

It is a measurement of methods with their grids on these data, not a proof: every method that is added is one
more chance to be best by luck.
"""

from amtl_cvx.experiment.comparing.compare import compare
from amtl_cvx.experiment.comparing.comparison import Comparison, Gain, Gains
from amtl_cvx.experiment.comparing.contenders import Contender
from amtl_cvx.experiment.comparing.outcomes import Learned, Outcome
from amtl_cvx.experiment.comparing.parts import Part, drawn_parts, folded_parts
from amtl_cvx.experiment.comparing.stability import Stability
from amtl_cvx.experiment.comparing.statistics import (
    Interval,
    McNemar,
    interval,
    mcnemar,
    paired,
    standard_error,
)
from amtl_cvx.experiment.comparing.tables import describe, to_dict, write_json, write_rows

__all__ = [
    "Comparison",
    "Contender",
    "Gain",
    "Gains",
    "Interval",
    "Learned",
    "McNemar",
    "Outcome",
    "Part",
    "Stability",
    "compare",
    "describe",
    "drawn_parts",
    "folded_parts",
    "interval",
    "mcnemar",
    "paired",
    "standard_error",
    "to_dict",
    "write_json",
    "write_rows",
]
