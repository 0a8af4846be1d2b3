import { afterEach, describe, expect, it } from 'vitest'
import type { Schema } from '$lib/api/client'
import { translator } from '$lib/i18n/i18n.svelte'
import { conclusions, finding, measured, sentence } from './conclude'

const interval = (mean: number | null, low: number | null = null, high: number | null = null) => ({ mean, low, high })

function report(found: Partial<Schema<'DifferenceOut'>>, users = 500): Schema<'ExperimentOut'> {
  const variant = (name: string, mean: number) => ({
    variant: name,
    share: 0.5,
    users,
    slates: 1000,
    impressions: 10_000,
    clicks: 1000,
    likes: 0,
    watch_seconds: 0,
    measures: { 'click rate': interval(mean) },
  })
  const difference = {
    interval: interval(0.02, 0.0102, 0.0298),
    relative: 0.2,
    p_value: 0.000068,
    detectable: 0.014,
    users_needed: 900,
    ...found,
  }
  return {
    scenario: 'home',
    first_ms: 0,
    last_ms: 1,
    variants: [variant('control', 0.1), variant('b', 0.12)],
    comparisons: [{ variant: 'b', measure: 'click rate', found: difference, conclusion: '' }],
    mismatch_prob: 0.6,
    notices: [],
    sentence: '',
    running: true,
  }
}

afterEach(() => translator.choose('en'))

describe('what may be concluded', () => {
  it('is a clear difference, relative to the control', () => {
    expect(conclusions(report({}))).toEqual([
      'Click rate: “b” is higher than the control: +20% (95 %: +10.2% to +29.8%), p < 0.001.',
    ])
  })

  it('is that nothing can be told, and what it would take', () => {
    const open = report({ p_value: 0.38, interval: interval(-0.005, -0.016, 0.006), users_needed: 10_064 })
    expect(conclusions(open)).toEqual([
      'Click rate: no difference can be told from chance: −5% (95 %: −16% to +6%), p = 0.38. One of 14% would be found four ' +
        'times of five. This one would take about 10,064 users; so far there are 1,000.',
    ])
  })

  it('is too early with few users, and nothing without clicks', () => {
    expect(conclusions(report({}, 12))[0]).toMatch(/^Too early: 12 users in the smaller variant, at least 30/)
    expect(conclusions(report({ p_value: null }))[0]).toMatch(/^Click rate: nothing can be said/)
  })

  it('is nothing where users were not dealt out as asked', () => {
    const mixed = { ...report({}), mismatch_prob: 0.0001 }
    expect(conclusions(mixed)[0]).toMatch(/^Nothing may be concluded/)
  })

  it('asks more of each where several variants are compared', () => {
    const two = report({ p_value: 0.03 })
    const verdicts = (told: typeof two) => told.comparisons.map((one) => finding(one, told).verdict)
    expect(verdicts(two)).toEqual(['higher'])
    const more = two.variants.slice(1).map((one) => ({ ...one, variant: 'c' }))
    const three = { ...two, variants: [...two.variants, ...more] }
    expect(verdicts(three)).toEqual(['open'])
    expect(three.comparisons.map((one) => finding(one, three).p)).toEqual([expect.closeTo(0.06)])
  })

  it('is said in Chinese, too', async () => {
    await translator.choose('zh')
    const told = report({})
    expect(told.comparisons.map((one) => sentence(finding(one, told)))).toEqual([
      '点击率：“b”高于对照组：+20%（95% 区间：+10.2% 至 +29.8%），p < 0.001。',
    ])
  })
})

describe('what stands beside it', () => {
  it('has units', () => {
    expect(measured('click rate', 0.1234)).toBe('12.34%')
    expect(measured('watch seconds per user', 12.34)).toBe('12.3 s')
    expect(measured('likes per slate', 0.01234)).toBe('0.012')
    expect(measured('likes per slate', null)).toBe('–')
  })
})
