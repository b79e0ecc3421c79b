"""Designs of few levels: a law of as many numbers as its features have different values is not tested by the rows."""

import numpy as np

from skmerge._net import uncertainty
from skmerge._text import warn

FEW = 2  # values of a code, between which no form is asked for


def tell(best, names, target, n_outputs):
    """Warn of laws that other laws of as many numbers equal at all measured values.

    ``best``: a pair of Trained and Objective of each output; ``names``: of the features; ``target``: what is predicted.
    """
    for k, (trained, objective) in enumerate(best):
        net = trained.members[0]
        if not trained.is_law or not net.n_nodes:
            continue
        used = used_features(objective, net)
        values = objective.X[:, used]
        n_rows, n_values = len(values), len(np.unique(values, axis=0))
        n_numbers = uncertainty.n_numbers(objective, net)
        is_design = n_values < n_rows and any(len(np.unique(column)) > FEW for column in values.T)
        if is_design and n_values <= n_numbers:
            what = target if n_outputs is None else f"{target} (output {k})"
            which = " and ".join(names[j] for j in used)
            warn(
                f"The law of {what} has {n_numbers} numbers, exponents among them, and {which} only {n_values} "
                f"different values in {n_rows} rows: other laws of so many numbers fit these as well, and nothing "
                "tests what it says between and beyond them. Measure at more values, or give what is known "
                "(exponents, units)."
            )


def used_features(objective, net):
    """Numbers of the features that take part in a net, in its functions too."""
    d = objective.n_given
    used = (net.nodes[:, : net.n_features] != 0).any(axis=0) | (net.sign != 0).any(axis=0)
    of_functions = (objective.functions.exponent[used[d:]] != 0).any(axis=0)
    return np.flatnonzero(used[:d] | of_functions)
