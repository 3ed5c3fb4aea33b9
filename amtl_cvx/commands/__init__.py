"""The commands behind `amtl-cvx`: each takes the parsed arguments and returns an exit code.

    fit        learn, judge, and leave a run folder
    explore    fit from many starts and list the points they reach
    certify    judge a point from any source against data
    export     the prepared problem as a folder of arrays, for any other code
    predict    apply a stored run to raw rows
    plot       draw a stored run again
    solvers    what is installed, GPU or not, and why not

A command prints results on stdout and raises `AMTLError` for whatever it cannot do; `cli.main` turns that
into one line and an exit code.
"""

from amtl_cvx.commands.certify import certify
from amtl_cvx.commands.explore import explore
from amtl_cvx.commands.export import export
from amtl_cvx.commands.fit import fit
from amtl_cvx.commands.plot import plot
from amtl_cvx.commands.predict import predict
from amtl_cvx.commands.solvers import solvers

__all__ = ["certify", "explore", "export", "fit", "plot", "predict", "solvers"]
