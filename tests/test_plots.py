"""The figures: regions with the right content, the right words, and ink on the page."""

import io
import pickle
import threading
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy import stats

from jaxlmt import plots, results
from jaxlmt.plots.style import BANDS, ORANGE

CHAINS, DRAWS = 4, 1000
SHAPE = (CHAINS, DRAWS)
BOX = {
    "bounds": {"g_x": [1e-5, 1e-2], "mass": [1.0, 1e3]},
    "flat_in": {"g_x": "log", "mass": "log"},
}
FINE = {"diverging": np.zeros(SHAPE, bool)}


def bp1(seed=0):
    """A ridge: the mass open at its lower edge, eps ~ (M^2 + 3000)/g with a few of the other sign."""
    rng = np.random.default_rng(seed)
    g = 5e-4 * np.exp(0.04 * rng.standard_normal(SHAPE))
    mass = 25.0 ** (0.97 * rng.random(SHAPE) ** 0.7)
    eps = -5e-4 / 70 * (mass**2 + 3000) / 3225 * (5e-4 / g) * rng.normal(1, 0.4, SHAPE)
    return {"g_x": g, "mass": mass, "eps_x": eps}


def bp4(seed=0):
    """Closed in mass along a ridge with g; eps of both signs with asinh-like tails."""
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(SHAPE)
    g = 1e-3 * np.exp(0.11 * z + 0.035 * rng.standard_normal(SHAPE))
    eps = 1.2e-5 * np.sinh(1.1 * rng.standard_normal(SHAPE))
    return {"g_x": g, "mass": 100 * np.exp(0.11 * z), "eps_x": eps}


def container(posterior, **options):
    return results.build(posterior, sample_stats=FINE, **{"attrs": BOX, **options})


def texts(figure):
    """All text that is drawn."""
    found = [text.get_text() for text in figure.findobj(mpl.text.Text) if text.get_visible()]
    return "\n".join(text for text in found if text)


def panel(figure, name):
    (found,) = [ax for ax in figure.axes if ax.get_label() == name]
    return found


def picture(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    buffer.seek(0)
    return mpl.image.imread(buffer)


def regions(ax):
    """Filled regions of a two-dimensional panel, the largest first, as lists of polygons."""
    filled = [c for c in ax.collections if getattr(c, "filled", False)]
    return [[p for path in c.get_paths() for p in path.to_polygons()] for c in filled]


def area(polygons):
    # inner boundaries run the other way round
    return abs(
        sum(
            0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
            for x, y in (polygon.T for polygon in polygons)
        )
    )


def content(polygons, x, y):
    """Fraction of the draws inside."""
    points = np.column_stack([np.ravel(x), np.ravel(y)])
    crossings = sum(mpl.path.Path(polygon).contains_points(points) for polygon in polygons)
    return np.mean(crossings % 2 == 1)


# --- corner


def test_regions_of_a_gaussian_are_the_exact_ellipses():
    rng = np.random.default_rng(1)
    sigma, rho = (2.0, 0.3), -0.8
    z = rng.standard_normal((2, *SHAPE))
    x, y = sigma[0] * z[0], sigma[1] * (rho * z[0] + np.sqrt(1 - rho**2) * z[1])
    figure = plots.corner(container({"x": x, "y": y}, attrs=None))
    outer, inner = regions(panel(figure, "x|y"))
    for polygons, level in ((outer, 0.95), (inner, 0.68)):
        exact = np.pi * stats.chi2.ppf(level, 2) * np.prod(sigma) * np.sqrt(1 - rho**2)
        assert area(polygons) == pytest.approx(exact, rel=0.06)
        assert content(polygons, x, y) == pytest.approx(level, abs=0.01)
        ring = np.sqrt(stats.chi2.ppf(level, 2)) * np.exp(2j * np.pi * np.arange(360) / 360)
        for scale, expected in ((0.88, 1.0), (1.14, 0.0)):  # the right place, too
            u, v = scale * ring.real, scale * ring.imag
            edge = sigma[0] * u, sigma[1] * (rho * u + np.sqrt(1 - rho**2) * v)
            assert content(polygons, *edge) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("make", [bp1, bp4])
def test_regions_hold_their_fraction_of_the_draws_whatever_the_shape(make):
    posterior = make()
    figure = plots.corner(container(posterior))
    names = list(posterior)
    for i, vertical in enumerate(names):
        for horizontal in names[:i]:
            found = regions(panel(figure, f"{horizontal}|{vertical}"))
            for polygons, level in zip(found, (0.95, 0.68)):
                inside = content(polygons, posterior[horizontal], posterior[vertical])
                assert inside == pytest.approx(level, abs=0.015), (horizontal, vertical)


def test_density_keeps_to_the_prior_box():
    rng = np.random.default_rng(3)
    x, y = rng.random(SHAPE), rng.exponential(size=SHAPE)
    box = {"x": (0.0, 1.0), "y": (0.0, 50.0)}
    figure = plots.corner(container({"x": x, "y": y}), bounds=box)
    ax = panel(figure, "x|y")
    assert ax.get_xlim() == (0.0, 1.0) and ax.get_ylim()[0] == 0.0
    outer, inner = regions(ax)
    corners = np.concatenate(outer)
    assert corners.min(axis=0) == pytest.approx([0.0, 0.0], abs=1e-9)  # it reaches the edge
    assert corners[:, 0].max() == pytest.approx(1.0)
    # flat in x and falling in y: the regions are rectangles of heights -ln(1 - level)
    assert area(outer) == pytest.approx(-np.log(0.05), rel=0.1)
    assert area(inner) == pytest.approx(-np.log(0.32), rel=0.1)
    # and the flat marginal is flat up to both of its edges
    line = panel(figure, "x").lines[0].get_data()
    assert line[0][[0, -1]] == pytest.approx([0.0, 1.0])
    assert line[1] == pytest.approx(1.0, abs=0.2)
    exponential = panel(figure, "y").lines[0].get_data()
    assert exponential[1][0] == pytest.approx(1.0, abs=0.2)  # without the edge it would be 0.5


def test_marginals_are_normalised_densities():
    figure = plots.corner(container(bp4()))
    for name, log in (("g_x", True), ("eps_x", False)):
        x, density = panel(figure, name).lines[0].get_data()
        assert np.trapezoid(density, np.log(x) if log else x) == pytest.approx(1.0, abs=0.03)
    log_mass, density = panel(figure, "mass").lines[0].get_data()
    exact = stats.norm.pdf(np.log(log_mass), np.log(100), 0.11)
    assert np.max(np.abs(density - exact)) < 0.08 * exact.max()


def test_shading_is_the_interval_of_the_title():
    data = container(bp4())
    figure = plots.corner(data)
    row = results.summary(data)["mass"]
    wide, narrow = (c.get_paths()[0].get_extents() for c in panel(figure, "mass").collections)
    assert (narrow.x0, narrow.x1) == pytest.approx(row.interval, rel=1e-6)
    assert (wide.x0, wide.x1) == pytest.approx(row.wide_interval, rel=1e-6)
    minus, plus = row.median - row.interval[0], row.interval[1] - row.median
    decimals = 0 if min(minus, plus) >= 10 else 1
    expected = rf"{row.median:.{decimals}f}_{{-{minus:.{decimals}f}}}^{{+{plus:.{decimals}f}}}"
    assert expected in panel(figure, "mass").get_title()


def test_words_axes_and_truth_of_bp1():
    truth = SimpleNamespace(g_x=5e-4, mass=15.0, eps_x=-5e-4 / 70)
    figure = plots.corner(container(bp1()), truth=truth)
    words = texts(figure)
    for expected in (
        "$g_x$  [$10^{-4}$]",
        "$M_{A′}$  [MeV]",
        r"$\epsilon_x$  [$10^{-6}$]",
        "68% credible",
        "95% credible",
        "truth",
        r"$L_\mu-L_\tau$ prediction $\epsilon_x=-g_x/70$",
    ):
        assert expected in words
    assert "converged" not in words
    limit = np.quantile(bp1()["mass"], 0.95)
    assert panel(figure, "mass").get_title() == f"$M_{{A′}}$ $< {limit:.3g}$ MeV (95%)"
    ax = panel(figure, "g_x|eps_x")
    assert ax.get_xscale() == "log" and ax.get_yscale() == "linear"
    assert panel(figure, "mass").get_xscale() == "log"
    assert panel(figure, "mass").get_xlim()[0] == pytest.approx(1.0)  # the edge of the box
    (star,) = [line for line in ax.lines if line.get_marker() == "*"]
    assert star.get_data() == (5e-4, -5e-4 / 70)
    lines = [np.array(line.get_data(), float) for line in ax.lines if len(line.get_xdata()) > 2]
    assert any(np.allclose(y, -x / 70, rtol=1e-12) for x, y in lines)


def test_tick_labels_are_few_short_and_apart():
    for make in (bp1, bp4):
        figure = plots.corner(container(make()))
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        for side in ("x", "y"):
            shown = []
            for ax in figure.axes:
                axis = ax.xaxis if side == "x" else ax.yaxis
                labels = [t for t in axis.get_majorticklabels() if t.get_text() and t.get_visible()]
                if not ax.xaxis.get_label_text() and side == "x":
                    continue
                if labels and (side == "x" or ax.get_ylabel()):
                    assert 2 <= len(labels) <= 7
                    assert max(len(t.get_text()) for t in labels) <= 6
                    shown += [t.get_window_extent(renderer) for t in labels]
            for i, one in enumerate(shown):
                assert not any(one.overlaps(other) for other in shown[:i]), (make, side)


def test_a_figure_is_drawn_in_its_own_style():
    seen = {}

    class Spy(mpl.artist.Artist):
        def draw(self, renderer):
            seen.update(mpl.rcParams)

    figure = plots.corner(container(bp1()))
    figure.add_artist(Spy())
    figure.draw_without_rendering()
    assert seen["font.family"] == ["STIXGeneral"] != mpl.rcParams["font.family"]


def test_all_text_is_on_the_page_and_nothing_collides_with_the_key():
    figure = plots.corner(container(bp1()), truth={"mass": 15.0})
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    page = figure.bbox
    for ax in figure.axes:
        box = ax.get_tightbbox(renderer)
        assert page.x0 <= box.x0 and box.x1 <= page.x1, ax.get_label()
        assert page.y0 <= box.y0 and box.y1 <= page.y1, ax.get_label()
        assert not box.overlaps(figure.legends[0].get_window_extent(renderer))


def test_bad_draws_are_announced_in_the_figure():
    walk = np.cumsum(np.random.default_rng(0).standard_normal(SHAPE), axis=1)
    figure = plots.corner(results.build({"x": walk}))
    assert "not converged: see the summary" in texts(figure)


def test_default_variables():
    posterior = bp1()
    posterior["eps_over_g"] = posterior["eps_x"] / posterior["g_x"]
    posterior["charges.tau"] = np.full(SHAPE, -1.0)
    posterior["ess10.signal_norm"] = np.random.default_rng(0).standard_normal(SHAPE)
    labels = {ax.get_label() for ax in plots.corner(container(posterior)).axes}
    assert labels == {"g_x", "mass", "eps_x", "g_x|mass", "g_x|eps_x", "mass|eps_x"}
    posterior["eps_x"] = -posterior["g_x"] / 70  # tied: no parameter
    del posterior["eps_over_g"]
    labels = {ax.get_label() for ax in plots.corner(container(posterior)).axes}
    assert labels == {"g_x", "mass", "g_x|mass"}
    figure = plots.corner(container(posterior), variables=["ess10.signal_norm"], levels=0.9)
    assert "ess10.signal_norm" in texts(figure) and "90% credible" in texts(figure)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variables": ["m"]}, "variables: got 'm'"),
        ({"variables": []}, r"variables: got \[\]"),
        ({"variables": ["mass", "mass"]}, "each of them once"),
        ({"levels": (0.95, 0.68)}, "levels: got"),
        ({"levels": (68, 95)}, "levels: got"),
        ({"truth": {"gx": 1.0}}, "truth: got 'gx'"),
        ({"truth": 3}, "truth: got 3"),
        ({"bounds": {"mass": (50.0, 60.0)}}, r"bounds\['mass'\]"),
    ],
)
def test_corner_refuses_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        plots.corner(container(bp1()), **options)


def test_fixed_variables_cannot_be_drawn():
    with pytest.raises(ValueError, match="'mass' is fixed"):
        plots.corner(results.build({"mass": np.ones(SHAPE)}), variables="mass")


# --- compare


def test_comparison_shows_every_posterior_on_common_axes():
    posteriors = {"one": bp1(), "two": bp4()}
    figure = plots.compare(
        {k: container(v) for k, v in posteriors.items()}, truth={"mass": 15.0, "g_x": 5e-4}
    )
    ax = panel(figure, "g_x|mass")
    found = regions(ax)
    assert len(found) == 4  # two levels each, the first posterior's first
    for name, pair in (("one", found[:2]), ("two", found[2:])):
        for polygons, level in zip(pair, (0.95, 0.68), strict=True):
            inside = content(polygons, posteriors[name]["g_x"], posteriors[name]["mass"])
            assert inside == pytest.approx(level, abs=0.015), name
    for values in posteriors.values():  # nobody is cut off
        low, high = np.quantile(values["mass"], [0.02, 0.98])
        assert ax.get_ylim()[0] <= low * 1.001 and high <= ax.get_ylim()[1]
    words = texts(figure)
    for word in ("one", "two", "68% credible", "95% credible", "truth", "prediction"):
        assert word in words
    assert "not converged" not in words
    colours = {tuple(np.round(c.get_edgecolor()[0][:3], 3)) for c in ax.collections if not c.filled}
    assert len(colours) == 2
    assert picture(figure)[..., :3].std() > 0.03


def test_comparison_draws_what_varies_in_all():
    fixed = bp1()
    fixed["mass"] = np.full(SHAPE, 15.0)
    tied = bp4()
    tied["eps_x"] = -tied["g_x"] / 70  # no parameter of its own
    figure = plots.compare({"a": container(bp1()), "b": container(fixed), "c": container(tied)})
    assert {ax.get_label() for ax in figure.axes} == {"g_x"}
    figure = plots.compare({"a": container(bp1()), "c": container(tied)}, variables=["mass", "eps_x"])
    assert {ax.get_label() for ax in figure.axes} == {"mass", "eps_x", "mass|eps_x"}


def test_comparison_is_linear_where_one_posterior_has_two_signs():
    rng = np.random.default_rng(5)
    positive, both = np.exp(rng.standard_normal(SHAPE)), rng.standard_normal(SHAPE)
    one, other = ({"x": values, "y": positive} for values in (positive, both))
    attrs = {"flat_in": {"x": "log", "y": "log"}}
    figure = plots.compare({"one": container(one, attrs=attrs), "other": container(other, attrs=attrs)})
    assert panel(figure, "x").get_xscale() == "linear" and panel(figure, "y").get_xscale() == "log"


def test_comparison_names_what_has_not_converged():
    walk = np.cumsum(np.random.default_rng(0).standard_normal(SHAPE), axis=1)
    fine = container({"x": np.random.default_rng(1).standard_normal(SHAPE)})
    figure = plots.compare({"fine": fine, "walking": results.build({"x": walk})})
    assert "not converged: walking" in texts(figure)


@pytest.mark.parametrize(
    ("posteriors", "options", "message"),
    [
        ({}, {}, "containers: got 0"),
        ({str(i): bp1() for i in range(7)}, {}, "containers: got 7"),
        (
            {"a": bp1(), "b": {"x": bp1()["mass"]}},
            {},
            r"no parameter varies in all posteriors \(a: g_x, mass",
        ),
        ({"a": bp1(), "b": bp4()}, {"variables": ["m"]}, "variables: got 'm'"),
        ({"a": bp1()}, {"levels": (2.0,)}, "levels: got"),
        ({"a": bp1()}, {"truth": {"gx": 1.0}}, "truth: got 'gx'"),
    ],
)
def test_comparison_refuses_bad_input(posteriors, options, message):
    with pytest.raises(ValueError, match=message):
        plots.compare({name: container(p) for name, p in posteriors.items()}, **options)


# --- spectra

EDGES = np.array([0.1, 20.0, 40.0, 60.0, 80.0, 100.0])
SM = np.array([5200.0, 2400.0, 1100.0, 420.0, 90.0])
TRUE = SM * np.array([0.93, 0.955, 0.965, 0.975, 0.98])
RISE = np.linspace(3.0, 9.0, 9)


def counted():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((*SHAPE, 1))
    observed = {"na64mu": rng.poisson(RISE), "ess10": rng.poisson(TRUE), "gminus2": [251e-11]}
    observed["na64mu"][0] = 0
    predictive = {
        "na64mu": RISE * np.exp(0.1 * a),
        "ess10": TRUE * (1 + 0.01 * a),
        "gminus2": 251e-11 * (1 + 0.1 * a),
    }
    return results.build({"g_x": 5e-4 * np.exp(a[..., 0])}, expected=predictive, observed=observed)


OPTIONS = {
    "bin_edges": {"na64mu": np.linspace(10, 100, 10), "ess10": EDGES},
    "truth": {"na64mu": RISE, "ess10": TRUE, "gminus2": [260e-11]},
    "labels": {
        "ess10": ("recoil energy [keV]", "events", "ESS10"),
        "gminus2": (r"$\Delta a_\mu$", "", "muon g-2"),
    },
    "background": {"ess10": SM / 10},
    "standard_model": {"ess10": SM, "na64mu": 0.0},
    "sigma": {"gminus2": [59e-11]},
}


def bars(ax):
    """(centres, lower ends, upper ends) of the error bars of a panel."""
    (drawn,) = ax.containers
    segments = np.array(drawn.lines[2][0].get_segments())
    return segments[:, 0, 0], segments[:, 0, 1], segments[:, 1, 1]


def steps(ax):
    return [p for p in ax.patches if isinstance(p, mpl.patches.StepPatch)]


def test_spectra_show_data_bands_and_ratio():
    data = counted()
    figure = plots.spectra(data, **OPTIONS)
    assert {ax.get_label() for ax in figure.axes} == {"na64mu", "ess10", "ess10|ratio", "gminus2"}
    words = texts(figure)
    for expected in (
        "data",
        "posterior 68%",
        "95%",
        "truth",
        "Standard Model",
        "ESS10",
        "na64mu",
        "recoil energy [keV]",
        "ratio to SM",
        "muon g-2",
        "counts per bin",
    ):
        assert expected in words

    observed = results.group(data, "observed_data")["ess10"].values
    centres, low, high = bars(panel(figure, "ess10"))
    error = np.sqrt(observed + SM / 10)
    assert centres == pytest.approx(0.5 * (EDGES[1:] + EDGES[:-1]))
    assert low == pytest.approx(observed - error) and high == pytest.approx(observed + error)
    assert panel(figure, "ess10").get_yscale() == "log"
    assert panel(figure, "na64mu").get_yscale() == "linear"

    band = steps(panel(figure, "ess10|ratio"))[1].get_data()
    half = stats.norm.ppf(0.84) * 0.01
    assert band.values == pytest.approx(TRUE / SM * (1 + half), rel=1e-3)
    assert band.baseline == pytest.approx(TRUE / SM * (1 - half), rel=1e-3)
    low, high = panel(figure, "ess10|ratio").get_ylim()
    assert low < 0.92 and high - low < 0.5  # the 7% below the SM can be seen
    dashed = [s.get_data().values for s in steps(panel(figure, "na64mu"))]
    assert any(np.array_equal(values, RISE) for values in dashed)


def test_an_empty_bin_has_the_poisson_limit_as_its_bar():
    _, low, high = bars(panel(plots.spectra(counted(), **OPTIONS), "na64mu"))
    assert (low[0], high[0]) == (0.0, pytest.approx(stats.chi2.ppf(0.84, 2) / 2, abs=0.01))


def test_a_single_bin_is_a_point_with_its_interval():
    ax = panel(plots.spectra(counted(), **OPTIONS), "gminus2")
    (drawn,) = ax.containers
    ((left, right),) = np.array(drawn.lines[2][0].get_segments())[:, :, 0]
    assert (left, right) == pytest.approx((192e-11, 310e-11))
    assert ax.get_xlabel() == r"$\Delta a_\mu$  [$10^{-9}$]"


def test_bins_beyond_every_spectrum_are_left_out():
    """Nuclear recoils of solar neutrinos end at half of DARWIN's bins; seen events or a background stay."""
    falling = np.array([800.0, 90.0, 3.0, 1e-3, 1e-12, 0.0])
    rng = np.random.default_rng(5)
    expected = falling * rng.normal(1.0, 0.05, (2, 300, 1))

    def drawn(observed, background=0.0):
        container = results.build(
            {"g_x": expected[..., 0]}, expected={"darwin": expected}, observed={"darwin": observed}
        )
        options = {
            "bin_edges": {"darwin": np.arange(1.0, 8.0)},
            "standard_model": {"darwin": falling + background},
        }
        return plots.spectra(container, **options)

    for observed, background, last in (
        (falling, 0.0, 4.0),
        (falling, 0.2, 7.0),
        (falling + np.eye(6)[4], 0.0, 6.0),
    ):
        made = drawn(observed, background)
        assert panel(made, "darwin").get_xlim() == (1.0, last)
        assert all(step.get_data().edges[-1] == last for step in steps(panel(made, "darwin")))
    low, high = panel(drawn(falling), "darwin|ratio").get_ylim()
    assert 0.5 < low < high < 1.5


@pytest.mark.parametrize("names", [["gminus2"], "ess10", ["na64mu", "gminus2"]])
def test_spectra_of_some_experiments(names):
    figure = plots.spectra(counted(), experiments=names, **OPTIONS)
    shown = [ax.get_label() for ax in figure.axes if "|" not in ax.get_label()]
    assert shown == ([names] if isinstance(names, str) else names)
    assert picture(figure).std() > 0.05


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experiments": ["ccm"]}, "experiments: got the experiment 'ccm'"),
        ({"truth": {"ccm": 1.0}}, "truth: got the experiment 'ccm'"),
        ({"bin_edges": {"ess10": EDGES}}, r"bin_edges\['na64mu'\]: got None"),
        ({"bin_edges": {"na64mu": EDGES, "ess10": EDGES}}, "must be 10 increasing edges"),
        ({"truth": {"ess10": np.ones(3)}}, r"truth\['ess10'\].*shape \(5,\)"),
        ({"sigma": {"gminus2": -1.0}}, "must not be negative"),
        ({"sigma": {}}, "sigma: 'gminus2' has a single bin"),
        ({"labels": {"ess10": "ESS10"}}, r"labels\['ess10'\]"),
    ],
)
def test_spectra_refuses_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        plots.spectra(counted(), **{**OPTIONS, **options})


def test_spectra_needs_expected_counts():
    with pytest.raises(ValueError, match="no group 'expected'"):
        plots.spectra(container(bp1()))


# --- figures


def test_figures_are_not_blank_and_leave_matplotlib_alone(tmp_path, monkeypatch):
    monkeypatch.setitem(mpl.rcParams, "font.size", 7.0)  # not what any style here says
    before = dict(mpl.rcParams)
    figure = plots.corner(container(bp4()), truth={"g_x": 1e-3, "mass": 100.0, "eps_x": -1.4e-5})
    figure.savefig(tmp_path / "corner.png")
    figure.savefig(tmp_path / "corner.pdf")
    image = mpl.image.imread(tmp_path / "corner.png")[..., :3]
    for colour in (BANDS[0], BANDS[1], ORANGE):
        near = np.all(np.abs(image - mpl.colors.to_rgb(colour)) < 0.03, axis=-1)
        assert near.mean() > 1e-4, colour
    white = np.all(image > 0.99, axis=-1).mean()
    assert 0.4 < white < 0.95
    assert (tmp_path / "corner.pdf").stat().st_size > 10_000
    assert dict(mpl.rcParams) == before
    import matplotlib.pyplot as plt

    assert plt.get_fignums() == []  # pyplot does not know of it


def test_notebooks_can_show_and_pickle_can_carry_a_figure():
    figure = plots.corner(container({"mass": bp4()["mass"]}))
    assert isinstance(figure, Figure) and type(figure) is plots.Figure
    assert figure._repr_png_().startswith(b"\x89PNG")
    again = pickle.loads(pickle.dumps(figure))
    np.testing.assert_allclose(picture(again), picture(figure), atol=0.02)


def test_figures_in_threads_equal_those_made_alone():
    alone = picture(plots.corner(container(bp1()), variables=["g_x", "mass"]))
    made = [None] * 3

    def work(i):
        made[i] = picture(plots.corner(container(bp1()), variables=["g_x", "mass"]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in made:
        np.testing.assert_array_equal(one, alone)


def test_labels():
    assert plots.label("mass") == "$M_{A′}$  [MeV]"
    assert plots.label("eps_x", exponent=-6) == r"$\epsilon_x$  [$10^{-6}$]"
    assert plots.label("charges.tau") == r"$Q_\tau$"
    assert plots.label("ess10.signal_norm") == "ess10.signal_norm"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = plots.nothing
