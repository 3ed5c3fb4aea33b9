"""The commands behind `amtl-cvx`: each takes the parsed arguments and returns an exit code.

    fit        learn, judge, and leave a run folder
    tune       choose the parameters of a method on rows kept apart, and fit the chosen point
    explore    fit from many starts and list the points they reach
    certify    judge a point from any source against data
    export     the prepared problem as a folder of arrays, for any other code
    predict    apply a stored run to raw rows
    plot       draw a stored run again
    reference  problems with answers to trust, and a judge for other code
    solvers    what is installed, GPU or not, and why not

The arguments of each are in `parsers`. A command is the function of the name of its module, which `cli`
imports when it is asked for. It prints results on stdout and raises `AMTLError` for whatever it cannot do;
`cli.main` turns that into one line and an exit code.
"""
