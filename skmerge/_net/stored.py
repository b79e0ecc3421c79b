"""The arrays of a fitted net, checked: a damaged file must not predict."""

import numpy as np

POSITIVE = ("C_", "blend_", "estimator_weight_", "x_scale_", "y_scale_", "noise_std_", "form_error_")


def check_fitted(model):
    """Raise ValueError or AttributeError if an array is not what a fit leaves: a damaged file must not predict."""
    n_estimators, m, h, d = model.A_.shape if np.ndim(model.A_) == 4 else (0, 0, 0, 0)
    if not n_estimators * m * h * d or d != model.n_features_in_:
        raise ValueError(f"A_ has shape {np.shape(model.A_)}; the model is damaged, fit it again.")
    shapes = {
        "A_": (n_estimators, m, h, d),
        "B_": (n_estimators, m, h),
        "C_": (n_estimators, m, h),
        "blend_": (n_estimators, m, h),
        "D_": (n_estimators, m),
        "estimator_weight_": (n_estimators, m),
        "sign_": (n_estimators, m, h, d),
        "x_scale_": (d,),
        "x_mean_": (d,),
        "x_min_": (d,),
        "x_max_": (d,),
        "product_": (d,),
        "y_scale_": (m,),
        "y_mean_": (m,),
        "noise_std_": (m,),
        "form_error_": (m,),
    }
    for name, shape in shapes.items():
        array = getattr(model, name)
        dtype = np.dtype(bool) if name in ("sign_", "product_") else np.dtype(float)
        if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != dtype:
            found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else f"{type(array)}"
            expected = f"{dtype} of shape {shape} is expected beside A_ of shape {model.A_.shape}"
            raise ValueError(f"{name} is {found} where {expected}; fit the model again.")
        if dtype.kind == "f":
            low = 0.0 if name in POSITIVE else -np.inf
            bad = np.isnan(array) if name == "C_" else ~np.isfinite(array)
            if bad.any() or array.min() < low or (name in ("C_", "x_scale_", "y_scale_") and not array.min() > 0):
                raise ValueError(f"{name} has entries that no fit leaves; fit the model again.")
    least = getattr(model, "x_least_", np.zeros(d))
    if np.shape(least) != (d,) or not (np.isfinite(least) & (np.asarray(least) >= 0)).all():
        raise ValueError("x_least_ is not what a fit leaves; fit the model again.")
    limits = getattr(model, "target_range_", np.zeros((2, m)))  # models of 0.1.0 had none
    if np.shape(limits) != (2, m) or np.asarray(limits).dtype != float or np.isnan(limits).any():
        raise ValueError("target_range_ is not what a fit leaves; fit the model again.")
    parameters = h * (d + 3) + 1
    covariance = model.covariance_
    if len(covariance) not in ((0, m) if n_estimators == 1 else (0,)) or not all(
        isinstance(c, np.ndarray) and c.shape == (parameters, parameters) and c.dtype == float and np.isfinite(c).all()
        for c in covariance
    ):
        raise ValueError("covariance_ is not what a fit leaves; fit the model again.")
