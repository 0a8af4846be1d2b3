export default {
  title: 'Catalogue',
  lead: 'Everything that can be recommended.',
}
