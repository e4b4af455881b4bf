"""What the stages of a sequence-to-sequence model compute and leave."""

from noiselab.families.work import DECODING, Computing, Sizes, Work


def glance(sizes: Sizes) -> float:
    """Pairs of one evaluation during training."""
    return sizes.data.held_out(sizes.run.evaluation["curve_pairs"])


def predicting(sizes: Sizes) -> Work:
    """NLL in float64 and length in int64 of each scored pair; written targets, in uint16."""
    data, evaluation = sizes.data, sizes.run.evaluation
    scored, written = (data.held_out(evaluation[what]) for what in ("pairs", "generated"))
    decoding = Computing(written * sizes.network.longest, kind=DECODING)
    size = 2 * 8 * scored + 2 * data.target * written
    return Work((Computing(scored * sizes.network.forward), decoding), size)


def decoding(sizes: Sizes) -> Work:
    """A target for every training source, at most as long as targets may be."""
    data = sizes.data
    flops = data.train * sizes.network.longest
    return Work((Computing(flops, kind=DECODING),), data.train * (2 * data.target + 8))


WORK = {"train_seq2seq": predicting, "decode_teacher": decoding}
