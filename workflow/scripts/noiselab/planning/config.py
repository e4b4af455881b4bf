"""Checks of the merged configuration: every mistake is one line that names the key."""

import difflib
import json
import os
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from noiselab.errors import NoiselabError

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = ROOT / "config" / "schema.yaml"
PUBLISHED = ROOT / "config" / "published.yaml"
AUDIT = ROOT / "config" / "audit.yaml"
TIERS = ROOT / "config" / "tiers"


def tier_file(config: dict) -> Path:
    """Overlay of `config["tier"]`; NoiselabError if there is no such tier."""
    path = TIERS / f"{config.get('tier')}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in TIERS.glob("*.yaml")))
        raise NoiselabError(f"config key tier: no tier {config.get('tier')!r} (known: {known})")
    return path


def load(*overlays: dict | str | Path, tier: str | None = None) -> dict:
    """The configuration as the Snakefile sees it: defaults, then the tier, then the overlays."""
    changes = [o if isinstance(o, dict) else _read(o) for o in overlays]
    config = _read(ROOT / "config" / "config.yaml")
    tiers = [c["tier"] for c in (config, *changes) if "tier" in c]
    config = merge(config, _read(tier_file({"tier": tier or tiers[-1]})))
    for change in changes:
        config = merge(config, change)
    return validate(config)


def merge(base: dict, changes: dict) -> dict:
    """`base` with `changes` laid over it: mappings are merged key by key, the rest replaced."""
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if nested else value
    return merged


def validate(config: dict) -> dict:
    """The configuration with string keys throughout; NoiselabError at the first mistake."""
    config = _typed(json.loads(json.dumps(config)))  # YAML keys such as 0.5 become strings
    errors = sorted(_validator().iter_errors(config), key=lambda e: (len(e.path), str(e.path)))
    if errors:
        raise NoiselabError(_one_line(errors[0]))
    root = config["data"].get("root")
    if root is not None and not os.path.isdir(root):
        raise NoiselabError(f"config key data.root: no folder {root}")
    return config


def _typed(value):
    """Numbers, booleans and null as such: Snakemake's `--config` nests them as strings."""
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_typed(item) for item in value]
    if isinstance(value, str):
        try:
            parsed = json.loads(value)
        except ValueError:
            return value
        return parsed if parsed is None or isinstance(parsed, (bool, int, float)) else value
    return value


def _one_line(error: jsonschema.ValidationError) -> str:
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    key = key.lstrip(".") or "(top level)"
    if error.validator != "additionalProperties":
        return f"config key {key}: {error.message}"
    known = list(error.schema["properties"])
    unknown = next(k for k in error.instance if k not in known)
    close = difflib.get_close_matches(unknown, known, n=1)
    hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
    prefix = "" if key == "(top level)" else f"{key}."
    return f"config key {prefix}{unknown}: unknown key ({hint})"


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(_read(SCHEMA))


def published() -> dict:
    """The paper's numbers: config/published.yaml."""
    return _read(PUBLISHED)


def audit() -> dict:
    """What is compared between the paper's text and its code: config/audit.yaml."""
    return _read(AUDIT)


def _read(path: str | Path) -> dict:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(Path(path).read_text(encoding="utf-8"), Loader=loader) or {}
