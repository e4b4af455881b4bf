"""Small Transformers on a few tokens, of which the last one's output is read."""

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Layer(nn.Module):
    """Attention, then two linear maps with ReLU; layer norm before each, where there is any."""

    def __init__(self, width: int, heads: int, inner: int, norm: bool):
        super().__init__()
        self.heads = heads
        self.queries, self.mixed = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.keys_values = nn.Linear(width, 2 * width, bias=False)
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in range(2))

    def forward(self, states: Tensor, last: bool) -> Tensor:
        """States [n, T, d] to the same; last: to [n, 1, d], those of the last token, which is all
        that a last layer needs to say."""
        seen = self.norms[0](states)
        asking, states = (seen[:, -1:], states[:, -1:]) if last else (seen, states)
        parts = (self.queries(asking), *self.keys_values(seen).chunk(2, -1))
        split = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        attended = scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)
        states = states + self.mixed(attended)
        return states + self.outer(self.inner(self.norms[1](states)).relu())


class SmallTransformer(nn.Module):
    """Tokens [n, T, 1, 1], as images of one pixel have channels, to logits [n, C]. Every token sees
    all. First weights are normal, with variance 1 / inputs."""

    def __init__(self, letters: int, length: int, classes: int, layers: list[Layer], norm: bool):
        super().__init__()
        width = layers[0].queries.in_features
        self.tokens = nn.Embedding(letters, width)
        self.places = nn.Parameter(torch.empty(length, width))
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.head = nn.Linear(width, classes, bias=False)
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
            elif "norm" not in name:
                nn.init.zeros_(weight)

    def forward(self, tokens: Tensor) -> Tensor:
        states = self.tokens(tokens.flatten(1).long()) + self.places
        for number, layer in enumerate(self.layers, 1):
            states = layer(states, last=number == len(self.layers))
        return self.head(self.norm(states[:, -1]))


def small_transformer(
    letters: int,
    length: int,
    classes: int,
    layers: int,
    heads: int,
    width: int,
    feedforward: int,
    norm: bool,
) -> SmallTransformer:
    """A Transformer of `layers` layers for sequences of `length` tokens of an alphabet of so many
    letters. feedforward: units of each layer's perceptron; norm: layer norm before each part."""
    parts = [Layer(width, heads, feedforward, norm) for _ in range(layers)]
    return SmallTransformer(letters, length, classes, parts, norm)
