// Before the first paint, so that a dark page does not flash white.
try {
  var kept = localStorage.getItem('kinema.theme')
  if (kept === 'light' || kept === 'dark') document.documentElement.dataset.theme = kept
} catch (error) {
  void error // storage may be forbidden: the system's scheme is used
}
