// Safetensors files read by ranges: equal to the reading of a buffer, beyond 2 GiB, in bounded memory, and never a byte
// outside the file.
import assert from 'node:assert/strict'
import {
  mkdirSync,
  openSync,
  closeSync,
  ftruncateSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { openSafetensors, readSafetensors, writeSafetensors } from '../../src/checkpoint/index.js'
import type { Tensor } from '../../src/checkpoint/index.js'
import { openSafetensorsFile } from '../../src/checkpoint/index.node.js'
import { useTemporaryFolder } from './temporaryFolder.js'

/** A header for these entries. */
function headerOf(entries: Record<string, unknown>): Buffer {
  const text = Buffer.from(JSON.stringify(entries))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text])
}

describe('a safetensors file on disk', () => {
  const temporary = useTemporaryFolder()
  const write = (bytes: Uint8Array) => {
    const path = temporary('x.safetensors')
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, bytes)
    return path
  }

  it('holds what its bytes hold, also in tensors that take several reads', async () => {
    // 4 MiB are read at a time: three reads and a rest, for each type.
    const length = 3 * 2 ** 20 + 12_345
    const floats = Float32Array.from({ length }, (_, i) => Math.fround(Math.sin(i)))
    const tensors = new Map<string, Tensor>([
      ['float', { shape: [length], data: floats }],
      ['long', { shape: [length], data: Float64Array.from({ length }, (_, i) => i * 1001) }],
      ['byte', { shape: [4 * length], data: new Uint8Array(4 * length).fill(7) }],
    ])
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const) {
      const bytes = writeSafetensors(tensors, { dtype, metadata: { format: 'pt' } })
      const expected = readSafetensors(bytes, 'x')
      const file = (await openSafetensorsFile(write(bytes)))!
      try {
        assert.deepEqual(file.metadata, expected.metadata)
        assert.deepEqual([...file.entries.keys()], [...expected.tensors.keys()])
        for (const [name, tensor] of expected.tensors) {
          const read = await file.read(name)
          assert.deepEqual([read.dtype, read.shape], [tensor.dtype, tensor.shape])
          assert.ok(Buffer.from(read.data.buffer).equals(Buffer.from(tensor.data.buffer)), `${dtype} ${name}`)
        }
      } finally {
        await file.close()
      }
    }
  })

  it('of 5 GB is read tensor by tensor, in the memory of the tensor that is asked for', async () => {
    const path = write(new Uint8Array(0))
    const large = 5_000_000_000
    const header = headerOf({
      large: { dtype: 'U8', shape: [large], data_offsets: [0, large] },
      small: { dtype: 'F32', shape: [2], data_offsets: [large, large + 8] },
    })
    // A sparse file: it takes a few blocks of the disk.
    const handle = openSync(path, 'w')
    writeSync(handle, header)
    ftruncateSync(handle, header.length + large)
    writeSync(handle, Buffer.from(Float32Array.of(1.5, -2).buffer), 0, 8, header.length + large)
    closeSync(handle)
    const before = process.memoryUsage().arrayBuffers
    const file = (await openSafetensorsFile(path))!
    try {
      const { data } = await file.read('small')
      assert.deepEqual(data, Float32Array.of(1.5, -2))
      assert.ok(process.memoryUsage().arrayBuffers - before < 1e6)
    } finally {
      await file.close()
    }
  })

  it('is asked for no byte outside, and for the header alone when it is opened', async () => {
    const bytes = writeSafetensors(
      new Map<string, Tensor>([
        ['a', { shape: [3], data: Float32Array.of(1, 2, 3) }],
        ['b', { shape: [5], data: Uint8Array.of(1, 2, 3, 4, 5) }],
      ]),
    )
    const asked: [number, number][] = []
    const source = {
      sizeBytes: bytes.length,
      fill: async (target: Uint8Array, position: number) => {
        asked.push([position, position + target.length])
        assert.ok(position >= 0 && position + target.length <= bytes.length)
        target.set(bytes.subarray(position, position + target.length))
      },
    }
    const { read } = await openSafetensors(source, 'x')
    const dataStart = 8 + Number(Buffer.from(bytes).readBigUInt64LE(0))
    assert.deepEqual(asked, [
      [0, 8],
      [8, dataStart],
    ])
    await read('b')
    assert.deepEqual(asked.slice(2), [[dataStart + 12, dataStart + 17]])
  })

  it('is undefined where there is none, and an error where it is no file', async () => {
    const path = write(new Uint8Array(0))
    assert.equal(await openSafetensorsFile(`${path}.missing`), undefined)
    assert.equal(await openSafetensorsFile(`${path}/in-a-file`), undefined)
    await assert.rejects(openSafetensorsFile(dirname(path)), { code: 'checkpoint.unreadable' })
  })

  it('that becomes shorter after it was opened is an error, not zeros', async () => {
    const bytes = writeSafetensors(new Map([['a', { shape: [100], data: new Float32Array(100).fill(1) }]]))
    const path = write(bytes)
    const file = (await openSafetensorsFile(path))!
    try {
      truncateSync(path, bytes.length - 100)
      await assert.rejects(file.read('a'), { code: 'checkpoint.unreadable' })
    } finally {
      await file.close()
    }
  })
})
