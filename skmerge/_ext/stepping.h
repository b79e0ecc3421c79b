/* One step of a grain, for programs that step grains themselves.
 *
 * Python: flow = propagator.compiled_step(); flow.function is the address of a skmerge_step, flow.address its model,
 * valid while ``flow`` lives. No Python is run, no memory allocated, nothing written but the results: threads may share a
 * model.
 */
#ifndef SKMERGE_STEPPING_H
#define SKMERGE_STEPPING_H

/* state, new_state: stress in MPa, density in 1/m^2, quaternion x, y, z, w from crystal to sample.
 * tangent: d sigma / d eps in MPa, or NULL.
 * Returns flags: 1 outside the trained states, 2 strained in an untrained direction, 4 a step longer than any trained. */
typedef int (*skmerge_step)(const void *model, const double state[6], double d_eps, double new_state[6],
                            double *tangent);

#endif
