import type { Point } from './groups'
import { onCanvas, type View } from './view'

interface Picture {
  points: readonly Point[]
  marks: readonly { token: string; shown: boolean }[]
  view: View
  size: { width: number; height: number }
  lit: number
  /** Token -> colour as it is now. */
  colours: ReadonlyMap<string, string>
}

const TURN = 2 * Math.PI
const FAINT = 0.12
const PLAIN = 0.82

/** Points grow with the magnification, not as fast as it. */
const radius = (view: View, count: number) => Math.min(9, (count > 1500 ? 2.6 : 3.8) * view.zoom ** 0.35)

/** The map on a canvas: what is not looked for stays faint below the rest; a new item is a ring. */
export function draw(canvas: HTMLCanvasElement, picture: Picture): void {
  const { points, marks, view, size, lit, colours } = picture
  const ratio = globalThis.devicePixelRatio || 1
  const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)]
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height })
  const pen = canvas.getContext('2d')
  if (!pen) return
  pen.setTransform(ratio, 0, 0, ratio, 0, 0)
  pen.clearRect(0, 0, size.width, size.height)
  const r = radius(view, points.length)
  const dot = (point: Point, token: string, alpha: number, grown = r) => {
    const at = onCanvas(point, view, size)
    if (at.x < -r || at.y < -r || at.x > size.width + r || at.y > size.height + r) return
    const colour = colours.get(token) ?? ''
    pen.globalAlpha = alpha
    pen.beginPath()
    pen.arc(at.x, at.y, grown, 0, TURN)
    if (point.cold) {
      pen.lineWidth = Math.max(1.5, grown * 0.45)
      pen.strokeStyle = colour
      pen.stroke()
    } else {
      pen.fillStyle = colour
      pen.fill()
    }
  }
  points.forEach((point, place) => {
    if (!marks[place]?.shown) dot(point, '--ink-3', FAINT)
  })
  points.forEach((point, place) => {
    const mark = marks[place]
    if (mark?.shown) dot(point, mark.token, PLAIN)
  })
  const point = points[lit]
  if (!point) return
  dot(point, marks[lit]?.token ?? '--ink', 1, r + 2)
  const at = onCanvas(point, view, size)
  pen.globalAlpha = 1
  pen.lineWidth = 2
  pen.strokeStyle = colours.get('--ink') ?? ''
  pen.beginPath()
  pen.arc(at.x, at.y, r + 5, 0, TURN)
  pen.stroke()
}
