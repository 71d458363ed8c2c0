"""Solar neutrinos in xenon against integrals done one by one, with cross sections written out anew."""

from dataclasses import replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr

import jaxlmt as lmt
from jaxlmt import constants as c
from jaxlmt.detection import xenon as detector
from jaxlmt.experiments.solar_recoils import ANGLES
from jaxlmt.experiments.xenon_scan import threshold_scan
from jaxlmt.nuclei import XENON, XENON_131, helm_form_factor
from jaxlmt.sources import solar
from jaxlmt.sources.oscillation import DENSITY

NOTHING = lmt.HiddenPhoton(0.0, 1.0, 0.0)
CHANNELS = ("nr", "er", "nr+er")


def probabilities(osc, energy, source, model="gs98"):
    """nu_e -> nu_e, nu_mu, nu_tau, typed from PHYSICS' formulas in another order: amplitudes squared."""
    t12, t13, t23, delta = (np.radians(x) for x in (osc.theta12, osc.theta13, osc.theta23, osc.delta_cp))
    density, weight = (np.asarray(a) for a in DENSITY[model][source])
    # 2 sqrt2 G_F n_e E, with n_e in MeV^3
    n_e = density[:, None] * c.AVOGADRO * c.HBARC_MEV_CM**3
    a = 2.0 * np.sqrt(2.0) * c.FERMI_CONSTANT * n_e * np.cos(t13) ** 2 * energy / (osc.dm21 * 1e-12)
    x = np.cos(2 * t12) - a
    cosine = np.sum(weight[:, None] * x / np.hypot(x, np.sin(2 * t12)), axis=0)
    first = 0.5 * (1.0 + cosine)  # share of the lighter state where the mixing is that of the matter, cos^2
    rotation = _pmns(t12, t13, t23, delta)
    c13 = np.cos(t13) ** 2
    # states 1, 2 arrive incoherently with c13^2 (first, 1 - first), state 3 with s13^2
    shares = np.stack([c13 * first, c13 * (1.0 - first), np.full_like(first, 1.0 - c13)])
    return np.abs(rotation) ** 2 @ shares


def _pmns(t12, t13, t23, delta):
    s, k = np.sin, np.cos
    r23 = np.array([[1, 0, 0], [0, k(t23), s(t23)], [0, -s(t23), k(t23)]], complex)
    r13 = np.array(
        [[k(t13), 0, s(t13) * np.exp(-1j * delta)], [0, 1, 0], [-s(t13) * np.exp(1j * delta), 0, k(t13)]]
    )
    r12 = np.array([[k(t12), s(t12), 0], [-s(t12), k(t12), 0], [0, 0, 1]], complex)
    return r23 @ r13 @ r12


def oscillation_of(experiment):
    return lmt.Oscillation(*(experiment.nominal[name] for name in ANGLES))


def sources_with(integrand, minimum, source):
    """int dE phi(E) integrand(E) above ``minimum`` [MeV]; lines are summed.

    Gauss-Legendre in u = sqrt(1 - E/end), in which a positron spectrum is smooth, 8B from knot to knot.
    """
    if source in solar.LINES:
        lines = [(e, share) for e, share in solar.LINES[source] if e > minimum]
        return sum(share * float(integrand(np.array([e]))[0]) for e, share in lines)
    edges = np.asarray(solar.breaks(source))
    edges = np.unique(np.maximum(edges, min(minimum, edges[-1])))
    x, w = np.polynomial.legendre.leggauss(150 if edges.size < 3 else 20)
    total = 0.0
    for low, high in pairwise(edges):
        u = np.sqrt(high - low) * 0.5 * (x + 1.0)
        energy, weight = high - u**2, np.sqrt(high - low) * w * u
        total += float(weight @ (np.asarray(solar.spectrum(source, energy)) * integrand(energy)))
    return total


def nuclear_rate(recoil_keV, theta, experiment, target=XENON, kinematics="exact"):
    """d R/d E_R per tonne year and keV, isotope by isotope: eq 33 with its interference term written out."""
    osc, s2, recoil = oscillation_of(experiment), experiment.nominal["sin2_theta_w"], 1e-3 * recoil_keV
    atoms = 1e6 * c.AVOGADRO / sum(share * i.atomic_mass_u for i, share in target)
    total = 0.0
    for isotope, share in target:
        m = isotope.mass
        minimum = 0.5 * (recoil + np.sqrt(recoil**2 + 2 * m * recoil))
        if kinematics == "paper":
            minimum = np.sqrt(0.5 * m * recoil)
        weak = isotope.neutrons - (1 - 4 * s2) * isotope.z
        strength = c.ELECTRIC_CHARGE * isotope.z * theta.g_x * theta.eps_x / (2 * m * recoil + theta.mass**2)
        charges = np.array([theta.charges.e, theta.charges.mu, theta.charges.tau], float)
        standard = c.FERMI_CONSTANT**2 * weak**2 / 4
        interference = c.FERMI_CONSTANT * weak * strength * charges / np.sqrt(2)
        square = 0.5 * (strength * charges) ** 2
        coupling = standard + interference + square

        def integrand(energy, m=m, coupling=coupling, source=None):
            bracket = 1 - m * recoil / (2 * energy**2) - (recoil / energy if kinematics == "exact" else 0)
            return bracket * (coupling @ probabilities(osc, energy, source))  # (n,)

        form = float(helm_form_factor(recoil_keV, isotope)) ** 2
        scale = m / np.pi * form * c.HBARC_MEV_CM**2 * 1e-3 * atoms * share
        for source in solar.SOURCES:
            flux = solar.FLUXES["gs98"][source][0]
            part = sources_with(lambda e, s=source: integrand(e, source=s), minimum, source)
            total += flux * scale * part
    return total * c.SECONDS_PER_YEAR


def electron_rate(energy_keV, theta, experiment, target=XENON):
    """d R/d E per tonne year and keV: eq 36 as printed, the three terms of the A' apart."""
    osc, s2, t = oscillation_of(experiment), experiment.nominal["sin2_theta_w"], 1e-3 * energy_keV
    atoms = 1e6 * c.AVOGADRO / sum(share * i.atomic_mass_u for i, share in target)
    m = c.MASS_ELECTRON
    left, right = np.array([0.5, -0.5, -0.5]) + s2, np.full(3, s2)
    charges = np.array([theta.charges.e, theta.charges.mu, theta.charges.tau], float)
    shift = theta.g_x * theta.eps_x * c.ELECTRIC_CHARGE * charges
    shift = shift / (2 * np.sqrt(2) * c.FERMI_CONSTANT * (2 * m * t + theta.mass**2))
    l2, r2 = left + shift, right + shift

    def integrand(energy, source):
        each = np.outer(l2**2, 0 * energy + 1) + np.outer(r2**2, (1 - t / energy) ** 2)
        each -= np.outer(l2 * r2, m * t / energy**2)
        return np.sum(each * probabilities(osc, energy, source), axis=0)

    minimum = 0.5 * (t + np.sqrt(t**2 + 2 * m * t))
    total = sum(
        solar.FLUXES["gs98"][s][0] * sources_with(lambda e, s=s: integrand(e, s), minimum, s)
        for s in solar.SOURCES
    )
    scale = 2 * c.FERMI_CONSTANT**2 * m / np.pi * c.HBARC_MEV_CM**2 * 1e-3
    return total * scale * atoms * float(detector.bound_electrons(energy_keV)) * c.SECONDS_PER_YEAR


@pytest.fixture(scope="module")
def nuclear():
    return lmt.darwin(channel="nr", threshold_keV=1.0)


@pytest.fixture(scope="module")
def electronic():
    return lmt.darwin(channel="er", threshold_keV=1.0)


THETAS = (NOTHING, lmt.benchmark("BP1"), lmt.HiddenPhoton(2e-3, 40.0, 3e-5, charges=lmt.LMU))


@pytest.mark.parametrize("theta", THETAS)
def test_nuclear_spectrum_against_quadrature_isotope_by_isotope(nuclear, theta):
    energies = np.array([0.3, 1.0, 2.7, 4.4])
    found = nuclear.differential_rate(energies, theta)
    expected = [nuclear_rate(e, theta, nuclear) for e in energies]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


@pytest.mark.parametrize("theta", THETAS)
def test_electron_spectrum_against_quadrature(electronic, theta):
    energies = np.array([0.5, 3.0, 11.0, 29.0])
    found = electronic.differential_rate(energies, theta)
    expected = [electron_rate(e, theta, electronic) for e in energies]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


# --- counts: what the detector makes of it ---------------------------------------------------------


def _shells(kind):
    return np.asarray(detector.electron_breaks()) if kind == "er" else np.zeros(0)


def counts(experiment, rate, kind, threshold, low_ee, high_ee):
    """Events per tonne year between two energies: eq 37 by the trapezoidal rule, fine enough for 1e-6."""
    curve = detector.efficiency(experiment.settings.detector, kind, threshold)
    top = {"nr": 6.15, "er": 6.0 + 1.5 * high_ee}[kind]
    edges = np.unique(np.concatenate([[top], *(b[b < top] for b in (curve.breaks, _shells(kind)))]))
    edges = edges[edges >= curve.breaks[0]]
    x, w = np.polynomial.legendre.leggauss(6)
    total = 0.0
    nominal = detector.nominal_threshold(experiment.settings.detector, kind)
    scale = (lambda e: float(detector.quenched(e))) if kind == "nr" else float
    for start, stop in pairwise(edges):
        pieces = np.geomspace(start, stop, 2 + int(np.log(stop / start) / 0.15))
        for a, b in pairwise(pieces):
            for xi, wi in zip(x, w, strict=True):
                energy = a + (b - a) * 0.5 * (xi + 1.0)
                ee = scale(energy)
                # R(E) = sigma/E, capped at the nominal threshold and shifted to the new one
                shifted = max(ee + max(scale(nominal) - scale(threshold), 0.0), scale(nominal))
                sigma = ee * float(detector.resolution(experiment.settings.detector, shifted)) / shifted
                share = ndtr((high_ee - ee) / sigma) - ndtr((low_ee - ee) / sigma)
                total += 0.5 * (b - a) * wi * float(curve(energy)) * share * rate(energy)
    return total


@pytest.mark.parametrize("name", ("darwin", pytest.param("lz", marks=pytest.mark.slow)))
@pytest.mark.parametrize("theta", THETAS[1:2])
def test_nuclear_counts_against_quadrature(name, theta):
    edges = (1.5, 2.5, 4.0)
    experiment = getattr(lmt, name)(threshold_keV=1.5, bin_edges=edges, target="131Xe")
    ee = [float(detector.quenched(e)) for e in edges]
    target = ((XENON_131, 1.0),)
    expected = [
        counts(experiment, lambda e: nuclear_rate(e, theta, experiment, target), "nr", 1.5, lo, hi)
        for lo, hi in pairwise(ee)
    ]
    scale = experiment.exposure * experiment.acceptance
    np.testing.assert_allclose(np.asarray(experiment.expected(theta)) / scale, expected, rtol=1e-6)


@pytest.mark.slow
def test_electron_counts_against_quadrature():
    theta = lmt.benchmark("BP1")
    experiment = lmt.xenonnt(channel="er", threshold_keV=1.0, bin_edges=(1.0, 2.0))
    expected = counts(experiment, lambda e: electron_rate(e, theta, experiment), "er", 1.0, 1.0, 2.0)
    np.testing.assert_allclose(np.asarray(experiment.expected(theta)) / 20.0, [expected], rtol=1e-6)


def test_both_recoils_are_the_sum_of_either():
    edges = (0.5, 1.0, 3.0, 30.0)
    theta = lmt.benchmark("BP1")
    both = lmt.darwin(channel="nr+er", threshold_keV=0.5, bin_edges=edges)
    electrons = lmt.darwin(channel="er", threshold_keV=0.5, bin_edges=edges)
    nr = [float(detector.recoil_of(e)) for e in edges[:3]]
    nuclei = lmt.darwin(channel="nr", threshold_keV=nr[0], bin_edges=(*nr, 200.0), acceptance=1.0)
    total = np.asarray(electrons.expected(theta)) + np.asarray(nuclei.expected(theta))
    np.testing.assert_allclose(both.expected(theta), total, rtol=1e-9)
    np.testing.assert_allclose(both.background, electrons.background, rtol=1e-12)


# --- what is traced --------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", CHANNELS)
def test_gradients_of_everything_that_is_traced(channel):
    experiment = lmt.darwin(channel=channel, threshold_keV=1.0, shape_8b=0.3)
    parameters, theta = experiment.parameters(), lmt.batch(lmt.benchmark("BP1"))

    def total(theta, parameters):
        return jnp.sum(experiment.predict(theta, parameters))

    by_theta, by_parameters = jax.jit(jax.grad(total, argnums=(0, 1)))(theta, parameters)
    value = jax.jit(total)
    for name, slope in by_parameters.items():
        size = 1e-4 * max(abs(float(parameters[name])), 0.1 if name.startswith(("shape", "delta")) else 0.0)
        ends = [float(value(theta, {**parameters, name: parameters[name] + s * size})) for s in (1.0, -1.0)]
        difference = (ends[0] - ends[1]) / (2.0 * size)
        assert float(slope) == pytest.approx(difference, rel=2e-6, abs=1e-9 * float(value(theta, parameters)))
    assert float(by_parameters["dm31"]) == 0.0
    for name in ("g_x", "mass", "eps_x"):
        centre = float(getattr(theta, name))
        ends = [
            float(value(replace(theta, **{name: np.float64(centre * (1 + s))}), parameters))
            for s in (1e-5, -1e-5)
        ]
        assert float(getattr(by_theta, name)) == pytest.approx(
            (ends[0] - ends[1]) / (2e-5 * centre), rel=1e-5
        )


def test_signs_of_the_signal():
    """2104.03297, section 5: Lmu-Ltau adds nuclear recoils, Lmu takes them away, both add electrons."""
    for preset, sign in (("paper", 1.0), (None, -1.0)):  # today's theta23 and delta_CP turn the first one
        nr = lmt.darwin(threshold_keV=1.0, preset=preset)
        er = lmt.darwin(channel="er", preset=preset)
        standard = {e: float(jnp.sum(e.expected(NOTHING))) for e in (nr, er)}
        for charges, expected in ((lmt.LMU_LTAU, sign), (lmt.LMU, -1.0)):
            theta = replace(lmt.benchmark("BP1"), charges=charges)
            assert np.sign(float(jnp.sum(nr.expected(theta))) - standard[nr]) == expected
            assert float(jnp.sum(er.expected(theta))) > standard[er]


def test_boron_8_signal_of_bp1_over_the_standard_model():
    """The figures of a faithful calculation: 1.11 at 1 keV with the paper's angles, 0.975 with today's."""
    for preset, ratio in (("paper2021", 1.11), ("nufit6", 0.975)):
        nr = lmt.darwin(threshold_keV=1.0, oscillation=preset)
        rates = [float(nr.differential_rate([1.0], theta)[0]) for theta in (lmt.benchmark("BP1"), NOTHING)]
        assert rates[0] / rates[1] == pytest.approx(ratio, abs=0.005)


# --- bad input -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channel": "both"}, "channel must be one of 'nr', 'er', 'nr\\+er'"),
        ({"threshold_keV": -1.0}, "threshold_keV"),
        ({"threshold_keV": 20.0}, "maximum_keV must lie above threshold_keV"),
        ({"exposure": -5.0}, "exposure must be"),
        ({"acceptance": 1.5}, "acceptance must be"),
        ({"bin_edges": (3.0, 2.0)}, "bin_edges"),
        ({"oscillation": "nufit9"}, "oscillation must be one of 'nufit6', 'paper2021'"),
        ({"oscillation": 0.5}, "oscillation must be the name of a preset or an Oscillation"),
        ({"solar_model": "b99"}, "solar_model must be"),
        ({"flux_norms": {"9B": 1.0}}, "flux_norms.9B"),
        ({"flux_norms": "free"}, "flux_norms must be"),
        ({"shape_8b": "wide"}, "shape_8b must be"),
        ({"target": "krypton"}, "target must be"),
        ({"target": "argon", "channel": "er"}, "target must be xenon"),
        ({"preset": "papers"}, "preset must be"),
        ({"exposur": 3.0}, "option of darwin"),
    ],
)
def test_bad_input_is_refused_by_name(fields, message):
    with pytest.raises(ValueError, match=message):
        lmt.darwin(**fields)


def test_angles_in_radians_are_refused():
    angles = replace(lmt.oscillation("nufit6"), theta23=0.86)
    with pytest.raises(ValueError, match=r"theta23 must be in degrees.*0.86 radians are 49.27 degrees"):
        lmt.darwin(oscillation=angles)


def test_thresholds_below_the_verified_quenching_warn():
    with pytest.warns(UserWarning, match="0.7 keV_nr"):
        lmt.darwin(threshold_keV=0.5)


# --- the ends of the range -------------------------------------------------------------------------


def test_spectra_far_below_and_beyond_the_endpoint(nuclear):
    theta = lmt.benchmark("BP1")
    found = np.asarray(nuclear.differential_rate([1e-3, 0.03, 7.0], theta))
    expected = [nuclear_rate(e, theta, nuclear) for e in (1e-3, 0.03)]
    np.testing.assert_allclose(found[:2], expected, rtol=1e-8)
    assert found[2] == 0.0 and float(nuclear.differential_rate(7.0, theta)[0]) == 0.0


@pytest.mark.parametrize("channel, threshold", [("nr", 0.2), ("nr", 12.0), ("er", 0.05), ("nr+er", 0.05)])
@pytest.mark.filterwarnings("ignore:threshold_keV")
def test_the_lowest_and_highest_thresholds_fold(channel, threshold):
    experiment = lmt.darwin(channel=channel, threshold_keV=threshold)
    for theta in (NOTHING, lmt.benchmark("BP1")):
        found = np.asarray(experiment.expected(theta))
        assert np.isfinite(found).all() and (found >= 0.0).all()


def test_a_scan_refuses_thresholds_that_it_does_not_cover(nuclear):
    scan = nuclear.thresholds(lowest_keV=0.9)
    theta = lmt.benchmark("BP1")
    rates = [float(scan.rates(theta, t)[0]) for t in (0.9, 1.0)]
    expected = float(np.sum(np.asarray(nuclear.expected(theta)))) / nuclear.exposure
    assert rates[1] == pytest.approx(expected, rel=1e-6) and rates[0] > rates[1]
    alone = threshold_scan(channel="nr", lowest_keV=0.9)
    np.testing.assert_allclose(alone.rates(theta, 1.0), scan.rates(theta, 1.0), rtol=1e-13)
    for threshold in (0.8, 14.0, np.nan):
        with pytest.raises(ValueError, match="threshold_keV must be"):
            scan.rates(NOTHING, threshold)
