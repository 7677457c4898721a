"""Makes the unigram-* folders of test/golden/tokenizers: SentencePiece models trained on corpus.txt and templated lines,
their tokenizer.json in the layouts of transformers 5 and 4, and cases with both libraries' results. Nothing is downloaded.

Made with: Python 3.11, sentencepiece 0.2.3, tokenizers 0.23.3, transformers 5.23.0.
Run: python scripts/golden/tokenizers_sentencepiece.py
"""
import gzip, io, json, os, random
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


if __name__ == "__main__":
    sp, today, older = t5()
    write("unigram-t5", today, sp)
    write("unigram-t5-converter4", older, sp)
    sp, tok = with_bytes()
    write("unigram-bytes", tok, sp)
