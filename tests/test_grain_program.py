"""The step of many grains from a program in C, without Python."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skmerge
from skmerge._ext.grain_stepping import GrainLaw, gradient_of

PROGRAM = r"""
#include <stdio.h>
#include "grain_step.h"

int main(void) {
    static skmerge_grain_law law;
    double state[12] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 3}, stress[6], tangent[36], dt = 2.0;
    const double F[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, F_new[9] = {1.002, 0.001, 0, 0, 0.999, 0, 0, 0, 0.999};
    double L[9], more[3] = {0.3, 0.2, 0.1};
    int flags;
    law.systems = 7, law.n = 20, law.slip_rate = 1e-3, law.bulk = 1.4e5;
    law.tau0 = 8, law.c = 1, law.storage = 200, law.recovery = 2;
    law.newton_tol = 1e-6, law.tol = 0.1, law.most_halvings = 20;
    for (int i = 0; i < 5; i++) law.root_c[i] = i < 2 ? 300 : 400, law.schmid[i][i] = 0.5, law.schmid[i][5] = 0.2;
    law.schmid[0][6] = 0.3;
    for (int i = 0; i < 3; i++) law.spin[i][i] = more[i];
    if (skmerge_grain_prepare(&law) || skmerge_gradient_of(F, F_new, dt, L)) return 1;
    if (skmerge_grain_steps(&law, 1, L, 9, &dt, 1, state, stress, 6, tangent, &flags)) return 2;
    for (int i = 0; i < 12; i++) printf("%.17g ", state[i]);
    for (int i = 0; i < 6; i++) printf("%.17g ", stress[i]);
    for (int i = 0; i < 36; i++) printf("%.17g ", tangent[i]);
    law.systems = 0;
    printf("%s\n", skmerge_grain_prepare(&law));
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
@pytest.mark.parametrize("plain", [[], ["-DSKMERGE_PLAIN"]], ids=["vectors", "plain"])
def test_a_program_in_c(tmp_path, plain):
    """The installed sources alone, compiled by one command, also as by a compiler without vectors."""
    (tmp_path / "program.c").write_text(PROGRAM)
    sources = Path(skmerge.__file__).parent / "_ext"
    command = [
        "cc",
        "-O1",
        "-std=c11",
        f"-I{sources}",
        *plain,
        "program.c",
        str(sources / "grain_step.c"),
        "-lm",
        "-oprogram",
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    *numbers, wrong = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True).stdout.split()
    assert wrong == "systems"

    schmid, spin = np.zeros((5, 7)), np.zeros((3, 7))
    schmid[range(5), range(5)], schmid[:, 5], schmid[0, 6], spin[range(3), range(3)] = 0.5, 0.2, 0.3, [0.3, 0.2, 0.1]
    state = np.zeros((1, 12))
    state[0, 8], state[0, 11] = 1, 3
    F = np.array([[[1.002, 0.001, 0], [0, 0.999, 0], [0, 0, 0.999]]])
    L = gradient_of(np.eye(3)[None], F, np.array([2.0]))
    a = np.array([20.0, 1e-3]), np.array([8.0, 1.0, 200.0, 2.0])
    law = GrainLaw(schmid, spin, np.array([9e4, 16e4, 1.4e5]), *a, None, None, 0.1, 1e-6)
    stress, _, tangent = law.step(L, np.array([2.0]), state, True)
    assert_allclose(
        np.array(numbers, float), np.concatenate([state[0], stress[0], tangent.ravel()]), rtol=1e-6, atol=1e-6
    )
