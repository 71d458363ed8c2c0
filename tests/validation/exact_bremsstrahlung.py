"""mu Z -> mu Z A' at tree level in a static nucleus, exactly; numpy and scipy only, never the package.

A muon of energy E0 and momentum p emits an A' of energy x E0 and momentum k and keeps E1 = (1-x) E0 and p1;
the nucleus takes the momentum q = p - k - p1 and no energy. The muon is off its shell by -U < 0 if it emits
before it scatters and by s > 0 if it emits afterwards:

    U = m^2 - (p - k)^2,    s = (p1 + k)^2 - m^2,    t = |q|^2,    W = |p - k| = sqrt(p1^2 + U),

phase space is flat in U, t and phi, the azimuth of p1 about p - k, and phi enters through s alone:

    dsigma/dx = alpha^2 g^2 E0/(32 pi p^2) int dU/W int dt G2(t)/t^2 <T>,    s = A - B cos(phi),

T being the squared amplitude summed over spins and polarisations and <T> its mean over phi. Both are here
twice: a trace and its mean in closed form, and explicit spinors and polarisation vectors with a sum over phi.
So is the integral over ln U and ln t, a smooth one: Gauss-Legendre panels, and scipy's adaptive quadrature.

``python -m tests.validation.exact_bremsstrahlung`` prints what the approximations give over the exact result.
Units: MeV; cross sections in cm^2. U, t and phi are numbers or arrays that broadcast.
"""

import math
from dataclasses import dataclass

import numpy as np

from . import independent
from .independent import ALPHA, HBAR_C_CM, M_MU, MEV2_CM2, form_factor


# --------------------------------------------------------------------------------- kinematics
@dataclass(frozen=True)
class Emission:
    """The energies of mu(E0) -> mu(E1) A'(Ek) for an A' of mass M, and what they allow."""

    x: float
    mass: float
    E0: float = 160e3

    def __post_init__(self):
        if not (self.Ek > self.mass and self.E1 > M_MU):
            raise ValueError(f"{self} is below threshold")

    @property
    def Ek(self):
        return self.x * self.E0

    @property
    def E1(self):
        return (1 - self.x) * self.E0

    @property
    def p(self):
        return math.sqrt((self.E0 - M_MU) * (self.E0 + M_MU))

    @property
    def p1(self):
        return math.sqrt((self.E1 - M_MU) * (self.E1 + M_MU))

    @property
    def k(self):
        return math.sqrt((self.Ek - self.mass) * (self.Ek + self.mass))

    @property
    def U_range(self):
        """U = 2 (E0 Ek - p k cos(theta)) - M^2 forwards and backwards."""
        difference = (self.mass * self.p) ** 2 + (M_MU * self.Ek) ** 2  # (E0 Ek)^2 - (p k)^2
        forwards = 2 * difference / (self.E0 * self.Ek + self.p * self.k) - self.mass**2
        return forwards, forwards + 4 * self.p * self.k

    def t_range(self, U):
        """(W - p1)^2 and (W + p1)^2."""
        total = np.sqrt(self.p1**2 + U) + self.p1
        return (U / total) ** 2, total**2

    def directions(self, U):
        """W, and cosine and sine of the angles that k (theta) and p - k (psi) make with p."""
        W = np.sqrt(self.p1**2 + U)
        versine = (U - self.U_range[0]) / (2 * self.p * self.k)
        cos_theta, sin_theta = 1 - versine, np.sqrt(versine * (2 - versine))
        return W, cos_theta, sin_theta, (self.p - self.k * cos_theta) / W, self.k * sin_theta / W

    def across(self, U, t):
        """The part of p1, and of q, perpendicular to p - k."""
        low, high = self.t_range(U)
        return np.sqrt(np.maximum((t - low) * (high - t), 0.0)) / (2 * np.sqrt(self.p1**2 + U))

    def s_of_phi(self, U, t):
        """A and B in s = A - B cos(phi)."""
        W, _, _, cos_psi, sin_psi = self.directions(U)
        return self.p * cos_psi * (t + U) / W - t, 2 * self.p * sin_psi * self.across(U, t)

    def four_vectors(self, U, t, phi):
        """p, k and p1, (..., 4) each: p along the z axis, k in the xz plane."""
        U, t, phi = np.broadcast_arrays(U, t, phi)
        W, cos_theta, sin_theta, cos_psi, sin_psi = self.directions(U)
        zero, across = np.zeros(phi.shape), self.across(U, t)
        along, inside, outside = (self.p1**2 + W**2 - t) / (2 * W), across * np.cos(phi), across * np.sin(phi)
        p = (zero + self.E0, zero, zero, zero + self.p)
        k = (zero + self.Ek, self.k * sin_theta, zero, self.k * cos_theta)
        # p - k is along (-sin(psi), 0, cos(psi)), and (cos(psi), 0, sin(psi)) is across it
        x1, z1 = inside * cos_psi - along * sin_psi, inside * sin_psi + along * cos_psi
        return tuple(np.stack(vector, -1) for vector in (p, k, (zero + self.E1, x1, outside, z1)))


# ----------------------------------------------------------------- the squared amplitude, by traces
def squared_amplitude(emission, U, t, s):
    """T = sum over the spins of both muons and three polarisations of |amplitude|^2."""
    E0, E1, M2, u = emission.E0, emission.E1, emission.mass**2, -U
    value = 4 * (s / u + u / s) - 16 * t / (s * u) * (E0**2 + E1**2 + (2 * M2 - t - s - u) / 2)
    return value - 4 * (M2 + 2 * M_MU**2) * (4 * (E0 / s + E1 / u) ** 2 - t * (1 / s + 1 / u) ** 2)


def mean_squared_amplitude(emission, U, t):
    """<T> by <1/s> = 1/R and <1/s^2> = A/R^3, with R = sqrt(A^2 - B^2).

    The variance <1/s^2> - <1/s>^2 = (A - R)/R^3 = B^2/(R^3 (A + R)) is kept apart: the rest cancels.
    """
    E0, E1, M2, u = emission.E0, emission.E1, emission.mass**2, -U
    A, B = emission.s_of_phi(U, t)
    R = np.sqrt((A - B) * (A + B))
    variance = B**2 / (R**3 * (A + R))
    value = 4 * (A / u + u / R) - 16 * t / u * ((E0**2 + E1**2 + (2 * M2 - t - u) / 2) / R - 1 / 2)
    squares = 4 * ((E0 / R + E1 / u) ** 2 + E0**2 * variance) - t * ((1 / R + 1 / u) ** 2 + variance)
    return value - 4 * (M2 + 2 * M_MU**2) * squares


# --------------------------------------------------------- the squared amplitude, spinor by spinor
ONE, ZERO = np.eye(2), np.zeros((2, 2))
PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
GAMMA = np.array(
    [np.block([[ONE, ZERO], [ZERO, -ONE]]), *(np.block([[ZERO, sigma], [-sigma, ZERO]]) for sigma in PAULI)]
)  # Dirac's representation
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
COULOMB = np.array([1.0, 0.0, 0.0, 0.0])  # direction of the potential of a charge at rest


def dot(a, b):
    """a.b of four-vectors, (..., 4) each."""
    return np.sum(a @ METRIC * b, axis=-1)


def slash(a):
    """gamma.a, (..., 4) -> (..., 4, 4)."""
    return np.tensordot(a @ METRIC, GAMMA, axes=1)


def spinors(p):
    """u(p) of both spins, (..., 4) -> (..., 4, 2), normalised to ubar u = 2m."""
    root = np.sqrt(p[..., 0] + M_MU)[..., None, None]
    return np.concatenate([root * ONE, np.tensordot(p[..., 1:], PAULI, axes=1) / root], axis=-2)


def polarisations(k, mass, gauge=0.0):
    """Two transverse and one longitudinal vector for k in the xz plane, (..., 4) -> (..., 3, 4).

    To the longitudinal one, (|k|, Ek k/|k|)/M, gauge k/M is added; -1 leaves components of order M/Ek.
    """
    energy, size = k[..., :1], np.linalg.norm(k[..., 1:], axis=-1, keepdims=True)
    n, zero, small = k[..., 1:] / size, np.zeros_like(size), mass / (energy + size)  # small = (Ek - |k|)/M
    outside = np.concatenate([zero, zero, zero + 1, zero], axis=-1)
    inside = np.concatenate([zero, n[..., 2:], zero, -n[..., :1]], axis=-1)
    time, space = (1 + gauge) * size / mass + gauge * small, (1 + gauge) * size / mass + small
    return np.stack([outside, inside, np.concatenate([time, space * n], axis=-1)], axis=-2)


def amplitudes(p, k, p1, mass, vectors, potential=COULOMB):
    """ubar(p1) [e (p1+k+m) a/s + a (p-k+m) e/u] u(p), all slashed: e in vectors, a the potential.

    Momenta and potential (..., 4), vectors (..., n, 4) -> (..., n, 2, 2) for the spins of p1 and p.
    """
    s, u = 2 * dot(p1, k) + mass**2, mass**2 - 2 * dot(p, k)
    incoming, outgoing = spinors(p), np.swapaxes(spinors(p1).conj(), -1, -2) @ GAMMA[0]
    scattered_first = (slash(p1 + k) + M_MU * np.eye(4)) @ slash(potential) @ incoming / s[..., None, None]
    scattered_last = outgoing @ slash(potential) @ (slash(p - k) + M_MU * np.eye(4)) / u[..., None, None]
    emission = slash(vectors)
    first = outgoing[..., None, :, :] @ emission @ scattered_first[..., None, :, :]
    return first + scattered_last[..., None, :, :] @ emission @ incoming[..., None, :, :]


def squared_amplitude_by_spinors(emission, U, t, phi, gauge=-1.0, field_gauge=0.0):
    """T; `gauge` shifts the longitudinal polarisation by k/M, `field_gauge` the potential by q/m."""
    p, k, p1 = emission.four_vectors(U, t, phi)
    potential = COULOMB + field_gauge / M_MU * (p - k - p1)
    vectors = polarisations(k, emission.mass, gauge)
    found = amplitudes(p, k, p1, emission.mass, vectors, potential)
    return np.sum(np.abs(found) ** 2, axis=(-3, -2, -1))


def mean_squared_amplitude_by_spinors(emission, U, t, nodes=16, **gauges):
    """<T> by the midpoint rule on half a turn: T is even in phi."""
    phi = (np.arange(nodes) + 0.5) * math.pi / nodes
    U, t = (np.asarray(value)[..., None] for value in (U, t))
    return np.mean(squared_amplitude_by_spinors(emission, U, t, phi, **gauges), axis=-1)


# ------------------------------------------------------------------------------ cross section
def prefactor(emission, g):
    """alpha^2 g^2 E0/(32 pi p^2) (hbar c)^2."""
    return MEV2_CM2 * (ALPHA * g) ** 2 * emission.E0 / (32 * math.pi * emission.p**2)


def gauss_panels(panels, order):
    """Nodes and weights on [0, 1] of equal Gauss-Legendre panels."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    nodes = (np.arange(panels)[:, None] + (nodes + 1) / 2) / panels
    return nodes.ravel(), np.tile(weights / (2 * panels), panels)


def dsigma_dx(
    x,
    g,
    mass,
    E0=160e3,
    Z=82,
    A=207.2,
    g2=form_factor,
    t_max=math.inf,
    panels=(16, 40),
    order=8,
    mean=mean_squared_amplitude,
):
    """The exact cross section on `panels` of `order` nodes in (ln U, ln t), the t above t_max left out."""
    emission = Emission(x, mass, E0)
    (v, v_weights), (w, w_weights) = (gauss_panels(number, order) for number in panels)
    low, high = emission.U_range
    U = low * (high / low) ** v[:, None]
    t_low, t_high = emission.t_range(U)
    t_ratio = np.maximum(np.minimum(t_high, t_max) / t_low, 1.0)
    t = t_low * t_ratio**w
    over_t = np.log(t_ratio[:, 0]) * (g2(t, Z, A) / t * mean(emission, U, t) @ w_weights)
    over_U = math.log(high / low) * np.sum(v_weights * (U / np.sqrt(emission.p1**2 + U))[:, 0] * over_t)
    return float(prefactor(emission, g) * over_U)


def dsigma_dx_adaptive(x, g, mass, E0=160e3, Z=82, A=207.2, g2=form_factor, epsrel=1e-7):
    """The same, ln t nested in ln U, by scipy's quad."""
    emission = Emission(x, mass, E0)
    scales = [math.log(scale) for scale in independent.form_factor_scales(Z, A)]

    def over_t(v):
        U = math.exp(v)

        def integrand(w):
            t = math.exp(w)
            return g2(t, Z, A) / t * mean_squared_amplitude(emission, U, t)

        edges = (math.log(t) for t in emission.t_range(U))
        collinear = v - math.log(x)  # a muon that was scattered first radiates forwards at t = U/x
        inner = independent.integrate(integrand, *edges, [*scales, collinear], epsrel / 10)
        return U / math.sqrt(emission.p1**2 + U) * inner

    low, high = (math.log(U) for U in emission.U_range)
    return prefactor(emission, g) * independent.integrate(over_t, low, high, [low + 1, low + 4], epsrel)


def bethe_heitler(x, E0, Z=1):
    """dsigma/dx of photons at all energies and angles, for muons on a bare charge; cm^2.

    Bethe and Heitler, Proc. R. Soc. A 146, 83 (1934); 3BN of Koch and Motz, Rev. Mod. Phys. 31, 920 (1959).
    """
    E, E1, k = E0 / M_MU, (1 - x) * E0 / M_MU, x * E0 / M_MU
    p, p1 = math.sqrt(E**2 - 1), math.sqrt(E1**2 - 1)
    L, l0, l1 = 2 * math.log((E * E1 + p * p1 - 1) / k), 2 * math.log(E + p), 2 * math.log(E1 + p1)
    value = 4 / 3 - 2 * E * E1 * (p**2 + p1**2) / (p * p1) ** 2
    value += l0 * E1 / p**3 + l1 * E / p1**3 - l0 * l1 / (p * p1)
    odd = (E * E1 + p**2) / p**3 * l0 - (E * E1 + p1**2) / p1**3 * l1 + 2 * k * E * E1 / (p * p1) ** 2
    even = 8 * E * E1 / (3 * p * p1) + k**2 * ((E * E1) ** 2 + (p * p1) ** 2) / (p * p1) ** 3
    value += L * (even + k / (2 * p * p1) * odd)
    return ALPHA * (Z * ALPHA * HBAR_C_CM / M_MU) ** 2 * p1 / (p * x) * value


if __name__ == "__main__":
    fractions = (0.4, 0.6, 0.8, 0.93)
    print("over the exact dsigma/dx at x =" + "".join(f"{x:10}" for x in fractions))
    for label, factor, approximation in (
        ("ww", 1.0, independent.dsigma_dx_ww_1d),
        ("constant chi (paper x pi)", math.pi, independent.dsigma_dx_paper),
    ):
        for name, (mass, g) in independent.BENCHMARKS.items():
            ratios = (factor * approximation(x, g, mass) / dsigma_dx(x, g, mass) for x in fractions)
            print(f"{name} {label:27}" + "".join(f"{ratio:10.4f}" for ratio in ratios))
