"""Makes the unigram-* folders of test/golden/tokenizers: SentencePiece models trained on corpus.txt and templated lines,
their tokenizer.json in the layouts of transformers 5 and 4, and cases with both libraries' results. Nothing is downloaded.

Made with: Python 3.11, sentencepiece 0.2.3, tokenizers 0.23.3, transformers 5.23.0.
Run: python scripts/golden/tokenizers_sentencepiece.py
"""
import gzip, io, json, os, random, tempfile
import sentencepiece as spm
import sentencepiece.sentencepiece_model_pb2 as pb
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import T5TokenizerFast
from tokenizer_vectors import HERE, corpus, template, texts

SENTINELS = 100


def save(name, file, data):
    os.makedirs(f"{HERE}/{name}", exist_ok=True)
    with open(f"{HERE}/{name}/{file}.gz", "wb") as f:
        f.write(gzip.compress(data, 9, mtime=0))


def train(name, vocab_size, coverage, byte_fallback):
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, model_type="unigram", normalization_rule_name="nmt_nfkc",
        vocab_size=vocab_size, character_coverage=coverage, byte_fallback=byte_fallback, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", eos_piece="</s>", unk_piece="<unk>", num_threads=1, minloglevel=2)
    save(name, "spiece.model", out.getvalue())
    proto = pb.ModelProto()
    proto.ParseFromString(out.getvalue())
    return spm.SentencePieceProcessor(model_proto=out.getvalue()), [(p.piece, p.score) for p in proto.pieces], proto.normalizer_spec.precompiled_charsmap


def t5():
    """One T5 vocabulary in the two layouts that published files have."""
    sp, vocab, charsmap = train("unigram-t5", 1500, 0.985, False)
    vocab += [(f"<extra_id_{i}>", 0.0) for i in range(SENTINELS - 1, -1, -1)]
    today = T5TokenizerFast(vocab=vocab, _spm_precompiled_charsmap=charsmap, extra_ids=SENTINELS).backend_tokenizer
    mark = dict(replacement="▁", prepend_scheme="always", split=True)
    older = Tokenizer(models.Unigram(vocab, unk_id=2, byte_fallback=False))
    older.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    older.pre_tokenizer, older.decoder = pre_tokenizers.Metaspace(**mark), decoders.Metaspace(**mark)
    finish(older, SENTINELS)
    return sp, today, older


def with_bytes():
    """Unigram with byte fallback in both files."""
    sp, vocab, charsmap = train("unigram-bytes", 1500, 0.982, True)
    tok = Tokenizer(models.Unigram(vocab, unk_id=2, byte_fallback=True))
    tok.normalizer = normalizers.Precompiled(charsmap)
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    finish(tok, 0)
    return sp, tok


def tiny():
    """A model of a few kilobytes with rules and a user-defined piece of its own, for tests that damage it."""
    out = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("FB01\t66 69\nFF41\t61\n65 301\tE9\nA\t20\n3000\t20\nAD\t\n")
        rules.flush()
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(["a ba bab abba fi", "ab aa bb baa fib"] * 3), model_writer=out, model_type="unigram", vocab_size=18,
            normalization_rule_tsv=rules.name, user_defined_symbols=["<sep>"], hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, pad_piece="<pad>", num_threads=1, minloglevel=2)
    save("tiny", "spiece.model", out.getvalue())
    return spm.SentencePieceProcessor(model_proto=out.getvalue())


def finish(tok, sentinels):
    names = ["<pad>", "</s>", "<unk>"] + [f"<extra_id_{i}>" for i in range(sentinels)]
    tok.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tok.post_processor = template(tok)


def reason(text):
    """Why the two libraries differ, in the order in which the causes hide each other."""
    if any(token in text for token in ("<pad>", "</s>", "<unk>", "<extra_id_")):
        return "special-token-in-text"
    if "<0x" in text:
        return "byte-piece-in-text"
    return "next-line-is-whitespace" if "\u0085" in text else "grapheme-normalizer"


def write(name, tok, sp):
    save(name, "tokenizer.json", tok.to_str(pretty=True).encode())
    both = lambda ids: dict(decodedSkip=tok.decode(ids, skip_special_tokens=True), decodedKeep=tok.decode(ids, skip_special_tokens=False))
    rows = []
    for text in texts():
        found, own = tok.encode(text), sp.encode(text, out_type=int) + [1]
        row = dict(text=text, ids=found.ids, tokens=found.tokens, **both(found.ids), sentencepieceDecoded=sp.decode(own), agree=own == found.ids)
        if not row["agree"]:
            row.update(reason=reason(text), sentencepieceIds=own, sentencepieceTokens=sp.encode(text, out_type=str) + ["</s>"])
        rows.append(row)
    rng, pool, pairs, decode = random.Random(9), texts(), [], []
    for _ in range(25):
        a, b = rng.choice(pool), rng.choice(pool)
        found = tok.encode(a, b)
        pairs.append(dict(text=a, pair=b, ids=found.ids, tokens=found.tokens))
    for _ in range(25):
        ids = [rng.randrange(tok.get_vocab_size()) for _ in range(rng.randint(1, 12))]
        decode.append(dict(ids=ids, **both(ids)))
    meta = dict(tokenizer=name, vocabSize=tok.get_vocab_size(), tokenizers=tokenizers.__version__, sentencepiece=spm.__version__, cases=len(rows), disagree=sum(not row["agree"] for row in rows))
    save(name, "cases.json", json.dumps(dict(meta=meta, cases=rows, pairs=pairs, decode=decode), separators=(",", ":")).encode())


def random_text(rng, lines):
    """Characters that normalisers, clusters and added tokens treat unlike others, alone or in a line of the corpus."""
    strange = list(" \t\n\r\u00a0\u3000\u200b\u200c\u200d\ufeff\u0301\u0323\u3099\uff9e\u0085\u00ad\u2028▁…ﬁ½Ⅳㄅｶが😀\U0001f3fd\ufe0f🇩🇪©™ª\u0600a\u06dd\u0340\u1100\u1161\u11a8\u0e33\u102b\u0903न\u094d\u0338=ǆİ\0\x7fｄＡ\ufff2")
    strange += ["</s>", "<extra_id_7>", "<unk>", "<0x41>", "  ", "\r\n"]
    ranges = [(32, 127), (0xA0, 0x600), (0x300, 0x370), (0, 0x3000), (0x3000, 0xD7FF), (0xF900, 0xFFFF), (0x10000, 0x1FFFF)]
    character = lambda: rng.choice(strange) if rng.random() < 0.6 else chr(rng.randrange(*rng.choice(ranges)))
    if rng.random() < 0.7:
        return "".join(character() for _ in range(rng.randint(1, 12)))
    text = rng.choice(lines)
    for _ in range(rng.randint(1, 3)):
        i = rng.randint(0, len(text))
        text = text[:i] + character() + text[i:]
    return text


def write_random():
    """random.json: ids by both libraries, and texts of random ids."""
    rng, lines, rows = random.Random(17), corpus()[:150], []
    folder = lambda name, file: gzip.open(f"{HERE}/{name}/{file}.gz").read()
    toks = {name: Tokenizer.from_str(folder(name, "tokenizer.json").decode()) for name in ("unigram-t5", "unigram-t5-converter4", "unigram-bytes")}
    sps = {name: spm.SentencePieceProcessor(model_proto=folder(name, "spiece.model")) for name in ("unigram-t5", "unigram-bytes")}
    for _ in range(1500):
        text = random_text(rng, lines)
        # bytes are 3 to 258 in unigram-bytes
        ids = [rng.randrange(3, 259) if rng.random() < 0.6 else rng.randrange(1388) for _ in range(rng.randint(0, 8))]
        rows.append(dict(
            text=text, ids={name: tok.encode(text).ids for name, tok in toks.items()}, sentencepieceIds={name: sp.encode(text) + [1] for name, sp in sps.items()},
            toDecode=ids, decoded={name: tok.decode(ids, skip_special_tokens=True) for name, tok in toks.items()}, sentencepieceDecoded={name: sp.decode(ids) for name, sp in sps.items()}))
    with open(f"{HERE}/random.json.gz", "wb") as f:
        f.write(gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), 9, mtime=0))


if __name__ == "__main__":
    sp, today, older = t5()
    write("unigram-t5", today, sp)
    write("unigram-t5-converter4", older, sp)
    sp, tok = with_bytes()
    write("unigram-bytes", tok, sp)
    tiny()
    write_random()
