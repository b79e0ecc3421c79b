"""Checks of parameters that several estimators share: choices, numbers, threads, seeds, columns by name or number."""

from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from skmerge._text import listed, shown
from skmerge._validation import naming


def raise_invalid(name, value, remedy):
    raise ValueError(f"{name}={shown(value)} is not possible: {remedy}.")


def check_word(name, value, *words):
    """One of some words."""
    if not isinstance(value, str) or value not in words:
        raise_invalid(name, value, f"give one of {', '.join(map(repr, words))}")


def check_number(name, value, kind, low, high=np.inf, *, besides=(), give=None):
    """A finite number of a kind within [low, high], or one of what is allowed besides.

    Parameters
    ----------
    kind : Integral or Real
    besides : tuple of words and None
    give : str, default=None
        What to do, where the numbers themselves do not say it.
    """
    if any(isinstance(value, type(other)) and value == other for other in besides):
        return
    number = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    if not (number and low <= value <= high and value < np.inf):
        words = [str(other) if other is None else f'"{other}"' for other in besides]
        what = "an integer" if kind is Integral else "a finite number"
        reach = f"of at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
        raise_invalid(name, value, give or f"give {' or '.join([*words, f'{what} {reach}'])}")


def check_flag(name, value):
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise_invalid(name, value, "give True or False")


def check_n_jobs(n_jobs):
    if not (n_jobs is None or (isinstance(n_jobs, Integral) and n_jobs != 0)):
        raise_invalid("n_jobs", n_jobs, "give None, a number of threads, or -1 for all cores")


def check_verbose(verbose):
    if not isinstance(verbose, (bool, np.bool_)):
        check_number("verbose", verbose, Integral, 0, give="give 0 for silence, 1 for stages or 2 for more")


def seed_of(random_state):
    """A seed drawn from what the user gives: None, a number or a RandomState."""
    with naming("random_state"):
        return check_random_state(random_state).randint(np.iinfo(np.int32).max)


class ColumnNames(tuple):
    """Names of the columns of what was fitted; those of an array as scikit-learn calls them."""

    __slots__ = ()

    @classmethod
    def of(cls, estimator):
        names = getattr(estimator, "feature_names_in_", None)
        return cls(f"x{j}" for j in range(estimator.n_features_in_)) if names is None else cls(map(str, names))

    def number(self, column, argument):
        """Number of a column given by name or number."""
        if isinstance(column, str):
            if column not in self:
                raise ValueError(
                    f"{argument}: no column {shown(column)}; the columns are {listed(self)}. Give a column number or a "
                    "name."
                )
            return self.index(column)
        if isinstance(column, bool) or not isinstance(column, Integral) or not 0 <= column < len(self):
            raise ValueError(f"{argument}: {column!r} is no column; give a name or a number from 0 to {len(self) - 1}.")
        return int(column)
