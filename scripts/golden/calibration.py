"""Makes test/golden/calibration: Beta mixture fits and special functions by numpy and scipy.

Made with: Python 3.11, numpy 2.4.6, scipy 1.17.1 (pip install numpy==2.4.6 scipy==1.17.1).
Run: python scripts/golden/calibration.py
"""
import gzip, json, os
import numpy as np
import scipy
from scipy import special, stats

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../test/golden/calibration")
CLAMP = 1e-4
ZETA, LOW, HIGH = 0.4, 0.3, 0.9


def dump(name, obj, rows=None):
    """One gzipped JSON file, the same bytes at every run; `rows` names a list that gets one line an item."""
    if rows is None:
        text = json.dumps(obj, allow_nan=False)
    else:
        items = obj.pop(rows)
        text = json.dumps(obj, allow_nan=False)[:-1] + (", " if obj else "") + f'"{rows}": [\n' + ",\n".join(json.dumps(x, allow_nan=False) for x in items) + "\n]}"
    with open(f"{OUT}/{name}.gz", "wb") as file, gzip.GzipFile("", "wb", 9, file, 0) as zipped:
        zipped.write((text + "\n").encode())


# ---------------------------------------------------------------- the mixture
class Mixture:
    def __init__(self):
        self.alpha, self.beta, self.weight = np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.5, 0.5])

    def log_joint(self, c, weight):
        return np.log(weight)[:, None] + stats.beta.logpdf(c[None, :], self.alpha[:, None], self.beta[:, None])

    def posterior(self, c, weight):
        j = self.log_joint(np.clip(c, CLAMP, 1 - CLAMP), weight)
        return np.exp(j - special.logsumexp(j, axis=0))

    def log_likelihood(self, c):
        return float(special.logsumexp(self.log_joint(c, self.weight), axis=0).sum())

    def step(self, c, agree, w):
        label = np.stack([agree == 0, agree == 1]).astype(float)
        r = (1 - w) * self.posterior(c, self.weight) + w * label
        total = r.sum(1)
        m = (r * c).sum(1) / total
        v = (r * (c - m[:, None]) ** 2).sum(1) / total
        self.alpha = m * (m * (1 - m) / v - 1)
        self.beta = self.alpha * (1 - m) / m
        self.weight = total / total.sum()

    def threshold(self, weight):
        """Smallest t in [LOW, HIGH] with posterior_1(c) >= ZETA for all c in [t, HIGH]; None if it fails at HIGH itself.

        Fine grid from the top down for the last failing point, then bisection. The grid is fine enough that no
        crossing is missed: the log odds of two Beta densities have at most two roots in (0, 1).
        """
        f = lambda c: self.posterior(np.atleast_1d(np.asarray(c, float)), weight)[1] - ZETA
        grid = np.linspace(LOW, HIGH, 600001)
        bad = np.nonzero(f(grid) < 0)[0]
        if len(bad) == 0:
            return LOW
        if bad[-1] == len(grid) - 1:
            return None
        a, b = grid[bad[-1]], grid[bad[-1] + 1]
        for _ in range(60):
            mid = (a + b) / 2
            a, b = (mid, b) if f(mid)[0] < 0 else (a, mid)
        return float(b)

    def state(self, c):
        return dict(alpha=self.alpha.tolist(), beta=self.beta.tolist(), weight=self.weight.tolist(), logLikelihood=self.log_likelihood(c))


def datasets():
    rng = np.random.default_rng(20231206)

    def mix(n, share, a0, b0, a1, b1):
        agree = (rng.random(n) < share).astype(int)
        c = np.where(agree == 1, rng.beta(a1, b1, n), rng.beta(a0, b0, n))
        return np.round(c, 6), agree

    yield "separated", *mix(200, 0.6, 2, 8, 9, 2)
    yield "overlapping", *mix(200, 0.5, 2, 3, 3, 2)
    yield "ninety-percent-agree", *mix(300, 0.9, 2, 4, 4, 1.5)
    yield "tiny", np.array([0.05, 0.2, 0.35, 0.5, 0.55, 0.7, 0.85, 0.95]), np.array([0, 0, 1, 0, 1, 1, 0, 1])
    yield "u-shaped", *mix(200, 0.5, 0.4, 0.9, 0.9, 0.4)
    c, a = mix(200, 0.8, 1.5, 2, 5, 1)
    sat = rng.random(200) < 0.6
    c = np.where(sat & (a == 1), np.round(1 - rng.random(200) * 9e-4, 9), c)
    yield "saturated", c, a
    c, a = mix(150, 0.6, 3, 6, 6, 3)
    yield "labels-reversed", c, 1 - a  # high confidence goes with disagreement: components come out in the wrong order
    yield "exact-zeros-and-ones", np.concatenate([np.round(rng.beta(2, 2, 60), 6), [0.0] * 6, [1.0] * 14]), np.concatenate([rng.integers(0, 2, 60), [0] * 6, [1] * 14])
    yield "narrow", *mix(120, 0.5, 300, 350, 350, 300)  # large alphas


def fits():
    data, out = [], []
    for name, raw, agree in datasets():
        data.append(dict(name=name, confidence=raw.tolist(), agree=agree.astype(int).tolist()))
        c = np.clip(raw, CLAMP, 1 - CLAMP)
        for w in (0.0, 0.2, 1.0):
            for n in (10, 50):
                m, first = Mixture(), []
                start = m.state(c)
                for i in range(n):
                    m.step(c, agree, w)
                    if i < 3:
                        first.append(m.state(c))
                assert np.isfinite(m.alpha).all() and np.isfinite(m.beta).all() and (m.alpha > 0).all() and (m.beta > 0).all(), (name, w, m.alpha, m.beta)
                grid, equal = np.linspace(0, 1, 101), np.array([0.5, 0.5])
                out.append(dict(dataset=name, labelWeight=w, iterations=n, start=start, first=first, end=m.state(c),
                                posteriorEqualPrior=m.posterior(grid, equal)[1].tolist(), posteriorMixturePrior=m.posterior(grid, m.weight)[1].tolist(),
                                thresholdEqualPrior=m.threshold(equal), thresholdMixturePrior=m.threshold(m.weight)))
    degenerate = [dict(name="all-agree", confidence=[0.3, 0.6, 0.7, 0.9], agree=[1, 1, 1, 1]), dict(name="none-agree", confidence=[0.3, 0.6, 0.7, 0.9], agree=[0, 0, 0, 0]),
                  dict(name="same-confidence", confidence=[0.5] * 6, agree=[0, 1, 0, 1, 1, 0]), dict(name="all-one", confidence=[1.0] * 5, agree=[1, 1, 0, 1, 1]),
                  dict(name="one-point", confidence=[0.7], agree=[1]), dict(name="empty", confidence=[], agree=[])]
    dump("beta-mixture.json", dict(clamp=CLAMP, zeta=ZETA, low=LOW, high=HIGH, numpy=np.__version__, scipy=scipy.__version__, datasets=data, degenerate=degenerate, fits=out), "fits")
    return len(out), len(data)


# ---------------------------------------------------------------- special functions
def special_functions():
    x = np.unique(np.concatenate([10.0 ** np.linspace(-6, 6, 61), np.linspace(0.05, 4, 80), [0.5, 1, 1.5, 2, 2.5, 3, 10, 100, 170.5, 1000, 1.4616321449683623]]))
    unary = [[float(t), float(special.gammaln(t)), float(special.digamma(t))] for t in x]
    ab = [0.01, 0.1, 0.5, 0.9, 1, 1.5, 2, 3.7, 10, 55.5, 300, 2500]
    logbeta = [[a, b, float(special.betaln(a, b))] for a in ab for b in ab]
    points = [1e-4, 0.001, 0.01, 0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 0.95, 0.99, 0.999, 1 - 1e-4]
    beta = [[a, b, p, float(stats.beta.pdf(p, a, b)), float(stats.beta.logpdf(p, a, b)), float(stats.beta.cdf(p, a, b))] for a in ab for b in ab for p in points]
    dump("special.json", dict(scipy=scipy.__version__, unaryColumns=["x", "lgamma", "digamma"], unary=unary, logBetaColumns=["a", "b", "logBeta"], logBeta=logbeta,
                              betaColumns=["a", "b", "x", "pdf", "logpdf", "cdf"], beta=beta), "beta")
    return len(unary), len(logbeta), len(beta)


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    print("fits, datasets", fits())
    print("unary, logbeta, beta", special_functions())
