"""Liquid xenon: Lindhard, efficiencies, resolution, bound electrons, backgrounds, by printed numbers."""

import itertools

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

from jaxlmt.detection import xenon

# -------------------------------------------------------------------------------------- quenching


def lindhard(energy, k=0.1735):
    """keV_ee, in 30 digits."""
    with mpmath.workdps(30):
        energy, k = mpmath.mpf(energy), mpmath.mpf(k)
        reduced = mpmath.mpf("11.5") * mpmath.mpf(54) ** (-mpmath.mpf(7) / 3) * energy
        g = 3 * reduced ** mpmath.mpf("0.15") + mpmath.mpf("0.7") * reduced ** mpmath.mpf("0.6") + reduced
        return energy * k * g / (1 + k * g)


def test_quenching():
    energies = np.geomspace(1e-3, 1e3, 40)
    np.testing.assert_allclose(xenon.quenched(energies), [float(lindhard(e)) for e in energies], rtol=1e-14)
    assert float(xenon.quenched(13.0)) == pytest.approx(2.9, abs=0.05)  # PHYSICS: not the paper's 30 keV_ee
    assert float(xenon.quenched(0.7)) == pytest.approx(0.1, abs=0.01)  # as 2104.03297, section 5, rounds it
    assert float(xenon.quenched(10.0, 0.166)) == pytest.approx(float(lindhard(10.0, 0.166)), rel=1e-14)


def test_inverse():
    energies = np.geomspace(1e-5, 2e3, 200).reshape(2, 100)
    np.testing.assert_allclose(xenon.recoil_of(xenon.quenched(energies)), energies, rtol=1e-13)
    for energy_ee in (0.1, 1.514, 30.0):
        expected = brentq(lambda e, y=energy_ee: float(lindhard(e)) - y, 1e-3, 500.0, xtol=1e-13, rtol=1e-15)
        assert float(xenon.recoil_of(energy_ee)) == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(xenon.recoil_of(xenon.quenched(5.0, 0.11), 0.11), 5.0, rtol=1e-13)


def test_gradients_of_quenching():
    for energy in (0.01, 0.7, 5.0, 100.0):
        slope = float(mpmath.diff(lindhard, energy, h=1e-7))
        by_k = float(mpmath.diff(lambda k, e=energy: lindhard(e, k), 0.1735, h=1e-7))
        assert float(jax.grad(xenon.quenched)(energy)) == pytest.approx(slope, rel=1e-9)
        assert float(jax.grad(xenon.quenched, 1)(energy, 0.1735)) == pytest.approx(by_k, rel=1e-9)
        energy_ee = float(lindhard(energy))
        found = jax.grad(xenon.recoil_of, (0, 1))(energy_ee, 0.1735)
        assert float(found[0]) == pytest.approx(1.0 / slope, rel=1e-9)
        assert float(found[1]) == pytest.approx(-by_k / slope, rel=1e-9)


def test_second_derivative_of_the_inverse():
    """E'' = -E_ee''/E_ee'^3."""
    energy = 4.0
    first = float(jax.grad(xenon.quenched)(energy))
    second = float(jax.grad(jax.grad(xenon.quenched))(energy))
    found = float(jax.grad(jax.grad(xenon.recoil_of))(float(xenon.quenched(energy))))
    assert found == pytest.approx(-second / first**3, rel=1e-11)


def test_no_energy_no_nan():
    for function in (xenon.quenched, xenon.recoil_of, lambda e: xenon.resolution("darwin", e)):
        value, slope = jax.value_and_grad(function)(0.0)
        assert float(value) == 0.0 and np.isfinite(slope)
    assert jax.vmap(jax.grad(xenon.recoil_of))(np.array([0.0, 1.0])).shape == (2,)


# ------------------------------------------------------------------------------------- efficiency
# A few points digitised from the published curves, none of them a knot of ours; deviation: SOURCES.toml.
PUBLISHED = {
    ("lz", "nr"): (
        [1.06701, 1.93915, 2.60644, 3.46216, 5.05529, 8.50734, 20.0, 30.0],
        [0.00633, 0.08355, 0.21139, 0.41604, 0.72911, 0.96805, 0.99984, 0.99984],
        0.0035,
    ),
    ("lz", "er"): (
        [0.47052, 0.84705, 1.05617, 1.72689, 2.69158, 6.54677, 15.12172],
        [0.00568, 0.08160, 0.20053, 0.68076, 0.97292, 0.98435, 0.63493],
        0.008,
    ),
    ("xenonnt", "nr"): (
        [1.92434, 3.13207, 4.08117, 5.07, 5.74077, 7.57534, 10.52536, 19.33877, 40.0, 65.0],
        [0.01400, 0.12369, 0.26131, 0.412, 0.50599, 0.71919, 0.86113, 0.95794, 0.9700, 0.9706],
        0.008,
    ),
    ("xenonnt", "er"): (
        [0.64575, 0.91897, 1.1948, 1.43110, 1.55421, 1.93992, 2.5460, 4.11161, 20.0, 100.0],
        [0.03048, 0.11030, 0.25852, 0.43696, 0.53637, 0.77948, 0.91361, 0.96131, 0.9680, 0.9675],
        0.008,
    ),
}


@pytest.mark.parametrize(("experiment", "channel"), PUBLISHED)
def test_efficiency_follows_the_published_curve(experiment, channel):
    energies, values, tolerance = PUBLISHED[experiment, channel]
    found = xenon.efficiency(experiment, channel)(np.array(energies))
    np.testing.assert_allclose(found, values, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize(
    ("experiment", "channel", "half"),
    [
        ("lz", "nr", 3.83),
        ("xenonnt", "nr", 5.67),
        ("darwin", "nr", 5.67),
        ("lz", "er", 1.47),
        ("xenonnt", "er", 1.51),
        ("darwin", "er", 1.51),
    ],
)
def test_half_points(experiment, channel, half):
    found = xenon.nominal_threshold(experiment, channel)
    assert found == pytest.approx(half, rel=0.01)
    assert float(xenon.efficiency(experiment, channel)(found)) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("channel", xenon.CHANNELS)
@pytest.mark.parametrize("experiment", xenon.EXPERIMENTS)
def test_efficiency_is_one_rise(experiment, channel):
    curve = xenon.efficiency(experiment, channel)
    energy = np.geomspace(0.05, 200.0, 5001)
    value = np.asarray(curve(energy))
    assert np.all((value >= 0.0) & (value <= 1.0)) and value[0] == 0.0
    top = np.argmax(value)
    assert np.all(np.diff(value[: top + 1]) >= -1e-15)
    assert np.all(np.diff(value[top:]) <= 1e-15)
    assert np.all(np.diff(curve.breaks) > 0.0)
    # the steps at its breaks are no steps: one smooth cubic ends where the next begins
    below, above = curve(curve.breaks * (1 - 1e-12)), curve(curve.breaks * (1 + 1e-12))
    np.testing.assert_allclose(below, above, atol=1e-10)


def test_efficiency_with_a_lower_threshold():
    lowered = xenon.efficiency("darwin", "nr", threshold=1.0)
    nominal = xenon.efficiency("darwin", "nr")
    half = xenon.nominal_threshold("darwin", "nr")
    energy = np.geomspace(0.05, 5.0, 50)
    np.testing.assert_allclose(lowered(energy), nominal(energy * half), rtol=1e-11, atol=1e-14)
    assert float(lowered(1.0)) == pytest.approx(0.5, rel=1e-12)
    assert xenon.efficiency("xenonnt", "nr") is nominal


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: xenon.efficiency("xenon1t", "nr"), "experiment must be one of 'lz', 'xenonnt', 'darwin'"),
        (lambda: xenon.efficiency("lz", "nr+er"), "channel must be one of 'nr', 'er'; got 'nr"),
        (lambda: xenon.resolution("LZ", 1.0), "experiment must be one of"),
        (lambda: xenon.background("xlzd", 1.0), "experiment must be one of"),
        (
            lambda: xenon.bound_electrons(1.0, beyond="zero"),
            "beyond must be one of 'hold', 'one'; got 'zero'",
        ),
        (lambda: xenon.check_window(0.0, 10.0, channel="nr"), "threshold_keV must be a finite number in"),
        (
            lambda: xenon.check_window(5.0, 3.0, channel="nr"),
            r"maximum_keV must lie above threshold_keV = 5; got 3",
        ),
        (lambda: xenon.check_window(5.0, 5.0, channel="er"), "maximum_keV must lie above"),
        (lambda: xenon.check_window(5.0, np.inf, channel="er"), "maximum_keV must be a finite number"),
        (lambda: xenon.check_window(1.0, 5.0, channel="n"), "channel must be one of 'nr', 'er', 'nr.er'"),
    ],
)
def test_invalid_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_windows_below_the_validated_quenching():
    assert xenon.check_window(1.0, 30.0, channel="nr") == (1.0, 30.0)
    assert xenon.check_window(0.7, 30.0, channel="nr") == (0.7, 30.0)
    with pytest.warns(UserWarning, match=r"threshold_keV = 0.5 lies below 0.7 .* Lindhard.* extrapolation"):
        assert xenon.check_window(0.5, 30.0, channel="nr") == (0.5, 30.0)
    with pytest.warns(UserWarning, match=r"threshold_keV = 0.1 lies below 0.106 \(0.7 keV_nr\)"):
        xenon.check_window(0.1, 30.0, channel="nr+er")
    xenon.check_window(0.1, 30.0, channel="er")  # no nuclear recoils, nothing to warn of


# ------------------------------------------------------------------------------------- resolution
def test_resolution():
    energy = np.array([0.5, 4.0, 25.0])
    np.testing.assert_allclose(xenon.resolution("lz", energy), 0.33 * np.sqrt(energy), rtol=1e-15)
    expected = 0.310 * np.sqrt(energy) + 0.0037 * energy
    for experiment in ("xenonnt", "darwin"):
        np.testing.assert_allclose(xenon.resolution(experiment, energy), expected, rtol=1e-15)


@pytest.mark.parametrize("experiment", xenon.EXPERIMENTS)
def test_shifted_resolution(experiment):
    nominal, threshold = 1.5, 0.4

    def relative(energy):
        return float(xenon.resolution(experiment, energy)) / energy

    for energy in (0.05, 0.2, 0.39):  # capped
        found = float(xenon.shifted_resolution(experiment, energy, nominal, threshold))
        assert found == pytest.approx(energy * relative(nominal), rel=1e-14)
    for energy in (0.41, 2.0, 20.0):  # shifted
        found = float(xenon.shifted_resolution(experiment, energy, nominal, threshold))
        assert found == pytest.approx(energy * relative(energy - threshold + nominal), rel=1e-14)
    for energy in (2.0, 20.0):  # nothing to shift
        for same in (nominal, 3.0):
            found = float(xenon.shifted_resolution(experiment, energy, nominal, same))
            assert found == pytest.approx(float(xenon.resolution(experiment, energy)), rel=1e-14)
    assert np.all(np.isfinite(jax.grad(xenon.shifted_resolution, (1, 2, 3))(experiment, 0.0, 1.5, 0.4)))


# ------------------------------------------------------------------------------------------ atoms
def test_electrons_of_xenon():
    assert float(xenon.bound_electrons(100.0, rrpa=False)) == 54.0
    assert float(xenon.bound_electrons(34.75, rrpa=False)) == 52.0
    assert float(xenon.bound_electrons(0.0, rrpa=False)) == 0.0
    # K, L, M, N, O shells have 2, 8, 18, 18, 8; between them 52, 44, 26 and 8 are free
    energies = np.array([10.0, 3.0, 0.4, 0.05])
    np.testing.assert_array_equal(xenon.bound_electrons(energies, rrpa=False), [52.0, 44.0, 26.0, 8.0])


def test_spin_orbit_splitting_of_the_shells():
    """3d5/2 lies 13 eV below 3d3/2 (measured: 676.4 and 689.0 eV), not 58 as a transposed 649.9 eV would."""
    free = xenon.bound_electrons(np.array([0.66, 0.69, 0.70, 0.71]), rrpa=False)
    np.testing.assert_array_equal(free, [26.0, 26.0, 32.0, 36.0])


def test_rrpa():
    """Ratios read off 1610.04177's two curves: 0.84, 0.87, 0.89, 0.75 at 0.25, 1, 2.7, 19 keV."""
    energies = np.array([0.254, 1.0, 2.7, 19.0])
    ratio = xenon.bound_electrons(energies) / xenon.bound_electrons(energies, rrpa=False)
    np.testing.assert_allclose(ratio, [0.84, 0.865, 0.89, 0.747], atol=0.01)


def test_beyond_the_rrpa_table():
    energies = np.array([0.1, 0.25, 29.0, 33.0, 50.0])
    free = xenon.bound_electrons(energies, rrpa=False)
    np.testing.assert_array_equal(xenon.bound_electrons(energies, beyond="one"), free)
    held = xenon.bound_electrons(energies) / free
    first, last = (
        float(xenon.bound_electrons(e) / xenon.bound_electrons(e, rrpa=False)) for e in (0.2538, 28.354)
    )
    np.testing.assert_allclose(held, [first, first, last, last, last], rtol=1e-14)
    inside = np.array([0.3, 1.0, 28.0])
    np.testing.assert_array_equal(xenon.bound_electrons(inside, beyond="one"), xenon.bound_electrons(inside))


def test_smooth_between_the_breaks():
    breaks = xenon.electron_breaks()
    assert np.all(np.diff(breaks) > 0.0)
    for low, high in itertools.pairwise(breaks):  # a straight line in ln E, or a constant
        energies = low * (high / low) ** np.array([1e-6, 0.5, 1 - 1e-6])
        for beyond in xenon.BEYOND:
            a, b, c = map(float, xenon.bound_electrons(energies, beyond=beyond))
            assert a + c == pytest.approx(2 * b, rel=1e-12)
    assert np.all(np.isfinite(jax.vmap(jax.grad(xenon.bound_electrons))(breaks)))


# ------------------------------------------------------------------------------------ backgrounds
def test_background_of_darwin():
    """Flat (19 + 565 + 139)/(28 keV 14 t yr), 1309.7024, and 2 nu beta beta before rejection."""
    energies = np.array([1.5, 5.0, 10.0, 20.0, 30.0])
    double_beta = xenon.background("darwin", energies) - (19 + 565 + 139) / 28 / 14
    np.testing.assert_allclose(double_beta, [0.18, 0.61, 1.235, 2.523, 3.853], atol=0.015)


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [  # total less solar neutrinos of XENONnT, components other than neutrinos of LZ, as published
        ("xenonnt", [8.57, 9.13, 10.02, 11.61, 13.31]),
        ("lz", [11.79, 12.62, 13.69, 15.88, 18.14]),
    ],
)
def test_backgrounds(experiment, expected):
    found = xenon.background(experiment, np.array([1.0, 5.0, 10.0, 20.0, 30.0]))
    np.testing.assert_allclose(found, expected, rtol=0.02)
    assert float(jax.grad(lambda e: xenon.background(experiment, e))(10.0)) > 0.0


def test_strict_promotion_of_types():
    with jax.numpy_dtype_promotion("strict"):
        for function in (
            xenon.quenched,
            xenon.recoil_of,
            xenon.bound_electrons,
            lambda e: xenon.resolution("lz", e),
            lambda e: xenon.shifted_resolution("lz", e, 1.5, 1.0),
            lambda e: xenon.background("lz", e),
            xenon.efficiency("lz", "er"),
        ):
            jax.eval_shape(jax.grad(lambda e, function=function: jnp.sum(function(e))), np.ones(3))
