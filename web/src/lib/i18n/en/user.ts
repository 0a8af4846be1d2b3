export default {
  title: 'User',
  lead: 'One person, and what Kinema makes of them.',
}
