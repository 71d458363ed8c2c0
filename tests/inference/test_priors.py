"""Prior: what is free, tied and fixed, its coordinates and its density."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.integrate import dblquad
from scipy.special import expit

import jaxlmt as lmt
from jaxlmt import (
    HiddenPhoton,
    LeptonCharges,
    LogUniform,
    Normal,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    TiedToCoupling,
    Uniform,
)
from jaxlmt.inference.priors import Prior, default_prior

COUPLING, MASS = LogUniform(1e-5, 1e-2), LogUniform(1.0, 1e3)
RATIO = SymmetricAsinh(0.01, 0.3)

PRIORS = {
    "default": default_prior(),
    "tied": Prior(HiddenPhoton(COUPLING, MASS, TiedToCoupling(-1 / 70))),
    "tied to a number": Prior(HiddenPhoton(5e-4, MASS, TiedToCoupling(-1 / 70))),
    "free mixing": Prior(HiddenPhoton(COUPLING, MASS, Uniform(-1e-4, 2e-4))),
    "negative": Prior(HiddenPhoton(COUPLING, 20.0, LogUniform(1e-8, 1e-3, sign=-1))),
    "signed": Prior(HiddenPhoton(COUPLING, MASS, SignedLogUniform(1e-8, 1e-3))),
    "signed ratio": Prior(HiddenPhoton(COUPLING, MASS, PerCoupling(SignedLogUniform(1e-4, 0.3)))),
    "tau": Prior(HiddenPhoton(COUPLING, MASS, 0.0, LeptonCharges(0.0, 1.0, Uniform(-1.5, 0.5)))),
    "everything": Prior(
        HiddenPhoton(
            Uniform(1e-5, 1e-2),
            Uniform(5.0, 500.0),
            PerCoupling(RATIO),
            LeptonCharges(Normal(0.0, 0.1), 1.0, Uniform(-1.5, 0.5)),
        )
    ),
}
case = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)


def point(prior, seed, spread=3.0):
    return np.random.default_rng(seed).uniform(-spread, spread, len(prior.names))


# -------------------------------------------------------------------------------------------------- names
def test_names():
    names = {label: prior.names for label, prior in PRIORS.items()}
    assert names == {
        "default": ("g_x", "mass", "eps_x"),
        "tied": ("g_x", "mass"),
        "tied to a number": ("mass",),
        "free mixing": ("g_x", "mass", "eps_x"),
        "negative": ("g_x", "eps_x"),
        "signed": ("g_x", "mass", "eps_x"),
        "signed ratio": ("g_x", "mass", "eps_x"),
        "tau": ("g_x", "mass", "charges.tau"),
        "everything": ("g_x", "mass", "eps_x", "charges.e", "charges.tau"),
    }
    for label, prior in PRIORS.items():
        assert tuple(prior.distributions) == prior.names
        assert prior.signed == (2 if label.startswith("signed") else None)
        assert set(prior.describe()) == {"g_x", "mass", "eps_x", "charges.e", "charges.mu", "charges.tau"}


def test_default_prior():
    """The box that README and --help state."""
    box = {name: getattr(d, "ratio", d).bounds for name, d in default_prior().distributions.items()}
    assert box["g_x"] == pytest.approx((1e-5, 1e-2))
    assert box["mass"] == pytest.approx((1.0, 1e3))
    assert box["eps_x"] == pytest.approx((-0.3, 0.3))
    assert isinstance(default_prior().distributions["eps_x"], PerCoupling)
    charges = default_prior(charges=lmt.LMU).theta.charges
    assert (float(charges.e), float(charges.mu), float(charges.tau)) == (0.0, 1.0, 0.0)
    tied = default_prior(mixing=TiedToCoupling(-1 / 70))
    assert tied.names == ("g_x", "mass")
    theta = tied.from_real(np.array([0.3, -0.2]))
    assert float(theta.eps_x) == pytest.approx(-float(theta.g_x) / 70, rel=1e-15)
    assert float(default_prior(mixing=1e-6).from_real(np.zeros(2)).eps_x) == 1e-6


def test_describe_and_repr():
    text = PRIORS["tied"].describe()
    assert text["eps_x"].endswith(" g_x") and "-0.0142857" in text["eps_x"]
    assert "LogUniform" in text["mass"] and "1000" in text["mass"]
    assert text["charges.tau"] == "-1"
    assert PRIORS["default"].describe()["eps_x"].startswith("g_x times SymmetricAsinh")
    assert repr(PRIORS["tau"]).startswith("Prior(HiddenPhoton(")


# -------------------------------------------------------------------------------------------- coordinates
def by_hand(label, y):
    """(g, M, eps, q_e, q_tau) of each prior at ``y``, written out."""
    u = expit(y)
    coupling = 1e-5 * 1e3 ** u[0]
    ratio = math.asinh(30.0)
    if label == "default":
        eps = coupling * 0.01 * math.sinh((2.0 * u[2] - 1.0) * ratio)
        return coupling, 1e3 ** u[1], eps, 0.0, -1.0
    if label == "tied":
        return coupling, 1e3 ** u[1], -coupling / 70, 0.0, -1.0
    if label == "tied to a number":
        return 5e-4, 1e3 ** u[0], -5e-4 / 70, 0.0, -1.0
    if label == "free mixing":
        return coupling, 1e3 ** u[1], -1e-4 + 3e-4 * u[2], 0.0, -1.0
    if label == "negative":
        return coupling, 20.0, -1e-8 * 1e5 ** u[1], 0.0, -1.0
    if label == "signed":
        return coupling, 1e3 ** u[1], 1e-8 * 1e5 ** u[2], 0.0, -1.0
    if label == "signed ratio":
        return coupling, 1e3 ** u[1], coupling * 1e-4 * 3e3 ** u[2], 0.0, -1.0
    if label == "tau":
        return coupling, 1e3 ** u[1], 0.0, 0.0, -1.5 + 2.0 * u[2]
    coupling = 1e-5 + (1e-2 - 1e-5) * u[0]
    eps = coupling * 0.01 * math.sinh((2.0 * u[2] - 1.0) * ratio)
    return coupling, 5.0 + 495.0 * u[1], eps, 0.1 * y[3], -1.5 + 2.0 * u[4]


def flat(theta):
    q = theta.charges
    return np.array([float(x) for x in (theta.g_x, theta.mass, theta.eps_x, q.e, q.tau)])


@pytest.mark.parametrize("label", PRIORS)
def test_from_real_by_hand(label):
    prior = PRIORS[label]
    for seed in range(4):
        y = point(prior, seed)
        theta = prior.from_real(y)
        np.testing.assert_allclose(flat(theta), by_hand(label, y), rtol=1e-12, atol=1e-18)
        assert float(theta.charges.mu) == 1.0
        if label.startswith("signed"):
            other = flat(prior.from_real(y, -1.0))
            np.testing.assert_array_equal(other, flat(theta) * [1, 1, -1, 1, 1])


@case
def test_round_trip(prior):
    for seed in range(4):
        y = point(prior, seed)
        theta = prior.from_real(y)
        np.testing.assert_allclose(prior.to_real(theta), y, rtol=1e-10, atol=1e-10)
        again = prior.from_real(prior.to_real(theta))
        np.testing.assert_allclose(flat(again), flat(theta), rtol=1e-12, atol=1e-20)
    numbers = jax.tree.map(float, theta)  # Python floats will do
    np.testing.assert_allclose(prior.to_real(numbers), y, rtol=1e-10, atol=1e-10)


def test_fill_and_values():
    prior = PRIORS["default"]
    theta = prior.fill({"g_x": 1e-3, "mass": 7.0, "eps_x": -0.1})
    assert (float(theta.g_x), float(theta.mass)) == (1e-3, 7.0)
    assert float(theta.eps_x) == pytest.approx(-1e-4, rel=1e-15)  # a ratio goes in, the mixing comes out
    assert {k: float(v) for k, v in prior.values(theta).items()} == pytest.approx(
        {"g_x": 1e-3, "mass": 7.0, "eps_x": -1e-4}
    )
    tied = PRIORS["tied"]
    values = tied.values(tied.fill({"g_x": 1e-3, "mass": 7.0}))
    assert list(values) == ["g_x", "mass", "eps_x"]  # what follows g_x is told too
    assert float(values["eps_x"]) == pytest.approx(-1e-3 / 70, rel=1e-15)


@case
def test_pytree(prior):
    leaves, structure = jax.tree.flatten(prior)
    assert all(np.asarray(leaf).dtype == np.float64 for leaf in leaves)
    again = jax.tree.unflatten(structure, leaves)
    assert again.names == prior.names and again.signed == prior.signed
    y = point(prior, 5)
    traced = jax.jit(lambda p, c: p.log_density_real(c))(prior, y)
    assert float(traced) == pytest.approx(float(prior.log_density_real(y)), rel=1e-14)


# ----------------------------------------------------------------------------------------------- densities
@case
def test_density_in_real_coordinates(prior):
    """A product: logistic for every box, normal for every Gaussian."""
    y = point(prior, 7)
    laws = [stats.norm if isinstance(d, Normal) else stats.logistic for d in prior.distributions.values()]
    expected = math.fsum(law.logpdf(c) for law, c in zip(laws, y, strict=True))
    assert float(prior.log_density_real(y)) == pytest.approx(expected, rel=1e-14)


def density_by_hand(label, g, mass, eps, q_e, q_tau):
    """The log density in (g_x, mass, eps_x, charges): scipy's, and 1/g for a prior on eps_x/g_x."""
    log_g, log_m = stats.loguniform(1e-5, 1e-2).logpdf(g), stats.loguniform(1.0, 1e3).logpdf(mass)
    ratio = -math.log(2.0 * math.asinh(30.0) * math.hypot(eps / g, 0.01)) - math.log(g)
    tau = -math.log(2.0)
    return {
        "default": log_g + log_m + ratio,
        "tied": log_g + log_m,
        "tied to a number": log_m,
        "free mixing": log_g + log_m - math.log(3e-4),
        "negative": log_g + stats.loguniform(1e-8, 1e-3).logpdf(-eps),
        "signed": log_g + log_m + stats.loguniform(1e-8, 1e-3).logpdf(abs(eps)) - math.log(2.0),
        "signed ratio": log_g
        + log_m
        + stats.loguniform(1e-4, 0.3).logpdf(abs(eps / g))
        - math.log(2.0)
        - math.log(g),
        "tau": log_g + log_m + tau,
        "everything": stats.uniform(1e-5, 1e-2 - 1e-5).logpdf(g)
        + stats.uniform(5.0, 495.0).logpdf(mass)
        + ratio
        + stats.norm(0.0, 0.1).logpdf(q_e)
        + tau,
    }[label]


@pytest.mark.parametrize("label", PRIORS)
def test_density_by_hand(label):
    prior = PRIORS[label]
    for seed in range(4):
        y = point(prior, seed)
        theta = prior.from_real(y)
        expected = density_by_hand(label, *flat(theta))
        assert float(prior.log_prob(theta)) == pytest.approx(expected, rel=1e-12)
        # and it is the density in y, transformed by autodiff
        slope = jax.jacfwd(lambda c: jnp.stack(jax.tree.leaves(prior.values(prior.from_real(c)))))(y)
        free = [sorted(prior.values(theta)).index(name) for name in prior.names]
        _, log_volume = np.linalg.slogdet(np.asarray(slope)[free])
        signs = math.log(2.0) if label.startswith("signed") else 0.0
        transformed = float(prior.log_density_real(y)) - log_volume - signs
        assert float(prior.log_prob(theta)) == pytest.approx(transformed, rel=1e-10)


def test_density_outside_the_box():
    prior = PRIORS["default"]
    inside = HiddenPhoton(1e-3, 10.0, -1e-5)
    assert np.isfinite(float(prior.log_prob(inside)))
    for outside in ((2e-2, 10.0, -1e-5), (1e-3, 0.9, -1e-5), (1e-3, 10.0, 3.1e-4), (1e-6, 10.0, 0.0)):
        assert float(prior.log_prob(HiddenPhoton(*outside))) == -np.inf


def test_ratio_prior_is_normalised_in_the_mixing():
    """int dg deps p(g, eps) = 1 in physical parameters, where the box of eps depends on g."""
    prior = Prior(HiddenPhoton(Uniform(1e-4, 1e-3), 20.0, PerCoupling(SymmetricAsinh(0.1, 0.3))))
    density = jax.jit(lambda p, g, e: jnp.exp(p.log_prob(HiddenPhoton(g, 20.0, e))))
    total, _ = dblquad(lambda r, g: g * float(density(prior, g, r * g)), 1e-4, 1e-3, -0.3, 0.3, epsrel=1e-8)
    assert total == pytest.approx(1.0, rel=1e-7)


# ------------------------------------------------------------------------------------------------ refusals
@pytest.mark.parametrize(
    "theta,named",
    [
        (HiddenPhoton(1e-3, 10.0, 0.0), "free"),
        (HiddenPhoton(1e-3, 10.0, TiedToCoupling(-1 / 70)), "free"),
        (HiddenPhoton(LogUniform(1e-2, 1e-5), 10.0, 0.0), r"g_x\.high"),
        (HiddenPhoton(LogUniform(0.0, 1e-5), 10.0, 0.0), r"g_x\.low"),
        (HiddenPhoton(Uniform(-1e-3, 1e-3), 10.0, 0.0), "g_x"),
        (HiddenPhoton(Normal(1e-3, 1e-4), 10.0, 0.0), "g_x"),
        (HiddenPhoton(LogUniform(1e-5, 1e-2, sign=-1), 10.0, 0.0), "g_x"),
        (HiddenPhoton(SymmetricAsinh(1e-3, 1.0), 10.0, 0.0), "g_x"),
        (HiddenPhoton(SignedLogUniform(1e-5, 1e-2), 10.0, 0.0), "g_x"),
        (HiddenPhoton(TiedToCoupling(1.0), MASS, 0.0), "g_x"),
        (HiddenPhoton(PerCoupling(RATIO), MASS, 0.0), "g_x"),
        (HiddenPhoton(COUPLING, Uniform(0.0, 10.0), 0.0), "mass"),
        (HiddenPhoton(COUPLING, Normal(10.0, 1.0), 0.0), "mass"),
        (HiddenPhoton(COUPLING, TiedToCoupling(1e4), 0.0), "mass"),
        (HiddenPhoton(COUPLING, PerCoupling(Uniform(1e3, 1e4)), 0.0), "mass"),
        (HiddenPhoton(COUPLING, SignedLogUniform(1.0, 1e3), 0.0), "mass"),
        (HiddenPhoton(COUPLING, -10.0, 0.0), "mass"),
        (HiddenPhoton(COUPLING, 0.0, 0.0), "mass"),
        (HiddenPhoton(-1e-3, MASS, 0.0), "g_x"),
        (HiddenPhoton(COUPLING, np.nan, 0.0), "mass"),
        (HiddenPhoton(COUPLING, np.array([1.0, 2.0]), 0.0), "mass"),
        (HiddenPhoton(COUPLING, "heavy", 0.0), "mass"),
        (HiddenPhoton(COUPLING, None, 0.0), "mass"),
        (HiddenPhoton(COUPLING, MASS, SymmetricAsinh(0.0, 1.0)), r"eps_x\.scale"),
        (HiddenPhoton(COUPLING, MASS, Normal(0.0, 0.0)), r"eps_x\.std"),
        (HiddenPhoton(COUPLING, MASS, TiedToCoupling(np.inf)), r"eps_x\.ratio"),
        (HiddenPhoton(COUPLING, MASS, PerCoupling(Normal(0.0, 1.0))), "eps_x"),
        (HiddenPhoton(COUPLING, MASS, PerCoupling(Uniform(0.1, -0.1))), r"eps_x\.ratio\.high"),
        (
            HiddenPhoton(COUPLING, MASS, 0.0, LeptonCharges(0.0, 1.0, Uniform(0.5, -0.5))),
            r"charges\.tau\.high",
        ),
        (HiddenPhoton(COUPLING, MASS, 0.0, LeptonCharges(0.0, np.inf, -1.0)), r"charges\.mu"),
        (
            HiddenPhoton(
                COUPLING,
                MASS,
                SignedLogUniform(1e-8, 1e-3),
                LeptonCharges(0.0, 1.0, SignedLogUniform(0.1, 1.0)),
            ),
            r"SignedLogUniform.*eps_x.*charges\.tau",
        ),
        ((1e-3, 10.0, 0.0), "theta"),
        ({"g_x": COUPLING}, "theta"),
        (LeptonCharges(0.0, 1.0, Uniform(-1.0, 1.0)), "theta"),
    ],
)
def test_bad_priors_are_named(theta, named):
    with pytest.raises(ValueError, match=rf"(^|\W){named}"):
        Prior(theta)


@pytest.mark.parametrize(
    "box, at, share",
    [
        (lmt.Uniform(-1.0, 3.0), 0.0, 0.25),
        (lmt.LogUniform(1e-2, 1e2), 1e-1, 0.25),
        (lmt.LogUniform(1e-2, 1e2, sign=-1), -1e-1, 0.75),
        (lmt.SymmetricAsinh(0.01, 0.9), 0.0, 0.5),
        (lmt.AsinhUniform(0.01, -0.9, 0.2), 0.1, None),
    ],
)
def test_split(box, at, share):
    """The parts meet at ``at``, and with their probabilities have the density of the whole."""
    prior = lmt.Prior(lmt.HiddenPhoton(1e-3, 10.0, box))
    (below, first), (above, second) = prior.split("eps_x", at)
    assert below + above == pytest.approx(1.0, rel=1e-12)
    assert share is None or below == pytest.approx(share, rel=1e-12)
    parts = first.distributions["eps_x"], second.distributions["eps_x"]
    assert parts[0].bounds == (box.bounds[0], at) and parts[1].bounds == (at, box.bounds[1])
    for probability, part in zip((below, above), parts):
        value = 0.3 * part.bounds[0] + 0.7 * part.bounds[1]
        whole = float(box.log_prob(value))
        assert np.log(probability) + float(part.log_prob(value)) == pytest.approx(whole, rel=1e-10)
        assert float(part.from_real(part.to_real(value))) == pytest.approx(value, rel=1e-9)


def test_split_of_a_ratio():
    prior = lmt.default_prior()
    (below, first), (above, _) = prior.split("eps_x", 0.0)
    assert below == above == 0.5
    assert first.distributions["eps_x"].ratio.bounds == (-0.3, 0.0)
    assert float(first.from_real(np.zeros(3)).eps_x) < 0.0


@pytest.mark.parametrize(
    "name, at, message",
    [
        ("mixing", 0.0, "name must be one of 'g_x', 'mass', 'eps_x'; got 'mixing'"),
        ("mass", 1e4, r"at must lie inside the support of mass, \(1, 1000\); got 10000"),
        ("mass", np.nan, "at must be a finite number"),
    ],
)
def test_split_refuses(name, at, message):
    with pytest.raises(ValueError, match=message):
        lmt.default_prior().split(name, at)
    with pytest.raises(ValueError, match="eps_x must have a box prior"):
        lmt.Prior(lmt.HiddenPhoton(1e-3, 10.0, lmt.Normal(0.0, 1.0))).split("eps_x", 0.0)
