// Positions of JSON errors, and repeated names, against JSON.parse as the judge of what is JSON.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { findUnplainNumber, findLoneSurrogate, findRepeatedName } from '../../src/checkpoint/strictJson.js'
import { findJsonError } from '../../src/checkpoint/jsonPosition.js'

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('findJsonError', () => {
  it('names the line and column of the first token that may not stand there', () => {
    const cases: [string, number, number][] = [
      ['', 1, 1],
      ['{\n  "a": 1,\n}', 3, 1],
      ['{"a" 1}', 1, 6],
      ['{"a": 1 "b": 2}', 1, 9],
      ['[1, 2', 1, 6],
      ['[1,, 2]', 1, 4],
      ['{"a": nul}', 1, 7],
      ['{"a": 01}', 1, 8],
      ['{a: 1}', 1, 2],
      ["{'a': 1}", 1, 2],
      ['{"a": "x\ny"}', 1, 7],
      ['{} {}', 1, 4],
      ['[}', 1, 2],
      ['{"a": 1]', 1, 8],
      ['1 ]', 1, 3],
    ]
    for (const [text, line, column] of cases) assert.deepEqual(findJsonError(text), { line, column }, text)
  })

  it('finds an error exactly in the texts that JSON.parse refuses', () => {
    const damaged = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.nat(),
        fc.constantFrom('', ',', '"', '}', ']', ':', '0', '-', 'e', '\\', ' '),
      )
      .map(([json, at, cut, inserted]) => {
        const start = at % (json.length + 1)
        return json.slice(0, start) + inserted + json.slice(start + (cut % 3))
      })
    const anyText = fc.oneof(
      damaged,
      fc.json(),
      fc.string({ unit: fc.constantFrom(...'{}[]:,"\\01.eE+-tnu \n') }),
    )
    fc.assert(
      fc.property(anyText, (text) => assert.equal(findJsonError(text) === undefined, isJson(text))),
      { numRuns: 5000 },
    )
  })
})

describe('findRepeatedName', () => {
  it('finds a name given twice in one object, at any depth and however it is written', () => {
    assert.equal(findRepeatedName('{"a":1,"a":2}'), 'a')
    assert.equal(findRepeatedName('[{"b":{"a":1,"c":[{"x" : 1}],"\\u0061" :2}}]'), 'a')
    assert.equal(findRepeatedName('{"\\"":1,"\\u0022":2}'), '"')
  })

  it('takes equal names of different objects, and strings that are values, for what they are', () => {
    assert.equal(findRepeatedName('{"a":{"a":{"a":"a"}},"b":["a","a",{"a":"{\\"a\\":"}],"c":"a"}'), undefined)
  })

  it('finds none in what JSON.stringify writes', () => {
    fc.assert(fc.property(fc.json(), (text) => assert.equal(findRepeatedName(text), undefined)))
  })
})

describe('findUnplainNumber', () => {
  it('finds the first number that is not plain digits, and no string that looks like one', () => {
    for (const number of ['-0', '-3', '4.0', '1e3', '1E+2', '0.5']) {
      assert.equal(findUnplainNumber(`{"1.5":[0,12,"2e3","\\"7.5",${number}]}`), number)
    }
    assert.equal(findUnplainNumber('{"a.1":[0,18446744073709551615,"-1",true,null]}'), undefined)
  })
})

describe('findLoneSurrogate', () => {
  it('finds half of a pair as a name or a value, and passes whole pairs', () => {
    assert.equal(findLoneSurrogate('{"a":["\\ud800"]}'), '"\\ud800"')
    assert.equal(findLoneSurrogate('{"x\\uDC00":1}'), '"x\\uDC00"')
    assert.equal(findLoneSurrogate('{"\\ud83d\\ude00":"😀","b":"\\\\ud800","c":"\\ue000"}'), undefined)
  })
})
