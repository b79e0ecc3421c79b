"""Settings of every test; scipy reads the first when it is imported."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # without it scikit-learn skips one of its checks

import numpy as np
from hypothesis import HealthCheck, settings

from skmerge import _progress

# The same examples in every run: a failure is one of the change at hand. HYPOTHESIS_PROFILE=explore draws new ones.
# A busy machine is no failure: neither a deadline nor a limit for drawing examples, which are by the clock.
unhurried = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", derandomize=True, **unhurried)
settings.register_profile("explore", **unhurried)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

# What a fit prints must not depend on how long the machine takes; tests of signs of life set their own times. Not a
# fixture: with that pytest-run-parallel would run every test in one thread only.
_progress.QUIET = float("inf")


def pytest_runtest_setup(item):
    """A module's generator starts anew for each test: its numbers do not depend on which tests ran before."""
    if isinstance(getattr(item.module, "RNG", None), np.random.Generator):
        item.module.RNG = np.random.default_rng(0)
