// Text of a growing sequence of ids, piece by piece, for streaming.
import type { DecodeOptions, Tokenizer } from './tokenizer.js'

/** How a decoder shows bytes that are no whole character, for want of the rest or because they are damaged. */
const REPLACEMENT = '\ufffd'

/**
 * Turns ids into text as they come. The pieces it returns, joined, are exactly what `decode` gives for all ids; a character
 * that is spread over several ids appears when its last byte is there (byte-level BPE), or when the run of bytes that it is in
 * ends (byte fallback, where one damaged byte changes the text of its whole run). Push committed ids only: what has been
 * returned cannot be taken back.
 */
export class IncrementalDetokeniser {
  /** The ids whose text is not all returned yet, behind one or more that give them their context. */
  private recent: number[] = []
  /** Code units of the text of `recent` that have been returned. */
  private numReturned = 0

  /** @param options as for `decode`. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly options: DecodeOptions = {},
  ) {}

  /** Adds an id; returns the text that has become certain by it, often none. */
  push(id: number): string {
    this.recent.push(id)
    if (this.tokenizer.endsInByte(this.recent, this.options)) return ''
    const text = this.decode(this.recent)
    // Only a last replacement character can still become something else: those before it are damaged bytes.
    const isCertain = !text.endsWith(REPLACEMENT)
    const piece = this.take(text, isCertain ? text.length : text.length - REPLACEMENT.length)
    if (isCertain) this.forget()
    return piece
  }

  /** Ends the sequence: returns the rest, and begins a new one. */
  end(): string {
    const text = this.decode(this.recent)
    const piece = this.take(text, text.length)
    this.recent = []
    this.numReturned = 0
    return piece
  }

  private take(text: string, end: number): string {
    const piece = text.slice(this.numReturned, end) // empty where the end comes first
    this.numReturned += piece.length
    return piece
  }

  /**
   * Keeps only the shortest tail of ids that has text of its own, so that a push costs the same however long the sequence
   * is. That much context is enough: what a decoder does to the start of a text (dropping its space) it then does to this
   * tail, not to what follows, and no character reaches over the end of a certain text.
   */
  private forget(): void {
    for (let start = this.recent.length - 1; start > 0; start--) {
      const tail = this.recent.slice(start)
      const text = this.decode(tail)
      if (text === '') continue
      this.recent = tail
      this.numReturned = text.length
      return
    }
  }

  private decode(ids: readonly number[]): string {
    return this.tokenizer.decode(ids, this.options)
  }
}
