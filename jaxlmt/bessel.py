"""Modified Bessel functions K_1 and K_2 at large argument, which JAX does not have.

sqrt(w) exp(w) K_n(w) is smooth in 1/w. A polynomial in a variable that maps [1, infinity) to [-1, 1] and
moves the singularity at w = 0 far away represents it to rounding; it is made once, of what scipy computes.
"""

import functools

import numpy as np
from numpy.polynomial import chebyshev

_SHIFT = 0.5  # the variable is 1 - 2 (1 + shift)/(w + shift): shifts of 0.5 to 1 need the fewest terms
_DEGREE = 20


@functools.cache
def _coefficients(order):
    """Of the polynomial, falling powers."""
    from scipy.special import kve

    variable = np.cos(np.pi * (np.arange(_DEGREE + 1) + 0.5) / (_DEGREE + 1))
    w = 2.0 * (1.0 + _SHIFT) / (1.0 - variable) - _SHIFT
    fitted = chebyshev.chebfit(variable, np.sqrt(w) * kve(order, w), _DEGREE)
    return tuple(chebyshev.cheb2poly(fitted)[::-1])


def scaled_k(order, w):
    """sqrt(w) exp(w) K_n(w) for ``order`` n = 1 or 2, to 1e-14 for w >= 1; any shape.

    w may be complex near the real axis (|Im w| < Re w/10): the polynomial is the analytic continuation, and
    what is tiny in the imaginary part keeps its digits.
    """
    variable = 1.0 - 2.0 * (1.0 + _SHIFT) / (w + _SHIFT)
    result = 0.0 * variable
    for coefficient in _coefficients(order):  # Horner, unrolled at trace time
        result = result * variable + coefficient
    return result
