// What a cached route answers, and when it asks its origin: the policies, and what the origin and the client have to say about it.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cached, h2Ask, h2Connect, reply, request, scene } = require('./lib');

// An answer with this Age is stale from the start on a route with `fresh: 1m`, and no scene has to wait for it.
const STALE = { Age: '60' };

describe('cache policy', { concurrency: 3 }, () => {
  scene('stale-while-revalidate: what is fresh is answered without the origin', async (s) => {
    const c = await Cached.start(s, { policy: 'stale-while-revalidate', fresh: '1m' });
    const first = await c.ask('/a');
    assert.deepEqual([first.text, first.told], ['v1', { fwd: 'uri-miss', stored: true }]);
    const second = await c.ask('/a');
    assert.equal(second.text, 'v1');
    assert.ok(second.told.hit && Number(second.told.ttl) > 50, JSON.stringify(second.told));
    assert.equal(second.headers.age, '0');
    assert.equal((await c.ask('/b')).text, 'v2');
    assert.equal(c.asked.length, 2);
  });

  scene('stale-while-revalidate: what is stale is answered at once, and fetched anew behind the client\'s back', async (s) => {
    const c = await Cached.start(s, { policy: 'stale-while-revalidate', fresh: '1m', stale: '1m' }, { headers: STALE });
    assert.equal((await c.ask()).text, 'v1');
    c.headers = {};
    const release = c.hold();
    for (let i = 0; i < 5; i++) {
      const stale = await c.ask(); // the origin holds its answer: nobody waits for it
      assert.equal(stale.text, 'v1');
      assert.ok(stale.told.hit && Number(stale.told.ttl) <= 0, JSON.stringify(stale.told));
      assert.ok(Number(stale.headers.age) >= 60);
    }
    await c.origin.next(1);
    release();
    const fresh = await c.until('the new answer', ({ text }) => text === 'v2');
    assert.ok(Number(fresh.told.ttl) > 50);
    assert.equal(c.asked.length, 2);
    assert.deepEqual([await c.counted('refreshes'), await c.counted('stale_served') >= 5], [1, true]);
  });

  scene('stale-while-revalidate: what is too old is waited for', async (s) => {
    const c = await Cached.start(s, { policy: 'stale-while-revalidate', fresh: '1m', stale: '1s', stale_if_error: '1h' }, { headers: { Age: '62' } });
    assert.equal((await c.ask()).text, 'v1');
    assert.equal((await c.ask()).text, 'v2');
    assert.deepEqual((await c.ask()).told, { fwd: 'stale', stored: true });
  });

  scene('network-first: the origin is asked, and only when it is late or fails what is stored is the answer', async (s) => {
    const c = await Cached.start(s, { policy: 'network-first', timeout: '100ms', fresh: '1m', stale: '1m', negative: 0 });
    assert.equal((await c.ask()).text, 'v1');
    assert.equal((await c.ask()).text, 'v2', 'in time');
    const release = c.hold();
    const late = await c.ask();
    assert.deepEqual([late.text, late.told.detail], ['v2', 'timeout']);
    release();
    await c.until('what was late to be stored', ({ text }) => text !== 'v2');
    c.status = 503;
    const failing = await c.ask();
    assert.equal(failing.status, 200);
    assert.equal(failing.told.detail, 'error');
    assert.equal((await c.ask('/nothing')).status, 503, 'nothing stands in');
  });

  scene('network-first: with nothing stored the origin is waited for beyond the timeout', async (s) => {
    const c = await Cached.start(s, { policy: 'network-first', timeout: '50ms', fresh: '1m', stale: '1m' });
    await c.ask('/stored');
    const release = c.hold();
    const asked = c.ask();
    await c.origin.next(1);
    assert.equal((await c.ask('/stored')).told.detail, 'timeout'); // begun later: the time of the first is over as well
    release();
    const answer = await asked;
    assert.deepEqual([answer.status, answer.told], [200, { fwd: 'uri-miss', stored: true }]);
  });

  scene('network-first: what is older than its windows is no answer', async (s) => {
    const c = await Cached.start(s, { policy: 'network-first', timeout: '50ms', fresh: '1m', stale: '1s', negative: 0 }, { headers: { Age: '62', ETag: '"1"' } });
    assert.equal((await c.ask()).text, 'v1');
    c.status = 500;
    c.headers = {};
    assert.equal((await c.ask()).status, 500);
  });

  scene('cache-first: nothing is refreshed behind the client\'s back; what is stale is for errors', async (s) => {
    const c = await Cached.start(s, { policy: 'cache-first', fresh: '1m', stale_if_error: '1m', negative: 0 });
    assert.equal((await c.ask()).text, 'v1');
    assert.equal((await c.ask()).text, 'v1');
    c.headers = STALE;
    assert.equal((await c.ask('/s')).text, 'v2');
    assert.equal((await c.ask('/s')).text, 'v3', 'waited for');
    c.status = 502;
    const stale = await c.ask('/s');
    assert.deepEqual([stale.status, stale.text, stale.told.hit, stale.told.detail], [200, 'v3', true, 'error']);
    assert.equal(await c.counted('refreshes'), 0);
  });

  scene('off: nothing is kept, and nothing is said about it', async (s) => {
    const c = await Cached.start(s, { policy: 'off', fresh: '1m' }, { headers: { 'Cache-Control': 'max-age=60' } });
    assert.equal((await c.ask()).text, 'v1');
    const second = await c.ask();
    assert.equal(second.text, 'v2');
    assert.equal(second.headers['cache-status'], undefined);
  });

  scene('methods: HEAD is answered from what GET stored, other methods pass, POST may be a query', async (s) => {
    const c = await Cached.start(s, { policy: 'cache-first', fresh: '1m', post: true, post_body: '10B' }, {
      answer: ({ method, body }) => reply(`${method} ${body}`),
    });
    const post = async (body, headers) => (await c.ask('/', headers, { method: 'POST', body })).text;
    assert.equal((await c.ask('/', {}, { method: 'HEAD' })).headers['content-length'], '4');
    assert.equal((await c.ask()).text, 'GET ');
    assert.equal(c.asked.length, 1);
    assert.equal(await post('a'), 'POST a');
    assert.equal(await post('b'), 'POST b');
    assert.equal(await post('a'), 'POST a');
    assert.equal(c.asked.length, 3);
    assert.equal(await post('a', { 'content-type': 'application/graphql' }), 'POST a');
    assert.equal(c.asked.length, 4, 'its type is part of the key');
    for (let i = 0; i < 2; i++) assert.equal(await post('longer than ten'), 'POST longer than ten');
    assert.equal(c.asked.length, 6);
    for (const method of ['PUT', 'OPTIONS', 'SEARCH']) assert.deepEqual((await c.ask('/', {}, { method })).told, { fwd: 'method', 'fwd-status': '200', detail: 'method' });
  });
});

describe('queries that are sent by POST', { concurrency: 2 }, () => {
  scene('over HTTP/2 they have the same answers as over HTTP/1.1, and share what is under way', async (s) => {
    const c = await Cached.start(s, { policy: 'cache-first', fresh: '1m', post: true, post_body: '20KiB' }, { answer: ({ body }) => reply(`for ${body}`) });
    const session = await h2Connect(s, `http://127.0.0.1:${c.port}`);
    const overH1 = async (body) => (await c.ask('/q', { host: 'a', 'content-type': 'application/json' }, { method: 'POST', body })).text;
    const overH2 = async (body) => (await h2Ask(session, { path: '/q', method: 'POST', headers: { ':authority': 'a', 'content-type': 'application/json' }, body })).body.toString();
    const long = JSON.stringify({ query: 'x'.repeat(15000) }); // of several frames
    for (const [first, second, body] of [[overH1, overH2, '{"query":"cars"}'], [overH2, overH1, '{"query":"trips"}'], [overH2, overH2, long]]) {
      const asked = c.asked.length;
      for (const post of [first, second]) assert.equal(await post(body), `for ${body}`);
      assert.equal(c.asked.length, asked + 1);
    }
    const release = c.hold();
    const both = [...Array.from({ length: 5 }, () => overH2('held')), ...Array.from({ length: 5 }, () => overH1('held'))];
    await c.counts('coalesced', 9);
    release();
    for (const text of await Promise.all(both)) assert.equal(text, 'for held');
    assert.equal(c.asked.length, 4);
    const longer = 'y'.repeat(30000);
    for (let i = 0; i < 2; i++) assert.equal(await overH2(longer), `for ${longer}`, 'passed on whole');
    assert.equal(c.asked.length, 6, 'longer than post_body');
  });
});

describe('what the origin says', { concurrency: 3 }, () => {
  const rows = [
    // [Cache-Control of the origin, more of its answer, rules of the route, is the second request answered from the cache?]
    ['max-age=60', {}, {}, true],
    ['max-age=0', {}, {}, false],
    ['max-age=0, s-maxage=60', {}, {}, true],
    ['max-age=60', { Age: '60' }, {}, false],
    ['max-age=60', { Age: '50' }, {}, true],
    ['max-age=0', { Age: '50' }, { fresh: '1m' }, true],
    ['', {}, {}, false],
    ['', { Expires: new Date(Date.now() + 60000).toUTCString() }, {}, true],
    ['', { Expires: '0' }, {}, false],
    ['', { 'Last-Modified': 'Mon, 01 Jan 2024 00:00:00 GMT' }, {}, false],
    ['', { 'Last-Modified': 'Mon, 01 Jan 2024 00:00:00 GMT' }, { heuristic: true }, true],
    ['no-store, max-age=60', {}, { fresh: '1m' }, false],
    ['no-store', {}, { fresh: '1m', ignore: ['no-store'] }, true],
    ['private, max-age=60', {}, { fresh: '1m' }, false],
    ['private', {}, { fresh: '1m', ignore: ['private'] }, true],
    ['no-cache', {}, { fresh: '1m' }, false],
    ['no-cache', {}, { fresh: '1m', ignore: ['no-cache'] }, true],
    ['max-age=60', { 'Set-Cookie': 'a=b' }, {}, false],
    ['max-age=60', { Vary: '*' }, {}, false],
    ['max-age=0, stale-while-revalidate=60', {}, {}, true],
    ['max-age=0, stale-while-revalidate=60, must-revalidate', {}, {}, false],
    ['', { Age: '60' }, { fresh: '1m', stale: '1m' }, true],
    ['must-revalidate', { Age: '60' }, { fresh: '1m', stale: '1m' }, false],
    ['must-revalidate', { Age: '60' }, { fresh: '1m', stale: '1m', ignore: ['must-revalidate'] }, true],
  ];

  scene('and what the route says instead', async (s) => {
    const c = await Cached.start(s, { policy: 'off' }, {
      answer: ({ path }) => {
        const [control, more] = rows[Number(path.slice(1))];
        return reply(path, { headers: { ...(control && { 'Cache-Control': control }), ...more } });
      },
    });
    await c.gateway.reload({
      ...c.config(),
      routes: rows.map(([, , rules], i) => ({ path: `/${i}`, pool: 'p', cache: { policy: 'stale-while-revalidate', ...rules } })),
    });
    for (const [i, row] of rows.entries()) {
      assert.equal((await c.ask(`/${i}`)).told.hit, undefined);
      const second = await c.ask(`/${i}`);
      assert.equal(second.status, 200);
      assert.equal(second.told.hit ?? false, row[3], `${JSON.stringify(row)}: ${JSON.stringify(second.told)}`);
    }
  });

  scene('a Set-Cookie that is not heeded is kept from everybody', async (s) => {
    const c = await Cached.start(s, { policy: 'cache-first', fresh: '1m', ignore: ['set-cookie'] }, { headers: { 'Set-Cookie': 'session=1' } });
    await c.ask();
    const second = await c.ask();
    assert.deepEqual([second.told.hit, second.headers['set-cookie']], [true, undefined]);
  });

  scene('no-cache with a tag: asked each time, and a 304 saves the body', async (s) => {
    const c = await Cached.start(s, { policy: 'stale-while-revalidate', fresh: '1m' }, { headers: { 'Cache-Control': 'no-cache', ETag: '"one"' } });
    assert.equal((await c.ask()).text, 'v1');
    const second = await c.ask();
    assert.deepEqual([second.status, second.text, second.told.fwd], [200, 'v1', 'stale']);
    assert.equal(c.asked[1].headers['if-none-match'], '"one"');
    assert.equal(await c.counted('validated'), 1);
    c.headers = { ...c.headers, ETag: '"two"' };
    assert.equal((await c.ask()).text, 'v2');
    assert.equal((await c.ask()).headers.etag, '"two"');
    assert.equal(c.asked.at(-1).headers['if-none-match'], '"two"');
  });

  scene('a 304 renews what is stored: its lifetime, and the fields it brings', async (s) => {
    const c = await Cached.start(s, { policy: 'stale-while-revalidate' }, { headers: { 'Cache-Control': 'max-age=60', Age: '60', ETag: '"e"', 'X-Say': 'old' } });
    await c.ask();
    c.headers = { 'Cache-Control': 'max-age=60', ETag: '"e"', 'X-Say': 'new' };
    assert.equal((await c.ask()).headers['x-say'], 'new');
    const renewed = await c.ask();
    assert.deepEqual([renewed.text, renewed.headers['x-say'], renewed.told.hit, c.asked.length], ['v1', 'new', true, 2]);
    assert.ok(Number(renewed.headers.age) < 5);
  });

  scene('one that has only dates is asked whether there is anything newer', async (s) => {
    let changed = 'Mon, 01 Jan 2024 00:00:00 GMT';
    const c = await Cached.start(s, { policy: 'cache-first', fresh: 0 }, {
      answer: ({ headers }) => (headers['if-modified-since'] === changed ? reply('', { status: 304, headers: { 'Content-Length': null, 'X-Say': 'same' } }) : reply(changed, { headers: { 'Last-Modified': changed } })),
    });
    assert.equal((await c.ask()).text, changed);
    const same = await c.ask();
    assert.deepEqual([same.status, same.text, same.headers['x-say'], same.headers['last-modified']], [200, changed, 'same', changed]);
    assert.deepEqual([c.asked[1].headers['if-modified-since'], c.asked[1].headers['if-none-match']], [changed, undefined]);
    assert.equal(await c.counted('validated'), 1);
    changed = 'Tue, 02 Jan 2024 00:00:00 GMT';
    for (let i = 0; i < 2; i++) assert.equal((await c.ask()).text, changed);
    assert.equal(c.asked.at(-1).headers['if-modified-since'], changed);
  });

  scene('stale-if-error of the origin, and must-revalidate that forbids it', async (s) => {
    const c = await Cached.start(s, { policy: 'stale-while-revalidate', negative: 0 }, { headers: { 'Cache-Control': 'max-age=1, stale-if-error=60', Age: '2' } });
    await c.ask('/may');
    c.headers = { 'Cache-Control': 'max-age=1, stale-if-error=60, must-revalidate', Age: '2', ETag: '"e"' };
    await c.ask('/must');
    c.headers = {};
    c.status = 500;
    const stale = await c.ask('/may');
    assert.deepEqual([stale.status, stale.text, stale.told.detail], [200, 'v1', 'error']);
    assert.equal((await c.ask('/must')).status, 500);
  });
});

describe('what the client says', { concurrency: 3 }, () => {
  const rules = { policy: 'stale-while-revalidate', fresh: '1m', stale: '1m' };

  scene('no-cache, max-age and min-fresh ask the origin; no-store passes; only-if-cached does not wait', async (s) => {
    const c = await Cached.start(s, rules, { headers: { Age: '10' } });
    const ask = (control, path) => c.ask(path, { 'cache-control': control });
    const none = await ask('only-if-cached');
    assert.deepEqual([none.status, none.told], [504, { detail: 'only-if-cached' }]);
    assert.equal(c.asked.length, 0);
    assert.equal((await c.ask()).text, 'v1');
    assert.equal((await ask('only-if-cached')).text, 'v1');
    assert.equal((await ask('max-age=20')).text, 'v1');
    assert.equal((await ask('max-age=5')).text, 'v2');
    assert.equal((await ask('max-age=0')).text, 'v3');
    assert.equal((await ask('min-fresh=40')).text, 'v3');
    assert.equal((await ask('min-fresh=55')).text, 'v4');
    assert.equal((await ask('no-cache')).text, 'v5');
    assert.equal((await c.ask('/', { pragma: 'no-cache' })).text, 'v6');
    const passed = await ask('no-store');
    assert.deepEqual([passed.text, passed.told], ['v7', { fwd: 'bypass', 'fwd-status': '200', detail: 'no-store' }]);
    assert.equal((await c.ask()).text, 'v6', 'what came for no-store was not stored');
  });

  scene('max-stale opens no window that the route does not have', async (s) => {
    const c = await Cached.start(s, { policy: 'cache-first', fresh: '1m' }, { headers: { Age: '60', ETag: '"e"' } });
    await c.ask();
    const release = c.hold();
    const asked = c.ask('/', { 'cache-control': 'max-stale' });
    await c.origin.next(1);
    release();
    assert.equal((await asked).told.fwd, 'stale');
  });

  scene('max-stale: who says so gets at once what is there for failures, as old as he said, and it is fetched anew', async (s) => {
    const c = await Cached.start(s, { policy: 'cache-first', fresh: '1m', stale_if_error: '1m' }, { headers: { Age: '70' } });
    assert.equal((await c.ask()).text, 'v1');
    const release = c.hold();
    const stale = await c.ask('/', { 'cache-control': 'max-stale=30' });
    assert.deepEqual([stale.text, stale.told.hit], ['v1', true]);
    await c.origin.next(1);
    const other = c.ask('/', { 'cache-control': 'max-stale=5' });
    await c.counts('coalesced', 1);
    release();
    assert.equal((await other).text, 'v2');
  });

  scene('is not heeded where the route says so', async (s) => {
    const c = await Cached.start(s, { ...rules, ignore: ['request'] });
    for (const control of ['max-age=60', 'no-cache', 'no-store', 'max-age=0', 'min-fresh=1000']) {
      assert.equal((await c.ask('/', { 'cache-control': control, pragma: 'no-cache' })).text, 'v1');
    }
  });

  scene('conditions are answered at the edge', async (s) => {
    const since = 'Mon, 01 Jan 2024 00:00:00 GMT';
    const c = await Cached.start(s, rules, { headers: { ETag: '"e"', 'Last-Modified': since } });
    const first = await c.ask('/', { 'if-none-match': '"e"' }); // not there yet: what is fetched is whole, whatever this client has
    assert.equal(first.status, 304);
    assert.equal(c.asked[0].headers['if-none-match'], undefined);
    assert.equal((await c.ask('/', { 'if-none-match': 'W/"e"' })).status, 304);
    assert.equal((await c.ask('/', { 'if-none-match': '"a", "e"' })).status, 304);
    assert.equal((await c.ask('/', { 'if-modified-since': since })).status, 304);
    const other = await c.ask('/', { 'if-none-match': '"a"', 'if-modified-since': since });
    assert.deepEqual([other.status, other.text], [200, 'v1']);
    assert.equal((await request({ port: c.port, headers: { 'if-match': '"a"' } })).status, 412);
    assert.equal(c.asked.length, 1);
  });
});
