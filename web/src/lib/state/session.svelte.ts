import { api, ask, onUnauthorized, type Schema } from '$lib/api/client'
import { belongTo } from './people'

export type Scope = Schema<'Scope'>

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

  /** Whether the service names people by their ids, and tells their personal fields. */
  get seesPersonal(): boolean {
    return this.can('personal') || this.can('admin')
  }

  /** Ask the service whether there is a session. */
  async start(): Promise<void> {
    this.#take(await ask(api.GET('/v1/session')))
  }

  /** Exchange a key for a cookie that no script can read. */
  async login(key: string): Promise<void> {
    this.#take(await ask(api.POST('/v1/session', { body: { key } })))
  }

  async logout(): Promise<void> {
    await ask(api.DELETE('/v1/session'))
    this.ended = false
    this.status = 'out'
    this.scopes = []
  }

  #take(answer: Schema<'SessionOut'>): void {
    if (answer.active) belongTo(answer.key_id ?? '')
    this.isOpen = answer.open
    this.scopes = answer.scopes
    this.name = answer.name ?? ''
    this.ended = false
    this.status = answer.active ? 'in' : 'out'
  }
}

export const session = new Session()
