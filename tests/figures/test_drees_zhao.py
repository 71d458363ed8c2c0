"""Figures of 2107.14528: their curves are the package's numbers, their notes say what differs."""

import re

import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt.figures import draw

POINTS = 24


@pytest.fixture(scope="module")
def first():
    return draw("dz1", points=POINTS)


def test_figure_1(first):
    made, note = first
    (ax,) = made.axes
    omega, sigma_v, x_f, line, dots = ax.lines
    mass = omega.get_xdata()
    theta = lmt.DarkMatter(5e-4, 15.0, mass[[5, -5]], dark_decays=False)  # far from the pole
    np.testing.assert_allclose(omega.get_ydata()[[5, -5]], lmt.relic_density(theta), rtol=1e-8)
    np.testing.assert_allclose(x_f.get_ydata()[[5, -5]], lmt.freeze_out(theta).x, rtol=1e-8)
    np.testing.assert_allclose(sigma_v.get_ydata()[[5, -5]], 1e26 * lmt.freeze_out(theta).sigma_v, rtol=1e-8)
    assert np.all(np.diff(mass) > 0) and omega.get_ydata().min() < 1e-8
    assert set(line.get_ydata()) == {0.12}
    np.testing.assert_allclose(dots.get_xdata(), [7.5 * (1 - 0.322), 7.5 * 1.0167], rtol=1e-3)
    assert "-32.2%, +1.7%" in note and "left out" in note and "1.2% above" in note


def test_options(first):
    made, note = draw("dz1", points=POINTS, kernel="ww")
    below = [lines.axes[0].lines[0].get_ydata()[POINTS // 2] for lines in (first[0], made)]
    assert below[1] > 1.05 * below[0]  # a broader resonance annihilates less
    assert "-31.3%, +1.7%" in note and "leaves out" in note


def test_figure_4():
    made, note = draw("dz4", points=POINTS)
    (ax,) = made.axes
    line = ax.lines[0]
    charge, delta = line.get_data()
    theta = lmt.DarkMatter.from_delta(4.5e-4, 23.0, delta, charge, dark_decays=False)
    np.testing.assert_allclose(lmt.relic_density(theta), 0.12, rtol=1e-8)
    low, high = map(float, re.search(r"for (\S+) < q_psi < (\S+);", note).groups())

    def per_fb(q):  # half of <sigma v> in fb
        d = np.exp(np.interp(np.log(q), np.log(charge), np.log(delta)))
        point = lmt.DarkMatter.from_delta(4.5e-4, 23.0, d, q)
        return 0.5 * float(lmt.halo_sigma_v(point, channel="e")) / 2.99792458e-29, float(point.dm_mass)

    value, mass = per_fb(low)
    assert value * 0.3 * 2.99792458e-29 == pytest.approx(4.1e-31 * mass, rel=0.05)
    value, mass = per_fb(high)
    assert value / mass**2 == pytest.approx(1e-3, rel=0.05)
