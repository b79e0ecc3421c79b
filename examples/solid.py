"""An axisymmetric solid of large strain with scikit-fem, a rigid tool that presses it, and a material without grains.

What plot_upsetting.py and plot_shot_peening.py share. Units: mm, MPa, N, s, t (1e3 kg).

A point of the material answers to a deformation gradient as `skmerge.crystal.Polycrystal` does. The unknowns are the
displacements along r and z of quadrilaterals with eight nodes and 2 x 2 points each (Abaqus' CAX8R), and the height of
the tool. Steps in time are implicit, by Newton's method with the tangents of the material; one that fails is halved.
The axes of a point are r, the circumference, z.
"""

from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from scipy.sparse import bmat, coo_matrix, csc_matrix
from scipy.sparse.linalg import splu
from scipy.spatial.transform import Rotation
from skfem import Basis, ElementQuadS2, ElementVector, FacetBasis

from skmerge import PlasticityPropagator
from skmerge.crystal import Polycrystal, Response, simulate

IN_PLANE = (0, 0), (0, 2), (2, 0), (2, 2), (1, 1)  # the entries of F that are not zero
GAMMA, BETA = 0.6, 0.3025  # Newmark's method with a little damping of what elements cannot follow
MOST_ROUNDS, TOLERANCE = 15, 1e-4  # of Newton's method; of the residual force over all forces


@dataclass
class Tool:
    """A rigid ball, or a plane where the radius is infinite, above the solid; it moves along z."""

    height: float  # of its lowest point
    radius: float = np.inf
    velocity: float = 0.0  # mm/s
    mass: float | None = None  # t; None: it moves as it is told
    friction: float = 0.0  # Coulomb's coefficient
    penalty: float = 1e5  # pressure over penetration, MPa/mm
    stick: float = 1e-4  # mm in one step, from which on friction is nearly whole
    force: float = field(default=0.0, init=False)  # on the tool, N

    def press(self, x, change):
        """Traction (2, ...) at places x, its derivative by x (2, 2, ...); ``change``: of x against the tool's height.

        Moving the tool by dh changes the traction as moving x by -dh does.
        """
        if np.isinf(self.radius):
            depth, normal, over = x[1] - self.height, np.zeros_like(x), np.zeros_like(x[0])
            normal[1] = -1.0
        else:
            way = x - np.array([0.0, self.height + self.radius]).reshape(2, *[1] * (x.ndim - 1))
            distance = np.linalg.norm(way, axis=0)
            depth, normal = self.radius - distance, way / distance
            over = 1 / distance
        pressure = self.penalty * np.maximum(depth, 0.0)
        across = np.eye(2).reshape(2, 2, *[1] * (x.ndim - 1)) - normal[:, None] * normal[None]
        slip = np.einsum("ij...,j...->i...", across, change)
        size = np.sqrt((slip**2).sum(axis=0) + self.stick**2)
        way = normal - self.friction * slip / size
        turned = (normal * change).sum(axis=0) * across + normal[:, None] * slip[None]  # as the normal turns
        by_slip = across - over * turned
        by_slip = by_slip - slip[:, None] * (slip[:, None] * by_slip).sum(axis=0)[None] / size**2
        derivative = -self.penalty * (depth > 0) * way[:, None] * normal[None]
        derivative = derivative + pressure * (over * across - self.friction / size * by_slip)
        return pressure * way, derivative


class Solid:
    """A body of revolution, at rest and without stress at the start.

    Parameters
    ----------
    mesh : skfem.MeshQuad in the plane of r and z
    material : callable, number of points to an object with ``step(F, dt)`` and ``accept()``
    fixed : callable, Basis to the numbers of the displacements that are zero
    pressed : facets that the tool may touch
    tool : Tool
    density : t/mm^3; 0 without inertia
    """

    def __init__(self, mesh, material, fixed, pressed, tool, density=0.0):
        self.basis = Basis(mesh, ElementVector(ElementQuadS2()), intorder=3)
        self.facets = FacetBasis(mesh, self.basis.elem, facets=pressed, intorder=4)
        self.B, self.at, self.weight = self._inside()
        self.N = np.array([one[0] for one in self.facets.basis])  # (16, 2, facets, points)
        self.surface = 2 * np.pi * self.facets.global_coordinates()[0] * self.facets.dx
        self.material, self.tool = material(self.weight.size), tool
        self.u = np.zeros(self.basis.N)
        self.v, self.a = np.zeros_like(self.u), np.zeros_like(self.u)
        self.last, self.strain = None, np.zeros(self.weight.shape)
        self.free = np.setdiff1d(np.arange(self.basis.N), fixed(self.basis))
        self.mass = self._mass(density) if density else None
        self.tool_a, self.rounds = 0.0, 0

    def _inside(self):
        """B (elements, points, 5, 16), which gives IN_PLANE of grad u, the dofs of elements, and weights of points."""
        r = self.basis.global_coordinates()[0]
        columns = [
            (one[0].grad[0, 0], one[0].grad[0, 1], one[0].grad[1, 0], one[0].grad[1, 1], one[0][0] / r)
            for one in self.basis.basis
        ]
        return np.transpose(np.array(columns), (2, 3, 1, 0)), self.basis.element_dofs.T, 2 * np.pi * r * self.basis.dx

    def _mass(self, density):
        whole = Basis(self.basis.mesh, self.basis.elem, intorder=6)
        N = np.array([one[0] for one in whole.basis])
        weight = density * 2 * np.pi * whole.global_coordinates()[0] * whole.dx
        return self._sparse(self.at, np.einsum("aieq,bieq,eq->eab", N, N, weight))

    def _sparse(self, at, blocks):
        rows, columns = np.broadcast_arrays(at[:, :, None], at[:, None, :])
        shape = self.basis.N, self.basis.N
        return coo_matrix((blocks.ravel(), (rows.ravel(), columns.ravel())), shape=shape).tocsc()

    def deformation_gradient(self, u):
        F = np.zeros((*self.weight.shape, 3, 3))
        for k, (i, j) in enumerate(IN_PLANE):
            F[..., i, j] = np.einsum("eqa,ea->eq", self.B[:, :, k], u[self.at]) + (i == j)
        return F

    def _forces(self, u, height, dt):
        """Internal forces less those of the tool, their derivatives, the force on the tool and its derivatives.

        None where the material fails.
        """
        F = self.deformation_gradient(u).reshape(-1, 3, 3)
        found = self.material.step(F, dt)
        if found.failed.any():
            return None
        rows, columns = np.array(IN_PLANE).T
        P = found.piola[:, rows, columns].reshape(*self.weight.shape, 5)
        A = found.tangent[:, rows[:, None], columns[:, None], rows, columns].reshape(*self.weight.shape, 5, 5)
        force, n = np.zeros(self.basis.N), len(self.at)
        np.add.at(force, self.at, np.einsum("eqia,eqi,eq->ea", self.B, P, self.weight))
        left = (self.B * self.weight[..., None, None]).reshape(n, -1, 16)
        K = self._sparse(self.at, np.swapaxes(left, 1, 2) @ (A @ self.B).reshape(n, -1, 16))
        at = self.facets.element_dofs.T
        moved, before = (np.einsum("aifq,fa->ifq", self.N, value[at]) for value in (u, self.u))
        change = moved - before
        change[1] -= height - self.tool.height
        tool = replace(self.tool, height=height)
        traction, by_x = tool.press(np.asarray(self.facets.global_coordinates()) + moved, change)
        N = self.N * self.surface
        np.add.at(force, at, -np.einsum("aifq,ifq->fa", N, traction))
        blocks = np.einsum("aifq,ijfq,bjfq->fab", N, by_x, self.N, optimize=True)
        by_tool = np.zeros(self.basis.N)
        np.add.at(by_tool, at, np.einsum("aifq,ifq->fa", N, by_x[:, 1]))
        on_tool = np.zeros(self.basis.N)
        np.add.at(on_tool, at, np.einsum("ifq,aifq->fa", by_x[1] * self.surface, self.N))
        up = -(traction[1] * self.surface).sum()
        return force, K - self._sparse(at, blocks), by_tool, up, -on_tool, (by_x[1, 1] * self.surface).sum()

    def _balance(self, dt):
        """Displacements and height of the tool after dt, and how many rounds it took; None if there is no balance."""
        free, tool = self.free, self.tool
        u = self.u + (0 if self.last is None else self.last[0] * dt / self.last[1])
        height = tool.height + dt * tool.velocity
        by_dt = 1 / (BETA * dt**2)
        old = self.u + dt * self.v + (0.5 - BETA) * dt**2 * self.a  # Newmark
        tool_old = height + (0.5 - BETA) * dt**2 * self.tool_a
        height = height if tool.mass is None else tool_old
        for rounds in range(1, MOST_ROUNDS + 1):
            forces = self._forces(u, height, dt)
            if forces is None:
                return None
            force, K, by_tool, up, on_tool, tool_by_tool = forces
            if self.mass is not None:
                force, K = force + by_dt * (self.mass @ (u - old)), K + by_dt * self.mass
            scale = np.abs(force).sum() + 1e-12
            if tool.mass is None:
                residual, matrix = force[free], csc_matrix(K[free][:, free])
            else:  # mass times acceleration less the force on it
                residual = np.append(force[free], tool.mass * by_dt * (height - tool_old) - up)
                corner = np.array([[tool.mass * by_dt - tool_by_tool]])
                matrix = bmat([[K[free][:, free], by_tool[free, None]], [-on_tool[None, free], corner]], format="csc")
            if np.abs(residual).sum() <= TOLERANCE * scale and rounds > 1:
                return u, height, up, rounds
            step = splu(matrix).solve(-residual)
            u[free] += step[: len(free)]
            height += step[-1] if tool.mass is not None else 0.0
        return None

    def advance(self, dt, halvings=10):
        """Go on by dt; in halves where Newton's method does not end."""
        found = self._balance(dt)
        if found is None:
            if not halvings:
                raise RuntimeError("The solid finds no balance, even in a thousandth of the step.")
            self.last = None
            for _ in range(2):
                self.advance(dt / 2, halvings - 1)
            return
        u, height, self.tool.force, rounds = found
        change = np.linalg.eigvalsh(self._stretch(u))
        self.strain += np.sqrt(2 / 3 * (np.log(change) ** 2 / 4).sum(axis=-1))
        self.material.accept()
        self.rounds += rounds
        if self.mass is not None:
            a = (u - self.u - dt * self.v) / (BETA * dt**2) - (0.5 / BETA - 1) * self.a
            self.v, self.a = self.v + dt * ((1 - GAMMA) * self.a + GAMMA * a), a
        if self.tool.mass is not None:
            a = (height - self.tool.height - dt * self.tool.velocity) / (BETA * dt**2) - (0.5 / BETA - 1) * self.tool_a
            self.tool.velocity += dt * ((1 - GAMMA) * self.tool_a + GAMMA * a)
            self.tool_a = a
        self.last, self.u, self.tool.height = (u - self.u, dt), u, height

    def come_to_rest(self, dt):
        """Take the tool away, and balance forces without inertia after dt."""
        self.mass, self.last = None, None
        self.tool.mass, self.tool.velocity, self.tool.height = None, 0.0, np.inf if np.isinf(self.tool.radius) else 1e3
        self.advance(dt)

    def stress(self):
        """Cauchy stress of the points, (n_points, 3, 3), MPa: the mean of their grains."""
        if isinstance(self.material, Polycrystal):
            xx, yy, zz, yz, xz, xy = np.moveaxis(self.material.stress.mean(axis=1), -1, 0)
            return np.moveaxis(np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]), -1, 0)
        return self.material.sigma

    def _stretch(self, u):
        A = self.deformation_gradient(u) @ np.linalg.inv(self.deformation_gradient(self.u))
        return np.swapaxes(A, -1, -2) @ A


class NoGrains:
    """The same metal as J2 plasticity: each point has one density, and slips as a polycrystal without texture.

    Flow stress M g (M rate / slip_rate)^(1/n) with Taylor's factor M = 3.06, elastic constants the means of Voigt.
    """

    TAYLOR = 3.06

    def __init__(self, crystal, n_points):
        self.crystal, self.F = crystal, np.tile(np.eye(3), (n_points, 1, 1))
        self.sigma, self.forest = np.zeros((n_points, 3, 3)), np.full(n_points, crystal.resistance(1e12) - crystal.tau0)
        self.shear = (crystal.C11 - crystal.C12 + 3 * crystal.C44) / 5 * 1e3
        self.bulk = (crystal.C11 + 2 * crystal.C12) / 3 * 1e3

    def step(self, F, dt):
        one, G = np.eye(3), self.shear
        A = F @ np.linalg.inv(self.F)
        squares, axes = np.linalg.eigh(np.swapaxes(A, 1, 2) @ A)
        back = np.swapaxes(axes, 1, 2)
        failed = (squares < 0.1).any(axis=1) | (np.linalg.det(A) <= 0)
        squares = np.maximum(squares, 0.1)
        R, E = A @ (axes / np.sqrt(squares)[:, None]) @ back, (axes * np.log(squares)[:, None] / 2) @ back
        volume, mean = (np.trace(part, axis1=1, axis2=2) for part in (E, self.sigma))
        deviator = self.sigma + 2 * G * E - ((mean + 2 * G * volume) / 3)[:, None, None] * one
        size = np.sqrt((deviator**2).sum(axis=(1, 2))) + 1e-9
        normal, trial = deviator / size[:, None, None], np.sqrt(1.5) * size
        low, high = np.full(len(F), -60.0), np.log(trial / (3 * G))  # of the logarithm of the plastic strain
        for _ in range(50):
            middle = (low + high) / 2
            excess = trial - 3 * G * np.exp(middle) - self._flow(np.exp(middle), dt)[0]
            low, high = np.where(excess > 0, middle, low), np.where(excess > 0, high, middle)
        plastic = np.exp(low)
        _, slope, forest = self._flow(plastic, dt)
        left = (trial - 3 * G * plastic) / trial
        part = slope / (3 * G + slope)
        sigma = left[:, None, None] * deviator + (mean / 3 + self.bulk * volume)[:, None, None] * one
        both = np.einsum("ij,kl->ijkl", one, one)
        same = (np.einsum("ik,jl->ijkl", one, one) + np.einsum("il,jk->ijkl", one, one)) / 2
        C = self.bulk * both + 2 * G * (
            np.einsum("n,ijkl->nijkl", left, same - both / 3)
            + np.einsum("n,nij,nkl->nijkl", part - left, normal, normal)
        )
        C = np.einsum("nabcd,nia,njb,nkc,nld->nijkl", C, R, R, R, R, optimize=True)
        sigma = R @ sigma @ np.swapaxes(R, 1, 2)
        self.trial = F.copy(), sigma, forest
        J, inverse = np.linalg.det(F), np.linalg.inv(F)
        C = C + np.einsum("nij,kl->nijkl", sigma, one)
        C += (np.einsum("ik,nlj->nijkl", one, sigma) - np.einsum("il,nkj->nijkl", one, sigma)) / 2
        C -= (np.einsum("nik,jl->nijkl", sigma, one) + np.einsum("nil,jk->nijkl", sigma, one)) / 2
        tangent = np.einsum("n,nijkl,npj,nql->nipkq", J, C, inverse, inverse, optimize=True)
        piola = J[:, None, None] * sigma @ np.swapaxes(inverse, 1, 2)
        return Response(sigma, piola, tangent, failed)

    def _flow(self, plastic, dt):
        """Flow stress, its derivative by the plastic strain of the step, and the forest stress at its end."""
        M, c, n = self.TAYLOR, self.crystal, self.crystal.rate_exponent
        storage, recovery = c.k1 * (c.resistance(1.0) - c.tau0) / 2, c.k2 / 2
        forest = storage / recovery + (self.forest - storage / recovery) * np.exp(-recovery * M * plastic)
        rate = (M * plastic / (c.slip_rate * dt)) ** (1 / n)
        stress = M * (c.tau0 + forest) * rate
        return stress, stress / (n * plastic) + M * rate * M * (storage - recovery * forest), forest

    def accept(self):
        self.F, self.sigma, self.forest = self.trial


def grains(law, n_grains, seed, n_points, tol=None):
    """Grains of random orientation at each point, in pairs that a half turn about the circumference interchanges.

    So they are symmetric about the plane of r and z, as an axisymmetric solid must be: no shear stress leaves it.
    """
    half = Rotation.random(n_points * n_grains // 2, random_state=seed).as_quat().reshape(n_points, -1, 4)
    turned = (Rotation.from_rotvec([0, np.pi, 0]) * Rotation.from_quat(half.reshape(-1, 4))).as_quat()
    both = np.concatenate([half, turned.reshape(half.shape)], axis=1).reshape(-1, 4)
    return Polycrystal(law, Rotation.from_quat(both), n_grains, tol=tol, n_jobs=-1)


def learned(crystal, rates, n_crystals=50, seed=0):
    """A propagator that has seen single crystals deform, each in three ways in turn, at rates of two limits."""
    rng = np.random.default_rng(seed)
    L = rng.normal(size=(n_crystals, 3, 3, 3))
    L -= np.trace(L, axis1=2, axis2=3)[..., None, None] * np.eye(3) / 3
    L /= np.linalg.norm(L + np.swapaxes(L, 2, 3), axis=(2, 3))[..., None, None] / 2
    steps = np.concatenate([np.full(20, 1e-4), np.full(50, 4e-3)])
    rate = np.exp(rng.uniform(*np.log(rates), (n_crystals, 3)))
    L, rate, strain = np.repeat(L, len(steps), axis=1), np.repeat(rate, len(steps), axis=1), np.tile(steps, 3)
    time = np.concatenate([np.zeros((n_crystals, 1)), np.cumsum(strain / rate, axis=1)], axis=1)
    gradient = L * rate[..., None, None]
    state = simulate(Rotation.random(n_crystals, random_state=seed), time, velocity_gradient=gradient, crystal=crystal)
    model = PlasticityPropagator(
        orientation="bunge", loading="any", stiffness=(crystal.C11, crystal.C12, crystal.C44), random_state=0
    )
    return model.fit_trajectories(time, state, velocity_gradient=gradient)


def materials(crystal, model, n_grains, seed=0):
    """The three runs: the true law of the simulation in finer steps, what was learned of it, and no grains."""
    return {
        "simulation's law": partial(grains, crystal, n_grains, seed, tol=3e-3),
        "propagator": partial(grains, model, n_grains, seed),
        "no grains (J2)": partial(NoGrains, crystal),
    }
