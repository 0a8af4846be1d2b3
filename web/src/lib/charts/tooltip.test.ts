import { describe, expect, it } from 'vitest'
import { content, tooltip } from './tooltip'

const p50 = { axisValueLabel: '12:00', seriesName: 'p50', value: [3, 12.34567], color: '#0a7768' }

describe('the tooltip of charts', () => {
  it('has a line for each series and no markup of others', () => {
    const box = content([p50, { ...p50, seriesName: '<b>p99</b>', value: 30 }], (value) => `${String(value)} ms`)
    expect(box.textContent).toBe('12:00p5012.34567 ms<b>p99</b>30 ms')
    expect(box.querySelectorAll('i')).toHaveLength(2)
  })

  it('rounds numbers unless it is told how to write them', () => {
    const formatter = (option: Record<string, unknown>) =>
      (tooltip(option)['formatter'] as (point: unknown) => HTMLElement)(p50).textContent
    expect(formatter({})).toBe('12:00p5012.346')
    expect(formatter({ valueFormatter: () => 'much' })).toBe('12:00p50much')
  })
})
