// Finds which strings of a set a text has at a position: pieces in a lattice, special tokens in a text.

/** Most code units of all strings together, so that a file cannot make the trie larger than memory. */
const MAX_NODES = 1 << 24

/**
 * A trie over UTF-16 code units in flat arrays. The children of a node stand side by side, ordered by their unit, so that a
 * step is a binary search, whatever strings a file chooses.
 */
export class PieceTrie {
  /** The children of node n are nodes `firstChild[n]` to `firstChild[n + 1]`; node 0 is the root. */
  private readonly firstChild: Int32Array
  private readonly unit: Uint16Array
  /** The value of the string that ends here, or -1. */
  private readonly value: Int32Array

  /**
   * @param entries strings with their values (0 or more); of equal strings the last counts, empty ones never match.
   * Throws RangeError where the strings are too long to be held.
   */
  constructor(entries: Iterable<readonly [text: string, value: number]>) {
    const values = new Map(entries)
    values.delete('')
    const sorted = [...values.keys()].sort()
    if (sorted.reduce((sum, text) => sum + text.length, 0) > MAX_NODES) {
      throw new RangeError(`expected pieces of at most ${MAX_NODES} code units together`)
    }
    // Nodes in breadth-first order; a node stands for the sorted strings [low, high), which share their first `depth` units.
    const low = [0]
    const high = [sorted.length]
    const depth = [0]
    const unit = [0]
    const value: number[] = []
    const firstChild: number[] = []
    for (let node = 0; node < low.length; node++) {
      let from = low[node]
      const end = high[node]
      const at = depth[node]
      const isString = from < end && sorted[from].length === at
      value.push(isString ? values.get(sorted[from++])! : -1)
      firstChild.push(low.length)
      while (from < end) {
        const next = sorted[from].charCodeAt(at)
        low.push(from)
        while (from < end && sorted[from].charCodeAt(at) === next) from++
        high.push(from)
        depth.push(at + 1)
        unit.push(next)
      }
    }
    firstChild.push(low.length)
    this.firstChild = Int32Array.from(firstChild)
    this.unit = Uint16Array.from(unit)
    this.value = Int32Array.from(value)
  }

  /** Visits the strings that `text` has at `start`, shortest first, with their ends and values. */
  forEachPrefix(text: string, start: number, visit: (end: number, value: number) => void): void {
    let node = 0
    for (let end = start; end < text.length;) {
      node = this.child(node, text.charCodeAt(end++))
      if (node < 0) return
      if (this.value[node] >= 0) visit(end, this.value[node])
    }
  }

  /** The longest string that `text` has at `start`: where it ends and its value; undefined where there is none. */
  longestPrefix(text: string, start: number): { readonly end: number; readonly value: number } | undefined {
    let longest: { end: number; value: number } | undefined
    this.forEachPrefix(text, start, (end, value) => (longest = { end, value }))
    return longest
  }

  /** The child of a node by a code unit, or -1. */
  private child(node: number, unit: number): number {
    let low = this.firstChild[node]
    let high = this.firstChild[node + 1] - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const found = this.unit[middle]
      if (found === unit) return middle
      if (found < unit) low = middle + 1
      else high = middle - 1
    }
    return -1
  }
}
