export default {
  title: 'Scenarios and experiments',
  lead: 'What each placement shows, and which variant is better.',
}
