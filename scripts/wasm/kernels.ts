// The kernels behind src/model/wasm as WebAssembly text, and the modules that they become: products of a few rows with a
// matrix, what is added to them, the norm, attention, and an exit's choice. `tsx scripts/wasm/build.ts` writes the
// modules; a test compares.
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

/** The sum of a vector's four floats. */
function lanes(name: string): string {
  const lane = (i: number) => `(f32x4.extract_lane ${i} (local.get ${name}))`
  return `(f32.add (f32.add ${lane(0)} ${lane(1)}) (f32.add ${lane(2)} ${lane(3)}))`
}

const splat = (value: number) => `(v128.const f32x4 ${Array.from({ length: 4 }, () => value).join(' ')})`

/**
 * [rows, A] x [A, C]. The outputs are what is added up in: `depth` rows of the matrix are read as so many streams, from
 * end to end, and what they contribute is added to each output in their order. So every output is the sum over A in its
 * order, one addition after the other, however many rows there are: what XNNPACK computes too, to the last bit.
 */
function part(rows: number, depth: number): string {
  const each = (line: (row: number) => string) => times(rows, line)
  const deep = (line: (i: number) => string) => times(depth, line)
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
    (local.set $sum ${splat(0)})
    (loop $nextSquares
      (local.set $values (v128.load (local.get $x)))
      (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul (local.get $values) (local.get $values))))
      ${bump('$x', LANES)}
      (br_if $nextSquares (i32.lt_u (local.get $x) (local.get $end))))
    (local.set $sum (f32x4.splat (f32.div (f32.const 1)
      (f32.sqrt (f32.add (local.get $epsilon) ${lanes('$sum')})))))
    (loop $nextValues
      (v128.store (local.get $out) (f32x4.mul (v128.load (local.get $from)) (local.get $sum)))
      ${bump('$from', LANES)}
      ${bump('$out', LANES)}
      (br_if $nextValues (i32.lt_u (local.get $from) (local.get $end))))
    (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))`

/** Products and norms. */
function productText(): string {
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
${inPlace('relu', '', `(f32x4.max (v128.load (local.get $out)) ${splat(0)})`)}
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

/** Coefficients of exp's polynomial on [-ln 2 / 2, ln 2 / 2], as in the Cephes library's expf. */
const EXP = [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5000000012]

/**
 * `choose`: of a row of logits the two largest, of equal ones the lower id first: ids, logits, and the first one's
 * probability, which is none where a logit is none.
 */
const CHOOSE = `
(func (export "choose") (param $logits i32) (param $out i32) (param $count i32)
  (local $at i32) (local $end i32) (local $index i32) (local $first i32) (local $second i32)
  (local $most f32) (local $next f32) (local $value f32) (local $sum v128)
  (local.set $end (i32.add (local.get $logits) (i32.mul (local.get $count) (i32.const ${FLOAT}))))
  (local.set $most (f32.const -inf))
  (local.set $next (f32.const -inf))
  (local.set $at (local.get $logits))
  (loop $nextLogit
    (local.set $value (f32.load (local.get $at)))
    (if (f32.gt (local.get $value) (local.get $next)) (then
      (if (f32.gt (local.get $value) (local.get $most))
        (then
          (local.set $next (local.get $most))
          (local.set $second (local.get $first))
          (local.set $most (local.get $value))
          (local.set $first (local.get $index)))
        (else
          (local.set $next (local.get $value))
          (local.set $second (local.get $index))))))
    (local.set $index (i32.add (local.get $index) (i32.const 1)))
    ${bump('$at', FLOAT)}
    (br_if $nextLogit (i32.lt_u (local.get $at) (local.get $end))))
  (local.set $sum ${splat(0)})
  (loop $nextFour
    (local.set $sum (f32x4.add (local.get $sum)
      (call $exp (f32x4.sub (v128.load (local.get $logits)) (f32x4.splat (local.get $most))))))
    ${bump('$logits', LANES)}
    (br_if $nextFour (i32.lt_u (local.get $logits) (local.get $end))))
  (f32.store offset=0 (local.get $out) (f32.convert_i32_u (local.get $first)))
  (f32.store offset=4 (local.get $out) (f32.convert_i32_u (local.get $second)))
  (f32.store offset=8 (local.get $out) (local.get $most))
  (f32.store offset=12 (local.get $out) (local.get $next))
  (f32.store offset=16 (local.get $out) (f32.div (f32.const 1) ${lanes('$sum')})))`

/**
 * `attend`: one query over a memory of `length` positions. Scores, their exponentials and the sum over values each go
 * through the positions in order, four sums side by side, and what is masked adds zeros: so a query gets the same to the
 * last bit whatever masked positions come after. `scores` has room for length + 4 floats; `bias` 0 is none.
 */
const ATTENTION = `(module
(import "tfjs" "memory" (memory 0))
(func (export "copy") (param $to i32) (param $from i32) (param $count i32)
  (memory.copy (local.get $to) (local.get $from) (i32.mul (local.get $count) (i32.const ${FLOAT}))))
(func $exp (param $x v128) (result v128)
  (local $n v128) (local $r v128) (local $y v128)
  (local.set $n (f32x4.nearest (f32x4.mul (f32x4.max (local.get $x) ${splat(-87.3)}) ${splat(Math.LOG2E)})))
  (local.set $r (f32x4.sub (f32x4.max (local.get $x) ${splat(-87.3)}) (f32x4.mul (local.get $n) ${splat(0.693359375)})))
  (local.set $r (f32x4.sub (local.get $r) (f32x4.mul (local.get $n) ${splat(-2.1219444e-4)})))
  (local.set $y ${splat(EXP[0])})
  ${EXP.slice(1)
    .map((c) => `(local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r)) ${splat(c)}))`)
    .join('\n  ')}
  (local.set $y (f32x4.add (f32x4.add (f32x4.mul (f32x4.mul (local.get $y) (local.get $r)) (local.get $r)) (local.get $r)) ${splat(1)}))
  (local.set $y (f32x4.mul (local.get $y)
    (i32x4.shl (i32x4.add (i32x4.trunc_sat_f32x4_s (local.get $n)) (v128.const i32x4 127 127 127 127)) (i32.const 23))))
  (v128.andnot (local.get $y) (f32x4.lt (local.get $x) ${splat(-87.3)})))
(func (export "attend")
  (param $query i32) (param $key i32) (param $value i32) (param $bias i32) (param $scores i32) (param $out i32)
  (param $length i32) (param $width i32)
  (local $end i32) (local $last i32) (local $at i32) (local $from i32) (local $score f32) (local $most f32) (local $sum v128)
  (local.set $end (i32.add (local.get $query) (i32.mul (local.get $width) (i32.const ${FLOAT}))))
  (local.set $last (i32.add (local.get $scores) (i32.mul (local.get $length) (i32.const ${FLOAT}))))
  (local.set $most (f32.const -inf))
  (local.set $at (local.get $scores))
  (loop $nextKey
    (local.set $from (local.get $query))
    (local.set $sum ${splat(0)})
    (loop $nextPart
      (local.set $sum (f32x4.add (local.get $sum) (f32x4.mul (v128.load (local.get $from)) (v128.load (local.get $key)))))
      ${bump('$key', LANES)}
      ${bump('$from', LANES)}
      (br_if $nextPart (i32.lt_u (local.get $from) (local.get $end))))
    (local.set $score ${lanes('$sum')})
    (if (local.get $bias) (then
      (local.set $score (f32.add (local.get $score) (f32.load (local.get $bias))))
      ${bump('$bias', FLOAT)}))
    (local.set $most (f32.max (local.get $most) (local.get $score)))
    (f32.store (local.get $at) (local.get $score))
    ${bump('$at', FLOAT)}
    (br_if $nextKey (i32.lt_u (local.get $at) (local.get $last))))
  (v128.store (local.get $last) ${splat(-1e38)})
  (local.set $sum ${splat(0)})
  (local.set $at (local.get $scores))
  (loop $nextScores
    (v128.store (local.get $at)
      (call $exp (f32x4.sub (v128.load (local.get $at)) (f32x4.splat (local.get $most)))))
    (local.set $sum (f32x4.add (local.get $sum) (v128.load (local.get $at))))
    ${bump('$at', LANES)}
    (br_if $nextScores (i32.lt_u (local.get $at) (local.get $last))))
  (local.set $score (f32.div (f32.const 1) ${lanes('$sum')}))
  (local.set $end (i32.add (local.get $out) (i32.mul (local.get $width) (i32.const ${FLOAT}))))
  (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $width) (i32.const ${FLOAT})))
  (loop $nextValue
    (local.set $at (local.get $out))
    (local.set $sum (v128.load32_splat (local.get $scores)))
    (loop $nextPart
      (v128.store (local.get $at) (f32x4.add (v128.load (local.get $at)) (f32x4.mul (local.get $sum) (v128.load (local.get $value)))))
      ${bump('$value', LANES)}
      ${bump('$at', LANES)}
      (br_if $nextPart (i32.lt_u (local.get $at) (local.get $end))))
    ${bump('$scores', FLOAT)}
    (br_if $nextValue (i32.lt_u (local.get $scores) (local.get $last))))
  (loop $nextPart
    (v128.store (local.get $out) (f32x4.mul (v128.load (local.get $out)) (f32x4.splat (local.get $score))))
    ${bump('$out', LANES)}
    (br_if $nextPart (i32.lt_u (local.get $out) (local.get $end)))))
${CHOOSE})`

/** The modules' bytes, by the names that src/model/wasm/modules.ts gives them. */
export async function kernelModules(): Promise<Record<'PRODUCTS' | 'ATTENTION', Uint8Array>> {
  const { parseWat } = await wabt()
  const bytesOf = (name: string, text: string) => {
    const module = parseWat(`${name}.wat`, text, { simd: true, bulk_memory: true })
    try {
      return module.toBinary({}).buffer
    } finally {
      module.destroy()
    }
  }
  return { PRODUCTS: bytesOf('products', productText()), ATTENTION: bytesOf('attention', ATTENTION) }
}
