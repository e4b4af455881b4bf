"""The precision that a training computes in. Weights, optimiser and scores are in fp32 always."""

from contextlib import AbstractContextManager, nullcontext

import torch


def resolved(precision: str, device: torch.device) -> str:
    """`fp32` or `bf16`, from a recipe's setting.

    bf16: on CUDA; a CPU computes in fp32. auto: bf16 where the device has it in hardware, also a
    CPU, else fp32. So the result depends on the device, and training.json says what it was.
    """
    if precision == "auto":
        return "bf16" if _in_hardware(device) else "fp32"
    return "bf16" if precision == "bf16" and device.type == "cuda" else "fp32"


def _in_hardware(device: torch.device) -> bool:
    """Whether bf16 is no emulation: by AVX-512 or AMX on a CPU, since Ampere on CUDA."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    known = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # of torch.cpu, since 2.6
    return any(getattr(torch.cpu, name, bool)() for name in known)


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Where a forward pass computes in a precision that `resolved` gave."""
    if precision == "bf16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
