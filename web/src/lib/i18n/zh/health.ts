import type en from '../en/health'

export default {
  title: '健康',
  lead: '服务当前的运行状况。',
} satisfies Record<keyof typeof en, string>
