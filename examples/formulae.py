"""Claim 2: on formulae of physics, blended nodes are closer than additive ones, and beyond the data much closer."""

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, NOISE, ORANGE, ROWS, both_nets, save
from joblib import Parallel, delayed

from skmerge.datasets import load_formulae


def formulae(out):
    laws = load_formulae()
    results = Parallel(n_jobs=-1)(delayed(both_nets)(law) for law in laws)
    error = np.array([error for _, error in results])  # law, in range or not, net
    print(f"2. {len(laws)} formulae, {ROWS} rows, {NOISE:.0%} noise: root mean squared error / std(y) of noise-free y.")
    print(f"   {'':20s}{'in range':^20s}{'extrapolated':^20s}")
    print(f"   {'':20s}" + f"{'additive':>10s}{'blended':>10s}" * 2 + "   law found by the blended net")
    for law, (nets, e) in zip(laws, results, strict=True):
        text = str(nets[1].formula(law.feature_names))
        text = text if len(text) <= 90 else text[:87] + "..."
        print(f"   {law.name:20s}" + "".join(f"{v:10.4f}" for v in e.ravel()) + f"   {text}")
    print(f"   {'median':20s}" + "".join(f"{v:10.4f}" for v in np.median(error, axis=0).ravel()))
    print("   In creep the exponent of sigma is a feature: learned in range, wrong beyond it; its logarithm is found.")

    order = np.argsort(error[:, 0, 1])
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 5.6), sharex=True, sharey=True, layout="constrained")
    for axis, e, title in zip(axes, error.transpose(1, 0, 2), ("in range", "extrapolated"), strict=True):
        rows = np.arange(len(laws))
        axis.hlines(rows, e[order].min(axis=1), e[order].max(axis=1), color="#cccccc", lw=1.5, zorder=1)
        axis.plot(e[order, 0], rows, "s", color=ORANGE, label="additive net (blend=1)")
        axis.plot(e[order, 1], rows, "o", color=BLUE, label="blended net")
        axis.set(xscale="log", xlabel="root mean squared error / std(y)", title=title, yticks=rows)
        axis.set_yticklabels([laws[i].name for i in order])
        axis.grid(axis="x", color="#eeeeee")
        axis.set_axisbelow(True)
        axis.axvline(NOISE, color=BLACK, lw=1, ls=":", label="noise of the training y")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False)
    save(figure, out, "formulae.png")
