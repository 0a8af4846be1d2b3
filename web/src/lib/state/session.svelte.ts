import { onUnauthorized, request } from '$lib/api/client'
import { ApiError } from '$lib/api/errors'

export type Scope = 'read' | 'write' | 'admin' | 'personal'

interface SessionAnswer {
  open: boolean
  active: boolean
  scopes: Scope[]
  name?: string | null
}

/** Who sits in front of the console: nobody in particular (an open service), or the holder of a key. */
class Session {
  status = $state<'asking' | 'in' | 'out'>('asking')
  isOpen = $state(false)
  scopes = $state<Scope[]>([])
  /** Of the key, as it was named when it was made. */
  name = $state('')
  /** It was there and has ended: the login page says so. */
  ended = $state(false)

  constructor() {
    onUnauthorized(() => {
      if (this.status === 'in') {
        this.ended = true
        this.status = 'out'
      }
    })
  }

  /** Whether what needs a scope is worth offering. */
  can(scope: Scope): boolean {
    return this.isOpen || this.scopes.includes(scope)
  }

  /** Ask the service whether there is a session. */
  async start(): Promise<void> {
    try {
      this.#take((await (await request('/v1/session')).json()) as SessionAnswer)
    } catch (thrown) {
      if (!(thrown instanceof ApiError) || thrown.status !== 401) throw thrown
      this.status = 'out'
    }
  }

  /** Exchange a key for a cookie that no script can read. */
  async login(key: string): Promise<void> {
    const answer = await request('/v1/session', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ key }),
    })
    this.#take((await answer.json()) as SessionAnswer)
  }

  async logout(): Promise<void> {
    await request('/v1/session', { method: 'DELETE' })
    this.ended = false
    this.status = 'out'
    this.scopes = []
  }

  #take(answer: SessionAnswer): void {
    this.isOpen = answer.open
    this.scopes = answer.scopes
    this.name = answer.name ?? ''
    this.ended = false
    this.status = answer.active ? 'in' : 'out'
  }
}

export const session = new Session()
