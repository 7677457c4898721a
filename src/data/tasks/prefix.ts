// What is put before each source: the caller's own words, the languages of a translation, or what the task has by default.
import { ShallowDeepError } from '../../errors.js'
import { taskByName } from './registry.js'
import { translation, translationPrefix } from './translation.js'

export interface PrefixOptions {
  readonly task: string
  /** Neutral: undefined, that of the task. */
  readonly prefix?: string
  /** Languages of a translation in English words ("German"), both or none; they make T5's prefix. */
  readonly sourceLanguage?: string
  readonly targetLanguage?: string
}

/**
 * The text before each source. Throws `data.unknown-task`, and `data.bad-languages` where one language is missing, where the
 * task is no translation, or where a prefix is given as well.
 */
export function prefixOf({ task, prefix, sourceLanguage, targetLanguage }: PrefixOptions): string {
  const { name, defaultPrefix } = taskByName(task)
  if (sourceLanguage === undefined && targetLanguage === undefined) return prefix ?? defaultPrefix
  if (name !== translation.name) throw badLanguages(`the task is ${name}, which has no languages`)
  if (prefix !== undefined) throw badLanguages('a prefix is given, too, and only one of them can be used')
  if (sourceLanguage === undefined) throw badLanguages('the source language is missing')
  if (targetLanguage === undefined) throw badLanguages('the target language is missing')
  return translationPrefix(sourceLanguage, targetLanguage)
}

function badLanguages(problem: string): ShallowDeepError {
  return new ShallowDeepError({
    code: 'data.bad-languages',
    message: `expected both languages of a translation: ${problem}`,
    hint: 'give --task translation with --source-language and --target-language, or --prefix alone',
    details: { problem },
  })
}
