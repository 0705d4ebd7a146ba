// The cache, seen by clients and by the origin behind it.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Origin, get, reply, request, scene, waitFor } = require('./lib');

const NO_CHECK = { type: 'none' };

// An origin that counts, and a gateway that caches before it.
async function cached(s, cache, answer, rest = {}) {
  const origin = await Origin.start(s, answer);
  const gateway = await s.gateway({
    pools: { p: { check: NO_CHECK, circuit: { failures: 0 }, servers: [{ name: 'a', url: origin.url }] } },
    routes: [{ name: 'all', path: '/', pool: 'p', cache }],
    ...rest,
  });
  return { origin, gateway };
}

describe('cache', { concurrency: 2 }, () => {
  scene('what is fresh is answered without the origin', async (s) => {
    const { origin, gateway } = await cached(s, { policy: 'stale-while-revalidate', fresh: '1m' }, ({ path }) => reply(`body of ${path}`, { headers: { ETag: '"1"' } }));
    const first = await get(gateway.port, '/a?x=1&b=2');
    assert.equal(first.text, 'body of /a?b=2&x=1');
    assert.match(first.headers['cache-status'], /scene; fwd=uri-miss; stored/);
    const second = await get(gateway.port, '/a?b=2&x=1');
    assert.equal(second.text, first.text);
    assert.match(second.headers['cache-status'], /scene; hit; ttl=\d+/);
    assert.equal(second.headers.age, '0');
    assert.equal(origin.requests.length, 1);
    const cond = await get(gateway.port, '/a?b=2&x=1', { headers: { 'if-none-match': '"1"' } });
    assert.equal(cond.status, 304);
    const part = await get(gateway.port, '/a?b=2&x=1', { headers: { range: 'bytes=0-3' } });
    assert.equal(part.status, 206);
    assert.equal(part.text, 'body');
    const head = await get(gateway.port, '/a?b=2&x=1', { method: 'HEAD' });
    assert.equal(head.headers['content-length'], '18');
    assert.equal(origin.requests.length, 1);
  });

  scene('what is stale is answered at once, and refreshed behind', async (s) => {
    let version = 0;
    const { origin, gateway } = await cached(s, { policy: 'stale-while-revalidate', fresh: '50ms', stale: '1m' }, () => reply(`v${++version}`));
    assert.equal((await get(gateway.port, '/')).text, 'v1');
    await waitFor('it to be stale', async () => /ttl=-|hit; ttl=0/.test((await get(gateway.port, '/')).headers['cache-status']) && origin.requests.length > 1);
    await waitFor('the new one', async () => (await get(gateway.port, '/')).text !== 'v1');
  });

  scene('a thousand clients on one expired query cost the origin one request', async (s) => {
    let release;
    const gate = new Promise((resolve) => { release = resolve; });
    const { origin, gateway } = await cached(s, { policy: 'stale-while-revalidate', fresh: '1m' }, async () => { await gate; return reply('once'); });
    const asked = Array.from({ length: 300 }, () => get(gateway.port, '/storm', { ms: 10000 }));
    await waitFor('all to wait', async () => (await gateway.metrics()).sum('cache_coalesced_total') >= 299);
    release();
    for (const a of await Promise.all(asked)) assert.equal(a.text, 'once');
    assert.equal(origin.requests.length, 1);
  });

  scene('answers that are not for sharing pass', async (s) => {
    const { origin, gateway } = await cached(s, { policy: 'stale-while-revalidate', fresh: '1m' }, () => reply('mine', { headers: { 'Cache-Control': 'private' } }));
    for (let i = 0; i < 3; i++) assert.equal((await get(gateway.port, '/p')).text, 'mine');
    assert.equal(origin.requests.length, 3);
  });

  scene('the origin failing', async (s) => {
    let status = 200;
    const { origin, gateway } = await cached(s, { policy: 'cache-first', fresh: '50ms', stale_if_error: '1m', negative: '200ms' }, () => reply('x', { status }));
    assert.equal((await get(gateway.port, '/')).text, 'x');
    status = 500;
    await waitFor('stale', async () => /detail=error/.test((await get(gateway.port, '/')).headers['cache-status']));
    assert.equal((await get(gateway.port, '/other')).status, 500);
    const post = await request({ port: gateway.port, method: 'POST', path: '/', body: 'x' });
    assert.equal(post.status, 500);
    assert.ok(origin.requests.length > 2);
  });

  scene('what varies is told apart', async (s) => {
    const { origin, gateway } = await cached(s, { policy: 'cache-first', fresh: '1m' }, ({ headers }) => reply(`in ${headers['accept-language'] ?? 'none'}`, { headers: { Vary: 'Accept-Language' } }));
    const ask = async (lang) => (await get(gateway.port, '/', { headers: { 'accept-language': lang } })).text;
    assert.equal(await ask('de'), 'in de');
    assert.equal(await ask('fr'), 'in fr');
    const count = origin.requests.length;
    assert.equal(await ask('de'), 'in de');
    assert.equal(await ask('fr'), 'in fr');
    assert.equal(origin.requests.length, count);
  });

  scene('compressed once', async (s) => {
    const { origin, gateway } = await cached(s, { policy: 'cache-first', fresh: '1m', compress: ['gzip', 'br'] }, () => reply('{"a":1}'.repeat(1000), { headers: { 'Content-Type': 'application/json', ETag: '"e"' } }));
    const plain = await get(gateway.port, '/');
    assert.equal(plain.text.length, 7000);
    const br = await get(gateway.port, '/', { headers: { 'accept-encoding': 'gzip, br' } });
    assert.equal(br.headers['content-encoding'], 'br');
    assert.match(br.headers.vary, /accept-encoding/i);
    assert.equal(br.headers.etag, '"e-br"');
    assert.equal(origin.requests.length, 1);
  });

  scene('a post that is a query', async (s) => {
    const { origin, gateway } = await cached(s, { policy: 'cache-first', fresh: '1m', post: true }, ({ body }) => reply(`for ${body}`));
    const ask = async (body) => (await request({ port: gateway.port, method: 'POST', path: '/q', body })).text;
    assert.equal(await ask('a'), 'for a');
    assert.equal(await ask('b'), 'for b');
    assert.equal(await ask('a'), 'for a');
    assert.equal(origin.requests.length, 2);
  });

  scene('purged by tag, and by a write', async (s) => {
    const { origin, gateway } = await cached(s, { policy: 'cache-first', fresh: '1m', tags: ['t'] }, ({ method }) => reply(method));
    await get(gateway.port, '/');
    await get(gateway.port, '/');
    assert.equal(origin.requests.length, 1);
    const done = await gateway.ctl('purge', 'tag', 't');
    assert.equal(done.code, 0, done.stderr);
    await get(gateway.port, '/');
    assert.equal(origin.requests.length, 2);
    await request({ port: gateway.port, method: 'POST', path: '/other', body: 'x' });
    await get(gateway.port, '/');
    assert.equal(origin.requests.length, 4);
  });
});
