// The kernels behind src/engines/tfjs/wasm as WebAssembly text, and the modules that they become: products of a few rows with a
// matrix, plain, packed or in 8 bits, by one thread or several; what is added to them, the norm, attention, and an exit's choice.
// `tsx scripts/wasm/build.ts` writes the modules; a test compares.
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

/** The largest of a vector's four floats; none where one is none. */
function largest(name: string): string {
  const lane = (i: number) => `(f32x4.extract_lane ${i} (local.get ${name}))`
  return `(f32.max (f32.max ${lane(0)} ${lane(1)}) (f32.max ${lane(2)} ${lane(3)}))`
}

const splat = (value: number) =>
  `(v128.const f32x4 ${Array.from({ length: 4 }, () => (value === -Infinity ? '-inf' : value)).join(' ')})`

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

/**
 * Parts that the columns of a matrix fall into, each as large as the others. They are read side by side, four columns of
 * each at a time: a block. A core reads memory fastest as some long streams, and here each part is one from end to end.
 */
const STREAMS = 8

/** How rows go through a block together: streams that are read side by side, and rows of the matrix in one turn, which divide four. */
interface Pass {
  readonly rows: number
  readonly streams: number
  readonly depth: number
}

/** Those of a kind. */
interface Passes {
  /** Most rows first, one alone last. The first of a block's rows read it from memory, which takes several streams. */
  readonly first: readonly Pass[]
  /** As many rows as most of these, that come later and find the block in the cache: there registers are what counts. */
  readonly later: Pass
}

const PACKED_PASSES: Passes = {
  first: [
    { rows: 4, streams: 4, depth: 1 },
    { rows: 3, streams: 4, depth: 1 },
    { rows: 2, streams: 4, depth: 2 },
    { rows: 1, streams: 8, depth: 4 },
  ],
  later: { rows: 4, streams: 2, depth: 1 },
}
const QUANTISED_PASSES: Passes = {
  first: [
    { rows: 4, streams: 4, depth: 2 },
    { rows: 2, streams: 4, depth: 4 },
    { rows: 1, streams: 8, depth: 2 },
  ],
  later: { rows: 4, streams: 2, depth: 2 },
}

/** Bytes before the numbers of a quantised row. */
const ROW_HEAD = 16

/** What tells products with matrices in float32 and in 8 bits apart. */
interface StreamedKind {
  readonly name: string
  readonly passes: Passes
  /** Bytes of a number of the matrix, and of a row of x; what stands before the latter. */
  readonly numberBytes: number
  readonly inputBytes: number
  readonly inputHead: number
  /** Rows of the matrix that an instruction takes. */
  readonly lanesDeep: number
  /** Of columns, before the parts. */
  readonly hasScales: boolean
  /** Loads numbers of the matrix, and adds their products with some of x to a sum. */
  weights(at: string): string
  add(sum: string, x: string, weights: string): string
  /** A stream's four outputs of its sum, `$scale` the row's scale. */
  finish(sum: string, scales: string): string
}

const PACKED: StreamedKind = {
  name: 'multiplyPacked',
  passes: PACKED_PASSES,
  ...{ numberBytes: FLOAT, inputBytes: FLOAT, inputHead: 0, lanesDeep: 1, hasScales: false },
  weights: (at) => `(v128.load ${at})`,
  add: (sum, x, weights) => `(f32x4.add ${sum} (f32x4.mul ${x} ${weights}))`,
  finish: (sum) => sum,
}

/** Two rows of the matrix lie column by column, for the instruction multiplies pairs and adds them. */
const QUANTISED: StreamedKind = {
  name: 'multiplyQuantised',
  passes: QUANTISED_PASSES,
  ...{ numberBytes: 1, inputBytes: 2, inputHead: ROW_HEAD, lanesDeep: 2, hasScales: true },
  weights: (at) => `(v128.load8x8_s ${at})`,
  add: (sum, x, weights) => `(i32x4.add ${sum} (i32x4.dot_i16x8_s ${x} ${weights}))`,
  finish: (sum, scales) =>
    `(f32x4.mul (f32x4.convert_i32x4_s ${sum}) (f32x4.mul (local.get $scale) (v128.load ${scales})))`,
}

/**
 * Some rows times some streams of a block. Each output is added up in a register, in the order of the inner size as in
 * {@link part}. Strides are in bytes; `$partOut` is how far outputs, and scales, of two parts are from each other.
 */
function streamedPart(kind: StreamedKind, { rows, streams, depth }: Pass): string {
  const { numberBytes, inputBytes, inputHead, lanesDeep, hasScales } = kind
  const each = (line: (row: number) => string) => times(rows, line)
  const wide = (line: (stream: number) => string) => times(streams, line)
  const deep = (line: (turn: number) => string) => times(depth / lanesDeep, line)
  const next = (name: string, i: number, step: string) =>
    `(local.set ${name}${i} (local.get ${name})) (local.set ${name} (i32.add (local.get ${name}) (local.get ${step})))`
  const load = (m: number, d: number) =>
    `(v128.load32_splat offset=${inputHead + inputBytes * lanesDeep * d} (local.get $x${m}))`
  const add = (m: number, s: number, d: number) =>
    `(local.set $sum${m}_${s} ${kind.add(`(local.get $sum${m}_${s})`, `(local.get $v${m}_${d})`, '(local.get $weights)')})`
  return `
(func $rows${rows}x${streams}
  (param $x i32) (param $xStride i32) (param $w i32) (param $part i32) (param $scales i32)
  (param $out i32) (param $partOut i32) (param $outStride i32) (param $depth i32)
  (local $end i32) (local $size i32) (local $at i32) (local $from i32) (local $weights v128) (local $scale v128)
  ${wide((s) => `(local $w${s} i32)`)}
  ${each((m) => `(local $x${m} i32) ${deep((d) => `(local $v${m}_${d} v128)`)} ${wide((s) => `(local $sum${m}_${s} v128)`)}`)}
  (local.set $size (i32.mul (local.get $depth) (i32.const ${inputBytes})))
  (local.set $end (i32.add (local.get $x) (local.get $size)))
  ${wide((s) => next('$w', s, '$part'))}
  ${each((m) => next('$x', m, '$xStride'))}
  (loop $nextRows
    ${each((m) => `${deep((d) => `(local.set $v${m}_${d} ${load(m, d)})`)} ${bump(`$x${m}`, inputBytes * depth)}`)}
    ${wide(
      (s) => `${deep(
        (
          d,
        ) => `(local.set $weights ${kind.weights(`offset=${4 * numberBytes * lanesDeep * d} (local.get $w${s})`)})
      ${each((m) => add(m, s, d))}`,
      )}
      ${bump(`$w${s}`, 4 * numberBytes * depth)}`,
    )}
    (br_if $nextRows (i32.lt_u (local.get $x0) (local.get $end))))
  ${each(
    (
      m,
    ) => `${hasScales ? `(local.set $scale (v128.load32_splat (i32.sub (local.get $x${m}) (local.get $size))))` : ''}
    (local.set $at (local.get $out))
    ${hasScales ? '(local.set $from (local.get $scales))' : ''}
    ${wide(
      (s) => `(v128.store (local.get $at) ${kind.finish(`(local.get $sum${m}_${s})`, '(local.get $from)')})
      ${s + 1 < streams ? '(local.set $at (i32.add (local.get $at) (local.get $partOut)))' : ''}
      ${hasScales && s + 1 < streams ? '(local.set $from (i32.add (local.get $from) (local.get $partOut)))' : ''}`,
    )}
    (local.set $out (i32.add (local.get $out) (local.get $outStride)))`,
  )})`
}

/**
 * Rows of x times a matrix, its blocks from `$block` to before `$last`, all rows with one block after the other. Rows of
 * the product are as wide as the matrix. Before the parts of a matrix in 8 bits stand its columns' scales.
 */
function streamedText(kind: StreamedKind): string {
  const { name, passes, numberBytes } = kind
  const [largest, ...fewer] = passes.first
  const from = (name: string, step: string, count: number) =>
    count === 0
      ? `(local.get ${name})`
      : `(i32.add (local.get ${name}) (i32.mul (local.get ${step}) (i32.const ${count})))`
  const call = ({ rows, streams }: Pass) =>
    times(
      STREAMS / streams,
      (i) => `(call $rows${rows}x${streams}
        (local.get $at) (local.get $xStride)
        ${from('$w', '$part', i * streams)} (local.get $part)
        ${from('$scales', '$partOut', i * streams)}
        ${from('$to', '$partOut', i * streams)} (local.get $partOut) (local.get $outStride)
        (local.get $depth))`,
    )
  const move = (name: string, size: string, by: number) =>
    `(local.set ${name} (i32.add (local.get ${name}) (i32.mul (local.get ${size}) (i32.const ${by}))))`
  const goOn = (rows: number) => `${move('$at', '$xStride', rows)}
        ${move('$to', '$outStride', rows)}
        (local.set $more (i32.sub (local.get $more) (i32.const ${rows})))`
  const scaleBytes = kind.hasScales ? '(local.get $outStride)' : '(i32.const 0)'
  return `(module
(import "tfjs" "memory" (memory 0 65536))
${[...passes.first, passes.later].map((pass) => streamedPart(kind, pass)).join('\n')}
(func (export "${name}")
  (param $x i32) (param $xStride i32) (param $w i32) (param $out i32) (param $outStride i32)
  (param $rows i32) (param $depth i32) (param $block i32) (param $last i32)
  (local $at i32) (local $to i32) (local $more i32) (local $blockBytes i32) (local $part i32) (local $partOut i32)
  (local $scales i32)
  (local.set $blockBytes (i32.mul (local.get $depth) (i32.const ${4 * numberBytes})))
  (local.set $partOut (i32.div_u (local.get $outStride) (i32.const ${STREAMS})))
  (local.set $part (i32.mul (i32.div_u (local.get $partOut) (i32.const ${LANES})) (local.get $blockBytes)))
  (local.set $scales (i32.add (local.get $w) (i32.mul (local.get $block) (i32.const ${LANES}))))
  (local.set $w (i32.add (i32.add (local.get $w) ${scaleBytes})
    (i32.mul (local.get $block) (local.get $blockBytes))))
  ${move('$out', '$block', LANES)}
  (loop $nextBlock
    (local.set $at (local.get $x))
    (local.set $to (local.get $out))
    (local.set $more (local.get $rows))
    (block $few
      (loop $nextRows
        (br_if $few (i32.lt_u (local.get $more) (i32.const ${largest.rows})))
        (if (i32.eq (local.get $at) (local.get $x)) (then ${call(largest)}) (else ${call(passes.later)}))
        ${goOn(largest.rows)}
        (br $nextRows)))
    ${fewer
      .map(
        (pass) => `(if (i32.ge_u (local.get $more) (i32.const ${pass.rows})) (then
      ${call(pass)}
      ${pass.rows > 1 ? goOn(pass.rows) : ''}))`,
      )
      .join('\n    ')}
    (local.set $w (i32.add (local.get $w) (local.get $blockBytes)))
    ${bump('$scales', LANES)}
    ${bump('$out', LANES)}
    (br_if $nextBlock (i32.lt_u (local.tee $block (i32.add (local.get $block) (i32.const 1))) (local.get $last))))))`
}

/**
 * Each row of x [rows, depth] as 16-bit numbers, `$steps` the largest; before them a scale, and as squares added up the row
 * itself and what the numbers are off by. `$depth` in floats, a multiple of four. A row that holds what is no number gets a
 * scale that is none.
 */
const QUANTISE = `
(func (export "quantise")
  (param $x i32) (param $xStride i32) (param $out i32) (param $outStride i32) (param $rows i32) (param $depth i32)
  (param $steps f32)
  (local $at i32) (local $to i32) (local $end i32) (local $most v128) (local $scale v128) (local $inverse v128)
  (local $number v128) (local $squares v128) (local $off v128) (local $least v128)
  (local.set $least (f32x4.splat (f32.neg (local.get $steps))))
  (loop $nextRow
    (local.set $at (local.get $x))
    (local.set $to (i32.add (local.get $out) (i32.const ${ROW_HEAD})))
    (local.set $end (i32.add (local.get $x) (i32.mul (local.get $depth) (i32.const ${FLOAT}))))
    (local.set $most ${splat(0)})
    (local.set $squares ${splat(0)})
    (local.set $off ${splat(0)})
    (loop $nextFour
      ;; Of magnitudes as whole numbers, of which what is no number is the largest.
      (local.set $most (i32x4.max_s (local.get $most) (f32x4.abs (v128.load (local.get $at)))))
      ${bump('$at', LANES)}
      (br_if $nextFour (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $most (f32x4.splat ${largest('$most')}))
    (local.set $scale (f32x4.div (local.get $most) (f32x4.splat (local.get $steps))))
    (local.set $inverse (f32x4.div (f32x4.splat (local.get $steps)) (local.get $most)))
    (local.set $at (local.get $x))
    (loop $nextNumbers
      (local.set $number (i32x4.trunc_sat_f32x4_s (f32x4.pmax
        (f32x4.pmin
          (f32x4.nearest (f32x4.mul (v128.load (local.get $at)) (local.get $inverse)))
          (f32x4.neg (local.get $least)))
        (local.get $least))))
      (v128.store64_lane 0 (local.get $to) (i16x8.narrow_i32x4_s (local.get $number) (local.get $number)))
      (local.set $number (f32x4.sub (v128.load (local.get $at))
        (f32x4.mul (f32x4.convert_i32x4_s (local.get $number)) (local.get $scale))))
      (local.set $off (f32x4.add (local.get $off) (f32x4.mul (local.get $number) (local.get $number))))
      (local.set $number (v128.load (local.get $at)))
      (local.set $squares (f32x4.add (local.get $squares) (f32x4.mul (local.get $number) (local.get $number))))
      ${bump('$at', LANES)}
      ${bump('$to', 8)}
      (br_if $nextNumbers (i32.lt_u (local.get $at) (local.get $end))))
    (f32.store (local.get $out) (f32x4.extract_lane 0 (local.get $scale)))
    (f32.store offset=4 (local.get $out) ${lanes('$squares')})
    (f32.store offset=8 (local.get $out) ${lanes('$off')})
    (local.set $x (i32.add (local.get $x) (local.get $xStride)))
    (local.set $out (i32.add (local.get $out) (local.get $outStride)))
    (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))`

/**
 * What an exit's proposals take: of values each less a bound, the largest and the second largest (`lowestBest`). A bound is
 * `$factor` times the token's slack and `$rest`. `listAbove`: the tokens whose values with their bounds reach a limit, and
 * how many; `$most` at most. `massOf`: the sum of exp(value - `$best`), and how much it may be off. `columns`: the
 * exact logits of tokens, each added up as products of plain and of packed matrices are.
 */
const headText = () => {
  const bound = `(f32x4.add (local.get $rests) (f32x4.mul (local.get $factors) (v128.load (local.get $slack))))`
  const overAll = (body: string) => `
  (local.set $end (i32.add (local.get $values) (i32.mul (local.get $count) (i32.const ${FLOAT}))))
  (local.set $factors (f32x4.splat (local.get $factor)))
  (local.set $rests (f32x4.splat (local.get $rest)))
  (loop $nextFour
    ${body}
    ${bump('$values', LANES)}
    ${bump('$slack', LANES)}
    (br_if $nextFour (i32.lt_u (local.get $values) (local.get $end))))`
  const scan =
    '(param $values i32) (param $slack i32) (param $count i32) (param $factor f32) (param $rest f32)'
  return `(module
(import "tfjs" "memory" (memory 0 65536))
(import "operations" "exp" (func $exp (param v128) (result v128)))
(func (export "lowestBest") ${scan} (param $out i32)
  (local $end i32) (local $factors v128) (local $rests v128) (local $low v128) (local $first v128) (local $second v128)
  (local.set $first ${splat(-3e38)})
  (local.set $second ${splat(-3e38)})
  ${overAll(`(local.set $low (f32x4.sub (v128.load (local.get $values)) ${bound}))
    (local.set $second (f32x4.pmax (local.get $second) (f32x4.pmin (local.get $first) (local.get $low))))
    (local.set $first (f32x4.pmax (local.get $first) (local.get $low)))`)}
  (v128.store (local.get $out) (local.get $first))
  (v128.store offset=16 (local.get $out) (local.get $second)))
(func (export "listAbove") ${scan} (param $limit f32) (param $out i32) (param $most i32) (result i32)
  (local $end i32) (local $factors v128) (local $rests v128) (local $reach i32) (local $token i32) (local $found i32)
  ${overAll(`(local.set $reach (i32x4.bitmask (f32x4.ge
      (f32x4.add (v128.load (local.get $values)) ${bound}) (f32x4.splat (local.get $limit)))))
    (block $none
      (loop $nextHit
        (br_if $none (i32.eqz (local.get $reach)))
        (br_if $none (i32.ge_u (local.get $found) (local.get $most)))
        (f32.store (i32.add (local.get $out) (i32.mul (local.get $found) (i32.const ${FLOAT})))
          (f32.convert_i32_u (i32.add (local.get $token) (i32.ctz (local.get $reach)))))
        (local.set $found (i32.add (local.get $found) (i32.const 1)))
        (local.set $reach (i32.and (local.get $reach) (i32.sub (local.get $reach) (i32.const 1))))
        (br $nextHit)))
    ${bump('$token', 4)}`)}
  (local.get $found))
(func (export "massOf") ${scan} (param $best f32) (param $out i32)
  (local $end i32) (local $factors v128) (local $rests v128) (local $bound v128)
  (local $share v128) (local $sum v128) (local $off v128)
  ${overAll(`(local.set $bound ${bound})
    (local.set $share (call $exp (f32x4.sub (v128.load (local.get $values)) (f32x4.splat (local.get $best)))))
    (local.set $sum (f32x4.add (local.get $sum) (local.get $share)))
    (local.set $off (f32x4.add (local.get $off)
      (f32x4.mul (local.get $share) (f32x4.add (local.get $bound) (f32x4.mul (local.get $bound) (local.get $bound))))))`)}
  (f32.store (local.get $out) ${lanes('$sum')})
  (f32.store offset=4 (local.get $out) ${lanes('$off')}))
(func (export "columns")
  (param $x i32) (param $w i32) (param $depth i32) (param $stride i32) (param $ids i32) (param $count i32) (param $out i32)
  (local $at i32) (local $end i32) (local $last i32) (local $value f32)
  ${times(4, (i) => `(local $w${i} i32) (local $sum${i} f32)`)}
  (local.set $last (i32.add (local.get $ids) (i32.mul (i32.sub (local.get $count) (i32.const 1)) (i32.const ${FLOAT}))))
  (loop $nextFour
    ${times(
      4,
      (i) => `(local.set $at (i32.add (local.get $ids) (i32.const ${FLOAT * i})))
    (local.set $w${i} (i32.add (local.get $w) (i32.mul (i32.const ${FLOAT}) (i32.trunc_f32_u (f32.load
      (select (local.get $at) (local.get $last) (i32.lt_u (local.get $at) (local.get $last))))))))
    (local.set $sum${i} (f32.const 0))`,
    )}
    (local.set $at (local.get $x))
    (local.set $end (i32.add (local.get $x) (i32.mul (local.get $depth) (i32.const ${FLOAT}))))
    (loop $nextRow
      (local.set $value (f32.load (local.get $at)))
      ${times(
        4,
        (
          i,
        ) => `(local.set $sum${i} (f32.add (local.get $sum${i}) (f32.mul (local.get $value) (f32.load (local.get $w${i})))))
      (local.set $w${i} (i32.add (local.get $w${i}) (local.get $stride)))`,
      )}
      ${bump('$at', FLOAT)}
      (br_if $nextRow (i32.lt_u (local.get $at) (local.get $end))))
    ${times(4, (i) => `(f32.store offset=${FLOAT * i} (local.get $out) (local.get $sum${i}))`)}
    ${bump('$out', LANES)}
    ${bump('$ids', LANES)}
    (br_if $nextFour (i32.le_u (local.get $ids) (local.get $last))))))`
}

/** Kinds of work that threads share, in the order of their numbers: the module and its function. */
const KINDS = [
  ['packed', 'multiplyPacked'],
  ['quantised', 'multiplyQuantised'],
  ['operations', 'attend'],
] as const
/** What is told of one; the last is how many blocks a part has. */
const OPERANDS = ['kind', 'x', 'xStride', 'w', 'out', 'outStride', 'rows', 'depth', 'blocks', 'size'] as const
/** Where it stands, in bytes from the job's start; `next`: job and parts still to be taken, `done`: parts that are done. */
const JOB = Object.fromEntries(['next', 'done', ...OPERANDS].map((field, i) => [field, FLOAT * i]))
/** Of `next`: parts that are left; above them the job's number. */
const PARTS_MASK = 0xffff

/**
 * Work by several threads on the same memory. `runShared` tells a job of as many parts as
 * its blocks fill, `$size` blocks each, takes one after the other itself, and returns when all are done, whether others
 * helped or not. `serve` is what another thread does for ever: parts of jobs as they come; after `$patience` looks without
 * one it sleeps until the next job. Who takes a part has read its operands before it took it, and a job ends only after
 * all its parts, so that what was read is the job's.
 */
function threadsText(): string {
  const address = (field: string) => `offset=${JOB[field]} (local.get $job)`
  const left = (value: string) => `(i32.and ${value} (i32.const ${PARTS_MASK}))`
  return `(module
(import "tfjs" "memory" (memory 0 65536))
${KINDS.map(([module, name]) => `(import "${module}" "${name}" (func $${name} (param ${'i32 '.repeat(9)})))`).join('\n')}
(func $takePart (param $job i32) (result i32)
  (local $next i32) (local $end i32)
  ${OPERANDS.map((name) => `(local $${name} i32)`).join(' ')}
  (loop $again
    (local.set $next (i32.atomic.load ${address('next')}))
    (if (i32.eqz ${left('(local.get $next)')}) (then (return (i32.const 0))))
    ${OPERANDS.map((name) => `(local.set $${name} (i32.load ${address(name)}))`).join('\n    ')}
    (br_if $again (i32.ne (local.get $next)
      (i32.atomic.rmw.cmpxchg ${address('next')} (local.get $next) (i32.sub (local.get $next) (i32.const 1))))))
  (local.set $end (i32.mul (local.get $size) ${left('(local.get $next)')}))
  ${KINDS.map(
    ([, name], kind) => `(if (i32.eq (local.get $kind) (i32.const ${kind})) (then (call $${name}
    ${OPERANDS.slice(1, 8)
      .map((operand) => `(local.get $${operand})`)
      .join(' ')}
    (i32.sub (local.get $end) (local.get $size))
    (select (local.get $end) (local.get $blocks) (i32.lt_u (local.get $end) (local.get $blocks))))))`,
  ).join('\n  ')}
  (drop (i32.atomic.rmw.add ${address('done')} (i32.const 1)))
  (i32.const 1))
(func (export "runShared") (param $job i32)
  ${OPERANDS.map((name) => `(param $${name} i32)`).join(' ')}
  (local $parts i32)
  (local.set $parts (i32.div_u
    (i32.sub (i32.add (local.get $blocks) (local.get $size)) (i32.const 1)) (local.get $size)))
  ${OPERANDS.map((name) => `(i32.store ${address(name)} (local.get $${name}))`).join('\n  ')}
  (i32.atomic.store ${address('done')} (i32.const 0))
  (i32.atomic.store ${address('next')} (i32.or (local.get $parts)
    (i32.and (i32.add (i32.load ${address('next')}) (i32.const ${PARTS_MASK + 1})) (i32.const ${~PARTS_MASK}))))
  (drop (memory.atomic.notify ${address('next')} (i32.const -1)))
  (loop $more (br_if $more (call $takePart (local.get $job))))
  (loop $others (br_if $others (i32.ne (i32.atomic.load ${address('done')}) (local.get $parts)))))
(func (export "serve") (param $job i32) (param $patience i32)
  (local $looks i32) (local $next i32)
  (loop $forever
    (if (call $takePart (local.get $job)) (then (local.set $looks (i32.const 0)) (br $forever)))
    (local.set $looks (i32.add (local.get $looks) (i32.const 1)))
    (br_if $forever (i32.lt_u (local.get $looks) (local.get $patience)))
    (local.set $next (i32.atomic.load ${address('next')}))
    (if (i32.eqz ${left('(local.get $next)')}) (then
      (drop (memory.atomic.wait32 ${address('next')} (local.get $next) (i64.const -1)))
      (local.set $looks (i32.const 0))))
    (br $forever))))`
}

/** Products of plain matrices. */
function productText(): string {
  const most = PARTS.at(-1)!.rows
  const call = (rows: number) =>
    `(call $rows${rows} (local.get $x) (local.get $w) (local.get $out) (local.get $depth) (local.get $width))`
  const skip = (name: string, size: string) =>
    `(local.set ${name} (i32.add (local.get ${name}) (i32.mul (local.get ${size}) (i32.const ${most * FLOAT}))))`
  return `(module
(import "tfjs" "memory" (memory 0 65536))
${PARTS.map(({ rows, depth }) => part(rows, depth)).join('\n')}
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

/**
 * `gate`: of rows that hold a gate and a linear part beside each other, gelu(gate) * linear. GELU in its tanh form,
 * x / (1 + exp(-2 u)) with u = sqrt(2 / pi) (x + 0.044715 x^3). Counts and strides in bytes.
 */
const GATE = `
(func (export "gate")
  (param $x i32) (param $xStride i32) (param $out i32) (param $outStride i32) (param $rows i32) (param $width i32)
  (local $at i32) (local $gate v128)
  (loop $nextRow
    (local.set $at (i32.const 0))
    (loop $nextFour
      (local.set $gate (v128.load (i32.add (local.get $x) (local.get $at))))
      (v128.store (i32.add (local.get $out) (local.get $at))
        (f32x4.mul
          (v128.load (i32.add (i32.add (local.get $x) (local.get $width)) (local.get $at)))
          (f32x4.div (local.get $gate)
            (f32x4.add ${splat(1)}
              (call $exp (f32x4.pmin (f32x4.mul ${splat(-2 * Math.sqrt(2 / Math.PI))}
                (f32x4.add (local.get $gate)
                  (f32x4.mul ${splat(0.044715)}
                    (f32x4.mul (f32x4.mul (local.get $gate) (local.get $gate)) (local.get $gate)))))
                ${splat(88)}))))))
      ${bump('$at', LANES)}
      (br_if $nextFour (i32.lt_u (local.get $at) (local.get $width))))
    (local.set $x (i32.add (local.get $x) (local.get $xStride)))
    (local.set $out (i32.add (local.get $out) (local.get $outStride)))
    (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))`

/** Coefficients of exp's polynomial on [-ln 2 / 2, ln 2 / 2], as in the Cephes library's expf. */
const EXP = [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5000000012]

/**
 * `choose`: of a row of logits the two largest, of equal ones the lower id first: ids, logits, and the first one's
 * probability, which is none where a logit is none. Where `$mass` is 0 the probability is 1, and none as before.
 */
const CHOOSE = `
(func $find (param $at i32) (param $end i32) (param $value f32) (param $but i32) (result i32)
  (local $start i32) (local $hits i32) (local $values v128)
  (local.set $start (local.get $at))
  (local.set $values (f32x4.splat (local.get $value)))
  (loop $nextFour
    (local.set $hits (i32x4.bitmask (f32x4.eq (v128.load (local.get $at)) (local.get $values))))
    (if (i32.eq (i32.and (local.get $but) (i32.const -4)) (i32.shr_u (i32.sub (local.get $at) (local.get $start)) (i32.const 2)))
      (then (local.set $hits (i32.and (local.get $hits)
        (i32.xor (i32.const -1) (i32.shl (i32.const 1) (i32.and (local.get $but) (i32.const 3))))))))
    (if (local.get $hits) (then (return (i32.add (i32.ctz (local.get $hits))
      (i32.shr_u (i32.sub (local.get $at) (local.get $start)) (i32.const 2))))))
    ${bump('$at', LANES)}
    (br_if $nextFour (i32.lt_u (local.get $at) (local.get $end))))
  (i32.const 0))
(func (export "choose") (param $logits i32) (param $out i32) (param $count i32) (param $mass i32)
  (local $at i32) (local $end i32) (local $id i32) (local $most f32) (local $next f32) (local $share f32)
  (local $values v128) (local $first v128) (local $second v128) (local $none v128) (local $sum v128)
  (local.set $end (i32.add (local.get $logits) (i32.mul (local.get $count) (i32.const ${FLOAT}))))
  (local.set $first ${splat(-Infinity)})
  (local.set $second ${splat(-Infinity)})
  (local.set $at (local.get $logits))
  (loop $nextLogits
    (local.set $values (v128.load (local.get $at)))
    (local.set $none (v128.or (local.get $none) (f32x4.ne (local.get $values) (local.get $values))))
    (local.set $second (f32x4.pmax (local.get $second) (f32x4.pmin (local.get $first) (local.get $values))))
    (local.set $first (f32x4.pmax (local.get $first) (local.get $values)))
    ${bump('$at', LANES)}
    (br_if $nextLogits (i32.lt_u (local.get $at) (local.get $end))))
  (local.set $most ${largest('$first')})
  ;; In the lane that holds it, the next one is the lane's second.
  (local.set $first (v128.bitselect (local.get $second) (local.get $first)
    (i32x4.eq (v128.const i32x4 0 1 2 3)
      (i32x4.splat (i32.ctz (i32x4.bitmask (f32x4.eq (local.get $first) (f32x4.splat (local.get $most)))))))))
  (local.set $next ${largest('$first')})
  (local.set $id (call $find (local.get $logits) (local.get $end) (local.get $most) (i32.const -1)))
  (f32.store offset=0 (local.get $out) (f32.convert_i32_u (local.get $id)))
  (f32.store offset=4 (local.get $out) (f32.convert_i32_u
    (call $find (local.get $logits) (local.get $end) (local.get $next) (local.get $id))))
  (f32.store offset=8 (local.get $out) (local.get $most))
  (f32.store offset=12 (local.get $out) (local.get $next))
  ;; None also where the largest is not finite.
  (local.set $share (f32.add (f32.const 1) (f32.sub (local.get $most) (local.get $most))))
  (if (v128.any_true (local.get $none)) (then (local.set $share (f32.const nan))))
  (if (local.get $mass) (then
    (local.set $sum ${splat(0)})
    (loop $nextFour
      (local.set $sum (f32x4.add (local.get $sum)
        (call $exp (f32x4.sub (v128.load (local.get $logits)) (f32x4.splat (local.get $most))))))
      ${bump('$logits', LANES)}
      (br_if $nextFour (i32.lt_u (local.get $logits) (local.get $end))))
    (local.set $share (f32.div (f32.const 1) ${lanes('$sum')}))))
  (f32.store offset=16 (local.get $out) (local.get $share)))`

/**
 * What is told of the memory of an attention, in whole numbers from its place on: where keys and values lie, the bias (0: there
 * is none) and how many bytes it is from head to head and from position to position, and the positions of the memory.
 */
const MEMORY_FIELDS = ['key', 'value', 'bias', 'biasHead', 'biasPosition', 'length'] as const
/** Of them; each head's scores follow, length + 4 floats. */
const MEMORY_BYTES = 32

/** What goes on by how much from one head to the next. */
const BY_HEAD = [
  ['query', 'width'],
  ['out', 'width'],
  ['key', 'size'],
  ['value', 'size'],
  ['bias', 'biasHead'],
  ['scores', 'scoreBytes'],
] as const

/**
 * `attend`: a row's queries, position by position in each head from `$head` to before `$last`, over a memory. Scores, their
 * exponentials and the sum over values each go through the positions in order, four sums side by side in each, and what is
 * masked adds zeros: so a query gets the same to the last bit whatever masked positions come after. Strides in bytes,
 * `$width` in floats.
 *
 * `append`: to `present`, head by head, what `past` holds of `before` positions and then new positions of rows.
 */
const ATTEND = `
(func (export "copyRows")
  (param $to i32) (param $toStride i32) (param $from i32) (param $fromStride i32) (param $rows i32) (param $width i32)
  (loop $nextRow
    (memory.copy (local.get $to) (local.get $from) (local.get $width))
    (local.set $to (i32.add (local.get $to) (local.get $toStride)))
    (local.set $from (i32.add (local.get $from) (local.get $fromStride)))
    (br_if $nextRow (local.tee $rows (i32.sub (local.get $rows) (i32.const 1))))))
(func $exp (export "exp") (param $x v128) (result v128)
  (local $n v128) (local $r v128) (local $y v128)
  (local.set $n (f32x4.nearest (f32x4.mul (f32x4.pmax (local.get $x) ${splat(-87.3)}) ${splat(Math.LOG2E)})))
  (local.set $r (f32x4.sub (f32x4.pmax (local.get $x) ${splat(-87.3)}) (f32x4.mul (local.get $n) ${splat(0.693359375)})))
  (local.set $r (f32x4.sub (local.get $r) (f32x4.mul (local.get $n) ${splat(-2.1219444e-4)})))
  (local.set $y ${splat(EXP[0])})
  ${EXP.slice(1)
    .map((c) => `(local.set $y (f32x4.add (f32x4.mul (local.get $y) (local.get $r)) ${splat(c)}))`)
    .join('\n  ')}
  (local.set $y (f32x4.add (f32x4.add (f32x4.mul (f32x4.mul (local.get $y) (local.get $r)) (local.get $r)) (local.get $r)) ${splat(1)}))
  (local.set $y (f32x4.mul (local.get $y)
    (i32x4.shl (i32x4.add (i32x4.trunc_sat_f32x4_s (local.get $n)) (v128.const i32x4 127 127 127 127)) (i32.const 23))))
  (v128.andnot (local.get $y) (f32x4.lt (local.get $x) ${splat(-87.3)})))
(func (export "append")
  (param $past i32) (param $present i32) (param $from i32) (param $fromStride i32) (param $heads i32)
  (param $before i32) (param $positions i32) (param $width i32)
  (local $size i32) (local $at i32) (local $end i32) (local $left i32)
  (local.set $width (i32.mul (local.get $width) (i32.const ${FLOAT})))
  (local.set $size (i32.mul (local.get $before) (local.get $width)))
  (loop $nextHead
    (if (local.get $size) (then
      (memory.copy (local.get $present) (local.get $past) (local.get $size))
      (local.set $past (i32.add (local.get $past) (local.get $size)))
      (local.set $present (i32.add (local.get $present) (local.get $size)))))
    (local.set $left (local.get $positions))
    (local.set $at (local.get $from))
    (loop $nextPosition
      (local.set $end (i32.add (local.get $at) (local.get $width)))
      (loop $nextFour
        (v128.store (local.get $present) (v128.load (local.get $at)))
        ${bump('$present', LANES)}
        ${bump('$at', LANES)}
        (br_if $nextFour (i32.lt_u (local.get $at) (local.get $end))))
      (local.set $at (i32.add (i32.sub (local.get $at) (local.get $width)) (local.get $fromStride)))
      (br_if $nextPosition (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (local.set $from (i32.add (local.get $from) (local.get $width)))
    (br_if $nextHead (local.tee $heads (i32.sub (local.get $heads) (i32.const 1))))))
(func (export "attend")
  (param $query i32) (param $queryStride i32) (param $memory i32) (param $out i32) (param $outStride i32)
  (param $positions i32) (param $width i32) (param $head i32) (param $last i32)
  (local $key i32) (local $value i32) (local $bias i32) (local $biasHead i32) (local $biasPosition i32) (local $length i32)
  (local $scores i32) (local $scoreBytes i32) (local $size i32)
  (local $left i32) (local $at i32) (local $to i32) (local $biasAt i32)
  ${MEMORY_FIELDS.map((field, i) => `(local.set $${field} (i32.load offset=${4 * i} (local.get $memory)))`).join('\n  ')}
  (local.set $width (i32.mul (local.get $width) (i32.const ${FLOAT})))
  (local.set $size (i32.mul (local.get $length) (local.get $width)))
  (local.set $scoreBytes (i32.mul (i32.add (local.get $length) (i32.const 4)) (i32.const ${FLOAT})))
  (local.set $scores (i32.add (local.get $memory) (i32.const ${MEMORY_BYTES})))
  ${BY_HEAD.map(
    ([name, step]) =>
      `(local.set $${name} (i32.add (local.get $${name}) (i32.mul (local.get $${step}) (local.get $head))))`,
  ).join('\n  ')}
  (loop $nextHead
    (local.set $left (local.get $positions))
    (local.set $at (local.get $query))
    (local.set $to (local.get $out))
    (local.set $biasAt (local.get $bias))
    (loop $nextPosition
      (call $attend (local.get $at) (local.get $key) (local.get $value) (local.get $biasAt) (local.get $scores)
        (local.get $to) (local.get $length) (local.get $width))
      (local.set $at (i32.add (local.get $at) (local.get $queryStride)))
      (local.set $to (i32.add (local.get $to) (local.get $outStride)))
      (local.set $biasAt (i32.add (local.get $biasAt) (local.get $biasPosition)))
      (br_if $nextPosition (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    ${BY_HEAD.map(
      ([name, step]) => `(local.set $${name} (i32.add (local.get $${name}) (local.get $${step})))`,
    ).join('\n    ')}
    (br_if $nextHead (i32.lt_u (local.tee $head (i32.add (local.get $head) (i32.const 1))) (local.get $last)))))
(func $attend
  (param $query i32) (param $key i32) (param $value i32) (param $bias i32) (param $scores i32) (param $out i32)
  (param $length i32) (param $size i32)
  (local $end i32) (local $last i32) (local $lastFour i32) (local $at i32) (local $from i32)
  (local $score f32) (local $most f32) (local $sum v128) (local $part v128)
  ${times(4, (i) => `(local $at${i} i32) (local $sum${i} v128)`)}
  (local.set $end (i32.add (local.get $query) (local.get $size)))
  (local.set $last (i32.add (local.get $scores) (i32.mul (local.get $length) (i32.const ${FLOAT}))))
  (local.set $lastFour (i32.add (local.get $scores)
    (i32.mul (i32.and (local.get $length) (i32.const -4)) (i32.const ${FLOAT}))))
  (local.set $most (f32.const -inf))
  (local.set $at (local.get $scores))
  (if (i32.lt_u (local.get $at) (local.get $lastFour)) (then (loop $nextKeys
    (local.set $from (local.get $query))
    ${times(
      4,
      (
        i,
      ) => `(local.set $at${i} ${i === 0 ? '(local.get $key)' : `(i32.add (local.get $at${i - 1}) (local.get $size))`})
    (local.set $sum${i} ${splat(0)})`,
    )}
    (loop $nextParts
      (local.set $part (v128.load (local.get $from)))
      ${times(
        4,
        (
          i,
        ) => `(local.set $sum${i} (f32x4.add (local.get $sum${i}) (f32x4.mul (local.get $part) (v128.load (local.get $at${i})))))
      ${bump(`$at${i}`, LANES)}`,
      )}
      ${bump('$from', LANES)}
      (br_if $nextParts (i32.lt_u (local.get $from) (local.get $end))))
    (local.set $key (local.get $at3))
    ${times(
      4,
      (i) => `(local.set $score ${lanes(`$sum${i}`)})
    (if (local.get $bias) (then
      (local.set $score (f32.add (local.get $score) (f32.load offset=${FLOAT * i} (local.get $bias))))))
    (local.set $most (f32.max (local.get $most) (local.get $score)))
    (f32.store offset=${FLOAT * i} (local.get $at) (local.get $score))`,
    )}
    (if (local.get $bias) (then ${bump('$bias', LANES)}))
    ${bump('$at', LANES)}
    (br_if $nextKeys (i32.lt_u (local.get $at) (local.get $lastFour))))))
  (if (i32.lt_u (local.get $at) (local.get $last)) (then (loop $nextKey
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
    (br_if $nextKey (i32.lt_u (local.get $at) (local.get $last))))))
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
  (local.set $end (i32.add (local.get $out) (local.get $size)))
  (memory.fill (local.get $out) (i32.const 0) (local.get $size))
  (if (i32.lt_u (local.get $scores) (local.get $lastFour)) (then (loop $nextValues
    (local.set $at (local.get $out))
    ${times(
      4,
      (
        i,
      ) => `(local.set $at${i} ${i === 0 ? '(local.get $value)' : `(i32.add (local.get $at${i - 1}) (local.get $size))`})
    (local.set $sum${i} (v128.load32_splat offset=${FLOAT * i} (local.get $scores)))`,
    )}
    (loop $nextParts
      (local.set $part (v128.load (local.get $at)))
      ${times(
        4,
        (
          i,
        ) => `(local.set $part (f32x4.add (local.get $part) (f32x4.mul (local.get $sum${i}) (v128.load (local.get $at${i})))))
      ${bump(`$at${i}`, LANES)}`,
      )}
      (v128.store (local.get $at) (local.get $part))
      ${bump('$at', LANES)}
      (br_if $nextParts (i32.lt_u (local.get $at) (local.get $end))))
    (local.set $value (local.get $at3))
    ${bump('$scores', LANES)}
    (br_if $nextValues (i32.lt_u (local.get $scores) (local.get $lastFour))))))
  (if (i32.lt_u (local.get $scores) (local.get $last)) (then (loop $nextValue
    (local.set $at (local.get $out))
    (local.set $sum (v128.load32_splat (local.get $scores)))
    (loop $nextPart
      (v128.store (local.get $at) (f32x4.add (v128.load (local.get $at)) (f32x4.mul (local.get $sum) (v128.load (local.get $value)))))
      ${bump('$value', LANES)}
      ${bump('$at', LANES)}
      (br_if $nextPart (i32.lt_u (local.get $at) (local.get $end))))
    ${bump('$scores', FLOAT)}
    (br_if $nextValue (i32.lt_u (local.get $scores) (local.get $last))))))
  (loop $nextPart
    (v128.store (local.get $out) (f32x4.mul (v128.load (local.get $out)) (f32x4.splat (local.get $score))))
    ${bump('$out', LANES)}
    (br_if $nextPart (i32.lt_u (local.get $out) (local.get $end)))))
`

/** What stands between products. */
const operationsText = () => `(module
(import "tfjs" "memory" (memory 0 65536))
${LENGTH_NORM}
${inPlace('add', '(param $y i32)', '(f32x4.add (v128.load (local.get $out)) (v128.load (local.get $y)))')}
${inPlace('relu', '', `(f32x4.max (v128.load (local.get $out)) ${splat(0)})`)}
${ATTEND}
${GATE}
${CHOOSE}
${QUANTISE})`

/** The modules' bytes, by the names that src/engines/tfjs/wasm/modules.ts gives them. */
export async function kernelModules(): Promise<
  Record<'PRODUCTS' | 'PACKED' | 'QUANTISED' | 'HEAD' | 'THREADS' | 'OPERATIONS', Uint8Array>
> {
  const { parseWat } = await wabt()
  const bytesOf = (name: string, text: string) => {
    const module = parseWat(`${name}.wat`, text, { simd: true, bulk_memory: true, threads: true })
    try {
      return module.toBinary({}).buffer
    } finally {
      module.destroy()
    }
  }
  return {
    PRODUCTS: bytesOf('products', productText()),
    PACKED: bytesOf('packed', streamedText(PACKED)),
    QUANTISED: bytesOf('quantised', streamedText(QUANTISED)),
    HEAD: bytesOf('head', headText()),
    THREADS: bytesOf('threads', threadsText()),
    OPERATIONS: bytesOf('operations', operationsText()),
  }
}
