"""A shot hits a block of grains
=============================

Shot peening: a steel ball of 0.6 mm hits copper at 40 m/s. Inertia, contact with friction, and a polycrystal at each
integration point; when the ball is gone, stress remains.

Three runs, as in `plot_upsetting.py`: the simulation's law, a propagator that learned from 50 single crystals at rates
of 1e3 to 1e6 per second, and J2 plasticity without grains. All use the power law of slip at these rates; real copper
also has phonon drag there. Needs ``pip install 'skmerge[fem]'``.
"""

import argparse
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from common import BLACK, BLUE, FIGURES, ORANGE, save
from plot_upsetting import section
from skfem import MeshQuad
from solid import Solid, Tool, learned, materials

from skmerge.crystal import Crystal

BALL, SPEED, STEEL, COPPER = 0.3, 40e3, 7.8e-9, 8.96e-9  # mm, mm/s, t/mm^3
SIZE, FINE, GROWTH = 1.2, 0.25, 1.25  # mm: of the block, and of its part with small elements, beyond which they grow
STEP, REST = 2e-8, 1e-3  # s
NEAR_AXIS = 0.06  # mm: over which stress is averaged, less than half the dent


def places(element):
    x = list(np.arange(0, FINE + element / 2, element))
    while x[-1] < SIZE:
        element *= GROWTH
        x.append(x[-1] + element)
    return np.array(x)


def shoot(material, element, end):
    """The block after the shot, at rest; and time in us, height of the ball in um, force in N and speed in m/s."""
    x = places(element)
    mesh = MeshQuad.init_tensor(x, -x[::-1])
    mass = STEEL * 4 / 3 * np.pi * BALL**3
    ball = Tool(0.0, BALL, -SPEED, mass=mass, friction=0.2, penalty=5e6, stick=1e-5)

    def fixed(basis):
        axis, floor = (basis.get_dofs(part) for part in (lambda y: y[0] < 1e-9, lambda y: y[1] < 1e-9 - x[-1]))
        return np.concatenate([axis.all(["u^1"]), floor.all(["u^2"])])

    top = mesh.facets_satisfying(lambda y: (y[1] > -1e-9) & (y[0] < 1.5 * BALL), boundaries_only=True)
    block, path = Solid(mesh, material, fixed, top, ball, COPPER), []
    for step in range(round(end / STEP)):
        block.advance(STEP)
        path.append(((step + 1) * STEP * 1e6, ball.height * 1e3, ball.force, ball.velocity / 1e3))
    block.come_to_rest(REST)
    return block, np.array(path)


def under_the_dent(block):
    """Depth in um and radial stress in MPa of the layers of points near the axis, as the mesh was at the start."""
    r, z = block.basis.global_coordinates().reshape(2, -1)
    stress = block.stress()[:, 0, 0]
    depth = np.round(-z * 1e3, 6)
    layers = np.unique(depth)
    return layers, np.array([stress[(depth == one) & (r < NEAR_AXIS)].mean() for one in layers])


def dent(block):
    """Places of the surface, r and z in um."""
    basis = block.basis
    top = np.flatnonzero(basis.mesh.p[1] > -1e-9)
    moved = basis.mesh.p[:, top] + block.u[basis.nodal_dofs[:, top]]
    return moved[:, np.argsort(moved[0])] * 1e3


def figure(runs, out):
    line = {"lw": 1.8}
    looks = {"color": BLACK, "lw": 4, "alpha": 0.35}, {"color": BLUE, "ls": "--"} | line, {"color": ORANGE} | line
    names = "grains, the simulation's law", "grains, propagator", "no grains (J2)"
    picture, panels = plt.subplots(2, 2, figsize=(11, 7.6), layout="constrained")
    (forces, surfaces), (depths, strains) = panels
    for (block, path), look, name in zip(runs.values(), looks, names, strict=True):
        forces.plot(path[:, 0], path[:, 2], label=name, **look)
        surfaces.plot(*dent(block), label=name, **look)
        depths.plot(*under_the_dent(block), label=name, **look)
    forces.set(xlabel="time, µs", ylabel="force on the ball, N", xlim=(0, 2), ylim=(0, None))
    surfaces.set(xlabel="distance from the axis, µm", ylabel="height of the surface, µm", xlim=(0, 300))
    surfaces.legend(frameon=False, loc="lower right")
    depths.axhline(0, color="0.7", lw=0.8)
    depths.set(xlabel="depth, µm", ylabel="radial stress that remains, MPa", xlim=(0, 600))
    for axes in (forces, surfaces, depths):
        axes.spines[["top", "right"]].set_visible(False)
    _, (found, _), (plain, _) = runs.values()
    most = np.percentile(np.concatenate([found.strain.ravel(), plain.strain.ravel()]), 99.5)
    for block, side in ((found, -1), (plain, 1)):
        filled = section(strains, block, block.strain, side, False, cmap="viridis", clim=(0, most))
    strains.set(xlim=(-0.4, 0.4), ylim=(-0.4, 0.05))
    strains.set_title("plastic strain: propagator | no grains", fontsize=11)
    picture.colorbar(filled, ax=strains, shrink=0.8)
    save(picture, out, "shot_peening.png")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=FIGURES, help="directory of the figure")
    parser.add_argument("--grains", type=int, default=24, help="at each point, an even number")
    parser.add_argument("--element", type=float, default=0.02, help="size of the smallest elements in mm")
    parser.add_argument("--end", type=float, default=2.2e-6, help="of the motion, in s")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    copper, runs = Crystal(), {}
    model = learned(copper, rates=(1e3, 1e6))
    print(f"   learned from 50 crystals: {'; '.join(model.laws_)}")
    for name, material in materials(copper, model, options.grains).items():
        start = perf_counter()
        block, path = runs[name] = shoot(material, options.element, options.end)
        depth, stress = under_the_dent(block)
        print(
            f"   {name}: ball back at {path[-1, 3]:.2f} m/s, dent {-dent(block)[1].min():.2f} µm, most pressure "
            f"{stress.min():.1f} MPa at {depth[stress.argmin()]:.0f} µm; {perf_counter() - start:.0f} s"
        )
    true, found, plain = (under_the_dent(block)[1] for block, _ in runs.values())
    for name, one in (("propagator", found), ("no grains", plain)):
        error = np.sqrt(np.mean((one - true) ** 2)) / np.sqrt(np.mean(true**2))
        print(f"   {name}: stress that remains {error:.2%} off (rms over the depth)")
    figure(runs, options.out)


if __name__ == "__main__":
    main()
