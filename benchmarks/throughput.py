"""Cost per point of the joint log-likelihood and of its gradient: ``python -m benchmarks.throughput``.

The likelihood is that of ``jaxlmt reconstruct``: (g-2)_mu, NA64mu and four CEvNS detectors. Compile time
is a column of its own; every time is the median of five. Runs on whatever device JAX finds.
"""

import argparse
import statistics
import time

import jax
import numpy as np

import jaxlmt as lmt
from jaxlmt.inference.target import make_target, potentials_and_gradients


def timed(function):
    """(seconds of the first call, median seconds of five more)."""
    seconds = []
    for _ in range(6):
        started = time.perf_counter()
        jax.block_until_ready(function())
        seconds.append(time.perf_counter() - started)
    return seconds[0], statistics.median(seconds[1:])


def main():
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--points", type=int, default=100_000)
    options.add_argument("--chains", type=int, default=4)
    options = options.parse_args()
    lmt.enable_x64()
    truth = lmt.benchmark("BP1")
    detectors = [lmt.na64mu(), lmt.cenns610(), lmt.ccm(), lmt.ess(), lmt.ess10()]
    joint = lmt.Joint([lmt.gminus2().observe(), *(d.asimov(truth) for d in detectors)])
    prior = lmt.default_prior()
    target = make_target(joint, prior)

    random = np.random.default_rng(0)
    n = options.points
    mass, coupling = np.exp(random.uniform(np.log(1.0), np.log(1e3), n)), np.exp(random.uniform(-11, -5, n))
    theta = lmt.HiddenPhoton(coupling, mass, -coupling * random.uniform(0.0, 0.1, n))
    z = random.normal(size=(n, 3))

    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, {n} points")
    print(f"{'':28s}{'first call [s]':>16s}{'per point [us]':>16s}")
    for name, function in (
        ("log-likelihood", lambda: joint.log_likelihood(theta, systematics="marginal")),
        ("log-density and gradient", lambda: potentials_and_gradients(target, z)),
    ):
        first, again = timed(function)
        print(f"{name:28s}{first:16.2f}{again / n * 1e6:16.3f}")

    for attempt in ("first", "second"):  # the second has nothing to compile
        started = time.perf_counter()
        posterior = lmt.sample(joint, prior, key=jax.random.key(0), chains=options.chains)
        seconds = time.perf_counter() - started
        quality = lmt.diagnostics(posterior)
        stages = lmt.results.attributes(posterior)["seconds"]
        print(
            f"{attempt} sample of {options.chains} chains: {seconds:.1f} s {stages}; smallest ESS "
            f"{quality.smallest_ess:.0f}, {quality.smallest_ess / stages['sample']:.0f} a second of sampling"
        )


if __name__ == "__main__":
    main()
