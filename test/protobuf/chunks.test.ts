// Messages in pieces hold the same bytes as protobuf's own writer makes, and refer to what is large.
import assert from 'node:assert/strict'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { joinChunks, MessageWriter } from '../../src/protobuf/index.js'

describe('protobuf messages in pieces', () => {
  it('hold the bytes of a plain writer, nested ones too', () => {
    const integers = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    fc.assert(
      fc.property(
        integers,
        fc.string(),
        fc.uint8Array(),
        fc.float({ noNaN: true }),
        (int, text, bytes, float) => {
          const inner = new MessageWriter().int(3, int).string(1, text)
          const message = new MessageWriter()
            .bytes(9, bytes)
            .message(7, inner.finish())
            .float(2, float)
            .finish()
          const expected = new BinaryWriter()
          expected.tag(9, WireType.LengthDelimited).bytes(bytes)
          expected.tag(7, WireType.LengthDelimited).fork()
          expected.tag(3, WireType.Varint).int64(int).tag(1, WireType.LengthDelimited).string(text).join()
          expected.tag(2, WireType.Bit32).float(float)
          assert.deepEqual(joinChunks(message), expected.finish())
        },
      ),
    )
  })

  it('do not copy what they hold, however deep', () => {
    const weights = new Uint8Array(1000)
    let message = new MessageWriter().bytes(9, weights).finish()
    for (const field of [5, 7]) message = new MessageWriter().message(field, message).finish()
    assert.ok(message.pieces.includes(weights))
    assert.equal(joinChunks(message).length, message.length)
  })
})
