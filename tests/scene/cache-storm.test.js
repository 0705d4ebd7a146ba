// Many clients, one query: the origin is asked once, whatever becomes of those who wait.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cached, Raw, exchange, h2Ask, h2Connect, isSanitized, ownMemory, reply, request, scene, waitFor } = require('./lib');

const CLIENTS = 1000;
const RULES = { policy: 'stale-while-revalidate', fresh: '1m', stale: '1m', wait: '30s' };
const STALE = { Age: '60' };
// Older than its stale window: it has to be waited for.
const EXPIRED = { Age: '121', ETag: '"old"' };

// So many clients that each ask on a connection of its own.
async function crowd(s, port, count, path = '/') {
  const clients = [];
  while (clients.length < count) {
    clients.push(...(await Promise.all(Array.from({ length: 100 }, () => Raw.connect(port)))));
  }
  s.atEnd(() => clients.forEach((client) => client.destroy()));
  return clients.map((client) => exchange(client, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
}

describe('a storm of requests', { concurrency: 1 }, () => {
  scene('1,000 clients on one stale query: all are answered while the origin thinks, and it is asked once', async (s) => {
    const c = await Cached.start(s, RULES, { headers: STALE });
    await c.ask('/', { host: 'a' });
    c.headers = {};
    const release = c.hold();
    const answers = await Promise.all(await crowd(s, c.port, CLIENTS));
    assert.deepEqual([...new Set(answers.map(({ status, body }) => `${status} ${body}`))], ['200 v1']);
    await c.origin.next(1);
    release();
    await c.until('the refreshed one', ({ text }) => text === 'v2', '/', { host: 'a' });
    assert.equal(c.asked.length, 2);
    assert.equal(await c.counted('refreshes'), 1);
  });

  scene('1,000 clients on one expired query wait for one request, and all get its answer', async (s) => {
    const c = await Cached.start(s, RULES, { headers: EXPIRED });
    await c.ask('/', { host: 'a' });
    c.headers = {};
    const release = c.hold();
    const asking = await crowd(s, c.port, CLIENTS);
    await c.counts('coalesced', CLIENTS - 1, 10000);
    release();
    const answers = await Promise.all(asking);
    assert.deepEqual([...new Set(answers.map(({ status, body }) => `${status} ${body}`))], ['200 v2']);
    assert.equal(answers.filter(({ headers }) => /; fwd=stale; stored$/.test(headers['cache-status'])).length, 1);
    assert.equal(answers.filter(({ headers }) => /; fwd=stale; collapsed$/.test(headers['cache-status'])).length, CLIENTS - 1);
    assert.equal(c.asked.length, 2);
  });

  scene('on one query that is not there, over HTTP/1.1 and HTTP/2, GET and HEAD, some of whom want a part or nothing new', async (s) => {
    const c = await Cached.start(s, RULES, { headers: { ETag: '"e"' } });
    const release = c.hold();
    const session = await h2Connect(s, `http://127.0.0.1:${c.port}`);
    const asking = {
      whole: await crowd(s, c.port, 100),
      h2: Array.from({ length: 90 }, () => h2Ask(session, { headers: { ':authority': 'a' } })),
      head: [request({ port: c.port, method: 'HEAD', headers: { host: 'a' } })],
      part: [request({ port: c.port, headers: { host: 'a', range: 'bytes=1-' } })],
      known: [request({ port: c.port, headers: { host: 'a', 'if-none-match': '"e"' } })],
    };
    await c.counts('coalesced', 192);
    release();
    for (const { status, body } of await Promise.all(asking.whole)) assert.deepEqual([status, body], [200, 'v1']);
    for (const { status, body } of await Promise.all(asking.h2)) assert.deepEqual([status, body.toString()], [200, 'v1']);
    assert.equal((await asking.head[0]).headers['content-length'], '2');
    assert.deepEqual([(await asking.part[0]).status, (await asking.part[0]).text], [206, '1']);
    assert.equal((await asking.known[0]).status, 304);
    assert.equal(c.asked.length, 1);
  });

  scene('the client that began it leaves: the others get the answer, and so does who comes later', async (s) => {
    const c = await Cached.start(s, RULES);
    const release = c.hold();
    const first = await s.connect(c.port);
    first.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await c.origin.next();
    const others = await crowd(s, c.port, 100);
    await c.counts('coalesced', 100);
    first.destroy();
    await c.gateway.process.line(/status=499 reason="client gone"/);
    release();
    for (const { body } of await Promise.all(others)) assert.equal(body, 'v1');
    assert.equal((await c.ask('/', { host: 'a' })).told.hit, true);
    assert.equal(c.asked.length, 1);
  });

  scene('all of them leave: the answer is kept for who comes next', async (s) => {
    const c = await Cached.start(s, RULES);
    const release = c.hold();
    const clients = await Promise.all([1, 2, 3].map(() => s.connect(c.port)));
    for (const client of clients) client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await c.counts('coalesced', 2);
    for (const client of clients) client.reset();
    await waitFor('them to be gone', () => c.gateway.process.lines.filter((line) => line.includes('client gone')).length === 3);
    release();
    await c.until('it to be stored', ({ told }) => told.hit, '/', { host: 'a', 'cache-control': 'only-if-cached' });
    assert.equal(c.asked.length, 1);
  });

  scene('clients that ask for ever new things and leave: each thing is fetched once, and memory is not theirs to fill', async (s) => {
    const c = await Cached.start(s, RULES, { cache: { memory: '1MiB', max_entry: '256KiB' }, answer: () => reply(Buffer.alloc(200000)) });
    const worker = (await c.gateway.processes())['worker-0'].pid;
    const release = c.hold();
    for (let round = 0; round < 8; round++) {
      const clients = await Promise.all(Array.from({ length: 50 }, () => Raw.connect(c.port)));
      for (const [i, client] of clients.entries()) client.write(`GET /${round}/${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await waitFor('all to be asked for', () => c.asked.length === (round + 1) * 50);
      for (const client of clients) client.reset();
    }
    const before = ownMemory(worker);
    release();
    await waitFor('them to have come', async () => (await c.ask('/after', { host: 'a' })).status === 200 && (await c.gateway.metrics()).sum('cache_evicted_total') > 20);
    if (!isSanitized) assert.ok(ownMemory(worker) - before < 40 << 20, `${ownMemory(worker) - before} bytes more`);
    assert.equal(new Set(c.asked.map(({ path }) => path)).size, c.asked.filter(({ path }) => path !== '/after').length + 1);
  });

  scene('what comes is not for sharing: the first gets it, the others ask for themselves, and the next do not wait', async (s) => {
    let count = 0;
    const c = await Cached.start(s, RULES, { answer: () => reply(`own ${++count}`, { headers: { 'Cache-Control': 'private' } }) });
    const release = c.hold();
    const asking = await crowd(s, c.port, 100);
    await c.counts('coalesced', 99);
    release();
    const answers = await Promise.all(asking);
    assert.equal(new Set(answers.map(({ body }) => body)).size, 100, 'each has its own');
    const hold = c.hold();
    const next = [c.ask('/', { host: 'a' }), c.ask('/', { host: 'a' })];
    await c.origin.next(101);
    hold();
    for (const { told } of await Promise.all(next)) assert.equal(told.detail, 'not-shared');
  });

  scene('the origin fails: all hear of it, after one request', async (s) => {
    const c = await Cached.start(s, { ...RULES, negative: '1m' });
    c.status = 500;
    const release = c.hold();
    const asking = await crowd(s, c.port, 300);
    await c.counts('coalesced', 299);
    release();
    for (const { status, body } of await Promise.all(asking)) assert.deepEqual([status, body], [500, 'v1']);
    assert.equal(c.asked.length, 1);
  });

  scene('those who have waited long enough share one more request', async (s) => {
    const c = await Cached.start(s, { ...RULES, wait: '1s' });
    const release = c.hold();
    const asking = await crowd(s, c.port, 100);
    await c.counts('coalesced', 99 + 98); // of the 99 who waited for the first request, all but one wait for the second
    await waitFor('the second request to arrive', () => c.asked.length === 2);
    release();
    for (const { body } of await Promise.all(asking)) assert.match(body, /^v[12]$/);
    assert.equal(c.asked.length, 2);
  });

  scene('network-first, with nothing to stand in: they wait for the one request beyond its timeout', async (s) => {
    const c = await Cached.start(s, { policy: 'network-first', timeout: '50ms', fresh: '1m', stale: '1m', wait: '30s' });
    await c.ask('/stored', { host: 'a' });
    const release = c.hold();
    const asking = await crowd(s, c.port, 100);
    await c.counts('coalesced', 99);
    assert.equal((await c.ask('/stored', { host: 'a' })).told.detail, 'timeout'); // begun later: theirs is over as well
    assert.equal(c.asked.length, 3);
    release();
    for (const { body } of await Promise.all(asking)) assert.match(body, /^v[23]$/);
    assert.equal(c.asked.length, 3);
  });

  scene('POST queries that are not for sharing: each is sent on with its body', async (s) => {
    const c = await Cached.start(s, { ...RULES, post: true }, { answer: ({ body }) => reply(`for ${body}`, { headers: { 'Cache-Control': 'private' } }) });
    const release = c.hold();
    const asking = Array.from({ length: 20 }, () => c.ask('/q', {}, { method: 'POST', body: '{"query":"cars"}' }));
    await c.counts('coalesced', 19);
    release();
    for (const { text } of await Promise.all(asking)) assert.equal(text, 'for {"query":"cars"}');
    assert.equal(c.asked.length, 20);
    assert.deepEqual([...new Set(c.asked.map(({ body }) => body.toString()))], ['{"query":"cars"}']);
  });

  scene('too large to be kept: the first gets it as it comes, even if its head did not say so; the others ask for themselves', async (s) => {
    const BIG = Buffer.alloc(2 << 20, 'x');
    const chunked = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${BIG.length.toString(16)}\r\n`), BIG, Buffer.from('\r\n0\r\n\r\n')]);
    const c = await Cached.start(s, RULES, { answer: () => chunked, cache: { max_entry: '1MiB' } });
    const session = await h2Connect(s, `http://127.0.0.1:${c.port}`);
    const release = c.hold();
    const asking = [...Array.from({ length: 5 }, () => c.ask('/', { host: 'a' })), ...Array.from({ length: 5 }, () => h2Ask(session, { headers: { ':authority': 'a' } }))];
    await c.counts('coalesced', 9);
    release();
    for (const { text, body } of await Promise.all(asking)) assert.ok((text ?? body.toString()) === BIG.toString());
    assert.equal(c.asked.length, 10);
  });

  scene('a reload, while they wait', async (s) => {
    const c = await Cached.start(s, RULES);
    const release = c.hold();
    const asking = await crowd(s, c.port, 50);
    await c.counts('coalesced', 49);
    await c.gateway.reload(c.config({ ...RULES, fresh: '2m' }));
    const more = await crowd(s, c.port, 100);
    await c.counts('coalesced', 149);
    release();
    for (const { status, body } of await Promise.all([...asking, ...more])) assert.deepEqual([status, body], [200, 'v1']);
    assert.equal(c.asked.length, 1);
  });

  scene('the route is turned off while they wait: they get what they wait for', async (s) => {
    const c = await Cached.start(s, RULES);
    const release = c.hold();
    const asking = await crowd(s, c.port, 50);
    await c.counts('coalesced', 49);
    await c.gateway.reload(c.config({ policy: 'off' }));
    release();
    for (const { status, body } of await Promise.all(asking)) assert.deepEqual([status, body], [200, 'v1']);
    assert.equal((await c.ask('/', { host: 'a' })).text, 'v2');
  });
});
