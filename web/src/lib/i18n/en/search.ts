export default {
  title: 'Search',
  lead: 'Find clips by words, a picture or a clip.',
}
