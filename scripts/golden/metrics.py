"""Makes the vectors of test/golden/metrics from own short texts (below), generated damage to them, and traps.

Made with: Python 3.11, rouge-score 0.1.2, nltk 3.10.4 (its PorterStemmer in the default NLTK_EXTENSIONS mode), sacrebleu 2.6.0, numpy 2.4.6.
Run: python scripts/golden/metrics.py      (writes into test/golden/metrics; files over 100 kB gzipped)
"""
import collections, gzip, importlib.metadata, itertools, json, logging, os, random, re, string
import numpy as np
from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it warns about sentence BLEU without effective order, which is wanted here
OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "golden", "metrics")
VERSIONS = {p: importlib.metadata.version(p) for p in ("rouge-score", "nltk", "sacrebleu", "numpy")}

# ---------------------------------------------------------------- texts
SENTENCES = """The river was quiet in the morning, and nobody came to the bridge.
She opened the window and listened to the rain for a long time.
A small dog carried a red ball across the wet grass.
Prices rose by 3.5% to $1,204.99 in the second quarter of 2021.
It's a well-known fact that state-of-the-art models aren't always faster.
"Have you seen my keys?" he asked; "I left them here yesterday."
The committee met on Tuesday (the 3rd) and decided to repair the roof.
Running, runner, runs, ran: the same verb in many shapes.
After the storm, the fishermen repaired their nets and talked about the wind.
The U.S. team won 10-3 at 7:45 p.m., as Mr. Smith had expected.
Der kleine Hund läuft über die Straße, und niemand weiß, warum.
La petite maison près de l'église était très belle à Noël.
Утром река была тихой, и никто не пришёл к мосту.
早上河很安静，没有人来到桥边。
Early exits make most tokens cheap; only the hard ones need all the layers.
Two plus two is four, four plus four is eight, eight plus eight is sixteen.
He generalized the national organizations' relational operators conditionally.
The happiest babies were crying loudly while the dying embers died quietly.
Email anna@example.org before 31/12/2024, or call +49 30 1234567 &amp; ask.
A/B tests show <b>bold</b> claims & "quoted" ones -- mostly noise...""".split("\n")

FIXED = [  # (candidate, reference)
    ("", ""), ("", "the cat"), ("the cat", ""), (" ", " "), ("   ", "the cat"), ("\n", "\n"), ("the cat", "the cat"), ("The Cat", "the cat"), ("the cat.", "the cat"), ("cat the", "the cat"),
    ("a", "a"), ("a", "b"), ("a b", "a b"), ("a b c", "a b c d e f"), ("the the the the", "the cat the dog"), ("the the the the the the the", "the cat is on the mat"),
    ("the cat is on the mat", "there is a cat on the mat"), ("police killed the gunman", "police kill the gunman"), ("the gunman kill police", "police killed the gunman"),
    ("...", "..."), ("!!!", "???"), (".", ""), ("-", "-"), ("a-b", "a b"), ("a - b", "a-b"), ("don't", "do n't"), ("don't", "don’t"), ("3.5", "3.5"), ("3.5", "3 . 5"), ("1,000", "1000"), ("1,000,000", "1 000 000"),
    ("10-3", "10 - 3"), ("$5", "5$"), ("50%", "50 %"), ("U.S.A.", "USA"), ("e.g. this", "eg this"), ("a.b", "a . b"), ("x,y", "x , y"), ("5,", "5"), (",5", "5"), ("(a)", "( a )"), ("a&b", "a &amp; b"), ("&lt;a&gt;", "<a>"), ("&quot;hi&quot;", '"hi"'),
    ("<skipped> a b", "a b"), ("new-\nline", "newline"), ("new\nline", "new line"), ("tab\tbed", "tab bed"), ("nbsp\u00a0here", "nbsp here"), ("wide\u3000space", "wide space"), ("zero\u200bwidth", "zerowidth"),
    ("Größe", "Grösse"), ("café", "cafe\u0301"), ("naïve café", "naive cafe"), ("ÉCOLE", "école"), ("İstanbul", "istanbul"), ("ﬁnd", "find"), ("Ⅳ", "IV"), ("１２３", "123"), ("２", "２"), ("x²", "x2"), ("ß", "ss"), ("ſ", "s"), ("\u212a", "k"),
    ("早上好", "早上"), ("早上好。", "早上好"), ("日本語のテスト", "日本語テスト"), ("привет мир", "привет, мир"), ("γεια σου", "γεια"), ("مرحبا", "مرحبا بك"), ("😀", "😀"), ("😀 party", "party 😀"), ("👩‍💻", "👩"), ("a😀b", "a b"),
    ("first sentence.\nsecond sentence.", "second sentence.\nfirst sentence."), ("first sentence. second sentence.", "first sentence.\nsecond sentence."), ("a b\nc d\ne f", "a b\n\nc d\n"), ("\n\na b\n\n", "a b"), ("one two three\nfour five", "four five\nthree two one"),
    ("the cat sat\nthe cat sat", "the cat sat"), ("the cat sat", "the cat sat\nthe cat sat"), ("w1 w2 w3 w4 w5", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5"), ("a a a b\nb b a", "a b a b\nb a"), ("x\r\ny", "x\ny"),
    ("running runs runner", "run ran running"), ("happily happiness happy", "happy happier happiest"), ("the dogs were barking", "the dog was barking"), ("generalization generalizations", "general generalize"), ("dying ties lying", "die tie lie"),
    ("word " * 300, "word " * 250), ("alpha beta gamma delta " * 60, "delta gamma beta alpha " * 55), ("x" * 500, "x" * 499), ("a" * 3, "a" * 4), ("snake_case_name", "snake case name"), ("camelCase", "camel case"),
]


def pairs():
    rng = random.Random(17)
    out = list(FIXED)
    for s in SENTENCES:
        out.append((s, s))
    while len(out) < 240:
        s = rng.choice(SENTENCES)
        words = s.split(" ")
        for _ in range(rng.randint(1, 4)):
            k, i = rng.randint(0, 5), rng.randrange(len(words))
            if k == 0 and len(words) > 2:
                del words[i]
            elif k == 1:
                words.insert(i, rng.choice(rng.choice(SENTENCES).split(" ")))
            elif k == 2:
                j = rng.randrange(len(words))
                words[i], words[j] = words[j], words[i]
            elif k == 3:
                words[i] = words[i].upper() if rng.random() < 0.5 else words[i].strip(".,;:!?\"")
            elif k == 4:
                words[i] = words[i] + "\n"
            else:
                words = words[: max(1, len(words) - 3)]
        c = " ".join(words)
        out.append((c, s if rng.random() < 0.8 else s + "\n" + rng.choice(SENTENCES)))
    return list(dict.fromkeys(out))


def dump(name, head, **lists):
    text = json.dumps(head)[:-1]
    for k, items in lists.items():
        text += f',\n"{k}": [\n' + ",\n".join(json.dumps(x, separators=(",", ":"), allow_nan=False) for x in items) + "\n]"
    data = (text + "}\n").encode()
    if len(data) > 100_000:
        open(f"{OUT}/{name}.gz", "wb").write(gzip.compress(data, 9, mtime=0))
    else:
        open(f"{OUT}/{name}", "wb").write(data)
    print(name, {k: len(v) for k, v in lists.items()})


ENDS = ["", "s", "es", "ed", "ing", "ly", "er", "est", "ness", "ful", "ization", "izer", "ational", "tional", "iveness", "fulness", "ousness", "alism", "ality", "ivity", "bility", "icate", "ative", "alize", "iciti", "ical", "ment", "ement", "able", "ible", "ance", "ence", "ant", "ent", "ion", "ism", "ate", "iti", "ous", "ive", "ize", "eed", "ies", "ied", "ying", "logy", "logi", "y", "'s", "abli", "bli", "entli", "eli", "ousli"]  # of words, for the stemmer


# ---------------------------------------------------------------- ROUGE
TYPES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def rouge():
    plain, stem = (rouge_scorer.RougeScorer(TYPES, use_stemmer=b) for b in (False, True))
    flat = lambda s: {k: [float(s[k].precision), float(s[k].recall), float(s[k].fmeasure)] for k in TYPES}
    ps, rows, multi = pairs(), [], []
    for c, r in ps:
        rows.append(dict(candidate=c, reference=r, plain=flat(plain.score(r, c)), stemmed=flat(stem.score(r, c))))
    mean = {m: {k: np.mean([row[m][k] for row in rows], 0).tolist() for k in TYPES} for m in ("plain", "stemmed")}
    rng = random.Random(23)
    for _ in range(60):
        c, r = rng.choice(ps)
        refs = [r] + [rng.choice(ps)[1] for _ in range(rng.randint(1, 2))]
        rng.shuffle(refs)
        multi.append(dict(candidate=c, references=refs, plain=flat(plain.score_multi(refs, c)), stemmed=flat(stem.score_multi(refs, c))))
    dump("rouge.json", dict(versions=VERSIONS, order=["precision", "recall", "fmeasure"], mean=mean), pairs=rows, multi=multi)
    return rows


# ---------------------------------------------------------------- BLEU, chrF
def bleu_chrf():
    rng, ps = random.Random(29), pairs()
    segments = []
    for c, r in ps:
        refs = [r] + [" ".join(w for w in r.split(" ") if rng.random() < 0.8) for _ in range(rng.randint(0, 2))]
        segments.append((c, refs))

    def score(s):
        return dict(score=s.score, counts=list(map(int, s.counts)), totals=list(map(int, s.totals)), precisions=list(map(float, s.precisions)), bp=s.bp, sysLen=int(s.sys_len), refLen=int(s.ref_len))

    tokenizers = ("13a", "intl", "char")
    sent = {t: BLEU(tokenize=t, effective_order=True) for t in tokenizers}
    plain = BLEU(tokenize="13a", effective_order=False)
    lower = BLEU(tokenize="13a", effective_order=True, lowercase=True)
    floor, addk, none = (BLEU(tokenize="13a", effective_order=True, smooth_method=m) for m in ("floor", "add-k", "none"))
    chrf, chrfpp = CHRF(), CHRF(word_order=2)
    rows = []
    for c, refs in segments:
        rows.append(dict(candidate=c, references=refs, tokens13a=sent["13a"].tokenizer(c.rstrip()), tokensIntl=sent["intl"].tokenizer(c.rstrip()),
                         bleu={t: score(sent[t].sentence_score(c, refs)) for t in tokenizers}, bleuNoEffectiveOrder=plain.sentence_score(c, refs).score,
                         bleuLowercase=lower.sentence_score(c, refs).score, bleuSmooth={"floor": floor.sentence_score(c, refs).score, "add-k": addk.sentence_score(c, refs).score, "none": none.sentence_score(c, refs).score},
                         chrf=chrf.sentence_score(c, refs).score, chrfpp=chrfpp.sentence_score(c, refs).score))
    corpora = []
    groups = {n: [i for i, (c, r) in enumerate(segments) if len(r) == n] for n in (1, 2, 3)}
    for n, group in groups.items():
        for size in (len(group), 20, 5, 2, 1):
            idx = sorted(rng.sample(group, min(size, len(group))))
            cand, streams = [segments[i][0] for i in idx], [[segments[i][1][k] for i in idx] for k in range(n)]
            row = dict(numReferences=n, segments=idx)
            for t in tokenizers:
                m = BLEU(tokenize=t)
                row[f"bleu-{t}"] = {**score(m.corpus_score(cand, streams)), "signature": str(m.get_signature())}
            for k, m in (("chrf", CHRF()), ("chrfpp", CHRF(word_order=2))):
                row[k] = {"score": m.corpus_score(cand, streams).score, "signature": str(m.get_signature())}
            corpora.append(row)
    # a varying number of references a segment: sacrebleu takes None in the later streams
    idx = list(range(0, len(segments), 7))
    m = BLEU()
    streams = [[segments[i][1][k] if k < len(segments[i][1]) else None for i in idx] for k in range(3)]
    corpora.append({"numReferences": "varying", "segments": idx, "bleu-13a": {**score(m.corpus_score([segments[i][0] for i in idx], streams)), "signature": str(m.get_signature())}})
    dump("bleu-chrf.json", dict(versions=VERSIONS), segments=rows, corpora=corpora)


# ---------------------------------------------------------------- SQuAD
def normalize_answer(s):
    """The official SQuAD v1.1 / v2.0 normalisation: lower, punctuation, articles, white space."""
    s = "".join(ch for ch in s.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", s).split())


def squad_f1(gold, pred, v2):
    g, p = normalize_answer(gold).split(), normalize_answer(pred).split()
    if v2 and (not g or not p):
        return float(g == p)
    same = sum((collections.Counter(g) & collections.Counter(p)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(p), same / len(g)
    return 2 * precision * recall / (precision + recall)


def squad():
    rng = random.Random(31)
    fixed = [("the cat", ["cat"]), ("a", ["an"]), ("the", [""]), ("", [""]), ("", ["x"]), ("x", [""]), ("The U.S.A.", ["USA", "U S A"]), ("3,5", ["35"]), ("an apple a day", ["apple day"]), ("theater", ["the ater"]), ("A-B", ["AB"]),
             ("«quoted»", ["quoted"]), ("don’t", ["dont"]), ("don't", ["dont"]), ("  spaced   out ", ["spaced out"]), ("the a an", ["an the"]), ("Anna's book", ["annas book", "book"]), ("$5", ["5"]), ("5€", ["5"]), ("naïve", ["naive"]), ("ÉCOLE", ["école"]),
             ("the-cat", ["cat"]), ("a_b", ["ab"]), ("thé", ["th"]), ("the\ncat", ["cat"]), ("cat\u00a0dog", ["cat dog"]), ("cat cat dog", ["cat dog dog"]), ("İ", ["i"]), ("ẞ", ["ß"]), ("in the 1990s", ["1990s", "the 1990s", "in 1990"]), ("早上 好", ["早上好", "早上"])]
    cases = fixed + [(c, [r] + [rng.choice(SENTENCES) for _ in range(rng.randint(0, 3))]) for c, r in pairs()]
    rows = [dict(prediction=p, golds=g, normalized=normalize_answer(p), exact=max(int(normalize_answer(x) == normalize_answer(p)) for x in g),
                 f1=max(squad_f1(x, p, False) for x in g), f1v2=max(squad_f1(x, p, True) for x in g)) for p, g in cases]
    total = dict(exactMatch=100 * sum(r["exact"] for r in rows) / len(rows), f1=100 * sum(r["f1"] for r in rows) / len(rows), f1v2=100 * sum(r["f1v2"] for r in rows) / len(rows))
    dump("squad.json", dict(total=total), cases=rows)


# ---------------------------------------------------------------- Porter
def porter():
    roots = """general nation relate condition operate organ happy cry die lie tie vie fly try agree feed plaster motor sing hop tan fall hiss fizz fail file conflate troubl size sky say day play news proceed exceed succeed inning outing canning howe
    caress pony cat bleed bled digit radical vile analog feudal decisive hopeful callous formal sensitive sensible triplic electric good revive allow infer airline gyroscope adjust defense irritate replace dependent adopt commun active angular homolog effect bowdler
    probate rate cease control roll connect argue oscillate valency hesitancy conform vietnam predict decide adapt comput univers archaeolog biolog geolog gener enjoy obey donkey survey boy toy argu value queue league dialog early only ugly lovely friend""".split()
    ends = ENDS
    words = "skies dying lying tying news innings outings cannings howe proceed exceed succeed sky dyed ties dies lies cries flies spied tied vying sses ss s ies y yy ay by cyclic syzygy yes youth aaa bbb ab abc abcd oed oing eed agreed feed bleed".split()
    words += ["a", "is", "was", "the", "2021", "3rd", "1990s", "10th", "x86", "abc123s", "generalizations", "oscillators", "internationalization", "antidisestablishmentarianism", "supercalifragilisticexpialidocious", "rrr", "eee", "sssss", "ingly", "edly"]
    rng = random.Random(37)
    made = [r + e for r in roots for e in ends if "'" not in e]
    words = list(dict.fromkeys(words + [r for r in roots] + rng.sample(made, 620)))
    stemmer, scorer = PorterStemmer(), rouge_scorer.RougeScorer(["rouge1"], use_stemmer=True)
    rows = []
    for w in words:
        used = scorer._tokenizer.tokenize(w)  # rouge-score stems only words of more than three characters
        rows.append([w, stemmer.stem(w), used[0] if used else ""])
    dump("porter.json", dict(versions=VERSIONS, columns=["word", "nltkStem", "rougeToken"]), words=rows)
    toks = [dict(text=c, plain=rouge_scorer.RougeScorer(["rouge1"])._tokenizer.tokenize(c), stemmed=scorer._tokenizer.tokenize(c)) for c, _ in pairs()]
    dump("rouge-tokens.json", dict(versions=VERSIONS), texts=toks)


# ---------------------------------------------------------------- paired bootstrap
def exact_shares(d):
    """All resamples of a small set: exact shares of mean <= 0 and mean < 0 (means rounded to 1e-12, so that ties are ties)."""
    means = np.array([sum(x) / len(d) for x in itertools.product(d, repeat=len(d))]).round(12)
    return dict(resamples=len(means), shareNotBetter=float(np.mean(means <= 0)), shareWorse=float(np.mean(means < 0)))


def bootstrap(rows):
    """Inputs, exact statistics, and intervals wide enough for any honest generator: 4 * 50000 reference resamples."""
    rng, out = np.random.default_rng(41), []
    f = np.array([r["plain"]["rouge1"][2] for r in rows])
    worse = np.clip(f - rng.random(len(f)) * 0.06, 0, 1)
    equal = f[rng.permutation(len(f))]
    exact = (rng.random(120) < 0.6).astype(float), (rng.random(120) < 0.5).astype(float)
    small = np.array([0.1, 0.5, 0.4, 0.9, 0.3]), np.array([0.2, 0.4, 0.4, 0.7, 0.1])
    for name, a, b in (("clearly-better", f, worse), ("shuffled", f, equal), ("exact-match", *exact), ("five-items", *small), ("identical", f, f)):
        d, stats = a - b, []
        for _ in range(4):
            means = np.concatenate([d[rng.integers(0, len(d), (2000, len(d)))].mean(1) for _ in range(25)]).round(12)
            stats.append([np.mean(means <= 0), np.mean(means < 0), *np.percentile(means, [2.5, 97.5])])
        s, spread = np.mean(stats, 0), float(d.std() / np.sqrt(len(d)))
        out.append(dict(name=name, a=a.round(12).tolist(), b=b.round(12).tolist(), n=len(d), meanA=float(a.mean()), meanB=float(b.mean()), meanDifference=float(d.mean()), standardError=spread,
                        shareNotBetter=float(s[0]), shareWorse=float(s[1]), low95=float(s[2]), high95=float(s[3]),
                        exact=exact_shares(d) if len(d) < 7 else None, tolerance=dict(samples=1000, share=0.06, interval=0.25 * spread + 1e-12)))
    dump("bootstrap.json", dict(note="share* = share of resamples whose mean difference a-b is <= 0 / < 0; with 1000 resamples a test should allow `tolerance`"), cases=out)


# ---------------------------------------------------------------- traps
def traps():
    """Random strings of what implementations get wrong, under settings that the other files leave out."""
    rng = random.Random(43)
    pieces = list("aAbBzß.,-'&(/\\^_~$€°«»¡0129½²५") + ["\x1c", "\x1f", "\x85", "\ufeff", "\u180e", "\u200b", "\xa0", "\u3000", "\r", "\n", "\t", " ", " ", " ", "-\n", "-\r\n"]
    pieces += ["the", "a", "an", "The ", " cat", "Cat", "running", "&amp;", "&amp;lt;", "&quot;", "<skipped>", "Σ", "ΑΣ", "İ", "\u212a", "é", "e\u0301", "\U0001f600", "\U0001d7ce", "早", "。", "ａ", "ʼ", "３.5", "1,5", "x."]
    text = lambda: "".join(rng.choice(pieces) for _ in range(rng.randint(0, 24)))

    def damage(s):
        i, j = sorted((rng.randint(0, len(s)), rng.randint(0, len(s))))
        return s[:i] + (rng.choice(pieces) if rng.random() < 0.7 else s[i:j].upper()) + s[j if rng.random() < 0.5 else i :]

    bleus = {f"{t}|{m}|{'lc' if lc else 'mixed'}|{'yes' if e else 'no'}": BLEU(tokenize=t, smooth_method=m, lowercase=lc, effective_order=e)
             for t in ("13a", "intl", "char") for m in ("exp", "floor", "add-k", "none") for lc in (False, True) for e in (False, True)}
    bleus["13a|floor|mixed|no|0.5"] = BLEU(smooth_method="floor", smooth_value=0.5)
    bleus["13a|add-k|mixed|yes|0.25"] = BLEU(smooth_method="add-k", smooth_value=0.25, effective_order=True)
    chrfs = {f"{c}|{w}|{b}|{'lc' if lc else 'mixed'}": CHRF(char_order=c, word_order=w, beta=b, lowercase=lc) for c, w, b, lc in ((6, 0, 2, False), (6, 2, 2, False), (6, 0, 2, True), (6, 2, 2, True), (4, 1, 1, False), (6, 2, 3, True))}
    plain, stem = (rouge_scorer.RougeScorer(TYPES, use_stemmer=b) for b in (False, True))
    segments, corpora = [], []
    for _ in range(300):
        c = text()
        refs = [damage(c) if rng.random() < 0.8 else text() for _ in range(rng.choice((1, 2)))]
        row = dict(candidate=c, references=refs, tokens={t: " ".join(bleus[f"{t}|exp|mixed|no"]._preprocess_segment(c).split()) for t in ("13a", "intl", "char")}, normalized=normalize_answer(c))
        row["rouge"] = {k: {t: s.score_multi(refs, c)[t].fmeasure for t in TYPES} for k, s in (("plain", plain), ("stemmed", stem))}
        row["exact"], row["f1"], row["f1v2"] = (max(f(r) for r in refs) for f in (lambda r: int(normalize_answer(r) == normalize_answer(c)), lambda r: squad_f1(r, c, False), lambda r: squad_f1(r, c, True)))
        row["bleu"] = {k: m.sentence_score(c, refs).score for k, m in bleus.items() if len(segments) % 10 == 0 or k.endswith("lc|yes")}
        row["chrf"] = {k: m.sentence_score(c, refs).score for k, m in chrfs.items()}
        segments.append(row)
    for size in (2, 5, 40, 300):
        idx = sorted(rng.sample(range(300), size))
        cand, streams = [segments[i]["candidate"] for i in idx], [[segments[i]["references"][k] if k < len(segments[i]["references"]) else None for i in idx] for k in (0, 1)]
        row = dict(segments=idx)
        for kind, metrics in (("bleu", bleus), ("chrf", chrfs)):
            row[kind] = {k: [m.corpus_score(cand, streams).score, str(m.get_signature())] for k, m in metrics.items()}
        corpora.append(row)
    stems = ["".join(rng.choice(("a", "e", "i", "o", "u", "y", "b", "l", "s", "t", "z", "w", "x", "g", "n", "1")) for _ in range(rng.randint(0, 5))) + rng.choice(ENDS) + rng.choice(("", "", "s", "ed", "ing", "ly", "li", "e")) for _ in range(3000)]
    stemmer = PorterStemmer()
    dump("traps.json", dict(versions=VERSIONS), segments=segments, corpora=corpora, stems=[[w, stemmer.stem(w)] for w in dict.fromkeys(stems)])


if __name__ == "__main__":
    rows = rouge()
    bleu_chrf()
    squad()
    porter()
    bootstrap(rows)
    traps()
