"""Makes test/golden/metrics/randomisation.json: two-sided p-values of paired exchanges by scipy, and of sacreBLEU's own
approximate randomisation of corpus BLEU over the segments of bleu-chrf.json.

Made with: Python 3.11, scipy 1.17.1, numpy 2.4.6, sacrebleu 2.6.0.
Run: python scripts/golden/randomisation.py      (after metrics.py, whose files it reads)
"""
import gzip, importlib.metadata, json, os
import numpy as np
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.significance import PairedTest
from scipy.stats import permutation_test

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "test", "golden", "metrics")
EXACT_ITEMS, TRIALS = 10, 100_000


def p_value(a, b, n):
    """Exact where all 2^n exchanges are no more than n."""
    statistic = lambda x, y, axis: np.mean(x - y, axis=axis)
    result = permutation_test((np.array(a), np.array(b)), statistic, permutation_type="samples", vectorized=True, n_resamples=n, alternative="two-sided", rng=np.random.default_rng(1))
    return float(result.pvalue)


cases = json.load(open(f"{OUT}/bootstrap.json"))["cases"]
means = []
for case in cases:
    n = min(EXACT_ITEMS, case["n"])
    # The last items: those at the beginning of two lists are equal texts.
    means.append({"name": case["name"], "items": n, "exact": p_value(case["a"][-n:], case["b"][-n:], 2**n), "all": p_value(case["a"], case["b"], TRIALS)})

segments = json.load(gzip.open(f"{OUT}/bleu-chrf.json.gz"))["segments"]
chosen = [i for i, s in enumerate(segments) if len(s["references"]) == 1 and len(s["candidate"].split()) >= 4][:60]
references = [segments[i]["references"][0] for i in chosen]
a = [segments[i]["candidate"] for i in chosen]
# b loses a word here and is right there, so that neither is clearly better.
b = [references[k] if k % 5 == 2 else text if k % 3 else " ".join(text.split()[:-1]) for k, text in enumerate(a)]
corpus = []
for name, metric in (("bleu", BLEU()), ("chrf++", CHRF(word_order=2))):
    shares = []
    for seed in range(5):
        os.environ["SACREBLEU_SEED"] = str(seed)
        metric.references = None
        test = PairedTest([("a", a), ("b", b)], {name: metric}, [references], test_type="ar", n_samples=20_000)
        _, scores = test()
        _, second = [values for key, values in scores.items() if key != "System"][0]
        shares.append(second.p_value)
    corpus.append({"name": name, "pValue": float(np.mean(shares))})

versions = {p: importlib.metadata.version(p) for p in ("scipy", "numpy", "sacrebleu")}
with open(f"{OUT}/randomisation.json", "w") as file:
    json.dump({"versions": versions, "trials": TRIALS, "means": means, "segments": chosen, "b": b, "corpus": corpus}, file, indent=1)
    file.write("\n")
