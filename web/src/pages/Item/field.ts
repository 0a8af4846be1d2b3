import type { Schema } from '$lib/api/client'

export type Field = Schema<'MotionField'>

/** A line from the middle of a cell; everything in frame widths. */
export interface Arrow {
  x: number
  y: number
  right: number
  down: number
  /** 0 to 1. */
  trust: number
}

const STANDOUT = 0.97
const LEAST_TRUST = 0.05

/** The field at a moment between two: numbers go over from one to the other. Before the first and after the last they stand. */
export function fieldAt(fields: readonly Field[], timeMs: number): Field | null {
  const first = fields[0]
  const last = fields.at(-1)
  if (!first || !last) return null
  if (timeMs <= first.time_ms) return first
  const next = fields.findIndex((one) => one.time_ms >= timeMs)
  const [from, to] = [fields[next - 1], fields[next]]
  if (!from || !to) return last
  const share = (timeMs - from.time_ms) / Math.max(1, to.time_ms - from.time_ms)
  const mixed = (one: number[][], other: number[][]) =>
    one.map((cells, row) => cells.map((cell, column) => cell + ((other[row]?.[column] ?? cell) - cell) * share))
  return {
    time_ms: timeMs,
    right: mixed(from.right, to.right),
    down: mixed(from.down, to.down),
    trust: mixed(from.trust, to.trust),
  }
}

/** Speed of what moves fastest among what can be believed, frame widths a second; single wild cells do not count. */
export function fastest(fields: readonly Field[]): number {
  const speeds = fields
    .flatMap((field) =>
      field.right.flatMap((cells, row) =>
        cells.map((right, column) =>
          (field.trust[row]?.[column] ?? 0) >= LEAST_TRUST ? Math.hypot(right, field.down[row]?.[column] ?? 0) : 0,
        ),
      ),
    )
    .sort((one, other) => one - other)
  return speeds[Math.floor((speeds.length - 1) * STANDOUT)] ?? 0
}

/** How far cells are believed at most: what is drawn full. */
export function mostTrust(fields: readonly Field[]): number {
  return Math.max(0, ...fields.flatMap((field) => field.trust.flat()))
}

/**
 * The arrows of a field: as long as a cell where the speed is `longest`.
 *
 * @param height Of a frame, in frame widths.
 */
export function arrowsOf(field: Field, longest: number, height: number): Arrow[] {
  const rows = field.right.length
  const columns = field.right[0]?.length ?? 0
  const scale = longest > 0 ? 1 / columns / longest : 0
  return field.right.flatMap((cells, row) =>
    cells.map((right, column) => ({
      x: (column + 0.5) / columns,
      y: ((row + 0.5) / rows) * height,
      right: right * scale,
      down: (field.down[row]?.[column] ?? 0) * scale,
      trust: field.trust[row]?.[column] ?? 0,
    })),
  )
}
