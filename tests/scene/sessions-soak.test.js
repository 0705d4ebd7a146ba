// Regions are killed and come back at random while sessions talk to each other; for minutes instead of seconds: tests/bench/run soak.
'use strict';

const assert = require('node:assert/strict');
const { Soak, scene } = require('./lib');

const SECONDS = Number(process.env.TIDEGATE_SOAK_SECONDS) || 8;
const SEED = Number(process.env.TIDEGATE_SOAK_SEED) || Date.now() % 1000000;

scene(`regions are killed and come back: no session closes, nothing is heard twice or out of order (seed ${SEED})`, { timeout: 120000 }, async (s) => {
  const soak = await Soak.start(s, { members: 100, library: 20, seed: SEED });
  const sum = await soak.run(SECONDS * 1000);
  assert.ok(soak.losses.length > 0, 'nothing happened');
  assert.ok(sum.ok > 0, 'nobody was answered');
  assert.deepEqual(soak.ledger.troubles, []);
  assert.deepEqual(soak.ledger.duplicates, []);
  assert.deepEqual(soak.ledger.disorders, []);
  assert.equal(sum.late, 0, 'who asks is answered');
  assert.equal(sum.lostUnexcused, 0, 'nothing is lost while no region is');
  assert.deepEqual(soak.deaf(), []);
  assert.deepEqual(soak.strangers(), []);
});
