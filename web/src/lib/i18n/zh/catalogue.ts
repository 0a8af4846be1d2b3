import type en from '../en/catalogue'

export default {
  title: '目录',
  lead: '所有可以推荐的内容。',
} satisfies Record<keyof typeof en, string>
