'use strict';
// Medians and Markdown.

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Rows are arrays; the first column is text, the others are right-aligned.
function print(title, head, rows) {
  const all = [head, ...rows].map((row) => row.map(String));
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(' | ')} |`;
  const rule = `|${widths.map((w, i) => (i === 0 ? '-'.repeat(w + 2) : `${'-'.repeat(w + 1)}:`)).join('|')}|`;
  console.log(`\n${title}\n\n${line(all[0])}\n${rule}\n${all.slice(1).map(line).join('\n')}`);
}

const integer = (value) => Math.round(value).toLocaleString('en-US');
const ratio = (value, base) => (base > 0 ? `${(value / base).toFixed(2)}x` : '-');

module.exports = { median, print, integer, ratio };
