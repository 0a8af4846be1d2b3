import { number } from '$lib/format'

interface Point {
  name?: string
  seriesName?: string
  axisValueLabel?: string
  value?: unknown
  color?: unknown
}

const DIGITS = 3

/** The number of a point: bare, or the last one of its coordinates. */
function valueOf(point: Point): unknown {
  return Array.isArray(point.value) ? (point.value as unknown[]).at(-1) : point.value
}

/**
 * What stands in a chart's tooltip, made of elements: the library's own markup has styles in it, which the page's policy refuses.
 *
 * @param points One, or one of each series.
 * @param write How numbers are written.
 */
export function content(points: Point[], write: (value: unknown) => string): HTMLElement {
  const box = document.createElement('div')
  box.className = 'chart-tip'
  const head = points[0]?.axisValueLabel ?? points[0]?.name
  if (head) box.append(Object.assign(document.createElement('p'), { textContent: head }))
  for (const point of points) {
    const line = document.createElement('div')
    const dot = document.createElement('i')
    dot.style.background = typeof point.color === 'string' ? point.color : 'currentColor'
    const name = Object.assign(document.createElement('span'), { textContent: point.seriesName ?? '' })
    const value = Object.assign(document.createElement('b'), { className: 'num', textContent: write(valueOf(point)) })
    line.append(dot, name, value)
    box.append(line)
  }
  return box
}

/** A tooltip's option with our content, unless it has a formatter of its own (which returns an element, not markup). */
export function tooltip(option: Record<string, unknown>): Record<string, unknown> {
  const own = option['valueFormatter'] as ((value: unknown) => string) | undefined
  const write =
    own ??
    ((value: unknown) => (typeof value === 'number' ? number(value, DIGITS) : typeof value === 'string' ? value : '–'))
  return { formatter: (points: Point | Point[]) => content([points].flat(), write), ...option }
}
