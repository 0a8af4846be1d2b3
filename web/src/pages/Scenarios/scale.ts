const LEAST = 0.02
const ROOM = 1.08
const NUM_STEPS = 2

/** A scale for differences: zero in the middle, room on both sides, ticks at round numbers. */
export function scaleOf(values: readonly (number | null)[]): { at: (value: number) => number; ticks: number[] } {
  const most = Math.max(LEAST, ...values.map((one) => Math.abs(one ?? 0))) * ROOM
  const rough = most / NUM_STEPS
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([5, 2, 1].find((one) => one * power <= rough) ?? 1) * power
  const reach = Math.floor(most / step)
  const all = Array.from({ length: 2 * reach + 1 }, (_, place) => (place - reach) * step)
  return {
    at: (value) => Math.min(1, Math.max(0, (value / most + 1) / 2)),
    ticks: all.filter((tick) => reach <= NUM_STEPS || Math.round(tick / step) % NUM_STEPS === 0),
  }
}
