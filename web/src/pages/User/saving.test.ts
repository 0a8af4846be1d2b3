import { expect, it } from 'vitest'
import { fileName } from './saving'

it('makes a file name of any id', () => {
  expect(['films/7', '../etc', '用户 1', '...'].map(fileName)).toEqual(['films_7', '_etc', '用户_1', 'user'])
})
