"""Makes test/golden/safetensors: 2,000 damaged safetensors files and what the reference parser says of each.

Made with: Python 3.11, safetensors 0.8.0 (its Rust parser), numpy. Run: python scripts/golden/safetensors_mutants.py
mutants.bin.gz: the files one after the other. mutants.json.gz: `version`, and for each file its `size` and `digest`: null where the
parser refused it, else SHA-256 of its content: for each tensor by name (UTF-8 order) name, dtype, shape and bytes, then the metadata
by key, each field behind its length in bytes (4 bytes, little-endian); the shape as decimal numbers joined by commas.
"""
import gzip, hashlib, json, os, random, struct, tempfile
import safetensors

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "golden", "safetensors")
COUNT = 2000
rng = random.Random(20310)


def pack(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def bytes_of(n):
    return bytes(rng.randrange(256) for _ in range(n))


BASES = [
    ({"a": entry("F32", [2, 3], 0, 24)}, 24),
    ({"__metadata__": {"format": "pt"}, "norm": entry("F32", [4], 0, 16), "half": entry("F16", [3, 2], 16, 28), "brain": entry("BF16", [2], 28, 32)}, 32),
    ({"ids": entry("I32", [2, 2], 0, 16), "byte": entry("U8", [5], 16, 21), "none": entry("F32", [0, 7], 21, 21)}, 21),
    ({"step": entry("I64", [1], 0, 8), "scalar": entry("F32", [], 8, 12), "ä\u2581😀": entry("U8", [4], 12, 16)}, 16),
    ({}, 0),
    ({"__metadata__": {"a": "1", "b": "ü"}, "x.weight": entry("F32", [1, 2], 0, 8), "y.weight": entry("F32", [2, 1], 8, 16)}, 16),
]
NUMBERS = ["0", "1", "2", "3", "4", "7", "8", "12", "16", "24", "-0", "-1", "1.0", "4e0", "1E1", "0.5", "00", "01", "9007199254740991", "9007199254740993",
           "18446744073709551615", "18446744073709551616", "1e400", "4294967296", "null", "true", "[]", "{}", '"1"', "NaN"]
WORDS = ["F32", "F16", "BF16", "F64", "I64", "I32", "I16", "I8", "U8", "U16", "U32", "U64", "BOOL", "F8_E4M3", "F8_E5M2", "C64", "f32", "", "a", "b", "norm", "shape",
         "dtype", "data_offsets", "__metadata__", "format", "x", "\\u0061", "\\ud800", "\\ud83d\\ude00", "\\/", "\\x", "a\\nb"]
TEXTS = [" ", "\n", "\t", ",", ":", "{", "}", "[", "]", '"', "\\", "\x00", "\x1f", "\u00a0", "\ufeff", "\u2581", "//", "null"]


def sizes(dtype):
    return {"F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "U8": 1, "I8": 1, "BOOL": 1, "F64": 8, "I64": 8, "U64": 8, "U32": 4}[dtype]


def lay_out(header, data):
    """A whole file again, with one thing changed that keeps it whole or makes it wrong in one point."""
    header = json.loads(json.dumps(header))
    names = [n for n in header if n != "__metadata__"]
    kind = rng.randrange(12)
    if kind == 0 or not names:
        header["__metadata__"] = rng.choice([{}, {"k": "v"}, {"k": 1}, [], "x", None, {"k": None}])
        return pack(header, data)
    name = rng.choice(names)
    item = header[name]
    span = item["data_offsets"][1] - item["data_offsets"][0]
    if kind == 1:
        dtype = rng.choice(["F32", "F16", "BF16", "I32", "I16", "U8", "I8", "BOOL", "F64", "I64"])
        item["dtype"] = dtype
        if span % sizes(dtype) == 0:
            item["shape"] = [span // sizes(dtype)]
    elif kind == 2:
        item["shape"] = rng.choice([item["shape"][::-1], item["shape"] + [1], [1] + item["shape"], item["shape"] + [0], [2**32, 2**32], [-1], []])
    elif kind == 3:
        item["data_offsets"] = rng.choice([item["data_offsets"][::-1], [0, span], [1, 1 + span], item["data_offsets"] + [0], item["data_offsets"][:1], []])
    elif kind == 4 and len(names) > 1:
        other = rng.choice(names)
        header[name]["data_offsets"], header[other]["data_offsets"] = header[other]["data_offsets"], header[name]["data_offsets"]
    elif kind == 5:
        header[rng.choice(["", "z", "__proto__", "constructor", "toString", "10", "0"])] = header.pop(name)
    elif kind == 6:
        item[rng.choice(["extra", "Shape", "dtype "])] = rng.choice([0, None, {}, [1.5]])
    elif kind == 7:
        del item[rng.choice(list(item))]
    elif kind == 8:
        header[name] = rng.choice([None, [], 1, "x", list(item.values()), {}])
    elif kind == 9:
        keys = list(item)
        rng.shuffle(keys)
        header[name] = {k: item[k] for k in keys}
    elif kind == 10:
        text = json.dumps(header, indent=rng.choice([None, 1, "\t"])) + rng.choice(["", " ", "\n\n", "\r\n"])
        return pack(text.encode(), data)
    else:
        text = json.dumps(header)
        twice = json.dumps(rng.choice([name, "dtype", "__metadata__"])) + ":" + json.dumps(rng.choice([item, "U8", {}]))
        return pack((text[:-1] + "," + twice + "}").encode(), data)
    return pack(header, data)


def edit_text(raw):
    """Exchanges one number, word or character of the header; the length follows."""
    import re

    n = struct.unpack("<Q", raw[:8])[0]
    text, data = raw[8:8 + n].decode(), raw[8 + n:]
    kind = rng.randrange(3)
    hits = list(re.finditer([r"\d+", r'(?<=")[^"]*(?=")', r".?"][kind], text))
    hit = rng.choice(hits) if hits else None
    if hit is None:
        return raw
    text = text[:hit.start()] + rng.choice([NUMBERS, WORDS, TEXTS][kind]) + text[hit.end() if rng.random() < 0.8 else hit.start():]
    return pack(text.encode(), data)


def damage(raw):
    kind = rng.randrange(7)
    at = rng.randrange(len(raw)) if raw else 0
    if kind == 0 and raw:
        return raw[:at] + bytes([raw[at] ^ 1 << rng.randrange(8)]) + raw[at + 1:]
    if kind == 1:
        return raw[:at]
    if kind == 2:
        return raw + bytes_of(1 + rng.randrange(8))
    if kind == 3 and len(raw) >= 8:
        return raw[:at % 8] + bytes([rng.randrange(256)]) + raw[at % 8 + 1:]
    if kind == 4:
        return raw[:at] + bytes_of(1 + rng.randrange(4)) + raw[at:]
    if kind == 5:
        return raw[:at] + raw[at + 1 + rng.randrange(8):]
    return raw[:at] + raw[at:at + 16] + raw[at:]


def mutant():
    header, n = rng.choice(BASES)
    # Two zero bytes keep the I64 of the fourth base below 2^48, so that JavaScript can hold it.
    data = bytes_of(n)[:6] + bytes(min(n, 8) - min(n, 6)) + bytes_of(max(0, n - 8))
    raw = pack(header, data)
    kind = rng.random()
    if kind < 0.45:
        return lay_out(header, data)
    if kind < 0.75:
        return edit_text(raw)
    for _ in range(1 + rng.randrange(2)):
        raw = damage(raw)
    return raw


def field(digest, raw):
    digest.update(struct.pack("<I", len(raw)) + raw)


def digest_of(raw):
    try:
        tensors = safetensors.deserialize(raw)
        with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
            file.write(raw)
            file.flush()
            with safetensors.safe_open(file.name, framework="numpy") as opened:
                metadata = opened.metadata() or {}
    except (safetensors.SafetensorError, ValueError):
        return None
    digest = hashlib.sha256()
    for name, item in sorted(((n.encode(), i) for n, i in tensors), key=lambda pair: pair[0]):
        field(digest, name)
        field(digest, item["dtype"].encode())
        field(digest, ",".join(map(str, item["shape"])).encode())
        field(digest, bytes(item["data"]))
    for key, value in sorted((k.encode(), v.encode()) for k, v in metadata.items()):
        field(digest, key)
        field(digest, value)
    return digest.hexdigest()


files = []
seen = set()
while len(files) < COUNT:
    raw = mutant()
    if raw not in seen:
        seen.add(raw)
        files.append(raw)
records = [{"size": len(raw), "digest": digest_of(raw)} for raw in files]
os.makedirs(HERE, exist_ok=True)
with open(f"{HERE}/mutants.bin.gz", "wb") as out:
    out.write(gzip.compress(b"".join(files), 9, mtime=0))
with open(f"{HERE}/mutants.json.gz", "wb") as out:
    out.write(gzip.compress(json.dumps({"version": f"safetensors {safetensors.__version__}", "mutants": records}, separators=(",", ":")).encode(), 9, mtime=0))
print(sum(r["digest"] is not None for r in records), "accepted of", len(records))
