"""Constants of a crystal, checked, and the laws of the compiled modules that they make."""

from dataclasses import dataclass, fields
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skmerge._ext.grain_stepping import GrainLaw
from skmerge._lattice import STEP_TOL, AtPoints, deviator, slip_systems, tensors
from skmerge._orientation import unit_vector
from skmerge._parameters import check_word
from skmerge._text import warn

GAS_CONSTANT = 8.314462618  # J / (mol K)


@dataclass(frozen=True)
class Crystal:
    """Constants of a cubic crystal; the defaults are the elasticity of copper and a textbook-sized hardening.

    Parameters
    ----------
    C11, C12, C44 : float
        Elastic constants, GPa.
    slip_rate : float
        Slip rate gdot0 at a resolved shear stress equal to the slip resistance, 1/s.
    rate_exponent : float
        Exponent n >= 1 of the power law, no unit.
    tau0 : float
        Slip resistance without dislocations, or, with ``hardening="voce"``, at the start, MPa; above zero.
    forest_coefficient : float
        Coefficient a of Taylor's law, no unit.
    shear_modulus : float
        G of Taylor's law, GPa.
    burgers : float
        Length of the Burgers vector, nm.
    k1 : float
        Storage of dislocations, 1/m.
    k2 : float
        Recovery of dislocations, no unit.
    self_hardening, latent_hardening : float
        Factors by which slip on a system changes the density of the system itself and of the others. With both equal,
        all systems have the same density, and the law is that of one density and the slip of all systems. With "voce"
        read: the resistance.
    lattice : {"fcc", "bcc"} or pair of array-like of shape (n_systems, 3), default="fcc"
        Slip systems, as `slip_systems` takes them: "fcc" 12 systems {111}<110>; "bcc" 24, {110}<111> and {112}<111>;
        or normals of the planes and directions of up to 48 systems. Elasticity is cubic.
    hardening : {"kocks-mecking", "voce"}, default="kocks-mecking"
        Law of the slip resistance. "voce" reads ``tau_saturation`` and ``initial_hardening`` and neither
        ``forest_coefficient``, ``shear_modulus``, ``burgers``, ``k1`` nor ``k2``; "kocks-mecking" the other way round.
    tau_saturation : float
        Slip resistance that "voce" tends to, MPa; above ``tau0``.
    initial_hardening : float
        Slope of the slip resistance over the sum of all slip at the start, MPa; with "voce".
    back_storage : float
        Armstrong and Frederick's c, slope of the back stress of a system over its slip at the start, MPa.
    back_recovery : float
        Armstrong and Frederick's d, no unit; the back stress saturates at c / d. With ``back_storage`` 0 there is none.
    activation_energy : float
        Q of slip, kJ/mol. With 0 nothing depends on the temperature.
    temperature, reference_temperature : float
        T of the crystal and T0 at which ``slip_rate`` holds, K; above zero.

    Raises
    ------
    ValueError, TypeError
        If a constant is not a finite number or not physical.

    Notes
    -----
    Slip on system a, with its density rho_a and the interaction q of self (on the diagonal) and latent hardening::

        gdot_a = gdot0 |tau_a / g_a|^n sign(tau_a),   g_a = tau0 + a G b sqrt(rho_a),
        d rho_a = (k1 sqrt(rho_a) - k2 rho_a) sum_b q_ab |gdot_b| dt

    This is the power law of Hutchinson [1]_, the storage and recovery of Kocks and Mecking [2]_ and the latent
    hardening of Peirce, Asaro and Needleman [3]_. The density saturates at (k1 / k2)^2. Instead, Voce's law [4]_::

        d g_a = initial_hardening (1 - (g_a - tau0) / (tau_saturation - tau0)) sum_b q_ab |gdot_b| dt

    With a back stress chi_a [5]_, 0 at the start, tau_a - chi_a takes the place of tau_a::

        d chi_a = (back_storage gdot_a - back_recovery chi_a |gdot_a|) dt

    Temperature changes the slip rate by Arrhenius' factor, and nothing else: hardening and elastic constants stay::

        gdot0(T) = slip_rate exp(-Q / R (1 / T - 1 / T0))

    References
    ----------
    .. [1] J. W. Hutchinson, Proc. R. Soc. Lond. A 348, 101 (1976).
    .. [2] H. Mecking, U. F. Kocks, Acta Metall. 29, 1865 (1981).
    .. [3] D. Peirce, R. J. Asaro, A. Needleman, Acta Metall. 30, 1087 (1982).
    .. [4] E. Voce, J. Inst. Metals 74, 537 (1948).
    .. [5] C. O. Frederick, P. J. Armstrong, Mater. High Temp. 24, 1 (2007).

    Examples
    --------
    >>> from skmerge.crystal import Crystal
    >>> copper = Crystal()
    >>> round(copper.young_modulus([0, 0, 1]), 2), round(copper.young_modulus([1, 1, 1]), 2)
    (66.83, 192.1)
    >>> iron = Crystal(231.0, 135.0, 116.0, lattice="bcc", hardening="voce", tau0=20.0, tau_saturation=80.0)
    """

    C11: float = 168.9
    C12: float = 121.8
    C44: float = 75.8
    slip_rate: float = 1e-3
    rate_exponent: float = 20.0
    tau0: float = 8.0
    forest_coefficient: float = 0.3
    shear_modulus: float = 48.0
    burgers: float = 0.256
    k1: float = 1.30208e8
    k2: float = 4.11755
    self_hardening: float = 1.0
    latent_hardening: float = 1.0
    lattice: Any = "fcc"
    hardening: str = "kocks-mecking"
    tau_saturation: float = 60.0
    initial_hardening: float = 150.0
    back_storage: float = 0.0
    back_recovery: float = 0.0
    activation_energy: float = 0.0
    temperature: float = 293.15
    reference_temperature: float = 293.15

    def __post_init__(self) -> None:
        positive = ("C44", "slip_rate", "tau0", "forest_coefficient", "shear_modulus", "burgers")
        positive += "temperature", "reference_temperature"
        check_word("hardening", self.hardening, "kocks-mecking", "voce")
        normals, directions = slip_systems(self.lattice)
        if not isinstance(self.lattice, str):  # as numbers that cannot change, so that crystals can be compared
            object.__setattr__(
                self, "lattice", tuple(tuple(map(tuple, part.tolist())) for part in (normals, directions))
            )
        for field in fields(self):
            if field.name in ("lattice", "hardening"):
                continue
            value = getattr(self, field.name)
            if not isinstance(value, Real) or isinstance(value, bool):
                raise TypeError(f"{field.name} must be a number, got {value!r}; its unit is in the documentation.")
            if not np.isfinite(value):
                raise ValueError(f"{field.name} must be finite, got {value}.")
            if value < 0 and field.name != "C12":
                raise ValueError(f"{field.name} must not be negative, got {value}.")
            if value == 0 and field.name in positive:
                raise ValueError(f"{field.name} must be above zero, got {value}.")
        if not (self.C11 > self.C12 and self.C11 + 2 * self.C12 > 0):
            raise ValueError(
                f"C11 = {self.C11} and C12 = {self.C12} are unstable; give C11 > C12 and C11 + 2 C12 > 0, in GPa."
            )
        if self.rate_exponent < 1:
            raise ValueError(f"rate_exponent must be at least 1, got {self.rate_exponent}; metals have 10 and more.")
        if self.hardening == "voce" and self.tau_saturation <= self.tau0:
            raise ValueError(
                f"tau_saturation must be above tau0 = {self.tau0} MPa, got {self.tau_saturation}; for a resistance "
                "that does not change give initial_hardening=0."
            )
        if self.temperature < 50 or self.reference_temperature < 50:
            warn(f"temperature is {min(self.temperature, self.reference_temperature)} K; give K, not degrees Celsius.")
        if not 0 < self._slip_rate() < np.inf:
            raise ValueError(
                f"activation_energy = {self.activation_energy} kJ/mol makes the slip rate {self._slip_rate()} 1/s at "
                f"{self.temperature} K; give kJ/mol, some 100 to 400 for metals."
            )
        if self.C11 > 5000:
            warn(f"C11 = {self.C11} GPa is beyond any crystal; elastic constants are in GPa.")

    def resistance(self, rho: ArrayLike) -> Any:
        """Slip resistance tau0 + a G b sqrt(rho) in MPa, at densities rho of any shape in 1/m^2; not with "voce"."""
        if self.hardening == "voce":
            raise ValueError('hardening="voce" has no density; `simulate` returns the slip resistance in its place.')
        return self.tau0 + self._forest() * np.sqrt(rho)

    def young_modulus(self, direction: ArrayLike) -> float:
        """Young's modulus in GPa along a direction [uvw] of the crystal, array-like of shape (3,)."""
        n = unit_vector("direction", direction)
        N = deviator(np.outer(n, n))
        stiffness = np.repeat([self.C11 - self.C12, 2 * self.C44], [2, 3])
        return float(1 / (np.sum(N**2 / stiffness) + 1 / (3 * (self.C11 + 2 * self.C12))))

    def _slip_rate(self):
        """gdot0 at the temperature, 1/s."""
        change = 1 / self.temperature - 1 / self.reference_temperature
        with np.errstate(over="ignore"):
            return self.slip_rate * np.exp(-1e3 * self.activation_energy / GAS_CONSTANT * change)

    def _forest(self):
        """a G b in MPa m."""
        return self.forest_coefficient * self.shear_modulus * 1e3 * self.burgers * 1e-9

    @property
    def _is_adaptive(self):
        """Whether the adaptive method, one crystal at a time, knows the law."""
        return self.lattice == "fcc" and self.hardening == "kocks-mecking" and not self.back_storage

    @property
    def _n_systems(self):
        return {"fcc": 12, "bcc": 24}[self.lattice] if isinstance(self.lattice, str) else len(self.lattice[0])

    def _forest_of(self, rho0):
        """The variable s of hardening at the start, MPa: forest stress of densities, or 0 with Voce's law."""
        return np.zeros_like(rho0) if self.hardening == "voce" else self._forest() * np.sqrt(rho0)

    def _column_of(self, s):
        """What a state records of s (..., n_systems or 1): the mean density, 1/m^2, or the mean resistance, MPa."""
        mean = np.mean(s if self.hardening == "voce" else (s / self._forest()) ** 2, axis=-1)
        return self.tau0 + mean if self.hardening == "voce" else mean

    def _arrays(self, strain_rate):
        """The arrays that `SlipLaw` takes, by name: per unit of strain, stresses in MPa."""
        schmid, spin = tensors(*slip_systems(self.lattice))
        interaction = np.full((self._n_systems, self._n_systems), float(self.latent_hardening))
        np.fill_diagonal(interaction, self.self_hardening)
        stiffness = np.array([self.C11 - self.C12, 2 * self.C44, 3 * (self.C11 + 2 * self.C12)]) * 1e3
        if self.hardening == "voce":
            storage, recovery = self.initial_hardening, self.initial_hardening / (self.tau_saturation - self.tau0)
        else:
            storage, recovery = self._forest() * self.k1 / 2, self.k2 / 2
        flow = np.array([self.rate_exponent, self._slip_rate() / strain_rate, self.tau0, storage, recovery], float)
        arrays = {"schmid": schmid, "spin": spin, "interaction": interaction}
        return arrays | {"stiffness": stiffness, "flow": flow}

    def _grain_law(self, tol=np.inf, max_substeps=2**20, newton_tol=1e-2, lanes=0, shared=True):
        """The law of `grain_stepping`, its variable s being the forest stress, or g - tau0: of all systems, or of each.

        A back stress makes it one of each.
        """
        arrays, back = self._arrays(1.0), (0.0, 0.0)
        if self.back_storage:
            shared, back = False, (float(self.back_storage), float(self.back_recovery))
        flow, stiffness, q = arrays["flow"], arrays["stiffness"] / [1, 1, 9], arrays["interaction"]
        linear = np.array([flow[2], 1.0, *((self.self_hardening if shared else 1.0) * flow[3:])])
        halvings = min(int(np.log2(max_substeps)), 20)
        args = arrays["schmid"], arrays["spin"], stiffness, flow[:2].copy(), linear, None, None if shared else q
        return GrainLaw(*args, tol, newton_tol, halvings, lanes, back)

    def _at_points(self, tol):
        law = self._grain_law(STEP_TOL if tol is None else tol, shared=self.self_hardening == self.latent_hardening)
        own = self._n_systems if law.row > 12 else 1
        return AtPoints(law, own, self._forest_of, self._column_of, self.hardening != "voce")
