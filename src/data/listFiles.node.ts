// The files that a path stands for: itself, those of a folder, or those that match a glob.
import { readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { globSync, isDynamicPattern } from 'tinyglobby'
import { ShallowDeepError } from '../errors.js'

/**
 * The data files of a path, sorted by name: a file itself; of a folder the files with one of the endings (its subfolders and
 * hidden files play no part); of a glob (`data/part-*.csv`) all that match. All have one format. A path that is nothing of
 * this stands for itself, so that opening it says what is wrong. Throws `data.no-files` and `data.mixed-formats`.
 * @param endingOf the ending that tells a file's format, of a path (without `.gz`).
 */
export function listDataFiles(
  path: string,
  endings: readonly string[],
  endingOf: (path: string) => string,
): string[] {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined ? !isDynamicPattern(path) : !found.isDirectory()) return [path]
  const files =
    found === undefined
      ? globSync(path, { expandDirectories: false }).sort()
      : readdirSync(path, { withFileTypes: true })
          .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
          .map(({ name }) => join(path, name))
          .filter((file) => endings.includes(endingOf(file)))
          .sort()
  if (files.length === 0) throw noFiles(path, found === undefined ? 'matches no file' : folderReason(endings))
  const other = files.find((file) => endingOf(file) !== endingOf(files[0]))
  if (other !== undefined) {
    throw new ShallowDeepError({
      code: 'data.mixed-formats',
      message: `${path}: expected files of one format, found ${files[0]} and ${other}`,
      hint: `name files of one format with a glob, as "${join(path, '*').replace(/\*.*$/, '')}*${endingOf(files[0])}"`,
      details: { path, files: [files[0], other] },
    })
  }
  return files
}

function folderReason(endings: readonly string[]): string {
  return `the folder has no file that ends in ${endings.join(', ')} (or one of these and .gz)`
}

function noFiles(path: string, reason: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'data.no-files',
    message: `${resolve(path)}: ${reason}`,
    hint: 'check the path; it is taken from the current folder',
    details: { path },
  })
}
