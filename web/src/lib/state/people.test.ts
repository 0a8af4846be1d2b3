import { describe, expect, it } from 'vitest'
import { belongTo, openedUsers, viewers } from './people'

describe('people whom this browser has opened', () => {
  it('are remembered for the holder of one key', () => {
    belongTo('first')
    openedUsers.value = ['ann']
    viewers.value = ['bob']
    belongTo('first')
    expect(openedUsers.value).toEqual(['ann'])
    expect(viewers.value).toEqual(['bob'])
  })

  it('are forgotten when somebody else signs in', () => {
    belongTo('second')
    expect(openedUsers.value).toEqual([])
    expect(viewers.value).toEqual([])
  })
})
