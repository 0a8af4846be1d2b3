import { api, ask, type Schema } from '$lib/api/client'
import { asApiError } from '$lib/api/errors'
import type { Arm } from './arms'
import { messageAt, problemsOf, refusalOf, type Refusal } from './problems'
import { asSettings, changedKeys, draftOf, ownRules, rulesOf, type Rules } from './rules'

export type Scenario = Schema<'ScenarioWithVersionsOut'>

/** Where a scenario's rules are changed: the form, what it began with, what is wrong, who was quicker. */
export class Desk {
  draft = $state(draftOf({}))
  /** The rules that the form began with. */
  held = $state.raw<Rules>({})
  /** Their version: a change is refused where it is no longer that. */
  version = $state(0)
  refusal = $state.raw<Refusal | null>(null)
  /** The scenario as somebody else has left it meanwhile. */
  quicker = $state.raw<Scenario | null>(null)
  busy = $state(false)
  /** Variants that are put together for a test, beside what the form says. */
  arms = $state.raw<Arm[]>([])
  readonly name: string

  readonly rules = $derived(rulesOf(this.draft, this.held))
  readonly changed = $derived(changedKeys(this.held, this.rules))
  readonly problems = $derived(problemsOf(this.draft))
  readonly isSound = $derived(Object.keys(this.problems).length === 0)

  constructor(name: string) {
    this.name = name
  }

  /** Begin with these rules; what was changed is forgotten. */
  begin(scenario: Scenario): void {
    this.held = ownRules(scenario.rules)
    this.version = scenario.version
    this.draft = draftOf(this.held)
    this.refusal = this.quicker = null
  }

  /** Back to what the form began with. */
  discard(): void {
    this.draft = draftOf(this.held)
    this.refusal = null
  }

  /** The scenario was read again: an untouched form follows it, a changed one says so. */
  follow(scenario: Scenario): void {
    if (scenario.version === this.version) return
    if (this.changed.length) this.quicker = scenario
    else this.begin(scenario)
  }

  /** Keep what is in the form and let it replace what somebody else has written. */
  insist(): void {
    if (!this.quicker) return
    this.held = ownRules(this.quicker.rules)
    this.version = this.quicker.version
    this.quicker = null
  }

  /** The message at a field: of the form's own look, or the service's. */
  at(...paths: string[]): string | null {
    for (const path of paths) {
      const found = this.problems[path] ?? messageAt(this.refusal, path)
      if (found) return found
    }
    return null
  }

  /** Let the rules hold. Null where they were refused: the reason stands at its field, or somebody was quicker. */
  async save(): Promise<Scenario | null> {
    return this.put(this.rules)
  }

  /** Let any rules hold, as an earlier version's. */
  async put(rules: Rules): Promise<Scenario | null> {
    this.busy = true
    this.refusal = null
    const path = { scenario: this.name }
    try {
      const body = { rules: asSettings(ownRules(rules)), expected_version: this.version }
      const saved = await ask(api.PUT('/v1/scenarios/{scenario}', { params: { path }, body }))
      this.begin(saved)
      return saved
    } catch (thrown) {
      const error = asApiError(thrown)
      if (error.status === 409) this.quicker = await ask(api.GET('/v1/scenarios/{scenario}', { params: { path } }))
      else if (error.status === 422) this.refusal = refusalOf(error, 'rules')
      else throw error
      return null
    } finally {
      this.busy = false
    }
  }
}
