import type en from '../en/forYou'

export default {
  title: '为你推荐',
} satisfies Record<keyof typeof en, string>
