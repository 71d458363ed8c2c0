"""Neutrino tridents: structure functions from Dirac matrices, the fold from adaptive quadrature, limits."""

from functools import cache
from itertools import pairwise

import jax
import numpy as np
import pytest
from numpy.polynomial.legendre import leggauss
from scipy.integrate import quad
from scipy.special import spherical_jn

import jaxlmt as lmt
from jaxlmt.processes import trident

MUON, HBARC = 105.6583755, 197.3269804593025  # MeV, MeV fm
V2 = 1.0 / (np.sqrt(2.0) * 1.1663787e-11)
S2 = 0.23857


# --- the structure functions of gamma -> mu mu, from the amplitude ---------------------------------

PAULI = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
ONE, NONE = np.eye(2), np.zeros((2, 2))
GAMMA = [np.block([[ONE, NONE], [NONE, -ONE]])] + [np.block([[NONE, s], [-s, NONE]]) for s in PAULI]
GAMMA5 = 1j * GAMMA[0] @ GAMMA[1] @ GAMMA[2] @ GAMMA[3]
METRIC = np.diag([1.0, -1.0, -1.0, -1.0])
ALL = np.eye(4)


def slash(p):
    return sum(METRIC[i, i] * p[i] * GAMMA[i] for i in range(4))


def hadronic_tensor(q2, pair2, axial):
    """(K, q, W^ab): current and photon in the frame of the pair, sum over spins, mean over polarisations,
    integrated over the pair's phase space; the photon along z, e = 1."""
    root = np.sqrt(pair2)
    omega = (pair2 + q2) / (2.0 * root)
    photon, current = np.array([omega, 0.0, 0.0, omega]), np.array([root - omega, 0.0, 0.0, -omega])
    energy, momentum = 0.5 * root, np.sqrt(0.25 * pair2 - MUON**2)
    vertices = [g @ GAMMA5 if axial else g for g in GAMMA]
    total = np.zeros((4, 4), complex)
    for cosine, weight in zip(*leggauss(80), strict=True):
        for azimuth in np.pi * np.arange(8) / 4.0:
            sine = np.sqrt(1.0 - cosine**2)
            unit = np.array([sine * np.cos(azimuth), sine * np.sin(azimuth), cosine])
            minus, plus = np.append(energy, momentum * unit), np.append(energy, -momentum * unit)
            one = (slash(minus - photon) + MUON * ALL) / (-2.0 * minus @ METRIC @ photon)
            other = (slash(photon - plus) + MUON * ALL) / (-2.0 * plus @ METRIC @ photon)
            found, anti = slash(minus) + MUON * ALL, slash(plus) - MUON * ALL
            for mu in range(4):
                amplitudes = [GAMMA[mu] @ one @ v + v @ other @ GAMMA[mu] for v in vertices]
                barred = [GAMMA[0] @ m.conj().T @ GAMMA[0] for m in amplitudes]
                for a in range(4):
                    left = found @ amplitudes[a] @ anti
                    for b in range(4):
                        total[a, b] -= 0.5 * METRIC[mu, mu] * weight / 8.0 * np.trace(left @ barred[b])
    beta = np.sqrt(1.0 - 4.0 * MUON**2 / pair2)
    return current, photon, beta / (16.0 * np.pi) * total


@pytest.mark.parametrize("q2, pair2", [(3e4, 1e5), (5e3, 5.5e5), (4e5, 6e4)])
@pytest.mark.parametrize("axial", [False, True])
def test_cross_section_from_the_amplitude(q2, pair2, axial):
    """The neutrino's tensor times that of the pair is (1 + (1-y)^2) F_2 - y^2 F_L, for any y."""
    current, photon, tensor = hadronic_tensor(q2, pair2, axial)
    second, longitudinal = (float(f) for f in trident.structure_functions(q2, pair2)[axial])
    ratios = []
    for y in (0.1, 0.5, 0.9):
        # k = a K + b q + transverse, massless before and after: k.q = K.q/y, k.K = -Q^2/2, k^2 = 0
        product = 0.5 * (q2 + pair2)
        a = 1.0 / y
        b = (-0.5 * q2 + a * q2) / product
        transverse2 = -a * a * q2 + 2.0 * a * b * product
        before = a * current + b * photon + np.array([0.0, np.sqrt(transverse2), 0.0, 0.0])
        after = before - current
        assert abs(before @ METRIC @ before) < 1e-6 * q2 and abs(after @ METRIC @ after) < 1e-6 * q2
        lepton = np.outer(before, after) + np.outer(after, before) - METRIC * (before @ METRIC @ after)
        contracted = np.einsum("ab,ac,bd,cd", lepton, METRIC, METRIC, tensor).real
        expected = (1.0 + (1.0 - y) ** 2) * second - y**2 * longitudinal
        ratios.append(contracted * y**2 / expected)
    # x alpha/pi times what is returned, in a tensor of e = 1 that is 4 pi W: l.W = (Q^2/2 x y^2) (...)
    np.testing.assert_allclose(ratios, q2 / (2.0 * np.pi), rtol=1e-9)


# --- the fold --------------------------------------------------------------------------------------


def nucleus(q, a):
    """Helm form factor of momentum transfer q [MeV]."""
    q = q / HBARC
    radius = np.sqrt((1.23 * a ** (1 / 3) - 0.6) ** 2 + 7 / 3 * np.pi**2 * 0.52**2 - 5 * 0.9**2)
    return 3.0 * spherical_jn(1, q * radius) / (q * radius) * np.exp(-0.5 * (0.9 * q) ** 2)


NODES, PIECES = leggauss(40), np.linspace(0.0, 1.0, 7)  # composite, on [0, 1]
UNIT = np.concatenate([a + (b - a) * 0.5 * (NODES[0] + 1.0) for a, b in pairwise(PIECES)])
WEIGHTS, SPAN = np.tile(NODES[1] / 12.0, 6), UNIT[-1] - UNIT[0]

TARGETS = {"ccfr": (160e3, [(1, 26, 56)]), "charm2": (20e3, [(1, 14, 28), (2, 8, 16)])}


@cache
def spectrum(q2, beam, kind, tolerance):
    """d sigma/dK^2 up to a constant: over squared energies s of the photon's and its momentum, then pairs."""
    energy, nuclei = TARGETS[beam]

    def photons(u):
        q = np.exp(np.log(u / (2.0 * energy)) + (np.log(2000.0) - np.log(u / (2.0 * energy))) * UNIT)
        z = u / (2.0 * energy * q)  # s from u to 2 E q at a photon's momentum q
        first = -2.0 * np.log(z) - 2.0 * (1.0 - z) + 0.5 * (1.0 - z * z)
        flux = sum(n * (charge * nucleus(q, a)) ** 2 for n, charge, a in nuclei)
        return np.array([first, 0.5 * (1.0 - z * z)]) * flux @ (WEIGHTS * np.log(q[-1] / q[0]) / SPAN)

    def integrand(root):  # the logarithm of sqrt(l - 4 m^2), which makes the threshold smooth
        l2 = 4.0 * MUON**2 + np.exp(2.0 * root)
        u = q2 + l2
        x, jacobian = q2 / u, 2.0 * np.exp(2.0 * root) / u
        beta = np.sqrt(max(1.0 - 4.0 * MUON**2 / l2, 0.0))
        log, r = np.log((1.0 + beta) ** 2 * l2 / (4.0 * MUON**2)), 4.0 * MUON**2 / u
        f2 = (x * x + (1 - x) ** 2 + (1 - 3 * x) * r - r * r / 2) * log
        f2 -= beta * (1 - 8 * x * (1 - x) + (1 - x) * r)
        along = 4 * x * ((1 - x) * beta - r * log / 2)
        if kind == "axial":
            f2 += r / x * log
            along += r / x * log + r * (2 - 2 * x - r) * log - 2 * r * (1 - x) * beta
        first, second = photons(u)
        return jacobian * x * (f2 * first - along * second)

    high = 0.5 * np.log(2.0 * energy * 1500.0)
    return quad(integrand, -3.0, high, epsabs=0.0, epsrel=tolerance, limit=200)[0]


@pytest.mark.parametrize("beam", TARGETS)
def test_weights_against_quadrature(beam):
    folded = trident.fold(trident.BEAMS[beam])
    rows = [int(np.searchsorted(folded.momentum2, q2)) for q2 in (1e2, 2e5)]
    reference = None
    for kind in ("vector", "axial"):
        for row in rows:
            q2 = folded.momentum2[row]
            found = getattr(folded, kind)[row] / q2
            expected = spectrum(q2, beam, kind, 1e-8)
            reference = found / expected if reference is None else reference
            assert found / expected == pytest.approx(reference, rel=3e-8), (kind, q2)


@pytest.mark.slow
def test_ratio_against_quadrature():
    """Everything by adaptive quadrature, the integral over K^2 of CHARM-II on the outside."""
    mass, g, beam = 30.0, 8e-4, "charm2"

    def total(power, kind):
        def integrand(log_q2):
            q2 = np.exp(log_q2)
            return q2 * spectrum(q2, beam, kind, 1e-9) / (q2 + mass**2) ** power

        return quad(integrand, np.log(1e-3), np.log(5e7), epsabs=0.0, epsrel=3e-9, limit=200)[0]

    coupling, shift = 0.5 + 2.0 * S2, V2 * g**2
    standard = coupling**2 * total(0, "vector") + 0.25 * total(0, "axial")
    expected = 1.0 + (2.0 * coupling * shift * total(1, "vector") + shift**2 * total(2, "vector")) / standard
    found = float(lmt.trident_ratio(lmt.HiddenPhoton(g, mass, 0.0), beam=beam))
    assert found - 1.0 == pytest.approx(expected - 1.0, rel=2e-8)


# --- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("beam", TARGETS)
def test_contact_limit(beam):
    """Heavy A': the printed limit, which neglects the muon's mass, and that with g_A^2 as it counts."""
    mass, g = 1e7, 20.0
    found = float(lmt.trident_ratio(lmt.HiddenPhoton(g, mass, 0.0), beam=beam))
    shift = 2.0 * V2 * (g / mass) ** 2
    axial = trident.fold(trident.BEAMS[beam]).axial.sum()

    def limit(a):
        return (a + (1 + 4 * S2 + shift) ** 2) / (a + (1 + 4 * S2) ** 2)

    assert shift > 0.4
    assert found == pytest.approx(limit(axial), rel=1e-6)
    assert found == pytest.approx(limit(1.0), rel={"ccfr": 0.01, "charm2": 0.02}[beam])
    assert 1.0 < axial < 1.3


def test_light_limit():
    """The square of a light A' goes as (7/9) ln(1/M^2) at high energies, as 1406.2332 has it: 14/9 from the
    pairs that a real photon makes of two, and a logarithm of K^2."""
    moment = quad(lambda r: two_photons(r), 0.0, 1.0, epsabs=0.0, epsrel=1e-10)[0]
    assert moment == pytest.approx(14.0 / 9.0, rel=1e-8)
    for beam in TARGETS:
        masses = np.array([0.1, 0.2, 0.4])
        folded = trident.fold(trident.BEAMS[beam])
        seconds = [(folded.vector / (folded.momentum2 + m**2) ** 2).sum() for m in masses]
        steps = -np.diff(seconds) / (2.0 * np.log(2.0))
        low = folded.momentum2 < 1e-4
        slope = (folded.vector[low] / folded.momentum2[low] ** 2)[0] / trident._LOG_STEP
        np.testing.assert_allclose(steps, slope, rtol=1e-4)


def two_photons(r):
    """F_2 over x as x -> 0: two real photons to mu mu."""
    (second, _), _ = trident.structure_functions(1e-6, 4.0 * MUON**2 / r - 1e-6)
    return float(second)


def test_massless_muons():
    """At high energies sigma(nu gamma) goes as (g_V^2 + g_A^2) [ln(s/m^2) - 8/3]: F_2 and F_L by hand."""
    s = 1e11 * MUON**2
    nodes, weights = leggauss(100)
    x, y = (part.ravel() for part in np.meshgrid(0.5 * (1 + nodes), 1e-6 ** (0.5 * (1 - nodes))))
    measure = np.outer(0.5 * weights * np.log(1e6), 0.5 * weights).ravel() * y * x
    for second, along in trident.structure_functions(x * y * s, (1 - x) * y * s):
        found = measure @ ((1.0 + (1.0 - y) ** 2) * second - y**2 * along)
        assert found == pytest.approx(4.0 / 9.0 * (np.log(1e11) - 8.0 / 3.0), rel=3e-5)


# --- the function ----------------------------------------------------------------------------------


def test_standard_model_is_one():
    assert float(lmt.trident_ratio(lmt.HiddenPhoton(0.0, 15.0, 0.0))) == 1.0
    assert (
        float(lmt.trident_ratio(lmt.HiddenPhoton(1e-3, 15.0, 0.0, lmt.LeptonCharges(0.0, 0.0, -1.0)))) == 1.0
    )


def test_charges_and_mixing():
    theta = lmt.HiddenPhoton(4e-4, 15.0, 1e-5, lmt.LeptonCharges(0.3, -2.0, 0.0))
    assert float(lmt.trident_ratio(theta)) == float(lmt.trident_ratio(lmt.HiddenPhoton(8e-4, 15.0, 0.0)))


def test_shapes_gradients_and_types():
    g, mass = np.geomspace(1e-6, 1e-1, 9)[:, None], np.geomspace(0.1, 1e4, 11)
    theta = lmt.batch(lmt.HiddenPhoton(g, mass, -g / 70))
    values = lmt.trident_ratio(theta, beam="charm2")
    assert values.shape == (9, 11) and np.all(np.asarray(values) >= 1.0)
    slopes = jax.grad(lambda t: lmt.trident_ratio(t, beam="charm2").sum())(theta)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
    one = lmt.HiddenPhoton(1e-3, 15.0, 0.0)
    slope = jax.grad(lmt.trident_ratio)(one)
    for name, step in (("g_x", 1e-7), ("mass", 1e-3)):
        up, down = (lmt.HiddenPhoton(**{**vars(one), name: vars(one)[name] + s * step}) for s in (1, -1))
        difference = float(lmt.trident_ratio(up) - lmt.trident_ratio(down)) / (2 * step)
        assert float(getattr(slope, name)) == pytest.approx(difference, rel=1e-6)


def test_mean_energy():
    """Half and twice the energy of CCFR's beam: 1.6 and 0.6 times what a light A' adds, 25% in g."""
    beam = trident.BEAMS["ccfr"]
    theta = lmt.HiddenPhoton(np.float64(9e-4), np.float64(15.0), np.float64(0.0))
    added = [
        float(trident._ratio(theta, trident.fold(beam._replace(energy=f * beam.energy)), np.float64(S2))) - 1
        for f in (0.5, 1.0, 2.0)
    ]
    np.testing.assert_allclose([added[0] / added[1], added[2] / added[1]], [1.6, 0.6], atol=0.1)


def test_invalid():
    with pytest.raises(ValueError, match="beam must be one of 'ccfr', 'charm2'; got 'nutev'"):
        lmt.trident_ratio(lmt.benchmark("BP1"), beam="nutev")
    with pytest.raises(ValueError, match="sin2_theta_w must be"):
        lmt.trident_ratio(lmt.benchmark("BP1"), sin2_theta_w=1.5)
    with pytest.raises(ValueError, match="mass must be"):
        lmt.trident_ratio(lmt.HiddenPhoton(1e-3, 0.0, 0.0))
