"""Recoils of nuclei and electrons hit by solar neutrinos, folded (2104.03297, eqs 33, 35, 36).

Every probability is linear in D, the cosine of the mixing angle in matter averaged over the production
region: P_alpha = A_alpha + B_alpha D(E_nu). D is smooth in the energy of the neutrino, the propagator of the
A' in that of the recoil. So all that is rough (spectra, endpoints, form factors, and whatever a detector
does) is integrated once onto a few nodes k in E_nu and j in E_R, and couplings, fluxes, mixing angles and
sin^2 theta_W stay traced. Of what flavours can be at the nodes k, and couplings at the nodes j, the counts
see a few sums alone, which singular value decompositions find.
"""

import functools
from dataclasses import field
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..constants import AVOGADRO, MASS_ELECTRON, SECONDS_PER_YEAR
from ..mixing import lepton_loops, loop_real, mixing
from ..processes import electron_scattering as electron
from ..processes.cevns import (
    coherent_prefactor,
    kinematic_bracket,
    maximum_recoil_energy,
    mediator_strength,
    minimum_neutrino_energy,
)
from ..pytrees import pytree
from ..quadrature import chebyshev_nodes, lagrange_projection, propagator_nodes, unit_gauss
from ..settings import jit_once
from ..sources import solar
from ..sources.oscillation import DENSITY, Oscillation, flavour_coefficients, matter_cosine
from .base import frozen

ANGLES = ("theta12", "theta13", "theta23", "delta_cp", "dm21", "dm31")
SHAPE = "shape.8B"

BLOCK = 128  # energies that a program works off at once
_ENERGY_NODES = 8  # Gauss nodes a panel of a neutrino spectrum
_TOLERANCE = 1e-9  # of what is left out of D, weighted with the share of a source
# Oscillations (theta12, dm21) and shapes of 8B that are tried: well beyond what is measured, on both sides.
_TRIALS = np.stack(np.meshgrid(np.linspace(30.0, 38.0, 5), np.linspace(6e-5, 9e-5, 5))).reshape(2, -1)
_SHAPES = np.linspace(-4.0, 4.0, 5)
_DIGITS = 1e-12  # of the propagator, and of the sums over either kind of nodes
# What constants, the propagator and its square can add to the three moments: (patterns, 3) of each.
_PATTERNS = {
    "nuclear": (np.eye(3), np.eye(3)[:2], np.eye(3)[:1]),
    "electron": (np.eye(3), np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 1.0]]), np.ones((1, 3))),
}


def flux_name(source):
    """Name of the normalisation of a flux relative to the solar model, shared by all detectors."""
    return f"flux.{source}"


@pytree
class Recoils:
    """Counts (n,) as sums over flavours, R combinations of neutrino energies k and S of recoil energies j.

    response: (n, R * S), per tonne year; momentum2: 2 M E_R at the nodes j [MeV^2], with the lepton loops
    there, (3, J); by_recoil: (3 * J, S), the share of a moment and node in a combination; by_energy: (K, R)
    likewise; energy: of the nodes k [MeV]; density [N_A/cm^3] and weight of their production regions, (K, m);
    membership: (n_sources, K), one where a node belongs to a source.
    """

    process: str = field(metadata={"static": True})
    target: tuple = field(metadata={"static": True})
    sources: tuple = field(metadata={"static": True})
    response: np.ndarray
    momentum2: np.ndarray
    loops: np.ndarray
    by_recoil: np.ndarray
    by_energy: np.ndarray
    energy: np.ndarray
    density: np.ndarray
    weight: np.ndarray
    membership: np.ndarray

    def counts(self, theta, parameters):
        """(n,) per tonne year: a pure kernel of scalar leaves."""
        oscillation = Oscillation(*(parameters[name] for name in ANGLES))
        constant, slope = flavour_coefficients(oscillation)
        cosine = matter_cosine(oscillation, self.energy, self.density, self.weight)
        norms = jnp.stack([jnp.asarray(parameters[flux_name(source)]) for source in self.sources])
        neutrinos = norms @ self.membership
        if "8B" in self.sources:
            boron = self.membership[self.sources.index("8B")] > 0.0
            neutrinos = jnp.where(boron, solar.shape_factor(self.energy, parameters[SHAPE]), 1.0) * neutrinos
        flavours = (constant[:, None] + slope[:, None] * cosine[None]) * neutrinos[None]
        flavours = flavours @ self.by_energy
        squares = self._squares(theta, parameters["sin2_theta_w"]).reshape(3, -1) @ self.by_recoil
        # Flavour by flavour: as one product of small matrices a point, it takes five times as long.
        each = (f[:, None] * s[None] for f, s in zip(flavours, squares, strict=True))
        return self.response @ sum(each).reshape(-1)

    def _squares(self, theta, sin2_theta_w):
        """(flavours, 3, J): what the moments of the spectra multiply."""
        charges = jnp.stack([jnp.asarray(q) for q in (theta.charges.e, theta.charges.mu, theta.charges.tau)])
        eps = jnp.atleast_1d(mixing(theta, -self.momentum2, self.loops))[None]
        if self.process == "electron":
            recoil_keV = self.momentum2[None] / (2e-3 * MASS_ELECTRON)
            shift = electron.mediator_shift(theta, eps, charges[:, None], recoil_keV)
            left, right = (g[:, None] + shift for g in electron.couplings(sin2_theta_w))
            return jnp.stack([left**2, right**2, left * right], axis=1)
        # (Q_i/2 + kappa)^2 = (a + d_i/2)^2 for every isotope i, d_i the neutrons it has more than usual
        isotope = self.target[0][0]
        kappa = (
            mediator_strength(theta, eps, charges[:, None], isotope) / (self.momentum2 + theta.mass**2)[None]
        )
        amplitude = kappa + 0.5 * (_usual_neutrons(self.target) - (1.0 - 4.0 * sin2_theta_w) * isotope.z)
        return jnp.stack([amplitude**2, amplitude, jnp.ones_like(amplitude)], axis=1)


def _usual_neutrons(target):
    return sum(share * isotope.neutrons for isotope, share in target) / sum(share for _, share in target)


def highest_recoil_keV(process, source, target, kinematics):
    """Endpoint [keV] of the recoils of ``source``."""
    if source in solar.LINES:
        energy = max(energy for energy, _ in solar.LINES[source])
    else:
        energy = solar.breaks(source)[-1]
    if process == "electron":
        return 1e3 * 2.0 * energy**2 / (MASS_ELECTRON + 2.0 * energy)
    lightest = min(isotope.mass for isotope, _ in target)
    return 1e3 * float(maximum_recoil_energy(energy, lightest, kinematics))


def in_blocks(function, points):
    """``function``, (m,) -> (..., m), at ``points`` (n,): (..., n), by one program for blocks of one size."""
    blocks = np.pad(points, (0, -len(points) % BLOCK), "edge").reshape(-1, BLOCK)
    return np.concatenate([np.asarray(function(block)) for block in blocks], axis=-1)[..., : len(points)]


def _minimum_energy(process, recoil_keV, mass, kinematics):
    if process == "electron":
        return electron.minimum_energy(recoil_keV)
    return minimum_neutrino_energy(1e-3 * recoil_keV, mass, kinematics)


_minimum = jit_once(_minimum_energy, static_argnums=(0, 3))


def _kernel(process, recoil_keV, energy, mass, kinematics):
    """What depends on both energies: (p, Q, n) at recoils (n,) and neutrino energies (Q, n)."""
    if process == "electron":
        return electron.moments(recoil_keV[None], energy)
    return kinematic_bracket(1e-3 * recoil_keV[None], energy, mass, kinematics)[None]


@functools.partial(jit_once, static_argnums=(0, 1))
def _at_line(process, kinematics, energy, mass, recoil_keV):
    return _kernel(process, recoil_keV, jnp.full((1, recoil_keV.size), energy), mass, kinematics)


@functools.partial(jit_once, static_argnums=(0, 1, 2))
def _integrand(process, kinematics, spectrum, arguments, breaks, mass, recoil_keV):
    """(1 + p, Q, n): energies of a Gauss rule between ``breaks``, above the smallest that gives the recoil;
    weight, spectrum and kernel there."""
    minimum = _minimum_energy(process, recoil_keV, mass, kinematics)
    x, w = (part.reshape(1, -1, 1) for part in unit_gauss(_ENERGY_NODES))
    start, stop = (jnp.maximum(part[:, None], minimum[None]) for part in (breaks[:-1], breaks[1:]))
    width = jnp.maximum(stop - start, 0.0)[:, None]
    energy = (start[:, None] + width * x).reshape(-1, recoil_keV.size)
    weight = (width * w).reshape(energy.shape) * spectrum(energy, *arguments)
    kernel = _kernel(process, recoil_keV, energy, mass, kinematics) * weight[None]
    return jnp.concatenate([energy[None], kernel])


def _neutrino_integral(process, source, kinematics, recoil_keV, mass, nodes):
    """int dE phi(E) l_k(E) kernel: (p, n, K); l_k: the Lagrange polynomials of ``nodes``, or the lines."""
    if source in solar.LINES:
        lines = [
            share * in_blocks(functools.partial(_at_line, process, kinematics, energy, mass), recoil_keV)
            for energy, share in solar.LINES[source]
        ]
        return np.concatenate(lines, axis=1).swapaxes(1, 2)
    breaks = np.asarray(solar.breaks(source))
    if breaks.size == 2:  # positrons are slow at the endpoint: the spectrum goes as a root there
        breaks = breaks[1] * np.concatenate(
            [np.arange(8.0) / 8.0, 1.0 - 0.125 * 0.25 ** np.arange(1, 7), [1]]
        )
    fixed = process, kinematics, *solar.spectrum_kernel(source), breaks, mass
    energy, *values = in_blocks(functools.partial(_integrand, *fixed), recoil_keV)
    projection = lagrange_projection(energy.T.ravel(), nodes).reshape(*energy.T.shape, -1)
    return (np.stack(values, axis=2).transpose(1, 2, 0) @ projection).swapaxes(0, 1)


_MOST_NODES = 40


@jit_once
def _trial_cosines(density, weight, energy):
    """D (trials, n) at ``energy`` (n,) for one production region."""
    nodes = [jnp.broadcast_to(part[None], (energy.size, part.size)) for part in (density, weight)]
    trial = jax.vmap(lambda t, d: matter_cosine(Oscillation(t, 8.6, 45.0, 0.0, d, 2.5e-3), energy, *nodes))
    return trial(*_TRIALS)


@jit_once
def _shape_factor(shape, energy):
    return solar.shape_factor(energy, shape)


def _cosine_nodes(source, model, low, high, share):
    """Energies [MeV] from which D of ``source`` is interpolated between two energies, to _TOLERANCE."""
    cosines = functools.partial(in_blocks, functools.partial(_trial_cosines, *DENSITY[model][source]))
    fine = np.linspace(low, high, 200)
    exact = cosines(fine)
    for n in range(2, _MOST_NODES + 1):
        nodes = chebyshev_nodes(low, high, n)
        difference = cosines(nodes) @ lagrange_projection(fine, nodes).T - exact
        if share * np.max(np.abs(difference)) < _TOLERANCE:
            return nodes
    raise RuntimeError(f"{_MOST_NODES} energies do not reach {_TOLERANCE:g} between {low:g} and {high:g} MeV")


def _trials(source, model, nodes):
    """(K, <= K): directions of all that a flavour of ``source`` can be at ``nodes``, times their sizes."""
    cosines = in_blocks(functools.partial(_trial_cosines, *DENSITY[model][source]), nodes)
    found = np.concatenate([np.ones((1, nodes.size)), cosines])
    if source == "8B":
        factors = [in_blocks(functools.partial(_shape_factor, shape), nodes) for shape in _SHAPES]
        found = (np.stack(factors)[:, None] * found).reshape(-1, nodes.size)
    return _directions(found)


def _coupling_trials(process, momentum2, loops):
    """(3 J, T): directions of all that the moments can be at momentum2 (J,), for any mass, times their sizes.

    The amplitude of the Z counts as one, and that of the A' at its largest too.
    """
    mass2 = np.geomspace(1e-4 * momentum2[0], 1e4 * momentum2[-1], 50)
    propagator = (momentum2[0] + mass2)[:, None] / (momentum2 + mass2[:, None])
    mixings = np.concatenate([np.ones((1, momentum2.size)), loops / np.abs(loops).max(axis=1, keepdims=True)])
    first = (propagator[:, None] * mixings).reshape(-1, momentum2.size)
    second = np.einsum("tj,aj,bj->tabj", propagator**2, mixings, mixings).reshape(-1, momentum2.size)
    powers = zip(_PATTERNS[process], (np.ones((1, momentum2.size)), first, second), strict=True)
    return _directions(np.concatenate([np.kron(pattern, values) for pattern, values in powers]))


def _directions(trials):
    """Principal directions of ``trials`` (T, n), times what is usual along them: (n, min(n, T))."""
    _, sizes, directions = np.linalg.svd(trials / np.sqrt(len(trials)), full_matrices=False)
    return directions.T * sizes


def _combined(rows, trials):
    """(left, sizes, right): for ``trials``, ``rows`` (m, n) are left (m, R) @ right.T (R, n)."""
    left, sizes, _ = np.linalg.svd(rows @ trials, full_matrices=False)
    if sizes[0] == 0.0:  # nothing is seen at all
        sizes[0] = 1.0
    kept = sizes > _DIGITS * sizes[0]
    return left[:, kept], sizes[kept], rows.T @ left[:, kept]


class Spectra:
    """Moments of the recoil spectra at ``recoil_keV`` (n,), before a detector does anything to them.

    ``parts`` are pairs of 2 M E_R [MeV^2], (n,), and moments (3, K, n) per tonne year and keV, one pair an
    isotope. Sources whose recoils end below the lowest energy are left out. electrons: (n,) per atom.
    """

    def __init__(self, process, target, kinematics, recoil_keV, *, model, electrons=1.0):
        self.process, self.target, self.sources = process, target, []
        # what scatters, with its number per atom
        self._scatterers = target if process == "nuclear" else ((None, electrons),)
        recoil = np.asarray(recoil_keV, float)
        targets = 1e6 * AVOGADRO / sum(share * isotope.atomic_mass_u for isotope, share in target)
        fluxes = {source: solar.FLUXES[model][source][0] for source in solar.SOURCES}
        heaviest = max(isotope.mass for isotope, _ in target)
        lowest = float(_minimum(process, np.min(recoil), heaviest, kinematics))
        energy, density, weight, blocks, trials = [], [], [], [], []
        for source in solar.SOURCES:
            if highest_recoil_keV(process, source, target, kinematics) <= recoil.min():
                continue
            if source in solar.LINES:
                nodes = np.array([line for line, _ in solar.LINES[source]])
            else:
                # Electrons count neutrinos, whatever their energy; nuclei see 8B and hep alone.
                share = fluxes[source] / sum(fluxes.values()) if process == "electron" else 1.0
                first, *_, last = solar.breaks(source)
                nodes = _cosine_nodes(source, model, max(lowest, first), last, share)
            scale = fluxes[source] * targets * SECONDS_PER_YEAR
            blocks.append(
                [scale * self._moments(source, i, kinematics, recoil, nodes) for i, _ in self._scatterers]
            )
            self.sources.append(source)
            energy.append(nodes)
            density += [DENSITY[model][source][0]] * nodes.size
            weight += [DENSITY[model][source][1]] * nodes.size
            trials.append(_trials(source, model, nodes))
        self.membership = np.repeat(np.eye(len(energy)), [nodes.size for nodes in energy], axis=1)
        self.energy, self.density, self.weight = np.concatenate(energy), np.array(density), np.array(weight)
        self._trials = np.zeros((self.energy.size, self.energy.size))
        for row, found in zip(self.membership, trials, strict=True):
            (own,) = np.nonzero(row)
            self._trials[np.ix_(own, own[: found.shape[1]])] = found
        self.parts = []
        for index, (isotope, share) in enumerate(self._scatterers):
            values = np.concatenate([block[index] for block in blocks], axis=2).transpose(0, 2, 1)
            mass = MASS_ELECTRON if isotope is None else isotope.mass
            self.parts.append((2e-3 * mass * recoil, share * values))

    def _moments(self, source, isotope, kinematics, recoil, nodes):
        """(3, n, K), per target, neutrino per cm^2 and keV."""
        mass = MASS_ELECTRON if isotope is None else isotope.mass
        found = _neutrino_integral(self.process, source, kinematics, recoil, mass, nodes)
        if isotope is None:
            return found
        more = isotope.neutrons - _usual_neutrons(self.target)
        common = np.array([1.0, more, 0.25 * more**2])[:, None, None]
        nuclide = _Nuclide(isotope.mass, float(isotope.a))
        return common * in_blocks(functools.partial(_prefactor, nuclide), recoil)[:, None] * found

    def folded(self, window):
        """:class:`Recoils` of ``window`` (n_out, n): what an event at each energy adds to every count.

        Of shape (n,), it is a weight, and every energy has a count of its own.
        """
        low, high = (pick(pick(momentum2) for momentum2, _ in self.parts) for pick in (min, max))
        low, high = np.log(low) - 1e-3, np.log(high) + 1e-3
        nodes = chebyshev_nodes(low, high, propagator_nodes(high - low, _DIGITS))
        response = 0.0
        for momentum2, values in self.parts:
            projection = lagrange_projection(np.log(momentum2), nodes)
            if window.ndim == 1:
                part = np.einsum("mkn,nj->nmkj", values, window[:, None] * projection)
            else:
                part = np.einsum("mkn,bnj->bmkj", values, window[:, :, None] * projection, optimize=True)
            response = response + part
        momentum2 = np.exp(nodes)
        loops = in_blocks(_loops, -momentum2)
        response, by_energy, by_recoil = self._reduced(response, momentum2, loops)
        return Recoils(
            process=self.process,
            target=self.target,
            sources=tuple(self.sources),
            response=frozen(response),
            momentum2=frozen(momentum2),
            loops=frozen(loops),
            by_recoil=frozen(by_recoil),
            by_energy=frozen(by_energy),
            energy=frozen(self.energy),
            density=frozen(self.density),
            weight=frozen(self.weight),
            membership=frozen(self.membership),
        )

    def _reduced(self, response, momentum2, loops):
        """``response`` (n, 3, K, J) in combinations: (n, R * S), with those of k, (K, R), and m, j, (3 J, S).

        Left out is what in no trial would change a count of the Standard Model by more than _DIGITS.
        """
        n, _, k, j = response.shape
        size = 0.5 * _usual_neutrons(self.target) if self.process == "nuclear" else 1.0  # of an amplitude
        moments = np.array([size**2, size, 1.0])
        count = moments[0] * np.sum(response[:, 0], axis=(1, 2))
        count = np.where(count > 0.0, count, 1.0)
        seen = response * moments[:, None, None] / count[:, None, None, None]
        energies, sizes, by_energy = _combined(np.moveaxis(seen, 2, 3).reshape(-1, k), self._trials)
        rows = np.moveaxis(energies.reshape(n, 3 * j, -1) * sizes, 1, 2).reshape(-1, 3 * j)
        recoils, _, by_recoil = _combined(rows, _coupling_trials(self.process, momentum2, loops))
        reduced = recoils.reshape(n, sizes.size, -1) / sizes[:, None] * count[:, None, None]
        return reduced.reshape(n, -1), by_energy, by_recoil / np.repeat(moments, j)[:, None]


class _Nuclide(NamedTuple):  # the numbers of an isotope, traced: one program for all
    mass: float
    a: float


@jit_once
def _prefactor(nuclide, recoil_energy_keV):
    return coherent_prefactor(recoil_energy_keV, nuclide)


@jit_once
def _loops(q2):
    return lepton_loops(loop_real, q2)
