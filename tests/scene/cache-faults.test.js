// Origins that fail in all the ways they do, and answers that are too large or too long to be kept.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');
const { describe } = require('node:test');
const { Cached, event, exchange, gate, get, h2Server, isSanitized, ownMemory, reply, request, scene, verdicts, waitFor } = require('./lib');

const RULES = { policy: 'stale-while-revalidate', fresh: '1m', stale_if_error: '1m', negative: 0 };
// Past its freshness and its stale window: only for errors.
const OLD = { Age: '60' };
const MB = 1 << 20;

const head = (...lines) => `HTTP/1.1 200 OK\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;
const chunk = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

// The body of an answer as far as it comes, and whether its end came too.
function readAll(port, path = '/') {
  return new Promise((resolve, reject) => {
    http.get({ port, path, agent: false }, (res) => {
      const parts = [];
      const end = () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(parts), isWhole: res.complete });
      res.on('data', (part) => parts.push(part));
      res.on('error', () => {});
      res.on('close', end);
    }).on('error', reject);
  });
}

describe('an origin that fails', { concurrency: 3 }, () => {
  const cuts = [
    ['a body shorter than it said', `${head('Content-Length: 10')}five.`],
    ['chunks without an end', `${head('Transfer-Encoding: chunked')}${chunk('five.')}`],
    ['a chunk cut short', `${head('Transfer-Encoding: chunked')}a\r\nfive.`],
    ['a chunk of no size', `${head('Transfer-Encoding: chunked')}${chunk('five.')}xyz\r\n`],
    ['no head', ''],
    ['half a head', 'HTTP/1.1 200 OK\r\nContent-Le'],
    ['two lengths', `${head('Content-Length: 5', 'Content-Length: 6')}five.`],
    ['no HTTP', 'SSH-2.0-OpenSSH\r\n'],
  ];
  for (const [title, bytes] of cuts) {
    scene(`${title}: 502, nothing is stored, and what is stale stands in`, async (s) => {
      let isGood = true;
      const c = await Cached.start(s, RULES, {
        answer: (asked, raw) => {
          if (isGood) return reply('good', { headers: OLD });
          raw.write(bytes);
          raw.finish();
          return undefined;
        },
      });
      await c.ask('/old');
      isGood = false;
      const failed = await c.ask('/new');
      assert.equal(failed.status, 502);
      assert.ok(!failed.text.includes('five'));
      const stale = await c.ask('/old');
      assert.deepEqual([stale.status, stale.text, stale.told.detail], [200, 'good', 'error']);
      isGood = true;
      assert.deepEqual((await c.ask('/new')).told, { fwd: 'uri-miss', stored: true });
      assert.equal(await c.counted('fetches_failed'), 2);
    });
  }

  scene('more than it said: what was said is the answer, and the rest is nobody\'s', async (s) => {
    const c = await Cached.start(s, RULES, {
      answer: ({ path }) => `${head('Content-Length: 5')}${path}----HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`,
    });
    for (const path of ['/one!', '/two!', '/one!', '/six!']) assert.equal((await c.ask(path)).text, path);
  });

  scene('hints before the answer are no answer', async (s) => {
    const c = await Cached.start(s, RULES, { answer: () => `HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n${head('Content-Length: 4')}real` });
    for (let i = 0; i < 2; i++) {
      const answer = await c.ask();
      assert.deepEqual([answer.status, answer.text, answer.headers.link], [200, 'real', undefined]);
    }
    assert.equal(c.asked.length, 1);
  });

  scene('a body that ends with the connection is whole', async (s) => {
    const c = await Cached.start(s, RULES, {
      answer: (asked, raw) => {
        raw.write(`${head('Connection: close')}all of it`);
        raw.finish();
      },
    });
    await c.ask();
    const second = await c.ask();
    assert.deepEqual([second.text, second.told.hit], ['all of it', true]);
  });

  scene('hanging: 504 in time, and what is stale stands in', async (s) => {
    const c = await Cached.start(s, RULES, { pool: { first_byte_timeout: '100ms' }, headers: OLD });
    await c.ask('/old');
    const release = c.hold();
    assert.equal((await c.ask('/new')).status, 504);
    const stale = await c.ask('/old');
    assert.deepEqual([stale.text, stale.told.detail], ['v1', 'error']);
    release();
  });

  scene('hanging in the middle of a body', async (s) => {
    const c = await Cached.start(s, RULES, {
      pool: { between_bytes_timeout: '100ms' },
      answer: ({ path }) => (path === '/old' && c.asked.length === 1 ? reply('good', { headers: OLD }) : `${head('Content-Length: 10')}five.`),
    });
    await c.ask('/old');
    assert.ok((await c.ask('/new')).status >= 502);
    assert.equal((await c.ask('/old')).text, 'good');
  });

  scene('saying so: its words are passed on and shared; its other errors are answers', async (s) => {
    const c = await Cached.start(s, { ...RULES, negative: '1m' }, {
      answer: ({ path }) => reply(`sorry for ${path}`, { status: Number(path.slice(1)), headers: { 'Retry-After': '7' } }),
    });
    for (const status of [500, 502, 503, 504]) {
      for (let i = 0; i < 3; i++) {
        const answer = await c.ask(`/${status}`);
        assert.deepEqual([answer.status, answer.text, answer.headers['retry-after']], [status, `sorry for /${status}`, '7']);
      }
    }
    assert.equal(c.asked.length, 4);
    for (const status of [400, 403, 429, 505, 507]) {
      for (let i = 0; i < 2; i++) assert.equal((await c.ask(`/${status}`)).text, `sorry for /${status}`);
    }
    assert.equal(c.asked.length, 14, 'not kept');
    for (let i = 0; i < 2; i++) assert.equal((await c.ask('/404')).status, 404);
    assert.equal(c.asked.length, 15, 'what is not there is kept like what is');
  });

  scene('negative: a dead origin is left alone for that time', async (s) => {
    const c = await Cached.start(s, { ...RULES, negative: '1m' });
    c.status = 503;
    for (let i = 0; i < 100; i++) assert.equal((await c.ask()).status, 503);
    assert.equal(c.asked.length, 1);
    assert.equal((await c.ask('/other')).status, 503);
    assert.equal(c.asked.length, 2, 'each query is its own');
  });

  scene('negative: over, it is asked again', async (s) => {
    const c = await Cached.start(s, { ...RULES, negative: '100ms' });
    c.status = 503;
    assert.equal((await c.ask()).status, 503);
    c.status = 200;
    const answer = await c.until('an answer', ({ status }) => status === 200);
    assert.equal(answer.text, 'v2');
  });

  scene('a refresh that fails leaves what is stale where it is, and is not tried again at once', async (s) => {
    const c = await Cached.start(s, { ...RULES, stale: '1m', negative: '1m' }, { headers: OLD });
    await c.ask();
    c.status = 500;
    for (let i = 0; i < 10; i++) assert.equal((await c.ask()).text, 'v1');
    await c.counts('fetches_failed', 1);
    for (let i = 0; i < 10; i++) assert.equal((await c.ask()).text, 'v1');
    assert.equal(c.asked.length, 2);
  });
});

describe('an origin over HTTP/2 that fails', { concurrency: 2 }, () => {
  // A gateway before an HTTP/2 server that does with each stream what `serve` says.
  async function stage(s, serve, cache = {}) {
    const server = await h2Server(s, serve);
    const gateway = await s.gateway({
      pools: { p: { check: { type: 'none' }, http: 'h2', max_retries: 0, circuit: { failures: 0 }, servers: [{ name: 'a', url: server.url }] } },
      routes: [{ path: '/', pool: 'p', cache: { ...RULES, ...cache } }],
    });
    return { server, gateway };
  }

  scene('a stream that is reset in the middle: nothing is stored, and what is stale stands in', async (s) => {
    let isGood = true;
    const { server, gateway } = await stage(s, (stream) => {
      stream.respond({ ':status': 200, ...(isGood && { age: '60' }) });
      if (isGood) stream.end('good');
      else stream.write('fi', () => stream.destroy(new Error('broken')));
    });
    assert.equal((await get(gateway.port, '/old')).text, 'good');
    isGood = false;
    assert.equal((await get(gateway.port, '/new')).status, 502);
    const stale = await get(gateway.port, '/old');
    assert.equal(stale.text, 'good');
    assert.match(stale.headers['cache-status'], /detail=error$/);
    isGood = true;
    assert.equal((await get(gateway.port, '/new')).text, 'good');
    assert.equal(server.streamCount, 4);
  });

  scene('a length that is not kept', async (s) => {
    const { gateway } = await stage(s, (stream, headers) => {
      stream.respond({ ':status': 200, 'content-length': headers[':path'] === '/short' ? 10 : 2 });
      stream.end('five.');
    });
    for (const path of ['/short', '/long']) {
      for (let i = 0; i < 2; i++) {
        const { status, text } = await get(gateway.port, path);
        assert.deepEqual([status, text.includes('five')], [502, false], path);
      }
    }
  });

  scene('a large answer that is passed on arrives whole, also when the session ends behind it', async (s) => {
    const { server, gateway } = await stage(s, (stream) => {
      stream.respond({ ':status': 200, 'cache-control': 'private' });
      stream.end(crypto.randomBytes(16).toString('hex').repeat(MB / 16));
    });
    for (let i = 0; i < 3; i++) {
      const { body, isWhole } = await readAll(gateway.port);
      assert.ok(isWhole && body.length === 2 * MB && body.toString() === body.toString('latin1', 0, 32).repeat(MB / 16));
      for (const session of server.sessions) session.close();
    }
  });
});

describe('a pool without servers', { concurrency: 3 }, () => {
  const RULES_DOWN = { policy: 'stale-while-revalidate', fresh: '1m', stale_if_down: '1h', purge_on_write: false };

  scene('read-only: reads are answered with what is stale, writes at once with 503, until the server is back', async (s) => {
    let answer = (req, res) => res.setHeader('Age', '1000').end(`${req.method} ${req.url}`);
    const server = http.createServer((req, res) => answer(req, res));
    const port = await s.freePort();
    const listen = async () => {
      server.listen(port, '127.0.0.1');
      await event(server, 'listening');
    };
    await listen();
    s.atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    const gateway = await s.gateway({
      pools: {
        p: { check: { type: 'tcp', interval: '50ms', timeout: '50ms', rise: 1, fall: 1 }, servers: [{ name: 'a', url: `http://127.0.0.1:${port}` }] },
      },
      routes: [{ path: '/', pool: 'p', cache: RULES_DOWN }],
    });
    await verdicts(gateway, { a: 'up' });
    assert.equal((await get(gateway.port, '/kept')).text, 'GET /kept');
    server.close();
    server.closeAllConnections();
    await verdicts(gateway, { a: 'down' });
    for (let i = 0; i < 3; i++) {
      const stale = await get(gateway.port, '/kept');
      assert.deepEqual([stale.status, stale.text], [200, 'GET /kept']);
      assert.match(stale.headers['cache-status'], /^scene; hit; ttl=-\d+; detail=read-only$/);
      assert.ok(Number(stale.headers.age) >= 1000);
    }
    assert.equal((await get(gateway.port, '/not-kept')).status, 503);
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const refused = await request({ port: gateway.port, method, path: '/kept', body: 'x' });
      assert.equal(refused.status, 503);
      assert.ok(Number(refused.headers['retry-after']) > 0);
      assert.match(refused.headers['cache-status'], /detail=read-only/);
    }
    await gateway.process.line(/status=503 .*method=DELETE .*cache=read-only/);
    answer = (req, res) => res.end(`${req.method} again`);
    await listen();
    await verdicts(gateway, { a: 'up' });
    await waitFor('it to be normal', async () => (await get(gateway.port, '/kept')).text === 'GET again');
    assert.equal((await request({ port: gateway.port, method: 'POST', body: 'x' })).text, 'POST again');
  });
});

describe('an answer that is too large, or never ends', { concurrency: 2 }, () => {
  const BIG = crypto.randomBytes(3 * MB);
  const big = { length: reply(BIG), chunks: Buffer.concat([Buffer.from(`${head('Transfer-Encoding: chunked')}${BIG.length.toString(16)}\r\n`), BIG, Buffer.from('\r\n0\r\n\r\n')]) };

  for (const [form, bytes] of Object.entries(big)) {
    scene(`larger than max_entry (${form}): passed on whole, and not kept`, async (s) => {
      const c = await Cached.start(s, RULES, { answer: () => bytes, cache: { memory: '8MiB', max_entry: '1MiB' } });
      for (let i = 0; i < 2; i++) {
        const { body, isWhole, headers } = await readAll(c.port);
        assert.ok(isWhole && body.equals(BIG));
        assert.match(headers['cache-status'], i === 0 ? /fwd=uri-miss; fwd-status=200; detail=too-long/ : /fwd=miss; fwd-status=200; detail=not-shared/);
      }
      assert.equal(c.asked.length, 2);
      assert.equal((await c.gateway.metrics()).sum('cache_evicted_total'), 0);
    });

    scene(`larger than max_entry (${form}), to HEAD: a head, and the connection goes on`, async (s) => {
      const c = await Cached.start(s, RULES, { answer: ({ method }) => (method === 'HEAD' ? head(`Content-Length: ${BIG.length}`) : bytes), cache: { max_entry: '1MiB' } });
      const client = await s.connect(c.port);
      assert.equal((await exchange(client, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', { isHead: true })).line, 'HTTP/1.1 200 OK');
      client.write('GET /x HTTP/1.1\r\nHost: a\r\nCache-Control: only-if-cached\r\n\r\n');
      assert.ok((await client.head()).line.startsWith('HTTP/1.1 504'));
    });
  }

  scene('not for storing, to HEAD: no body', async (s) => {
    const c = await Cached.start(s, RULES, { headers: { 'Cache-Control': 'private' } });
    const client = await s.connect(c.port);
    for (let i = 0; i < 2; i++) {
      const { line, headers } = await exchange(client, 'HEAD / HTTP/1.1\r\nHost: a\r\n\r\n', { isHead: true });
      assert.deepEqual([line, headers['cache-control'], headers['content-length']], ['HTTP/1.1 200 OK', 'private', '2']);
    }
    const { line, body } = await exchange(client, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.deepEqual([line, body], ['HTTP/1.1 200 OK', 'v3']);
  });

  scene('a slow reader of a large answer slows the origin down: memory stays flat', async (s) => {
    const count = 64;
    let sent = 0;
    const c = await Cached.start(s, RULES, {
      cache: { memory: '4MiB' },
      answer: async (asked, raw) => {
        raw.write(head(`Content-Length: ${count * MB}`));
        for (; sent < count && !raw.hasEnded; sent++) {
          if (!raw.socket.write(Buffer.alloc(MB, sent))) await new Promise((resolve) => raw.socket.once('drain', resolve).once('close', resolve));
        }
      },
    });
    const worker = (await c.gateway.processes())['worker-0'].pid;
    const client = await s.connect(c.port);
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.head();
    client.pause();
    let last = -1;
    await waitFor('the origin to be held up', () => {
      const isSteady = sent > 0 && sent === last;
      last = sent;
      return isSteady;
    });
    assert.ok(sent < count / 2, `${sent} MB were taken`);
    if (!isSanitized) assert.ok(ownMemory(worker) < 40 * MB, `${ownMemory(worker)} bytes`);
    client.destroy();
    await c.gateway.process.line(/status=499 reason="client gone" .*cache=pass/);
    await waitFor('the origin to be told', () => c.origin.connections[0].raw.hasEnded);
  });

  scene('events pass at once, and each listener has its own', async (s) => {
    const events = gate();
    const c = await Cached.start(s, RULES, {
      answer: async (asked, raw) => {
        raw.write(`${head('Content-Type: text/event-stream; charset=utf-8', 'Transfer-Encoding: chunked')}${chunk(`data: ${asked.path}\n\n`)}`);
        await events.opened;
        return `${chunk('data: two\n\n')}0\r\n\r\n`;
      },
    });
    const listeners = [];
    for (let i = 0; i < 3; i++) {
      const listener = await s.connect(c.port);
      listener.write('GET /e HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.match((await listener.head()).headers['content-type'], /^text\/event-stream/);
      await listener.read('the first event', (bytes) => (bytes.includes('data: /e') ? { size: bytes.length } : null));
      listeners.push(listener);
    }
    events.open();
    for (const listener of listeners) await listener.read('the second', (bytes) => (bytes.includes('data: two') ? { size: bytes.length } : null));
    assert.equal(c.asked.length, 3);
    for (const listener of listeners) listener.destroy();
  });

  scene('a listener that leaves is not listened for any more', async (s) => {
    const c = await Cached.start(s, RULES, { answer: () => `${head('Content-Type: text/event-stream', 'Transfer-Encoding: chunked')}${chunk('data: one\n\n')}` });
    for (let i = 0; i < 2; i++) {
      const listener = await s.connect(c.port);
      listener.write('GET /e HTTP/1.1\r\nHost: a\r\n\r\n');
      await listener.head();
      listener.reset();
      await waitFor('the origin to be told', () => c.origin.connections[i].raw.hasEnded);
    }
  });
});
