"""Tabulated functions of an energy, such as efficiencies: few knots, exact kinks, and a lower threshold."""

import jax.numpy as jnp
import numpy as np

from ..pytrees import pytree
from ..validation import is_traced, number


@pytree
class Curve:
    """A cubic in ln E between neighbouring ``breaks`` (n,), constant beyond the first and the last.

    control: (n - 1, 4), the Bernstein coefficients of each piece; the first and the last are its end values,
    and it stays between the smallest and the largest of the four. Jumps are allowed; at one, the upper side
    counts. Calls take NumPy or JAX arrays of any shape, energies >= 0.
    """

    breaks: np.ndarray
    control: np.ndarray

    @classmethod
    def smooth(cls, energies, values):
        """Monotone cubics (Fritsch & Carlson) in ln E through ``values`` (n,) at ``energies`` (n,)."""
        from scipy.interpolate import PchipInterpolator  # 0.1 s, not for the import of the package

        energies, values = np.asarray(energies, float), np.asarray(values, float)
        log_energies = np.log(energies)
        slopes = PchipInterpolator(log_energies, values).derivative()(log_energies)
        third, low, high = np.diff(log_energies) / 3.0, values[:-1], values[1:]
        return cls(energies, np.stack([low, low + slopes[:-1] * third, high - slopes[1:] * third, high], 1))

    @classmethod
    def straight(cls, energies, values):
        """Straight lines in ln E; an energy that stands twice is a jump."""
        energies, values = np.asarray(energies, float), np.asarray(values, float)
        is_piece = np.diff(energies) > 0.0
        low, high = values[:-1][is_piece, None], values[1:][is_piece, None]
        breaks = np.append(energies[:-1][is_piece], energies[-1])
        return cls(breaks, low + (high - low) * np.array([0.0, 1.0, 2.0, 3.0]) / 3.0)

    def __call__(self, energy):
        breaks, control = jnp.asarray(self.breaks), jnp.asarray(self.control)
        energy = jnp.asarray(energy)
        piece = jnp.clip(jnp.searchsorted(breaks, energy, side="right") - 1, 0, len(control) - 1)
        low, high = breaks[piece], breaks[piece + 1]
        width = jnp.log(high / low)
        width = jnp.where(width > 0.0, width, 1.0)  # an empty plateau of :func:`extended`
        up = jnp.log(jnp.clip(energy, low, high) / low) / width
        down = 1.0 - up
        first, second, third, fourth = (control[piece, k] for k in range(4))
        return ((first * down + 3.0 * second * up) * down + 3.0 * third * up**2) * down + fourth * up**3


def half_point(curve):
    """Lowest energy at which ``curve`` rises through 0.5; ValueError if it never does."""
    for low, high, (a, b, c, d) in zip(curve.breaks, curve.breaks[1:], curve.control):
        if a < 0.5 <= d:
            roots = np.roots([d - 3.0 * c + 3.0 * b - a, 3.0 * (a - 2.0 * b + c), 3.0 * (b - a), a - 0.5])
            roots = roots.real[(np.abs(roots.imag) < 1e-9) & (np.abs(roots - 0.5) <= 0.5 + 1e-9)]
            return float(low * (high / low) ** np.clip(roots.min(), 0.0, 1.0))
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
    ends = np.append(curve.control[:, 0], curve.control[-1, -1])
    top = int(np.argmax(ends))
    stack = jnp if is_traced(ratio) else np
    return Curve(
        stack.concatenate([curve.breaks[: top + 1] * ratio, curve.breaks[top:]]),
        np.concatenate([curve.control[:top], np.full((1, 4), ends[top]), curve.control[top:]]),
    )
