/* 100 grains under simple shear, without Python: grains MODEL; doc/finite_elements.md has the command to compile it. */
#include <stdio.h>

#include "grain_model.h"

int main(int count, char **arguments) {
    static double state[100 * SKMERGE_GRAIN_ROW], stress[100 * 6], tangent[100 * 36];
    const double L[9] = {0, 1e-3, 0, 0, 0, 0, 0, 0, 0}, dt = 2; /* dv_x/dy in 1/s; s */
    int flags[100], problem;
    skmerge_grain_law *law = skmerge_grain_open(count > 1 ? arguments[1] : NULL, &problem);
    if (!law) return fprintf(stderr, "%s\n", skmerge_grain_problem(problem)), 1;
    skmerge_grain_random(1, 100, 1e12, state);
    for (int step = 1; step <= 25; step++) {
        double mean = 0;
        if (skmerge_grain_steps(law, 100, L, 0, &dt, 0, state, stress, 6, tangent, flags)) return 1;
        for (int grain = 0; grain < 100; grain++) mean += stress[6 * grain + 5] / 100; /* xx, yy, zz, yz, xz, xy */
        printf("%.3f %.6f %.2f\n", 2e-3 * step, mean, skmerge_grain_time_factor(100, flags));
    }
    skmerge_grain_close(law);
    return 0;
}
