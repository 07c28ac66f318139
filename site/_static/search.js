// Orders the pages of a search by RANKS (course_site/search.py); the rest of the search is Sphinx's own (9.0).
Search._performSearch = (query, wanted, unwanted) => {
  const index = Search._index;
  const stemmer = new Stemmer();
  const stems = (text) =>
    splitQuery(text.toLowerCase()).filter((word) => !stopwords.has(word)).map((word) => stemmer.stemWord(word));
  const result = (file, title, anchor, score) =>
    [index.docnames[file], title, anchor, null, score, index.filenames[file], SearchResultKind.text];

  const pagesWith = (word) => {
    let found = [RANKS.words[word] || []];
    if (!found[0].length && word.length > 2) // it may be the beginning of a word
      found = Object.keys(RANKS.words).filter((w) => w.startsWith(word) && !w.includes(" ")).map((w) => RANKS.words[w]);
    const weights = new Map();
    for (const list of found)
      for (let i = 0; i < list.length; i += 2) weights.set(RANKS.pages[list[i]], list[i + 1]);
    return weights;
  };

  const asked = stems(query);
  const pairs = asked.slice(1).map((word, i) => pagesWith(`${asked[i]} ${word}`));
  const scores = new Map();
  for (const word of wanted) {
    for (const [page, weight] of pagesWith(word)) {
      const [sum, words] = scores.get(page) || [0, 0];
      scores.set(page, [sum + weight, words + 1]);
    }
  }
  for (const word of unwanted) for (const page of pagesWith(word).keys()) scores.delete(page);
  const ranked = [...scores]
    .map(([page, [sum, words]]) => {
      const together = pairs.reduce((more, pair) => more + (pair.get(page) || 0), 0);
      return [index.docnames.indexOf(page), (sum + together) * (words / wanted.size) ** 2];
    })
    .filter(([file]) => file >= 0)
    .sort((a, b) => b[1] - a[1]);

  const results = ranked.filter(([, score], i) => i < 15 && score > ranked[0][1] / 20).map(([file, score]) => {
    // The section whose heading has all words, if there is one.
    const own = index.titles[file];
    for (const [heading, places] of Object.entries(index.alltitles)) {
      const place = places.find(([at, id]) => at === file && id !== null);
      const said = place && heading !== own ? stems(heading) : [];
      if (said.length && [...wanted].every((word) => said.includes(word)))
        return result(file, `${own} > ${heading}`, `#${place[1]}`, score);
    }
    return result(file, own, "", score);
  });

  // Who asks for a term of the glossary and for nothing else wants to know what it means.
  const said = query.toLowerCase().trim().replace(/^what('s| is| are)( an?| the)? /, "").replace(/\?$/, "");
  for (const [term, anchor] of Object.entries(RANKS.terms))
    if ([term, `${term}s`, `${term}es`].includes(said))
      results.unshift(result(index.docnames.indexOf("glossary"), term, `#${anchor}`, Infinity));
  return results.reverse(); // Sphinx takes them from the end
};
