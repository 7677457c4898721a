"""Makes the cases of test/golden/tokenizers from corpus.txt (own text) and templates. Nothing is downloaded.

Made with: Python 3.11, tokenizers 0.23.3.
Run: npx tsx scripts/golden/trainTokenizers.ts && python scripts/golden/tokenizer_vectors.py
With --train also the bpe-* tokenizers anew; the library's choice among equally rare characters differs from run to run.
"""
import gzip, json, os, random, sys
import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "golden", "tokenizers")


# ---------------------------------------------------------------- text
def templated():
    """Generated sentences, so that the vocabulary sees words more than once."""
    rng = random.Random(3)
    parts = [
        (["The teacher", "A sailor", "My sister", "The old doctor", "Nobody", "Every student"], ["wrote", "found", "translated", "forgot", "counted", "sold"],
         ["a letter", "the map", "three books", "an answer", "the last bread", "nine words"], " ", "."),
        (["Der Lehrer", "Ein Seemann", "Meine Schwester", "Die alte Ärztin", "Niemand", "Jede Schülerin"], ["schrieb", "fand", "übersetzte", "vergaß", "zählte", "verkaufte"],
         ["einen Brief", "die Karte", "drei Bücher", "eine Antwort", "das letzte Brot", "neun Wörter"], " ", "."),
        (["Le professeur", "Un marin", "Ma sœur", "La vieille médecin", "L'élève"], ["a écrit", "a trouvé", "a traduit", "a oublié", "a compté"],
         ["une lettre", "la carte", "trois livres", "une réponse", "le dernier pain"], " ", " !"),
        (["Учитель", "Моряк", "Сестра", "Старый врач"], ["нашёл", "перевёл", "забыл", "считает"], ["письмо", "карту", "три книги", "ответ"], " ", "."),
        (["Ο δάσκαλος", "Η αδερφή μου", "Ο γιατρός"], ["έγραψε", "βρήκε", "ξέχασε"], ["ένα γράμμα", "τον χάρτη", "τρία βιβλία"], " ", "."),
        (["المعلم", "البحار", "أختي"], ["كتب", "وجد", "نسي"], ["رسالة", "الخريطة", "ثلاثة كتب"], " ", "."),
        (["老师", "水手", "我的姐姐", "老医生"], ["写了", "找到了", "翻译了", "忘记了"], ["一封信", "地图", "三本书", "答案"], "", "。"),
        (["先生は", "船乗りは", "姉は", "医者は"], ["手紙を", "地図を", "本を", "答えを"], ["書いた", "見つけた", "忘れた", "数えた"], "", "。"),
    ]
    out = []
    for subjects, verbs, objects, sep, end in parts:
        for _ in range(19):
            out.append(sep.join((rng.choice(subjects), rng.choice(verbs), rng.choice(objects))) + end)
    return out


def corpus():
    return [l.rstrip("\n") for l in open(f"{HERE}/corpus.txt", encoding="utf-8")] + templated()


def specials():
    return [
        "", " ", "  ", "   ", "\t", "\n", " \n ", "\u00a0", "\u3000", "a", " a", "a ", "  a  b  ", "\ta\tb\n", "a\n\nb", "a\r\nb", "hello", " hello", "hello ", "Hello", "HELLO",
        "hello  world", "hello   world", "hello\u00a0world", "hello\u3000world", "hello\u2003world", "hello\u200bworld", "hello\u200dworld", "hello\u2028world", "hello\ufeffworld", "\ufeffhello",
        "hello\u0000world", "hello\u0001\u0002world", "\u007f", "\u0085", "a\u00adb", "\x1b[31mred\x1b[0m", "\u202eabc\u202c",
        "e\u0301", "cafe\u0301", "café", "A\u030angstro\u0308m", "a\u0301\u0302\u0303\u0304\u0305", "n\u0303o", "\u0301", " \u0301a", "q\u0323\u0307", "\u1e9b\u0323", "각", "\u1100\u1161\u11a8", "が", "か\u3099", "ｶﾞ", "ﾊﾟﾊﾟ",
        "ＡＢＣ１２３", "ｆｕｌｌ", "Ａ", "！？", "～", "￥", "ﬁnd", "oﬃce", "ﬀ", "½", "1⁄2", "x²", "H₂O", "Ⅳ", "ⅷ", "①②③", "㈱", "㍿", "℡", "™", "©", "№", "…", "‥", "ǆ", "ß", "ẞ", "ſ", "İ", "ı", "µ", "Ω", "Å",
        "‘quoted’", "“quoted”", "„quoted“", "«quoted»", "a–b", "a—b", "a‑b", "a−b", "…", "don't", "don’t", "l'été", "l’été",
        "▁", "▁hello", "hello▁world", "▁▁", " ▁ ", "a▁", "</s>", "<pad>", "<unk>", "hello</s>", "hello </s> world", "<unk> and <pad>", "<s>", "<extra_id_0>", "<extra_id_99>", "<extra_id_100>",
        "The <extra_id_0> walks in <extra_id_1> park", "The<extra_id_0>walks", " <extra_id_0> ", "<extra_id_0><extra_id_1>", "<extra_id_5> <extra_id_6>", "<extra_id_0>.", "< extra_id_0 >", "<EXTRA_ID_0>",
        "<|endoftext|>", "a<|endoftext|>b", "<0x41>", "<0x00>", "<mask>", "[CLS]",
        "x" * 300, "ab" * 200, "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "supercalifragilisticexpialidocious", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ééééééééé", "的" * 50, "!" * 40, "0" * 64, ".,;:!?",
        "12345678901234567890", "3.14", "1,000,000", "1 000", "-1", "+49", "1e-6", "0x1F", "50%", "$5", "€5", "5€", "1st 2nd 3rd", "v1.2.3-beta.4", "192.168.0.1", "user@example.org", "https://example.org/a?b=c&d=e#f",
        "😀", "😀😀", "👍🏽", "👩‍💻", "👨‍👩‍👧‍👦", "🇩🇪", "❤️", "❤", "1️⃣", "🏳️‍🌈", "😀text", "text😀", " 😀 ", "\U0001f9ff", "\U00020000", "𝒳", "𝔘𝔫𝔦", "𠮷野家",
        "ᚠᚢᚦ", "ꙮ", "ሰላም", "გამარჯობა", "ՀԱՅ", "ᐃᓄᒃ", "བོད", "ကို", "ខ្មែរ", "\ue000", "\ufffd", "\uffff", "\U0010ffff", "unknown ᚠ rune", "ᚠ", "ᚠᚠ ᚠ", "aᚠb", "ᚠ a", "a ᚠ",
        "שלום עולם", "שָׁלוֹם", "مَرْحَبًا", "لا", "ﻻ", "नमस्ते", "क्षि", "สวัสดี", "กำ", "안녕하세요", "中文English混合", "日本語とEnglish", "ｱｲｳ", "がぎぐ", "ー", "、。", "（括弧）", "《书名》", "a\u0338", "≠", "=\u0338",
        "def f(x):\n    return x + 1\n", "\tif (a) {\n\t\tb();\n\t}", "a=b;c=d;", "camelCaseName snake_case_name kebab-case-name", "a/b\\c|d", "`code`", "~/.bashrc", "{{x}}", "[[y]]", "()", "<>", "&amp;", "a&b", "\\n", "\"", "'", "''", "\"\"",
        "translate English to German: The house is wonderful.", "summarize: a b c", "cola sentence: The the.", "stsb sentence1: a. sentence2: b.", "Hello, how are you?", "Hello,how are you ?", "end.", "end .", "word,word", "A.B.C.", "U.S.A.", "e.g., i.e.",
    ]


def mutated(lines):
    """Corpus lines with random damage: joined, cut, spaces doubled, characters swapped in from elsewhere."""
    rng = random.Random(11)
    strange = list("  \t\u00a0\u3000\u200b\u0301ａＺ１ﬁ½Ⅳ😀👍ᚠ的がßéЖΩ▁…’\u00ad") + ["</s>", "<extra_id_7>", "  ", "\n"]
    out = []
    for _ in range(90):
        s = rng.choice(lines)
        for _ in range(rng.randint(1, 3)):
            i = rng.randint(0, len(s))
            kind = rng.randint(0, 3)
            s = s[:i] + rng.choice(strange) + s[i:] if kind < 2 else s[:i] if kind == 2 and i > 5 else s + rng.choice(["", " "]) + rng.choice(lines)[: rng.randint(1, 30)]
        out.append(s)
    return out


def texts():
    lines, rng = corpus(), random.Random(5)
    hand = lines[:150]
    out = specials() + rng.sample(hand, 90) + rng.sample(lines[150:], 15) + mutated(hand)
    return list(dict.fromkeys(out))


# ---------------------------------------------------------------- tokenizers
def template(tok):
    return processors.TemplateProcessing(single=["$A", "</s>"], pair=["$A", "</s>", "$B", "</s>"], special_tokens=[("</s>", tok.token_to_id("</s>"))])


def bpe_bytes():
    """(c) GPT-2 like: byte-level BPE, no prefix space, no template."""
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1200, special_tokens=["<|endoftext|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    os.makedirs(f"{HERE}/bpe-bytelevel", exist_ok=True)
    tok.save(f"{HERE}/bpe-bytelevel/tokenizer.json")
    return tok


def bpe_metaspace():
    """(d) metaspace BPE with an unknown token and </s> at the end."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tok.normalizer = normalizers.NFKC()
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tok.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tok.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=1300, limit_alphabet=600, special_tokens=["<pad>", "</s>", "<unk>"], show_progress=False))
    tok.post_processor = template(tok)
    os.makedirs(f"{HERE}/bpe-metaspace", exist_ok=True)
    tok.save(f"{HERE}/bpe-metaspace/tokenizer.json")
    return tok


# ---------------------------------------------------------------- cases
def write(name):
    """cases.json.gz: ids and tokens with the post-processor (so </s> at the end where there is one)."""
    tok = Tokenizer.from_file(f"{HERE}/{name}/tokenizer.json")
    rows = []
    for text in texts():
        e = tok.encode(text)
        rows.append(dict(text=text, ids=e.ids, tokens=e.tokens, decodedSkip=tok.decode(e.ids, skip_special_tokens=True), decodedKeep=tok.decode(e.ids, skip_special_tokens=False)))
    rng, pool, pairs = random.Random(9), texts(), []
    for _ in range(25):
        a, b = rng.choice(pool), rng.choice(pool)
        e = tok.encode(a, b)
        pairs.append(dict(text=a, pair=b, ids=e.ids, tokens=e.tokens))
    ids_only, size = [], tok.get_vocab_size()
    for _ in range(25):  # decoding of arbitrary id sequences
        ids = [rng.randrange(size) for _ in range(rng.randint(1, 12))]
        ids_only.append(dict(ids=ids, decodedSkip=tok.decode(ids, skip_special_tokens=True), decodedKeep=tok.decode(ids, skip_special_tokens=False)))
    meta = dict(tokenizer=name, vocabSize=size, tokenizers=tokenizers.__version__, cases=len(rows))
    lines = lambda items: "[\n" + ",\n".join(json.dumps(x, separators=(",", ":")) for x in items) + "\n]"
    content = '{"meta": ' + json.dumps(meta) + ',\n"cases": ' + lines(rows) + ',\n"pairs": ' + lines(pairs) + ',\n"decode": ' + lines(ids_only) + "\n}\n"
    with open(f"{HERE}/{name}/cases.json.gz", "wb") as f:
        f.write(gzip.compress(content.encode(), 9, mtime=0))
    print(name, "vocab", size, "cases", len(rows))


if __name__ == "__main__":
    if "--train" in sys.argv:
        bpe_bytes()
        bpe_metaspace()
    for name in ("bpe-bytelevel", "bpe-metaspace", "trained-unigram", "trained-bpe"):
        write(name)
