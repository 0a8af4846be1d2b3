/** What of the map is shown: the point in the middle, in the map's own coordinates, and how far it is magnified. */
export interface View {
  x: number
  y: number
  zoom: number
}

export interface Spot {
  x: number
  y: number
}

interface Size {
  width: number
  height: number
}

export const WHOLE: View = { x: 0, y: 0, zoom: 1 }
const MOST_ZOOM = 40
const ROOM = 0.94

const step = (size: Size, view: View) => (Math.min(size.width, size.height) / 2) * ROOM * view.zoom

/** Where a point of the map lies on the canvas, in pixels. */
export function onCanvas(spot: Spot, view: View, size: Size): Spot {
  const unit = step(size, view)
  return { x: size.width / 2 + (spot.x - view.x) * unit, y: size.height / 2 - (spot.y - view.y) * unit }
}

/** The other way round. */
export function onMap(pixel: Spot, view: View, size: Size): Spot {
  const unit = step(size, view)
  return { x: view.x + (pixel.x - size.width / 2) / unit, y: view.y - (pixel.y - size.height / 2) / unit }
}

const within = (value: number, reach: number) => Math.max(-reach, Math.min(reach, value))

/** A view that does not leave the map behind. */
export function held(view: View): View {
  const zoom = Math.max(1, Math.min(MOST_ZOOM, view.zoom))
  const reach = zoom === 1 ? 0.5 : 1
  return { x: within(view.x, reach), y: within(view.y, reach), zoom }
}

/** Magnify, with the point below the pointer staying where it is. */
export function zoomed(view: View, size: Size, factor: number, pixel?: Spot): View {
  const at = pixel ?? { x: size.width / 2, y: size.height / 2 }
  const fixed = onMap(at, view, size)
  const next = held({ ...view, zoom: view.zoom * factor })
  const moved = onMap(at, next, size)
  return held({ ...next, x: next.x + fixed.x - moved.x, y: next.y + fixed.y - moved.y })
}

/** Move by pixels. */
export function panned(view: View, size: Size, by: Spot): View {
  const unit = step(size, view)
  return held({ ...view, x: view.x - by.x / unit, y: view.y + by.y / unit })
}

/** The nearest point to a pixel, not further than `reach` pixels; -1 where there is none. */
export function nearest(spots: readonly Spot[], pixel: Spot, view: View, size: Size, reach: number): number {
  let best = -1
  let least = reach ** 2
  spots.forEach((spot, place) => {
    const at = onCanvas(spot, view, size)
    const far = (at.x - pixel.x) ** 2 + (at.y - pixel.y) ** 2
    if (far <= least) {
      least = far
      best = place
    }
  })
  return best
}

/** Whether a point is seen. */
export function isSeen(spot: Spot, view: View, size: Size): boolean {
  const at = onCanvas(spot, view, size)
  return at.x >= 0 && at.y >= 0 && at.x <= size.width && at.y <= size.height
}

/** A view as it stands in an address; '' for the whole map. */
export function writeView(view: View): string {
  return view.zoom === 1 && !view.x && !view.y ? '' : [view.x, view.y, view.zoom].map((one) => one.toFixed(3)).join(',')
}

export function readView(text: string | null): View {
  const [x, y, zoom] = (text ?? '').split(',').map(Number)
  return [x, y, zoom].every((one) => Number.isFinite(one)) ? held({ x: x ?? 0, y: y ?? 0, zoom: zoom ?? 1 }) : WHOLE
}
