import type { Snippet } from 'svelte'

export interface Column<Row> {
  /** Name for programs: in the address, in `sort`. */
  key: string
  label: string
  /** A CSS grid track: `12rem`, `minmax(10rem, 2fr)`; `1fr` where left out. */
  width?: string
  align?: 'left' | 'right'
  sortable?: boolean
  /** Left out on narrow screens. */
  minor?: boolean
  /** The cell's text; a snippet where it is more than text. */
  text?: (row: Row) => string | number
  cell?: Snippet<[Row]>
}

export interface Sort {
  key: string
  down: boolean
}

/** `-title` -> by title, descending; as it stands in an address. */
export function readSort(text: string | null, otherwise: Sort): Sort {
  if (!text) return otherwise
  return text.startsWith('-') ? { key: text.slice(1), down: true } : { key: text, down: false }
}

export function writeSort(sort: Sort): string {
  return (sort.down ? '-' : '') + sort.key
}

/** What a click on a column's head does: sort by it, then the other way round. */
export function nextSort(sort: Sort | null, key: string): Sort {
  return sort?.key === key ? { key, down: !sort.down } : { key, down: false }
}
