// Labels in charts: inside the plot, apart from each other and from marks.
import assert from 'node:assert/strict'
import fc from 'fast-check'
import type { PlacedLabel } from '../../src/report/charts/labelPlacement.js'
import { placeLabels } from '../../src/report/charts/labelPlacement.js'
import { estimateTextWidth } from '../../src/report/textExtent.js'

const SPACE = { width: 600, height: 300, fontSize: 12, markRadius: 6 }

function boxOf({ text, x, y, align }: PlacedLabel) {
  const width = estimateTextWidth(text, SPACE.fontSize)
  const left = align === 'left' ? x : align === 'right' ? x - width : x - width / 2
  return { left, right: left + width, top: y - 6, bottom: y + 6 }
}

function overlap(a: ReturnType<typeof boxOf>, b: ReturnType<typeof boxOf>): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
}

const point = fc.record({ x: fc.integer({ min: 20, max: 580 }), y: fc.integer({ min: 20, max: 280 }) })

describe('placement of labels', () => {
  it('optional labels never cover another label or a mark, and no label leaves the plot', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 40 }), (marks) => {
        const requests = marks.map((mark, i) => ({ ...mark, text: `free 0.${i}`, isOptional: true }))
        const labels = placeLabels(requests, { ...SPACE, marks, lines: [] })
        const boxes = labels.map(boxOf)
        for (const [i, box] of boxes.entries()) {
          assert.ok(box.left >= 0 && box.right <= SPACE.width && box.top >= 0 && box.bottom <= SPACE.height)
          assert.ok(boxes.slice(i + 1).every((other) => !overlap(box, other)))
          const inner = marks.map(({ x, y }) => ({ left: x - 5, right: x + 5, top: y - 5, bottom: y + 5 }))
          assert.ok(inner.every((mark) => !overlap(box, mark)))
        }
      }),
    )
  })

  it('required labels are all placed, apart where there is room', () => {
    const marks = [10, 40, 70, 100].map((y) => ({ x: 300, y }))
    const labels = placeLabels(
      marks.map((mark, i) => ({ ...mark, text: `policy ${i}` })),
      { ...SPACE, marks, lines: [] },
    )
    assert.equal(labels.length, 4)
    const boxes = labels.map(boxOf)
    assert.ok(boxes.every((box, i) => boxes.slice(i + 1).every((other) => !overlap(box, other))))
  })

  it('a label far from its mark has a line to it, one beside its mark has none', () => {
    const marks = [0, 1, 2, 3, 4, 5].flatMap((i) =>
      [0, 1, 2].map((k) => ({ x: 270 + 12 * i, y: 140 + 12 * k })),
    )
    const crowded = placeLabels([{ ...marks[7], text: 'in the crowd' }], { ...SPACE, marks, lines: [] })
    assert.deepEqual(crowded[0].leader?.from, marks[7])
    const alone = placeLabels([{ ...marks[0], text: 'alone' }], { ...SPACE, marks: [marks[0]], lines: [] })
    assert.equal(alone[0].leader, null)
  })

  it('avoids lines where it can', () => {
    const mark = { x: 300, y: 150 }
    const line = [mark, { x: 500, y: 150 }]
    const [label] = placeLabels([{ ...mark, text: 'label' }], { ...SPACE, marks: [mark], lines: [line] })
    const box = boxOf(label)
    assert.ok(box.bottom < 150 || box.top > 150 || box.right < 300)
  })
})
