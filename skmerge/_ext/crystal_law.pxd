# The law of a crystal in energy coordinates (doc/crystal.md): slip, storage, spin, and its implicit equation.

cdef enum:
    SYSTEMS = 12

cdef struct Law:
    double schmid[5][SYSTEMS]  # deviatoric basis x systems
    double spin[3][SYSTEMS]  # rotation of the lattice per slip
    double interaction[SYSTEMS][SYSTEMS]
    double root_c[5]  # square roots of the elastic constants in that basis
    double hydrostatic  # 3 (C11 + 2 C12)
    double n
    double slip_rate  # gdot0 per unit of strain rate
    double tau0
    double storage, recovery  # df = (storage - recovery f) per slip
    double axis[3]
    double D[9]  # rate of strain and spin vector, in the sample, per length of the path; of any velocity gradient
    double spin_vector[3]
    int k  # coordinates of stress: 1 uniaxial, 5 where the whole velocity gradient is given
    int is_any  # whether it is D and spin_vector, not that of the axis

cdef struct Grain:
    double u[5]
    double f[SYSTEMS]  # forest stress, a G b sqrt(rho)
    double q[4]  # crystal to sample: x, y, z, w
    double slip  # of all systems, so far

cdef struct Frame:
    # Quantities that depend on the orientation.
    double n[3]  # loading axis in the lattice
    double N[5]  # deviator of axis x axis in the lattice
    double P[5][SYSTEMS]
    double d[5]
    double root_E
    double spin[3]  # given spin, in the lattice

cdef struct Rates:
    double slip[SYSTEMS]
    double u[5]  # of what is implicit
    double turned[5]  # of the strain that the plastic spin turns, explicit
    double f[SYSTEMS]
    double q[4]


cdef void constant_frame(const Law *law, Frame *frame) noexcept nogil

cdef void set_frame(const Law *law, const double *q, double sign, Frame *frame) noexcept nogil

cdef double set_gradient(Law *law, const double *L, double slip_rate) noexcept nogil

cdef void resolved(int k, const double *P, const double *u, double *tau) noexcept nogil

cdef void rates_of(const Law *law, const Frame *frame, const Grain *grain, Rates *rates) noexcept nogil

cdef void slow_rates(const Law *law, const Frame *frame, const double *u, const double *f, const double *q,
                     Rates *rates) noexcept nogil

cdef void linearise(const Law *law, const Frame *frame, const double *f, const double *r, double h, const double *u,
                    const double *tau, double *rate, double *residual, double *J) noexcept nogil

cdef int solve(const Law *law, const Frame *frame, const double *f, const double *r, double h, double *u, double *rate,
               double *J) noexcept nogil

cdef void substitute(int k, const double *J, double *x) noexcept nogil

cdef double stress_of(const Law *law, const Grain *grain, Frame *frame) noexcept nogil

cdef void deviator_of(const Law *law, const Grain *grain, double *out) noexcept nogil
