"""Data-parallel training with one code path for one process, CPUs (gloo) and GPUs (nccl)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

# Longest wait for another process: it may be evaluating, or at a last shard that takes long.
PATIENCE = timedelta(hours=1)


@contextmanager
def process_group() -> Iterator[torch.device]:
    """Join the group that torchrun announced, if any; yields this process's device."""
    cuda = torch.cuda.is_available()
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
        torch.backends.cudnn.allow_tf32 = False  # fp32 is that in convolutions, too
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield device
        return
    dist.init_process_group("nccl" if cuda else "gloo", timeout=PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()


def world_size() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, 0 for the one that writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def reduce(value: torch.Tensor, operation: str = "sum") -> torch.Tensor:
    """`value` summed (or `max`-ed) over all processes, in place."""
    if dist.is_initialized():
        dist.all_reduce(value, getattr(dist.ReduceOp, operation.upper()))
    return value


def share(count: int) -> np.ndarray:
    """Which of `count` rows this process works on: every world_size-th, int64 [⌈count / world⌉].

    All shares have the same size; the last rows may wrap around, and `gathered` drops them."""
    rows = np.arange(-(-count // world_size())) * world_size() + rank()
    return rows % count


def gathered(part: torch.Tensor, count: int) -> torch.Tensor:
    """Rows [count, …] that the processes made of their shares, each row once, on every process."""
    if not dist.is_initialized():
        return part
    parts = [torch.empty_like(part) for _ in range(world_size())]
    dist.all_gather(parts, part.contiguous())
    return torch.stack(parts, dim=1).flatten(0, 1)[:count]


def barrier() -> None:
    """Wait until every process is here."""
    if dist.is_initialized():
        dist.barrier()


def data_parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """Wrap a model so that gradients, and batch-norm statistics, are those of the whole batch."""
    if world_size() == 1:
        return model
    if device.type == "cuda":
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return nn.parallel.DistributedDataParallel(model, device_ids=[device])
    return nn.parallel.DistributedDataParallel(_shared_batch_norm(model))


class _SumOverProcesses(torch.autograd.Function):
    """All-reduce that gradients flow through: each process's loss depends on every input."""

    @staticmethod
    def forward(context, value: torch.Tensor) -> torch.Tensor:
        return reduce(value.clone())

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        return reduce(gradient.clone())


class _Shared:
    """Batch normalisation over the batches of all processes; torch's own runs on GPUs only.
    Statistics are in single precision, of differences from the mean: a channel may vary little
    about a large value."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:  # [n, C] or [n, C, h, w]
        if not self.training:
            return super().forward(inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            x = inputs.float()
            others = [i for i in range(x.dim()) if i != 1]
            along = (-1, *[1] * (x.dim() - 2))  # how a number per channel stands beside x
            mean = _SumOverProcesses.apply(x.mean(others)) / world_size()
            centred = x - mean.view(along)
            variance = _SumOverProcesses.apply(centred.square().mean(others)) / world_size()
            count = x.numel() / x.shape[1] * world_size()
            with torch.no_grad():
                self.num_batches_tracked += 1
                self.running_mean.lerp_(mean, self.momentum)
                self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            scale = self.weight * torch.rsqrt(variance + self.eps)
            return (centred * scale.view(along) + self.bias.view(along)).to(inputs)


class SharedBatchNorm1d(_Shared, nn.BatchNorm1d):
    """Of vectors [n, C]."""


class SharedBatchNorm2d(_Shared, nn.BatchNorm2d):
    """Of images [n, C, h, w]."""


SHARED = {nn.BatchNorm1d: SharedBatchNorm1d, nn.BatchNorm2d: SharedBatchNorm2d}


def _shared_batch_norm(model: nn.Module) -> nn.Module:
    """Replace every batch normalisation, keeping its parameters and buffers."""
    for module in model.modules():
        module.__class__ = SHARED.get(type(module), type(module))
    return model
