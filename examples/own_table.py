"""plot_laws.py --csv: fit a table of the user's own and print what was found."""

import numpy as np
from read_table import TableError, plain, read_table
from sklearn.model_selection import KFold

from skmerge import MergedNetRegressor


def report(path, target, drop=(), decimal="."):
    """Print the law, its validation error and the rows it applies to best and least, each predicted from others."""
    names, X, y, line = read_table(path, target, drop, decimal)
    names, target = [plain(name) for name in names], plain(target)
    model = MergedNetRegressor(random_state=0)
    predicted, std, distance = np.empty((3, len(y)))
    try:
        for rest, fold in KFold(5, shuffle=True, random_state=0).split(X):
            model.fit(X[rest], y[rest])
            predicted[fold], std[fold] = model.predict(X[fold], return_std="measurement")
            distance[fold] = model.applicability(X[fold])
        model.fit(X, y)
    except ValueError as error:
        raise TableError(f"{path} cannot be fitted: {str(error).splitlines()[0]}") from error
    print(f"{path}: {len(y)} rows, {target} from {', '.join(names)}")
    print(f"law: {model.formula(names, target_names=target)}")
    if len(model.A_) == 1:
        print(f"     {model.formula(names, target_names=target, standard_errors=True)}")
    error = model.validation_error_[0]
    share = error / model.y_scale_[0]
    print(f"validation error (cross-validated root mean square): {error:.3g}, {share:.2%} of std({target})")
    print("Most and least applicable rows, each predicted from the other four fifths; outside by: 0 is inside their")
    print("ranges, 1 a whole range beyond; +- is the standard deviation of a measurement")
    print(f"{'line':>12s}{'outside by':>12s}{'measured':>14s}{'predicted':>14s}{'+-':>12s}")
    order = np.lexsort([std, distance])
    few = min(3, len(y) // 2)
    for word, rows in (("most", order[:few]), ("least", order[-few:])):
        for i in rows:
            print(f"{word:6s}{line[i]:6d}{distance[i]:12.3f}{y[i]:14.6g}{predicted[i]:14.6g}{std[i]:12.3g}")
