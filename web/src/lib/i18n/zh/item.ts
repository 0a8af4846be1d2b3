import type en from '../en/item'

export default {
  title: '条目',
  lead: '一个短片，以及 Kinema 从中看到的内容。',
} satisfies Record<keyof typeof en, string>
