"""Data sets: pictures brought to size, and held-out splits that are the same every time and never overlap."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from pocket_diffusion import data
from pocket_diffusion.data import ArraySource, DataError, Layout

GREY = Layout(16)


def write_npz(path, count=48, classes=2, side=12, **more):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, side, side), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(count) % classes, classes=np.array([f"c{i}" for i in range(classes)]), **more)
    return images


def write_folder(path, classes=("left", "right"), count=40, size=(20, 10)):
    for i, name in enumerate(classes):
        (path / name).mkdir(parents=True)
        for j in range(count):
            Image.new("RGB", size, (i * 100, j, 0)).save(path / name / f"{name}-{j}.png")
    return path


def write_characters(path, side=32):
    """Parts that are told by their colours: head i paints row i red, and so on."""
    with zipfile.ZipFile(path, "w") as archive:
        for folder, prefix, count in (
            ("backgrounds", "bg", 2),
            ("bodies", "body", 4),
            ("accessories", "accessory", 3),
            ("heads", "head", 6),
            ("glasses", "glasses", 5),
        ):
            for i in range(count):
                pixels = np.zeros((side, side, 4), np.uint8)
                if folder == "backgrounds":
                    pixels[:] = (200 + i, 200, 200, 255)
                else:
                    top = {"bodies": 24, "accessories": 27, "heads": 2, "glasses": 12}[folder]
                    pixels[top : top + 3, 4 : 12 + 2 * i] = (40 * i + 10, 20 * i, {"heads": 250, "glasses": 120}.get(folder, 60), 255)
                if folder == "glasses":
                    pixels[top + 1, 5:9] = (0, 0, 0, 255)  # pupils
                names = {"accessories": ("chain", "txt-slogan", "eth")}.get(folder, [f"piece-{i}" for i in range(count)])
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG")
                archive.writestr(f"{folder}/{prefix}-{names[i]}.png", buffer.getvalue())
    return path


# ---- bringing to size -------------------------------------------------------


def test_padding_neither_enlarges_nor_resamples():
    image = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    padded = Layout(16, invert=True).apply_all(image)
    assert padded.shape == (1, 16, 16, 1)
    np.testing.assert_array_equal(padded[0, 4:12, 4:12, 0], 255 - image[0])
    assert (padded[0, :4] == 255).all() and (padded[0, :, 12:] == 255).all()
    one = Layout(16, invert=True).apply(Image.fromarray(image[0]))
    np.testing.assert_array_equal(one, padded[0])


@pytest.mark.parametrize(("fit", "covered"), [("pad", (16, 8)), ("crop", (16, 16)), ("stretch", (16, 16))])
def test_fit(fit, covered):
    pixels = Layout(16, 3, fit=fit, background=9).apply(Image.new("RGB", (40, 20), (200, 100, 50)))
    picture = (pixels == (200, 100, 50)).all(axis=2)
    assert (picture.any(axis=0).sum(), picture.any(axis=1).sum()) == covered
    assert ((pixels == 9).all(axis=2) == ~picture).all()


def test_transparency_is_kept_or_laid_over_the_background():
    clear = Image.new("RGBA", (16, 16), (255, 0, 0, 0))
    assert (Layout(16, 3).apply(clear) == 255).all()
    assert (Layout(16, 3, background=0).apply(clear) == 0).all()
    assert (Layout(16, 4).apply(clear)[..., 3] == 0).all()
    palette = Image.new("P", (16, 16), 0)
    palette.info["transparency"] = 0
    assert (Layout(16, 1).apply(palette) == 255).all()
    assert (Layout(16, 1, invert=True).apply(clear) == 255).all()


def test_value_range():
    batch = data.to_unit_range(np.array([[[[0, 255, 51]]]], dtype=np.uint8))
    assert batch.shape == (1, 3, 1, 1) and batch.flatten().tolist() == pytest.approx([0, 1, 0.2])
    deep = Image.fromarray(np.array([[0, 65535], [32768, 257]], dtype=np.uint16))
    assert Layout(2).apply(deep)[..., 0].tolist() == [[0, 255], [128, 1]]


# ---- splits -----------------------------------------------------------------


def pictures_of(source) -> set[bytes]:
    return {image.tobytes() for image in source.pictures(np.arange(len(source)))[0]}


def test_every_twelfth_of_a_class(tmp_path):
    images = write_npz(tmp_path / "set.npz")
    first, second = (data.load(tmp_path / "set.npz", GREY) for _ in range(2))
    assert len(first.held_out) == 4 and len(first.train) == 44
    assert pictures_of(first.train).isdisjoint(pictures_of(first.held_out))
    np.testing.assert_array_equal(first.held_out.images[:, 2:14, 2:14, 0], images[[0, 1, 24, 25]])
    np.testing.assert_array_equal(first.held_out.images, second.held_out.images)
    assert first.fingerprint == second.fingerprint != data.load(tmp_path / "set.npz", Layout(16, invert=True)).fingerprint


def test_test_set_where_there_is_one(tmp_path):
    test = np.full((5, 12, 12), 77, np.uint8)
    write_npz(tmp_path / "set.npz", test_images=test, test_labels=np.zeros(5, np.uint8))
    split = data.load(tmp_path / "set.npz", GREY)
    assert len(split.train) == 48 and (split.held_out.images[:, 2:14, 2:14] == 77).all() and len(split.held_out) == 5


def test_whole_families(tmp_path):
    fonts = [f"f{i}.otf|Family {i // 3}" for i in range(120)] + ["xsemaF10.otf|Flags"]
    write_npz(tmp_path / "set.npz", count=2 * len(fonts), font=np.repeat(np.arange(len(fonts)), 2), fonts=np.array(fonts))
    split = data.load(tmp_path / "set.npz", GREY)
    held = [int(hashlib.md5(f"Family {i}".encode()).hexdigest(), 16) % 12 == 0 for i in range(40)]
    assert 0 < sum(held) < 12
    assert split.kind == "letters" and len(split.held_out) == 6 * sum(held) and len(split.train) == 6 * (40 - sum(held))
    assert pictures_of(split.train).isdisjoint(pictures_of(split.held_out))


def test_folder_by_file_name(tmp_path):
    split = data.load(write_folder(tmp_path / "mine"), Layout(16, 3))
    assert split.kind == "folder" and split.classes == ("left", "right")
    held = [sum(int(hashlib.md5(f"{name}-{j}.png".encode()).hexdigest(), 16) % 12 == 0 for j in range(40)) for name in split.classes]
    assert sum(held) > 0 and np.bincount(split.held_out.labels, minlength=2).tolist() == held
    assert len(split.train) + len(split.held_out) == 80
    (tmp_path / "mine" / "left" / "more.png").write_bytes((tmp_path / "mine" / "left" / "left-0.png").read_bytes())
    assert pictures_of(data.load(tmp_path / "mine", Layout(16, 3)).held_out) >= pictures_of(split.held_out)  # none changes sides


def test_characters(tmp_path):
    split = data.load(write_characters(tmp_path / "set.zip"), Layout(32, 3))
    assert split.kind == "characters" and len(split.train.parts["accessories"]) == 1  # slogans and marks are left out
    assert split.classes[3] == "piece 3" and len(split.train) + len(split.held_out) == 2 * 4 * 1 * 6 * 5
    triples = {}
    for source in (split.train, split.held_out):
        numbers = source.composition(source.visit(0, 400, 5))
        triples[source.held_out] = set(zip(*(numbers[layer].tolist() for layer in ("heads", "glasses", "bodies"))))
        for head, eyes, body in triples[source.held_out]:
            name = f"piece-{head}|piece-{eyes}|piece-{body}"
            assert (int(hashlib.md5(name.encode()).hexdigest(), 16) % 12 == 0) == source.held_out
    assert triples[True].isdisjoint(triples[False]) and len(triples[False]) > 80
    images, labels = split.train.pictures(split.train.visit(0, 20, 0))
    for image, label in zip(images, labels):
        assert tuple(image[2, 4]) == (40 * label + 10, 20 * label, 250)
        assert tuple(image[0, 0]) in ((200, 200, 200), (201, 200, 200))
    indices = split.train.visit(0, 20, 0)
    for index, image in zip(indices, images):  # as Pillow lays pictures over each other
        layered = Image.new("RGBA", (32, 32), "white")
        for layer in ("backgrounds", "bodies", "accessories", "heads", "glasses"):
            layered.alpha_composite(Image.fromarray(split.train.parts[layer][int(split.train.composition(index)[layer])].pixels))
        np.testing.assert_array_equal(image, np.array(layered.convert("RGB")))


def test_visiting_order_does_not_depend_on_batches(tmp_path):
    source = ArraySource(np.zeros((10, 4, 4, 1), np.uint8), np.zeros(10))
    whole = source.visit(0, 35, 3)
    parts = np.concatenate([source.visit(first, count, 3) for first, count in ((0, 7), (7, 1), (8, 20), (28, 7))])
    np.testing.assert_array_equal(whole, parts)
    assert sorted(whole[:10]) == sorted(whole[10:20]) == list(range(10)) and whole[:10].tolist() != whole[10:20].tolist()
    assert source.visit(0, 10, 4).tolist() != whole[:10].tolist()
    characters = data.load(write_characters(tmp_path / "set.zip"), Layout(32, 3)).train
    np.testing.assert_array_equal(characters.visit(0, 20, 3)[5:], characters.visit(5, 15, 3))


# ---- refusals ---------------------------------------------------------------


def test_characters_of_half_transparent_parts_are_refused(tmp_path):
    path = write_characters(tmp_path / "set.zip")
    for folder, alpha in (("heads", 128), ("backgrounds", 0)):
        buffer = io.BytesIO()
        Image.new("RGBA", (32, 32), (0, 0, 0, alpha)).save(buffer, "PNG")
        bad = tmp_path / f"{folder}.zip"
        bad.write_bytes(path.read_bytes())
        with zipfile.ZipFile(bad, "a") as archive:
            archive.writestr(f"{folder}/x-ghost.png", buffer.getvalue())
        with pytest.raises(DataError, match=f"ghost of {folder}: pixels must be opaque"):
            data.load(bad, Layout(32, 3))
    buffer = io.BytesIO()
    Image.new("RGBA", (16, 16), (0, 0, 0, 255)).save(buffer, "PNG")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("heads/head-small.png", buffer.getvalue())
    with pytest.raises(DataError, match="different sizes"):
        data.load(path, Layout(32, 3))


def test_refused(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        data.load(tmp_path / "none", GREY)
    folder = write_folder(tmp_path / "mine", count=12)
    (folder / "left" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"left/broken\.png"):
        data.load(folder, GREY)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no pictures"):
        data.load(tmp_path / "empty", GREY)
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(DataError, match=r"bad\.npz"):
        data.load(tmp_path / "bad.npz", GREY)
    for name, arrays in {
        "labels": dict(images=np.zeros((4, 8, 8), np.uint8)),
        "label of": dict(images=np.zeros((4, 8, 8), np.uint8), labels=np.array([0, 1, 2, 9]), classes=np.array(["a", "b"])),
        "shape": dict(images=np.zeros((4, 8), np.uint8), labels=np.zeros(4, int), classes=np.array(["a"])),
        "type": dict(images=np.full((4, 8, 8), 3.0), labels=np.zeros(4, int), classes=np.array(["a"])),
    }.items():
        np.savez(tmp_path / "set.npz", **arrays)
        with pytest.raises(DataError, match=name):
            data.load(tmp_path / "set.npz", GREY)
