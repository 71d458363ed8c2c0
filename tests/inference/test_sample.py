"""The sampler against the exact grid; its bookkeeping, interruption, resumption, and compilations.

One run at the default settings (BP1, all six experiments) is shared by the tests of the first half.
"""

import contextlib
import inspect
import itertools
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import jaxlmt as lmt
from jaxlmt import (
    HiddenPhoton,
    LogUniform,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    results,
)
from jaxlmt.inference import sample as module
from jaxlmt.inference.coordinates import straighten
from jaxlmt.inference.fit import minimise, starting_points
from jaxlmt.inference.sample import BLOCK, Sampler, load_checkpoint
from jaxlmt.inference.target import make_target, potentials_and_gradients

DETECTORS = (lmt.cenns610, lmt.ccm, lmt.ess, lmt.ess10)
NAMES = ("gminus2", "na64mu", "cenns610", "ccm", "ess", "ess10")
FREE = ("g_x", "mass", "eps_over_g")
DEFAULTS = {name: p.default for name, p in inspect.signature(lmt.sample).parameters.items()}
CHAINS, DRAWS, WARMUP = (DEFAULTS[name] for name in ("chains", "draws", "warmup"))
SHAPE, WARMUP_BLOCKS = (CHAINS, DRAWS), WARMUP // BLOCK
BOTH_SIGNS = PerCoupling(SignedLogUniform(1e-5, 0.3))


def all_experiments(truth):
    """(g-2)_mu as measured, everything else as expected at ``truth``."""
    simulated = [lmt.na64mu(), *(factory() for factory in DETECTORS)]
    return lmt.Joint([lmt.gminus2().observe(), *(e.asimov(truth) for e in simulated)])


def flat(container, name):
    return results.group(container, "posterior")[name].values.ravel()


def assert_agrees(container, grid, *, mean=0.1, width=0.05):
    """Means within ``mean`` standard deviations, widths within the fraction ``width`` of the grid's."""
    for name in grid.names:
        draws, sigma = flat(container, name), grid.std(name)
        assert abs(draws.mean() - grid.mean(name)) < mean * sigma, name
        assert draws.std() == pytest.approx(sigma, rel=width), name


def assert_good(container, *, ess):
    quality = results.diagnostics(container)
    assert set(FREE) <= set(quality.rhat)
    assert quality.worst_rhat < 1.01
    assert min(quality.ess_bulk.values()) >= ess
    assert quality.divergent_fraction < 1e-3


def assert_same(first, second):
    """Every array of two containers is equal, to the last bit."""
    for name in GROUPS:
        one, other = results.group(first, name), results.group(second, name)
        assert set(one.data_vars) == set(other.data_vars)
        for variable in one.data_vars:
            assert np.array_equal(one[variable].values, other[variable].values), (name, variable)


GROUPS = (
    "posterior",
    "sample_stats",
    "log_likelihood",
    "posterior_predictive",
    "expected",
    "observed_data",
)


@pytest.fixture(scope="module")
def joint():
    return all_experiments(lmt.benchmark("BP1"))


@pytest.fixture(scope="module")
def run(joint):
    return lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0))


@pytest.fixture(scope="module")
def grid(joint):
    return lmt.grid_posterior(joint, lmt.default_prior(), points=48)


FEW = 600  # draws, of the tests that compare runs with runs


@pytest.fixture(scope="module")
def short(run, joint):
    del run  # compiled first
    return lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), draws=FEW)


# --- the posterior --------------------------------------------------------------------------------


def test_benchmark_1_agrees_with_the_grid(run, grid):
    assert_good(run, ess=4000)
    assert_agrees(run, grid)


def test_derived_mixing_is_the_ratio_times_the_coupling(run):
    assert np.allclose(flat(run, "eps_x"), flat(run, "eps_over_g") * flat(run, "g_x"), rtol=1e-12)


# --- the container --------------------------------------------------------------------------------


def test_container_has_every_group_with_its_variables(run):
    bins = {"gminus2": 1, "na64mu": 9, "cenns610": 4, "ccm": 4, "ess": 4, "ess10": 5}
    assert set(results.group(run, "posterior").data_vars) == {*FREE, "eps_x"}
    for name, values in results.draws(run).items():
        assert values.shape == SHAPE and np.isfinite(values).all(), name
    stats = results.group(run, "sample_stats")
    assert set(stats) == {"lp", "energy", "num_steps", "accept_prob", "diverging", "step_size"}
    assert stats["diverging"].dtype == bool
    assert np.all((stats["accept_prob"] > 0.0) & (stats["accept_prob"] <= 1.0))
    assert set(results.group(run, "log_likelihood").data_vars) == set(NAMES)
    for group in ("posterior_predictive", "expected"):
        for name, size in bins.items():
            assert results.group(run, group)[name].shape == (*SHAPE, size)
    for name, size in bins.items():
        assert results.group(run, "observed_data")[name].shape == (size,)


def test_container_terms_and_expectations_are_those_of_its_draws(run, joint):
    posterior = results.draws(run)
    theta = HiddenPhoton(*(posterior[name][2, ::250] for name in ("g_x", "mass", "eps_x")))
    for name, term in joint.terms(theta, systematics="marginal").items():
        stored = results.group(run, "log_likelihood")[name].values[2, ::250]
        assert np.allclose(stored, term, rtol=1e-9, atol=1e-9), name
    for experiment, observation in zip(joint.experiments, joint.observations, strict=True):
        stored = results.group(run, "expected")[experiment.name].values[2, ::250]
        norm = (stored - experiment.background) / np.asarray(experiment.expected(theta))
        # a normalisation that was integrated out is one number per draw, any other is nominal
        assert np.allclose(norm, norm[:, :1] if experiment.analytic else 1.0, rtol=1e-12)
        observed = results.group(run, "observed_data")[experiment.name].values
        assert np.array_equal(observed, observation.counts)


def test_replicated_data_scatter_around_the_expected_ones(run):
    expected, replicated = (results.group(run, g) for g in ("expected", "posterior_predictive"))
    for name in NAMES[1:]:
        assert np.array_equal(replicated[name], np.round(replicated[name])), name
        pull = (replicated[name] - expected[name]) / np.sqrt(expected[name])
        assert abs(float(pull.mean())) < 0.02 and abs(float(pull.std()) - 1.0) < 0.02, name
    pull = (replicated["gminus2"] - expected["gminus2"]) / lmt.gminus2().sigma
    assert abs(float(pull.mean())) < 0.04 and abs(float(pull.std()) - 1.0) < 0.02


def test_attributes_say_what_was_done(run, joint):
    stored = results.attributes(run)
    assert stored["seed"] == [0, 0]
    assert stored["complete"] is True
    assert stored["systematics"] == "marginal" and stored["warmup"] == WARMUP
    assert {"jaxlmt", "jax", "jaxlib", "numpyro", "optax", "numpy", "scipy"} == set(stored["versions"])
    assert stored["versions"]["jaxlmt"] == lmt.__version__
    assert stored["versions"]["jax"] == jax.__version__
    assert set(stored["data_sha256"]) == set(NAMES)
    assert all(len(digest) == 64 for digest in stored["data_sha256"].values())
    assert set(stored["bounds"]) == set(FREE)
    assert stored["bounds"]["mass"] == pytest.approx([1.0, 1e3])
    assert stored["bounds"]["g_x"] == pytest.approx([1e-5, 1e-2])
    assert stored["bounds"]["eps_over_g"] == pytest.approx([-0.3, 0.3])
    assert stored["flat_in"] == {"g_x": "log", "mass": "log", "eps_over_g": "asinh:0.01"}
    assert stored["prior"]["mass"].startswith("LogUniform(low=1, high=1000")
    assert "SymmetricAsinh(scale=0.01, bound=0.3)" in stored["prior"]["eps_x"]
    assert set(stored["seconds"]) == {"fit", "compile", "sample"}
    # The hash is that of the data: one count more is another one, the same data is the same.
    again = module.provenance(all_experiments(lmt.benchmark("BP1")))["data_sha256"]
    other = module.provenance(all_experiments(lmt.benchmark("BP2")))["data_sha256"]
    assert again == stored["data_sha256"]
    assert {n for n in NAMES if other[n] == again[n]} == {"gminus2"}


def test_survives_a_file(run, tmp_path):
    back = results.load(results.save(run, tmp_path / "posterior.nc"))
    assert_same(run, back)
    assert results.attributes(back) == results.attributes(run)


# --- reproducibility ------------------------------------------------------------------------------


def test_a_key_is_a_posterior(run, short, joint):
    options = {"key": jax.random.key(0), "draws": FEW}
    again = lmt.sample(joint, lmt.default_prior(), attrs={"note": [1]}, **options)
    assert_same(short, again)
    assert results.attributes(again)["note"] == [1]
    for name, values in results.draws(run).items():  # more draws go on where fewer end
        assert np.array_equal(results.draws(short)[name], values[:, :FEW]), name


def test_another_key_is_another_sample_of_the_same_posterior(run, short, joint):
    other = lmt.sample(joint, lmt.default_prior(), key=jax.random.key(7), draws=FEW)
    assert results.attributes(other)["seed"] == [0, 7]
    for name in FREE:
        one, two = flat(short, name), flat(other, name)
        assert not np.any(one == two)
        assert abs(flat(run, name).mean() - two.mean()) < 0.15 * two.std()


# --- compilation ----------------------------------------------------------------------------------


@contextlib.contextmanager
def compilations():
    """List that grows by one with every program that XLA compiles."""
    events = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            events.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield events
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def other_problem():
    """Another data set, the same types of priors with other boxes, and numbers of other types."""
    toy = lmt.Joint.toy(
        jax.random.key(3),
        [lmt.gminus2("2025"), lmt.na64mu(), *(f() for f in DETECTORS)],
        lmt.benchmark("BP2"),
    )
    mixing = PerCoupling(SymmetricAsinh(np.float32(0.02), 0.5))
    return toy, lmt.Prior(HiddenPhoton(LogUniform(2e-5, 2e-2), LogUniform(2, 500), mixing, lmt.LMU))


def test_the_listener_hears_compilations():
    with compilations() as events:
        jax.jit(lambda x: x * 3.25 + 1.0)(np.arange(7.0)).block_until_ready()
    assert events


def test_a_second_problem_compiles_nothing(short):
    toy, prior = other_problem()
    key = jax.random.key(np.uint32(11))
    with compilations() as events:
        second = lmt.sample(toy, prior, key=key, draws=FEW)
    assert len(events) == 0
    assert dict(results.group(second, "posterior").sizes) == dict(results.group(short, "posterior").sizes)
    assert not np.any(flat(second, "mass") == flat(short, "mass"))


def test_a_second_fit_compiles_nothing(joint):
    lmt.fit(joint, lmt.default_prior())
    toy, prior = other_problem()
    with compilations() as events:
        best = lmt.fit(toy, prior, key=jax.random.key(5))
    assert len(events) == 0
    assert best.names == ("g_x", "mass", "eps_x")


# --- interruption and resumption ------------------------------------------------------------------


def interrupt_after(monkeypatch, blocks, error=KeyboardInterrupt):
    """Make the sampler raise ``error`` in place of every block after the first ``blocks`` of them."""
    advance = Sampler.advance

    def interrupted(self, pool, program):
        if len(self.blocks) >= blocks:
            raise error
        advance(self, pool, program)

    monkeypatch.setattr(Sampler, "advance", interrupted)


def test_interrupted_run_returns_what_is_done_and_resumes_exactly(short, joint, tmp_path, monkeypatch):
    path = tmp_path / "chains.npz"
    options = {"key": jax.random.key(0), "draws": FEW, "checkpoint": path}
    with monkeypatch.context() as patch:
        interrupt_after(patch, WARMUP_BLOCKS + 4)
        part = lmt.sample(joint, lmt.default_prior(), **options)
    assert results.attributes(part)["complete"] is False
    for name, values in results.draws(part).items():
        assert np.array_equal(values, results.draws(short)[name][:, : 4 * BLOCK]), name
    assert path.is_file() and list(tmp_path.iterdir()) == [path]

    resumed = lmt.sample(joint, lmt.default_prior(), resume=True, **options)
    assert results.attributes(resumed)["complete"] is True
    assert_same(short, resumed)


def test_interruption_in_warmup_keeps_the_checkpoint(short, joint, tmp_path, monkeypatch):
    path = tmp_path / "chains.npz"
    options = {"key": jax.random.key(0), "draws": FEW, "checkpoint": path}
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(KeyboardInterrupt, match="warmup"):
            lmt.sample(joint, lmt.default_prior(), **options)
    assert path.is_file()
    assert_same(short, lmt.sample(joint, lmt.default_prior(), resume=True, **options))


def test_interruption_at_the_last_block_of_warmup_has_no_draws(joint, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, WARMUP_BLOCKS)
    path = tmp_path / "chains.npz"
    with pytest.raises(KeyboardInterrupt):
        lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), checkpoint=path)
    assert path.is_file()


def test_checkpoint_is_written_while_running(short, joint, tmp_path, monkeypatch):
    # A clock that jumps six seconds a look; and a crash, after which nothing more is written.
    clock = itertools.count(step=6.0)
    path = tmp_path / "chains.npz"
    with monkeypatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
        interrupt_after(patch, WARMUP_BLOCKS + 2, MemoryError)
        with pytest.raises(MemoryError):
            lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), checkpoint=path)
    with np.load(path) as stored:
        assert stored["z"].shape == (CHAINS, WARMUP + 2 * BLOCK, 3)
    resumed = lmt.sample(
        joint, lmt.default_prior(), key=jax.random.key(0), checkpoint=path, resume=True, draws=FEW
    )
    assert_same(short, resumed)


@pytest.fixture(scope="module")
def checkpoint(run, joint, tmp_path_factory):
    del run
    path = tmp_path_factory.mktemp("checkpoint") / "chains.npz"
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(patch, 1)
        with contextlib.suppress(KeyboardInterrupt):
            lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), checkpoint=path)
    return path


def new_sampler(joint, prior=None, *, systematics="marginal", **options):
    settings = {name: DEFAULTS[name] for name in ("chains", "warmup", "target_accept")}
    target = make_target(joint, prior or lmt.default_prior(), systematics=systematics)
    return Sampler(target, **{**settings, **options})


def test_checkpoint_of_the_same_problem_is_taken(checkpoint, joint):
    sampler = new_sampler(joint)
    load_checkpoint(checkpoint, sampler)
    assert sampler.transitions == BLOCK


@pytest.mark.parametrize(
    "what", ("data", "box", "fixed number", "running", "warmup", "target_accept", "chains", "systematics")
)
def test_checkpoint_of_another_problem_is_refused(what, checkpoint, joint):
    prior = lmt.default_prior().theta
    box = HiddenPhoton(prior.g_x, LogUniform(1.0, 999.0), prior.eps_x, prior.charges)
    charges = HiddenPhoton(prior.g_x, prior.mass, prior.eps_x, lmt.LMU)
    counts = np.array(joint.observations[1].counts)
    counts[0] += 1.0
    data = lmt.Joint([lmt.na64mu().observe(counts) if o.name == "na64mu" else o for o in joint.observations])
    sampler = {
        "data": lambda: new_sampler(data),
        "box": lambda: new_sampler(joint, lmt.Prior(box)),
        "fixed number": lambda: new_sampler(joint, lmt.Prior(charges)),
        "running": lambda: new_sampler(joint, lmt.default_prior(running=True)),
        "warmup": lambda: new_sampler(joint, warmup=WARMUP + BLOCK),
        "chains": lambda: new_sampler(joint, chains=2 * CHAINS),
        "systematics": lambda: new_sampler(joint, systematics="profiled"),
        "target_accept": lambda: new_sampler(joint, target_accept=0.85),
    }[what]()
    with pytest.raises(ValueError, match=r"chains\.npz belongs to other data, priors or sampler settings"):
        load_checkpoint(checkpoint, sampler)


def test_sample_refuses_the_checkpoint_of_another_problem(checkpoint):
    toy, prior = other_problem()
    with pytest.raises(ValueError, match="belongs to other data"):
        lmt.sample(toy, prior, key=jax.random.key(0), checkpoint=checkpoint, resume=True)


def test_checkpoint_can_be_resumed_on_a_machine_with_other_cores(checkpoint, joint, monkeypatch):
    # Chains are run in as many threads as there are cores; that is no property of the problem.
    here = new_sampler(joint).groups
    monkeypatch.setattr(module.os, "cpu_count", lambda: 1 if here > 1 else 4)
    sampler = new_sampler(joint)
    assert sampler.groups != here
    load_checkpoint(checkpoint, sampler)
    assert sampler.transitions == BLOCK


# --- systematics ----------------------------------------------------------------------------------


def conditional_norm(run, observation):
    """(signal (n, bins), mean (n,), std (n,)) of a norm's posterior given theta, at draws of ``run``.

    It is Gaussian, because likelihood and constraint are.
    """
    experiment, counts = observation.experiment, observation.counts
    prior = experiment.nuisances[f"{experiment.name}.signal_norm"]
    theta = HiddenPhoton(*(flat(run, n) for n in ("g_x", "mass", "eps_x")))
    signal = np.asarray(experiment.expected(theta))
    precision = 1.0 / prior.std**2 + np.sum(signal**2 / counts, axis=-1)
    pull = np.sum(signal * (counts - experiment.background) / counts, axis=-1)
    return signal, (prior.mean / prior.std**2 + pull) / precision, precision**-0.5


@pytest.mark.parametrize("name", NAMES[2:])
def test_replicated_data_vary_with_the_norms_that_were_integrated_out(name, run, joint):
    # The posterior predictive distribution is one of the model, however its norms were treated.
    observation = joint.observations[NAMES.index(name)]
    signal, mean, std = conditional_norm(run, observation)
    norm = np.random.default_rng(0).normal(mean, std)
    expected = norm[:, None] * signal + observation.experiment.background
    variances = {
        "expected": expected.var(axis=0),
        "posterior_predictive": expected.var(axis=0) + expected.mean(axis=0),
    }
    for group, variance in variances.items():
        stored = results.group(run, group)[name].values.reshape(len(norm), -1)
        assert np.all(np.abs(stored.mean(axis=0) - expected.mean(axis=0)) < 0.1 * np.sqrt(variance)), group
        assert stored.std(axis=0) == pytest.approx(np.sqrt(variance), rel=0.05), group


# --- both signs of the mixing, and sampled systematics --------------------------------------------


@pytest.fixture(scope="module")
def coherent():
    """NA64mu and ESS10 at BP4, where both signs of the mixing are possible."""
    return lmt.Joint.asimov([lmt.na64mu(), lmt.ess10()], lmt.benchmark("BP4"))


@pytest.fixture(scope="module")
def two_signs():
    """g_x and the mixing free, the mass known; without the far tail of the mixing, where chains linger."""
    mixing = PerCoupling(SignedLogUniform(1e-4, 0.03))
    return lmt.Prior(HiddenPhoton(LogUniform(1e-5, 1e-2), lmt.benchmark("BP4").mass, mixing))


@pytest.fixture(scope="module")
def sampled(coherent, two_signs):
    """Both at once: two signs, and the norm of ESS10 a parameter of the sampler."""
    return lmt.sample(coherent, two_signs, key=jax.random.key(0), draws=4000, systematics="sampled")


def assert_signs_agree(container, grid):
    """Means and widths; the probability of either sign; and what goes with it."""
    assert_agrees(container, grid)
    ratio = flat(container, "eps_over_g")
    assert np.array_equal(np.sign(flat(container, "eps_x")), np.sign(ratio))
    negative = grid.expectation(lambda eps_over_g, **_: eps_over_g < 0.0)
    assert 0.2 < negative < 0.8  # both are there
    assert np.mean(ratio < 0.0) == pytest.approx(negative, abs=0.02)
    for sign in (-1.0, 1.0):
        share = negative if sign < 0.0 else 1.0 - negative
        for name in grid.names:

            def of_sign(name=name, sign=sign, **axes):
                return axes[name] * (axes["eps_over_g"] * sign > 0.0)

            draws = flat(container, name)[ratio * sign > 0.0]
            assert abs(draws.mean() - grid.expectation(of_sign) / share) < 0.15 * draws.std(), (name, sign)


def test_both_signs_and_sampled_systematics_agree_with_the_marginal_grid(sampled, coherent, two_signs):
    quality = results.diagnostics(sampled)
    assert set(quality.rhat) == {"g_x", "eps_x", "eps_over_g", "ess10.signal_norm"}
    assert quality.worst_rhat < 1.01 and quality.divergent_fraction < 1e-3
    assert quality.smallest_ess > 4000
    assert results.attributes(sampled)["systematics"] == "sampled"
    assert_signs_agree(sampled, lmt.grid_posterior(coherent, two_signs))


def test_both_signs_can_be_summarised_and_drawn(sampled, tmp_path):
    row = results.summary(sampled)["eps_over_g"]
    assert row.wide_interval[0] < 0.0 < row.wide_interval[1]
    lmt.plots.corner(sampled, truth=lmt.benchmark("BP4")).savefig(tmp_path / "corner.png")
    assert (tmp_path / "corner.png").stat().st_size > 10_000


def test_negative_mixing_can_be_summarised(run):
    # Draws of the same run, cut to the box of another prior: what matters are its bounds and its scale.
    prior = lmt.default_prior(mixing=PerCoupling(LogUniform(1e-5, 0.3, sign=-1)))
    boxes = module._measured_boxes(prior)
    attrs = {
        "bounds": {name: box.bounds for name, box in boxes.items()},
        "flat_in": {name: box.flat_in for name, box in boxes.items()},
    }
    draws = {name: values[:, :500] for name, values in results.draws(run).items()}
    assert np.all(draws["eps_over_g"] < -1e-5)
    row = results.summary(results.build(draws, attrs=attrs))["eps_over_g"]
    assert row.status == "interval" and row.wide_interval[1] < 0.0


def test_terms_are_those_of_the_sign_and_norm_that_were_drawn(sampled, coherent):
    posterior = {name: values[1, ::100] for name, values in results.draws(sampled).items()}
    mass = np.full_like(posterior["g_x"], lmt.benchmark("BP4").mass)
    theta = HiddenPhoton(posterior["g_x"], mass, posterior["eps_x"])
    nuisances = {"ess10.signal_norm": posterior["ess10.signal_norm"]}
    for name, term in coherent.terms(theta, nuisances).items():
        stored = results.group(sampled, "log_likelihood")[name].values[1, ::100]
        assert np.allclose(stored, term, rtol=1e-9, atol=1e-9), name


def test_sampled_norm_has_its_conditional_distribution(sampled, coherent):
    draws = dict(results.draws(sampled))
    draws["mass"] = np.full_like(draws["g_x"], lmt.benchmark("BP4").mass)
    _, mean, std = conditional_norm(results.build(draws), coherent.observations[1])
    pull = (flat(sampled, "ess10.signal_norm") - mean) / std
    assert abs(pull.mean()) < 0.1 and pull.std() == pytest.approx(1.0, rel=0.05)


# --- one parameter --------------------------------------------------------------------------------


def test_coordinates_of_one_parameter_follow_its_posterior():
    joint = lmt.Joint([lmt.gminus2().observe()])
    prior = lmt.Prior(HiddenPhoton(LogUniform(1e-5, 1e-2), 15.0, -7e-6))
    target = make_target(joint, prior)
    optimum = minimise(target, starting_points(target, jax.random.key(0), 48))
    straight = straighten(target, optimum)
    z = np.linspace(-2.9, 2.9, 25)[:, None]  # between the knots of the map
    potential, gradient = potentials_and_gradients(straight, z)
    # Roughly a standard normal distribution (four sigma of g_x itself are 1% of the box), and its gradient.
    assert np.max(np.abs(potential - potential.min() - 0.5 * z[:, 0] ** 2)) < 1.5
    step = 1e-5
    differences = (
        potentials_and_gradients(straight, z + step)[0] - potentials_and_gradients(straight, z - step)[0]
    )
    assert gradient[:, 0] == pytest.approx(differences / (2.0 * step), rel=1e-5, abs=1e-6)


# --- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"chains": 0}, "chains"),
        ({"chains": "four"}, "chains"),
        ({"chains": 2.5}, "chains"),
        ({"draws": 0}, "draws"),
        ({"draws": np.nan}, "draws"),
        ({"draws": True}, "draws"),
        ({"draws": 10.5}, "draws"),
        ({"warmup": 99}, "warmup"),
        ({"target_accept": 1.0}, "target_accept"),
        ({"target_accept": 0.1}, "target_accept"),
        ({"systematics": "marginals"}, r"systematics must be one of .*'marginal'.*did you mean 'marginal'"),
        ({"key": 3}, "key"),
        ({"key": None}, "key"),
        ({"key": np.arange(3)}, "key"),
        ({"resume": True}, "checkpoint"),
        ({"resume": True, "checkpoint": "there/is/none.npz"}, r"checkpoint.*none\.npz"),
        ({"attrs": {"a": 1j}}, "attrs"),
    ],
    ids=lambda v: ",".join(f"{k}={x}" for k, x in v.items())[:40] if isinstance(v, dict) else "",
)
def test_bad_arguments_are_named(options, named, joint, monkeypatch):
    def too_late(*_):
        pytest.fail("sampling has begun")

    monkeypatch.setattr(Sampler, "advance", too_late)
    with pytest.raises(ValueError, match=named):
        lmt.sample(joint, lmt.default_prior(), **{"key": jax.random.key(0), **options})


def test_wrong_problems_are_named(joint):
    key = jax.random.key(0)
    with pytest.raises(ValueError, match=r"joint must be a jaxlmt\.Joint"):
        lmt.sample(lmt.na64mu(), lmt.default_prior(), key=key)
    with pytest.raises(ValueError, match=r"prior must be a jaxlmt\.Prior"):
        lmt.sample(joint, lmt.benchmark("BP1"), key=key)


# --- slow: all benchmarks, default settings -------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ("BP2", "BP3", "BP4"))
def test_benchmarks_agree_with_the_grid(name):
    joint = all_experiments(lmt.benchmark(name))
    run = lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), draws=5000)
    assert_good(run, ess=4000)
    assert_agrees(run, lmt.grid_posterior(joint, lmt.default_prior()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ("BP1", "BP2", "BP4"))
def test_na64mu_alone_agrees_with_the_grid(name):
    joint = lmt.Joint.asimov([lmt.na64mu()], lmt.benchmark(name))
    run = lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), draws=10_000)
    assert_good(run, ess=4000)
    assert_agrees(run, lmt.grid_posterior(joint, lmt.default_prior()))


@pytest.mark.slow
@pytest.mark.parametrize("name", ("BP3", "BP4"))
def test_both_signs_with_a_free_mass_agree_with_the_grid(name):
    joint = lmt.Joint.asimov([lmt.na64mu(), lmt.ess10()], lmt.benchmark(name))
    prior = lmt.default_prior(mixing=BOTH_SIGNS)
    run = lmt.sample(joint, prior, key=jax.random.key(0), draws=5000)
    assert_signs_agree(run, lmt.grid_posterior(joint, prior, points=80))
    if name == "BP4":
        assert_good(run, ess=4000)
    else:
        # The plateau and the cliff of ln|eps| near zero: about 1% of the transitions diverge, and it is said.
        quality = results.diagnostics(run)
        assert quality.worst_rhat < 1.01 and quality.smallest_ess > 400
        assert quality.passed or any("divergent" in sentence for sentence in quality.warnings)


@pytest.mark.slow
def test_all_sampled_systematics_agree_with_marginal_ones(run, grid, joint):
    sampled = lmt.sample(joint, lmt.default_prior(), key=jax.random.key(0), draws=4000, systematics="sampled")
    assert set(results.draws(sampled)) == {*FREE, "eps_x", *(f"{name}.signal_norm" for name in NAMES[2:])}
    assert_good(sampled, ess=4000)
    assert_agrees(sampled, grid)
    for name in FREE:
        one, two = flat(sampled, name), flat(run, name)
        assert abs(one.mean() - two.mean()) < 0.1 * two.std(), name


@pytest.mark.slow
def test_one_free_parameter_agrees_with_the_grid():
    truth = lmt.benchmark("BP1")
    joint = lmt.Joint.asimov([lmt.na64mu()], truth)
    prior = lmt.Prior(HiddenPhoton(LogUniform(1e-5, 1e-2), truth.mass, truth.eps_x))
    run = lmt.sample(joint, prior, key=jax.random.key(0))
    assert list(results.draws(run)) == ["g_x"]  # no mixing in the posterior if it is a number
    assert_agrees(run, lmt.grid_posterior(joint, prior))


@pytest.mark.slow
def test_every_benchmark_and_seed_passes_the_gates(capsys):
    lines, failing = [f"{'':5}{'seed':>5}{'R-hat':>9}{'ESS':>8}{'divergences':>13}{'seconds':>9}"], []
    for name in lmt.BENCHMARKS:
        joint = all_experiments(lmt.benchmark(name))
        for seed in range(5):
            run = lmt.sample(joint, lmt.default_prior(), key=jax.random.key(seed))
            quality, seconds = results.diagnostics(run), results.attributes(run)["seconds"]
            lines.append(
                f"{name:5}{seed:5d}{quality.worst_rhat:9.4f}{quality.smallest_ess:8.0f}"
                f"{quality.divergences:8d} ({quality.divergent_fraction:.2%}){seconds['sample']:7.1f}"
            )
            if not quality.passed:
                failing.append(lines[-1])
    with capsys.disabled():
        print("", *lines, sep="\n")
    assert not failing
