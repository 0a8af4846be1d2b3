/** Addresses of what a browser fetches itself: pictures and clips. */
const of = (item: string, what: string) => `/v1/items/${encodeURIComponent(item)}/${what}`

/** The clip, as a browser can play it (Range). */
export const clipUrl = (item: string) => of(item, 'media')

/** One good frame of the clip. */
export const posterUrl = (item: string) => of(item, 'poster')

/** Frames side by side in one picture, for scrubbing. */
export const stripUrl = (item: string) => of(item, 'strip')

/** One of the sampled moments. */
export const frameUrl = (item: string, number: number) => of(item, `frames/${number}`)
