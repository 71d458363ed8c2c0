"""Solar oscillations: sums over mass states, three flavours in matter, limits, radial averages, presets."""

from dataclasses import fields, replace
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxlmt.distributions import Normal
from jaxlmt.sources.oscillation import (
    DENSITY,
    ORDERINGS,
    Oscillation,
    check_oscillation,
    flavour_coefficients,
    matter_cosine,
    oscillation,
)
from jaxlmt.sources.solar import FLUXES, SOURCES, spectrum

NAMES = tuple(field.name for field in fields(Oscillation))
FITS = {
    "paper2021": oscillation("paper2021"),
    "normal": oscillation(),
    "inverted": oscillation(ordering="inverted"),
}
# sqrt2 G_F N_A/cm^3 = 7.6325e-14 eV, the textbook number; 2 E [eV] of it enters.
POTENTIAL = 7.6325e-14

# D of the full radial tables of B16 (2000 radii per solar radius), theta12 = 33.68, theta13 = 8.56 degrees,
# dm21 = 7.49e-5 eV^2: energies [MeV], D.
RADIAL = {
    ("gs98", "8B"): ([2, 5, 8, 11, 14], [0.0371964, -0.46590928, -0.73458088, -0.85343134, -0.90987444]),
    ("agss09", "8B"): ([2, 5, 8, 11, 14], [0.03625505, -0.46766527, -0.73595608, -0.85433105, -0.9104667]),
    ("gs98", "hep"): ([2, 6, 10, 14, 18], [0.18945032, -0.22062842, -0.49987671, -0.66338064, -0.76180194]),
    ("agss09", "hep"): ([2, 6, 10, 14, 18], [0.18729423, -0.22660276, -0.50664671, -0.66957905, -0.76715868]),
    ("gs98", "pp"): ([0.1, 0.3], [0.37456577, 0.35334699]),
    ("agss09", "pp"): ([0.1, 0.3], [0.37449381, 0.3531256]),
    ("gs98", "7Be"): ([0.3843, 0.8618], [0.33117871, 0.25954247]),
    ("agss09", "7Be"): ([0.3843, 0.8618], [0.33093298, 0.25895438]),
}
# Moments <(n_e/100)^k>, k = 1, 2, ..., of the same tables.
MOMENTS = {
    ("gs98", "8B"): [0.879334105, 0.781279816, 0.700456795, 0.63299658, 0.576060795],
    ("agss09", "8B"): [0.881531348, 0.784887018, 0.704950018, 0.638022256, 0.581377871],
    ("gs98", "hep"): [
        *[0.513925686, 0.307373313, 0.203603591, 0.144885576, 0.108668732],
        *[0.0848354466, 0.068341105, 0.0564567901, 0.0476077175],
    ],
    ("agss09", "hep"): [
        *[0.519254865, 0.312795992, 0.208322737, 0.148881874, 0.112055111],
        *[0.0877287973, 0.0708383036, 0.0586338038, 0.0495233619],
    ],
}


def random_parameters(n, seed=0):
    """Points all over the documented range of parameters."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        angles = rng.uniform([5.0, 1.0, 5.0, -360.0], [85.0, 45.0, 85.0, 360.0])
        splittings = np.exp(rng.uniform(np.log(1e-5), np.log(5e-4))), rng.choice([-1, 1]) * 2.5e-3
        yield Oscillation(*angles, *splittings)


def mixing_matrix(osc):
    """U_alpha i in the usual parametrisation, as a product of three rotations."""
    t12, t13, t23, delta = np.radians([osc.theta12, osc.theta13, osc.theta23, osc.delta_cp])
    phase = np.exp(1j * delta)
    r23 = [[1, 0, 0], [0, np.cos(t23), np.sin(t23)], [0, -np.sin(t23), np.cos(t23)]]
    r13 = [[np.cos(t13), 0, np.sin(t13) / phase], [0, 1, 0], [-np.sin(t13) * phase, 0, np.cos(t13)]]
    r12 = [[np.cos(t12), np.sin(t12), 0], [-np.sin(t12), np.cos(t12), 0], [0, 0, 1]]
    return np.array(r23) @ np.array(r13) @ np.array(r12)


def three_flavours(osc, energy, density):
    """Adiabatic conversion with all three states in matter: sum_i |U_alpha i|^2 |U^m_e i|^2."""
    vacuum, masses = mixing_matrix(osc), np.array([0.0, osc.dm21, osc.dm31])
    hamiltonian = vacuum @ np.diag(masses) @ vacuum.conj().T
    hamiltonian[0, 0] += 2.0 * POTENTIAL * density * energy * 1e6
    _, states = np.linalg.eigh(hamiltonian)
    states = states[:, np.argsort(np.argsort(masses))]  # levels do not cross
    return np.abs(vacuum) ** 2 @ np.abs(states[0]) ** 2


def gauss_rule(points, weights, n):
    """n-node Gauss rule of the measure sum_i weights_i delta(x - points_i): data/solar_densities.csv.

    Lanczos recursion with full reorthogonalisation on diag(points), from sqrt(weights).
    """
    weights, scale = weights / weights.sum(), points.max()
    basis, diagonal, beside = [np.sqrt(weights)], [], []
    for _ in range(n):
        vector = points / scale * basis[-1]
        diagonal.append(vector @ basis[-1])
        for _ in range(2):
            for other in basis:
                vector = vector - (vector @ other) * other
        beside.append(np.linalg.norm(vector))
        basis.append(vector / beside[-1])
    jacobi = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
    nodes, vectors = np.linalg.eigh(jacobi)
    return nodes * scale, vectors[0] ** 2


# ---------------------------------------------------------------------------------------------- the formulae
@pytest.mark.parametrize("osc", [*FITS.values(), *random_parameters(20)])
def test_unitarity(osc):
    a, b = flavour_coefficients(osc)
    assert abs(a.sum() - 1.0) < 1e-14 and abs(b.sum()) < 1e-14
    energy = np.geomspace(1e-3, 1e3, 50)
    probabilities = osc.probabilities(energy)
    assert np.abs(probabilities.sum(axis=1) - 1.0).max() < 1e-14
    assert np.all(probabilities >= 0.0)


@pytest.mark.parametrize("osc", [*FITS.values(), *random_parameters(20)])
def test_coefficients_are_the_sum_over_mass_states(osc):
    a, b = flavour_coefficients(osc)
    s13 = np.sin(np.radians(osc.theta13)) ** 2
    for d in (-1.0, -0.3, 0.8):
        states = np.array([(1 - s13) * (1 + d) / 2, (1 - s13) * (1 - d) / 2, s13])
        expected = np.abs(mixing_matrix(osc)) ** 2 @ states
        np.testing.assert_allclose(a + b * d, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", FITS)
def test_three_flavours_in_matter(name):
    """The decoupled third state costs 1.8e-3 at most, as documented, and nothing at large dm31."""
    density, weight = DENSITY["gs98"]["8B"]
    energies = np.linspace(0.5, 19.0, 20)
    for dm31, allowed in ((FITS[name].dm31, 1.8e-3), (np.sign(FITS[name].dm31) * 1e2, 1e-7)):
        osc = replace(FITS[name], dm31=dm31)
        found = np.asarray(FITS[name].probabilities(energies))
        expected = np.array(
            [sum(w * three_flavours(osc, e, n) for n, w in zip(density, weight)) for e in energies]
        )
        assert np.abs(found - expected).max() < allowed + 2e-6  # five digits of the potential


def test_vacuum_limit():
    """Averaged oscillations: P_alpha = sum_i |U_alpha i|^2 |U_e i|^2."""
    for osc in FITS.values():
        square = np.abs(mixing_matrix(osc)) ** 2
        np.testing.assert_allclose(osc.probabilities(0.0), square @ square[0], rtol=1e-13)
        np.testing.assert_allclose(osc.probabilities(1e-7), square @ square[0], rtol=1e-7)


def test_dense_limit():
    """nu_e leave as the second state, up to theta13: P_e = s13^4 + c13^4 s12^2."""
    for osc in FITS.values():
        square = np.abs(mixing_matrix(osc)) ** 2
        states = np.array([0.0, 1.0 - square[0, 2], square[0, 2]])
        np.testing.assert_allclose(osc.probabilities(1e7), square @ states, rtol=1e-10)


def test_resonance():
    """D = 0 at the density where A = cos 2 theta12: maximal mixing in matter."""
    osc = FITS["normal"]
    cosine = np.cos(2 * np.radians(osc.theta12))
    c13 = np.cos(np.radians(osc.theta13)) ** 2
    energy = cosine * osc.dm21 / (2.0 * POTENTIAL * 90.0 * c13) * 1e-6
    found = matter_cosine(osc, np.array([energy]), np.full((1, 1), 90.0), np.ones((1, 1)))
    assert abs(found[0]) < 1e-5


def test_mu_and_tau_differ():
    """Their split hangs on theta23 and delta_cp, which P_e does not know."""
    osc = replace(FITS["normal"], theta23=45.0, delta_cp=90.0)
    e, mu, tau = osc.probabilities(10.0)
    assert mu == pytest.approx(float(tau), rel=1e-13)
    for changed in (replace(osc, theta23=50.0), replace(osc, delta_cp=0.0)):
        other = changed.probabilities(10.0)
        assert other[0] == pytest.approx(float(e), rel=1e-14)
        assert abs(other[1] - other[2]) > 0.03


def test_a_printed_value():
    """P_e of 8B neutrinos of 10 MeV, by day: 0.327 with the fit of 2024, close to sin^2 theta12 c13^4."""
    assert FITS["normal"].probabilities(10.0)[0] == pytest.approx(0.327, abs=5e-4)


# -------------------------------------------------------------------------------- the radial average
@pytest.mark.parametrize("model,source", RADIAL)
def test_full_radial_average(model, source):
    energy, expected = RADIAL[model, source]
    density, weight = (np.tile(part, (len(energy), 1)) for part in DENSITY[model][source])
    found = matter_cosine(FITS["normal"], np.array(energy, float), density, weight)
    allowed = {"8B": 1e-5, "hep": 1e-4}.get(source, 2e-8)
    assert np.abs(found - np.array(expected)).max() < allowed


@pytest.mark.parametrize("model,source", MOMENTS)
def test_moments(model, source):
    """A Gauss rule of n nodes has the first 2n moments of its measure."""
    density, weight = DENSITY[model][source]
    for k, expected in enumerate(MOMENTS[model, source], start=1):
        assert weight @ (density / 100.0) ** k == pytest.approx(expected, rel=2e-8)


def test_rules_are_measures():
    assert tuple(DENSITY) == tuple(FLUXES)
    for rules in DENSITY.values():
        assert tuple(rules) == SOURCES
        for source, (density, weight) in rules.items():
            assert density.shape == weight.shape == (5,)
            assert np.count_nonzero(weight) == (5 if source == "hep" else 3)
            assert np.all(weight >= 0.0) and weight.sum() == pytest.approx(1.0, abs=1e-15)
            assert np.all((density > 10.0) & (density < 105.0))


def test_gauss_rule():
    """The recursion behind the table: of a fine uniform measure it makes Gauss-Legendre."""
    cells = (np.arange(20000) + 0.5) / 20000
    nodes, weights = gauss_rule(cells, np.ones(cells.size), 5)
    legendre, expected = np.polynomial.legendre.leggauss(5)
    np.testing.assert_allclose(nodes, 0.5 * (legendre + 1.0), atol=1e-8)
    np.testing.assert_allclose(weights, 0.5 * expected, atol=1e-8)


# ------------------------------------------------------------------------------------------------ gradients
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    energies = np.array([0.1, 2.0, 10.0])
    for osc in random_parameters(6, seed=3):
        value = getattr(osc, name)
        step = 1e-5 * max(abs(value), 1e-9)
        found = jax.jacfwd(lambda v, o=osc: replace(o, **{name: v}).probabilities(energies))(value)
        sides = [replace(osc, **{name: value + s}).probabilities(energies) for s in (step, -step)]
        difference = (sides[0] - sides[1]) / (2.0 * step)
        scale = 1.0 / max(abs(value), 1e-9)
        np.testing.assert_allclose(found, difference, rtol=1e-6, atol=1e-9 * scale)
        backward = jax.jacrev(lambda v, o=osc: replace(o, **{name: v}).probabilities(energies))(value)
        np.testing.assert_allclose(backward, found, rtol=1e-10, atol=1e-14 * scale)
        if name == "dm31":
            assert np.all(found == 0.0)


def test_finite_everywhere():
    energies = np.array([0.0, 5e-324, 1e-9, 1.0, 20.0, 1e9])
    corners = [
        Oscillation(t12, t13, t23, delta, dm21, 2.5e-3)
        for t12 in (2.0, 45.0, 88.0)
        for t13 in (0.0, 45.0)
        for t23 in (2.0, 88.0)
        for delta in (-360.0, 360.0)
        for dm21 in (1e-6, 1e-3)
    ]
    for osc in corners:
        gradient = jax.jacfwd(lambda o: o.probabilities(energies))(jax.tree.map(jnp.asarray, osc))
        assert np.all(np.isfinite(osc.probabilities(energies)))
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
        slope = jax.jacfwd(lambda e, o=osc: o.probabilities(e))(jnp.asarray(energies))
        assert np.all(np.isfinite(slope))


def test_shapes():
    osc = FITS["normal"]
    assert osc.probabilities(3.0).shape == (3,)
    assert osc.probabilities(np.ones(4), source="hep", model="agss09").shape == (4, 3)
    batch = jax.tree.map(lambda *leaves: np.array(leaves), *FITS.values())
    many = jax.vmap(lambda o: o.probabilities(np.array([1.0, 5.0])))(batch)
    assert many.shape == (3, 2, 3)
    np.testing.assert_allclose(many[1], osc.probabilities(np.array([1.0, 5.0])), rtol=1e-14)


# ---------------------------------------------------------------------------- what the docstring leaves out
SHELLS = (  # outer radius [km], mean density [g/cm^3], electrons per nucleon: the Earth in five shells
    (1221.5, 13.0, 0.466),
    (3480.0, 11.0, 0.466),
    (5701.0, 5.0, 0.494),
    (6346.6, 3.6, 0.494),
    (6371.0, 2.7, 0.494),
)


def regeneration(osc, energy, nadir_cosine):
    """P(nu_2 -> nu_e) after the Earth minus that before, over c13^2: two states, shell by shell."""
    t12, c13 = np.radians(osc.theta12), np.cos(np.radians(osc.theta13)) ** 2
    impact = 6371.0 * np.sqrt(1.0 - nadir_cosine**2)
    half = [np.sqrt(r**2 - impact**2) for r, _, _ in SHELLS if r > impact]
    edges = np.sort(np.concatenate([half, np.negative(half)]))
    state = np.tile(np.array([np.sin(t12), np.cos(t12)], complex), (energy.size, 1))
    for low, high in pairwise(edges):
        middle = np.hypot(impact, 0.5 * (low + high))
        density, electrons = next((d, y) for r, d, y in SHELLS if middle <= r)
        vacuum = osc.dm21 / (4.0 * energy * 1e6)
        x = vacuum * np.sin(2 * t12)
        z = -vacuum * np.cos(2 * t12) + 0.5 * POTENTIAL * density * electrons * c13
        h = np.hypot(x, z)
        phase = h * (high - low) * 1e3 / 1.973269804e-7
        sine = -1j * np.sin(phase) / h
        electron = (np.cos(phase) + sine * z) * state[:, 0] + sine * x * state[:, 1]
        other = sine * x * state[:, 0] + (np.cos(phase) - sine * z) * state[:, 1]
        state = np.stack([electron, other], axis=1)
    return np.abs(state[:, 0]) ** 2 - np.sin(t12) ** 2


def test_size_of_regeneration():
    """The documented omission: day and night, over a year, at 42.45 degrees of latitude."""
    osc, latitude = FITS["normal"], np.radians(42.45)
    energy = np.linspace(1.0, 16.0, 31)
    n = 40
    season, hour = (2 * np.pi * (np.arange(n) + shift) / n for shift in (0.5, 0.3))
    declination = np.arcsin(np.sin(np.radians(23.44)) * np.sin(season))[:, None]
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(hour)
    night = -height[height < 0.0]
    mean = sum(regeneration(osc, energy, c) for c in night) / height.size
    density, weight = (np.tile(part, (energy.size, 1)) for part in DENSITY["gs98"]["8B"])
    c13 = np.cos(np.radians(osc.theta13)) ** 2
    gain = -(c13**2) * np.asarray(matter_cosine(osc, energy, density, weight)) * mean
    flux = np.asarray(spectrum("8B", energy))
    assert flux @ gain / flux.sum() == pytest.approx(0.0027, abs=2e-4)
    recoil = flux * energy**2
    assert recoil @ gain / recoil.sum() == pytest.approx(0.0041, abs=3e-4)
    assert gain[energy <= 4.0].max() < 1e-3 and gain[-1] == pytest.approx(0.010, abs=1e-3)


# -------------------------------------------------------------------------------- presets, bad input
def test_presets():
    assert jax.tree.leaves(FITS["paper2021"])[:5] == [34.3, 8.58, 49.26, 0.0, 7.50e-5]
    assert jax.tree.leaves(FITS["normal"]) == [33.68, 8.56, 43.3, 212.0, 7.49e-5, 2.513e-3]
    # printed sin^2 of the same table: 0.308, 0.02215, 0.470; inverted 0.308, 0.02231, 0.550
    for name, sines in (("normal", [0.308, 0.02215, 0.470]), ("inverted", [0.308, 0.02231, 0.550])):
        osc = FITS[name]
        found = np.sin(np.radians([osc.theta12, osc.theta13, osc.theta23])) ** 2
        np.testing.assert_allclose(found, sines, rtol=2e-3)
    assert FITS["inverted"].dm31 - FITS["inverted"].dm21 == pytest.approx(-2.484e-3, rel=1e-12)


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_uncertainties(ordering):
    prior, best = oscillation(ordering=ordering, uncertainties=True), oscillation(ordering=ordering)
    for name in NAMES:
        leaf = getattr(prior, name)
        assert isinstance(leaf, Normal) and leaf.mean == getattr(best, name) and leaf.std > 0.0
    assert prior.delta_cp.std == {"normal": 33.5, "inverted": 23.5}[ordering]


def test_what_presets_refuse():
    with pytest.raises(
        ValueError, match=r"preset must be one of 'nufit6', 'paper2021'.*did you mean 'nufit6'"
    ):
        oscillation("nufit5")
    with pytest.raises(ValueError, match="ordering must be one of 'normal', 'inverted'; got 'NO'"):
        oscillation(ordering="NO")
    with pytest.raises(ValueError, match="'paper2021' has the normal ordering alone"):
        oscillation("paper2021", ordering="inverted")
    with pytest.raises(ValueError, match="uncertainties must be False for preset 'paper2021'"):
        oscillation("paper2021", uncertainties=True)
    with pytest.raises(ValueError, match="uncertainties must be True or False; got 'yes'"):
        oscillation(uncertainties="yes")


@pytest.mark.parametrize(
    "name,value,message",
    [
        ("theta23", 0.86, r"theta23 must be in degrees, in \[2, 88\]; got 0.86 \(0.86 radians are 49.27 deg"),
        ("theta12", 0.588, r"theta12 must be in degrees.*33.69 degrees"),
        (
            "theta13",
            0.1494,
            r"theta13 must be in degrees, in \[1, 45\]; got 0.1494 \(0.1494 radians are 8.56",
        ),
        ("theta12", -33.0, r"theta12 must be in degrees, in \[2, 88\]; got -33.0$"),
        ("theta23", 120.0, "theta23 must be in degrees"),
        ("delta_cp", 500.0, r"delta_cp must be a finite number in \[-360, 360\]"),
        ("dm21", -7.5e-5, "dm21 must be a finite number in"),
        ("dm21", 7.5, "dm21 must be a finite number in"),
        ("dm31", 7.5e-5, "dm31 must be of size 1e-4 to 0.1 eV"),
        ("theta12", np.nan, "theta12 must be a finite number"),
        ("theta12", "33.7", "theta12 must be a finite number"),
        ("delta_cp", Normal(212.0, 30.0), "delta_cp must be a number here, not a distribution"),
    ],
)
def test_bad_parameters(name, value, message):
    with pytest.raises(ValueError, match=f"oscillation.{message}"):
        replace(FITS["normal"], **{name: value}).probabilities(1.0)


def test_bad_arguments():
    osc = FITS["normal"]
    with pytest.raises(ValueError, match=r"source must be one of 'pp', 'pep'.*got 'B8'"):
        osc.probabilities(1.0, source="B8")
    with pytest.raises(ValueError, match="model must be one of 'gs98', 'agss09'; got 'GS98'"):
        osc.probabilities(1.0, model="GS98")
    with pytest.raises(ValueError, match="energy must be finite and >= 0; got -1"):
        osc.probabilities(np.array([1.0, -1.0]))
    with pytest.raises(TypeError, match=r"oscillation must be a jaxlmt\.Oscillation; got dict"):
        check_oscillation({"theta12": 33.0})


def test_no_theta13_is_allowed():
    """Two flavours: P_e = (1 + D cos 2 theta12)/2, and mu and tau share the rest as theta23 says."""
    osc = replace(FITS["normal"], theta13=0.0)
    e, mu, tau = osc.probabilities(5.0)
    share = np.cos(np.radians(osc.theta23)) ** 2
    assert mu == pytest.approx(share * (1.0 - float(e)), rel=1e-13)
    assert tau == pytest.approx((1.0 - share) * (1.0 - float(e)), rel=1e-13)
