export default {
  title: 'Item',
  lead: 'One clip, and what Kinema sees in it.',
}
