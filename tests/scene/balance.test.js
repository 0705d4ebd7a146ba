// Who gets the next session: the balancers, limits and drains, over all workers.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { metric, onePool, scene, servers, standings, verdicts, visit, waitFor, where } = require('./lib');

const UNCHECKED = { type: 'none' };

function regionsOf(s, ...names) {
  return Promise.all(names.map((name) => s.region({ name })));
}

// Opens `count` sessions one after the other, and keeps them.
async function sessions(s, gateway, count, options) {
  const all = [];
  for (let i = 0; i < count; i++) all.push(await visit(s, gateway, options));
  return all;
}

// {region: how many} of sessions, or of what where() returned.
function tally(list) {
  const counts = {};
  for (const each of list) {
    const name = each.region ?? each.refused?.status ?? each;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

async function openCounts(gateway) {
  return Object.fromEntries(Object.entries(await standings(gateway)).map(([name, server]) => [name, server.connections]));
}

describe('round-robin', { concurrency: true }, () => {
  scene('one worker gives each server its weight, smoothly', async (s) => {
    const regions = await regionsOf(s, 'a', 'b', 'c');
    const gateway = await s.gateway(onePool({ check: UNCHECKED, servers: servers(regions, { weight: 5 }) }));
    const order = (await sessions(s, gateway, 14)).map((c) => c.region).join('');
    assert.deepEqual(tally([...order]), { a: 10, b: 2, c: 2 });
    assert.match(order, /^[^c]*c/);
    assert.doesNotMatch(order, /aaaaa/, 'not all five in a row');
  });

  scene('two workers do so together, and a reload does not make them begin anew', async (s) => {
    const regions = await regionsOf(s, 'a', 'b');
    const config = onePool({ check: UNCHECKED, servers: servers(regions, { weight: 3 }) }, { workers: 2 });
    const gateway = await s.gateway(config);
    const all = await sessions(s, gateway, 20);
    await gateway.reload({ ...config, health: { path: '/healthz' } });
    all.push(...(await sessions(s, gateway, 20)));
    const { a, b } = tally(all);
    assert.equal(a + b, 40);
    assert.ok(Math.abs(a - 30) <= 2, `a: ${a}`); // each worker is less than one off
    assert.deepEqual(await openCounts(gateway), { a, b });
  });

  scene('a server of a worse tier gets nothing while a better one has room', async (s) => {
    const regions = await regionsOf(s, 'a', 'b', 'spare');
    const gateway = await s.gateway(onePool({ check: UNCHECKED, servers: servers(regions, {}, {}, { tier: 'backup', weight: 100 }) }));
    assert.deepEqual(tally(await sessions(s, gateway, 6)), { a: 3, b: 3 });
  });
});

describe('slow start', { concurrency: true }, () => {
  scene('a server that comes back is given a tenth of its share, and more with time', async (s) => {
    const [a, b] = await regionsOf(s, 'a', 'b');
    const check = { type: 'tcp', interval: '200ms', timeout: '200ms', rise: 1, fall: 1 };
    const config = (slowStart) => onePool({ check, slow_start: slowStart, servers: servers([a, b]) });
    const gateway = await s.gateway(config('1h'));
    await verdicts(gateway, { a: 'up', b: 'up' });
    assert.deepEqual(tally(await sessions(s, gateway, 4)), { a: 2, b: 2 }, 'the first verdict is no come-back');
    await a.kill();
    await verdicts(gateway, { a: 'down' });
    assert.equal(await where(s, gateway), 'b');
    await s.region({ name: 'a', port: a.port });
    await verdicts(gateway, { a: 'up' });
    assert.deepEqual(tally(await sessions(s, gateway, 22)), { a: 2, b: 20 });
    await gateway.reload(config('1ms'));
    assert.deepEqual(tally(await sessions(s, gateway, 10)), { a: 5, b: 5 });
  });
});

describe('least-connections', { concurrency: true }, () => {
  scene('open tunnels count over all workers, and over a reload', async (s) => {
    const regions = await regionsOf(s, 'a', 'b', 'late');
    const pool = (...more) => onePool({ balance: 'least-connections', check: UNCHECKED, servers: servers(regions, ...more) }, { workers: 2 });
    const gateway = await s.gateway(pool({}, {}, { drain: true }));
    const first = await sessions(s, gateway, 12);
    const { a, b } = tally(first);
    assert.equal(a + b, 12);
    assert.ok(Math.abs(a - b) <= 2, `a: ${a}, b: ${b}`);
    await gateway.reload(pool()); // the newcomer has none, so it gets all until it has as many as the others
    const wave = tally(await sessions(s, gateway, 5));
    assert.ok(wave.late >= 4, JSON.stringify(wave));
    assert.equal(Object.values(await openCounts(gateway)).reduce((x, y) => x + y), 17);
    await Promise.all(first.filter((c) => c.region === 'a').map((c) => c.close()));
    await waitFor('a to be empty', async () => (await openCounts(gateway)).a === 0);
    const back = tally(await sessions(s, gateway, 4));
    assert.ok(back.a >= 3, JSON.stringify(back));
    assert.equal(await metric(gateway, 'server_connections', { server: 'a' }), back.a);
  });

  scene('weights say how many are few', async (s) => {
    const regions = await regionsOf(s, 'big', 'small');
    const gateway = await s.gateway(onePool({ balance: 'least-connections', check: UNCHECKED, servers: servers(regions, { weight: 3 }) }));
    assert.deepEqual(tally(await sessions(s, gateway, 12)), { big: 9, small: 3 });
  });
});

describe('hash', { concurrency: true }, () => {
  const ways = {
    ip: [{ of: 'ip' }, (i) => ({ localAddress: `127.0.1.${i + 1}` })],
    header: [{ of: 'header', name: 'X-Tenant' }, (i) => ({ headers: { 'x-tenant': `tenant-${i}` } })],
    query: [{ of: 'query', name: 'room' }, (i) => ({ path: `/echo?x=${Math.random()}&room=r%20${i}` })],
  };
  for (const [way, [hash, client]] of Object.entries(ways))
    scene(`by ${way}: the same key meets the same server in every worker, and moves only when that one is gone`, async (s) => {
      const KEYS = 12;
      const regions = await regionsOf(s, 'a', 'b', 'c');
      const pool = (...more) => onePool({ balance: 'hash', hash, check: UNCHECKED, servers: servers(regions, ...more) }, { workers: 2 });
      const gateway = await s.gateway(pool());
      const all = async () => {
        const homes = [];
        for (let i = 0; i < KEYS; i++) homes.push(await where(s, gateway, client(i)));
        return homes;
      };
      const homes = await all();
      assert.ok(new Set(homes).size > 1, homes.join());
      for (let round = 0; round < 3; round++) assert.deepEqual(await all(), homes);
      const gone = homes[0];
      await gateway.reload(pool(...regions.map((region) => ({ drain: region.name === gone }))));
      const moved = await all();
      assert.ok(!moved.includes(gone));
      assert.deepEqual(moved.filter((_, i) => homes[i] !== gone), homes.filter((home) => home !== gone));
      await gateway.reload(pool());
      assert.deepEqual(await all(), homes);
    });

  scene('without a key it is round-robin', async (s) => {
    const regions = await regionsOf(s, 'a', 'b');
    const hash = { of: 'header', name: 'x-tenant' };
    const gateway = await s.gateway(onePool({ balance: 'hash', hash, check: UNCHECKED, servers: servers(regions) }));
    assert.deepEqual(tally(await sessions(s, gateway, 6)), { a: 3, b: 3 });
  });
});

describe('limits and drains', { concurrency: true }, () => {
  scene('max_connections holds over all workers: the next tier, or 503, and room again after a close', async (s) => {
    const regions = await regionsOf(s, 'a', 'b');
    const limits = [{ max_connections: 3 }, { max_connections: 2, tier: 'backup' }];
    const gateway = await s.gateway(onePool({ check: UNCHECKED, servers: servers(regions, ...limits) }, { workers: 2 }));
    const all = [];
    for (let i = 0; i < 7; i++) {
      const c = await visit(s, gateway);
      all.push(c);
      if (c.region) assert.equal(await c.ask('in'), 'in');
      await openCounts(gateway); // longer than a worker may take to see what the other has opened
    }
    assert.deepEqual(tally(all), { a: 3, b: 2, 503: 2 });
    await gateway.process.line(/rest_is_full/);
    await all.find((c) => c.region === 'a').close();
    await waitFor('a place to be free', async () => (await openCounts(gateway)).a === 2);
    await waitFor('it to be taken', async () => (await visit(s, gateway)).region === 'a');
    assert.deepEqual(await openCounts(gateway), { a: 3, b: 2 });
  });

  scene('drain: no new sessions, the open ones stay; with nobody else it is 503 and health says why', async (s) => {
    const regions = await regionsOf(s, 'a', 'b');
    const pool = (...more) => onePool({ check: UNCHECKED, servers: servers(regions, ...more) }, { workers: 2 });
    const gateway = await s.gateway(pool());
    const open = await sessions(s, gateway, 6);
    assert.ok(open.some((c) => c.region === 'a'));
    await gateway.reload(pool({ drain: true }));
    assert.deepEqual(tally(await sessions(s, gateway, 4)), { b: 4 });
    for (const c of open) assert.equal(await c.ask('here'), 'here');
    assert.equal(await metric(gateway, 'server_draining', { server: 'a' }), 1);
    assert.equal((await gateway.health()).json.status, 'ok', 'draining is no fault');

    await gateway.reload(pool({ drain: true }, { drain: true }));
    assert.equal(await where(s, gateway), 503);
    await gateway.process.line(/rest_is_draining/);
    const health = await gateway.health();
    assert.equal(health.status, 503);
    assert.match(health.json.reasons.join(), /pool p has no server that takes clients/);
    for (const c of open) assert.equal(await c.ask('still'), 'still');

    await gateway.reload(pool({}, { drain: true }));
    assert.deepEqual(tally(await sessions(s, gateway, 4)), { a: 4 });
  });
});
