import { describe, expect, it } from 'vitest'
import { ApiError } from '$lib/api/errors'
import { moves, counted } from './moves'
import { messageAt, problemsOf, refusalOf } from './problems'
import { boostDraft, changedKeys, draftOf, rulesOf, variantRules } from './rules'
import { draftValue, given } from './scalars'
import { scaleOf } from './scale'
import { ruleWords, variantWords } from './words'

const RULES = {
  sources: { model: 2, fresh: 0.5 },
  rank_by: 'sources',
  ranker: false,
  filter: { categories: ['food'], languages: ['en'], min_seconds: 5, attributes: { rated: ['g', 'pg'], year: [2020] } },
  exclude_seen: false,
  boosts: [
    { tags: ['new'], max_age_days: 2, multiply: 1.3 },
    { not_categories: ['ads'], add: -0.1 },
  ],
  pins: { '0': 'v1', '4': 'v2' },
  caps: { category: 3 },
  diversity: 0.4,
  fresh_share: 0.1,
  exploration: 0.05,
  max_items: 20,
}

describe('the form of a scenario', () => {
  it('gives back the rules that it was given', () => {
    expect(rulesOf(draftOf(RULES))).toEqual(RULES)
    expect(rulesOf(draftOf({}))).toEqual({})
  })

  it('keeps keys that it does not have, but those of an experiment', () => {
    const held = { attribution_hours: 48, experiment: 'x', variants: { b: { share: 0.5 } } }
    expect(rulesOf(draftOf(held), held)).toEqual({ attribution_hours: 48 })
  })

  it('reads a date in whichever form it is kept', () => {
    expect(draftOf({ filter: { published_since: Date.UTC(2026, 0, 31) } }).filter.published_since).toBe('2026-01-31')
    const draft = draftOf({ filter: { published_since: '2026-01-31T00:00:00Z' } })
    expect(rulesOf(draft)).toEqual({ filter: { published_since: '2026-01-31' } })
  })

  it('leaves unfinished rows out', () => {
    const draft = draftOf({})
    draft.pins.push({ place: 1, item: '' }, { place: null, item: 'v1' })
    draft.caps.push({ name: ' ', most: 3 })
    draft.filter.attributes.push({ name: 'rated', values: [] })
    expect(rulesOf(draft)).toEqual({})
  })

  it('knows which keys changed, and says in a variant what goes back to the usual', () => {
    const before = { diversity: 0.4, caps: { category: 3 } }
    const after = { caps: { category: 3 }, exploration: 0.1 }
    expect(changedKeys(before, after)).toEqual(['diversity', 'exploration'])
    expect(variantRules(before, after)).toEqual({ diversity: null, exploration: 0.1 })
  })

  it('keeps the type of an attribute through what is typed', () => {
    for (const value of ['g', '2020', 'true', 12, -0.5, false]) expect(given(draftValue(value))).toBe(value)
    expect(draftValue('2020')).toBe('"2020"')
  })
})

describe('what is wrong with a form', () => {
  it('is said at its field', () => {
    const draft = draftOf({ filter: { min_seconds: 50, max_seconds: 10 } })
    draft.sources.model = 0
    draft.boosts.push({ ...boostDraft(), add: 2 })
    draft.pins.push({ place: 1, item: 'v1' }, { place: 1, item: 'v2' }, { place: 2.5, item: '' })
    draft.caps.push({ name: '', most: 0 })
    draft.max_items = 2000
    expect(problemsOf(draft)).toEqual({
      'filter.max_seconds': 'Must not be less than the minimum: nothing would appear',
      'sources.model': 'Must be more than 0',
      'boosts.0.add': 'Must be from -1 to 1',
      'pins.#1': 'Is said twice',
      'pins.#2': 'Choose an item',
      'caps.#0': 'Needs a name',
      max_items: 'Must be from 1 to 1,000',
    })
    expect(problemsOf(draftOf(RULES))).toEqual({})
  })

  it('comes from the service with its field', () => {
    const error = new ApiError(422, 'invalid', 'rules.boosts.0.multiply must be at least 0', 'rules.boosts.0.multiply')
    const refusal = refusalOf(error, 'rules')
    expect(refusal).toEqual({ path: 'boosts.0.multiply', message: 'Must be at least 0' })
    expect(messageAt(refusal, 'boosts.0')).toBe('Must be at least 0')
    expect(messageAt(refusal, 'boosts.1')).toBeNull()
    const key = new ApiError(422, 'invalid', 'rules.pins.x.[key] must be a number', 'rules.pins.x.[key]')
    expect(messageAt(refusalOf(key, 'rules'), 'pins.x')).toBe('Must be a number')
  })

  it('is about all of it where the service names no field', () => {
    const refusal = refusalOf(new ApiError(422, 'invalid', 'rules must be smaller', 'rules'), 'rules')
    expect(refusal).toEqual({ path: '', message: 'Rules must be smaller' })
    expect(messageAt(refusal, 'caps')).toBeNull()
  })
})

describe('two slates', () => {
  const slate = (...ids: string[]) => ids.map((id, position) => ({ item_id: id, title: id, position }))

  it('say what enters, leaves and moves', () => {
    const found = moves(slate('a', 'b', 'c', 'd'), slate('a', 'c', 'e', 'b'))
    expect(found.then).toEqual([{ kind: 'same' }, { kind: 'up', by: 1 }, { kind: 'entered' }, { kind: 'down', by: 2 }])
    expect(found.now.map((one) => one.kind)).toEqual(['same', 'same', 'same', 'left'])
    expect(counted(found)).toEqual({ entered: 1, left: 1, moved: 2 })
  })

  it('are one where the scenario is new', () => {
    expect(counted(moves(null, slate('a')))).toEqual({ entered: 1, left: 0, moved: 0 })
  })
})

describe('rules in words', () => {
  it('say each rule, and nothing of what is as usual', () => {
    expect(ruleWords({})).toEqual([])
    expect(ruleWords(RULES)).toEqual([
      'Sources: Model 2, New items 0.5',
      'Ordered by sources',
      'Without the ranker',
      'Only food',
      'Only in en',
      'Only at least 5 s',
      'Only rated: g, pg',
      'Only year: 2020',
      'Seen items may come back',
      'tagged new, at most 2 days old ×1.3',
      'not ads −0.1',
      'Place 1: v1',
      'Place 5: v2',
      'At most 3 per category',
      'Diversity 40%',
      '10% for new items',
      'Exploration 5%',
      'At most 20 items',
    ])
  })

  it('say what a variant takes back', () => {
    expect(variantWords({ diversity: null, share: 0.5 })).toEqual(['Diversity: as usual'])
  })
})

describe('the scale of differences', () => {
  it('has zero in the middle, round ticks, and room for every interval', () => {
    const scale = scaleOf([-0.05, 0.39, null])
    expect(scale.at(0)).toBe(0.5)
    expect(scale.ticks).toEqual([-0.4, -0.2, 0, 0.2, 0.4].map((one) => expect.closeTo(one) as number))
    expect(scale.at(0.39)).toBeLessThan(1)
  })

  it('does not blow up what is nothing', () => {
    expect(scaleOf([0, null]).ticks.length).toBeLessThan(6)
  })
})
