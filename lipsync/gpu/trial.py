"""Does a card compute rightly, and how quickly: products of square matrices in every precision.

Each precision multiplies the same two matrices of standard normal numbers, rounded to it, and
the last product of each batch is compared with the float64 one, whose first rows the processor
computes again.
The error of a product is its largest deviation over the reference's root mean square: single
entries may be near zero, so an entry's own size would be no measure.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

from lipsync.device import precisions, require_memory
from lipsync.errors import InputError

Precision = Literal["float64", "float32", "tf32", "float16", "bfloat16"]

_DTYPES: dict[Precision, torch.dtype] = {
    "float64": torch.float64,
    "float32": torch.float32,
    "tf32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
_TF32_ROUNDING = 2.0**-11  # of a number's size; the others' follow from their dtype
_TENSOR_SINCE = (8, 0)  # first capability with tf32
_TIMED_SECONDS = 0.02  # at least so long are the products that one reading of the clock covers
_MOST_AT_ONCE = 1000  # products in a batch
_CHECKED_ROWS = 8
# Rounding two factors and their sum, the worst of millions of entries: 5 roundings measured.
_ROUNDINGS = 16.0
# Adding up K products rounds on the way: below √K roundings measured.
_ROUNDINGS_OF_SUM = 4.0


@dataclass(frozen=True)
class Trial:
    """What one precision did on one device."""

    precision: Precision
    rate: float  # TFLOP/s, the median
    error: float  # largest of the products looked at; NaN where one held no number
    allowed: float

    @property
    def is_right(self) -> bool:
        return self.error <= self.allowed  # False for NaN


def list_precisions(device: torch.device) -> tuple[Precision, ...]:
    """Return what can be tried on `device`, float64 first."""
    if device.type != "cuda":
        return ("float64", "float32", "bfloat16")  # in float16 it takes minutes
    capability = torch.cuda.get_device_capability(device)
    offered = {"float64", *precisions(capability)}
    if capability >= _TENSOR_SINCE and torch.version.hip is None:
        offered.add("tf32")
    return tuple(precision for precision in _DTYPES if precision in offered)


def allowed_error(precision: Precision, size: int) -> float:
    """Return the error up to which products of (size, size) matrices pass for right."""
    dtype = _DTYPES[precision]
    rounding = torch.finfo(dtype).eps / 2
    adding = rounding if precision == "float64" else torch.finfo(torch.float32).eps / 2
    if precision == "tf32":
        rounding = _TF32_ROUNDING
    return _ROUNDINGS * rounding + _ROUNDINGS_OF_SUM * math.sqrt(size) * adding


def measure_error(product: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the largest deviation of `product` over the root mean square of `reference`.

    Both (rows, columns) on one device, `reference` in float64; NaN if anything is no number.
    """
    deviation = (product.double() - reference).abs().max()
    return float(deviation / reference.square().mean().sqrt())


def try_device(
    device: torch.device,
    size: int = 4096,
    seconds: float = 1.0,
    multiply: Callable[..., torch.Tensor] = torch.matmul,
) -> Iterator[Trial]:
    """Multiply (size, size) matrices in each precision for about `seconds`; yield what came out.

    `multiply` takes two matrices and ``out``. Raises InputError where the memory does not
    suffice, or the device gives up in the middle.
    """
    require_memory(f"Multiplying matrices of {size} × {size}", 8 * 8 * size * size, device)
    try:
        factors = _draw_factors(device, size)
        for precision in list_precisions(device):
            with _tensor_cores(precision == "tf32"):
                yield _try_precision(precision, factors, seconds, multiply)
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"The memory of {device} does not suffice for matrices of {size} × {size};"
            " choose a smaller size, or close other programs that use the card."
        ) from error
    except RuntimeError as error:
        if device.type != "cuda":
            raise
        raise InputError(
            f"{device} gave up while it computed ({str(error).splitlines()[0]});"
            " restart the computer, and have the card looked at if that does not help."
        ) from error


@dataclass(frozen=True)
class _Factors:
    left: torch.Tensor  # (K, K) float64, as all of them
    right: torch.Tensor
    reference: torch.Tensor  # their product
    reference_error: float  # found by the processor in a few rows


def _draw_factors(device: torch.device, size: int) -> _Factors:
    drawn = torch.Generator(device).manual_seed(size)
    left, right = (
        torch.randn(size, size, dtype=torch.float64, device=device, generator=drawn)
        for _ in range(2)
    )
    reference = left @ right
    rows = left[:_CHECKED_ROWS].cpu() @ right.cpu()
    return _Factors(left, right, reference, measure_error(reference[:_CHECKED_ROWS].cpu(), rows))


def _try_precision(
    precision: Precision,
    factors: _Factors,
    seconds: float,
    multiply: Callable[..., torch.Tensor],
) -> Trial:
    dtype, size = _DTYPES[precision], len(factors.left)
    left, right = factors.left.to(dtype), factors.right.to(dtype)
    product = torch.empty_like(left)

    def run(count: int) -> float:
        product.fill_(math.nan)  # so that nothing old passes for a product
        return _time(
            lambda: [multiply(left, right, out=product) for _ in range(count)], left.device
        )

    run(1)  # the first one sets things up
    at_once = min(_MOST_AT_ONCE, 1 + int(_TIMED_SECONDS / max(run(1), 1e-9)))
    errors = [measure_error(product, factors.reference)]
    if precision == "float64":
        errors.append(factors.reference_error)
    rates: list[float] = []
    until = time.monotonic() + seconds
    while not rates or time.monotonic() < until:
        spent = run(at_once)
        rates.append(at_once * 2 * size**3 / spent / 1e12)
        errors.append(measure_error(product, factors.reference))
    worst = math.nan if any(map(math.isnan, errors)) else max(errors)
    return Trial(precision, statistics.median(rates), worst, allowed_error(precision, size))


def _time(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds that `work` took on `device`."""
    if device.type == "cuda":
        with torch.cuda.device(device):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            work()
            end.record()
            end.synchronize()
            return begin.elapsed_time(end) / 1000
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@contextmanager
def _tensor_cores(wanted: bool) -> Iterator[None]:
    """Let float32 products use tf32 within the block, or forbid it."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if wanted else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
