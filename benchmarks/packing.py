"""Several runs in one process: would their models, trained side by side, need less time?"""

import copy

import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from cases import case
from comparing import Bench, benchmark

MODELS = 4
REASON = (
    "With so little to gain from sharing its kernels' overhead, a run stays a process of its own, "
    "which can be killed, resumed and scheduled alone."
)


@benchmark("packing", "packing")
def packing(bench: Bench) -> None:
    """Loss and gradients of a batch for models of several seeds."""
    # Without the batch norms of the convolutional stem, whose statistics vmap cannot update.
    of = case(bench, "vision_transformer", experiment={"training": {"model": {"stem": "patch"}}})
    size = of.run["training"]["batch_size"]
    models = [copy.deepcopy(of.task.model) for _ in range(MODELS)]
    for number, model in enumerate(models):
        model.load_state_dict({k: v * (1 + number / 10) for k, v in model.state_dict().items()})
    parameters, buffers = stack_module_state(models)
    batches = [of.task.batch(i * size, (i + 1) * size) for i in range(MODELS)]
    stacked = [torch.stack([getattr(b, k) for b in batches]) for k in ("inputs", "targets")]

    def loss(parameters, buffers, images, targets):
        logits = functional_call(of.task.model, (parameters, buffers), (images,))
        return torch.nn.functional.cross_entropy(logits, targets)

    packed = vmap(grad(loss))

    def together():
        return packed(parameters, buffers, *stacked)

    def one_by_one():
        found = []
        for model, batch in zip(models, batches, strict=True):
            model.zero_grad()
            torch.nn.functional.cross_entropy(model(batch.inputs), batch.targets).backward()
            found.append({n: p.grad.clone() for n, p in model.named_parameters()})
        return found

    def same(ours, theirs):
        for number, gradients in enumerate(theirs):
            for name, gradient in gradients.items():
                torch.testing.assert_close(ours[name][number], gradient, rtol=1e-3, atol=1e-5)

    bench.compare(
        f"vision transformer: loss and gradients of {MODELS} models at once (vmap)",
        "of one after the other",
        together,
        one_by_one,
        check=same,
        amount=MODELS * size,
        unit="images",
        note="Runs are packed only if this is at least 2.",
        reason=REASON,
    )
