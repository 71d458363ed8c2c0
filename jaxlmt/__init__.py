"""Differentiable likelihoods for the hidden photon of a gauged U(1)_{Lmu-Ltau}, in JAX.

``import jaxlmt as lmt`` gives the public face; call ``lmt.enable_x64()`` first. Everything that needs
NumPyro, arviz or matplotlib is loaded on first use.
"""

import importlib

from .darkmatter.n_eff import n_eff
from .darkmatter.positrons import positron_injection
from .darkmatter.recombination import ionising_annihilation
from .darkmatter.relic import (
    boost_factor,
    delta_for_relic_density,
    dm_charge_for_relic_density,
    dm_mass_for_relic_density,
    freeze_out,
    relic_density,
)
from .darkmatter.white_dwarfs import white_dwarf_emission
from .distributions import (
    AsinhUniform,
    LogUniform,
    Normal,
    PerCoupling,
    SignedLogUniform,
    SymmetricAsinh,
    TiedToCoupling,
    Uniform,
)
from .experiments.astrophysics import positron_line, sensei, white_dwarfs
from .experiments.babar import babar
from .experiments.borexino import borexino
from .experiments.cosmology import cmb_annihilation, radiation, relic_abundance
from .experiments.gminus2 import gminus2
from .experiments.monophoton import belle2, tau_charm
from .experiments.na64mu import na64mu
from .experiments.spallation import ccm, cenns610, ess, ess10, spallation
from .experiments.trident import trident
from .experiments.xenon import darwin, lz, xenon, xenonnt
from .likelihood import Joint
from .model import (
    BENCHMARKS,
    LMU,
    LMU_LTAU,
    MIXING_RATIO_ONE_LOOP,
    MIXING_RATIO_PAPER,
    DarkMatter,
    HiddenPhoton,
    LeptonCharges,
    ResonantDarkMatter,
    batch,
    benchmark,
    branching_ratios,
    decay_length,
    invisible_branching_ratio,
    kinetic_mixing,
    kinetic_mixing_squared,
    lmu_mixing_ratio,
    partial_widths,
    total_width,
)
from .nuclei import ARGON_40, Isotope
from .processes.annihilation import annihilation_cross_section, halo_sigma_v, sigma_v
from .processes.bremsstrahlung import bremsstrahlung_cross_section
from .processes.cevns import cevns_cross_section
from .processes.dark_electron import dm_electron_cross_section
from .processes.gminus2 import coupling_from_delta_a_mu, delta_a_mu
from .processes.monophoton import monophoton_cross_section
from .processes.trident import trident_ratio
from .settings import enable_compilation_cache, enable_x64
from .sources.oscillation import Oscillation, oscillation
from .statistics import log_p_value, significance

_LAZY = {  # name: module, loaded on first use
    "Analysis": "analysis",
    "Prior": "inference.priors",
    "default_prior": "inference.priors",
    "fit": "inference.fit",
    "profile": "inference.profile",
    "Profile": "inference.profile",
    "tension": "inference.tension",
    "Tension": "inference.tension",
    "FitResult": "inference.fit",
    "discovery_exposure": "inference.reach",
    "discovery_threshold": "inference.reach",
    "required_exposure": "inference.reach",
    "grid_posterior": "inference.grid",
    "GridPosterior": "inference.grid",
    "sample": "inference.sample",
    "numpyro_model": "inference.model",
    "log_density": "inference.model",
    "LogDensity": "inference.model",
    "load": "results",
    "save": "results",
    "summary": "results",
    "diagnostics": "results",
    "plots": "plots",
    "results": "results",
}

__version__ = "0.1.0.dev0"

__all__ = [
    "ARGON_40",
    "BENCHMARKS",
    "LMU",
    "LMU_LTAU",
    "MIXING_RATIO_ONE_LOOP",
    "MIXING_RATIO_PAPER",
    "AsinhUniform",
    "DarkMatter",
    "HiddenPhoton",
    "Isotope",
    "Joint",
    "LeptonCharges",
    "LogUniform",
    "Normal",
    "Oscillation",
    "PerCoupling",
    "ResonantDarkMatter",
    "SignedLogUniform",
    "SymmetricAsinh",
    "TiedToCoupling",
    "Uniform",
    "annihilation_cross_section",
    "babar",
    "batch",
    "belle2",
    "benchmark",
    "boost_factor",
    "borexino",
    "branching_ratios",
    "bremsstrahlung_cross_section",
    "ccm",
    "cenns610",
    "cevns_cross_section",
    "cmb_annihilation",
    "coupling_from_delta_a_mu",
    "darwin",
    "decay_length",
    "delta_a_mu",
    "delta_for_relic_density",
    "dm_charge_for_relic_density",
    "dm_electron_cross_section",
    "dm_mass_for_relic_density",
    "enable_compilation_cache",
    "enable_x64",
    "ess",
    "ess10",
    "freeze_out",
    "gminus2",
    "halo_sigma_v",
    "invisible_branching_ratio",
    "ionising_annihilation",
    "kinetic_mixing",
    "kinetic_mixing_squared",
    "lmu_mixing_ratio",
    "log_p_value",
    "lz",
    "monophoton_cross_section",
    "n_eff",
    "na64mu",
    "oscillation",
    "partial_widths",
    "positron_injection",
    "positron_line",
    "radiation",
    "relic_abundance",
    "relic_density",
    "sensei",
    "sigma_v",
    "significance",
    "spallation",
    "tau_charm",
    "total_width",
    "trident",
    "trident_ratio",
    "white_dwarf_emission",
    "white_dwarfs",
    "xenon",
    "xenonnt",
    *_LAZY,
]


def __getattr__(name):
    if name not in _LAZY:
        raise AttributeError(f"module 'jaxlmt' has no attribute {name!r}")
    module = importlib.import_module(f".{_LAZY[name]}", __name__)
    value = module if _LAZY[name] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__():
    return __all__
