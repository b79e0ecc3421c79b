"""The list of compiled extensions; everything else stands in pyproject.toml."""

import os
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

DEBUG = bool(os.environ.get("SKMERGE_DEBUG"))  # bounds checks
SANITIZE = os.environ.get("SKMERGE_SANITIZE")  # what gcc's -fsanitize takes, such as address,undefined

# errno and traps would keep the loops from being vectorised; NaN and infinity stay exact.
# Debugging symbols, which CPython's own flags ask for, are five sixths of a wheel.
FLAGS = ["/O2"] if os.name == "nt" else ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"]
LINK = []
C_SOURCES = {"grain_stepping": ["skmerge/_ext/grain_step.c"]}  # written, not generated
if (DEBUG or SANITIZE) and os.name != "nt":
    FLAGS += ["-O1", "-g"]
if SANITIZE:
    LINK = [f"-fsanitize={SANITIZE}"]
    FLAGS += [*LINK, "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]

setup(
    ext_modules=cythonize(
        [
            Extension(
                f"skmerge._ext.{name}",
                [f"skmerge/_ext/{name}.pyx", *C_SOURCES.get(name, ())],
                depends=["skmerge/_ext/simd.h", *glob("skmerge/_ext/grain_*.h")],
                extra_compile_args=FLAGS,
                extra_link_args=LINK,
            )
            for name in (
                *("activation", "net_kernel", "net_solver", "crystal_law", "crystal_slip", "crystal_stepping"),
                "grain_stepping",
                *("tree_leaf", "tree_splitting", "tree_growing", "tree_traversal"),
            )
        ],
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": DEBUG,
            "freethreading_compatible": True,
        },
    ),
    options={"build_ext": {"parallel": True}},
)
