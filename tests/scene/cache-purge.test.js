// Purges: what is purged is never served as fresh again, in any worker, whatever is under way.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cached, gate, h2Ask, h2Connect, reply, request, scene, waitFor } = require('./lib');

const RULES = { policy: 'stale-while-revalidate', fresh: '1h', stale: '1h', query: { sort: true } };
const HOST = { host: 'example.com' };

async function purge(c, ...words) {
  const { code, stderr } = await c.gateway.ctl('purge', ...words);
  assert.equal(code, 0, stderr);
}

// Which of these paths are stored and fresh.
async function kept(c, paths, headers = HOST) {
  const found = [];
  for (const path of paths) {
    const { status, told } = await c.ask(path, { ...headers, 'cache-control': 'only-if-cached' });
    if (status === 200 && !String(told.ttl).startsWith('-')) found.push(path);
  }
  return found;
}

async function store(c, paths, headers = HOST) {
  for (const path of paths) await c.ask(path, headers);
  assert.deepEqual(await kept(c, paths, headers), paths);
}

describe('purge', { concurrency: 3 }, () => {
  scene('by tag: the route\'s, and those the origin gives', async (s) => {
    const c = await Cached.start(s, { ...RULES, tags: ['table:cars'] }, {
      answer: ({ path }) => reply(path, {
        headers: { '/surrogate': { 'Surrogate-Key': 'a  b' }, '/cache-tag': { 'Cache-Tag': 'b, c' } }[path] ?? {},
      }),
    });
    const all = ['/surrogate', '/cache-tag', '/plain'];
    const rows = [['a', ['/cache-tag', '/plain']], ['b', ['/plain']], ['c', ['/surrogate', '/plain']], ['table:cars', []], ['other', all], ['A', all], ['table', all]];
    for (const [tag, left] of rows) {
      await store(c, all);
      await purge(c, 'tag', tag);
      assert.deepEqual(await kept(c, all), left, tag);
      await purge(c, 'all');
    }
    for (const path of all) {
      for (let i = 0; i < 2; i++) {
        const { headers } = await c.ask(path, HOST);
        assert.deepEqual([headers['surrogate-key'], headers['cache-tag']], [undefined, undefined], 'tags are no business of clients');
      }
    }
  });

  scene('by URL, with a query or with all of them, at one host or at all; by prefix; all', async (s) => {
    const c = await Cached.start(s, RULES);
    const all = ['/a', '/a?x=1', '/a?x=1&y=2', '/a/b', '/ab', '/'];
    const rows = [
      [['url', '/a'], ['/a/b', '/ab', '/']],
      [['url', 'http://example.com/a'], ['/a/b', '/ab', '/']],
      [['url', 'EXAMPLE.com/a'], ['/a/b', '/ab', '/']],
      [['url', 'example.org/a'], all],
      [['url', '/a?x=1'], ['/a', '/a?x=1&y=2', '/a/b', '/ab', '/']],
      [['url', '/a?y=2&x=1'], ['/a', '/a?x=1', '/a/b', '/ab', '/']],
      [['url', '/A'], all],
      [['prefix', '/a/'], ['/a', '/a?x=1', '/a?x=1&y=2', '/ab', '/']],
      [['prefix', 'example.com/a'], ['/']],
      [['prefix', '/a?x=1'], ['/a', '/a/b', '/ab', '/']],
      [['prefix', '/a?x=1&'], ['/a', '/a?x=1', '/a/b', '/ab', '/']],
      [['prefix', 'example.com/a?'], ['/a', '/a/b', '/ab', '/']],
      [['prefix', 'example.org/'], all],
      [['all'], []],
    ];
    for (const [words, left] of rows) {
      await store(c, all);
      await purge(c, ...words);
      assert.deepEqual(await kept(c, all), left, words.join(' '));
      await purge(c, 'all');
    }
  });

  scene('softly: served at once as stale, and refreshed', async (s) => {
    const c = await Cached.start(s, { ...RULES, tags: ['t'] });
    await store(c, ['/']);
    await purge(c, '--soft', 'tag', 't');
    const release = c.hold();
    for (let i = 0; i < 3; i++) assert.equal((await c.ask('/', HOST)).text, 'v1');
    await c.origin.next(1);
    release();
    await c.until('the new one', ({ text }) => text === 'v2', '/', HOST);
    assert.deepEqual([await kept(c, ['/']), c.asked.length], [['/'], 2]);
  });

  scene('in all workers', async (s) => {
    const c = await Cached.start(s, { ...RULES, tags: ['t'] }, { workers: 2 });
    // Connections until both workers have one.
    const sessions = new Map();
    await waitFor('a connection to each worker', async () => {
      const session = await h2Connect(s, `http://127.0.0.1:${c.port}`);
      const { headers } = await h2Ask(session, { path: '/who', headers: { ':authority': 'example.com', 'cache-control': 'only-if-cached' } });
      const line = await c.gateway.process.line(new RegExp(`(worker-\\d) .*id=${headers['x-request-id'] ?? '\\S+'} .*path=/who`));
      sessions.set(line[1], session);
      return sessions.size === 2;
    });
    const ask = async (session, headers = {}) => {
      const answer = await h2Ask(session, { headers: { ':authority': 'example.com', ...headers } });
      return answer.body.toString();
    };
    const both = [...sessions.values()];
    for (const [i, session] of both.entries()) assert.equal(await ask(session), `v${i + 1}`, 'each has its own');
    for (const [i, session] of both.entries()) assert.equal(await ask(session), `v${i + 1}`);
    await purge(c, 'tag', 't');
    for (const [i, session] of both.entries()) assert.equal(await ask(session), `v${i + 3}`);
    // A write through one of them holds in the other as well.
    await h2Ask(both[0], { method: 'POST', headers: { ':authority': 'example.com' }, body: 'x' });
    assert.equal(await ask(both[0]), 'v6');
    await waitFor('the other worker to have heard', async () => Number((await ask(both[1])).slice(1)) > 6);
  });

  scene('a write that succeeds purges the tags of its route and its URL; one that fails does not', async (s) => {
    let status = 200;
    const c = await Cached.start(s, RULES, { answer: ({ method, path }) => reply(path, { status: method === 'GET' ? 200 : status }) });
    await c.gateway.reload({
      ...c.config(),
      routes: [
        { path: '/cars', pool: 'p', cache: { ...RULES, tags: ['cars'] } },
        { path: '/trips', pool: 'p', cache: { ...RULES, tags: ['trips', 'cars'] } },
        { path: '/still', pool: 'p', cache: { ...RULES, tags: ['cars'], purge_on_write: false } },
        { path: '/plain', pool: 'p', cache: RULES },
      ],
    });
    const all = ['/cars', '/cars?id=1', '/trips', '/still', '/plain', '/plain/b'];
    const write = (method, path) => request({ port: c.port, method, path, headers: HOST, body: 'x' });
    for (const failing of [400, 404, 409, 500]) {
      await store(c, all);
      status = failing;
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) assert.equal((await write(method, '/cars')).status, failing);
      assert.deepEqual(await kept(c, all), all, String(failing));
    }
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      for (const [path, left] of [['/cars', ['/plain', '/plain/b']], ['/still', all], ['/plain', ['/cars', '/cars?id=1', '/trips', '/still', '/plain/b']]]) {
        await store(c, all);
        status = method === 'POST' ? 201 : 204;
        await write(method, path);
        assert.deepEqual(await kept(c, all), left, `${method} ${path}`);
      }
    }
  });

  scene('a write to a URL longer than a purge can name purges all that begin like it', async (s) => {
    const c = await Cached.start(s, RULES);
    const long = (end) => `/a/${'x'.repeat(3000)}${end}`;
    await store(c, [long('1'), '/a/y']);
    assert.equal((await c.ask(long('1'), HOST, { method: 'PUT', body: 'x' })).status, 200);
    assert.deepEqual((await kept(c, [long('1'), '/a/y'])).map((path) => path.slice(0, 4)), ['/a/y']);
  });

  scene('while a fetch is under way: what it brings may be from before, and is not served as fresh', async (s) => {
    const held = gate();
    let isHeld = true;
    let version = 0;
    const c = await Cached.start(s, { ...RULES, tags: ['t'] }, {
      answer: async () => {
        version++;
        const text = `v${version}`;
        if (isHeld) await held.opened;
        return reply(text);
      },
    });
    const before = c.ask('/', HOST);
    await c.origin.next();
    isHeld = false;
    await purge(c, 'tag', 't');
    const after = c.ask('/', HOST); // asks after the purge: must not get what was read before it
    await c.counts('coalesced', 1);
    held.open();
    assert.equal((await before).text, 'v1');
    assert.equal((await after).text, 'v2');
    assert.equal((await c.ask('/', HOST)).text, 'v2');
  });

  scene('while a refresh is under way: the writer reads his own write', async (s) => {
    const held = gate();
    let value = 'old';
    let gets = 0;
    const c = await Cached.start(s, { ...RULES, fresh: '1m', stale: '1m', tags: ['t'] }, {
      answer: async ({ method, body }) => {
        if (method === 'POST') {
          value = body.toString();
          return reply('written');
        }
        const read = value;
        gets++;
        if (gets === 2) await held.opened;
        return reply(read, { headers: { Age: gets === 1 ? '60' : '0' } });
      },
    });
    await c.ask();
    assert.equal((await c.ask()).text, 'old');
    await c.origin.next(1);
    assert.equal((await c.ask('/', {}, { method: 'POST', body: 'new' })).text, 'written');
    const own = c.ask();
    await c.counts('coalesced', 1);
    held.open();
    assert.equal((await own).text, 'new');
    await waitFor('both to have ended', async () => (await c.counted('fetches')) === 3);
    assert.equal((await c.ask()).text, 'new');
  });
});

describe('warming', { concurrency: 2 }, () => {
  const warm = (rules) => ({ ...RULES, warm: ['/one', '/two?b=2&a=1'], warm_as: 'http://example.com', ...rules });

  scene('what is listed is fetched at the start, before anybody asks', async (s) => {
    const c = await Cached.start(s, warm(), { cache: { warm_per_second: 100 } });
    await c.origin.next(1);
    assert.deepEqual(c.asked.map(({ path }) => path), ['/one', '/two?a=1&b=2']);
    assert.deepEqual(c.asked.map(({ headers }) => headers.host), ['example.com', 'example.com']);
    await waitFor('both to be stored', async () => (await kept(c, ['/one', '/two?b=2&a=1'])).length === 2);
    assert.equal((await c.ask('/one', HOST)).text, 'v1');
    assert.equal(c.asked.length, 2);
  });

  scene('again before it expires, as long as it is asked for', async (s) => {
    const c = await Cached.start(s, warm({ fresh: '400ms', stale: 0 }), { cache: { warm_per_second: 100 } });
    await c.origin.next(1);
    const count = (wanted) => c.asked.filter(({ path }) => path.startsWith(wanted)).length;
    // Nobody who asks often enough ever waits, and what nobody asks for is left alone.
    await waitFor('it to be stored', async () => (await kept(c, ['/one'])).length === 1);
    await waitFor('the third fetch', async () => {
      const { told } = await c.ask('/one', HOST);
      assert.ok(told.hit, JSON.stringify(told));
      return count('/one') >= 3;
    });
    assert.equal(count('/two'), 1);
  });

  scene('what is not for storing is left alone for a while', async (s) => {
    const c = await Cached.start(s, warm(), { cache: { warm_per_second: 1000 }, headers: { 'Cache-Control': 'private' } });
    await c.origin.next(1);
    await waitFor('many more turns', async () => (await c.ask('/one', HOST)).status === 200 && c.asked.length > 30);
    assert.equal(await c.counted('fetches'), 2);
  });

  scene('with nowhere to keep it nothing is fetched', async (s) => {
    const c = await Cached.start(s, warm(), { cache: { memory: 0, warm_per_second: 1000 } });
    await waitFor('many turns', async () => (await c.ask('/other', HOST)).status === 200 && c.asked.length > 30);
    assert.ok(c.asked.every(({ path }) => path === '/other'));
  });

  scene('an origin that is not there yet is asked again', async (s) => {
    let count = 0;
    const answer = ({ path }) => reply(path, { status: count++ < 3 ? 503 : 200 });
    const c = await Cached.start(s, warm({ negative: '50ms' }), { cache: { warm_per_second: 100 }, answer });
    await waitFor('both to be stored', async () => (await kept(c, ['/one', '/two?b=2&a=1'])).length === 2);
  });
});
