"""Checks of the parameters of PlasticityPropagator."""

from skmerge._parameters import check_flag, check_n_jobs, check_verbose, check_word, raise_invalid, seed_of
from skmerge._plasticity.forms import WIDTH

INTEGRATORS = ("euler", "heun", "adaptive")


def check(model):
    """Raise for parameters that are wrong, or do not fit together."""
    check_word("loading", model.loading, "axial", "any")
    if model.loading == "any" and model.orientation is None:
        raise ValueError('loading="any" needs orientation, "bunge" or "quaternion".')
    if model.loading == "axial" and (model.stiffness is not None or not unchanged(model.lattice, "fcc")):
        raise ValueError('stiffness and lattice have a part with loading="any" only; leave them out, or give that.')
    given = {
        "estimator": None,
        "axis": "z",
        "integrator": "heun",
        "memory": "auto",
    }  # "law" is for one axis, and does no harm
    idle = [name for name, usual in given.items() if not unchanged(getattr(model, name), usual)]
    if model.loading == "any" and idle:
        raise ValueError(f'{" and ".join(idle)} have no part in loading="any"; leave them out.')
    if model.orientation not in (None, *WIDTH):
        raise_invalid("orientation", model.orientation, 'give None, "bunge" or "quaternion"')
    check_word("integrator", model.integrator, *INTEGRATORS)
    if model.integrator == "adaptive" and model.orientation is not None:
        raise ValueError(
            'integrator="adaptive" is for states without orientation; with it steps are implicit: give "heun".'
        )
    if isinstance(model.memory, str):
        check_word("memory", model.memory, "auto")
    else:
        check_flag("memory", model.memory)
    if getattr(model, "law", False) is not False:  # models of older versions have none
        check_word("law", model.law, "auto")
    check_n_jobs(model.n_jobs)
    if model.estimator is not None and not hasattr(model.estimator, "fit"):
        raise TypeError(f"estimator is a {type(model.estimator).__name__}; give a regressor or None.")
    seed_of(model.random_state)
    check_verbose(model.verbose)


def unchanged(value, usual):
    return value is usual if usual is None else isinstance(value, str) and value == usual
