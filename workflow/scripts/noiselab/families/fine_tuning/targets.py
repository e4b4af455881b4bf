"""What a task asks of a fine-tuned model: one of several classes, or a number.

    class    cross-entropy; SMART keeps the symmetric divergence of probabilities small
    number   squared error of the only output; SMART keeps the squared difference of outputs small,
             as its authors do for regression (Jiang et al. 2020, arXiv 1911.03437, Section 3.1)

Local gradient matching needs the derivative of either loss with respect to the outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sklearn.metrics import matthews_corrcoef
from torch import Tensor
from torch.nn.functional import cross_entropy, mse_loss, one_hot

from noiselab.data.kinds import is_numeric
from noiselab.families.fine_tuning.regularisers import symmetric_kl
from noiselab.measures.correlations import pearson, spearman
from noiselab.run import Run

Comparison = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Target:
    """A kind of task. Outputs are [n, C], C = 1 of a number; targets int64 or floating point, [n].

    loss: (outputs, targets) -> mean over the texts. slopes: (outputs, targets) -> derivatives of
    each text's own loss, [n, C]. divergence: (outputs, other outputs) -> mean over the texts, 0
    where they say the same. scores: (outputs, targets) -> the scores of a set. main, tie: those by
    which validation chooses; more of `main` is better, at a tie less of `tie`.
    """

    loss: Comparison
    slopes: Comparison
    divergence: Comparison
    scores: Callable[[Tensor, Tensor], dict[str, float]]
    main: str
    tie: str


def kind(run: Run) -> Target:
    """What the task of a run asks for."""
    return NUMBER if is_numeric(run) else CLASS


def outputs(run: Run) -> int:
    """How many outputs a head needs for the task of a run."""
    return 1 if is_numeric(run) else run.classes


def class_slopes(logits: Tensor, labels: Tensor) -> Tensor:
    """Of the cross-entropy: p - 1 at the right class, p at the others."""
    return logits.softmax(-1) - one_hot(labels, logits.shape[-1])


def class_scores(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Accuracy and correlation of Matthews in per cent, and mean NLL in nats."""
    decided = logits.argmax(-1)
    return {
        "accuracy": 100 * float((decided == labels).double().mean()),
        "matthews": 100 * float(matthews_corrcoef(labels.numpy(), decided.numpy())),
        "nll": float(cross_entropy(logits, labels)),
    }


def squared_error(predicted: Tensor, numbers: Tensor) -> Tensor:
    """Mean of (ŷ - y)²."""
    return mse_loss(predicted.squeeze(-1), numbers.to(predicted))


def number_slopes(predicted: Tensor, numbers: Tensor) -> Tensor:
    """Of the squared error: 2 (ŷ - y)."""
    return 2 * (predicted - numbers.to(predicted)[:, None])


def squared_difference(predicted: Tensor, other: Tensor) -> Tensor:
    """Mean of (ŷ - ŷ')²."""
    return (predicted - other).square().sum(-1).mean()


def number_scores(predicted: Tensor, numbers: Tensor) -> dict[str, float]:
    """Correlations of Pearson and Spearman and the mean of both, in per cent, as GLUE scores STS-B;
    and the mean squared error, in the square of the target's unit."""
    own, true = predicted.squeeze(-1).double().numpy(), numbers.double().numpy()
    both = {"pearson": 100 * pearson(own, true), "spearman": 100 * spearman(own, true)}
    mean = sum(both.values()) / 2
    error = float(squared_error(predicted.double(), numbers))
    return {"correlation": mean, **both, "squared_error": error}


CLASS = Target(cross_entropy, class_slopes, symmetric_kl, class_scores, "accuracy", "nll")
NUMBER = Target(
    squared_error,
    number_slopes,
    squared_difference,
    number_scores,
    "correlation",
    "squared_error",
)
