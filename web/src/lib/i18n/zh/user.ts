import type en from '../en/user'

export default {
  title: '用户',
  lead: '一位用户，以及 Kinema 对其的理解。',
} satisfies Record<keyof typeof en, string>
