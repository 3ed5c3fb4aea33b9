"""The folder of a run: what `amtl-cvx fit --out DIR` leaves behind, and how it is read again.

    solution.npz       W (d, T), B (T, T), losses (T,), objective (); `order` (T,) for a curriculum
    certificate.json   the certificate
    history.csv        one line a step
    graph.png, graph.graphml, report.html
    run.json           arguments, model, preparation, versions, seed, timings, hash of the data

A folder is written beside its place under a temporary name and moved there when it is complete, so DIR is
whole or absent, also after an interrupt. An existing folder is replaced only if it is empty or holds a
run.json of ours; anything else in it is somebody's work.

    >>> save(solution, "out", tasks=tasks)      # from Python: without arguments, seed and scores
    >>> read_run("out").W
"""

from amtl_cvx.runfolder.content import describe, model_from_dict, model_to_dict, versions
from amtl_cvx.runfolder.folder import RunFolder, check_replaceable, save, umask
from amtl_cvx.runfolder.state import read_state, state_arrays
from amtl_cvx.runfolder.stored import StoredRun, read_history, read_run

__all__ = [
    "RunFolder",
    "StoredRun",
    "check_replaceable",
    "describe",
    "model_from_dict",
    "model_to_dict",
    "read_history",
    "read_run",
    "read_state",
    "save",
    "state_arrays",
    "umask",
    "versions",
]
