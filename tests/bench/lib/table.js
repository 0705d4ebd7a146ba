'use strict';
// Markdown tables, and how figures are written in them.

// Rows are arrays; the first column is text, the others are right-aligned.
function markdown(head, rows) {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, i) => Math.max(1, ...all.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = `|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  return [line(all[0]), rule, ...all.slice(1).map(line)].join('\n');
}

const integer = (value) => Math.round(value).toLocaleString('en-US');
const ratio = (value) => (Number.isFinite(value) && value > 0 ? `${value.toFixed(2)}x` : '-');
const milliseconds = (us) => (us / 1000).toFixed(2);

module.exports = { markdown, integer, ratio, milliseconds };
