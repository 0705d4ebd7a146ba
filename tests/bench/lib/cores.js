'use strict';
// How much of a core's speed is left while the other one is busy. The cores of a virtual machine may be threads of one at times, and
// neighbours on its host may use the same ones: that changes from one second to the next, and no figure of load tells it.
const { median } = require('./figures.js');
const processes = require('./process.js');

const WINDOW_MS = 25;
const WINDOWS = 60;
const WARM_UP = 8; // windows more at the beginning, in which the loop is compiled and its process starts
const SLOW_BELOW = 0.9;

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
  const child = processes.start(process.execPath, ['-e', `(${spin})(${WARM_UP + windows}, ${WINDOW_MS})`], { cores: core });
  let text = '';
  for await (const piece of child.stdout) text += piece;
  return JSON.parse(text).counts.slice(WARM_UP);
}

// The part of all windows that had less than SLOW_BELOW of what the core does alone, and the worst one: { slow, slowAlone, least }.
function shareOf(alone, beside) {
  const speeds = (counts) => counts.map((count) => count / median(alone));
  const slowOf = (all) => all.filter((speed) => speed < SLOW_BELOW).length / all.length;
  return { slow: slowOf(speeds(beside)), slowAlone: slowOf(speeds(alone)), least: Math.min(...speeds(beside)) };
}

// `core` while `other` is busy.
async function measureShare(core, other) {
  const alone = await counts(core, WINDOWS);
  const [beside] = await Promise.all([counts(core, WINDOWS), counts(other, 2 * WINDOWS)]); // longer than what it is to disturb
  return shareOf(alone, beside);
}

module.exports = { measureShare, shareOf, SLOW_BELOW };
