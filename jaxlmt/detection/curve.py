"""Tabulated functions of an energy, such as efficiencies: few knots, exact kinks, and a lower threshold."""

import jax.numpy as jnp
import numpy as np

from ..pytrees import pytree
from ..validation import is_traced, number


@pytree
class Curve:
    """A cubic in ln E between neighbouring ``breaks`` (n,), constant beyond the first and the last.

    coefficients: (n - 1, 4), rising powers of the position between two breaks, 0 to 1 in ln E. Jumps are
    allowed; at one, the upper side counts. Calls take NumPy or JAX arrays of any shape, energies >= 0.
    """

    breaks: np.ndarray
    coefficients: np.ndarray

    @classmethod
    def smooth(cls, energies, values):
        """Monotone cubics (Fritsch & Carlson) in ln E through ``values`` (n,) at ``energies`` (n,)."""
        from scipy.interpolate import PchipInterpolator  # 0.1 s, not for the import of the package

        log_energies = np.log(energies)
        powers = PchipInterpolator(log_energies, values).c[::-1].T
        return cls(np.asarray(energies, float), powers * np.diff(log_energies)[:, None] ** np.arange(4))

    @classmethod
    def straight(cls, energies, values):
        """Straight lines in ln E; an energy that stands twice is a jump."""
        energies, values = np.asarray(energies, float), np.asarray(values, float)
        is_piece = np.diff(energies) > 0.0
        coefficients = np.zeros((is_piece.sum(), 4))
        coefficients[:, 0], coefficients[:, 1] = values[:-1][is_piece], np.diff(values)[is_piece]
        return cls(np.append(energies[:-1][is_piece], energies[-1]), coefficients)

    def __call__(self, energy):
        breaks, coefficients = jnp.asarray(self.breaks), jnp.asarray(self.coefficients)
        energy = jnp.asarray(energy)
        piece = jnp.clip(jnp.searchsorted(breaks, energy, side="right") - 1, 0, len(coefficients) - 1)
        low, high = breaks[piece], breaks[piece + 1]
        width = jnp.log(high / low)
        width = jnp.where(width > 0.0, width, 1.0)  # an empty plateau of :func:`extended`
        position = jnp.log(jnp.clip(energy, low, high) / low) / width
        result = coefficients[piece, 3]
        for power in (2, 1, 0):
            result = result * position + coefficients[piece, power]
        return result


def half_point(curve):
    """Lowest energy at which ``curve`` rises through 0.5; ValueError if it never does."""
    for low, high, powers in zip(curve.breaks, curve.breaks[1:], np.asarray(curve.coefficients)):
        if powers[0] < 0.5 <= powers.sum():
            roots = np.roots(powers[::-1] - [0.0, 0.0, 0.0, 0.5])
            roots = roots.real[np.abs(roots.imag) < 1e-9]
            inside = roots[np.abs(roots - 0.5) <= 0.5 + 1e-12]
            return float(low * (high / low) ** np.clip(inside.min(), 0.0, 1.0))
    raise ValueError("curve must rise through 0.5")


def extended(curve, threshold):
    """``curve`` with its half point moved down to ``threshold``, by a shift of its rising part in ln E.

    With the ratio r of threshold and half point, it is curve(E/r) up to r times the energy where curve has
    its maximum, the maximum from there to that energy, and curve above: the log-space extension of
    2104.03297, section 5. A threshold above the half point changes nothing: it cuts events, it does not
    make the detector worse. Differentiable in threshold (> 0), in the unit of ``curve``; ``breaks`` may then
    be a traced array. Raises ValueError for a threshold that is not positive.
    """
    if not is_traced(threshold):
        threshold = number("threshold", threshold, low=0.0, low_open=True)
    ratio = threshold / half_point(curve)
    ratio = jnp.minimum(ratio, 1.0) if is_traced(ratio) else min(ratio, 1.0)
    if not is_traced(ratio) and ratio == 1.0:
        return curve
    ends = np.append(curve.coefficients[:, 0], curve.coefficients[-1].sum())
    top = int(np.argmax(ends))
    stack = jnp if is_traced(ratio) else np
    plateau = np.array([[ends[top], 0.0, 0.0, 0.0]])
    return Curve(
        stack.concatenate([curve.breaks[: top + 1] * ratio, curve.breaks[top:]]),
        np.concatenate([curve.coefficients[:top], plateau, curve.coefficients[top:]]),
    )
