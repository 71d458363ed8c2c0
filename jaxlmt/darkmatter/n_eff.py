"""Effective number of neutrinos when hidden particles leave their entropy to decoupled neutrinos.

Drees & Zhao 2107.14528, section 3.3: all neutrinos decouple at one temperature, the hidden particles are
then in equilibrium with them, and their entropy ends up there. Above the muon's mass, where A' decays to
muons too, both are gone at decoupling (N_eff - N_nu < 1e-15). Not for couplings too small for equilibrium.
"""

import jax
import jax.numpy as jnp

from ..validation import check_dark_matter, is_traced, to_float64, values
from .thermodynamics import BOSON, FERMION, Species, relative_entropy

NEUTRINO_DECOUPLING = 2.3  # MeV, of nu_mu and nu_tau; 2107.14528, section 3.3
N_NU = 3.044  # of the Standard Model; Froustey, Pitrou, Volpe 2008.01074, Bennett et al. 2012.02726


def hidden_species(theta):
    """A', and psi with psibar in a model with dark matter, as ``Species``."""
    boson = Species(theta.mass, 3.0, BOSON)
    return (boson, Species(theta.dm_mass, 4.0, FERMION)) if hasattr(theta, "dm_mass") else (boson,)


def effective_neutrinos(species, neutrino_decoupling, n_nu):
    """N_eff, eq 3.12, of any sequence of ``Species``; a pure kernel whose arguments broadcast."""
    share = sum(
        0.5 * kind.degrees * relative_entropy(kind.mass / neutrino_decoupling, kind.sign) for kind in species
    )
    return n_nu * (1.0 + share / n_nu) ** (4.0 / 3.0)


def radiation_over_photons(n_eff):
    """rho_rad/rho_gamma well after e+e- annihilation, eq 3.11."""
    return 1.0 + n_eff * 7.0 / 8.0 * (4.0 / 11.0) ** (4.0 / 3.0)


@jax.jit
def _n_eff(*arguments):
    leaves, structure = jax.tree.flatten(arguments)
    theta, neutrino_decoupling, n_nu = jax.tree.unflatten(structure, jnp.broadcast_arrays(*leaves))
    return effective_neutrinos(hidden_species(theta), neutrino_decoupling, n_nu)


def n_eff(theta, *, neutrino_decoupling=NEUTRINO_DECOUPLING, n_nu=N_NU):
    """N_eff with the entropy that A' and psi of a :class:`DarkMatter` leave to neutrinos, to 1e-10.

    neutrino_decoupling: T_nu,D [MeV] (> 0), the dominant systematic: the masses at a given N_eff scale with
    it; n_nu (> 0): N_nu, what neutrinos alone have. Both broadcast with the leaves of ``theta`` and may be
    traced. Only masses enter: any, but A' and psi are taken to be in equilibrium with neutrinos at T_nu,D and
    gone before recombination. Raises ValueError for invalid arguments.
    Source: Drees & Zhao 2107.14528, eqs 3.12 and 3.13.
    """
    theta = check_dark_matter(theta)
    for name, value in (("neutrino_decoupling", neutrino_decoupling), ("n_nu", n_nu)):
        if not is_traced(value):
            values(name, value, low=0.0, low_open=True)
    return _n_eff(theta, *to_float64((neutrino_decoupling, n_nu)))
