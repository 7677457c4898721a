// Porter's stemmer ("An algorithm for suffix stripping", 1980) with the deviations that nltk's PorterStemmer makes in
// its default mode (NLTK_EXTENSIONS): a few irregular words, and gentler rules for short words, y, -alli, -logi.
// rouge-score stems with it.

/** Suffix, what takes its place, and the measure that the remaining stem must exceed. */
type Rule = readonly [suffix: string, replacement: string, measureAbove: number]

const IRREGULAR: ReadonlyMap<string, string> = new Map([
  ['skies', 'sky'],
  ['sky', 'sky'],
  ['dying', 'die'],
  ['lying', 'lie'],
  ['tying', 'tie'],
  ['news', 'news'],
  ['innings', 'inning'],
  ['inning', 'inning'],
  ['outings', 'outing'],
  ['outing', 'outing'],
  ['cannings', 'canning'],
  ['canning', 'canning'],
  ['howe', 'howe'],
  ['proceed', 'proceed'],
  ['exceed', 'exceed'],
  ['succeed', 'succeed'],
])

const STEP_1A: readonly Rule[] = [
  ['sses', 'ss', -1],
  ['ies', 'i', -1],
  ['ss', 'ss', -1],
  ['s', '', -1],
]

const STEP_2: readonly Rule[] = [
  ['ational', 'ate', 0],
  ['tional', 'tion', 0],
  ['enci', 'ence', 0],
  ['anci', 'ance', 0],
  ['izer', 'ize', 0],
  ['bli', 'ble', 0],
  ['entli', 'ent', 0],
  ['eli', 'e', 0],
  ['ousli', 'ous', 0],
  ['ization', 'ize', 0],
  ['ation', 'ate', 0],
  ['ator', 'ate', 0],
  ['alism', 'al', 0],
  ['iveness', 'ive', 0],
  ['fulness', 'ful', 0],
  ['ousness', 'ous', 0],
  ['aliti', 'al', 0],
  ['iviti', 'ive', 0],
  ['biliti', 'ble', 0],
  ['fulli', 'ful', 0],
]

const STEP_3: readonly Rule[] = [
  ['icate', 'ic', 0],
  ['ative', '', 0],
  ['alize', 'al', 0],
  ['iciti', 'ic', 0],
  ['ical', 'ic', 0],
  ['ful', '', 0],
  ['ness', '', 0],
]

/** Before `ion` only s or t goes, see {@link step4}; the order counts where one suffix ends another. */
const STEP_4: readonly Rule[] =
  'al ance ence er ic able ible ant ement ment ent ion ou ism ate iti ous ive ize'
    .split(' ')
    .map((suffix) => [suffix, '', 1])

/**
 * The stem of a word; words of one or two characters stay as they are.
 * (rouge-score stems only words of more than three characters, a rule of its own that is not applied here.)
 */
export function stemWord(word: string): string {
  const lower = word.toLowerCase()
  const irregular = IRREGULAR.get(lower)
  if (irregular !== undefined) return irregular
  if (lower.length <= 2) return lower
  return [step1a, step1b, step1c, step2, step3, step4, step5a, step5b].reduce(
    (stem, step) => step(stem),
    lower,
  )
}

/** Plurals. */
function step1a(word: string): string {
  if (word.length === 4 && word.endsWith('ies')) return word.slice(0, -1) // ties -> tie, but flies -> fli
  return applyRules(word, STEP_1A)
}

/** Past tenses and participles, with the stem repaired afterwards. */
function step1b(word: string): string {
  if (word.endsWith('ied')) return word.length === 4 ? word.slice(0, -1) : word.slice(0, -2)
  if (word.endsWith('eed')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word
  const suffix = ['ed', 'ing'].find(
    (ending) => word.endsWith(ending) && hasVowel(word.slice(0, -ending.length)),
  )
  if (suffix === undefined) return word
  const stem = word.slice(0, -suffix.length)
  if (/(?:at|bl|iz)$/.test(stem)) return `${stem}e`
  if (endsInDoubleConsonant(stem)) return /[lsz]$/.test(stem) ? stem : stem.slice(0, -1)
  return measure(stem) === 1 && endsInShortSyllable(stem) ? `${stem}e` : stem
}

/** A final y after a consonant, unless that is the whole stem: happy -> happi, enjoy and by stay. */
function step1c(word: string): string {
  if (!word.endsWith('y')) return word
  const isConsonant = consonants(word)
  return word.length > 2 && isConsonant[word.length - 2] ? `${word.slice(0, -1)}i` : word
}

function step2(word: string): string {
  if (word.endsWith('alli')) {
    // Goes before the other rules, and its result through them again.
    return measure(word.slice(0, -4)) > 0 ? step2(word.slice(0, -2)) : word
  }
  // The l counts for the stem here, so that geologi is cut although geo has measure 0.
  if (word.endsWith('logi')) return measure(word.slice(0, -3)) > 0 ? word.slice(0, -1) : word
  return applyRules(word, STEP_2)
}

function step3(word: string): string {
  return applyRules(word, STEP_3)
}

function step4(word: string): string {
  return word.endsWith('ion') && !/[st]ion$/.test(word) ? word : applyRules(word, STEP_4)
}

function step5a(word: string): string {
  if (!word.endsWith('e')) return word
  const stem = word.slice(0, -1)
  const m = measure(stem)
  return m > 1 || (m === 1 && !endsInShortSyllable(stem)) ? stem : word
}

function step5b(word: string): string {
  return word.endsWith('ll') && measure(word.slice(0, -1)) > 1 ? word.slice(0, -1) : word
}

/** The first rule whose suffix fits decides, even if its measure then forbids the change. */
function applyRules(word: string, rules: readonly Rule[]): string {
  const rule = rules.find(([suffix]) => word.endsWith(suffix))
  if (rule === undefined) return word
  const [suffix, replacement, measureAbove] = rule
  const stem = word.slice(0, word.length - suffix.length)
  return measure(stem) > measureAbove ? stem + replacement : word
}

/** For each character: is it a consonant? y is one at the start and after a vowel. Digits are. */
function consonants(word: string): boolean[] {
  const flags: boolean[] = []
  for (const character of word) {
    const isY = character === 'y'
    flags.push(isY ? flags.length === 0 || !flags[flags.length - 1] : !'aeiou'.includes(character))
  }
  return flags
}

/** Porter's m: how often a vowel is followed by a consonant. */
function measure(stem: string): number {
  const isConsonant = consonants(stem)
  return isConsonant.filter((flag, i) => i > 0 && flag && !isConsonant[i - 1]).length
}

function hasVowel(stem: string): boolean {
  return consonants(stem).includes(false)
}

function endsInDoubleConsonant(word: string): boolean {
  return word.length >= 2 && word.at(-1) === word.at(-2) && consonants(word).at(-1) === true
}

/** Porter's *o: consonant, vowel, consonant other than w, x, y; nltk adds words of just a vowel and a consonant. */
function endsInShortSyllable(word: string): boolean {
  const flags = consonants(word)
  if (word.length === 2) return !flags[0] && flags[1]
  return word.length > 2 && flags.at(-3) === true && flags.at(-2) === false && /[^aeiouwxy]$/.test(word)
}
