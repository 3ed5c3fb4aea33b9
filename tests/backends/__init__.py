"""Back ends that the judge must pass, in NumPy, PyTorch and C++, and many that it must not.

`terms` holds J and its derivatives, `dense` and `finish` the steps and the fit in NumPy, `traced` PyTorch's
gradients, `solve.cpp` an executable, `broken` what is wrong in one place. None of the correct ones imports
amtl_cvx: they are what a reader of its pages would write.
"""
