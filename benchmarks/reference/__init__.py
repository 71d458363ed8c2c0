"""The same joint log-likelihood without JAX: adaptive quadrature, NumPy on grids, NumPy folded.

Each module has ``log_likelihood(counts, g_x, mass, eps_x)`` for Lmu-Ltau, arrays (n,) in and out, with eq
34's pulls profiled. counts: data of the experiments by name, as jaxlmt keeps them.
"""
