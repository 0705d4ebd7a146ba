// Other rules while answers are stored and requests wait: what was under way ends well, and what changed holds from then on.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cached, reply, scene, waitFor } = require('./lib');

const RULES = { policy: 'stale-while-revalidate', fresh: '1h', stale: '1h', tags: ['t'] };

describe('a reload of a cached route', { concurrency: 3 }, () => {
  scene('policy, memory, name, Redis and prefix change while requests wait: each gets its answer, from one fetch', async (s) => {
    const [one, two] = [await s.redis({ name: 'one' }), await s.redis({ name: 'two' })];
    const c = await Cached.start(s, RULES, { cache: { redis: { url: one.url, timeout: '500ms' } } });
    const inUse = (redis, prefix) => waitFor('Redis to be used', async () => {
      await c.ask(`/${prefix}/${Math.random()}`);
      return (await redis.keys(`${prefix}:e:*`)).length > 0;
    });
    await inUse(one, 'tidegate');
    const { 'worker-0': worker } = await c.gateway.processes();
    const changes = [
      { cache: { redis: { url: one.url, timeout: '500ms', prefix: 'other' } } },
      { cache: { redis: { url: two.url, timeout: '500ms', prefix: 'other' } } },
      { cache: { memory: '1MiB' } },
      { cache: { memory: 0 } },
      { rules: { ...RULES, policy: 'network-first', timeout: '10s' } },
      { rules: { ...RULES, policy: 'cache-first', query: { drop: ['x'] }, headers: ['x-new'], compress: ['gzip'] } },
      { name: 'renamed' },
      { rules: { policy: 'off' } },
    ];
    for (const [i, { cache, rules = RULES, name = 'all' }] of changes.entries()) {
      const path = `/waiting/${i}`;
      const asked = c.asked.length;
      const start = await c.counted('coalesced');
      const release = c.hold();
      const waiting = Array.from({ length: 10 }, () => c.ask(path));
      await c.counts('coalesced', start + 9);
      const config = { ...c.config(rules), ...(cache ? { cache } : {}) };
      config.routes[0].name = name;
      await c.gateway.reload(config);
      release();
      const texts = new Set((await Promise.all(waiting)).map(({ status, text }) => `${status} ${text}`));
      assert.deepEqual([texts.size, c.asked.length], [1, asked + 1], `${JSON.stringify(changes[i])}: ${[...texts]}`);
      assert.equal((await c.ask(`/after/${i}`)).status, 200);
      if (cache?.redis) await inUse(cache.redis.url === one.url ? one : two, 'other');
      await c.gateway.reload(c.config());
      await waitFor('the first Redis again', async () => (await c.gateway.metrics()).sum('cache_l2_connected') === 1);
    }
    assert.equal((await c.gateway.processes())['worker-0'].pid, worker.pid);
  });

  scene('less memory holds at once', async (s) => {
    const SIZE = 50000;
    const c = await Cached.start(s, RULES, { answer: ({ path }) => reply(path.padEnd(SIZE)), cache: { memory: '8MiB', max_entry: '256KiB' } });
    for (let i = 0; i < 100; i++) await c.ask(`/${i}`);
    const bytes = async () => (await c.gateway.metrics()).sum('cache_bytes');
    await waitFor('all to be stored', async () => (await bytes()) > 100 * SIZE);
    await c.gateway.reload({ ...c.config(), cache: { memory: '1MiB', max_entry: '256KiB' } });
    const left = await waitFor('most to be gone', async () => ((n) => n <= 1 << 20 && n)(await bytes()));
    assert.ok(left > 500000, `${left} bytes are kept`);
    for (let i = 0; i < 100; i++) assert.equal((await c.ask(`/${i}`)).text.trim(), `/${i}`);
    assert.ok((await bytes()) <= 1 << 20);
  });

  scene('a route by another name: its answers are right, its tags purge, and it is counted under that name', async (s) => {
    const c = await Cached.start(s, RULES, { answer: ({ headers }) => reply(`in ${headers['accept-language']} ${c.asked.length}`, { headers: { Vary: 'Accept-Language' } }) });
    const ask = async (language) => (await c.ask('/', { 'accept-language': language })).text;
    for (const language of ['de', 'fr']) assert.match(await ask(language), new RegExp(`in ${language}`));
    const config = c.config();
    config.routes[0].name = 'renamed';
    await c.gateway.reload(config);
    for (let i = 0; i < 2; i++) for (const language of ['de', 'fr', 'it']) assert.match(await ask(language), new RegExp(`in ${language}`));
    const asked = c.asked.length;
    for (const language of ['de', 'fr', 'it']) await ask(language);
    assert.equal(c.asked.length, asked, 'all are stored');
    await waitFor('them to be counted', async () => (await c.gateway.metrics()).sum('cache_hits_total', { route: 'renamed' }) >= 3);
    assert.equal((await c.gateway.ctl('purge', 'tag', 't')).code, 0);
    for (const language of ['de', 'fr', 'it']) await ask(language);
    assert.equal(c.asked.length, asked + 3);
  });
});
