"""Settings of every test; scipy reads the first when it is imported."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # without it scikit-learn skips one of its checks

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# The same examples in every run: a failure is one of the change at hand. HYPOTHESIS_PROFILE=explore draws new ones.
# A busy machine is no failure: neither a deadline nor a limit for drawing examples, which are by the clock.
unhurried = dict(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fixed", derandomize=True, **unhurried)
settings.register_profile("explore", **unhurried)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True)
def no_signs_of_life(monkeypatch):
    """What a fit prints must not depend on how long the machine takes; tests of signs of life set their own times."""
    monkeypatch.setattr("skmerge._progress.QUIET", np.inf)
