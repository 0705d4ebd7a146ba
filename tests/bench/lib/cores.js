'use strict';
// How much of a core's speed is left while the other one is busy. The cores of a virtual machine may be threads of one at times, and
// others of its host may use the same: that changes from one second to the next, and no figure of load tells it.
const { median } = require('./figures.js');
const processes = require('./process.js');

const WINDOW_MS = 25;
const ALONE = 30; // windows
const BESIDE = 80;
const LITTLE = 0.9;

// What a child does: counts what it gets done in each window, and tells it in the end.
function spin(windows, windowMs) {
  const counts = [];
  let seed = 1;
  for (let i = 0; i < windows; i++) {
    const end = performance.now() + windowMs;
    let count = 0;
    for (; performance.now() < end; count++) {
      for (let j = 0; j < 2000; j++) seed = Math.imul(seed, 1664525) + 1013904223 | 0;
    }
    counts.push(count);
  }
  console.log(JSON.stringify({ counts, seed }));
}

async function counts(core, windows) {
  const child = processes.start(process.execPath, ['-e', `(${spin})(${windows}, ${WINDOW_MS})`], { cores: core });
  let text = '';
  for await (const piece of child.stdout) text += piece;
  return JSON.parse(text).counts;
}

// As parts of what the core does alone: { least: of the worst window, slow: how many windows of all had less than LITTLE }.
function shareOf(alone, beside) {
  const parts = beside.map((count) => count / median(alone));
  return { least: Math.min(...parts), slow: parts.filter((part) => part < LITTLE).length / parts.length };
}

// `core` while `other` is busy.
async function measureShare(core, other) {
  const alone = await counts(core, ALONE);
  const busy = counts(other, ALONE + BESIDE); // longer than what it is to disturb
  const beside = await counts(core, BESIDE);
  await busy;
  return shareOf(alone, beside);
}

module.exports = { measureShare, shareOf, LITTLE };
