// The reader of XML that other tests rely on must itself refuse what is broken.
import assert from 'node:assert/strict'
import { readXml } from './xml.js'

describe('XML reader of the report tests', () => {
  it('reads elements, attributes and entities', () => {
    const [root, child] = readXml('<a b="1 &lt; 2">x &amp; <c/>y</a>')
    assert.deepEqual(root, { name: 'a', attributes: { b: '1 < 2' }, text: 'x & y' })
    assert.equal(child.name, 'c')
  })

  for (const broken of [
    '<a>',
    '<a></b>',
    '<a b=1></a>',
    '<a b="1" b="2"></a>',
    '<a>x & y</a>',
    '<a>x < y</a>',
    '<a>\u0007</a>',
    '<a></a><b></b>',
    '<a b="<"></a>',
    'x<a></a>',
  ]) {
    it(`refuses ${JSON.stringify(broken)}`, () => {
      assert.throws(() => readXml(broken))
    })
  }
})
