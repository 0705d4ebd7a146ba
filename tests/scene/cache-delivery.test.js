// What comes out of the cache is what went in: in every coding a client takes, in parts, as heads, and to those who read slowly.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { describe } = require('node:test');
const zlib = require('node:zlib');
const { Cached, curl, exchange, h2Ask, h2Connect, reply, scene, tool, waitFor } = require('./lib');

const RULES = { policy: 'stale-while-revalidate', fresh: '1h', stale: '1h' };
const TEXT = JSON.stringify(Array.from({ length: 500 }, (_, i) => ({ id: i, model: `model ${i % 7}`, free: i % 3 === 0 })));
const JSON_TYPE = { 'Content-Type': 'application/json', ETag: '"one"' };

const decoders = {
  gzip: async (body) => zlib.gunzipSync(body),
  br: async (body) => zlib.brotliDecompressSync(body),
  zstd: async (body) => (await tool('zstd', ['-d', '-c'], { input: body })).stdout,
};

// A request on a connection of its own, whose body comes as bytes: {status, headers, body}.
async function fetchBytes(c, s, path, headers = {}, { method = 'GET' } = {}) {
  const raw = await s.connect(c.port);
  raw.write(`${method} ${path} HTTP/1.1\r\nHost: a\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  const head = await raw.head();
  const hasBody = method !== 'HEAD' && ![204, 304].includes(head.status);
  const body = hasBody ? await raw.take(Number(head.headers['content-length'])) : Buffer.alloc(0);
  raw.destroy();
  return { ...head, body };
}

describe('codings', { concurrency: 3 }, () => {
  const compressed = { ...RULES, compress: ['gzip', 'br', 'zstd'] };

  scene('each decodes to the original, has a tag of its own, and is made from one fetch', async (s) => {
    const c = await Cached.start(s, compressed, { answer: () => reply(TEXT, { headers: JSON_TYPE }) });
    const plain = await fetchBytes(c, s, '/');
    assert.deepEqual([plain.body.toString(), plain.headers.etag, plain.headers['content-encoding']], [TEXT, '"one"', undefined]);
    assert.match(plain.headers.vary, /accept-encoding/i);
    for (const [coding, decode] of Object.entries(decoders)) {
      for (let i = 0; i < 2; i++) {
        const { headers, body } = await fetchBytes(c, s, '/', { 'Accept-Encoding': coding });
        assert.deepEqual([headers['content-encoding'], headers.etag], [coding, `"one-${coding}"`]);
        assert.match(headers.vary, /accept-encoding/i);
        assert.equal((await decode(body)).toString(), TEXT);
        assert.ok(body.length < TEXT.length / 3);
        const known = await fetchBytes(c, s, '/', { 'Accept-Encoding': coding, 'If-None-Match': headers.etag });
        assert.deepEqual([known.status, known.headers.etag], [304, headers.etag]);
        const head = await fetchBytes(c, s, '/', { 'Accept-Encoding': coding }, { method: 'HEAD' });
        assert.equal(head.headers['content-length'], String(body.length));
      }
    }
    const other = await fetchBytes(c, s, '/', { 'Accept-Encoding': 'gzip', 'If-None-Match': '"two-gzip"' });
    assert.equal(other.status, 200);
    assert.equal(c.asked.length, 1);
    assert.equal(c.asked[0].headers['accept-encoding'], 'identity');
  });

  scene('the one that is liked best is taken, and none where none is', async (s) => {
    const c = await Cached.start(s, compressed, { answer: () => reply(TEXT, { headers: JSON_TYPE }) });
    const rows = [
      ['gzip, deflate, br, zstd', 'br'], ['gzip;q=1, br;q=0.5', 'gzip'], ['zstd, gzip', 'zstd'], ['GZIP', 'gzip'], ['x-gzip', 'gzip'],
      ['*', 'br'], ['br;q=0, *', 'zstd'], ['deflate', undefined], ['identity', undefined], ['gzip;q=0', undefined], ['', undefined], ['*;q=0', undefined],
    ];
    for (const [accept, coding] of rows) {
      const { status, headers } = await fetchBytes(c, s, '/', { 'Accept-Encoding': accept });
      assert.deepEqual([status, headers['content-encoding']], [200, coding], accept);
    }
  });

  scene('what is short, not text, coded already, or not to be changed stays as it is', async (s) => {
    const gzipped = zlib.gzipSync(TEXT);
    const answers = {
      '/short': ['{}', JSON_TYPE],
      '/image': [TEXT, { 'Content-Type': 'image/png', ETag: '"one"' }],
      '/kept': [TEXT, { ...JSON_TYPE, 'Cache-Control': 'no-transform' }],
      '/coded': [gzipped, { ...JSON_TYPE, 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' }],
      '/random': [crypto.randomBytes(3000).toString('latin1'), { 'Content-Type': 'text/plain', ETag: '"one"' }],
    };
    const c = await Cached.start(s, compressed, { answer: ({ path }) => reply(answers[path][0], { headers: answers[path][1] }) });
    for (const path of Object.keys(answers).slice(0, 3)) {
      for (let i = 0; i < 2; i++) {
        const { headers, body } = await fetchBytes(c, s, path, { 'Accept-Encoding': 'gzip, br' });
        assert.deepEqual([headers['content-encoding'], headers.etag, body.toString()], [undefined, '"one"', answers[path][0]]);
      }
    }
    for (let i = 0; i < 2; i++) {
      const { headers, body } = await fetchBytes(c, s, '/coded', { 'Accept-Encoding': 'gzip, br' });
      assert.deepEqual([headers['content-encoding'], headers.etag], ['gzip', '"one"']);
      assert.ok(body.equals(gzipped));
    }
  });

  scene('without `compress` bodies pass, and the origin is not asked for codings', async (s) => {
    const c = await Cached.start(s, RULES, { answer: () => reply(TEXT, { headers: JSON_TYPE }) });
    for (let i = 0; i < 2; i++) {
      const { headers, body } = await fetchBytes(c, s, '/', { 'Accept-Encoding': 'gzip, br' });
      assert.deepEqual([headers['content-encoding'], headers.etag, body.toString()], [undefined, '"one"', TEXT]);
    }
    assert.equal(c.asked[0].headers['accept-encoding'], 'identity');
  });

  scene('the origin is asked with the tag it knows, and its 304 renews all codings', async (s) => {
    let isFirst = true;
    const c = await Cached.start(s, compressed, {
      answer: ({ headers }) => {
        const own = { ...JSON_TYPE, Age: isFirst ? '3600' : '0' };
        isFirst = false;
        if (headers['if-none-match'] === '"one"') return reply('', { status: 304, headers: { ETag: '"one"', 'Content-Length': null } });
        return reply(TEXT, { headers: own });
      },
    });
    assert.equal((await fetchBytes(c, s, '/', { 'Accept-Encoding': 'br' })).headers.etag, '"one-br"');
    await fetchBytes(c, s, '/', { 'Accept-Encoding': 'br', 'If-None-Match': '"one-br"' });
    await c.counts('validated', 1);
    const { headers, body } = await fetchBytes(c, s, '/', { 'Accept-Encoding': 'gzip' });
    assert.equal(headers.etag, '"one-gzip"');
    assert.equal((await decoders.gzip(body)).toString(), TEXT);
    assert.match(headers['cache-status'], /hit; ttl=3[56]/);
  });

  scene('curl decodes them all, over HTTP/1.1 and HTTP/2', async (s) => {
    const c = await Cached.start(s, compressed, { answer: () => reply(TEXT, { headers: JSON_TYPE }) });
    for (const version of ['--http1.1', '--http2-prior-knowledge']) {
      const { text, stderr } = await curl(version, '--compressed', `http://127.0.0.1:${c.port}/`);
      assert.equal(text, TEXT, stderr);
    }
    assert.equal(c.asked.length, 1);
  });
});

describe('parts', { concurrency: 3 }, () => {
  const BODY = 'abcdefghijklmnopqrstuvwxyz';

  scene('of what is stored, to curl', async (s) => {
    const c = await Cached.start(s, RULES, { answer: () => reply(BODY, { headers: { ETag: '"one"' } }) });
    const url = `http://127.0.0.1:${c.port}/`;
    const rows = [
      ['0-3', 206, 'abcd', 'bytes 0-3/26'], ['-3', 206, 'xyz', 'bytes 23-25/26'], ['20-', 206, 'uvwxyz', 'bytes 20-25/26'], ['25-99', 206, 'z', 'bytes 25-25/26'],
      ['26-', 416, '', 'bytes */26'], ['3-1', 200, BODY, undefined], ['0-0,2-2', 200, BODY, undefined],
    ];
    for (const [range, status, body, contentRange] of rows) {
      for (const version of ['--http1.1', '--http2-prior-knowledge']) {
        const { text } = await curl(version, '-i', '-r', range, url);
        const [head, ...rest] = text.split('\r\n\r\n');
        assert.equal(Number(head.split(' ')[1]), status, range);
        assert.equal(head.match(/^content-range: (.*)$/im)?.[1], contentRange);
        if (status !== 416) assert.equal(rest.join(''), body);
      }
    }
    assert.equal(c.asked.length, 1);
    assert.equal(c.asked[0].headers.range, undefined);
  });

  scene('under conditions', async (s) => {
    const modified = 'Mon, 01 Jan 2024 00:00:00 GMT';
    const c = await Cached.start(s, RULES, { answer: () => reply(BODY, { headers: { ETag: '"one"', 'Last-Modified': modified } }) });
    const ask = async (headers) => {
      const { status, text } = await c.ask('/', { range: 'bytes=0-3', ...headers });
      return `${status} ${text}`;
    };
    for (const condition of ['"one"', modified]) assert.equal(await ask({ 'if-range': condition }), '206 abcd');
    for (const condition of ['"two"', 'W/"one"', 'Tue, 02 Jan 2024 00:00:00 GMT', 'garbage']) assert.equal(await ask({ 'if-range': condition }), `200 ${BODY}`, condition);
    assert.equal(await ask({ 'if-none-match': '"one"' }), '304 ');
    assert.equal((await c.ask('/', { 'if-match': '"two"', range: 'bytes=0-3' })).status, 412);
    assert.equal(await ask({ 'if-match': '"one"' }), '206 abcd');
    assert.equal(c.asked.length, 1);
  });

  scene('of a coded body', async (s) => {
    const c = await Cached.start(s, { ...RULES, compress: ['gzip'] }, { answer: () => reply(TEXT, { headers: JSON_TYPE }) });
    const whole = (await fetchBytes(c, s, '/', { 'Accept-Encoding': 'gzip' })).body;
    const parts = [];
    for (let at = 0; at < whole.length; at += 300) {
      const part = await fetchBytes(c, s, '/', { 'Accept-Encoding': 'gzip', Range: `bytes=${at}-${at + 299}`, 'If-Range': '"one-gzip"' });
      assert.deepEqual([part.status, part.headers['content-encoding']], [206, 'gzip']);
      parts.push(part.body);
    }
    assert.ok(Buffer.concat(parts).equals(whole));
    const plain = await fetchBytes(c, s, '/', { 'Accept-Encoding': 'gzip', Range: 'bytes=0-9', 'If-Range': '"one"' });
    assert.equal(plain.status === 206 ? plain.body.toString() : plain.status, plain.status === 206 ? TEXT.slice(0, 10) : 200, 'never a part of the other one');
  });
});

describe('delivery', { concurrency: 2 }, () => {
  scene('the empty answer, and those without a body', async (s) => {
    const c = await Cached.start(s, RULES, {
      answer: ({ path }) => ({ '/empty': reply(''), '/204': reply('', { status: 204, headers: { 'Content-Length': null } }), '/301': reply('', { status: 301, headers: { Location: '/x' } }) })[path],
    });
    const client = await s.connect(c.port);
    for (let i = 0; i < 2; i++) {
      for (const [path, status] of [['/empty', 200], ['/204', 204], ['/301', 301]]) {
        const answer = await exchange(client, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
        assert.deepEqual([answer.line.slice(0, 12), answer.body], [`HTTP/1.1 ${status}`, '']);
      }
    }
    assert.equal(c.asked.length, 3);
  });

  scene('requests one behind the other on a connection, some of them waiting for the origin: answers in their order', async (s) => {
    const c = await Cached.start(s, RULES);
    await c.ask('/known', { host: 'a' });
    const client = await s.connect(c.port);
    const paths = ['/known', '/new', '/known', '/new', '/other', '/known'];
    client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    const bodies = [];
    for (let i = 0; i < paths.length; i++) bodies.push((await exchange(client, '')).body);
    assert.deepEqual(bodies, ['v1', 'v2', 'v1', 'v2', 'v3', 'v1']);
  });

  scene('to HTTP/1.0', async (s) => {
    const c = await Cached.start(s, RULES, { answer: () => 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n' });
    for (let i = 0; i < 2; i++) {
      const client = await s.connect(c.port);
      const { body, headers } = await exchange(client, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n');
      assert.deepEqual([body, headers['transfer-encoding'], headers['content-length']], ['one', undefined, '3']);
      await client.ended();
    }
  });

  scene('a large entry to slow clients, while it is replaced: each gets one version, whole', async (s) => {
    const SIZE = 900000;
    let version = 0;
    const c = await Cached.start(s, { ...RULES, tags: ['t'] }, { answer: () => reply(Buffer.alloc(SIZE, `${version++}`)) });
    const clients = [];
    for (let i = 0; i < 5; i++) {
      const raw = await s.connect(c.port);
      raw.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
      await raw.head();
      raw.pause();
      clients.push(raw);
      await c.gateway.ctl('purge', 'tag', 't');
    }
    const session = await h2Connect(s, `http://127.0.0.1:${c.port}`);
    const now = await h2Ask(session, { headers: { ':authority': 'a' } });
    assert.ok(now.body.equals(Buffer.alloc(SIZE, '5')));
    for (const [i, raw] of clients.entries()) {
      raw.resume();
      assert.ok((await raw.take(SIZE)).equals(Buffer.alloc(SIZE, `${i}`)), `client ${i}`);
    }
  });

  scene('what is put out of memory while it is on its way arrives whole', async (s) => {
    const SIZE = 500000;
    const c = await Cached.start(s, RULES, { cache: { memory: '2MiB', max_entry: '512KiB' }, answer: ({ path }) => reply(Buffer.alloc(SIZE, path)) });
    const raw = await s.connect(c.port);
    raw.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await raw.head();
    raw.pause();
    for (let i = 0; i < 10; i++) for (let j = 0; j < 2; j++) await c.ask(`/${i}`, { host: 'a' });
    await waitFor('room to be made', async () => (await c.gateway.metrics()).sum('cache_evicted_total') > 3);
    raw.resume();
    assert.ok((await raw.take(SIZE)).equals(Buffer.alloc(SIZE, '/slow')));
  });
});

