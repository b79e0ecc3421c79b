"""One integration point as a finite-element program would drive it: the compiled UMAT through its Fortran interface."""

import ctypes

import numpy as np

ORDER = [0, 1, 2, 5, 4, 3]  # xx, yy, zz, xy, xz, yz from xx, yy, zz, yz, xz, xy
INT, DOUBLE = ctypes.c_int, ctypes.c_double


def address(array):
    return array.ctypes.data_as(ctypes.POINTER(DOUBLE))


def tensor(v):
    """Abaqus' six components as a matrix."""
    xx, yy, zz, xy, xz, yz = v
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


class Point:
    """State of a point at the end of the last increment that was accepted."""

    def __init__(self, library, n_grains, density=1e12, seed=1, turned=False, element=1, point=1, size=6):
        self.umat, self.size = library.umat_, size
        self.props = np.array([n_grains, density, seed, turned], float)
        self.F, self.state, self.stress = np.eye(3), np.zeros(12 * n_grains), np.zeros(size)
        self.ids, self.nlgeom, self.strain = (element, point), 1, np.nan  # DSTRAN is not read with NLGEOM
        self.pnewdt = -1.0 if turned else 1e36  # as CalculiX and Abaqus come

    def call(self, F, dt):
        """What the UMAT makes of an increment: stress, tangent, state, PNEWDT."""
        # The UMAT must not read what it need not: NaN would show.
        nan, stress, state = np.full(400, np.nan), self.stress.copy(), self.state.copy()
        tangent, factor, old = np.full((self.size, self.size), np.nan, order="F"), np.array([self.pnewdt]), self.F
        doubles = [stress, state, tangent, *[nan] * 8, np.full(6, self.strain), nan, np.array([dt]), *[nan] * 4]
        integers = [3, self.size - 3, self.size, len(self.state)]
        integer = [ctypes.byref(INT(value)) for value in integers]
        # Fortran's matrices lie column by column.
        start, end = (np.asfortranarray(one).ravel(order="F").copy() for one in (old, F))
        step = (INT * 4)(1, 1, self.nlgeom, 0)  # KSTEP
        rest = [ctypes.byref(value) for value in (*map(INT, (*self.ids, 1, 1)), step, INT(1))]
        self.umat(
            *(address(one) for one in doubles), b"GRAINS".ljust(80), *integer, address(self.props),
            ctypes.byref(INT(len(self.props))), address(nan), address(nan), address(factor), address(nan),
            address(start), address(end), *rest, ctypes.c_size_t(80),
        )  # fmt: skip
        return stress, tangent, state, factor[0]

    def step(self, F, dt):
        """The same, accepted."""
        stress, tangent, state, factor = self.call(F, dt)
        assert factor == self.pnewdt
        self.F, self.state, self.stress = F, state, stress
        return stress, tangent

    def stretch(self, increment, dt):
        """Tension along x: the other five strains of the increment are such that their stresses vanish.

        Newton's method with the tangent of the UMAT; returns how many rounds it took.
        """
        e = np.array([increment, -0.3 * increment, -0.3 * increment, 0, 0, 0])
        for rounds in range(1, 30):
            F = (np.eye(3) + tensor(e * [1, 1, 1, 0.5, 0.5, 0.5])) @ self.F
            stress, tangent, state, factor = self.call(F, dt)
            assert factor == self.pnewdt
            if np.abs(stress[1:]).max() < 1e-7:
                self.F, self.state, self.stress = F, state, stress
                return rounds
            e[1:] -= np.linalg.solve(tangent[1:, 1:], stress[1:])
        raise AssertionError("no equilibrium")
