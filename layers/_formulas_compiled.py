"""Formulas of many passes for NumPy, compiled by Numba to one: float32 in, float32 out."""

import numpy as np
from numba import njit

from ._numba import options

HALF, ONE, THREE = np.float32(0.5), np.float32(1), np.float32(3)  # compiled code would make doubles of plain numbers

# Odd and even coefficients of the quotient of two polynomials that is tanh to within 3e-7 (from Eigen).
ODD = tuple(map(np.float32, (4.89352456e-03, 6.37261929e-04, 1.48572236e-05, 5.12229709e-08, -8.60467152e-11,
                             2.00018790e-13, -2.76076848e-16)))  # fmt: skip
EVEN = tuple(map(np.float32, (4.89352519e-03, 2.26843463e-03, 1.18534706e-04, 1.19825840e-06)))
EDGE = np.float32(10)  # where the quotient is past 1: it must end there, since GELU multiplies 1 - tanh by x**3

ROOT_2_OVER_PI = np.float32(np.sqrt(2 / np.pi))
CUBIC = np.float32(0.044715) * ROOT_2_OVER_PI


@njit(**options)
def tanh(x):
    x = min(max(x, -EDGE), EDGE)
    s = x * x
    odd = ODD[0] + s * (ODD[1] + s * (ODD[2] + s * (ODD[3] + s * (ODD[4] + s * (ODD[5] + s * ODD[6])))))
    quotient = x * odd / (EVEN[0] + s * (EVEN[1] + s * (EVEN[2] + s * EVEN[3])))
    return min(max(quotient, -ONE), ONE)


@njit(**options)
def sigmoid(z):
    return HALF + HALF * tanh(HALF * z)


@njit(**options)
def below_largest(scores):
    B, S, T = scores.shape
    largest = np.empty(T, scores.dtype)
    for b in range(B):
        largest[:] = -np.inf
        for s in range(S):
            for t in range(T):
                score = scores[b, s, t]
                largest[t] = score if score > largest[t] or score != score else largest[t]
        for t in range(T):
            if largest[t] == -np.inf:
                largest[t] = 0
        for s in range(S):
            for t in range(T):
                scores[b, s, t] -= largest[t]


@njit(**options)
def share(weights):
    B, S, T = weights.shape
    total = np.empty(T, weights.dtype)
    for b in range(B):
        total[:] = 0
        for s in range(S):
            for t in range(T):
                total[t] += weights[b, s, t]
        for t in range(T):
            total[t] = ONE / total[t] if total[t] != 0 else ONE
        for s in range(S):
            for t in range(T):
                weights[b, s, t] *= total[t]


@njit(**options)
def gelu_tanh(x, out):
    for k in range(len(x)):
        u = x[k] * (ROOT_2_OVER_PI + CUBIC * x[k] * x[k])
        out[k] = HALF * x[k] * (ONE + tanh(u))


@njit(**options)
def gelu_tanh_backward(x, dout, dx):
    for k in range(len(x)):
        square = CUBIC * x[k] * x[k]
        t = tanh(x[k] * (ROOT_2_OVER_PI + square))
        slope = x[k] * (ROOT_2_OVER_PI + THREE * square)  # x u'
        dx[k] = dout[k] * HALF * (ONE + t) * (ONE + (ONE - t) * slope)
