export default {
  title: 'For you',
}
