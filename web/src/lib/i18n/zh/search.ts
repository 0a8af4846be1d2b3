import type en from '../en/search'

export default {
  title: '搜索',
  lead: '用文字、图片或短片查找。',
} satisfies Record<keyof typeof en, string>
