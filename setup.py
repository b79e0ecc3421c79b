"""The list of compiled extensions; everything else stands in pyproject.toml."""

import os

from setuptools import Extension, setup

DEBUG = bool(os.environ.get("SKMERGE_DEBUG"))  # bounds checks, for the developers' tests
MSVC = os.name == "nt"

setup(
    ext_modules=[
        Extension(
            f"skmerge._ext.{name}",
            [f"skmerge/_ext/{name}.pyx"],
            depends=["skmerge/_ext/simd.h"],
            # errno and traps would keep the loops from being vectorised; NaN and infinity stay exact.
            extra_compile_args=["/O2"] if MSVC else ["-O3", "-fno-math-errno", "-fno-trapping-math"],
            cython_directives={
                "language_level": 3,
                "boundscheck": DEBUG,
                "wraparound": False,
                "cdivision": True,
                "initializedcheck": DEBUG,
                "freethreading_compatible": True,
            },
        )
        for name in ("activation", "kernel", "solver")
    ]
)
