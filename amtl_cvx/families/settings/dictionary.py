"""SC-MTL on the command line: D has directions that all tasks share, G is the code of each task.

The radius has no default: it is as long as a predictor may get, in the units of the data.
"""

from __future__ import annotations

from amtl_cvx.families.settings.amtl import REFINE
from amtl_cvx.families.settings.features import FEATURES, INIT
from amtl_cvx.families.settings.table import Setting, Settings

RADIUS = Setting(
    name="radius", words="how large ||g_t||_1 may be, the sum of a task's code, > 0", needed=True, kind=float
)

SC_MTL = Settings(
    family="sc-mtl",
    title="SC-MTL",
    methods=("sc-mtl",),
    model=(FEATURES, RADIUS),
    fit=(INIT, REFINE),
    further=("engine",),
)
