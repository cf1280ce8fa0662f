#!/usr/bin/env python3
"""Makes hostile images out of a good one.

  hostile_images.py CASE LAYOUT TAG OUT [LAYOUT TAG OUT ...]

Writes each image TAG as OUT after CASE, a function of this file. Digests and sizes are right unless the case is about
them: what is hostile has to be found by what it is.
"""
import functools
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
import layout as lib  # noqa: E402

RESULTS, TRAIN, CONFIG = "opt/pht_results", "opt/pht_train", "opt/train_config.json"


def entry(name, kind=tarfile.REGTYPE, data=b"", link="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), 0o755
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar_of(*entries, format=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


class Image:
    def __init__(self, where, tag):
        self.where = where
        _, self.manifest, self.config = lib.load(where, tag)

    def tar(self, data, how="plain"):
        lib.add_layer(self.where, self.manifest, self.config, data, how, "hostile")

    def put(self, *entries):
        self.tar(tar_of(*entries))

    def blob(self, blob, diff_id, kind="gzip"):
        """A layer of which the two need not fit together."""
        kind = lib.OCI + "layer.v1.tar" + lib.SUFFIX[kind]
        self.manifest["layers"].append({"mediaType": kind} | lib.write_blob(self.where, blob))
        self.config["rootfs"]["diff_ids"].append(diff_id)
        self.config.setdefault("history", []).append({"created_by": "hostile"})

    def train_config(self):
        view = {}
        for layer in self.manifest["layers"]:
            lib.apply_layer(view, lib.decompress(lib.read_blob(self.where, layer["digest"])))
        return view[CONFIG]["data"].decode()

    def put_config(self, text):
        self.put(entry(CONFIG, data=text.encode()))


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


HARMLESS = tar_of(entry("etc/note", data=b"nothing"))


def path_traversal(image): image.put(entry("../../../../tmp/pht-hostile", data=b"out"))
def path_traversal_in_results(image): image.put(entry(RESULTS + "/../../../../tmp/pht-hostile", data=b"out"))
def absolute_file_among_the_immutable(image): image.put(entry("/" + TRAIN + "/more.py", data=b"more"))
def opt_is_a_symlink(image): image.put(entry("opt", tarfile.SYMTYPE, link="/tmp"))
def train_is_a_symlink(image): image.put(entry(TRAIN, tarfile.SYMTYPE, link="/tmp"))
def results_are_a_symlink(image): image.put(entry(RESULTS, tarfile.SYMTYPE, link="/tmp"))
def config_is_a_symlink(image): image.put(entry(CONFIG, tarfile.SYMTYPE, link="/etc/passwd"))
def config_is_a_fifo(image): image.put(entry(CONFIG, tarfile.FIFOTYPE))
def config_is_a_device(image): image.put(entry(CONFIG, tarfile.CHRTYPE, devmajor=1, devminor=5))
def config_is_a_directory(image): image.put(entry(CONFIG, tarfile.DIRTYPE))


def entry_through_a_symlink(image):
    image.put(entry(RESULTS + "/way", tarfile.SYMTYPE, link="/tmp"), entry(RESULTS + "/way/pht-hostile", data=b"out"))


def device_among_the_results(image): image.put(entry(RESULTS + "/disk", tarfile.BLKTYPE, devmajor=8))
def device_among_the_immutable(image): image.put(entry(TRAIN + "/null", tarfile.CHRTYPE, devmajor=1, devminor=3))
def symlink_among_the_immutable(image): image.put(entry(TRAIN + "/more.py", tarfile.SYMTYPE, link="/etc/passwd"))
def whiteout_of_the_config(image): image.put(entry("opt/.wh.train_config.json"))
def whiteout_of_the_train(image): image.put(entry("opt/.wh.pht_train"))
def whiteout_of_opt(image): image.put(entry(".wh.opt"))
def opaque_opt(image): image.put(entry("opt/.wh..wh..opq"))
def whiteout_of_nothing(image): image.put(entry(TRAIN + "/.wh."))
def below_a_whiteout(image): image.put(entry(TRAIN + "/.wh.a/more.py", data=b"more"))
def duplicate_config(image): image.put(entry(CONFIG, data=image.train_config().encode()), entry(CONFIG, data=b"{}"))
def duplicate_file(image): image.put(*[entry(TRAIN + "/more.py", data=b"%d" % n) for n in range(2)])


def hard_link_to_outside(image):
    image.put(entry(RESULTS + "/passwd", tarfile.LNKTYPE, link="../../../../etc/passwd"))


def hard_link_to_nothing(image): image.put(entry(RESULTS + "/x", tarfile.LNKTYPE, link="opt/pht_results/absent"))
def hard_link_to_itself(image): image.put(entry(RESULTS + "/x", tarfile.LNKTYPE, link=RESULTS + "/x"))


def sparse_file(image):
    image.put(entry(TRAIN + "/more.py", data=b"1\n0\n512\n".ljust(1024, b"\0"), pax_headers={
        "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": TRAIN + "/more.py",
        "GNU.sparse.realsize": str(1 << 60)}))


def pax_bomb(image): image.put(entry(TRAIN + "/x", data=b"x", pax_headers={"comment": "x" * (64 << 20)}))
def pax_size(image): image.put(entry(TRAIN + "/x", data=b"x", pax_headers={"size": str(1 << 63)}))
def name_of_64_kib(image): image.put(entry(TRAIN + "/" + "n" * (64 << 10), data=b"x"))
def gnu_name_of_64_kib(image):
    image.tar(tar_of(entry(TRAIN + "/" + "n" * (64 << 10), data=b"x"), format=tarfile.GNU_FORMAT))


@functools.cache
def many_files():
    return tar_of(*[entry(f"{TRAIN}/{n}") for n in range(100_000)])


def many_unlisted_files(image): image.tar(many_files())


@functools.cache
def gzipped_zeros():
    """A file of 1 GiB of zeros among the immutable files in a megabyte."""
    info = tarfile.TarInfo(TRAIN + "/bomb")
    info.size = 1 << 30
    head = info.tobuf(tarfile.USTAR_FORMAT)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, compresslevel=6) as packed:
        for piece in [head] + [bytes(1 << 20)] * 1024 + [bytes(1024)]:
            packed.write(piece)
    return out.getvalue()


# That it does not have this diff ID is found at its end.
def gzip_bomb(image): image.blob(gzipped_zeros(), "sha256:" + "0" * 64)


@functools.cache
def zstd_zeros():
    """The same, piece by piece: nobody holds it in memory."""
    info = tarfile.TarInfo(TRAIN + "/bomb")
    info.size = 1 << 30
    with tempfile.TemporaryFile() as out:
        with subprocess.Popen(["zstd", "-cq1"], stdin=subprocess.PIPE, stdout=out) as packer:
            for piece in [info.tobuf(tarfile.USTAR_FORMAT)] + [bytes(1 << 20)] * 1024 + [bytes(1024)]:
                packer.stdin.write(piece)
        assert packer.returncode == 0
        out.seek(0)
        return out.read()


def zstd_bomb(image): image.blob(zstd_zeros(), "sha256:" + "0" * 64, "zstd")


def truncated_gzip(image): image.blob(gzip.compress(HARMLESS, mtime=0)[:-12], digest(HARMLESS))
def garbage_after_gzip(image): image.blob(gzip.compress(HARMLESS, mtime=0) + b"garbage", digest(HARMLESS))


def second_gzip_member(image):
    """A reader that stops after the first member sees no more than the harmless part."""
    more = tar_of(entry(TRAIN + "/more.py", data=b"more"))
    image.blob(gzip.compress(HARMLESS[:1024], mtime=0) + gzip.compress(more, mtime=0), digest(HARMLESS[:1024]))


def second_gzip_member_with_its_diff_id(image):
    more = tar_of(entry(TRAIN + "/more.py", data=b"more"))
    image.blob(gzip.compress(HARMLESS[:1024], mtime=0) + gzip.compress(more, mtime=0), digest(HARMLESS[:1024] + more))


def lying_diff_id(image): image.blob(gzip.compress(HARMLESS, mtime=0), digest(b"other"))
def lying_diff_id_of_a_plain_layer(image): image.blob(HARMLESS, digest(b"other"), "plain")
def not_a_tar(image): image.tar(b"this is no archive" * 100)
def ten_thousand_layers(image):
    for _ in range(10_000):
        image.manifest["layers"].append(image.manifest["layers"][-1])
        image.config["rootfs"]["diff_ids"].append(image.config["rootfs"]["diff_ids"][-1])


def unknown_digest_algorithm(image): image.manifest["layers"][-1]["digest"] = "blake3:" + "0" * 64
def digest_with_dots(image): image.manifest["layers"][-1]["digest"] = "sha256:../../../../etc/passwd"
def diff_id_with_dots(image): image.config["rootfs"]["diff_ids"][-1] = "sha256:../../etc/passwd"
def diff_ids_missing(image): image.config["rootfs"]["diff_ids"].pop()
def layer_size_negative(image): image.manifest["layers"][-1]["size"] = -1
def layer_size_huge(image): image.manifest["layers"][-1]["size"] = 1 << 62
def layer_size_beyond_64_bits(image): image.manifest["layers"][-1]["size"] = 1 << 70
def layer_size_fraction(image): image.manifest["layers"][-1]["size"] = 1.5


def deep_config(image): image.put_config('{"a":' * 100_000 + "1" + "}" * 100_000)
def deep_list_in_the_config(image): image.put_config(image.train_config().rstrip()[:-1] + ',"x":' + "[" * 50_000 + "]" * 50_000 + "}")
def duplicate_key_in_the_config(image): image.put_config(image.train_config().rstrip()[:-1] + ',"session_id":"00"}')
def config_of_32_mib(image): image.put_config(image.train_config() + " " * (32 << 20))
def config_is_empty(image): image.put_config("")
def config_is_a_list(image): image.put_config("[]")
def config_is_not_utf8(image): image.put(entry(CONFIG, data=b'{"@id": "\xff"}'))


def route(image, change):
    config = json.loads(image.train_config())
    stops = sorted(config["route"], key=lambda stop: stop["index"])
    change(stops)
    config["route"] = stops
    image.put_config(json.dumps(config))


def index_negative(image): route(image, lambda stops: stops[1].update(index=-1))
def index_fraction(image): route(image, lambda stops: stops[1].update(index=1.5))
def index_beyond_64_bits(image): route(image, lambda stops: stops[1].update(index=1 << 80))
def index_as_text(image): route(image, lambda stops: stops[1].update(index="1"))
def index_gap(image): route(image, lambda stops: stops[1].update(index=7))
def index_twice(image): route(image, lambda stops: stops[1].update(index=0))
def station_twice(image): route(image, lambda stops: stops[1].update(station=stops[0]["station"]))
def route_empty(image): route(image, lambda stops: stops.clear())


def main():
    case, places = sys.argv[1], sys.argv[2:]
    for where, tag, out in zip(places[::3], places[1::3], places[2::3], strict=True):
        image = Image(where, tag)
        globals()[case](image)
        lib.save(where, out, image.manifest, image.config)


if __name__ == "__main__":
    main()
