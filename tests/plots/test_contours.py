"""Contours of profile likelihoods: regions of known shape, what is drawn, and what is refused."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from scipy.stats import chi2

import jaxlmt as lmt
from jaxlmt.inference.profile import Profile
from jaxlmt.plots import contours, figure
from jaxlmt.plots.contours import PALETTE
from jaxlmt.plots.style import INK

MASS, COUPLING = np.geomspace(1.0, 300.0, 121), np.geomspace(1e-4, 1e-2, 101)
CENTRE, WIDTH = (np.log(20.0), np.log(1e-3)), (0.3, 0.2)


def scan(delta, **fields):
    """A profile with ``delta`` (mass, coupling); best fit at (20 MeV, 1e-3)."""
    theta = lmt.HiddenPhoton(1e-3, 20.0, -1e-3 / 70)
    defaults = {"x": "mass", "y": "g_x", "x_values": MASS, "y_values": COUPLING, "profiled": {}}
    best = {"theta": theta, "nuisances": {}, "minus_two_log_likelihood": 0.0}
    return Profile(**{**defaults, **best, "delta": delta, **fields})


def ellipse(*, shift=0.0):
    """A Gaussian in (ln M, ln g): its regions are ellipses, closed on the grid."""
    u = (np.log(MASS) - CENTRE[0] - shift) / WIDTH[0]
    v = (np.log(COUPLING) - CENTRE[1]) / WIDTH[1]
    return scan(u[:, None] ** 2 + v[None, :] ** 2)


def limit():
    """(g / g_0)^4 with g_0 = 1e-3 sqrt(M / 20 MeV): no lower bound, and an upper one at every mass."""
    return scan((COUPLING[None, :] / (1e-3 * np.sqrt(MASS[:, None] / 20.0))) ** 4)


def lines(ax):
    """Polygons of every outlined contour, (n, 2) each, by level."""
    (outlined,) = [c for c in ax.collections if isinstance(c, mpl.contour.ContourSet) and not c.filled]
    return [path.to_polygons(closed_only=False) for path in outlined.get_paths()]


def filled(ax):
    return [c for c in ax.collections if isinstance(c, mpl.contour.ContourSet) and c.filled]


def key(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def pixels(made):
    made.canvas.draw()
    return np.asarray(made.canvas.buffer_rgba())[..., :3] / 255.0


def has_colour(image, colour):
    return bool(np.any(np.abs(image - to_rgb(colour)).max(axis=-1) < 0.02))


# ------------------------------------------------------------------------------------------ what is drawn
def test_closed_regions_are_the_ellipses_of_chi_squared():
    levels = (0.5, 0.9, 0.99)
    (ax,) = contours(ellipse(), levels=levels).axes
    for level, polygons in zip(levels, lines(ax), strict=True):
        (line,) = polygons
        np.testing.assert_allclose(line[0], line[-1], rtol=1e-12)  # closed
        u, v = ((np.log(line[:, i]) - CENTRE[i]) / WIDTH[i] for i in (0, 1))
        # linear interpolation between grid points, in which the deviance bends
        np.testing.assert_allclose(u**2 + v**2, chi2.ppf(level, 2), rtol=0.03)
    assert len(filled(ax)) == 3
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlim() == pytest.approx((1.0, 300.0)) and ax.get_ylim() == pytest.approx((1e-4, 1e-2))
    assert key(ax) == ["50%", "90%", "99%"]


def test_open_regions_end_at_the_frame():
    (ax,) = contours(limit(), levels=(0.9,)).axes
    ((line,),) = lines(ax)
    assert sorted(line[[0, -1], 0]) == pytest.approx([1.0, 300.0])  # from side to side, with no lower end
    expected = 1e-3 * np.sqrt(line[:, 0] / 20.0) * chi2.ppf(0.9, 2) ** 0.25
    np.testing.assert_allclose(line[:, 1], expected, rtol=0.01)
    (region,) = filled(ax)
    corners = [
        path.contains_points([(1.01, 1.01e-4), (299.0, 1.01e-4), (1.01, 9e-3)]) for path in region.get_paths()
    ]
    np.testing.assert_array_equal(np.any(corners, axis=0), [True, True, False])


def test_infinite_deviances_are_outside():
    profile = ellipse()
    walled = replace(profile, delta=np.where(MASS[:, None] < 20.0, np.inf, profile.delta))
    (ax,) = contours(walled).axes
    for polygons in lines(ax):
        assert polygons and min(line[:, 0].min() for line in polygons) > 19.0


def test_nothing_inside_draws_no_region():
    (ax,) = contours(scan(np.full((MASS.size, COUPLING.size), 50.0))).axes
    assert not any(len(polygons) for polygons in lines(ax))


def test_limits_are_lines_and_no_regions():
    scans = {"closed": ellipse(), "limit": limit()}
    (ax,) = contours(scans, limits=["limit"]).axes
    assert len([c for c in ax.collections if isinstance(c, mpl.contour.ContourSet)]) == 1
    (line,) = ax.lines
    expected = 1e-3 * np.sqrt(MASS / 20.0) * chi2.ppf(0.9, 2) ** 0.25
    inside = expected < 0.95 * COUPLING[-1]
    np.testing.assert_array_equal(line.get_xdata(), MASS)
    np.testing.assert_allclose(line.get_ydata()[inside], expected[inside], rtol=1e-3)
    assert line.get_color() == PALETTE[1] and line.get_linestyle() not in ("-", "None")
    assert key(ax) == ["closed", "limit", "68.3%", "95.4%", "90% limit"]


def test_filled_scan_stands_out():
    scans = {"one": ellipse(), "two": ellipse(shift=0.5), "three": limit()}
    (ax,) = contours(scans, filled="two").axes
    outlined = [c for c in ax.collections if isinstance(c, mpl.contour.ContourSet) and not c.filled]
    colours = [tuple(c.get_edgecolor()[0][:3]) for c in outlined]
    assert colours == [to_rgb(c) for c in (PALETTE[0], INK, PALETTE[1])]
    assert len(filled(ax)) == 2
    (ax,) = contours(scans).axes  # several, none chosen
    assert filled(ax) == []


def test_truth_and_best_fit_are_where_they_are():
    (ax,) = contours(ellipse(), truth=lmt.HiddenPhoton(6e-4, 25.0, 0.0), best=True).axes
    cross, star = ax.lines
    assert (cross.get_marker(), star.get_marker()) == ("x", "*")
    assert (float(cross.get_xdata()[0]), float(cross.get_ydata()[0])) == (20.0, 1e-3)
    assert (float(star.get_xdata()[0]), float(star.get_ydata()[0])) == (25.0, 6e-4)
    assert "truth" in key(ax)


def test_other_planes_find_their_parameters():
    ratio = np.linspace(-0.1, 0.05, 31)
    plane = {"x": "eps_over_g", "x_values": ratio}
    delta = ((ratio[:, None] + 1 / 70) / 0.02) ** 2 + np.log(COUPLING[None, :] / 1e-3) ** 2 / 0.04
    (ax,) = contours(scan(delta, **plane), truth=lmt.benchmark("BP1"), best=True).axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("linear", "log")  # it crosses zero
    for line in ax.lines:
        assert float(line.get_xdata()[0]) == pytest.approx(-1 / 70)
    tau = np.linspace(-1.5, 0.5, 31)
    plane = {"x": "charges.tau", "x_values": tau}
    delta = (tau[:, None] + 1.0) ** 2 + np.log(COUPLING[None, :] / 1e-3) ** 2
    (ax,) = contours(scan(delta, **plane), truth=lmt.HiddenPhoton(5e-4, 15.0, 0.0, lmt.LMU)).axes
    assert float(ax.lines[0].get_xdata()[0]) == 0.0
    norm = np.linspace(0.8, 1.2, 31)
    plane = {"x": "ess10.signal_norm", "x_values": norm, "nuisances": {"ess10.signal_norm": 1.03}}
    delta = ((norm[:, None] - 1.03) / 0.05) ** 2 + np.log(COUPLING[None, :] / 1e-3) ** 2
    (ax,) = contours(scan(delta, **plane), best=True).axes
    assert float(ax.lines[0].get_xdata()[0]) == 1.03


@pytest.mark.parametrize("measurement", ("2021", "2025"))
def test_band_is_two_standard_deviations_of_the_measurement(measurement):
    experiment = lmt.gminus2(measurement)
    (ax,) = contours(ellipse(), band=experiment).axes
    (band,) = [c for c in ax.collections if isinstance(c, mpl.collections.PolyCollection)]
    (shape,) = band.get_paths()
    top = experiment.measured + 2.0 * experiment.sigma[0]
    bottom = experiment.measured - 2.0 * experiment.sigma[0]
    for mass in (3.0, 30.0, 200.0):
        edge = float(lmt.coupling_from_delta_a_mu(top, mass))
        assert list(shape.contains_points([(mass, 0.98 * edge), (mass, 1.02 * edge)])) == [True, False]
        if bottom > 0.0:
            edge = float(lmt.coupling_from_delta_a_mu(bottom, mass))
            assert list(shape.contains_points([(mass, 0.98 * edge), (mass, 1.02 * edge)])) == [False, True]
        else:  # consistent with zero: no lower end
            assert shape.contains_point((mass, 1e-6))
    assert key(ax)[0] == r"$(g-2)_\mu,\ 2\sigma$"


# --------------------------------------------------------------------------------------------- the picture
def test_picture_has_ink_of_every_scan_in_every_part():
    scans = {"a": ellipse(), "b": ellipse(shift=1.0), "c": limit()}
    made = contours(scans, filled="a", limits=["c"], band=lmt.gminus2(), title="Three of a kind")
    image = pixels(made)
    assert image.mean(axis=-1).std() > 0.03
    for half in (*np.array_split(image, 2, axis=0), *np.array_split(image, 2, axis=1)):
        assert half.std() > 0.01
    for colour in (INK, *PALETTE[:2]):
        assert has_colour(image, colour)
    assert not has_colour(image, PALETTE[2])
    assert made.axes[0].get_title() == "Three of a kind"
    (ax,) = made.axes
    for artist in (ax.title, ax.xaxis.label, ax.yaxis.label, ax.get_legend()):
        box = artist.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1 and box.x1 <= made.bbox.x1 + 1 and box.y1 <= made.bbox.y1 + 1


def test_own_axes_are_drawn_into():
    mine = figure(4.0, 4.0)
    ax = mine.add_axes((0.2, 0.2, 0.7, 0.7))
    assert contours(ellipse(), ax=ax) is mine
    assert mine.axes == [ax] and len(filled(ax)) == 2


def test_matplotlib_is_left_as_it_was():
    before = dict(mpl.rcParams)
    contours(ellipse())
    assert dict(mpl.rcParams) == before


# --------------------------------------------------------------------------------------------- bad input
OTHER = scan(np.zeros((31, 101)), x="eps_over_g", x_values=np.linspace(-0.1, 0.05, 31))


@pytest.mark.parametrize(
    "scans, options, named",
    [
        ({"a": 3.0}, {}, "jaxlmt.Profile objects; got 3.0 for 'a'"),
        ({"a": ellipse(), "b": None}, {}, "jaxlmt.Profile objects; got None for 'b'"),
        ({}, {}, "one to 7 profiles; got 0"),
        ({str(i): ellipse() for i in range(8)}, {}, "one to 7 profiles; got 8"),
        ({"a": ellipse(), "b": OTHER}, {}, "share their parameters, mass and g_x; got eps_over_g and g_x"),
        ({"alpha": ellipse()}, {"filled": "alhpa"}, "filled must be one of .*did you mean 'alpha'"),
        ({"alpha": ellipse()}, {"limits": ["beta"]}, "limits must be one of 'alpha'; got 'beta'"),
        ({"alpha": ellipse()}, {"limits": ["alpha", 3]}, "limits must be one of 'alpha'; got 3"),
        ({"a": OTHER}, {"band": "gminus2"}, "band must be a .*experiment.*got 'gminus2'"),
        ({"a": OTHER}, {"band": lmt.gminus2()}, "band needs the plane of mass and g_x; got eps_over_g"),
        ({"a": ellipse()}, {"levels": ()}, "levels"),
        ({"a": ellipse()}, {"levels": (0.9, 0.5)}, "levels"),
        ({"a": ellipse()}, {"levels": (0.5, 0.5)}, "levels"),
        ({"a": ellipse()}, {"levels": (0.1, 0.2, 0.3, 0.4)}, "levels"),
        ({"a": ellipse()}, {"levels": (0.0, 0.5)}, "levels"),
        ({"a": ellipse()}, {"levels": 1.0}, "levels"),
        ({"a": ellipse()}, {"levels": (0.5, np.nan)}, "levels"),
        ({"a": ellipse()}, {"levels": 68}, "levels"),
    ],
)
def test_bad_arguments_are_named(scans, options, named):
    with pytest.raises(ValueError, match=named):
        contours(scans, **options)


@pytest.mark.parametrize(
    "arguments, options, named",
    [
        (3.0, {}, "scans must be a jaxlmt.Profile or a dict of them; got 3.0"),
        ([ellipse()], {}, "scans must be"),
        (ellipse(), {"levels": "most"}, "levels"),
        (ellipse(), {"truth": lmt.HiddenPhoton(1e-3, -1.0, 0.0)}, "truth.mass must be"),
        (ellipse(), {"limits": 3}, "limits"),
    ],
)
def test_wrong_types_are_named(arguments, options, named):
    with pytest.raises(ValueError, match=named):
        contours(arguments, **options)


def test_truth_is_no_name():
    with pytest.raises(TypeError, match=r"truth must be a jaxlmt.HiddenPhoton; got str"):
        contours(ellipse(), truth="BP1")


def test_limits_may_be_one_label():
    scans = {"closed": ellipse(), "limit": limit()}
    (ax,) = contours(scans, limits="limit").axes
    assert len(ax.lines) == 1
