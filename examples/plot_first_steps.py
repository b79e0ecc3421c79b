"""First steps
===========

A law from 60 noisy rows: fit it, print it, ask how sure it is, and follow it beyond the data.
"""

# %%
# A spring stores the energy k x² / 2, x of both signs; the measurements err by 5 % of their spread. The features stay
# in their own units: standardising them would destroy the product.

import matplotlib.pyplot as plt
import numpy as np

from skmerge import MergedNetRegressor

rng = np.random.default_rng(0)
X = np.column_stack([rng.uniform(1, 10, 60), rng.uniform(-2, 2, 60)])
truth = 0.5 * X[:, 0] * X[:, 1] ** 2
y = truth + 0.05 * truth.std() * rng.normal(size=60)
net = MergedNetRegressor(random_state=0).fit(X, y)
net

# %%
# The law as text, with the standard errors of its numbers, and as a Python expression.

print(net.formula(["k", "x"]))
print(net.formula(["k", "x"], standard_errors=True))
print(net.formula(["k", "x"]).python)

# %%
# A prediction has a standard deviation, and ``applicability`` says how far a row lies outside the training data: 0 is
# inside, 1 a whole range beyond.

new = np.array([[5.0, 1.0], [20.0, 1.0]])
value, std = net.predict(new, return_std=True)
print(value.round(2), std.round(3), net.applicability(new).round(2))

# %%
# Beyond the trained range, shaded, the law holds on.

x = np.linspace(-4, 4, 201)
figure, axes = plt.subplots(figsize=(6.4, 4), layout="constrained")
axes.axvspan(-2, 2, color="#f2f2f2", zorder=0)
for k, color in ((2, "#0072B2"), (8, "#D55E00")):
    Z = np.column_stack([np.full_like(x, k), x])
    axes.plot(x, 0.5 * k * x**2, color="#888888", lw=6, alpha=0.4, label="truth" if k == 2 else None)
    axes.plot(x, net.predict(Z), color=color, label=f"law found, k = {k}")
axes.plot(X[:, 1], y, "o", color="black", ms=3, label="60 rows, k from 1 to 10")
axes.set(xlabel="x (shaded: trained)", ylabel="energy")
axes.legend(frameon=False)
plt.show()
