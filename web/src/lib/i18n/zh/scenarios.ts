import type en from '../en/scenarios'

export default {
  title: '场景与实验',
  lead: '每个位置展示什么，以及哪个版本更好。',
} satisfies Record<keyof typeof en, string>
