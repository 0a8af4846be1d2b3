import type en from '../en/model'

export default {
  title: '模型',
  lead: '模型版本及其质量。',
} satisfies Record<keyof typeof en, string>
