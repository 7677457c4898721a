// The tasks: names, prefixes, and metrics that exist.
import assert from 'node:assert/strict'
import { prefixOf, questionSource, taskByName, TASK_NAMES, TASKS } from '../../src/data/index.js'
import { metricByName } from '../../src/metrics/index.js'

describe('tasks', () => {
  it('are four, each found by its name, the default first', () => {
    assert.deepEqual(TASK_NAMES, ['text2text', 'translation', 'summarization', 'question-answering'])
    for (const task of TASKS) assert.equal(taskByName(task.name), task)
  })

  it('name metrics that the registry knows', () => {
    for (const { metrics } of TASKS) for (const name of metrics) assert.equal(metricByName(name).name, name)
    assert.deepEqual(taskByName('translation').metrics, ['bleu', 'chrf'])
    assert.deepEqual(taskByName('summarization').metrics, ['rouge1', 'rouge2', 'rougeL'])
    assert.deepEqual(taskByName('question-answering').metrics, ['exactMatch', 'f1'])
  })

  it('only summarization has a prefix; questions have their form', () => {
    assert.deepEqual(
      TASKS.map(({ defaultPrefix }) => defaultPrefix),
      ['', '', 'summarize: ', ''],
    )
    assert.equal(questionSource('Who?', 'Ada did.'), 'question: Who? context: Ada did.')
  })

  it('a translation takes its languages, or a prefix, or neither', () => {
    const task = 'translation'
    const languages = { sourceLanguage: 'German', targetLanguage: 'English' }
    assert.equal(prefixOf({ task, ...languages }), 'translate German to English: ')
    assert.equal(prefixOf({ task, prefix: 'de-en: ' }), 'de-en: ')
    assert.equal(prefixOf({ task }), '')
    assert.equal(prefixOf({ task: 'summarization' }), 'summarize: ')
    assert.equal(prefixOf({ task: 'summarization', prefix: '' }), '')
    for (const [options, message] of [
      [{ task, sourceLanguage: 'German' }, /target language is missing/],
      [{ task, targetLanguage: 'German' }, /source language is missing/],
      [{ task, ...languages, prefix: 'x: ' }, /a prefix is given, too/],
      [{ task: 'text2text', ...languages }, /text2text, which has no languages/],
    ] as const) {
      assert.throws(() => prefixOf(options), { code: 'data.bad-languages', message })
    }
  })

  it('an unknown name is an error with the names there are and the near miss', () => {
    assert.throws(() => taskByName('summarisation'), {
      code: 'data.unknown-task',
      message: /text2text, translation, summarization, question-answering; did you mean summarization\?/,
    })
  })
})
