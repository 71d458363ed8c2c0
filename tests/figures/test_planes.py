"""The planes of mass and coupling, figures 1 and dz3, and N_eff of dz2: what is drawn is where it must be."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import jaxlmt as lmt
from jaxlmt.figures import bounds, draw
from jaxlmt.plots.style import BLUE, GREY, INK, ORANGE

POINTS = 40


@pytest.fixture(scope="module")
def drawn():
    """(axes, note) of a figure, each drawn once."""
    made = {}

    def get(name):
        if name not in made:
            figure, note = draw(name, points=POINTS)
            made[name] = figure.axes[0], note
        return made[name]

    return get


def edge(ax, colour):
    """(x, y) along the lines of contours in this colour."""
    found = []
    for part in ax.collections:
        if isinstance(part, mpl.contour.ContourSet) and not part.filled:
            if np.allclose(part.get_edgecolor()[0][:3], to_rgb(colour), atol=1e-3):
                found += [path.vertices for path in part.get_paths()]
    assert found
    return np.concatenate(found).T


def coupling_at(line, mass):
    x, y = line
    order = np.argsort(x)
    return np.exp(np.interp(np.log(mass), np.log(x[order]), np.log(y[order])))


def test_the_level_is_95_percent():
    """At the published limit of a one-sided term -2 ln L is the level that is drawn."""
    theta = lmt.HiddenPhoton(5.1925e-4, 10.0, -5.1925e-4 / 70)
    assert float(bounds.excess(lmt.white_dwarfs(), theta)) == pytest.approx(bounds.EXCLUDED, rel=1e-3)
    assert bounds.EXCLUDED == pytest.approx(2.7055, abs=1e-4)


def test_figure_1(drawn):
    ax, note = drawn("1")
    dwarfs = edge(ax, GREY)
    for mass in (10.0, 50.0, 200.0):
        assert coupling_at(dwarfs, mass) == pytest.approx(5.19e-4 * mass / 10.0, rel=0.01)
    vertical = edge(ax, bounds.PURPLE)[0]  # N_eff = 3.4 with A' alone and N_nu = 3.044
    assert vertical.min() == pytest.approx(10.6, rel=0.02) and np.ptp(vertical) < 1e-6
    tridents = edge(ax, bounds.WINE)
    ratio = coupling_at(tridents, 9e3) / coupling_at(tridents, 4.5e3)
    assert 1.5 < ratio < 2.2  # a contact interaction of g/M
    stars = [line for line in ax.lines if line.get_marker() == "*"]
    assert [(float(s.get_xdata()[0]), float(s.get_ydata()[0])) for s in stars] == [
        (lmt.benchmark(name).mass, lmt.benchmark(name).g_x) for name in lmt.BENCHMARKS
    ]
    texts = {text.get_text() for text in ax.texts}
    assert texts >= {"white dwarfs", "Borexino", "CHARM-II", "CCFR", *lmt.BENCHMARKS}
    assert "COHERENT" in note and "95%" in note


def test_figure_dz2(drawn):
    ax, note = drawn("dz2")
    alone, above, below, hubble = (line.get_ydata() for line in ax.lines)
    assert np.all(np.asarray(hubble) == 3.2)
    mass = ax.lines[0].get_xdata()
    for at, value in ((22.2, 3.4), (26.8, 3.2)):
        assert np.interp(at, mass, above) == pytest.approx(value, abs=0.005)
    assert np.all(alone < above) and np.all(above < below)
    assert "22.2 and 26.8 MeV" in note and "N_nu = 3," in note


@pytest.mark.slow
def test_figure_dz3(drawn):
    ax, note = drawn("dz3")
    line = edge(ax, BLUE)  # Omega h^2 = 0.12 for m_psi = 0.51 M
    for mass in (10.0, 30.0, 100.0):
        g_x = coupling_at(line, mass)
        theta = lmt.DarkMatter(g_x, mass, 0.51 * mass, dark_decays=False)
        assert float(lmt.relic_density(theta)) == pytest.approx(0.12, rel=0.03)
    assert coupling_at(edge(ax, ORANGE), 30.0) < coupling_at(line, 30.0)
    assert edge(ax, bounds.PURPLE)[0].min() == pytest.approx(22.2, rel=0.02)
    assert coupling_at(edge(ax, INK), 20.0) == pytest.approx(2 * 5.19e-4, rel=0.01)
    assert "COHERENT" in note and "without decays to psi" in note
