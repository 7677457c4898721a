// Command lines as a shell takes them, for hints and for the provenance of reports.

/** The command line of this process. */
export function ownCommandLine(): string {
  return ['shallowdeep', ...process.argv.slice(2).map(quote)].join(' ')
}

/** A text as one word. */
export function quote(text: string): string {
  return /^[\w./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}
