"""The activation g(u; C) = C u / (|u| + C), its derivatives, and the two older forms to compare it with."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._ext import activation as _loops

__all__ = ["activation", "activation_derivatives"]

_KINDS = ("saturating", "outside", "tanh")
# The precision each real type is computed in, by its one-letter code.
_PRECISION = dict.fromkeys("?bBhHiIlLqQd", np.dtype(np.float64)) | dict.fromkeys("ef", np.dtype(np.float32))
# One compiled loop for each precision, chosen here because the compiled module would search for it at every call.
_VALUE = {"f": _loops.saturating["float"], "d": _loops.saturating["double"]}
_SLOPES = {"f": _loops.saturating_derivatives["float"], "d": _loops.saturating_derivatives["double"]}


def activation(
    u: ArrayLike,
    C: ArrayLike = 1.0,
    *,
    kind: Literal["saturating", "outside", "tanh"] = "saturating",
    out: NDArray[Any] | None = None,
) -> Any:
    r"""Saturating activation with slope and plateau set by separate parameters.

    .. math:: g(u; C) = \frac{C u}{|u| + C} = \frac{u}{1 + k |u|}, \qquad k = 1 / C

    For :math:`|u| \ll C` it is the identity, for :math:`|u| \gg C` it is :math:`C \operatorname{sign} u`: whatever
    multiplies `u` sets the slope, `C` the plateau. It is once, not twice, continuously differentiable at 0.

    Parameters
    ----------
    u : array_like of real numbers, any shape
    C : array_like of real numbers, broadcasting with `u`, default=1.0
        Plateau: in [0, inf] for ``kind="saturating"``, finite and of any sign otherwise.
    kind : {"saturating", "outside", "tanh"}, default="saturating"
        "saturating" is :math:`g`; "outside" the older form :math:`C u / (|u| + 1)`, whose C sets slope and plateau
        together; "tanh" is :math:`C \tanh u`.
    out : ndarray, default=None
        Where to put the result; of the result's shape and dtype. It may be `u` itself.

    Returns
    -------
    ndarray or NumPy scalar, of the shape `u` and `C` broadcast to
        `out` if given. Half and single precision `u` give float32, everything else float64; `C` follows `u`.

    Raises
    ------
    ValueError
        `C` is outside its range, the shapes do not broadcast, `out` has another shape or is read-only, or there is
        no such `kind`.
    TypeError
        `u` or `C` is not real (complex, strings, objects, long double), or `out` is no array of the result's dtype.

    See Also
    --------
    activation_derivatives : The derivatives with respect to `u` and `C`.

    Notes
    -----
    The limits are exact: :math:`g(\pm\infty; C) = \pm C`, :math:`g(u; \infty) = u`, :math:`g(u; 0) = 0`, and
    :math:`|g| \le \min(|u|, C)` holds for the rounded values as well. NaN in `u` or `C` gives NaN. The error of
    "saturating" is at most 1.8 units in the last place (2.1 on processors without fused multiply-add).

    Examples
    --------
    >>> import numpy as np
    >>> from skmerge.activation import activation
    >>> activation([-np.inf, -2.0, 0.0, 2.0, np.inf], C=2.0)
    array([-2., -1.,  0.,  1.,  2.])
    """
    u, C, shape = _arguments(u, C, kind)
    if out is None:
        made = np.empty_like(u) if shape == u.shape else np.empty(shape, u.dtype)
    else:
        made = _checked_out(out, shape, u.dtype)
        if u is not out and np.may_share_memory(u, out):
            u = u.copy()
        if not C.ndim or np.may_share_memory(C, out):  # copying one number is faster than the check
            C = C.copy()
    if kind == "saturating":
        _fill(_VALUE[u.dtype.char], u, C, made)
    else:
        if kind == "outside":
            _fill(_VALUE[u.dtype.char], u, np.ones((), u.dtype), made)
        else:
            np.tanh(u, out=made)
        np.multiply(made, C, out=made)
    return made if made.ndim or out is not None else made[()]


def activation_derivatives(
    u: ArrayLike, C: ArrayLike = 1.0, *, kind: Literal["saturating", "outside", "tanh"] = "saturating"
) -> tuple[Any, Any]:
    r"""Derivatives of :func:`~skmerge.activation.activation` with respect to `u` and `C`.

    .. math::
        \frac{\partial g}{\partial u} = \frac{C^2}{(|u| + C)^2}, \qquad
        \frac{\partial g}{\partial C} = \frac{u |u|}{(|u| + C)^2}

    for ``kind="saturating"``; :math:`C / (|u| + 1)^2` and :math:`u / (|u| + 1)` for "outside";
    :math:`C / \cosh^2 u` and :math:`\tanh u` for "tanh".

    Parameters
    ----------
    u : array_like of real numbers, any shape
    C : array_like of real numbers, broadcasting with `u`, default=1.0
        In [0, inf] for ``kind="saturating"``, finite and of any sign otherwise.
    kind : {"saturating", "outside", "tanh"}, default="saturating"

    Returns
    -------
    dg_du, dg_dC : ndarrays or NumPy scalars, of the shape `u` and `C` broadcast to
        float32 for half and single precision `u`, float64 otherwise.

    Raises
    ------
    ValueError
        `C` is outside its range, the shapes do not broadcast, or there is no such `kind`.
    TypeError
        `u` or `C` is not real.

    Notes
    -----
    Where the quotients are undefined the derivatives of the limits are given: :math:`g(u; \infty) = u` has (1, 0)
    for every u, infinity included; :math:`g(u; 0) = 0` has 0 with respect to u, and :math:`g(0; C) = 0` has 0 with
    respect to C. At :math:`u = \pm\infty` with finite C they are 0 and :math:`\pm 1`. NaN gives NaN.

    Examples
    --------
    >>> from skmerge.activation import activation_derivatives
    >>> activation_derivatives([-3.0, 0.0, 1.0])
    (array([0.0625, 1.    , 0.25  ]), array([-0.5625,  0.    ,  0.25  ]))
    """
    u, C, shape = _arguments(u, C, kind)
    dg_du, dg_dC = np.empty(shape, u.dtype), np.empty(shape, u.dtype)
    if kind == "saturating":
        _fill(_SLOPES[u.dtype.char], u, C, dg_du, dg_dC)
    elif kind == "outside":
        _fill(_VALUE[u.dtype.char], u, np.ones((), u.dtype), dg_dC)
        root = 1 / (1 + np.abs(u))
        np.multiply(C * root, root, out=dg_du)  # squaring first would underflow where C is large
    else:
        np.tanh(u, out=dg_dC)
        e = np.exp(-2 * np.abs(u))  # 1 - tanh^2 would cancel, 1 / cosh^2 overflow
        np.multiply(C, 4 * e / (1 + e) ** 2, out=dg_du)
    return (dg_du, dg_dC) if dg_du.ndim else (dg_du[()], dg_dC[()])


def _arguments(u, C, kind):
    """u and C as native arrays of one precision, checked, and their broadcast shape."""
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {_KINDS}, got {kind!r}")
    u, C = _real(u, "u"), _real(C, "C")
    if kind != "saturating":
        if np.isinf(C).any():
            raise ValueError(f"C must be finite for kind={kind!r}, got an infinity; kind='saturating' allows it")
    elif (C < 0).any() if C.ndim else C.item() < 0:  # the second is faster
        raise ValueError(f"C must not be negative for kind='saturating', got {np.nanmin(C)}; give the plateau's size")
    dtype = _PRECISION[u.dtype.char]
    if u.dtype is not dtype:
        u = u.astype(dtype)
    if C.dtype is not dtype:
        with np.errstate(over="ignore"):  # a C beyond float32 is infinite there
            C = C.astype(dtype)
    if not C.ndim:
        return u, C, u.shape
    try:
        return u, C, np.broadcast_shapes(u.shape, C.shape)
    except ValueError:
        raise ValueError(
            f"u of shape {u.shape} and C of shape {C.shape} do not broadcast; "
            "give C as one number or with the shape of u's last axes"
        ) from None


def _real(x, name):
    x = np.asarray(x)
    if x.dtype.char not in _PRECISION:
        raise TypeError(f"{name} must hold real numbers, got dtype {x.dtype}; convert it with astype(float)")
    if not (x.ndim or x.flags.aligned):
        return x.copy()  # before NumPy 2.3, nditer does not read an unaligned scalar
    return x


def _checked_out(out, shape, dtype):
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}; make one with numpy.empty")
    if out.dtype != dtype:
        raise TypeError(f"out must have the result's dtype {dtype}, got {out.dtype}; make it so or convert u")
    if out.shape != shape:
        raise ValueError(f"out must have the result's shape {shape}, got {out.shape}; make it with numpy.empty")
    if not out.flags.writeable:
        raise ValueError("out must be writeable, got a read-only array; give a copy")
    return out


def _fill(loop, u, C, *outs):
    """Run a compiled loop: at once where u and the results have the same layout, otherwise piece by piece."""
    if _same_layout(u, outs[0]) and (not C.ndim or _same_layout(u, C)):  # two results have the same layout
        loop(*[x.ravel("K") for x in (u, C, *outs)])
        return
    pieces = np.nditer(
        [u, C, *outs],
        flags=["external_loop", "buffered", "zerosize_ok"],
        op_flags=[["readonly", "contig", "aligned"]] * 2 + [["writeonly", "contig", "aligned"]] * len(outs),
    )
    with pieces:
        for piece in pieces:
            loop(*piece)


def _same_layout(u, other):
    a, b = u.flags, other.flags
    rows, columns = a.c_contiguous and b.c_contiguous, a.f_contiguous and b.f_contiguous
    return u.shape == other.shape and (rows or columns) and a.aligned and b.aligned
