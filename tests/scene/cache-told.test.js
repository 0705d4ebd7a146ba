// What is said about the cache: Cache-Status (RFC 9211) and Age to clients, cache=... in the access log, counters on /metrics; and what is
// left of it when a worker ends.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cached, scene, waitFor, within } = require('./lib');

const RULES = { policy: 'stale-while-revalidate', fresh: '1m', stale: '1m' };

describe('what is said about the cache', { concurrency: 3 }, () => {
  // `status`: the Cache-Status of the answer to `play`; `log`: the word in its line; `counters`: by how much they grow.
  const outcomes = [
    {
      title: 'a miss', status: 'scene; fwd=uri-miss; stored', log: 'miss', counters: { misses: 1, fetches: 1 },
      play: (c) => c.ask(),
    },
    {
      title: 'a hit', status: /^scene; hit; ttl=(60|59)$/, log: 'hit', counters: { hits: 1, fetches: 0 },
      before: (c) => c.ask(), play: (c) => c.ask(),
    },
    {
      title: 'a stale hit', headers: { Age: '70' }, status: /^scene; hit; ttl=-1\d$/, log: 'stale', counters: { stale_served: 1, refreshes: 1, fetches: 1 },
      before: (c) => c.ask(), play: (c) => c.ask(),
    },
    {
      title: 'one that is validated', headers: { Age: '130', ETag: '"e"' }, status: 'scene; fwd=stale; stored', log: 'miss',
      counters: { misses: 1, fetches: 1, validated: 1 },
      before: (c) => c.ask(), play: (c) => c.ask(),
    },
    {
      title: 'one that asks for more than is there', status: 'scene; fwd=stale; stored', log: 'miss', counters: { misses: 1, fetches: 1 },
      before: (c) => c.ask(), play: (c) => c.ask('/', { 'cache-control': 'no-cache' }),
    },
    {
      title: 'one that is not for storing', headers: { 'Cache-Control': 'no-store' }, status: 'scene; fwd=uri-miss; fwd-status=200; detail=no-store',
      log: 'pass', counters: { misses: 1, fetches: 1 },
      play: (c) => c.ask(),
    },
    {
      title: 'one that is not for sharing', headers: { 'Cache-Control': 'no-store' }, status: 'scene; fwd=miss; fwd-status=200; detail=not-shared',
      log: 'bypass', counters: { bypassed: 1, fetches: 0 },
      before: (c) => c.ask(), play: (c) => c.ask(),
    },
    {
      title: 'one with a cookie', status: 'scene; fwd=bypass; fwd-status=200; detail=cookie', log: 'bypass', counters: { bypassed: 1, fetches: 0 },
      play: (c) => c.ask('/', { cookie: 'a=b' }),
    },
    {
      title: 'a write', status: 'scene; fwd=method; fwd-status=200; detail=method', log: 'bypass', counters: { bypassed: 1, fetches: 0 },
      play: (c) => c.ask('/', {}, { method: 'PUT', body: 'x' }),
    },
    {
      title: 'a failure', status: 'scene; fwd=uri-miss; fwd-status=500', log: 'error', counters: { misses: 1, fetches: 1, fetches_failed: 1 },
      before: (c) => { c.status = 500; }, play: (c) => c.ask(),
    },
    {
      title: 'a failure that something stands in for', rules: { stale: 0, stale_if_error: '1m' }, headers: { Age: '70' },
      status: /^scene; hit; ttl=-1\d; detail=error$/, log: 'stale',
      counters: { misses: 1, stale_served: 1, fetches: 1, fetches_failed: 1 },
      before: async (c) => { await c.ask(); c.status = 500; }, play: (c) => c.ask(),
    },
    {
      title: 'one for the cache alone', status: 'scene; detail=only-if-cached', log: 'absent', counters: { fetches: 0 },
      play: (c) => c.ask('/', { 'cache-control': 'only-if-cached' }),
    },
  ];
  for (const { title, rules, headers, status, log, counters, before, play } of outcomes) {
    scene(title, async (s) => {
      const c = await Cached.start(s, { ...RULES, ...rules }, { headers });
      if (before) await before(c);
      const start = await c.gateway.metrics();
      const mark = c.gateway.process.mark();
      const answer = await play(c);
      if (typeof status === 'string') assert.equal(answer.headers['cache-status'], status);
      else assert.match(answer.headers['cache-status'], status);
      assert.equal((await c.gateway.process.line(/request answered .* cache=(\S+)$/, 5000, mark))[1], log);
      for (const [name, count] of Object.entries(counters)) {
        await waitFor(`cache_${name}_total to have grown by ${count}`, async () => (await c.gateway.metrics()).sum(`cache_${name}_total`) - start.sum(`cache_${name}_total`) === count);
      }
    });
  }

  scene('one that waits for what another one fetches', async (s) => {
    const c = await Cached.start(s, RULES);
    const release = c.hold();
    const mark = c.gateway.process.mark();
    const first = c.ask();
    await c.origin.next();
    const second = c.ask();
    await c.counts('coalesced', 1);
    release();
    assert.deepEqual((await Promise.all([first, second])).map(({ headers }) => headers['cache-status']), ['scene; fwd=uri-miss; stored', 'scene; fwd=uri-miss; collapsed']);
    for (const word of ['miss', 'coalesced']) await c.gateway.process.line(new RegExp(`request answered .* cache=${word}$`), 5000, mark);
    assert.deepEqual([await c.counted('misses'), await c.counted('fetches')], [1, 1]);
  });

  scene('in `tidegatectl status` as well, for each route that keeps answers', async (s) => {
    const c = await Cached.start(s, RULES);
    await c.gateway.reload({ ...c.config(), routes: [...c.config().routes, { name: 'plain', path: '/plain', pool: 'p' }] });
    for (const path of ['/a', '/a', '/a', '/b', '/plain']) await c.ask(path);
    await c.ask('/', { cookie: 'a=b' });
    await waitFor('the table', async () => {
      const { stdout } = await c.gateway.ctl('status');
      const lines = stdout.split('\n').map((line) => line.trim().split(/\s{2,}/));
      const [head, ...rows] = lines.slice(lines.findIndex(([title]) => title === 'CACHED ROUTE'));
      const row = Object.fromEntries((head ?? []).map((title, i) => [title, rows[0][i]]));
      if (row.HITS !== '2' || row.BYPASSED !== '1') return false;
      assert.deepEqual(row, { 'CACHED ROUTE': 'all', HITS: '2', STALE: '0', REDIS: '0', MISSES: '2', COALESCED: '0', BYPASSED: '1', REFRESHES: '0' });
      assert.ok(!rows.some(([name]) => name === 'plain'));
      return true;
    });
  });

  scene('those of an origin with a cache of its own stay, before the gateway\'s', async (s) => {
    const c = await Cached.start(s, RULES, { headers: { 'Cache-Status': 'far; hit; ttl=9', Age: '7' } });
    await c.ask();
    const { headers } = await c.ask();
    assert.match(headers['cache-status'], /^far; hit; ttl=9, scene; hit; ttl=\d+$/);
    assert.ok(Number(headers.age) >= 7);
  });

  scene('Age grows; an answer that was only passed on has none of the gateway\'s', async (s) => {
    const c = await Cached.start(s, RULES);
    assert.equal((await c.ask('/', { cookie: 'a=b' })).headers.age, undefined);
    await c.ask();
    await c.until('a second to have passed', ({ headers }) => Number(headers.age) === 1);
    assert.equal(c.asked.length, 2);
  });

  scene('entries and their bytes are counted, and gone with what is purged', async (s) => {
    const c = await Cached.start(s, { ...RULES, tags: ['t'] });
    for (let i = 0; i < 10; i++) await c.ask(`/${i}`);
    const full = await waitFor('ten entries', async () => {
      const metrics = await c.gateway.metrics();
      return metrics.sum('cache_entries') === 10 && metrics;
    });
    assert.ok(full.sum('cache_bytes') > 1000);
    await c.gateway.ctl('purge', 'tag', 't');
    for (let i = 0; i < 10; i++) await c.ask(`/${i}`, { 'cache-control': 'only-if-cached' });
    await waitFor('none', async () => (await c.gateway.metrics()).sum('cache_entries') === 0);
    const after = await c.gateway.metrics();
    assert.deepEqual([after.sum('cache_purged_total'), after.sum('cache_purges_total')], [10, 1]);
  });
});

describe('the life of a worker', { concurrency: 2 }, () => {
  scene('one that is killed begins with nothing, and serves', async (s) => {
    const c = await Cached.start(s, RULES);
    await c.ask();
    const { 'worker-0': worker } = await c.gateway.processes();
    process.kill(worker.pid, 'SIGKILL');
    await waitFor('another', async () => {
      const now = (await c.gateway.processes())['worker-0'];
      return now && now.pid !== worker.pid && now.state === 'ready';
    });
    await c.until('an answer', ({ text }) => text === 'v2');
    assert.equal((await c.ask()).told.hit, true);
    await waitFor('its entry alone to be counted', async () => (await c.gateway.metrics()).sum('cache_entries') === 1);
  });

  scene('a reload keeps what is stored; rules that changed apply to it', async (s) => {
    const c = await Cached.start(s, RULES);
    await c.ask();
    await c.gateway.reload(c.config({ ...RULES, tags: ['t'] }));
    assert.equal((await c.ask()).text, 'v1');
    await c.gateway.reload(c.config({ ...RULES, policy: 'network-first', timeout: '5s' }));
    assert.equal((await c.ask()).text, 'v2');
    await c.gateway.reload(c.config({ policy: 'off' }));
    assert.equal((await c.ask()).text, 'v3');
    await c.gateway.reload(c.config(RULES));
    assert.equal((await c.ask()).text, 'v2', 'it is still there, and fresh');
    await c.gateway.reload({ ...c.config(), cache: { memory: 0 } });
    assert.equal((await c.ask()).text, 'v4');
    assert.equal((await c.ask()).text, 'v5');
  });

  scene('it stops in seconds, with clients that wait for an origin', async (s) => {
    const c = await Cached.start(s, RULES);
    const release = c.hold();
    const asking = [1, 2, 3].map(() => c.ask().catch((error) => error));
    await c.counts('coalesced', 2);
    await within(8000, 'the gateway to end', c.gateway.stop());
    release();
    await Promise.all(asking);
  });
});
