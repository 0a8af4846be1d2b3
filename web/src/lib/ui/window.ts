/** The rows of a long list that are on the screen, with some before and after. */
export interface Window {
  /** First row drawn. */
  start: number
  /** One after the last. */
  end: number
}

/**
 * Which rows to draw.
 *
 * @param top How far the list is scrolled, pixels.
 * @param height Of what is seen of it.
 * @param row Height of a row.
 * @param count How many rows there are in all.
 * @param spare Rows drawn before and after.
 */
export function windowOf(top: number, height: number, row: number, count: number, spare = 8): Window {
  const first = Math.floor(Math.max(0, top) / row)
  const last = Math.ceil((Math.max(0, top) + height) / row)
  return { start: Math.max(0, Math.min(count, first) - spare), end: Math.min(count, last + spare) }
}
