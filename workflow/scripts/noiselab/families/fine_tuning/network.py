"""A language model with a linear head on the last token's last hidden state."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel

from noiselab import streams
from noiselab.errors import NoiselabError
from noiselab.families.fine_tuning.regularisers import Seen
from noiselab.families.language_model import backbone as language_model
from noiselab.families.pretrained import task as pretrained
from noiselab.families.pretrained.family import NAME as PRETRAINED
from noiselab.run import Run


class Tuned(nn.Module):
    """backbone: a model of transformers that gives hidden states of all layers. outputs: of the
    head, as many as classes, or one number. Dropout is off, so that a text is seen alike with and
    without noise."""

    def __init__(self, backbone: nn.Module, outputs: int, seed: int):
        super().__init__()
        self.backbone = backbone.eval()
        torch.manual_seed(streams.integer(seed, "probe-weights", 0))
        self.head = nn.Linear(backbone.config.hidden_size, outputs).to(_like(backbone))

    def embeddings(self, tokens: Tensor) -> Tensor:
        """Of tokens, without their places, [n, T, d]."""
        return self.backbone.get_input_embeddings()(tokens)

    def forward(self, embeddings: Tensor, mask: Tensor) -> Seen:
        """mask: [n, T], 1 at real tokens, which come first."""
        found = self.backbone(
            inputs_embeds=embeddings, attention_mask=mask, output_hidden_states=True
        )
        states = [*found.hidden_states[1:-1], found.last_hidden_state]
        rows = torch.arange(len(mask), device=mask.device)
        features = found.last_hidden_state[rows, mask.sum(1) - 1]
        return Seen(states, features, self.head(features))


def _like(backbone: nn.Module) -> Tensor:
    return next(backbone.parameters())


def loaded(backbone: Run, weights: Path | None, device: torch.device) -> tuple:
    """What makes tokens of prompts, and the model. weights: None of one that was trained elsewhere;
    in single precision, in which it is trained. NoiselabError: it is no transformer."""
    if backbone.family == PRETRAINED:
        return pretrained.text_model(Path(backbone.folder), device, torch.float32)
    encode, model = language_model.text_model(backbone, weights, device)
    if not isinstance(model, PreTrainedModel):
        raise NoiselabError(f"{backbone.run_id}: fine-tuning takes a model of transformers only")
    return encode, model.transformer


def padded(tokens: list[list[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Tokens as one array int64 [n, T], filled up with 0, and which are real, int64 [n, T]."""
    rows = [torch.tensor(own) for own in tokens]
    mask = pad_sequence([torch.ones_like(own) for own in rows], batch_first=True)
    return pad_sequence(rows, batch_first=True).to(device), mask.to(device)
