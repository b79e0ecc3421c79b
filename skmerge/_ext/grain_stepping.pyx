"""Steps of many grains at once, by the C functions of grain_step.h; shapes are checked here."""

from collections import namedtuple

import numpy as np

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport INFINITY, NAN
from libc.string cimport memcpy, memset

cdef extern from "grain_step.h" nogil:
    enum:
        MOST "SKMERGE_MOST_SYSTEMS"
        HARDENING_AT "SKMERGE_GRAIN_HARDENING"
        ORIENTATION_AT "SKMERGE_GRAIN_ORIENTATION"
        SLIP_AT "SKMERGE_GRAIN_SLIP"
        NOT_CONVERGED "SKMERGE_GRAIN_NOT_CONVERGED"
        NOT_FINITE "SKMERGE_GRAIN_NOT_FINITE"
        LINEAR "SKMERGE_LINEAR_HARDENING"
        TABLE "SKMERGE_TABLE_HARDENING"
    ctypedef struct CLaw "skmerge_grain_law":
        int systems, hardening, per_system, nodes, most_halvings, lanes, row
        double n, slip_rate, bulk, tau0, c, storage, recovery, first, width, newton_tol, tol
        double back_storage, back_recovery
        double root_c[5]
        double schmid[5][48]
        double spin[3][48]
        double interaction[48][48]
        const double *g
        const double *dg
        const double *k
        const double *dk
    const char *skmerge_grain_prepare(CLaw *law) noexcept
    int skmerge_grain_steps(const CLaw *law, Py_ssize_t n, const double *L, Py_ssize_t L_stride, const double *dt,
                            Py_ssize_t dt_stride, double *state, double *stress, Py_ssize_t stress_stride,
                            double *tangent, int *flags) noexcept
    void skmerge_grain_stress(const CLaw *law, Py_ssize_t n, const double *state, double *stress,
                              Py_ssize_t stress_stride) noexcept
    int skmerge_gradient_of(const double *F, const double *F_new, double dt, double *L) noexcept
    int skmerge_grain_lanes() noexcept

# Integrated grains: Cauchy stress (n, n_steps, 6), hardening variable (n, n_steps, 1 or n_systems), sum of all slip
# (n, n_steps), orientation (n, n_steps, 4), pieces of steps beyond one each (n,), and the step, counted from 1, in
# which a grain failed (n,), 0 if it did not.
Steps = namedtuple("Steps", "stress hardening slip orientation pieces failed", module=__name__)

cdef enum:
    BLOCK = 128  # grains that are taken through all steps together: they stay in the cache
    SIGNALS = 4096  # steps of grains between checks for Ctrl-C, some 5 ms


cdef class GrainLaw:
    """Constants of a crystal, checked and kept in C; never stored. Stresses in MPa, rates in 1/s.

    Parameters
    ----------
    schmid : (5, n_systems), symmetric part of direction x normal, in the basis of deviators
    spin : (3, n_systems), half of the vector product of direction and normal
    stiffness : (3,), C11 - C12, 2 C44, bulk modulus
    flow : (2,), n, slip rate at the slip resistance
    linear : (4,), tau0, c, storage, recovery: g = tau0 + c s, ds = (storage - recovery s) dGamma
    table : (2 + 4 n_nodes,), or None: first s, distance of nodes; g, dg/ds, k = ds/dGamma, dk/ds, one after the other.
        Then ``linear`` is None.
    interaction : (n_systems, n_systems), or None: each system has its own s, which the slip of b changes on a as
        interaction[a, b]; with None one s is that of all systems.
    tol : greatest estimate of the error of a step, of tau / g and in rad
    newton_tol : of n times the change of tau / g
    most_halvings : of a step that fails or errs more
    lanes : grains of one vector; 0 for the most
    back : storage and recovery of back stress, with ``interaction``
    """

    cdef CLaw law
    cdef double[::1] nodes  # what the pointers of the law point to

    def __init__(self, const double[:, ::1] schmid, const double[:, ::1] spin, const double[::1] stiffness,
                 const double[::1] flow, const double[::1] linear, const double[::1] table,
                 const double[:, ::1] interaction=None, double tol=INFINITY, double newton_tol=1e-2,
                 int most_halvings=20, int lanes=0, back=(0.0, 0.0)):
        cdef int a, i, n_nodes, n_systems = <int> schmid.shape[1]
        cdef CLaw law
        cdef double[::1] nodes = None
        if not (schmid.shape[0] == 5 and 1 <= schmid.shape[1] <= MOST and np.shape(spin) == (3, schmid.shape[1])
                and stiffness.shape[0] == 3 and flow.shape[0] == 2 and (linear is None) != (table is None)
                and (linear is None or linear.shape[0] == 4)
                and (table is None or (table.shape[0] >= 10 and table.shape[0] % 4 == 2))
                and (interaction is None or np.shape(interaction) == (schmid.shape[1], schmid.shape[1]))):
            raise ValueError(f"the arrays of the law must be (5, n_systems) of 1 to {MOST} systems, (3, n_systems), "
                             "(3,), (2,), either (4,) or (2 + 4 n_nodes,), and (n_systems, n_systems).")
        memset(&law, 0, sizeof(law))
        law.systems = n_systems
        if interaction is not None:
            law.per_system = 1
            for a in range(n_systems):
                memcpy(law.interaction[a], &interaction[a, 0], n_systems * sizeof(double))
        for a in range(n_systems):
            for i in range(5):
                law.schmid[i][a] = schmid[i, a]
            for i in range(3):
                law.spin[i][a] = spin[i, a]
        for i in range(5):
            law.root_c[i] = np.sqrt(stiffness[0] if i < 2 else stiffness[1])
        law.bulk, law.n, law.slip_rate = stiffness[2], flow[0], flow[1]
        if table is None:
            law.hardening = LINEAR
            law.tau0, law.c, law.storage, law.recovery = linear[0], linear[1], linear[2], linear[3]
        else:
            law.hardening = TABLE
            nodes = np.array(table)
            n_nodes = <int> ((table.shape[0] - 2) // 4)
            law.nodes, law.first, law.width = n_nodes, table[0], table[1]
            law.g, law.dg = &nodes[2], &nodes[2 + n_nodes]
            law.k, law.dk = &nodes[2 + 2 * n_nodes], &nodes[2 + 3 * n_nodes]
        law.tol, law.newton_tol, law.most_halvings, law.lanes = tol, newton_tol, most_halvings, lanes
        law.back_storage, law.back_recovery = back
        cdef const char *wrong = skmerge_grain_prepare(&law)
        if wrong != NULL:
            raise ValueError(f"the law of the grains has a value out of range: {wrong.decode()}.")
        self.nodes, self.law = nodes, law

    @property
    def address(self):
        """Of the skmerge_grain_law, for C; valid while this object lives."""
        return <size_t> &self.law

    @property
    def row(self):
        """Numbers of a state: 5 of stress, quaternion, mean stress, slip, s (one or each), back stress, if any."""
        return self.law.row

    def step(self, const double[:, :, ::1] L, const double[::1] dt, double[:, ::1] state, bint with_tangent=False):
        """Step grains by velocity gradients (n or 1, 3, 3) in 1/s and times (n or 1,) in s; ``state`` (n, row) changes.

        Return stress (n, 6), flags (n,) and the tangent (n, 6, 6) or None.
        """
        cdef Py_ssize_t n = state.shape[0]
        if not (L.shape[0] in (1, n) and L.shape[1] == L.shape[2] == 3 and dt.shape[0] in (1, n)
                and state.shape[1] == self.law.row):
            raise ValueError(f"L, dt and state must be (n or 1, 3, 3), (n or 1,) and (n, {self.law.row}).")
        stress, flags = np.empty((n, 6)), np.empty(n, np.int32)
        tangent = np.empty((n, 6, 6)) if with_tangent else None
        cdef double[:, ::1] stress_of = stress
        cdef int[::1] flags_of = flags
        cdef double[:, :, ::1] tangent_of = tangent
        cdef double *tangent_at = NULL
        if n:
            if with_tangent:
                tangent_at = &tangent_of[0, 0, 0]
            with nogil:
                skmerge_grain_steps(&self.law, n, &L[0, 0, 0], 9 if L.shape[0] > 1 else 0, &dt[0],
                                    1 if dt.shape[0] > 1 else 0, &state[0, 0], &stress_of[0, 0], 6, tangent_at,
                                    &flags_of[0])
        return stress, flags, tangent

    def stress(self, const double[:, ::1] state):
        """Cauchy stress (n, 6) of states (n, row)."""
        cdef Py_ssize_t n = state.shape[0]
        if state.shape[1] != self.law.row:
            raise ValueError(f"state must be (n, {self.law.row}).")
        cdef double[:, ::1] stress = np.empty((n, 6))
        if n:
            skmerge_grain_stress(&self.law, n, &state[0, 0], &stress[0, 0], 6)
        return np.asarray(stress)

    def integrate(self, double[:, ::1] state, const double[:, ::1] time, const double[:, :, :, ::1] gradient,
                  const int[::1] cancelled):
        """Integrate grains from ``state`` (n, row), which changes, one step for each record.

        Times (n or 1, n_steps) in s do not fall, velocity gradients are (n or 1, n_steps - 1, 3, 3), cancelled (1,) is
        not 0 to stop. A grain that fails has NaN from there on. Return Steps.
        """
        cdef Py_ssize_t n = state.shape[0], n_steps = time.shape[1], r, t, i, first = 0, count, since_check = 0
        cdef bint own_time, own_gradient
        cdef double[BLOCK] dt
        cdef int[BLOCK] flags
        cdef const double *L
        if not (state.shape[1] == self.law.row and time.shape[0] in (1, n) and n_steps and gradient.shape[0] in (1, n)
                and np.shape(gradient)[1:] == (n_steps - 1, 3, 3) and cancelled.shape[0] == 1):
            raise ValueError("state, time, gradient and cancelled do not fit together.")
        cdef double[:, :, ::1] stress = np.empty((n, n_steps, 6)), orientation = np.empty((n, n_steps, 4))
        cdef int own = self.law.row - HARDENING_AT
        cdef double[:, :, ::1] hardening = np.empty((n, n_steps, own))
        cdef double[:, ::1] slip = np.empty((n, n_steps))
        cdef int[::1] pieces = np.zeros(n, np.int32), failed = np.zeros(n, np.int32)
        own_time, own_gradient = time.shape[0] > 1, gradient.shape[0] > 1
        with nogil:
            while first < n and not cancelled[0]:
                count = min(<Py_ssize_t> BLOCK, n - first)
                for t in range(n_steps):
                    if cancelled[0]:
                        break
                    if t == 0:
                        skmerge_grain_stress(&self.law, count, &state[first, 0], &stress[first, 0, 0], 6 * n_steps)
                    else:
                        for i in range(count):
                            r = first + i if own_time else 0
                            dt[i] = time[r, t] - time[r, t - 1]
                        L = &gradient[first if own_gradient else 0, t - 1, 0, 0]
                        skmerge_grain_steps(&self.law, count, L, 9 * (n_steps - 1) if own_gradient else 0, dt, 1,
                                            &state[first, 0], &stress[first, t, 0], 6 * n_steps, NULL, flags)
                    for i in range(count):
                        r = first + i
                        if t and not failed[r]:
                            pieces[r] += flags[i] >> 16
                            if flags[i] & (NOT_CONVERGED | NOT_FINITE):
                                failed[r] = <int> t
                        if failed[r]:
                            stress[r, t, :] = NAN
                            orientation[r, t, :] = NAN
                            hardening[r, t, :] = NAN
                            slip[r, t] = NAN
                            continue
                        memcpy(&hardening[r, t, 0], &state[r, HARDENING_AT], own * sizeof(double))
                        slip[r, t] = state[r, SLIP_AT]
                        memcpy(&orientation[r, t, 0], &state[r, ORIENTATION_AT], 4 * sizeof(double))
                    since_check += count
                    if since_check >= SIGNALS:
                        since_check = 0
                        with gil:
                            PyErr_CheckSignals()
                first += BLOCK
        return Steps(*map(np.asarray, (stress, hardening, slip, orientation, pieces, failed)))


def gradient_of(const double[:, :, ::1] F, const double[:, :, ::1] F_new, const double[::1] dt):
    """Velocity gradients (n, 3, 3) of steps from F to F_new (n, 3, 3) in times dt (n,)."""
    cdef Py_ssize_t n = F.shape[0], r
    if not (np.shape(F) == np.shape(F_new) == (n, 3, 3) and dt.shape[0] == n):
        raise ValueError("F, F_new and dt must be (n, 3, 3), (n, 3, 3) and (n,).")
    cdef double[:, :, ::1] L = np.empty((n, 3, 3))
    for r in range(n):
        if skmerge_gradient_of(&F[r, 0, 0], &F_new[r, 0, 0], dt[r], &L[r, 0, 0]):
            raise ValueError(f"F of grain {r} has no positive determinant, or dt is not positive.")
    return np.asarray(L)


def most_lanes():
    """Grains of one vector on this machine."""
    return skmerge_grain_lanes()
