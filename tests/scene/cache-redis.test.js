// Gateways that share a Redis: what one of them fetched all have, and the origin is asked once for all.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const { Authority, Fleet, HOST, Load, ask, cacheStatus, reply, scene, waitFor } = require('./lib');

// Something that waits until open() is called.
function gate() {
  let open;
  const opened = new Promise((resolve) => { open = resolve; });
  return { open, opened };
}

const together = (gateways, count, path) => gateways.flatMap((g) => Array.from({ length: count }, () => ask(g, path)));

describe('a Redis shared by gateways', { concurrency: 3 }, () => {
  scene('a miss in all workers of all gateways at once costs the origin one request', async (s) => {
    const redis = await s.redis();
    const { open, opened } = gate();
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, workers: 2, answer: async () => (await opened, reply('once')) });
    await fleet.joined();
    const answers = together(fleet.gateways, 20, '/storm');
    await waitFor('all to wait', async () => (await redis.keys('tidegate:l:*')).length === 1 && (await fleet.sum('cache_coalesced_total')) >= 36);
    assert.equal(fleet.origin.heads.length, 1);
    open();
    for (const answer of await Promise.all(answers)) assert.equal(answer.text, 'once');
    assert.equal(fleet.origin.heads.length, 1);
    assert.equal(await fleet.sum('cache_fetches_total'), 1);
    assert.equal(await fleet.sum('cache_misses_total'), 1);
    assert.deepEqual(await redis.keys('tidegate:l:*'), [], 'the lease is given back');
  });

  scene('what one fetched, another answers from Redis, and then from its memory', async (s) => {
    const redis = await s.redis();
    const fleet = await Fleet.start(s, { redis: { url: redis.url } });
    const noise = crypto.randomBytes(50000).toString('base64');
    const headers = { ETag: '"1"', 'Content-Type': 'application/json', 'X-More': 'a, b', 'Surrogate-Key': 'x y' };
    fleet.pages = { '/json': { body: '{"a":1}'.repeat(30000), headers }, '/noise': { body: noise, headers }, '/empty': { body: '', headers } };
    await fleet.joined();
    for (const path of Object.keys(fleet.pages)) {
      const first = await ask(fleet.a, path);
      assert.equal(cacheStatus(first), 'fwd=uri-miss; stored');
      await waitFor('it to be in Redis', async () => (await redis.keys('tidegate:e:*')).length === Object.keys(fleet.pages).indexOf(path) + 1);
      const second = await ask(fleet.b, path);
      assert.match(cacheStatus(second), /^hit; ttl=\d+; detail=l2$/);
      await fleet.b.process.line(new RegExp(`request answered .* path=${path} .* cache=l2$`));
      assert.equal(second.text, fleet.pages[path].body);
      assert.equal(second.headers.etag, '"1"');
      assert.equal(second.headers['x-more'], 'a, b');
      assert.ok(Number(second.headers.age) <= 1);
      assert.match(cacheStatus(await ask(fleet.b, path)), /^hit; ttl=\d+$/);
      assert.equal((await ask(fleet.b, path, { headers: { 'If-None-Match': '"1"' } })).status, 304);
      assert.equal(fleet.asked(path), 1);
    }
    const b = await waitFor('what is counted', async () => ((m) => m.sum('cache_l2_commands_total') >= 6 && m)(await fleet.b.metrics()));
    assert.equal(b.sum('cache_l2_hits_total', { route: 'all' }), 3);
    assert.equal(b.sum('cache_hits_total', { route: 'all' }), 6);
    assert.equal(b.sum('cache_misses_total'), 0);
    assert.equal(b.sum('cache_fetches_total'), 0);
    assert.ok(b.sum('cache_l2_commands_total') > 0 && b.sum('cache_l2_time_seconds_total') > 0);
    assert.equal(b.sum('cache_l2_failures_total'), 0);
    const sizes = await Promise.all((await redis.keys('tidegate:e:*')).map((key) => redis.command('STRLEN', key)));
    assert.ok(Math.max(...sizes) < 80000, 'what repeats itself is compressed, and noise is not made longer');
  });

  scene('what a client wishes for holds for what Redis has as well', async (s) => {
    const redis = await s.redis();
    const versions = {};
    const answer = ({ path }) => {
      versions[path] = (versions[path] ?? 0) + 1;
      return reply(`v${versions[path]}`, { headers: { Age: '100' } });
    };
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, answer });
    await fleet.joined();
    const rows = [
      ['max-age=200', 'v1'], ['max-age=50', 'v2'], ['min-fresh=400', 'v1'], ['min-fresh=550', 'v2'], ['no-cache', 'v2'], ['max-age=0', 'v2'],
    ];
    for (const [i, [control, text]] of rows.entries()) {
      assert.equal((await ask(fleet.a, `/${i}`)).text, 'v1');
      await waitFor('it to be in Redis', async () => (await redis.keys('tidegate:e:*')).length === i + 1);
      const answered = await ask(fleet.b, `/${i}`, { headers: { 'Cache-Control': control } });
      assert.equal(answered.text, text, `${control}: ${cacheStatus(answered)}`);
      assert.match(cacheStatus(answered), text === 'v1' ? /detail=l2$/ : /^fwd=\S+; stored$/);
    }
  });

  scene('what is stale there is served at once, and fetched anew behind the client\'s back', async (s) => {
    const redis = await s.redis();
    const { open, opened } = gate();
    let count = 0;
    const answer = async () => {
      const version = ++count;
      if (version > 1) await opened;
      return reply(`v${version}`, { headers: { Age: version > 1 ? '0' : '70' } });
    };
    for (const memory of ['64MiB', 0]) {
      const fleet = await Fleet.start(s, { redis: { url: redis.url, prefix: `with-${memory}` }, memory, cache: { policy: 'stale-while-revalidate', fresh: '1m', stale: '10m' }, answer });
      await fleet.joined();
      count = 0;
      assert.equal((await ask(fleet.a, '/')).text, 'v1');
      await waitFor('it to be in Redis', async () => (await redis.keys(`with-${memory}:e:*`)).length === 1);
      const stale = await ask(fleet.b, '/');
      assert.equal(stale.text, 'v1');
      assert.match(cacheStatus(stale), /^hit; ttl=-1\d; detail=l2$/);
      await fleet.b.process.line(/request answered .* cache=stale$/);
      await fleet.origin.next(1);
      open();
      await waitFor('the new one', async () => (await ask(fleet.b, '/')).text === 'v2');
      assert.equal(count, 2);
      assert.deepEqual([await fleet.sum('cache_stale_served_total') >= 1, await fleet.sum('cache_refreshes_total')], [true, 1]);
    }
  });

  scene('what becomes stale is fetched anew once for all', async (s) => {
    const redis = await s.redis();
    const { open, opened } = gate();
    let count = 0;
    const answer = async () => {
      const version = ++count;
      if (version > 1) await opened;
      return reply(`v${version}`);
    };
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, cache: { policy: 'stale-while-revalidate', stale: '10m' }, answer });
    await fleet.joined();
    for (const g of fleet.gateways) assert.equal((await ask(g, '/')).text, 'v1');
    assert.equal((await fleet.a.ctl('purge', '--soft', 'all')).code, 0);
    await waitFor('all to refresh', async () => {
      for (const g of fleet.gateways) assert.equal((await ask(g, '/')).text, 'v1');
      return (await fleet.sum('cache_refreshes_total')) === 2;
    });
    await fleet.origin.next(1, { head: true });
    for (const answer of await Promise.all(together(fleet.gateways, 5, '/'))) assert.equal(answer.text, 'v1', 'nobody waits');
    open();
    for (const g of fleet.gateways) await waitFor('the new one', async () => (await ask(g, '/')).text === 'v2');
    assert.equal(fleet.origin.heads.length, 2);
  });

  scene('whoever fetches for all and dies keeps nobody waiting for longer than `wait`', async (s) => {
    const WAIT_MS = 1000;
    const redis = await s.redis();
    let count = 0;
    const answer = () => (++count === 1 ? undefined : reply('at last'));
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, cache: { wait: `${WAIT_MS}ms` }, answer });
    await fleet.joined();
    const lost = ask(fleet.a, '/').catch((error) => error);
    await fleet.origin.next(0);
    const start = performance.now();
    const other = ask(fleet.b, '/');
    await waitFor('it to wait', async () => (await fleet.b.metrics()).sum('cache_l2_commands_total') >= 4);
    const { pid } = (await fleet.a.processes())['worker-0'];
    const mark = fleet.a.process.mark();
    process.kill(pid, 'SIGKILL');
    assert.equal((await other).text, 'at last');
    assert.ok(performance.now() - start < 2 * WAIT_MS, `took ${performance.now() - start} ms`);
    assert.ok((await lost) instanceof Error);
    assert.equal(fleet.origin.requests.length, 2);
    await fleet.a.process.line(/purge log caught up with/, 10000, mark);
    assert.match(cacheStatus(await ask(fleet.a, '/')), /^hit; ttl=\d+; detail=l2$/, 'its successor finds it');
    assert.equal(fleet.origin.requests.length, 2);
  });

  scene('a fetch that comes to nothing keeps nobody waiting', async (s) => {
    const redis = await s.redis();
    const { open, opened } = gate();
    let count = 0;
    const answer = async (_, raw) => {
      if (++count > 1) return reply('whole');
      await opened;
      raw.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly half');
      raw.finish();
      return undefined;
    };
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, cache: { negative: '10s' }, answer });
    await fleet.joined();
    const first = ask(fleet.a, '/');
    await fleet.origin.next(0);
    const second = ask(fleet.b, '/');
    await waitFor('it to wait', async () => (await fleet.b.metrics()).sum('cache_l2_commands_total') >= 4);
    open();
    assert.equal((await first).status, 502);
    assert.equal((await second).text, 'whole');
    assert.equal((await ask(fleet.b, '/')).text, 'whole');
    assert.equal(fleet.origin.requests.length, 2);
  });

  scene('what is listed is warmed once for all, at the start, and before it expires if anybody asks for it', async (s) => {
    const FRESH_MS = 2000;
    const redis = await s.redis();
    const warm = ['/w/1', '/w/2', '/w/3'];
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, workers: 2, cache: { fresh: `${FRESH_MS}ms`, warm, warm_as: `http://${HOST}` } });
    await waitFor('each worker to have all', async () => (await fleet.sum('cache_entries')) === 2 * 2 * warm.length);
    const start = performance.now();
    assert.deepEqual(warm.map((path) => fleet.asked(path)), [1, 1, 1]);
    await waitFor('two more fetches of what is asked for', async () => {
      for (const g of fleet.gateways) assert.equal((await ask(g, '/w/1')).text, '/w/1');
      return fleet.asked('/w/1') === 3;
    });
    const took = performance.now() - start;
    assert.ok(took > FRESH_MS, `${took} ms: not once for each worker, but once when it grew old`);
    assert.deepEqual(warm.slice(1).map((path) => fleet.asked(path)), [1, 1]);
  });

  scene('what is not for all is in nobody else\'s hands', async (s) => {
    const redis = await s.redis();
    const answer = ({ path, headers }) => reply(`for ${headers.authorization}`, { headers: path === '/private' ? { 'Cache-Control': 'private' } : {} });
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, cache: { scope: 'token' }, answer });
    await fleet.joined();
    const askAs = (g, path, who) => ask(g, path, { headers: { Authorization: `Bearer ${who}` } });
    for (const who of ['ann', 'bob']) {
      for (const g of fleet.gateways) assert.equal((await askAs(g, '/private', who)).text, `for Bearer ${who}`);
      for (const g of fleet.gateways) assert.equal((await askAs(g, '/own', who)).text, `for Bearer ${who}`);
    }
    assert.equal(fleet.asked('/private'), 4);
    assert.equal(fleet.asked('/own'), 2, 'once for each of them');
    const keys = await redis.keys('tidegate:e:*');
    assert.equal(keys.length, 2);
    for (const key of keys) assert.ok(!(await redis.bytes('GET', key)).includes('ann/private'));
    assert.ok(!keys.join().includes('ann'), 'keys tell nothing');
  });

  scene('what varies, and what is asked for in a body', async (s) => {
    const redis = await s.redis();
    const answer = ({ method, headers, body }) => reply(`${headers['accept-language'] ?? '-'} ${method} ${body}`, { headers: { Vary: 'Accept-Language' } });
    const fleet = await Fleet.start(s, { redis: { url: redis.url }, cache: { post: true }, answer });
    await fleet.joined();
    const askIn = async (g, lang, method, body) => (await ask(g, '/q', { method, body, headers: { 'Accept-Language': lang } })).text;
    for (const g of fleet.gateways) {
      for (const lang of ['de', 'fr']) {
        assert.equal(await askIn(g, lang, 'GET'), `${lang} GET `);
        for (const body of ['x', 'y']) assert.equal(await askIn(g, lang, 'POST', body), `${lang} POST ${body}`);
      }
    }
    // Six different ones; each gateway's first answer teaches it what they vary by.
    assert.ok(fleet.origin.requests.length <= 8, `${fleet.origin.requests.length} requests`);
  });
});

describe('ways to a Redis', { concurrency: 3 }, () => {
  scene('gateways with another prefix, or another database, are strangers', async (s) => {
    const redis = await s.redis();
    const other = redis.url.replace(/0$/, '3');
    const fleet = await Fleet.start(s, {
      names: ['a', 'b', 'c', 'd'], cache: { tags: ['t'] },
      redis: [{ url: redis.url, prefix: 'blue' }, { url: redis.url, prefix: 'green' }, { url: other, prefix: 'blue' }, { url: other, prefix: 'blue' }],
    });
    await fleet.joined();
    for (const [i, name] of ['a', 'b', 'c'].entries()) {
      assert.equal(cacheStatus(await ask(fleet[name], '/')), 'fwd=uri-miss; stored');
      assert.equal(fleet.asked('/'), i + 1);
    }
    await waitFor('it to be found', async () => cacheStatus(await ask(fleet.d, '/')).startsWith('hit'));
    assert.equal((await redis.keys('blue:e:*')).length, 1);
    assert.equal((await redis.keys('green:e:*')).length, 1);
    assert.equal((await redis.keys()).length, 4, 'entries and logs');
    assert.equal((await fleet.c.ctl('purge', 'tag', 't')).code, 0);
    await waitFor('its own to hear of it', async () => (await ask(fleet.d, '/')) && fleet.asked('/') > 3, 2000);
    for (const g of [fleet.a, fleet.b]) assert.match(cacheStatus(await ask(g, '/')), /^hit; ttl=\d+$/);
  });

  scene('a socket, a user of the access control list, TLS', async (s) => {
    const authority = await Authority.create(s);
    const { cert, key } = await authority.issue('redis', ['IP:127.0.0.1']);
    const tls = { cert, key, ca: authority.file };
    const acl = ['~tidegate:*', ...['getrange', 'pttl', 'set', 'del', 'eval', 'evalsha', 'get', 'xadd', 'xread', 'xrange', 'ping'].map((name) => `+${name}`)];
    const plain = await s.redis({ name: 'plain', unix: true, user: 'gateway', password: 'p@ss:/?', acl });
    const safe = await s.redis({ name: 'safe', tls, password: 'secret' });
    const fleet = await Fleet.start(s, {
      names: ['a', 'b', 'c', 'd'],
      redis: [
        { url: `unix:${plain.path}`, username: 'gateway', password: plain.password },
        { url: plain.url },
        { url: safe.url, tls: { ca: authority.file } },
        { url: `rediss://127.0.0.1:${safe.port}`, password: 'secret', tls: { ca: authority.file } },
      ],
    });
    await fleet.joined();
    for (const [from, to] of [[fleet.a, fleet.b], [fleet.c, fleet.d], [fleet.d, fleet.c]]) {
      const path = `/${from.port}`;
      assert.equal(cacheStatus(await ask(from, path)), 'fwd=uri-miss; stored');
      await waitFor('it to be found', async () => cacheStatus(await ask(to, path)).includes('hit'));
      assert.equal(fleet.asked(path), 1);
    }
    assert.equal((await safe.keys('tidegate:e:*')).length, 2);
    for (const g of fleet.gateways) assert.ok(!g.process.log().includes('p@ss') && !g.process.log().includes('secret'));
  });

  scene('another Redis, none, and the first one again, while it serves', async (s) => {
    const [one, two] = [await s.redis({ name: 'one' }), await s.redis({ name: 'two' })];
    const fleet = await Fleet.start(s, { redis: { url: one.url } });
    await fleet.joined();
    await fleet.shares(fleet.a, fleet.b);
    const load = new Load(fleet.gateways, { paths: 1e6 });
    for (const redis of [two, null, one]) {
      for (const g of fleet.gateways) {
        await load.more(20);
        await g.reload(fleet.config(g.name, redis ? { url: redis.url } : undefined));
      }
      if (redis) await fleet.shares(fleet.a, fleet.b);
      await ask(fleet.b, '/x');
      const asked = fleet.asked('/x');
      const { stdout } = await fleet.a.ctl('purge', 'all');
      assert.match(stdout, redis ? /other gateways are being told/ : /no Redis is configured/);
      await waitFor('who can hear of it to do so', async () => (await ask(redis ? fleet.b : fleet.a, '/x')) && fleet.asked('/x') > asked, 2000);
    }
    const answers = await load.stop();
    assert.deepEqual(answers.filter(({ error, status, path, text }) => error || status !== 200 || text !== path).slice(0, 3), []);
    for (const redis of [one, two]) assert.ok((await redis.keys('tidegate:e:*')).length > 0);
  });

  scene('a Redis that does not let us in, or is somebody else, is not used, and it is said why', async (s) => {
    const authority = await Authority.create(s);
    const stranger = await Authority.create(s, 'stranger');
    const tls = { ...(await authority.issue('redis', ['IP:127.0.0.1'])), ca: authority.file };
    const [locked, safe] = [await s.redis({ name: 'locked', password: 'right' }), await s.redis({ name: 'safe', tls })];
    const fleet = await Fleet.start(s, {
      names: ['a', 'b', 'c'],
      redis: [{ url: locked.url.replace('right', 'wrong') }, { url: `redis://127.0.0.1:${locked.port}` }, { url: safe.url, tls: { ca: stranger.file } }],
    });
    await fleet.a.process.line(/redis not reached .*cause=\S*denied.*WRONGPASS/i);
    await fleet.b.process.line(/redis not reached .*NOAUTH/i);
    await fleet.c.process.line(/redis not reached .*certificate/i);
    for (const g of fleet.gateways) {
      assert.equal(cacheStatus(await ask(g, '/')), 'fwd=uri-miss; stored');
      assert.match(cacheStatus(await ask(g, '/')), /^hit/);
      assert.equal((await g.metrics()).sum('cache_l2_connected'), 0);
      assert.match((await g.ctl('purge', 'all')).stdout, /other gateways will be told when Redis is back/);
    }
    for (const redis of [locked, safe]) assert.deepEqual(await redis.keys(), []);
  });
});
