"""Settings of every test; scipy reads the first when it is imported."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # without it scikit-learn skips one of its checks

from hypothesis import settings

# The same examples in every run: a failure is one of the change at hand. HYPOTHESIS_PROFILE=explore draws new ones.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
