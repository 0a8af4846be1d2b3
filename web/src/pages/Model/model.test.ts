import { describe, expect, it } from 'vitest'
import type { Schema } from '$lib/api/client'
import { groupOf, groupsOf, type Point } from './groups'
import { barsOf, changes, curves, metricsOf, most, scoreOf, shortId, taskCurves, verdicts, type Model } from './numbers'
import { isSeen, nearest, onCanvas, onMap, panned, readView, WHOLE, writeView, zoomed } from './view'

const NAME = 'ndcg@10'

function ranker(name: string, all: number, warm: number, cold: number | null): Schema<'RankerOut'> {
  const row = (mean: number) => ({
    num_cases: 9,
    num_users: 3,
    mean_candidates: 40,
    metrics: { [NAME]: { mean, low: mean - 0.01, high: mean + 0.01 } },
  })
  const rows = { all: row(all), warm: row(warm), ...(cold === null ? {} : { cold: row(cold) }) }
  return { name, rows, catalogue: {}, milliseconds_per_case: null }
}

const EVALUATED: Schema<'EvaluatedOut'> = {
  protocol: 'temporal',
  title: '',
  date: '',
  command: '',
  same_recipe: true,
  reference: 'FLM',
  ceiling: 'oracle',
  split: {},
  rankers: [
    ranker('EASE', 0.17, 0.22, null),
    ranker('content', 0.23, 0.21, 0.32),
    ranker('FLM', 0.25, 0.23, 0.38),
    ranker('oracle', 0.4, 0.4, 0.5),
  ],
  differences: [
    {
      ranker: 'FLM',
      reference: 'EASE',
      metric: NAME,
      row: 'warm',
      mean: 0.01,
      low: -0.01,
      high: 0.03,
      p_value: 0.2,
      is_clear: false,
    },
    {
      ranker: 'FLM',
      reference: 'content',
      metric: NAME,
      row: 'warm',
      mean: 0.02,
      low: 0.01,
      high: 0.03,
      p_value: 0,
      is_clear: true,
    },
    {
      ranker: 'FLM',
      reference: 'content',
      metric: NAME,
      row: 'cold',
      mean: 0.06,
      low: 0.04,
      high: 0.08,
      p_value: 0,
      is_clear: true,
    },
  ],
  notes: [],
}

describe('a report', () => {
  it('has bars: who knows the answers first, then the better ones', () => {
    const bars = barsOf(EVALUATED, NAME)
    expect(bars.map((one) => [one.name, one.kind])).toEqual([
      ['oracle', 'ceiling'],
      ['FLM', 'model'],
      ['content', 'baseline'],
      ['EASE', 'baseline'],
    ])
    expect(bars.at(-1)?.cold).toBeNull()
    expect(most(bars)).toBeCloseTo(0.51)
    expect(metricsOf(EVALUATED)).toEqual([NAME])
  })

  it('compares with the best baseline of the same cases', () => {
    expect(verdicts(EVALUATED, NAME)).toEqual([
      { row: 'warm', rival: 'EASE', mean: 0.01, low: -0.01, high: 0.03, isClear: false },
      { row: 'cold', rival: 'content', mean: 0.06, low: 0.04, high: 0.08, isClear: true },
    ])
    expect(verdicts({ ...EVALUATED, differences: [] }, NAME)).toEqual([])
  })
})

describe('learning curves', () => {
  it('have a line for each name, where it was looked at', () => {
    const points = [
      { epoch: 1, seconds: 1, losses: { sequential: 7 }, validation: null },
      { epoch: 2, seconds: 2, losses: { sequential: 6 }, validation: { sequential: 0.2, memory_weight: 2 } },
    ]
    expect(curves(points, 'losses')).toEqual([
      {
        name: 'sequential',
        points: [
          [1, 7],
          [2, 6],
        ],
      },
    ])
    expect(curves(points, 'validation')).toEqual([{ name: 'sequential', points: [[2, 0.2]] }])
  })

  it('of a task are its columns, by epoch', () => {
    const points = [{ epoch: 3, seconds: 9, loss: 0.5, auc: null }]
    expect(taskCurves(points)).toEqual([{ name: 'loss', points: [[3, 0.5]] }])
  })
})

describe('versions', () => {
  const model = (validation: Record<string, number>, data: Record<string, unknown>): Model => ({
    id: '20261123T033012000-bf442367',
    made_at: '',
    published: true,
    command: '',
    seed: 7,
    training_seconds: 1,
    validation,
    data,
    parent: null,
    notes: {},
  })

  it('have one number and a short name', () => {
    expect(scoreOf(model({ content: 0.2, fused: 0.27 }, {}))).toBe(0.27)
    expect(scoreOf(model({ content: 0.2, sequential: 0.25 }, {}))).toBe(0.25)
    expect(scoreOf(model({}, {}))).toBeNull()
    expect(shortId('20261123T033012000-bf442367')).toBe('bf442367')
  })

  it('differ in what a roll-back changes', () => {
    const from = model({ fused: 0.27, content: 0.2 }, { items: 440, newest_ms: 5 })
    const to = model({ fused: 0.25, content: 0.2 }, { items: 400 })
    expect(changes(from, to)).toEqual({
      validation: [{ name: 'fused', from: 0.27, to: 0.25 }],
      data: [{ name: 'items', from: 440, to: 400 }],
    })
  })
})

describe('the view of the map', () => {
  const size = { width: 400, height: 200 }

  it('shows all of it at first, upright and in the middle', () => {
    expect(onCanvas({ x: 0, y: 0 }, WHOLE, size)).toEqual({ x: 200, y: 100 })
    expect(onCanvas({ x: 0, y: 1 }, WHOLE, size).y).toBeCloseTo(6)
    const back = onMap(onCanvas({ x: 0.3, y: -0.7 }, WHOLE, size), WHOLE, size)
    expect([back.x, back.y]).toEqual([expect.closeTo(0.3), expect.closeTo(-0.7)])
  })

  it('magnifies about the pointer and keeps within bounds', () => {
    const pixel = { x: 260, y: 60 }
    const before = onMap(pixel, WHOLE, size)
    const near = zoomed(WHOLE, size, 4, pixel)
    const after = onMap(pixel, near, size)
    expect([after.x, after.y]).toEqual([expect.closeTo(before.x), expect.closeTo(before.y)])
    expect(zoomed(near, size, 1000).zoom).toBe(40)
    expect(zoomed(near, size, 0.001).zoom).toBe(1)
    expect(panned(near, size, { x: -1e6, y: 0 }).x).toBe(1)
  })

  it('finds the nearest point within reach', () => {
    const spots = [
      { x: 0, y: 0 },
      { x: 0.1, y: 0 },
      { x: Infinity, y: Infinity },
    ]
    expect(nearest(spots, { x: 208, y: 100 }, WHOLE, size, 14)).toBe(1)
    expect(nearest(spots, { x: 300, y: 100 }, WHOLE, size, 14)).toBe(-1)
  })

  it('knows what is seen', () => {
    const near = zoomed(WHOLE, size, 10)
    expect(isSeen({ x: 0, y: 0 }, near, size)).toBe(true)
    expect(isSeen({ x: 0.9, y: 0 }, near, size)).toBe(false)
  })

  it('stands in the address', () => {
    expect(writeView(WHOLE)).toBe('')
    const near = { x: 0.25, y: -0.5, zoom: 3 }
    expect(readView(writeView(near))).toEqual(near)
    for (const text of [null, '', 'x', '1,2']) expect(readView(text)).toEqual(WHOLE)
  })
})

describe('the colours of the map', () => {
  const point = (category: string, cold = false): Point => ({
    item_id: category,
    title: '',
    category,
    cold,
    x: 0,
    y: 0,
  })

  it('are of the categories there is most of; the rest is one group', () => {
    const many = Array.from({ length: 10 }, (_, place) =>
      Array.from({ length: 12 - place }, () => point(`c${place}`)),
    ).flat()
    const groups = groupsOf([...many, point('')], 'category')
    expect(groups).toHaveLength(9)
    expect(groups[0]).toEqual({ key: 'c0', count: 12, token: '--k1' })
    expect(groups.at(-1)).toEqual({ key: '', count: 4 + 3 + 1, token: '--c-popularity' })
    expect(groupOf(point('c9'), groups, 'category')?.key).toBe('')
  })

  it('tell new items from those learnt from', () => {
    const groups = groupsOf([point('a'), point('a', true), point('b')], 'cold')
    expect(groups.map((one) => [one.key, one.count])).toEqual([
      ['warm', 2],
      ['cold', 1],
    ])
    expect(groupOf(point('a', true), groups, 'cold')?.key).toBe('cold')
  })
})
