// The kernels behind src/model/wasm as WebAssembly text, and the module that they become: products of a few rows with a
// matrix, what is added to them, and the norm. `tsx scripts/wasm/build.ts` writes the module; a test compares.
import wabt from 'wabt'

/** Rows of the left operand that go through the matrix together, and rows of the matrix that are read side by side. */
const PARTS = [
  { rows: 1, depth: 16 },
  { rows: 2, depth: 8 },
  { rows: 3, depth: 8 },
  { rows: 4, depth: 8 },
] as const

/** Bytes of a float, and of the four that an instruction takes. */
const [FLOAT, LANES] = [4, 16]

const times = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join('\n')

function bump(name: string, by: number): string {
  return `(local.set ${name} (i32.add (local.get ${name}) (i32.const ${by})))`
}

/**
 * [rows, A] x [A, C]. The outputs are what is added up in: `depth` rows of the matrix are read as so many streams, from
 * end to end, and what they contribute is added to each output in their order. So every output is the sum over A in its
 * order, one addition after the other, however many rows there are: what XNNPACK computes too, to the last bit.
 */
function part(rows: number, depth: number): string {
  const each = (line: (row: number) => string) => times(rows, line)
  const deep = (line: (i: number) => string) => times(depth, line)
  const bump = (name: string, by: number) =>
    `(local.set ${name} (i32.add (local.get ${name}) (i32.const ${by})))`
  const after = (name: string, i: number, first: string, step: string) =>
    `(local.set ${name}${i} ${i === 0 ? `(local.get ${first})` : `(i32.add (local.get ${name}${i - 1}) (local.get ${step}))`})`
  return `
(func $rows${rows} (param $x i32) (param $w i32) (param $out i32) (param $depth i32) (param $width i32)
  (local $xStride i32) (local $stride i32) (local $end i32) (local $left i32) (local $weights v128)
  ${each((m) => `(local $x${m} i32) (local $out${m} i32) (local $sum${m} v128)`)}
  ${deep((k) => `(local $w${k} i32)`)}
  ${each((m) => deep((k) => `(local $x${m}_${k} v128)`))}
  (local.set $xStride (i32.mul (local.get $depth) (i32.const ${FLOAT})))
  (local.set $stride (i32.mul (local.get $width) (i32.const ${FLOAT})))
  (local.set $end (i32.add (local.get $out) (local.get $stride)))
  (local.set $left (local.get $depth))
  (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $stride) (i32.const ${rows})))
  ${each((m) => after('$x', m, '$x', '$xStride'))}
  (loop $nextRows
    ${each((m) => deep((k) => `(local.set $x${m}_${k} (v128.load32_splat offset=${FLOAT * k} (local.get $x${m})))`))}
    ${deep((k) => after('$w', k, '$w', '$stride'))}
    ${each((m) => after('$out', m, '$out', '$stride'))}
    (loop $nextColumns
      ${each((m) => `(local.set $sum${m} (v128.load (local.get $out${m})))`)}
      ${deep(
        (k) => `(local.set $weights (v128.load (local.get $w${k})))
      ${each((m) => `(local.set $sum${m} (f32x4.add (local.get $sum${m}) (f32x4.mul (local.get $x${m}_${k}) (local.get $weights))))`)}
      ${bump(`$w${k}`, LANES)}`,
      )}
      ${each((m) => `(v128.store (local.get $out${m}) (local.get $sum${m})) ${bump(`$out${m}`, LANES)}`)}
      (br_if $nextColumns (i32.lt_u (local.get $out0) (local.get $end))))
    (local.set $w (local.get $w${depth - 1}))
    ${each((m) => bump(`$x${m}`, FLOAT * depth))}
    (br_if $nextRows (local.tee $left (i32.sub (local.get $left) (i32.const ${depth}))))))`
}

/** y into each of as many floats as it has; the operands are named `$out` and `$y`. */
function inPlace(name: string, operands: string, value: string): string {
  return `
(func (export "${name}") (param $out i32) ${operands} (param $count i32)
  (local $end i32)
  (local.set $end (i32.add (local.get $out) (i32.mul (local.get $count) (i32.const ${FLOAT}))))
  (loop $next
    (v128.store (local.get $out) ${value})
    ${operands === '' ? '' : bump('$y', LANES)}
    ${bump('$out', LANES)}
    (br_if $next (i32.lt_u (local.get $out) (local.get $end)))))`
}

/** Each row of x [rows, width] over the root of its squares' sum and `epsilon`. */
const LENGTH_NORM = `
(func (export "lengthNorm") (param $x i32) (param $out i32) (param $rows i32) (param $width i32) (param $epsilon f32)
  (local $end i32) (local $from i32) (local $sum v128) (local $values v128)
  (loop $nextRow
    (local.set $from (local.get $x))
    (local.set $end (i32.add (local.get $x) (i32.mul (local.get $width) (i32.const ${FLOAT}))))
    (local.set $sum (v128.const f32x4 0 0 0 0))
    (loop $nextSquares
      (local.set $values (v128.load (local.get $x)))
      (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul (local.get $values) (local.get $values))))
      ${bump('$x', LANES)}
      (br_if $nextSquares (i32.lt_u (local.get $x) (local.get $end))))
    (local.set $sum (f32x4.splat (f32.div (f32.const 1) (f32.sqrt (f32.add (local.get $epsilon) (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $sum)) (f32x4.extract_lane 1 (local.get $sum)))
      (f32.add (f32x4.extract_lane 2 (local.get $sum)) (f32x4.extract_lane 3 (local.get $sum)))))))))
    (loop $nextValues
      (v128.store (local.get $out) (f32x4.mul (v128.load (local.get $from)) (local.get $sum)))
      ${bump('$from', LANES)}
      ${bump('$out', LANES)}
      (br_if $nextValues (i32.lt_u (local.get $from) (local.get $end))))
    (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))`

/** The module as text. */
export function kernelsText(): string {
  const most = PARTS.at(-1)!.rows
  const call = (rows: number) =>
    `(call $rows${rows} (local.get $x) (local.get $w) (local.get $out) (local.get $depth) (local.get $width))`
  const skip = (name: string, size: string) =>
    `(local.set ${name} (i32.add (local.get ${name}) (i32.mul (local.get ${size}) (i32.const ${most * FLOAT}))))`
  return `(module
(import "tfjs" "memory" (memory 0))
${PARTS.map(({ rows, depth }) => part(rows, depth)).join('\n')}
${LENGTH_NORM}
${inPlace('add', '(param $y i32)', '(f32x4.add (v128.load (local.get $out)) (v128.load (local.get $y)))')}
${inPlace('relu', '', '(f32x4.max (v128.load (local.get $out)) (v128.const f32x4 0 0 0 0))')}
(func (export "multiply")
  (param $x i32) (param $w i32) (param $out i32) (param $rows i32) (param $depth i32) (param $width i32)
  (block $few
    (loop $nextFour
      (br_if $few (i32.lt_u (local.get $rows) (i32.const ${most})))
      ${call(most)}
      ${skip('$x', '$depth')}
      ${skip('$out', '$width')}
      (local.set $rows (i32.sub (local.get $rows) (i32.const ${most})))
      (br $nextFour)))
  ${PARTS.slice(0, -1)
    .map(({ rows }) => `(if (i32.eq (local.get $rows) (i32.const ${rows})) (then ${call(rows)}))`)
    .join('\n  ')}))`
}

/** The module's bytes. */
export async function kernelsModule(): Promise<Uint8Array> {
  const { parseWat } = await wabt()
  const module = parseWat('kernels.wat', kernelsText(), { simd: true, bulk_memory: true })
  try {
    return module.toBinary({}).buffer
  } finally {
    module.destroy()
  }
}
