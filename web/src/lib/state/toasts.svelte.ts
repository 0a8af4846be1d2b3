import { asApiError } from '$lib/api/errors'
import { saidOf } from '$lib/said'

export interface Toast {
  id: number
  tone: 'info' | 'good' | 'bad'
  text: string
  action?: { label: string; run: () => void }
}

const STAY_MS = 5000

class Toasts {
  list = $state<Toast[]>([])
  #next = 0

  /** Tell in a corner what has happened. Errors stay until they are closed. */
  show(tone: Toast['tone'], text: string, action?: Toast['action']): void {
    const id = this.#next++
    this.list = [...this.list.slice(-3), { id, tone, text, ...(action ? { action } : {}) }]
    if (tone !== 'bad') setTimeout(() => this.close(id), STAY_MS)
  }

  info(text: string, action?: Toast['action']): void {
    this.show('info', text, action)
  }

  good(text: string, action?: Toast['action']): void {
    this.show('good', text, action)
  }

  /** An error in the service's own words, which name the remedy. */
  error(thrown: unknown): void {
    this.show('bad', saidOf(asApiError(thrown)))
  }

  close(id: number): void {
    this.list = this.list.filter((one) => one.id !== id)
  }
}

export const toasts = new Toasts()
