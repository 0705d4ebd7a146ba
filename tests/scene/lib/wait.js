// Waiting with a deadline: a scene waits for an event or for a fact to become true, and says what it waited for when it gives up.
'use strict';

const LOOK_MS = 20;

function later(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

// Resolves with the promise, or rejects after `ms` with a sentence that names what was waited for.
function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Looks at `fact` (may be async) until it is truthy and returns what it returned. A throw counts as "not yet" and is told at the end.
async function waitFor(what, fact, ms = 5000) {
  const end = Date.now() + ms;
  let last;
  for (;;) {
    try {
      const value = await fact();
      if (value) return value;
      last = `last value: ${JSON.stringify(value)}`;
    } catch (error) {
      last = `last error: ${error.message}`;
    }
    if (Date.now() >= end) throw new Error(`${what}: not within ${ms} ms (${last})`);
    await later(LOOK_MS);
  }
}

// The first `name` event of an emitter or event target, within the deadline.
function event(emitter, name, ms = 5000) {
  return within(ms, `event ${name}`, new Promise((resolve) => emitter.once(name, (...args) => resolve(args))));
}

module.exports = { later, within, waitFor, event };
