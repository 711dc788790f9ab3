"""How long a list of operations will take: multiplications and numbers, by the rate of each kind of operation.

The rates were measured in WebAssembly, by tests/core/bench_network.c on networks of several packages, on one core of a
server of 2 GHz that multiplies and adds 15 times in a nanosecond. Other machines are faster or slower as a whole.
"""

import math

from pocket_diffusion.graph.ir import NORMS, Value, in_order, multiplications

# In a microsecond. Winograd's forms take fewer multiplications than are counted.
_WINOGRAD, _PRODUCTS, _TRANSPOSED = 46_000, 14_000, 10_000
_SCORES = 770  # of attention, each with its exponential
_SOFTMAX = 610  # queries and keys of linear attention, with the exponential of each, the sums and the quotients
_NORMED = {"group_norm": 345, "layer_norm": 790, "rms_norm": 790}
_NUMBERS = 500  # that pass through anything else


def _microseconds(value: Value) -> float:
    work, numbers = multiplications(value), math.prod(value.shape)
    if value.name == "conv":
        _, kh, kw, down, across = value.integers[:5]
        winograd = kh * kw > 1 and down == across == 1 and value.integers[10] == 1
        return work / (_WINOGRAD if winograd else _PRODUCTS)
    if value.name in ("linear", "matmul"):
        return work / _PRODUCTS
    if value.name == "linear_attention":
        exponentials = sum(math.prod(each.shape) for each in value.inputs[:2]) if value.integers[1] else 0
        return work / _PRODUCTS + exponentials / _SOFTMAX
    if value.name == "conv_transpose":
        return work / _TRANSPOSED
    if value.name == "attention":
        q, k = (each.shape for each in value.inputs[:2])
        return work / _PRODUCTS + math.prod(q[:-1]) * k[-2] * value.integers[0] / _SCORES
    if value.name in NORMS:
        return numbers / _NORMED[value.name]
    if value.name == "reduce":
        numbers = math.prod(value.inputs[0].shape)
    return numbers / _NUMBERS


def milliseconds(output: Value) -> dict[str, float]:
    """By kind of operation, of one evaluation for one image; what does not depend on x is computed beforehand."""
    times: dict[str, float] = {}
    of_x: set[int] = set()
    for value in in_order(output):
        if value.name == "x" or any(id(each) in of_x for each in value.inputs):
            of_x.add(id(value))
            times[value.name] = times.get(value.name, 0.0) + _microseconds(value) / 1000
    return times
