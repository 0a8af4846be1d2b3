export default {
  title: 'Model',
  lead: 'Versions, and how good they are.',
}
