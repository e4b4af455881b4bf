"""Small Transformers on a few tokens, of which the last one's output is read."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, scaled_dot_product_attention

EMBEDDING_STD = 0.02  # of first weights


class Layer(nn.Module):
    """Attention, then two linear maps with ReLU; layer norm before each, where there is any."""

    def __init__(self, width: int, heads: int, inner: int, norm: bool):
        super().__init__()
        self.heads = heads
        self.queries, self.mixed = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.keys_values = nn.Linear(width, 2 * width, bias=False)
        self.inner, self.outer = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) if norm else nn.Identity() for _ in range(2))

    def forward(self, states: Tensor, index: Tensor, last: bool) -> Tensor:
        """Distinct states [m, d], and which of them each sequence has, int64 [n, T], to states
        [n, T, d]; last: to [n, 1, d], those of the last token, which is all that a last layer needs
        to say. What is done to each state alone is done once per distinct one."""
        asking = index[:, -1:] if last else index
        seen = self.norms[0](states)
        queries = embedding(asking, self.queries(seen))
        keys, values = embedding(index, self.keys_values(seen)).chunk(2, -1)
        attend = attended_once if last else attended
        found = embedding(asking, states) + self.mixed(attend(queries, keys, values, self.heads))
        return found + self.outer(self.inner(self.norms[1](found)).relu())


def attended(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Attention of queries [n, A, d] to keys and values [n, T, d]: [n, A, d]."""
    split = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (queries, keys, values))
    return scaled_dot_product_attention(*split).transpose(1, 2).flatten(2)


def attended_once(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """The same for one query of each sequence, [n, 1, d]: products of single numbers, as so small
    matrices take twice the time on a CPU."""
    queries, keys, values = (p.unflatten(-1, (heads, -1)) for p in (queries, keys, values))
    scores = (queries * keys).sum(-1, keepdim=True) / queries.shape[-1] ** 0.5
    return (scores.softmax(1) * values).sum(1, keepdim=True).flatten(2)


class SmallTransformer(nn.Module):
    """Tokens [n, T, 1, 1], as images of one pixel have channels, to logits [n, C]. Every token sees
    all. First weights of linear maps are PyTorch's, those of letters and places normal and small:
    from large ones, a rule takes more than twice as many steps."""

    def __init__(self, letters: int, length: int, classes: int, layers: list[Layer], norm: bool):
        super().__init__()
        width = layers[0].queries.in_features
        self.tokens = nn.Embedding(letters, width)
        self.places = nn.Parameter(torch.empty(length, width))
        self.layers = nn.ModuleList(layers)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()
        self.head = nn.Linear(width, classes, bias=False)
        for embedded in (self.tokens.weight, self.places):
            nn.init.normal_(embedded, std=EMBEDDING_STD)

    def forward(self, tokens: Tensor) -> Tensor:
        states, index = self._first_states(tokens.flatten(1).long())
        for number, layer in enumerate(self.layers, 1):
            states = layer(states, index, last=number == len(self.layers))
            states, index = states.flatten(0, 1), _all_distinct(states)
        return self.head(self.norm(states))

    def _first_states(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Distinct states before the first layer, and which of them each sequence has: all letters
        at all places, unless the batch has fewer tokens."""
        letters = self.tokens.weight
        states = (letters + self.places[:, None]).flatten(0, 1)
        index = tokens + len(letters) * torch.arange(tokens.shape[1], device=tokens.device)
        if len(states) < index.numel():
            return states, index
        return embedding(index, states).flatten(0, 1), _all_distinct(index)


def _all_distinct(states: Tensor) -> Tensor:
    """Numbers int64 [n, T] of states [n, T, …]."""
    n, length = states.shape[:2]
    return torch.arange(n * length, device=states.device).view(n, length)


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
