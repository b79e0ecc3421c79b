/* One step of a grain, for programs that step grains themselves.
 *
 * Python: flow = propagator.compiled_step(); flow.function is the address of a skmerge_step, flow.address its model,
 * valid while ``flow`` lives. No Python is run, no memory allocated, nothing written but the results: threads may share a
 * model.
 */
#ifndef SKMERGE_STEPPING_H
#define SKMERGE_STEPPING_H

/* state, new_state, 9 doubles each, which may be the same:
 *   0     stress along the axis in MPa
 *   1     density in 1/m^2
 *   2..5  quaternion x, y, z, w, from crystal to sample
 *   6..8  loading axis in crystal coordinates where the path began, a unit vector: written by
 *         propagator.compiled_start(states), carried along unchanged. A model with memory_ takes its rates there.
 * tangent: d sigma / d eps in MPa, or NULL.
 * Returns flags: 1 outside the trained states, 2 strained in an untrained direction, 4 a step longer than any trained,
 * 16 lost: doubles 0 to 5 of the new state are NaN, since the state is far beyond what was trained. */
typedef int (*skmerge_step)(const void *model, const double state[9], double d_eps, double new_state[9],
                            double *tangent);

#endif
