"""Upsetting a billet that knows its grains
========================================

A copper billet is forged to half its height between two dies, with friction. Each integration point of the
finite-element mesh holds a polycrystal.

Three runs: grains with the law of the simulation, grains with the law that a propagator learned from 50 single
crystals, and no grains at all (J2 plasticity with Taylor's factor). The grains turn a <110> direction towards the
pressure, most in the core, where the strain is largest. J2 plasticity needs a force that is an eighth too large. Needs
``pip install 'skmerge[fem]'``.
"""

import argparse
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, FIGURES, GREY, ORANGE, save
from matplotlib.collections import PolyCollection
from scipy.spatial.transform import Rotation
from skfem import MeshQuad
from solid import Solid, Tool, learned, materials
from triangle import draw, project

from skmerge.crystal import Crystal

RADIUS, HALF_HEIGHT = 5.0, 7.5  # mm
RATE, FRICTION = 0.01, 0.15  # 1/s, of the height at the start
NEAR = np.radians(15)  # of a <110> direction
DIAGONALS = np.array([[0, 1, 1], [0, 1, -1], [1, 0, 1], [1, 0, -1], [1, 1, 0], [1, -1, 0]]) / np.sqrt(2)


def upset(material, n_elements, n_steps, squeeze=0.5):
    """The upper half of a billet, and (n_steps, 2) of how far it is squeezed and the force on the die in kN."""
    nr, nz = n_elements
    mesh = MeshQuad.init_tensor(np.linspace(0, RADIUS, nr + 1), np.linspace(0, HALF_HEIGHT, nz + 1))
    die = Tool(HALF_HEIGHT, velocity=-RATE * HALF_HEIGHT, friction=FRICTION, penalty=2e5, stick=1e-3)

    def fixed(basis):
        axis, middle = (basis.get_dofs(lambda x, i=i: x[i] < 1e-9) for i in (0, 1))
        return np.concatenate([axis.all(["u^1"]), middle.all(["u^2"])])

    touched = mesh.facets_satisfying(
        lambda x: (x[1] > HALF_HEIGHT - 1e-9) | (x[0] > RADIUS - 1e-9), boundaries_only=True
    )
    billet, curve = Solid(mesh, material, fixed, touched, die), []
    first = squeeze / n_steps * np.array([0.02, 0.03, 0.05, 0.1, 0.2, 0.6])  # the knee of stress and strain
    for step in np.append(first, np.full(n_steps - 1, squeeze / n_steps)):
        billet.advance(step / RATE)
        curve.append((1 - die.height / HALF_HEIGHT, die.force / 1e3))
    return billet, np.array(curve)


def upwards(grains):
    """The direction of pressure in the crystals, (n_points, n_grains, 3)."""
    angles = grains.orientation
    turned = Rotation.from_euler("ZXZ", angles.reshape(-1, 3)).inv().apply([0.0, 0.0, 1.0])
    return turned.reshape(angles.shape)


def gathered(grains):
    """Share of the grains of each point that have a <110> direction within 15 degrees of the pressure."""
    return (np.abs(upwards(grains) @ DIAGONALS.T).max(axis=-1) > np.cos(NEAR)).mean(axis=1)


def section(axes, solid, values, side, mirrored=True, **how):
    """Fill the elements of one side with the means of their points; the lower half is the upper one, mirrored."""
    corners = (solid.basis.mesh.p + solid.u[solid.basis.nodal_dofs])[:, solid.basis.mesh.t]
    corners = np.moveaxis(corners, 0, -1).swapaxes(0, 1) * [side, 1]
    mean = values.reshape(len(corners), -1).mean(axis=1)
    if mirrored:
        corners, mean = np.concatenate([corners, corners * [1, -1]]), np.tile(mean, 2)
    filled = PolyCollection(corners, array=mean, edgecolors="face", linewidths=0.2, **how)
    axes.add_collection(filled)
    axes.set(xlim=(-8.6, 8.6), ylim=(-4.6, 4.6), aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    return filled


def figure(runs, out):
    (truth, true_curve), (found, curve), (plain, plain_curve) = runs.values()
    picture, panels = plt.subplots(2, 2, figsize=(11, 7.4), layout="constrained")
    (forces, strains), (textures, pole) = panels
    forces.plot(*true_curve.T * [[100], [1]], color=BLACK, lw=4, alpha=0.35, label="grains, the simulation's law")
    forces.plot(*curve.T * [[100], [1]], "--", color=BLUE, lw=1.8, label="grains, propagator")
    forces.plot(*plain_curve.T * [[100], [1]], color=ORANGE, lw=1.8, label="no grains (J2)")
    forces.set(xlabel="height lost, %", ylabel="force on the die, kN", xlim=(0, 100 * curve[-1, 0]), ylim=(0, None))
    forces.legend(frameon=False)
    forces.spines[["top", "right"]].set_visible(False)
    most = max(one.strain.max() for one in (found, plain))
    section(strains, found, found.strain, -1, cmap="viridis", clim=(0, most))
    filled = section(strains, plain, plain.strain, 1, cmap="viridis", clim=(0, most))
    strains.set_title("plastic strain: propagator | no grains", fontsize=11)
    picture.colorbar(filled, ax=strains, shrink=0.7)
    shares = [gathered(one.material) for one in (truth, found)]
    for one, share, side in zip((truth, found), shares, (-1, 1), strict=True):
        filled = section(textures, one, share, side, cmap="magma", clim=(0.2, 0.9))
    textures.set_title("grains with <110> near the pressure: simulation | propagator", fontsize=11)
    picture.colorbar(filled, ax=textures, shrink=0.7)
    core = np.argsort(np.hypot(*found.basis.global_coordinates().reshape(2, -1)))[:6]
    for one, look in (
        (truth, {"color": BLACK, "ms": 4, "alpha": 0.35, "mec": "none"}),
        (found, {"mfc": "none", "mec": BLUE, "ms": 6, "mew": 0.7}),
    ):
        pole.plot(*project(one.material.orientation[core].reshape(-1, 3)).T, "o", **look)
    draw(pole, "pressure in the crystals of the core; circles: propagator")
    for text in pole.texts:
        text.set_color(GREY)
    save(picture, out, "upsetting.png")
    return shares


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    parser.add_argument("--grains", type=int, default=40, help="at each point, an even number")
    parser.add_argument("--elements", type=int, nargs=2, default=(10, 14), help="along the radius and half the height")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    copper, runs = Crystal(), {}
    model = learned(copper, rates=(1e-3, 1e-1))
    print(f"   learned from 50 crystals: {'; '.join(model.laws_)}")
    for name, material in materials(copper, model, options.grains).items():
        start = perf_counter()
        runs[name] = upset(material, options.elements, options.steps)
        solid, curve = runs[name]
        seconds, steps = perf_counter() - start, solid.rounds * solid.weight.size * options.grains
        each = "" if name.startswith("no") else f", {1e6 * seconds / steps:.1f} µs a grain and round, solver and all"
        print(f"   {name}: {curve[-1, 1]:.2f} kN at the end; {solid.rounds} rounds in {seconds:.0f} s{each}")
    curves = [curve[:, 1] for _, curve in runs.values()]
    print(f"   propagator against the simulation's law: force within {np.abs(curves[1] / curves[0] - 1).max():.3%}")
    print(f"   without grains: force {np.abs(curves[2] / curves[0] - 1).max():.1%} off")
    shares = figure(runs, options.out)
    print(f"   grains near <110>: {shares[0].mean():.1%} and {shares[1].mean():.1%}; 15 % of random ones")


if __name__ == "__main__":
    main()
