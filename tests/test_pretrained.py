"""Backbones that were trained elsewhere: folders as transformers and timm save them."""

import json

import numpy as np
import pytest
import timm
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model, PreTrainedTokenizerFast

from helpers import small_vit
from noiselab.errors import NoiselabError
from noiselab.families.backbones import resized
from noiselab.families.pretrained import task
from noiselab.families.pretrained.packaged import unpack
from noiselab.families.probe.features import image_features, text_features
from noiselab.planning import config, runs
from noiselab.planning.graph import Places, graph

CPU = torch.device("cpu")
WORDS = ["[UNK]", "a", "b", "c", "d"]
GPT2 = dict(vocab_size=8, n_positions=6, n_embd=8, n_layer=2, n_head=2, initializer_range=0.5)
BERT = dict(vocab_size=8, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
BERT |= dict(intermediate_size=8, max_position_embeddings=6)


def text_model(folder, model):
    """A model and a tokenizer of five words."""
    tokenizer = Tokenizer(models.WordLevel(dict(zip(WORDS, range(5), strict=True)), "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    model.save_pretrained(folder)
    return model.eval()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """data.root with models/gpt and models/small_vit."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("root")
    text_model(root / "models" / "gpt", GPT2Model(GPT2Config(**GPT2)))
    small_vit(root / "models" / "small_vit")
    return root


@pytest.mark.parametrize("network", [GPT2Model(GPT2Config(**GPT2)), BertModel(BertConfig(**BERT))])
def test_a_language_model_gives_its_own_last_hidden_states(tmp_path, network):
    own = text_model(tmp_path, network)
    encode, hidden = task.language_model(tmp_path, CPU)
    tokens = encode(["a b c", "d", "a b c d a b c d"])
    assert tokens == [[1, 2, 3], [4], [3, 4, 1, 2, 3, 4]], "of a long text the end is seen"
    found = text_features(hidden, tokens, CPU)
    for i, row in enumerate(tokens):
        with torch.no_grad():
            states = own(torch.tensor([row])).last_hidden_state[0]
        np.testing.assert_allclose(found["last"][i], states[-1], atol=1e-5)


def test_a_vision_model_sees_images_at_its_own_resolution(root):
    network = task.vision_model(root / "models" / "small_vit", CPU)
    own = timm.create_model(f"local-dir:{root}/models/small_vit", pretrained=True, num_classes=0)
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    found = image_features(network, images, np.array([3, 1]), CPU)["last"]
    with torch.no_grad():
        wanted = own.eval()((torch.from_numpy(images[[3, 1]]) / 255 - 0.5) / 0.5)
    assert found.shape == (2, 12)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    grey = np.full((1, 1, 8, 8), 51, dtype=np.uint8)
    assert np.isfinite(image_features(network, grey, np.array([0]), CPU)["last"]).all()


def test_another_resolution_keeps_colours_and_makes_grey_images_coloured():
    flat = torch.full((1, 1, 8, 8), 0.2)
    torch.testing.assert_close(resized(flat, (3, 20, 12), "m"), torch.full((1, 3, 20, 12), 0.2))
    with pytest.raises(NoiselabError, match="m: sees 3 channels, the images have 2"):
        resized(torch.zeros(1, 2, 8, 8), (3, 8, 8), "m")


# ------------------------------------------------------------------------------- broken folders


def spoilt(folder, how):
    model = text_model(folder, GPT2Model(GPT2Config(**GPT2)))
    settings = json.loads((folder / "config.json").read_text())
    if how == "weights":
        (folder / "model.safetensors").write_bytes(b"no weights")
    elif how == "lacking":
        lacking = {k: v for k, v in model.state_dict().items() if "h.1." not in k}
        model.save_pretrained(folder, state_dict=lacking)
    elif how == "tokenizer":
        for file in folder.glob("tokenizer*"):
            file.unlink()
    elif how == "shapes":
        (folder / "config.json").write_text(json.dumps(settings | {"n_embd": 16}))
    elif how == "unknown":
        (folder / "config.json").write_text(json.dumps(settings | {"model_type": "gpt99"}))


@pytest.mark.parametrize("how", ["weights", "lacking", "tokenizer", "shapes", "unknown"])
def test_a_folder_that_cannot_be_read_is_one_line(tmp_path, how):
    spoilt(tmp_path, how)
    with pytest.raises(NoiselabError) as error:
        task.language_model(tmp_path, CPU)
    assert str(error.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(error.value)


def test_a_vision_model_that_cannot_be_read_is_one_line(tmp_path, root):
    settings = json.loads((root / "models" / "small_vit" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings))
    (tmp_path / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(NoiselabError, match="timm cannot read it"):
        task.vision_model(tmp_path, CPU)


# ------------------------------------------------------------------------------------- planning


def planned(root, backbones, datasets=("docstring_package",), **entries):
    experiment = {"family": "probe", "backbone": {"models": backbones}, "seeds": [0]}
    changes = {"experiments": {"probes": experiment | {"datasets": list(datasets)}}}
    changes |= {"data": {"root": str(root) if root else None}, "only": ["probes"]}
    settings = config.load(changes | {"backbones": entries}, tier="smoke")
    return runs.plan(settings, "results/smoke"), settings


def test_a_model_is_a_backbone_by_its_name(root):
    plan, settings = planned(root, ["gpt"])
    linear, mlp = (plan.runs[name] for name in plan.experiments["probes"])
    assert linear.run_id == "probe/docstring_package/pretrained.gpt-linear"
    assert (
        linear.parents["backbone"] == mlp.parents["backbone"] == "pretrained/docstring_package/gpt"
    )
    backbone = plan.runs[linear.parents["backbone"]]
    assert backbone.folder == f"{root}/models/gpt"
    assert dict(backbone.model) == {"name": "gpt", "width": 8, "layers": 2}
    assert linear.backbone["noise"] == "gpt"
    jobs = graph(plan, settings, Places("results/smoke", "results/smoke", "data"), {}).jobs
    extraction = jobs["extract/pretrained/docstring_package/gpt-docstring_package"]
    assert extraction.inputs["weights"] == ()
    assert "downloaded" not in extraction.inputs


def test_other_weights_are_another_run(root, tmp_path):
    text_model(tmp_path / "models" / "gpt", GPT2Model(GPT2Config(**GPT2)))
    first, again, other = (
        planned(where, ["gpt"])[0].runs["pretrained/docstring_package/gpt"].files
        for where in (root, root, tmp_path)
    )
    assert first == again != other


def test_a_model_that_is_not_here_is_downloaded(root):
    plan, settings = planned(root, ["far"], far={"hub": "someone/far"})
    backbone = plan.runs["pretrained/docstring_package/far"]
    assert (backbone.folder, backbone.hub) == ("data/models/far", "someone/far")
    jobs = graph(plan, settings, Places("results/smoke", "results/smoke", "data"), {}).jobs
    extraction = jobs["extract/pretrained/docstring_package/far-docstring_package"]
    assert extraction.inputs["downloaded"] == ("data/models/far/.complete",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no folder .*/models/mine, and no entry mine of backbones says a folder or hub"),
        ({}, "models/mine: no config.json"),
        ({"config.json": "{}"}, r"models/mine: no \*.safetensors; weights of other forms"),
        ({"config.json": "{"}, "config.json: not valid JSON"),
        (
            {"config.json": '{"architecture": "x"}', "model.safetensors": ""},
            "mine is a model in timm layout, which docstring_package is not for: it has texts",
        ),
    ],
)
def test_a_folder_that_is_no_model_is_refused_in_the_plan(tmp_path, content, message):
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True) if content is not None else None
    for name, text in (content or {}).items():
        (folder / name).write_text(text)
    with pytest.raises(NoiselabError, match=message):
        planned(tmp_path, ["mine"])


def test_names_and_paths_are_checked(root, tmp_path):
    with pytest.raises(NoiselabError, match=r"'a/b' is no name .* `folder` of an entry"):
        planned(root, ["a/b"])
    with pytest.raises(NoiselabError, match="nowhere: no such folder of a model"):
        planned(None, ["gpt"], gpt={"folder": str(tmp_path / "nowhere")})
    with pytest.raises(NoiselabError, match=r"data\.root, with models/gpt2x, is not set"):
        planned(None, ["gpt2x"])
    with pytest.raises(NoiselabError, match="gpt is a model in transformers layout, which digits"):
        planned(root, ["gpt"], datasets=["digits"])


def test_a_package_without_weights_is_one_line(tmp_path):
    for package, message in (("nothing_like_it", "is not installed"), ("timm", "has 0 files")):
        with pytest.raises(NoiselabError, match=f"package {package} {message}"):
            unpack(package, tmp_path)
