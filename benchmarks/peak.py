"""What share of one core's peak the likelihood reaches, and which experiment costs what."""

import os

if hasattr(os, "sched_setaffinity"):  # one core, before anything makes threads
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp
import numpy as np

import jaxlmt as lmt
from jaxlmt.inference.target import make_target, potentials_and_gradients
from jaxlmt.likelihood import analytic_terms

from . import problem

TITLE = "Share of one core's peak"
COLUMNS = ("", "operations", "of them exp, log, ...", "per point [us]", "GFlop/s", "of the peak")
POINTS = 20_000
TRANSCENDENTAL = 20  # operations that one is counted as


def _peak():
    """GFlop/s of a product of matrices."""
    n = 1024
    a = np.random.default_rng(0).normal(size=(n, n))
    _, seconds = problem.timed(lambda: a @ a)
    return 2e-9 * n**3 / seconds


def _value(joint, theta, parameters):
    return sum(analytic_terms(joint, theta, parameters, 1.0).values())


def _density(target, z):
    return -target.log_density(z)


def _operations(function, *arguments):
    """(operations, of them transcendental) of one point, as XLA counts them."""
    cost = jax.jit(function).lower(*arguments).compile().cost_analysis()
    return cost["flops"], cost.get("transcendentals", 0)


def rows():
    """The whole likelihood, the density with its gradient, and each experiment alone."""
    if not hasattr(os, "sched_setaffinity"):
        yield "this system cannot keep a process on one core", "", "", "", "", ""
        return
    whole, point = problem.joint(), lmt.benchmark("BP2")
    peak = _peak()
    yield "product of matrices", "", "", "", f"{peak:.1f}", "1"
    theta = lmt.HiddenPhoton(*problem.points(POINTS))
    target = make_target(whole, lmt.default_prior())
    z = np.random.default_rng(1).normal(size=(POINTS, target.dimension))

    cases = [("log-likelihood", whole), *((name, whole.only(name)) for name in whole.names)]
    measured = []
    for label, joint in cases:
        parameters = jax.tree.map(jnp.asarray, joint.parameters())
        operations = _operations(_value, joint, point, parameters)
        measured.append(
            (label, operations, lambda joint=joint: joint.log_likelihood(theta, systematics="marginal"))
        )
    gradient = _operations(jax.value_and_grad(_density, argnums=1), target, z[0])
    measured.insert(
        1, ("log density and gradient", gradient, lambda: potentials_and_gradients(target, z))
    )
    for label, (flops, transcendental), function in measured:
        _, seconds = problem.timed(function)
        total = flops + TRANSCENDENTAL * transcendental
        rate = 1e-9 * total * POINTS / seconds
        cost = f"{seconds / POINTS * 1e6:.3g}"
        yield label, f"{total:.0f}", f"{transcendental:.0f}", cost, f"{rate:.2f}", f"{rate / peak:.1%}"
