#!/usr/bin/env python3
"""A first corpus for the fuzz targets: small whole files of each kind, and some with a flaw. Always the same bytes.

usage: seeds.py FOLDER [LEAN_TRAIN]        FOLDER/TARGET/NAME is written

LEAN_TRAIN adds what the program itself writes: recipes, a run log, weights. JPEG files need Pillow; without it the corpus of
pictures is of PNG files alone.
"""
import io, json, os, subprocess, struct, sys, zlib

FOLDER, PROGRAM = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None


def seed(target, name, content):
    os.makedirs(os.path.join(FOLDER, target), exist_ok=True)
    with open(os.path.join(FOLDER, target, name), "wb") as file: file.write(content)


def npy(kind, shape, content, version=1):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)}, }}".encode()
    front = 10 if version == 1 else 12
    header += b" " * (-(front + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(header)) + header + content


def idx(kind, *shape, content): return bytes([0, 0, kind, len(shape)]) + b"".join(struct.pack(">I", n) for n in shape) + content


def tensors(metadata, **named):
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, (dtype, shape, content) in named.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def chunk(kind, content): return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(colour, depth, channels, interlaced=False):
    """4 x 3 pixels, each row without a filter; of Adam7, passes as they come."""
    bits = channels * depth
    passes = [(1, 1), (1, 1), (1, 1), (2, 1), (2, 2), (4, 1)] if interlaced else [(4, 3)]
    rows = b"".join(b"\0" + bytes(range(1, 1 + (columns * bits + 7) // 8)) for columns, count in passes for _ in range(count))
    palette = chunk(b"PLTE", bytes(range(48))) if colour == 3 else b""
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, depth, colour, 0, 0, int(interlaced))) + palette +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


for name, array in {"floats": npy("<f4", [2, 3], bytes(24)), "doubles": npy(">f8", [2], bytes(16)), "integers": npy("<i8", [3, 1, 2, 1], bytes(48)),
                    "version2": npy("|u1", [5], bytes(5), 2), "flat": npy("<i4", [], bytes(4)), "short": npy("<u2", [4], bytes(7)),
                    "idx": idx(0x0c, 2, 3, content=bytes(24)), "idx_huge": idx(0x0e, 2**31, 2**31, 2**31, content=b"")}.items():
    seed("array", name, array)
for name, content in {"one": bytes(3073), "two": bytes([9]) + bytes(3072) + bytes([1]) + bytes(3072), "label": bytes([10]) + bytes(3072), "cut": bytes(3000)}.items():
    seed("cifar", name, content)
for name, content in {"images": b"\0" + idx(8, 2, 28, 28, content=bytes(1568)), "labels": b"\1" + idx(8, 2, content=b"\3\11"),
                      "label": b"\1" + idx(8, 2, content=b"\3\12"), "many": b"\0" + idx(8, 2**32 - 1, 28, 28, content=b"")}.items():
    seed("idx", name, content)
for colour, depths, channels in ((0, (1, 2, 4, 8, 16), 1), (2, (8, 16), 3), (3, (1, 2, 4, 8), 1), (4, (8, 16), 2), (6, (8, 16), 4)):
    for depth in depths:
        for interlaced in (False, True): seed("image", f"png-{colour}-{depth}-{int(interlaced)}", png(colour, depth, channels, interlaced))
try:
    from PIL import Image
except ImportError:
    print("no Pillow: no JPEG files", file=sys.stderr)
else:
    for mode in ("L", "RGB", "CMYK"):
        for progressive in (False, True):
            content = io.BytesIO()
            Image.linear_gradient("L").resize((20, 17)).convert(mode).save(content, "JPEG", progressive=progressive)
            seed("image", f"jpeg-{mode}-{int(progressive)}", content.getvalue())
for name, content in {"plain": tensors({"format": "pt"}, weight=("F32", [2, 3], bytes(24)), bias=("F32", [2], bytes(8))),
                      "checked": tensors({"lean_train": "1", "xxh3_128": "0" * 32}, a=("F32", [1], bytes(4))), "scalar": tensors({}, a=("F64", [], bytes(8))),
                      "empty": tensors({}), "hole": tensors({}, a=("F32", [1], bytes(8)))}.items():
    seed("safetensors", name, content)
for name, lengths in (("whole", b""), ("lengths", npy("<i4", [2], struct.pack("<2i", 1, 3))), ("long", npy("<i4", [2], struct.pack("<2i", 1, 4)))):
    labels = npy("<i4", [2], struct.pack("<2i", 0, 1))
    seed("sequences", name, bytes([len(labels), len(lengths)]) + labels + lengths + npy("<f4", [2, 3, 2], bytes(48)))
seed("recipe", "minimal", b'name = "m"\n[input]\nshape = [1, 4, 4]\n[training]\nbatch = 2\n[[layer]]\ntype = "linear"\nname = "fc"\nout_features = 2\n')
seed("run_log", "minimal", b'{"type":"run","schema":1,"command":"mnist","model":"linear","batch":2}\n{"type":"step","step":1,"loss":2.5,"seconds":0.1}\n'
     b'{"type":"epoch","epoch":1,"steps":1,"train_loss":2.5,"train_accuracy":0.5,"test_loss":null,"seconds":1}\n{"type":"end","status":"ok","exit_code":0}\n')
if PROGRAM:
    recipes = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../src/recipes")
    for name in sorted(os.listdir(recipes)):
        if name.endswith(".toml"):
            with open(os.path.join(recipes, name), "rb") as file: seed("recipe", name, file.read())
    log, saved = os.path.join(FOLDER, "log"), os.path.join(FOLDER, "saved")
    subprocess.run([PROGRAM, "mnist", "--model", "linear", "--batch", "2000", "--epochs", "1", "--log", log, "--log-every", "5", "--save", saved, "--quiet"],
                   check=True, stdout=subprocess.DEVNULL, env={**os.environ, "LEAN_TRAIN_DATA": "", "XDG_CACHE_HOME": "/nonexistent"})
    for path, target in ((log, "run_log"), (saved, "safetensors")):
        with open(path, "rb") as file: seed(target, "of_the_program", file.read())
        os.remove(path)
