// Statistics of a text: how long it is, its most frequent words, how long its sentences are.
const words = data.toLowerCase().match(/\p{L}+(?:'\p{L}+)?/gu) ?? [];
const sentences = data.split(/[.!?]+\s/).filter(sentence => sentence.trim() !== '');
const lengths = sentences.map(sentence => sentence.trim().split(/\s+/).length);

const common = _(words)
  .filter(word => word.length > 3)
  .countBy()
  .toPairs()
  .orderBy([1, 0], ['desc', 'asc'])
  .take(5)
  .fromPairs()
  .value();

console.log(`${words.length} words in ${sentences.length} sentences`);

const result = {
  words: words.length,
  different: _.uniq(words).length,
  sentences: { count: sentences.length, mean: _.round(ss.mean(lengths), 2), longest: ss.max(lengths) },
  common,
};
