// What counts in a search (Sphinx's defaults in brackets): what a lecture says comes before the name of a helper.
var Scorer = {
  objNameMatch: 1, // (11)
  objPartialMatch: 0, // (6)
  objPrio: { 0: 0, 1: 0, 2: -5 }, // (15, 5, -5)
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
