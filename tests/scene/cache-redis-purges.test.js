// Purges between gateways that share a Redis: heard of at once, and not served again by a gateway that could not hear of them.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cable, Fleet, HOST, ask, cacheStatus, h2Ask, h2Connect, isSanitized, reply, scene, waitFor } = require('./lib');

const SOON_MS = 1500; // "within a second", and half of one for a busy machine
const LATER_MS = 8000; // with a connection that has to come back first

// An origin whose answers say how often the path was asked for; a fleet before it, whose gateways go these `ways` to the Redis.
async function stage(s, { redis, ways, ...options } = {}) {
  const own = redis ?? (await s.redis());
  const counts = {};
  const answer = ({ path }) => {
    counts[path] = (counts[path] ?? 0) + 1;
    return reply(`${path} v${counts[path]}`, { headers: { 'Surrogate-Key': `at:${path}`, ETag: `"${counts[path]}"` } });
  };
  const fleet = await Fleet.start(s, { redis: ways ?? { url: own.url }, answer, ...options });
  await fleet.joined();
  return { redis: own, fleet, a: fleet.a, b: fleet.b };
}

const textOf = async (gateway, path) => (await ask(gateway, path)).text;

// Every gateway has it in memory, in that version.
async function held(fleet, path, version = 1) {
  for (const g of fleet.gateways) {
    assert.equal(await textOf(g, path), `${path} v${version}`);
    await waitFor('it to be in memory', async () => /^hit; ttl=\d+$/.test(cacheStatus(await ask(g, path))));
  }
}

// A connection to each of its workers.
async function sessionsOfWorkers(s, gateway, count) {
  const sessions = new Map();
  await waitFor('a connection to each worker', async () => {
    const session = await h2Connect(s, `http://127.0.0.1:${gateway.port}`);
    const { headers } = await h2Ask(session, { path: '/who', headers: { ':authority': HOST, 'cache-control': 'only-if-cached' } });
    const [, worker] = await gateway.process.line(new RegExp(`(worker-\\d) .*id=${headers['x-request-id'] ?? '\\S+'} .*path=/who`));
    sessions.set(worker, session);
    return sessions.size === count;
  });
  return [...sessions.values()];
}

async function purge(gateway, told, ...words) {
  const { code, stdout, stderr } = await gateway.ctl('purge', ...words);
  assert.equal(code, 0, stderr);
  assert.match(stdout, told);
}
const TOLD = /; other gateways are being told\n$/;
const TOLD_LATER = /; other gateways will be told when Redis is back\n$/;

const versionOf = async (gateway, path) => Number((await textOf(gateway, path)).split(' v')[1]);
const becomes = (gateway, path, version, ms = SOON_MS) => waitFor(`${path} v${version}`, async () => (await versionOf(gateway, path)) >= version, ms);

describe('purges between gateways', { concurrency: 3 }, () => {
  scene('by tag, URL, prefix and all: every gateway fetches anew, once for all, and only what was meant', async (s) => {
    const { fleet, a, b } = await stage(s, { cache: { tags: ['table:cars'] } });
    await held(fleet, '/other');
    let version = 0;
    let others = 1;
    for (const words of [['tag', 'at:/x'], ['url', 'shop.example.com/x'], ['url', '/x'], ['prefix', 'shop.example.com/x'], ['tag', 'table:cars'], ['prefix', '/'], ['all']]) {
      await held(fleet, '/x', ++version);
      await purge(a, TOLD, ...words);
      await becomes(b, '/x', version + 1);
      assert.equal(await textOf(a, '/x'), `/x v${version + 1}`, words.join(' '));
      if (words[1] === 'table:cars' || words[1] === '/' || words[0] === 'all') others++;
      for (const g of [b, a]) assert.equal(await textOf(g, '/other'), `/other v${others}`, words.join(' '));
    }
    assert.ok((await b.metrics()).sum('cache_purges_total') >= 7);
  });

  scene('softly: what is there is served at once, and fetched anew behind', async (s) => {
    const { fleet, a, b } = await stage(s, { cache: { policy: 'stale-while-revalidate', stale: '1h' } });
    for (const [i, words] of [['tag', 'at:/x'], ['url', '/x'], ['prefix', '/x'], ['all']].entries()) {
      await held(fleet, '/x', i + 1);
      await purge(a, TOLD, ...words, '--soft');
      let last;
      await waitFor('the new one', async () => {
        last = await ask(b, '/x');
        assert.ok(last.text === `/x v${i + 1}` || last.text === `/x v${i + 2}`);
        return last.text === `/x v${i + 2}`;
      }, SOON_MS);
      await becomes(a, '/x', i + 2);
    }
    assert.ok((await b.metrics()).sum('cache_stale_served_total') >= 4, 'the old one first');
  });

  scene('softly, and found in Redis by one that has it not: stale there as well', async (s) => {
    for (const [policy, text] of [['cache-first', '/x v2'], ['stale-while-revalidate', '/x v1']]) {
      const { redis, fleet, a } = await stage(s, { names: ['a'], cache: { policy, stale: '1h' } });
      assert.equal(await textOf(a, '/x'), '/x v1');
      await purge(a, TOLD, 'tag', 'at:/x', '--soft');
      const c = await fleet.add('c', { url: redis.url });
      await fleet.joined([c]);
      const first = await ask(c, '/x');
      assert.equal(first.text, text, `${policy}: ${cacheStatus(first)}`);
      await waitFor('it to be fetched anew, without anybody else asking', () => fleet.asked('/x') === 2);
      await becomes(c, '/x', 2);
    }
  });

  scene('a write through one gateway is seen through all others', async (s) => {
    const { fleet, a, b } = await stage(s, { workers: 2, cache: { tags: ['table:cars'] } });
    const paths = ['/cars?id=1', '/list'];
    for (const path of paths) await held(fleet, path);
    const [writer] = await sessionsOfWorkers(s, a, 2);
    const say = (path, more) => h2Ask(writer, { path, headers: { ':authority': HOST }, ...more });
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      // All that the origin has given out so far is old from now on.
      const old = Object.fromEntries(paths.map((path) => [path, fleet.asked(path)]));
      const done = await say('/cars', { method, body: method === 'DELETE' ? undefined : 'x' });
      assert.equal(done.headers[':status'], 200);
      for (const path of paths) {
        // The worker that passed it on has dropped them before it answers; the other one hears of it from the supervisor, and b from Redis.
        const { body } = await say(path);
        assert.ok(Number(body.toString().split(' v')[1]) > old[path], `${method} ${path}: ${body}`);
        for (let n = 0; n < 6; n++) for (const g of [a, b]) await becomes(g, path, old[path] + 1);
      }
    }
  });

  scene('within a second in each worker of each gateway, by hand and by a write', async (s) => {
    const SECOND_MS = isSanitized ? 4000 : 1000;
    const { fleet, a } = await stage(s, { workers: 2, cache: { tags: ['table:cars'] } });
    const sessions = (await Promise.all(fleet.gateways.map((g) => sessionsOfWorkers(s, g, 2)))).flat();
    const readAll = () => Promise.all(sessions.map(async (session) => (await h2Ask(session, { path: '/cars', headers: { ':authority': HOST } })).body.toString()));
    const ways = {
      tag: () => purge(a, TOLD, 'tag', 'table:cars'),
      prefix: () => purge(a, TOLD, 'prefix', `${HOST}/ca`),
      write: async () => assert.equal((await ask(a, '/cars', { method: 'PATCH', body: 'x' })).status, 200),
    };
    for (const [name, doIt] of Object.entries(ways)) {
      const [old, ...others] = await readAll();
      assert.deepEqual([others, await readAll()], [Array(3).fill(old), Array(4).fill(old)], 'all have the same');
      await doIt();
      const start = performance.now();
      let texts;
      await waitFor(`${name}: nobody to say the old one`, async () => !(texts = await readAll()).includes(old), 2 * SECOND_MS);
      assert.ok(performance.now() - start < SECOND_MS, `${name}: ${performance.now() - start} ms`);
      assert.equal(new Set(texts).size, 1, `${name}: fetched anew once for all: ${texts}`);
    }
  });

  scene('many at once are all heard', async (s) => {
    const COUNT = 300;
    const { fleet, a, b } = await stage(s);
    const paths = Array.from({ length: COUNT }, (_, i) => `/p/${i}`);
    for (const g of fleet.gateways) await Promise.all(paths.map((path) => textOf(g, path)));
    await textOf(b, '/kept');
    await purge(a, TOLD, 'tag', ...paths.map((path) => `at:${path}`));
    await waitFor('all to be heard', async () => (await b.metrics()).sum('cache_purges_total') >= COUNT, SOON_MS);
    for (const g of [b, a]) for (const text of await Promise.all(paths.map((path) => textOf(g, path)))) assert.match(text, / v2$/);
    assert.equal(await textOf(b, '/kept'), '/kept v1');
  });
});

// A fleet whose gateways have a cable each to the Redis.
async function cabled(s) {
  const redis = await s.redis();
  const cables = [await Cable.lay(s, redis.port), await Cable.lay(s, redis.port)];
  const ways = cables.map((cable) => ({ url: `redis://127.0.0.1:${cable.port}`, timeout: '500ms', circuit: { open: '100ms' } }));
  return { ...(await stage(s, { redis, ways })), cableOfA: cables[0], cableOfB: cables[1] };
}

describe('gateways that cannot hear', { concurrency: 3 }, () => {
  for (const [title, lose, mend] of [
    ['whose connections are cut', (cable) => cable.cut(), (cable) => cable.mend()],
    ['whose connections fall silent', (cable) => cable.clog(), (cable) => cable.unclog()],
  ]) {
    scene(`one ${title} serves nothing that was purged meanwhile once it is back`, async (s) => {
      const { fleet, a, b, cableOfB } = await cabled(s);
      for (const path of ['/x', '/kept']) await held(fleet, path);
      assert.equal(await textOf(a, '/redis'), '/redis v1');
      lose(cableOfB);
      assert.equal(await textOf(b, '/late'), '/late v1'); // in the memory of this one alone, from before the purge
      await purge(a, TOLD, 'tag', 'at:/x', 'at:/redis', 'at:/late');
      assert.equal(await textOf(a, '/x'), '/x v2');
      assert.equal(await textOf(b, '/x'), '/x v1', 'it cannot know');
      mend(cableOfB);
      await becomes(b, '/x', 2, LATER_MS);
      for (const path of ['/x', '/redis', '/late']) for (let n = 0; n < 3; n++) assert.ok((await versionOf(b, path)) >= 2, path);
      assert.match(cacheStatus(await ask(b, '/kept')), /^hit; ttl=\d+$/);
      assert.equal(fleet.asked('/kept'), 1, 'what was not purged was not lost');
    });
  }

  scene('one that is back when the log is gone, and nobody who remembers, forgets what it has', async (s) => {
    const { redis, fleet, a, b, cableOfB } = await cabled(s);
    await held(fleet, '/x');
    cableOfB.cut();
    await waitFor('it to notice', async () => (await b.metrics()).sum('cache_l2_connected') === 0);
    await purge(a, TOLD, 'tag', 'at:/x');
    await a.stop();
    await redis.command('FLUSHALL');
    assert.equal(await textOf(b, '/x'), '/x v1', 'it cannot know');
    cableOfB.mend();
    await becomes(b, '/x', 2, LATER_MS);
  });

  scene('connections that Redis ends again and again', async (s) => {
    const { redis, fleet, a, b } = await stage(s);
    for (let round = 0; round < 4; round++) {
      for (const g of fleet.gateways) await ask(g, '/x');
      const old = fleet.asked('/x');
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      await purge(a, /; other gateways (are being|will be) told/, 'tag', 'at:/x');
      await becomes(b, '/x', old + 1, LATER_MS);
      assert.ok((await versionOf(a, '/x')) > old);
    }
  });

  scene('one that starts after a purge takes nothing from Redis that is older', async (s) => {
    const { redis, fleet, a } = await stage(s, { names: ['a'] });
    for (const path of ['/x', '/kept']) assert.equal(await textOf(a, path), `${path} v1`);
    await purge(a, TOLD, 'tag', 'at:/x');
    assert.equal((await redis.keys('tidegate:e:*')).length, 2, 'it is still there');
    const c = await fleet.add('c', { url: redis.url });
    await fleet.joined([c]);
    assert.equal(await textOf(c, '/x'), '/x v2');
    assert.equal(await textOf(c, '/kept'), '/kept v1');
  });

  scene('what one that is cut off purges holds there at once, and everywhere when it is back', async (s) => {
    const { fleet, a, b, cableOfA } = await cabled(s);
    for (const path of ['/x', '/y', '/kept']) await held(fleet, path);
    cableOfA.cut();
    await waitFor('it to notice', async () => (await a.metrics()).sum('cache_l2_connected') === 0);
    await purge(a, TOLD_LATER, 'tag', 'at:/x');
    assert.equal((await ask(a, '/y', { method: 'DELETE' })).status, 200); // which purges the URL
    for (const path of ['/x', '/y']) assert.match(await textOf(a, path), path === '/x' ? / v2$/ : / v3$/);
    for (const path of ['/x', '/y']) assert.equal(await textOf(b, path), `${path} v1`, 'nobody told it');
    cableOfA.mend();
    await waitFor('the other one to hear of it', async () => (await textOf(b, '/x')) !== '/x v1' && (await textOf(b, '/y')) !== '/y v1', LATER_MS);
    for (const g of [a, b]) assert.equal(await textOf(g, '/kept'), '/kept v1');
    assert.equal(fleet.asked('/kept'), 1);
  });

  scene('more than can wait become one of everything', async (s) => {
    const { fleet, a, b, cableOfA } = await cabled(s);
    for (const path of ['/x', '/y']) await held(fleet, path);
    cableOfA.cut();
    await waitFor('it to notice', async () => (await a.metrics()).sum('cache_l2_connected') === 0);
    await purge(a, TOLD_LATER, 'tag', 'at:/x', ...Array.from({ length: 1030 }, (_, i) => `t${i}`));
    cableOfA.mend();
    for (const path of ['/x', '/y']) await becomes(b, path, 2, LATER_MS);
  });

  scene('what is purged while Redis is away is in its log when it is back', async (s) => {
    const { redis, fleet, a, b } = await stage(s);
    for (const path of ['/x', '/kept']) await held(fleet, path);
    await redis.command('SAVE');
    await redis.kill();
    await waitFor('it to be missed', async () => (await fleet.sum('cache_l2_connected')) === 0);
    await purge(a, TOLD_LATER, 'tag', 'at:/x');
    await becomes(a, '/x', 2);
    assert.equal(await textOf(b, '/x'), '/x v1');
    await redis.begin();
    await waitFor('the other one to hear of it', async () => (await textOf(b, '/x')) !== '/x v1', LATER_MS);
    for (const g of [a, b]) assert.match(cacheStatus(await ask(g, '/kept')), /^hit; ttl=\d+$/, 'its log is the one it was');
    assert.match(JSON.stringify(await redis.command('XRANGE', 'tidegate:purges', '-', '+')), /"tag".*"at:\/x"/);
  });
});
