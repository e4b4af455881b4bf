"""Decoding: every form of picture comes out upright, in 8 bits, on white; what has no one meaning
is refused in one line."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from image_folders import picture
from noiselab.data import decoding
from noiselab.errors import NoiselabError

RAMP = np.linspace(0, 65_535, 96).round().astype(np.uint16).reshape(8, 12)


def content(image, form="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(image, form="PNG", mode="RGB", **options) -> np.ndarray:
    return np.asarray(decoding.decoded(content(image, form, **options), "x", mode))


def refused(data: bytes) -> str:
    messages = []
    for function in (decoding.decoded, decoding.check):
        with pytest.raises(NoiselabError, match=r"^some\.png: ") as error:
            function(data, "some.png")
        messages.append(str(error.value))
        assert len(messages[-1].splitlines()) == 1
    assert messages[0] == messages[1]
    return messages[0]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "YCbCr", "RGB"])
@pytest.mark.parametrize("into", ["RGB", "L"])
def test_any_mode_becomes_what_is_asked_for(mode, into):
    image = picture(0, mode=mode)
    made = decoding.decoded(
        content(image, "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"), "x", into
    )
    assert (made.mode, made.size) == (into, (40, 30))
    # Seen as Pillow sees it, but for rounding on the way by another mode.
    expected = np.asarray(image.convert("RGB").convert(into), dtype=int)
    assert abs(np.asarray(made, dtype=int) - expected).max() <= 2


# ----------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_pictures_come_upright(orientation, form):
    """By the definition of the tag: where the first row and the first column of what is stored
    are in the picture."""
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: stored[::-1].transpose(1, 0, 2),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: stored[:, ::-1].transpose(1, 0, 2),
    }[orientation]
    data = content(Image.fromarray(stored), form, exif=exif)
    assert np.array_equal(np.asarray(decoding.decoded(data, "x")), upright)
    header = decoding.header(data, "x")
    assert (header.height, header.width) == upright.shape[:2]


def test_broken_exif_data_spoil_no_picture():
    data = content(picture(0), "JPEG", exif=b"Exif\0\0MM\0*garbage")
    assert decoding.decoded(data, "x").size == (40, 30)


# ---------------------------------------------------------------------------- transparency


def test_what_is_transparent_lies_on_white():
    colour, alpha = (10, 20, 200), 64
    expected = [round(c * alpha / 255 + 255 - alpha) for c in colour]
    rgba = Image.new("RGBA", (5, 5), (*colour, alpha))
    assert pixels(rgba)[0, 0] == pytest.approx(expected, abs=1)
    assert pixels(Image.new("LA", (5, 5), (0, 0)))[0, 0].tolist() == [255] * 3
    palette = Image.new("P", (5, 5), 1)
    palette.putpalette([9, 9, 9, *colour])
    assert pixels(palette)[0, 0].tolist() == list(colour)
    assert pixels(palette, transparency=1)[0, 0].tolist() == [255] * 3
    assert pixels(Image.new("RGB", (5, 5), colour), transparency=colour)[0, 0, 0] == 255


# -------------------------------------------------------------------------- more than 8 bits


@pytest.mark.parametrize("form", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_scaled_and_not_clipped(form):
    made = pixels(Image.fromarray(RAMP), form, "L")
    assert np.array_equal(made, np.round(RAMP / 257))
    assert (made.min(), made.max()) == (0, 255)
    assert decoding.header(content(Image.fromarray(RAMP), form), "x").grey


def test_16_bit_tiff_whose_zero_is_white():
    made = pixels(Image.fromarray(RAMP), "TIFF", "L", tiffinfo={262: 0})
    assert np.array_equal(made, 255 - np.round(RAMP / 257))


def test_16_bit_colour_keeps_its_upper_byte():
    """A PNG by its specification: Pillow writes none."""
    rows = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=-1).astype(">u2")

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 8, 16, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    data = b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")
    assert np.array_equal(np.asarray(decoding.decoded(data, "x")), rows >> 8)


def test_floats_from_0_to_1_are_scaled():
    values = np.linspace(0, 1, 96, dtype=np.float32).reshape(8, 12)
    assert np.array_equal(pixels(Image.fromarray(values), "TIFF", "L"), np.round(255 * values))


FLOATS = {
    "255": (255.0, "must be from 0 to 1"),
    "below 0": (-0.1, "must be from 0 to 1"),
    "nan": (np.nan, "no finite number"),
    "inf": (np.inf, "no finite number"),
}


@pytest.mark.parametrize("value", FLOATS)
def test_other_floats_are_refused(value):
    pixel, message = FLOATS[value]
    image = np.full((8, 8), 0.5, dtype=np.float32)
    image[3, 4] = pixel
    assert message in refused(content(Image.fromarray(image), "TIFF"))


def tiff_of_one_strip(array: np.ndarray, sample_format: int) -> bytes:
    """An uncompressed grey TIFF, as the standard has it."""
    h, w = array.shape
    tags = [(256, w), (257, h), (258, 8 * array.itemsize), (259, 1), (262, 1), (273, 134)]
    tags += [(277, 1), (278, h), (279, array.nbytes), (339, sample_format)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    return head + array.tobytes()


@pytest.mark.parametrize("kind", [np.int8, np.int16])
def test_numbers_with_a_sign_are_refused(kind):
    array = np.arange(96, dtype=kind).reshape(8, 12)
    unsigned = tiff_of_one_strip(array.astype(np.dtype(kind).str.replace("i", "u")), 1)
    assert decoding.decoded(unsigned, "x", "L").size == (12, 8)
    assert "with a sign" in refused(tiff_of_one_strip(array, 2))


def test_a_transparent_value_of_16_bits_is_white():
    array = RAMP.copy()
    array[0, 0] = array[3, 5] = 1000
    made = pixels(Image.fromarray(array), mode="L", transparency=1000)
    expected = np.round(array / 257)
    expected[0, 0] = expected[3, 5] = 255
    assert (made == expected).all()


def test_colours_beyond_the_palette_are_refused():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 255, 0, 0, *range(45)])  # 17 colours, so 8 bits
    data = content(image)
    assert (pixels(image) == (255, 0, 0)).all()
    at = data.index(b"IDAT") - 4
    end = data.index(b"IEND") - 4
    rows = zlib.compress(b"\0\1\1\x11\1" * 4)
    chunk = struct.pack(">I", len(rows)) + b"IDAT" + rows
    chunk += struct.pack(">I", zlib.crc32(b"IDAT" + rows))
    broken = data[:at] + chunk + data[end:]
    assert "a pixel has colour 17 of a palette of 17" in refused(broken)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "some.png").touch()
    with pytest.raises(NoiselabError, match="the file is empty"):
        decoding.header(tmp_path / "some.png", "some.png")


def test_32_bit_numbers_are_refused():
    image = Image.fromarray(np.full((8, 8), 70_000, dtype=np.int32))
    assert "32 bits" in refused(content(image, "TIFF"))


# ---------------------------------------------------------------------------------- refused


def several(form):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    return content(frames[0], form, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize("form", ["GIF", "TIFF", "PNG", "WEBP"])
def test_several_pictures_in_one_file_are_refused(form):
    assert "3 pictures in one file" in refused(several(form))


def test_huge_pictures_are_refused_before_they_are_decoded():
    data = bytearray(content(Image.new("1", (64, 64))))
    data[16:24] = struct.pack(">II", 20_000, 20_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    message = refused(bytes(data))
    assert "pixels" in message


def test_large_but_possible_pictures_are_refused_too():
    """Where Pillow would only warn."""
    data = bytearray(content(Image.new("1", (64, 64))))
    data[16:24] = struct.pack(">II", 10_000, 10_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    assert "10000 x 10000 pixels are more than are safe" in refused(bytes(data))


def test_what_is_no_picture_is_refused():
    whole = content(picture(0), "JPEG")
    assert "empty" in refused(b"")
    assert "not an image of a known format" in refused(b"hello\n" * 9)
    assert "cannot be read" in refused(whole[:-300])
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    assert "not an image of a known format" in refused(postscript)  # no program is started


# ---------------------------------------------------------------------------------- headers

GREY = {"L": True, "LA": True, "1": True, "RGB": False, "RGBA": False, "CMYK": False}


@pytest.mark.parametrize("mode", GREY)
def test_headers_say_what_is_grey(mode):
    image = picture(1, mode=mode)
    header = decoding.header(content(image, "TIFF" if mode == "CMYK" else "PNG"), "x")
    assert header == (40, 30, GREY[mode])


def test_palettes_are_as_grey_as_their_colours():
    image = Image.new("P", (5, 5))
    image.putpalette([0, 0, 0, 90, 90, 90])
    assert decoding.header(content(image), "x").grey
    image.putpalette([0, 0, 0, 90, 90, 91])
    assert not decoding.header(content(image), "x").grey
