"""Image data sets of the Hugging Face hub, where some are given only to those who accept terms."""

from pathlib import Path

from noiselab.data import text_sources
from noiselab.errors import NoiselabError

_PATTERNS = ["*train*.parquet", "*val*.parquet"]


def download(spec: dict, folder: Path) -> None:
    """Fetch the data set's parquet files from the Hugging Face hub.

    NoiselabError, with what to do, where the hub refuses them.
    """
    try:
        text_sources.snapshot(spec["hub"], _patterns(spec), folder)
    except NoiselabError as error:
        if not refused(error.__cause__):
            raise
        raise NoiselabError(
            f"data set {spec['hub']}: the hub refuses it; {access(spec, folder)}"
        ) from error


def available(spec: dict, timeout: float) -> int:
    """Bytes that download() would fetch; asks the hub."""
    return text_sources.snapshot_bytes(spec["hub"], _patterns(spec), timeout)


def _patterns(spec: dict) -> list[str]:
    """Files to fetch; some data sets have no validation files."""
    more = [] if spec["kind"] == "image_files" else ["*test*.parquet"]
    return _PATTERNS + more


def access(spec: dict, folder: Path) -> str:
    """What to do about a data set that the hub refuses."""
    return (
        f"accept its terms on https://huggingface.co/datasets/{spec['hub']} and log in with "
        f"`hf auth login` or set HF_TOKEN, or set data.root to a folder that has "
        f"{folder.name}/train/<WordNet id>/… and {folder.name}/val/…"
    )


def refused(error: BaseException | None) -> bool:
    """Whether access was denied: ImageNet is only for those who have accepted its terms."""
    from huggingface_hub.errors import GatedRepoError

    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, GatedRepoError) or status in (401, 403):
            return True
        error = error.__cause__ or error.__context__
    return False
