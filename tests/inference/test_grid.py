"""grid_posterior against quadrature by scipy, with prior densities written out by hand.

The likelihood is the package's own (it has its own tests); what is tested here is the integration: cells,
their sizes, prior densities, the zoom and the normalisation.
"""

import itertools

import numpy as np
import pytest
from scipy import integrate

import jaxlmt as lmt
from jaxlmt import HiddenPhoton, LogUniform, Normal, PerCoupling, SignedLogUniform, SymmetricAsinh, Uniform

TRUTH = lmt.benchmark("BP1")
G_BOX, MASS_BOX = (1e-4, 2e-3), (1.0, 300.0)


def gauss(low, high, panels, order=10):
    """Nodes and weights of a composite Gauss-Legendre rule."""
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(low, high, panels + 1)
    half = 0.5 * np.diff(edges)[:, None]
    nodes = edges[:-1, None] + half * (1.0 + x)
    return nodes.ravel(), (half * w).ravel()


def moments(weights, values):
    """Mean and standard deviation of ``values`` under unnormalised ``weights``."""
    total = weights.sum()
    mean = (weights * values).sum() / total
    return mean, np.sqrt((weights * (values - mean) ** 2).sum() / total)


# --- two parameters -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def joint():
    return lmt.Joint([lmt.gminus2().observe(), lmt.na64mu().asimov(TRUTH)])


@pytest.fixture(scope="module")
def plane(joint):
    """g_x and mass free, the kinetic mixing a fixed number."""
    prior = lmt.Prior(HiddenPhoton(LogUniform(*G_BOX), LogUniform(*MASS_BOX), TRUTH.eps_x))
    return lmt.grid_posterior(joint, prior, points=120)


def likelihood(joint, g, mass):
    shape = np.broadcast_shapes(np.shape(g), np.shape(mass))
    theta = HiddenPhoton(np.broadcast_to(g, shape), np.broadcast_to(mass, shape), TRUTH.eps_x)
    return np.exp(np.asarray(joint.log_likelihood(theta)))


def nested_gauss(joint, panels):
    """(g, mass, weights): the density dg dm/(g m ln(..) ln(..)) is flat in the logarithms."""
    u, du = gauss(*np.log(G_BOX), panels)
    v, dv = gauss(*np.log(MASS_BOX), panels)
    g, mass = np.exp(u)[:, None], np.exp(v)[None]
    prior = du[:, None] * dv / np.log(G_BOX[1] / G_BOX[0]) / np.log(MASS_BOX[1] / MASS_BOX[0])
    return g, mass, prior * likelihood(joint, g, mass)


@pytest.fixture(scope="module")
def quadrature(joint):
    return nested_gauss(joint, 20)


def test_the_quadrature_itself_has_converged(joint, quadrature):
    assert np.log(nested_gauss(joint, 14)[2].sum()) == pytest.approx(np.log(quadrature[2].sum()), abs=1e-6)


def test_evidence_means_and_widths_in_a_plane(plane, quadrature):
    g, mass, weights = quadrature
    assert plane.names == ("g_x", "mass")
    assert plane.log_evidence == pytest.approx(np.log(weights.sum()), abs=5e-4)
    for name, values in (("g_x", g), ("mass", mass)):
        mean, std = moments(weights, values)
        assert abs(plane.mean(name) - mean) < 3e-4 * std
        assert plane.std(name) == pytest.approx(std, rel=3e-4)


def test_expectations_of_functions_and_correlations(plane, quadrature):
    g, mass, weights = quadrature
    expected = (weights * g * np.sqrt(mass)).sum() / weights.sum()
    assert plane.expectation(lambda g_x, mass: g_x * np.sqrt(mass)) == pytest.approx(expected, rel=3e-4)


def test_marginals_are_densities_and_normalised(joint, plane):
    assert plane.probability.sum() == pytest.approx(1.0, abs=1e-12)
    for name in plane.names:
        values, density = plane.marginal(name)
        assert np.all(density >= 0.0) and np.all(np.diff(values) > 0.0)
        assert (density * plane.widths[name]).sum() == pytest.approx(1.0, abs=1e-12)
    # The height of one of them, in units of 1/g_x.
    values, density = plane.marginal("g_x")
    peak = values[np.argmax(density)]
    v, dv = gauss(*np.log(MASS_BOX), 30)
    line = (dv * likelihood(joint, peak, np.exp(v))).sum() / np.log(MASS_BOX[1] / MASS_BOX[0])
    line /= peak * np.log(G_BOX[1] / G_BOX[0])
    assert density.max() == pytest.approx(line / np.exp(plane.log_evidence), rel=1e-3)


def test_box_that_cuts_the_posterior_agrees_with_dblquad(joint):
    # Hard edges on all four sides, and no zoom; integrated by scipy in g_x and mass themselves.
    (g_low, g_high), (low, high) = (4.9e-4, 6e-4), (6.0, 30.0)
    prior = lmt.Prior(HiddenPhoton(LogUniform(g_low, g_high), Uniform(low, high), TRUTH.eps_x))
    grid = lmt.grid_posterior(joint, prior)

    def integral(power):
        def integrand(mass, g):
            density = 1.0 / (g * np.log(g_high / g_low) * (high - low))
            return mass**power * density * float(likelihood(joint, g, mass))

        return integrate.dblquad(integrand, g_low, g_high, low, high, epsabs=0.0, epsrel=1e-6)[0]

    evidence = integral(0)
    assert grid.log_evidence == pytest.approx(np.log(evidence), abs=1e-4)
    mean = integral(1) / evidence
    assert abs(grid.mean("mass") - mean) < 3e-4 * grid.std("mass")
    assert np.sum(grid.widths["mass"]) == pytest.approx(high - low, rel=1e-12)


# --- one parameter: every prior of the mixing -----------------------------------------------------


POINT = lmt.benchmark("BP4")  # where ESS10 leaves both signs of the mixing possible
BOUND, SMALLEST = 3e-4, 1e-8


def asinh_density(x, scale, bound):
    return 0.5 / np.arcsinh(bound / scale) / np.sqrt(x**2 + scale**2)


def log_density(x, low, high):
    return np.where((np.abs(x) >= low) & (np.abs(x) <= high), 1.0 / (np.abs(x) * np.log(high / low)), 0.0)


MIXINGS = {  # prior and its density in eps_x
    "uniform": (Uniform(-BOUND, BOUND), lambda x: 0.5 / BOUND),
    "asinh": (SymmetricAsinh(1e-5, BOUND), lambda x: asinh_density(x, 1e-5, BOUND)),
    "negative": (LogUniform(SMALLEST, BOUND, sign=-1), lambda x: (x < 0) * log_density(x, SMALLEST, BOUND)),
    "positive": (LogUniform(SMALLEST, BOUND), lambda x: (x > 0) * log_density(x, SMALLEST, BOUND)),
    "signed": (SignedLogUniform(SMALLEST, BOUND), lambda x: 0.5 * log_density(x, SMALLEST, BOUND)),
    "asinh per coupling": (
        PerCoupling(SymmetricAsinh(0.01, BOUND / POINT.g_x)),
        lambda x: asinh_density(x / POINT.g_x, 0.01, BOUND / POINT.g_x) / POINT.g_x,
    ),
    "signed per coupling": (
        PerCoupling(SignedLogUniform(SMALLEST / POINT.g_x, BOUND / POINT.g_x)),
        lambda x: 0.5 * log_density(x, SMALLEST, BOUND),
    ),
}


@pytest.fixture(scope="module")
def coherent():
    return lmt.Joint.asimov([lmt.ess10()], POINT)


CASES = [(name, "marginal") for name in MIXINGS] + [("asinh", "profiled")]


@pytest.mark.parametrize(("name", "systematics"), CASES)
def test_mixing_axes_agree_with_quad(name, systematics, coherent):
    mixing, density = MIXINGS[name]
    prior = lmt.Prior(HiddenPhoton(POINT.g_x, POINT.mass, mixing))
    grid = lmt.grid_posterior(coherent, prior, points=400, systematics=systematics)
    per_coupling = isinstance(mixing, PerCoupling)
    (label,) = grid.names
    assert label == ("eps_over_g" if per_coupling else "eps_x")
    unit = POINT.g_x if per_coupling else 1.0

    def integrand(x, power):
        theta = HiddenPhoton(POINT.g_x, POINT.mass, x)
        log_likelihood = float(coherent.log_likelihood(theta, systematics=systematics))
        return (x / unit) ** power * density(x) * np.exp(log_likelihood)

    breaks = sorted({-BOUND, BOUND, 0.0, *(s * 10.0**n for s in (-1, 1) for n in range(-8, -3))})

    def integral(power, *, high=BOUND):
        return sum(
            integrate.quad(integrand, a, b, args=(power,), epsabs=0.0, epsrel=1e-7, limit=100)[0]
            for a, b in itertools.pairwise(breaks)
            if b <= high
        )

    evidence, mean = integral(0), integral(1) / integral(0)
    std = np.sqrt(integral(2) / evidence - mean**2)
    assert grid.log_evidence == pytest.approx(np.log(evidence), abs=3e-4)
    assert abs(grid.mean(label) - mean) < 3e-4 * std
    assert grid.std(label) == pytest.approx(std, rel=3e-4)
    negative = grid.expectation(lambda **axes: axes[label] < 0.0)
    assert negative == pytest.approx(integral(0, high=0.0) / evidence, abs=1e-3)
    _, marginal = grid.marginal(label)
    assert (marginal * grid.widths[label]).sum() == pytest.approx(1.0, abs=1e-12)


# --- zoom -----------------------------------------------------------------------------------------


def test_zoom_keeps_both_signs_of_a_bimodal_posterior(coherent):
    prior = lmt.Prior(HiddenPhoton(POINT.g_x, POINT.mass, SignedLogUniform(SMALLEST, BOUND)))
    grid = lmt.grid_posterior(coherent, prior)
    negative = grid.expectation(lambda eps_x: eps_x < 0.0)
    assert 0.05 < negative < 0.95
    assert grid.axes["eps_x"].size == 240  # 120 cells a sign


# --- refusals -------------------------------------------------------------------------------------


def test_refuses_a_prior_without_a_box(joint):
    prior = lmt.Prior(HiddenPhoton(LogUniform(*G_BOX), TRUTH.mass, Normal(0.0, 1e-5)))
    with pytest.raises(ValueError, match=r"eps_x must have a box prior.*Normal"):
        lmt.grid_posterior(joint, prior)


def test_refuses_nuisances_without_a_closed_form():
    experiment = lmt.ess10(sin2_theta_w=Normal(0.2386, 0.001))
    prior = lmt.Prior(HiddenPhoton(LogUniform(*G_BOX), LogUniform(*MASS_BOX), TRUTH.eps_x))
    with pytest.raises(ValueError, match=r"closed form.*sin2_theta_w"):
        lmt.grid_posterior(lmt.Joint.asimov([experiment], TRUTH), prior)
    na64 = lmt.na64mu(signal_norm=Normal(1.0, 0.1))  # Poisson: no closed form
    with pytest.raises(ValueError, match=r"closed form.*na64mu\.signal_norm"):
        lmt.grid_posterior(lmt.Joint.asimov([na64], TRUTH), prior)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"systematics": "sampled"}, "ess10.signal_norm"),
        ({"systematics": "marginalised"}, "systematics must be one of"),
        ({"points": 1}, "points"),
        ({"points": np.nan}, "points"),
        ({"coarse": 0}, "coarse"),
    ],
)
def test_bad_options_are_named(options, named, coherent):
    prior = lmt.Prior(HiddenPhoton(POINT.g_x, POINT.mass, SymmetricAsinh(1e-5, BOUND)))
    with pytest.raises(ValueError, match=named):
        lmt.grid_posterior(coherent, prior, **options)


def test_marginal_of_an_unknown_parameter_is_named(plane):
    with pytest.raises(ValueError, match=r"name must be one of 'g_x', 'mass'; got 'mas'"):
        plane.marginal("mas")
