"""Models that others have trained, read from folders: language models as transformers saves them,
vision models as timm does. Weights are safetensors alone, which carry no code.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from noiselab.errors import NoiselabError, first_line
from noiselab.families.backbones import Encoder, Network, resized
from noiselab.families.work import Data
from noiselab.run import Run

TOKENS = 4096  # of a prompt, at the most, where a model could read more
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "tokenizer.model", "spiece.model")
TIMM_WEIGHTS = "model.safetensors"
READ = 128  # tokens or patches that an item is taken to have, for the cost alone
SIZES = {"width": 768, "layers": 12}  # of a model that is not here yet, for the cost alone


def language_model(folder: Path, device: torch.device) -> tuple[Encoder, Network]:
    """A model of texts: what makes tokens of prompts, and what makes last hidden states [n, T, d]
    of tokens int64 [n, T]. NoiselabError: as of text_model."""
    encode, model = text_model(folder, device, "auto" if device.type == "cuda" else torch.float32)

    def hidden(tokens: Tensor) -> Tensor:
        return model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state

    return encode, hidden


def text_model(
    folder: Path, device: torch.device, number: torch.dtype | str
) -> tuple[Encoder, nn.Module]:
    """A model of texts: what makes tokens of prompts, as its own tokenizer does, and its network of
    transformers, in numbers of this type (auto: those of its file). A prompt that is too long loses
    its beginning. NoiselabError: transformers cannot read the folder."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer  # takes its time

    if not any(
        (folder / name).is_file() for name in VOCABULARIES
    ):  # or there would be an empty one
        raise NoiselabError(f"{folder}: no tokenizer (none of {', '.join(VOCABULARIES)})")
    kept = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(folder, **kept)
        if getattr(config, "is_encoder_decoder", False):
            raise NoiselabError(f"{folder}: an encoder with a decoder has no last token of a text")
        tokenizer = AutoTokenizer.from_pretrained(folder, truncation_side="left", **kept)
        model, told = AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=number,
            use_safetensors=True,
            output_loading_info=True,
            **kept,
        )
    except NoiselabError:
        raise
    except Exception as error:  # of whatever code the folder's config.json names
        raise NoiselabError(
            f"{folder}: transformers cannot read it ({first_line(error)}); it needs what "
            "save_pretrained of a model and of its tokenizer writes"
        ) from error
    lacking = [name for name in told["missing_keys"] if "pooler" not in name]  # BERT's is not used
    if lacking:
        raise NoiselabError(
            f"{folder}: its weights lack {len(lacking)} of the network's, such as {min(lacking)}"
        )
    if len(tokenizer) > config.vocab_size:
        raise NoiselabError(
            f"{folder}: its tokenizer has {len(tokenizer)} tokens, the model {config.vocab_size}"
        )
    model = model.to(device).eval()
    longest = min(tokenizer.model_max_length, _positions(config), TOKENS)

    def encode(texts: list[str]) -> list[list[int]]:
        return tokenizer(texts, truncation=True, max_length=longest)["input_ids"]

    return encode, model


def _positions(config) -> int:
    """Tokens that a model has positions for."""
    return getattr(config, "max_position_embeddings", None) or TOKENS


def vision_model(folder: Path, device: torch.device) -> Network:
    """A model of images: uint8 [n, c, h, w] in, what its last layer sees out, [n, d]. Images are
    brought to its own resolution, grey ones to its channels. NoiselabError: timm cannot read the
    folder, or images have other channels."""
    import timm

    if not (folder / TIMM_WEIGHTS).is_file():  # or timm would take others, which may carry code
        raise NoiselabError(f"{folder}: no {TIMM_WEIGHTS}")
    try:
        model = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0)
    except Exception as error:  # of torch, of safetensors, of the network that config.json names
        raise NoiselabError(
            f"{folder}: timm cannot read it ({first_line(error)}); it needs config.json and "
            "model.safetensors of timm.models.push_to_hf_hub or save_for_hf"
        ) from error
    known = model.pretrained_cfg
    mean, std = (torch.tensor(known[key])[:, None, None].to(device) for key in ("mean", "std"))
    model = model.to(device).eval()

    def features(images: Tensor) -> Tensor:
        seen = resized(images.float() / 255, known["input_size"], folder)
        return model((seen - mean) / std)

    return features


def example(run: Run, data: Data) -> tuple[nn.Module, tuple, dict]:
    """What costs as much as the network for one item: a layer with as many weights as the blocks
    of a transformer of its width and depth."""
    width, layers = (run.model.get(key, usual) for key, usual in SIZES.items())
    return nn.Linear(width, 12 * layers * width), (torch.empty(1, READ, width),), {}
