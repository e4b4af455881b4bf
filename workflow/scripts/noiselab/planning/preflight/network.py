"""Questions to the network, all asked at once and waited for during seconds only."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from noiselab.data import image_files
from noiselab.errors import first_line
from noiselab.planning.preflight.rows import MISSING, OK, Row, text_size

REQUEST, NETWORK = 5.0, 10.0  # seconds that a request may take, and all of them together


class Question(NamedTuple):
    """A question to the network: `ask`(seconds) gives the bytes to download, or fails. where: the
    name of a computer or of the hub's repository."""

    check: str
    where: str
    ask: Callable[[float], int]
    refusal: str = ""  # what to do where access is denied


def host(url: str) -> str:
    """The computer that an address is on."""
    return urlsplit(url).netloc


def length(url: str, seconds: float) -> int:
    """Bytes of a file on the web."""
    with urlopen(Request(url, method="HEAD"), timeout=seconds) as answer:
        return int(answer.headers.get("Content-Length") or 0)


def ask_all(questions: list[Question], seconds: float = NETWORK) -> list[tuple[Row, float]]:
    """The answers to all questions, asked at the same time: a row and bytes to download each."""
    import huggingface_hub  # noqa: F401  (threads that import the same wait for each other)

    late = "set data.root to a folder that holds it, or try where there is a network"
    answers = [(Row(q.check, MISSING, f"{q.where}: no answer", late), 0.0) for q in questions]

    def answer(i: int) -> None:
        answers[i] = _answer(questions[i], late)

    # Not a pool, whose threads would be waited for at the end.
    threads = [threading.Thread(target=answer, args=[i], daemon=True) for i in range(len(answers))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(answers)


def _answer(question: Question, fix: str) -> tuple[Row, float]:
    try:
        size = question.ask(REQUEST)
    except Exception as error:  # of the hub, of HTTP, of the name's look-up
        if question.refusal and image_files.refused(error):
            return Row(question.check, MISSING, "the hub refuses it", question.refusal), 0.0
        reason = first_line(getattr(error, "reason", error))
        return Row(question.check, MISSING, f"{question.where}: no access ({reason})", fix), 0.0
    return Row(question.check, OK, f"{text_size(size)} to download from {question.where}"), size
