"""The finite-element solid of the examples: contact, tangents, and what is known in closed form."""

import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
pytest.importorskip("matplotlib")
import plot_shot_peening
import plot_upsetting
from skfem import MeshQuad
from solid import NoGrains, Solid, Tool, grains

from skmerge.crystal import Crystal, Polycrystal, simulate

HARD = Crystal(tau0=1e6)  # nothing slips


def held(basis):
    axis, floor = (basis.get_dofs(part) for part in (lambda x: x[0] < 1e-9, lambda x: x[1] < 1e-9))
    return np.concatenate([axis.all(["u^1"]), floor.all(["u^2"])])


def cylinder(material, tool, n=2, height=1.0, density=0.0):
    mesh = MeshQuad.init_tensor(np.linspace(0, 1, n + 1), np.linspace(0, height, n + 1))
    top = mesh.facets_satisfying(lambda x: x[1] > height - 1e-9, boundaries_only=True)
    return Solid(mesh, material, held, top, tool, density)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([np.inf, 0.4]), st.floats(0, 0.5), st.integers(0, 10**6))
def test_contact_by_differences(radius, friction, seed):
    rng = np.random.default_rng(seed)
    tool = Tool(0.0, radius, friction=friction, penalty=1e3, stick=1e-2)
    x, change, h = rng.uniform([-0.1, -0.05], [0.1, 0.1], (20, 2)).T, 1e-2 * rng.normal(size=(2, 20)), 1e-6
    traction, by_x = tool.press(x, change)
    far = (traction != 0).any(axis=0) if radius < 1 else np.abs(x[1]) > 2 * h  # not where contact begins
    for j in range(2):
        step = np.zeros((2, 1))
        step[j] = h
        up, down = (tool.press(x + sign * step, change + sign * step)[0] for sign in (1, -1))
        assert_allclose(by_x[:, j, far], ((up - down) / (2 * h))[:, far], atol=1e-5 * np.abs(by_x).max())


def test_derivatives_of_all_forces():
    """Of the internal forces and those of a ball, by displacements and by the height of the ball."""
    ball = Tool(0.98, 2.0, mass=1e-6, friction=0.3, penalty=1e4, stick=1e-2)
    body = cylinder(partial(NoGrains, HARD), ball)
    rng, h = np.random.default_rng(0), 1e-6
    u = 1e-3 * rng.normal(size=body.basis.N)
    _, K, by_tool, _, on_tool, corner = body._forces(u, 0.97, 1.0)
    direction = rng.normal(size=len(u))
    up, down = (body._forces(u + sign * h * direction, 0.97, 1.0) for sign in (1, -1))
    assert_allclose(K @ direction, (up[0] - down[0]) / (2 * h), rtol=1e-3, atol=1e-3 * np.abs(K @ direction).max())
    assert_allclose(on_tool @ direction, (up[3] - down[3]) / (2 * h), rtol=1e-3)
    up, down = (body._forces(u, 0.97 + sign * h, 1.0) for sign in (1, -1))
    assert_allclose(by_tool, (up[0] - down[0]) / (2 * h), atol=1e-3 * np.abs(by_tool).max())
    assert_allclose(corner, (up[3] - down[3]) / (2 * h), rtol=1e-3)


def test_tangent_without_grains_by_differences():
    rng, metal = np.random.default_rng(0), NoGrains(Crystal(), 3)
    E = rng.normal(size=(3, 3, 3)) * 0.01
    metal.step(np.eye(3) + E, 1.0)
    metal.accept()
    F, h = (np.eye(3) + 0.01 * rng.normal(size=(3, 3, 3))) @ metal.F, 1e-7
    tangent, found = metal.step(F, 1.0).tangent, np.empty((3, 3, 3, 3, 3))
    for i in range(3):
        for j in range(3):
            change = np.zeros((3, 3))
            change[i, j] = h
            found[..., i, j] = (metal.step(F + change, 1.0).piola - metal.step(F - change, 1.0).piola) / (2 * h)
    assert_allclose(tangent, found, atol=1e-2 * np.abs(found).max())


def test_a_ball_on_an_elastic_block_is_that_of_hertz():
    """F = 4/3 E* sqrt(R) d^(3/2), d the approach; a block of 20 contact radii, whose floor takes 2 % of d."""
    metal = NoGrains(HARD, 1)
    E = 9 * metal.bulk * metal.shear / (3 * metal.bulk + metal.shear)
    nu = E / (2 * metal.shear) - 1
    radius, depth = 1.0, 1e-3
    x = np.concatenate([np.linspace(0, 0.05, 13), 0.05 * 1.25 ** np.arange(1, 14)])
    mesh = MeshQuad.init_tensor(x, -x[::-1])

    def fixed(basis):
        axis, floor = (basis.get_dofs(part) for part in (lambda y: y[0] < 1e-9, lambda y: y[1] < 1e-9 - x[-1]))
        return np.concatenate([axis.all(["u^1"]), floor.all(["u^2"])])

    ball = Tool(0.0, radius, velocity=-depth / 4, penalty=5e8)
    top = mesh.facets_satisfying(lambda y: (y[1] > -1e-9) & (y[0] < 0.1), boundaries_only=True)
    block = Solid(mesh, partial(NoGrains, HARD), fixed, top, ball)
    for _ in range(4):
        block.advance(1.0)
    assert_allclose(ball.force, 4 / 3 * E / (1 - nu**2) * np.sqrt(radius) * depth**1.5, rtol=0.03)


def test_a_billet_without_friction_is_in_plain_compression():
    """Grains with the symmetry of the load, the same at all points: each point has the strain of the whole.

    Then the mean stress is that of the simulation under full constraint, whose sides are free in the mean; the billet
    is compressible and the path of the simulation is not.
    """
    turns = Rotation.random(6, random_state=0)
    for axis, fold in ((2, 4), (1, 2)):
        about = Rotation.from_rotvec(np.outer(np.arange(fold), np.eye(3)[axis] * 2 * np.pi / fold))
        turns = Rotation.concatenate([one * turns for one in about])

    def material(n_points):
        return Polycrystal(Crystal(), Rotation.concatenate([turns] * n_points), len(turns), tol=1e-3)

    die = Tool(1.0, velocity=-0.01, penalty=1e7)
    body = cylinder(material, die)
    for step in np.append(np.full(10, 0.1), np.full(18, 0.5)):
        body.advance(step)
    time = np.concatenate([np.linspace(0, 1, 11), np.linspace(1.5, 10, 18)])
    rate = np.diff(np.log(1 - 0.01 * time)) / np.diff(time)
    state = simulate(turns, time, velocity_gradient=rate[:, None, None] * np.diag([-0.5, -0.5, 1.0]))
    stress = state[:, -1, 2] - (state[:, -1, 0] + state[:, -1, 1]) / 2
    assert_allclose(-die.force, stress.mean() * np.pi / die.height, rtol=2e-3)


def test_a_free_fall_of_a_ball_keeps_its_momentum_and_energy_of_an_elastic_block_comes_back():
    ball = Tool(1.0, np.inf, -50.0, mass=1e-6, penalty=1e7)
    body = cylinder(partial(NoGrains, HARD), ball, density=1e-12)
    for _ in range(400):
        body.advance(2e-7)
        if ball.velocity > 0 and ball.force == 0:
            break
    assert 45 < ball.velocity <= 50.5


def test_the_upsetting(tmp_path, capsys):
    plot_upsetting.main(["--out", str(tmp_path), "--grains", "6", "--elements", "3", "3", "--steps", "8"])
    text = capsys.readouterr().out
    within = float(text.split("force within ")[1].split("%")[0])
    off = float(text.split("without grains: force ")[1].split("%")[0])
    assert within < 1 < 3 < off
    assert (tmp_path / "upsetting.png").stat().st_size > 20_000


def test_the_shot(tmp_path, capsys):
    plot_shot_peening.main(["--out", str(tmp_path), "--grains", "4", "--element", "0.08", "--end", "1.6e-6"])
    text = capsys.readouterr().out
    assert float(text.split("propagator: stress that remains ")[1].split("%")[0]) < 5
    backs = [float(part.split(" m/s")[0]) for part in text.split("ball back at ")[1:]]
    assert len(backs) == 3 and all(3 < back < 12 for back in backs)
    assert (tmp_path / "shot_peening.png").stat().st_size > 20_000


def test_grains_in_pairs_keep_the_plane():
    pair = grains(Crystal(), 6, 0, 2)
    F = np.tile(np.array([[1.0, 0, 0.01], [0, 1.004, 0], [0.003, 0, 0.99]]), (2, 1, 1))
    stress = pair.step(F, 1.0).stress
    assert np.abs(stress[:, [0, 1], [1, 2]]).max() < 1e-9 * np.abs(stress).max()
    turns = Rotation.from_euler("ZXZ", pair.orientation.reshape(-1, 3))
    assert len(turns) == 12
