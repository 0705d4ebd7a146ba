'use strict';
// What several rounds of one thing say: their median, how far apart they were, and how they stand to those of another. Pure.

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Round by round: the figures of one round stand in the same minute, and what else the machine did then hit both.
const ratios = (of, to) => of.map((value, i) => value / to[i]);
const medianRatio = (of, to) => median(ratios(of, to));

// How far the lowest and the highest round are from the median: "-2 +3 %"; "-" where there is nothing to compare.
function spread(values) {
  const middle = median(values);
  if (values.length < 2 || !(middle > 0)) return '-';
  const percent = (value) => Math.round((100 * Math.abs(value - middle)) / middle);
  return `-${percent(Math.min(...values))} +${percent(Math.max(...values))} %`;
}

// The lowest and the highest of them, "1.02-1.09"; one of them when both read the same.
function range(values, format) {
  const [low, high] = [format(Math.min(...values)), format(Math.max(...values))];
  return low === high ? low : `${low}-${high}`;
}

// The name whose figures have the best median; null without any. `figures`: name -> values of the rounds.
function bestOf(figures, names, isMoreBetter) {
  let best = null;
  for (const name of names) {
    const [mine, other] = [median(figures[name]), best === null ? null : median(figures[best])];
    if (best === null || (isMoreBetter ? mine > other : mine < other)) best = name;
  }
  return best;
}

module.exports = { median, ratios, medianRatio, spread, range, bestOf };
