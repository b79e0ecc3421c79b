"""Settings of every test; scipy reads the first when it is imported."""

import os

os.environ["SCIPY_ARRAY_API"] = "1"  # without it scikit-learn skips one of its checks
