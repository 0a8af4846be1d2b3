import { describe, expect, it } from 'vitest'
import { session } from '$lib/state/session.svelte'
import { masked, shownId } from './masking'

describe('ids of people', () => {
  it('keep enough to be told apart and too little to be known', () => {
    expect(masked('anna@example.com')).toBe('a•••om')
    expect(masked('ann')).toBe('•••')
  })

  it('are shown to those who may see them', () => {
    session.isOpen = false
    session.scopes = ['read']
    expect(shownId('anna-1978')).toBe('a•••78')
    session.scopes = ['read', 'personal']
    expect(shownId('anna-1978')).toBe('anna-1978')
  })
})
