// A Redis that is away, slow, full, forgetful or full of garbage: clients get what is right, in time, and nothing that was purged.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const { Cable, Fleet, Load, ask, cacheStatus, isSanitized, scene, waitFor } = require('./lib');

const PROMPT_MS = isSanitized ? 4000 : 1500; // nobody waits for Redis; a busy machine takes its time
const QUICK = { timeout: '50ms', connect_timeout: '200ms', circuit: { failures: 3, open: '200ms' } };

const isHit = (answer) => /^hit; ttl=\d+$/.test(cacheStatus(answer));
const connectedTo = (fleet, count) => waitFor(`${count} workers connected to Redis`, async () => (await fleet.sum('cache_l2_connected')) === count, 10000);

// All of them right, and in time.
function assertServed(answers) {
  assert.deepEqual(answers.filter(({ error, status, path, text }) => error || status !== 200 || text !== path).slice(0, 3), []);
  const slowest = Math.max(...answers.map(({ ms }) => ms));
  assert.ok(slowest < PROMPT_MS, `${Math.round(slowest)} ms`);
}

// Each of the paths answered rightly by each gateway, also a second time.
async function served(fleet, paths) {
  for (const g of fleet.gateways) {
    for (const path of [...paths, ...paths]) {
      const start = performance.now();
      const answer = await ask(g, path);
      assert.deepEqual([answer.status, answer.text], [200, fleet.pages[path]?.body ?? fleet.pages[path] ?? path]);
      assert.ok(performance.now() - start < PROMPT_MS, `${path} took ${Math.round(performance.now() - start)} ms`);
    }
  }
}

const named = (prefix, count) => Array.from({ length: count }, (_, i) => `/${prefix}/${i}`);

describe('a Redis that comes and goes', { concurrency: 3 }, () => {
  scene('one that is not there yet: each has its own memory until it is', async (s) => {
    const port = await s.freePort();
    const fleet = await Fleet.start(s, { redis: { url: `redis://127.0.0.1:${port}`, ...QUICK } });
    for (const g of fleet.gateways) await g.process.line(/WARN .*redis not reached .*cause=refused/);
    await served(fleet, named('p', 5));
    for (const g of fleet.gateways) assert.ok(isHit(await ask(g, '/p/0')));
    assert.equal(fleet.asked('/p/0'), 2);
    await s.redis({ port });
    await fleet.joined();
    await fleet.shares(fleet.a, fleet.b);
    for (const g of fleet.gateways) await served(fleet, named('p', 5));
  });

  scene('killed under load, and there again, empty', async (s) => {
    const redis = await s.redis();
    const fleet = await Fleet.start(s, { redis: { url: redis.url, ...QUICK }, workers: 2, cache: { fresh: '300ms' } });
    await fleet.joined();
    const load = new Load(fleet.gateways);
    for (let round = 0; round < 2; round++) {
      await load.more(200);
      await redis.kill();
      await load.more(200);
      await connectedTo(fleet, 0);
      await redis.begin({ isEmpty: true });
      await connectedTo(fleet, 4);
    }
    await load.more(200);
    assertServed(await load.stop());
    await fleet.shares(fleet.a, fleet.b);
  });

  scene('one that stops in the middle: nobody waits for it, and it is left alone until it answers again', async (s) => {
    const redis = await s.redis();
    const fleet = await Fleet.start(s, { redis: { url: redis.url, ...QUICK } });
    await fleet.joined();
    await served(fleet, named('before', 3));
    const load = new Load(fleet.gateways, { paths: 1e6 });
    await load.more();
    redis.freeze();
    await waitFor('the circuits to open', async () => {
      const all = await Promise.all(fleet.gateways.map((g) => g.metrics()));
      return all.every((m) => m.sum('cache_l2_circuit_open') + (m.sum('cache_l2_connected') === 0) > 0) && all.some((m) => m.sum('cache_l2_circuit_open') > 0);
    });
    for (const g of fleet.gateways) await g.process.line(/WARN .*redis circuit open .*failures=3/);
    const since = load.answers.length;
    await load.more(100);
    const answers = await load.stop();
    assertServed(answers);
    const median = answers.slice(since).map(({ ms }) => ms).sort((a, b) => a - b)[50];
    assert.ok(median < PROMPT_MS / 10, `a circuit that is open costs nothing, and it took ${median} ms`);
    await served(fleet, named('before', 3));
    assert.ok((await fleet.sum('cache_l2_timeouts_total')) >= 6);
    redis.thaw();
    await waitFor('the circuits to close', async () => (await fleet.sum('cache_l2_circuit_open')) === 0 && (await fleet.sum('cache_l2_connected')) === 2, 10000);
    await fleet.shares(fleet.a, fleet.b);
    await fleet.shares(fleet.b, fleet.a);
  });

  scene('one that is slow: nobody waits long for it, and nobody gets the answer to another question', async (s) => {
    const redis = await s.redis();
    const cable = await Cable.lay(s, redis.port);
    const slow = { ...QUICK, url: `redis://127.0.0.1:${cable.port}`, circuit: { failures: 0 } }; // it is asked each time
    const fleet = await Fleet.start(s, { redis: [{ url: redis.url, timeout: '500ms' }, slow] });
    await fleet.joined();
    await served({ ...fleet, gateways: [fleet.a] }, named('load', 200));
    const load = new Load([fleet.b], { clients: 8, paths: 200 });
    for (const delayMs of [30, 10, 40, 0]) {
      cable.delayMs = delayMs;
      await load.more(40);
      const asked = fleet.asked('/load/0');
      assert.equal((await fleet.a.ctl('purge', 'all')).code, 0); // so that all has to be looked for in Redis again
      await waitFor('it to hear of it', async () => (await ask(fleet.b, '/load/0')) && fleet.asked('/load/0') > asked, 3000);
    }
    assertServed(await load.stop());
    assert.ok((await fleet.b.metrics()).sum('cache_l2_timeouts_total') > 0);
    await fleet.shares(fleet.a, fleet.b);
    await fleet.shares(fleet.b, fleet.a);
  });

  scene('one that is emptied again and again, under load', async (s) => {
    const redis = await s.redis();
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, workers: 2, cache: { tags: ['t'] } });
    await fleet.joined();
    const load = new Load(fleet.gateways, { paths: 50 });
    for (let round = 0; round < 3; round++) {
      await load.more(100);
      await redis.command('FLUSHALL');
      for (const g of fleet.gateways) await ask(g, '/x');
      const asked = fleet.asked('/x');
      assert.match((await fleet.a.ctl('purge', 'tag', 't')).stdout, /other gateways/);
      await waitFor('the other one to hear of it', async () => (await ask(fleet.b, '/x')) && fleet.asked('/x') > asked, 5000);
    }
    assertServed(await load.stop());
    await fleet.shares(fleet.a, fleet.b);
  });

  scene('one that comes back with what it had before a purge', async (s) => {
    const redis = await s.redis();
    const fleet = await Fleet.start(s, { redis: { url: redis.url, ...QUICK } });
    const headers = { 'Surrogate-Key': 'goods' };
    fleet.pages = { '/old': { body: 'old', headers }, '/alone': { body: 'old', headers }, '/later': { body: 'old', headers } };
    await fleet.joined();
    for (const g of fleet.gateways) assert.equal((await ask(g, '/old')).text, 'old');
    for (const path of ['/alone', '/later']) await ask(fleet.a, path);
    await redis.command('SAVE');
    assert.match((await fleet.a.ctl('purge', 'tag', 'goods')).stdout, /other gateways are being told/);
    fleet.pages = { '/old': 'new', '/alone': 'new', '/later': 'new' };
    for (const g of fleet.gateways) await waitFor('the new one', async () => (await ask(g, '/old')).text === 'new');
    await redis.kill();
    await connectedTo(fleet, 0);
    await redis.begin();
    assert.equal((await redis.keys('tidegate:e:*')).length, 3, 'what was purged is in Redis again');
    await connectedTo(fleet, 2);
    await fleet.shares(fleet.b, fleet.a);
    for (const g of fleet.gateways) for (const path of ['/alone', '/old']) assert.equal((await ask(g, path)).text, 'new');
    const c = await fleet.add('c', { url: redis.url });
    await fleet.joined([c]);
    for (const path of ['/later', '/alone', '/old']) assert.equal((await ask(c, path)).text, 'new', 'nor does one that comes later believe it');
  });
});

describe('a Redis without room', { concurrency: 3 }, () => {
  const BODY = crypto.randomBytes(60000).toString('base64'); // it cannot be compressed much

  async function stage(s, policy) {
    const redis = await s.redis({ args: ['--maxmemory', '3mb', '--maxmemory-policy', policy] });
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, cache: { tags: ['t'] } });
    fleet.pages = Object.fromEntries(named('big', 60).map((path) => [path, BODY]));
    await fleet.joined();
    return { redis, fleet };
  }

  scene('one that is full and evicts nothing: requests are fine, and purges go round all the same', async (s) => {
    const { redis, fleet } = await stage(s, 'noeviction');
    await served(fleet, named('big', 60));
    await fleet.a.process.line(/WARN .*redis refused a command .*OOM/);
    assert.equal(await fleet.sum('cache_l2_circuit_open'), 0, 'what is in it can be read');
    for (const g of fleet.gateways) await ask(g, '/x');
    const asked = fleet.asked('/x');
    await redis.command('CONFIG', 'SET', 'maxmemory', 1);
    await assert.rejects(redis.command('SET', 'x', 'x'), /OOM/);
    assert.match((await fleet.a.ctl('purge', 'tag', 't')).stdout, /other gateways are being told/);
    await waitFor('the other one to hear of it', async () => (await ask(fleet.b, '/x')) && fleet.asked('/x') > asked, 2000);
    await redis.command('CONFIG', 'SET', 'maxmemory', '100mb');
    await fleet.shares(fleet.a, fleet.b);
  });

  scene('one that evicts everything, the purge log as well', async (s) => {
    const { redis, fleet } = await stage(s, 'allkeys-random');
    const load = new Load(fleet.gateways, { paths: 40 });
    await served(fleet, named('big', 60));
    fleet.pages['/x'] = 'old';
    for (const g of fleet.gateways) assert.equal((await ask(g, '/x')).text, 'old');
    await redis.command('DEL', 'tidegate:purges'); // if that was not among them
    fleet.pages['/x'] = 'new';
    assert.equal((await fleet.a.ctl('purge', 'tag', 't')).code, 0);
    for (const g of fleet.gateways) await waitFor('the purge', async () => (await ask(g, '/x')).text === 'new');
    await served(fleet, named('big', 60));
    assertServed(await load.stop());
    for (const g of fleet.gateways) assert.equal((await ask(g, '/x')).text, 'new');
  });
});

describe('garbage under our keys', { concurrency: 3 }, () => {
  // What becomes of an entry: `others` are the bytes of another one.
  const harms = {
    'bytes without meaning': () => crypto.randomBytes(500),
    'nothing': () => Buffer.alloc(0),
    'an entry of another key': (_, other) => other,
    'an entry cut in half': (own) => own.subarray(0, own.length / 2),
    'an entry without its last byte': (own) => own.subarray(0, -1),
    'an entry with one bit turned': (own) => {
      own[own.length - 3] ^= 4;
      return own;
    },
    'an entry of another version': (own) => {
      own[4]++;
      return own;
    },
    'an entry longer than any may be': (own) => Buffer.concat([own, Buffer.alloc(3 << 20, own)]),
  };

  scene('an entry is what was stored, or none', async (s) => {
    const redis = await s.redis();
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, names: ['a'] });
    fleet.pages = Object.fromEntries(named('p', 20).map((path) => [path, `${path} `.repeat(1000)]));
    await fleet.joined();
    const keyOf = {};
    const known = new Set();
    for (const path of [...Object.keys(harms), 'kind', 'more', 'whole', 'other'].map((_, i) => `/p/${i}`)) {
      await ask(fleet.a, path);
      keyOf[path] = await waitFor('it to be in Redis', async () => (await redis.keys('tidegate:e:*')).find((key) => !known.has(key)));
      known.add(keyOf[path]);
    }
    const paths = Object.keys(keyOf);
    const [kind, more, whole, other] = paths.slice(-4);
    const otherBytes = await redis.bytes('GET', keyOf[other]);
    for (const [i, harm] of Object.values(harms).entries()) await redis.command('SET', keyOf[paths[i]], harm(await redis.bytes('GET', keyOf[paths[i]]), otherBytes), 'PX', 600000);
    await redis.command('DEL', keyOf[kind]);
    await redis.command('LPUSH', keyOf[kind], 'an', 'entry', 'of', 'another', 'kind');
    await redis.command('PERSIST', keyOf[more]); // it never ends
    const b = await fleet.add('b', { url: redis.url });
    await fleet.joined([b]);
    assert.match(cacheStatus(await ask(b, whole)), /detail=l2/);
    for (const path of paths) assert.equal((await ask(b, path)).text, fleet.pages[path], path);
    for (const path of [...paths.slice(0, Object.keys(harms).length), kind]) {
      assert.equal(fleet.asked(path), 2, path);
      assert.equal((await ask(b, path)).text, fleet.pages[path]);
    }
    await b.process.line(/WARN .*entry from redis not used .*cause=/);
    assert.equal((await b.metrics()).sum('cache_l2_circuit_open'), 0);
    const c = await fleet.add('c', { url: redis.url });
    await fleet.joined([c]);
    for (const path of paths) assert.equal((await ask(c, path)).text, fleet.pages[path], `${path}, mended`);
  });

  scene('leases and a purge log of another kind: each goes on with its own memory', async (s) => {
    const redis = await s.redis();
    await redis.command('SET', 'tidegate:purges', 'no log');
    const fleet = await Fleet.start(s, { redis: { url: redis.url } });
    await fleet.a.process.line(/WARN .*purge log not read .*WRONGTYPE/);
    await served(fleet, named('p', 3));
    assert.equal(fleet.asked('/p/0'), 2);
    await redis.command('DEL', 'tidegate:purges');
    await fleet.joined();
    await fleet.shares(fleet.a, fleet.b);
    await served(fleet, named('p', 3));
    const counts = ['/p/0', '/p/1'].map((path) => fleet.asked(path));
    await redis.command('XADD', 'tidegate:purges', '*', 'kind', 'nonsense', 'soft', '7', 'text', crypto.randomBytes(40));
    await redis.command('XADD', 'tidegate:purges', '*', 'x', 'y');
    await redis.command('XADD', 'tidegate:purges', '*', 'kind', 'tag', 'soft', '0', 'text', 'x'.repeat(5000));
    await redis.command('XADD', 'tidegate:purges', '*', 'kind', 'url', 'soft', '0', 'text', '/p/0');
    for (const g of fleet.gateways) await waitFor('the one that makes sense', async () => (await g.metrics()).sum('cache_purges_total') === 1);
    await fleet.a.process.line(/WARN .*record of the purge log skipped/);
    await served(fleet, named('p', 3));
    assert.deepEqual(['/p/0', '/p/1'].map((path) => fleet.asked(path)), [counts[0] + 1, counts[1]], 'once for both');
  });
});
