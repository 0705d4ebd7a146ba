// Waiting with a deadline: a scene waits for an event or for a fact to become true, and says what it waited for when it gives up.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const timers = require('node:timers');

const LOOK_MS = 20;

// Sanitized programs are several times slower and never give memory back, and both builds share their machine with others.
// Waiting longer for what comes costs nothing.
const isSanitized = fs.readFileSync(path.join(process.env.TIDEGATE_BUILD, 'region')).includes('__asan_init');
const PATIENCE = Number(process.env.TIDEGATE_PATIENCE) || (isSanitized ? 4 : 2);

function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// Resolves with the promise, or rejects after `ms` with a sentence that names what was waited for. Deadlines are for what never
// comes, so they all grow with PATIENCE.
function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = timers.setTimeout(() => reject(new Error(`${what}: not within ${ms * PATIENCE} ms`)), ms * PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Looks at `fact` (may be async) until it is truthy and returns what it returned. A throw counts as "not yet" and is told at the end.
async function waitFor(what, fact, ms = 5000) {
  const end = Date.now() + ms * PATIENCE;
  let last;
  for (;;) {
    try {
      const value = await fact();
      if (value) return value;
      last = `last value: ${JSON.stringify(value)}`;
    } catch (error) {
      last = `last error: ${error.message}`;
    }
    if (Date.now() >= end) throw new Error(`${what}: not within ${ms * PATIENCE} ms (${last})`);
    await later(LOOK_MS);
  }
}

// The first `name` event of an emitter or event target, within the deadline.
function event(emitter, name, ms = 5000) {
  return within(ms, `event ${name}`, new Promise((resolve) => emitter.once(name, (...args) => resolve(args))));
}

// Waits until a count that grows has not grown for a while.
function stopped(what, count, ms = 20000) {
  let last = -1;
  let steady = 0;
  return waitFor(what, () => {
    const now = count();
    steady = now === last && now > 0 ? steady + 1 : 0;
    last = now;
    return steady >= 10;
  }, ms);
}

module.exports = { PATIENCE, event, isSanitized, later, stopped, waitFor, within };
