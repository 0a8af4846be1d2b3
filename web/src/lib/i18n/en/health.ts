export default {
  title: 'Health',
  lead: 'How the service is doing now.',
}
