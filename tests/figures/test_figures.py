"""The figures of the papers: their numbers are the experiments', their notes say what they are."""

import io
import re
from dataclasses import replace

import matplotlib as mpl
import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import jaxlmt as lmt
from jaxlmt import figures
from jaxlmt.detection.xenon import quenched
from jaxlmt.figures import amaral, draw, drees_zhao

POINTS = 24  # of either axis: the programs are compiled once, and little else is done
DETECTORS = {"CENNS610": lmt.cenns610, "CCM": lmt.ccm, "ESS": lmt.ess, "ESS10": lmt.ess10}
PANELS = {
    **{name: [""] for name in ("1", "dz2", "dz3")},  # test_planes.py has more of these
    "4": [""],
    "5": list(lmt.BENCHMARKS),
    "6": [name + part for name in DETECTORS for part in ("", "|ratio")],
    **{name: list(lmt.BENCHMARKS) for name in ("7", "8", "9", "11", "12", "13", "14")},
    "10": ["nr", "nr|ratio", "er", "er|ratio"],
}
KERNEL_NOTE = {"paper": "constant photon flux", "ww": "Weizsaecker-Williams"}
PRESET = {"paper": "paper", "ww": None}


@pytest.fixture(scope="module")
def drawn():
    """(figure, note) by name and options, each drawn once."""
    made = {}

    def get(name, **options):
        key = (name, *sorted(options.items()))
        if key not in made:
            made[key] = draw(name, points=POINTS, **options)
        return made[key]

    return get


def panels(made):
    return {ax.get_label(): ax for ax in made.axes}


def picture(made):
    buffer = io.BytesIO()
    made.savefig(buffer, format="png", dpi=50)
    buffer.seek(0)
    return matplotlib.image.imread(buffer)[..., :3]


def steps(ax):
    """{label: values} of everything drawn as steps."""
    found = [p for p in ax.patches if isinstance(p, mpl.patches.StepPatch)]
    return {p.get_label(): np.asarray(p.get_data().values) for p in found}


def key(made):
    (legend,) = made.legends
    return [text.get_text() for text in legend.get_texts()]


def regions(ax):
    """Colours of everything outlined by contours."""
    found = [c for c in ax.collections if isinstance(c, mpl.contour.ContourSet) and not c.filled]
    return [tuple(c.get_edgecolor()[0][:3]) for c in found]


def limits(ax):
    return [line for line in ax.lines if line.get_marker() == "None"]


def tensions(note):
    return {name: float(value) for name, value in re.findall(r"(BP\d) (\d+\.\d)", note)}


# ------------------------------------------------------------------------------------------- all figures
def test_every_figure_is_there():
    assert set(figures.FIGURES) == {*PANELS, *drees_zhao.FIGURES}  # the latter: test_drees_zhao, test_planes


LONG = ("8", "12", "13", "14", "1", "dz3")  # the fast ones show the same code


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else []) for name in PANELS]
)
def test_figure_has_its_panels_and_its_note(name, drawn):
    made, note = drawn(name)
    assert list(panels(made)) == PANELS[name]
    if name in ("4", "5", "8", "9", "12"):
        assert KERNEL_NOTE["paper"] in note and KERNEL_NOTE["ww"] not in note
    if name.isdigit() and int(name) >= 10:
        assert "theta_23 = 49.26" in note and "131Xe" in note and "5.46e6" in note
    if name in ("6", "7", "8", "9", "12"):
        assert "CCM's threshold is 20 keV (text), not 10 (Table 2)" in note and "0.23122" in note
    assert "\n" not in note
    image = picture(made)
    assert image.mean(axis=-1).std() > 0.03
    for quarter in (q for half in np.array_split(image, 2) for q in np.array_split(half, 2, axis=1)):
        assert quarter.std() > 0.01


@pytest.mark.parametrize(
    "name", ("5", "7", "9", *(pytest.param(n, marks=pytest.mark.slow) for n in ("8", "12")))
)
def test_every_panel_has_the_plane_the_truth_and_the_coupling_in_its_title(name, drawn):
    for benchmark, ax in panels(drawn(name)[0]).items():
        truth = lmt.benchmark(benchmark)
        assert ax.get_xlim() == pytest.approx((1.0, 300.0)) and ax.get_ylim() == pytest.approx((1e-4, 1e-2))
        (star,) = [line for line in ax.lines if line.get_marker() == "*"]
        assert (float(star.get_xdata()[0]), float(star.get_ydata()[0])) == (truth.mass, truth.g_x)
        assert benchmark in ax.get_title() and f"{truth.mass:g} MeV" in ax.get_title()


# ----------------------------------------------------------------------------------------------- spectra
@pytest.mark.parametrize("kernel", ("paper", "ww"))
def test_figure_4_shows_what_na64mu_counts(kernel, drawn):
    """In the nine bins of the window the counts of the experiment with its own bins."""
    made, note = drawn("4", kernel=kernel)
    assert KERNEL_NOTE[kernel] in note
    experiment = lmt.na64mu(preset=PRESET[kernel])
    np.testing.assert_array_equal(experiment.bin_edges, np.arange(10.0, 101.0, 10.0))
    (ax,) = made.axes
    curves = steps(ax)
    assert len(curves) == 4
    for label, rate in curves.items():
        truth = lmt.benchmark(label.split()[0])
        assert f"{truth.mass:g} MeV" in label
        np.testing.assert_allclose(rate[1:10], experiment.expected(truth), rtol=1e-7)
    edges = ax.patches[0].get_data().edges
    np.testing.assert_array_equal(edges, [1.0, *np.arange(10.0, 151.0, 10.0)])


def test_kernels_differ_as_the_note_says(drawn):
    paper, ww = (steps(drawn("4", kernel=kernel)[0].axes[0]) for kernel in ("paper", "ww"))
    for label in paper:
        assert 1.9 < ww[label][1:10].sum() / paper[label][1:10].sum() < 2.6
    assert not np.array_equal(picture(drawn("4")[0]), picture(drawn("4", kernel="ww")[0]))


@pytest.mark.parametrize("kernel", ("paper", "ww"))
def test_figure_6_shows_what_the_detectors_count(kernel, drawn):
    made, note = drawn("6", kernel=kernel)
    assert f"sin^2 theta_W = {({'paper': '0.23122', 'ww': '0.23857'})[kernel]}" in note
    found = panels(made)
    for label, detector in DETECTORS.items():
        experiment = detector(preset=PRESET[kernel])
        curves, ratios = steps(found[label]), steps(found[f"{label}|ratio"])
        assert list(curves) == ["Standard Model", *lmt.BENCHMARKS] and len(ratios) >= 2
        nothing = np.asarray(experiment.expected(lmt.HiddenPhoton(0.0, 1.0, 0.0)))
        np.testing.assert_allclose(curves["Standard Model"], nothing, rtol=1e-12)
        drawn_ratios = [p.get_data().values for p in found[f"{label}|ratio"].patches]
        for name, ratio in zip(("Standard Model", *lmt.BENCHMARKS), drawn_ratios, strict=True):
            if name == "Standard Model":
                np.testing.assert_allclose(ratio, 1.0)
                continue
            expected = np.asarray(experiment.expected(lmt.benchmark(name)))
            np.testing.assert_allclose(curves[name], expected, rtol=1e-9)
            np.testing.assert_allclose(ratio, expected / nothing, rtol=1e-9)
        assert found[label].get_yscale() == "log"


def test_toy_data_are_counts_that_scatter_around_the_expected_ones(drawn):
    widths = np.diff([1.0, *np.arange(10.0, 151.0, 10.0)]) / 10.0
    expected, toys = (
        {label: rate * widths for label, rate in steps(drawn("4", **options)[0].axes[0]).items()}
        for options in ({}, {"data": "toy"})
    )
    pull = []
    for label, counts in toys.items():
        np.testing.assert_allclose(counts, np.round(counts), atol=1e-9)
        pull.append((counts - expected[label]) / np.sqrt(np.maximum(expected[label], 1e-12)))
    pull = np.concatenate(pull)
    assert 0.3 < np.mean(pull**2) < 3.0
    again, other = (steps(draw("4", data="toy", seed=seed)[0].axes[0]) for seed in (0, 1))
    for label, counts in toys.items():
        np.testing.assert_allclose(again[label] * widths, counts)
    assert any(not np.array_equal(other[label], again[label]) for label in other)


@pytest.mark.parametrize("name", lmt.BENCHMARKS)
def test_toy_data_of_an_experiment_are_the_same_alone_and_with_others(name):
    every = [detector(preset="paper") for detector in DETECTORS.values()]
    together = amaral.joint_of(every, name, "toy", 5)
    for i, experiment in enumerate(every):
        (alone,) = amaral.joint_of([experiment], name, "toy", 5).observations
        np.testing.assert_array_equal(alone.counts, together.observations[i].counts)
    counts = [tuple(o.counts) for o in together.observations]
    assert len(set(counts)) == len(counts)


# ---------------------------------------------------------------------------------------------- contours
def test_figure_5_shows_both_models(drawn):
    made, note = drawn("5")
    assert "coincide below 2 m_mu" in note
    assert key(made)[:2] == [r"$L_\mu-L_\tau$", r"$L_\mu$"] and "truth" in key(made)
    for ax in panels(made).values():
        assert len(regions(ax)) == 2 and limits(ax) == []


def test_figure_7_shows_limits_where_nothing_closes(drawn):
    """Contours of ESS and ESS10 for BP1 and BP2, of nothing else (2104.03297, section 4)."""
    made, note = drawn("7")
    assert "90% upper limits where no contour closes" in note
    assert key(made)[:4] == list(DETECTORS)
    for name, ax in panels(made).items():
        closed = 2 if name in ("BP1", "BP2") else 0
        assert (len(regions(ax)), len(limits(ax))) == (closed, 4 - closed)
    assert "90% limit" in key(made)


@pytest.mark.parametrize("name", [pytest.param("8", marks=pytest.mark.slow), "9"])
def test_combinations_show_everything_and_the_band(name, drawn):
    made, note = drawn(name)
    assert "without (g-2)_mu" in note
    assert {r"NA64$\mu$", *DETECTORS, "combined", r"$(g-2)_\mu,\ 2\sigma$", "truth"} <= set(key(made))
    for ax in panels(made).values():
        colours = regions(ax)
        assert len(colours) + len(limits(ax)) == 6
        assert colours[-1] == to_rgb("#1A1A1A")  # all together, filled as well
        assert sum(isinstance(c, mpl.contour.ContourSet) and c.filled for c in ax.collections) == 2


@pytest.mark.slow
def test_tension_is_zero_in_figure_8_and_not_in_figure_9(drawn):
    none, some = (tensions(drawn(name)[1]) for name in "89")
    assert list(none) == list(some) == list(lmt.BENCHMARKS)
    assert all(value == 0.0 for value in none.values())
    assert all(value > 5.0 for value in some.values())
    experiments = [lmt.na64mu(preset="paper"), *(d(preset="paper") for d in DETECTORS.values())]
    joint = lmt.Joint.asimov(experiments, lmt.benchmark("BP3"))
    prior = lmt.default_prior(mixing=lmt.TiedToCoupling(-0.1))
    groups = [["na64mu"], [experiment.name for experiment in experiments[1:]]]
    assert lmt.tension(joint, prior, groups=groups).value == pytest.approx(some["BP3"], abs=0.051)


def test_toy_data_change_the_contours(drawn):
    toy, asimov = (picture(drawn("7", **options)[0]) for options in ({"data": "toy"}, {}))
    assert np.abs(toy - asimov).max() > 0.2


@pytest.mark.slow
@pytest.mark.parametrize("options", ({"kernel": "ww"}, {"data": "toy", "seed": 3}), ids=str)
@pytest.mark.parametrize("name", "5789")
def test_other_options_of_the_expensive_figures(name, options, drawn):
    made, note = drawn(name, **options)
    assert list(panels(made)) == PANELS[name]
    if name != "7":
        assert KERNEL_NOTE[options.get("kernel", "paper")] in note
    assert np.abs(picture(made) - picture(drawn(name)[0])).max() > 0.2
    if name == "8":
        found = tensions(note)
        if "data" in options:
            assert 0.0 < sum(found.values()) < 40.0  # chi^2 of two degrees of freedom, four times
        else:
            assert all(value == 0.0 for value in found.values())


# ----------------------------------------------------------------------------------- solar neutrinos in xenon
def curves(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


@pytest.mark.parametrize("kernel, excess", [("paper", (1.112, 0.914)), ("ww", (0.975, 0.854))])
def test_figure_10_shows_the_spectra_of_the_detector(kernel, excess, drawn):
    """BP1 at 1 keV: an excess of nuclear recoils with the paper's oscillations, a deficit with today's."""
    made, _ = drawn("10", kernel=kernel)
    found, truth = panels(made), lmt.benchmark("BP1")
    models = (lmt.HiddenPhoton(0.0, 1.0, 0.0), truth, replace(truth, charges=lmt.LMU))
    for channel in ("nr", "er"):
        shown = list(curves(found[channel]).values())
        experiment = lmt.darwin(channel=channel, preset=PRESET[kernel])
        some = slice(20, None, 60)
        for theta, curve in zip(models, shown, strict=False):
            np.testing.assert_allclose(
                curve[some, 1], experiment.differential_rate(curve[some, 0], theta), rtol=1e-9
            )
        for curve, ratio in zip(shown[1:3], found[f"{channel}|ratio"].lines[1:], strict=True):
            np.testing.assert_allclose(ratio.get_ydata(), curve[:, 1] / shown[0][:, 1])
            if channel == "er":
                assert np.all(ratio.get_ydata() > 1.01)
    at_one = [np.interp(1.0, *line.get_xydata().T) for line in found["nr|ratio"].lines[1:]]
    assert at_one == pytest.approx(excess, abs=2e-3)
    background = curves(found["er"])["background, DARWIN"]
    assert background[0, 1] == pytest.approx(1.85, abs=0.02) and background[-1, 1] > 3.0 * background[0, 1]


@pytest.mark.parametrize(
    "name, detector",
    [
        ("11", lmt.darwin),
        pytest.param("13", lmt.lz, marks=pytest.mark.slow),
        pytest.param("14", lmt.xenonnt, marks=pytest.mark.slow),
    ],
)
def test_discovery_lines_are_exposures_of_detectors_with_that_threshold(name, detector, drawn):
    made, _ = drawn(name)
    for channel, i in [("nr", -1), ("er", -1)] if name != "11" else [("nr", 1), ("er", -1), ("nr+er", 1)]:
        lines = {point: curves(ax)[channel.upper()] for point, ax in panels(made).items()}
        threshold = lines["BP1"][i, 0]
        if channel != "nr":
            threshold = float(quenched(threshold))
        experiment = detector(channel=channel, preset="paper", threshold_keV=threshold)
        for point, line in lines.items():
            needed = float(lmt.discovery_exposure(experiment, lmt.benchmark(point)))
            assert line[i, 1] == pytest.approx(needed, rel=2e-3), (channel, i, point)
            assert len(line) == POINTS and np.all(np.isfinite(line))
    for ax in panels(made).values():  # nominal thresholds reach nothing
        exposure = detector().exposure
        assert all(curves(ax)[channel][-1, 1] > exposure for channel in ("NR", "ER", "NR+ER"))
        stars = [line for line in ax.lines if line.get_marker() == "*"]
        assert [float(star.get_ydata()[0]) for star in stars] == [exposure] * 2


def test_figure_11_has_the_exposures_of_the_paper(drawn):
    """BP1: about 100 t yr of nuclear recoils at 1 keV, about 400 of electron recoils (section 5)."""
    made, note = drawn("11")
    found = curves(panels(made)["BP1"])
    at_one = np.exp(np.interp(0.0, *np.log(found["NR"]).T))
    (said,) = re.findall(r"NR at 1 keV_nr BP1 ([\d.]+)", note)
    assert 90.0 < float(said) < 105.0 and at_one == pytest.approx(float(said), rel=0.01)
    assert 380.0 < found["ER"][-1, 1] < 500.0
    assert "2.9 keV_ee, not 30 as printed" in note and "deficit" not in note


def test_figure_11_with_current_oscillations_shows_deficits(drawn):
    made, note = drawn("11", kernel="ww")
    assert "NR at 1 keV_nr BP1 1180 (deficit)" in note and "theta_23 = 43.3" in note
    assert "by a deficit" in key(made)
    for ax in panels(made).values():
        assert np.all(np.isnan(curves(ax)["NR"][:, 1])) and np.all(np.isfinite(curves(ax)["ER"]))


@pytest.mark.slow
def test_figure_12_closes_in_on_the_truth_and_excludes_lmu(drawn):
    made, note = drawn("12")
    assert key(made)[:4] == [r"$(g-2)_\mu,\ 2\sigma$", r"NA64$\mu$ + CE$\nu$NS", "DARWIN", "combined"]
    for name, ax in panels(made).items():
        assert len(limits(ax)) == (0 if name in ("BP1", "BP2") else 1)
        assert regions(ax)[-1] == to_rgb("#1A1A1A")
    foil = tensions(note.split("The foil")[1])
    assert foil["BP1"] > foil["BP2"] > 50.0 > 10.0 > foil["BP3"] > foil["BP4"]
    experiments = [lmt.na64mu(preset="paper"), *(d(preset="paper") for d in DETECTORS.values())]
    xenon = lmt.darwin(preset="paper", threshold_keV=1.0)
    joint = lmt.Joint.asimov([*experiments, xenon], lmt.benchmark("BP2"))
    prior = lmt.default_prior(mixing=lmt.TiedToCoupling(-1 / 70), charges=lmt.LMU)
    assert lmt.fit(joint, prior).minus_two_log_likelihood == pytest.approx(foil["BP2"], abs=0.051)
    (text,) = panels(made)["BP2"].texts
    assert str(foil["BP2"]) in text.get_text()


def test_toy_data_enter_figure_12_alone(drawn):
    assert "toy data do not enter" in drawn("10", data="toy")[1]
    assert "toy data" not in drawn("10")[1]
    xenon = lmt.darwin(preset="paper", threshold_keV=1.0)
    (toy,) = amaral.joint_of([xenon], "BP1", "toy", 0).observations
    assert np.all(toy.counts == np.round(toy.counts)) and np.any(toy.counts > 0.0)


# --------------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    "name, options, named",
    [
        ("3", {}, "figure must be one of '1', .*; got '3'"),
        ("eight", {}, "figure must be one of"),
        ("8", {"kernel": "papre"}, "kernel must be one of .*did you mean 'paper'"),
        ("8", {"kernel": None}, "kernel must be one of"),
        ("8", {"data": "measured"}, "data must be one of 'asimov', 'toy'"),
        ("8", {"seed": -1}, "seed must be a whole number"),
        ("8", {"seed": 0.5}, "seed must be a whole number"),
        ("8", {"points": 9}, r"points must be a whole number in \[10, 2000\]; got 9"),
        ("8", {"points": 2001}, "points must be"),
        ("8", {"points": 20.5}, "points must be"),
        ("8", {"points": "many"}, "points must be"),
    ],
    ids=str,
)
def test_bad_arguments_are_named_before_anything_is_drawn(name, options, named, monkeypatch):
    def too_late(*_):
        pytest.fail("drawing has begun")

    monkeypatch.setattr(figures, "FIGURES", dict.fromkeys(figures.FIGURES, too_late))
    with pytest.raises(ValueError, match=named):
        draw(name, **options)


def test_a_number_is_a_name():
    made, _ = draw(4)
    assert len(made.axes) == 1
