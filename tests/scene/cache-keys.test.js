// Poisoning: whatever an attacker sends, the victim's answer is the one the origin gives to the victim's own request.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { Cached, exchange, h2Ask, h2Connect, ownMemory, isSanitized, reply, scene, waitFor } = require('./lib');

const RULES = { policy: 'stale-while-revalidate', fresh: '1h', stale: '1h' };
const HOST = 'victim.example';

// What the gateway says of its own accord, and so is no client's doing.
const OWN = /^(host|x-request-id|via|x-real-ip|traceparent|forwarded|x-forwarded-(for|proto|host|port))$/;

// An origin that believes all it is told, as those that can be poisoned do.
function gullible({ method, path, headers, body }) {
  const isOwn = ([name, value]) => OWN.test(name) || (name === 'accept-encoding' && value === 'identity');
  const told = Object.fromEntries(Object.entries(headers).filter((field) => !isOwn(field)));
  const [as, scheme] = [headers['x-forwarded-host'], headers['x-forwarded-proto']];
  return reply(JSON.stringify({ method, path, host: headers.host, as, scheme, told, body: body.toString() }));
}

// What the victim is answered by an origin that nobody has spoken to before, ...
const CLEAN = { method: 'GET', path: '/page?id=1', host: HOST, as: HOST, scheme: 'http', told: {}, body: '' };

// ... in its own words: on a connection of its own, with nothing but what it needs.
async function victim(s, c, { path = CLEAN.path, host = HOST } = {}) {
  const { body } = await exchange(await s.connect(c.port), `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return JSON.parse(body);
}

// The attacker's bytes, on a connection of its own; all that comes back in a moment, or nothing.
async function attack(s, c, text) {
  const raw = await s.connect(c.port);
  raw.write(text.includes('\r\n\r\n') ? text : `${text}\r\n\r\n`);
  const head = await raw.head().catch((error) => ({ status: 0, error }));
  raw.destroy();
  return head;
}

describe('a cache that is not poisoned', { concurrency: 3 }, () => {
  const families = [
    ['the host said elsewhere', [
      'X-Forwarded-Host: evil.example', 'X-Host: evil.example', 'X-Forwarded-Server: evil.example', 'Forwarded: host=evil.example;proto=https',
      'X-HTTP-Host-Override: evil.example',
    ]],
    ['the scheme and the port', ['X-Forwarded-Proto: https', 'X-Forwarded-Scheme: nothttps', 'X-Forwarded-Port: 1', 'X-Forwarded-SSL: on', 'Front-End-Https: on']],
    ['the path said elsewhere', ['X-Original-URL: /admin', 'X-Rewrite-URL: /admin', 'X-Forwarded-Path: /admin', 'X-Forwarded-Prefix: /evil', 'Destination: /admin']],
    ['the method said elsewhere', ['X-HTTP-Method-Override: DELETE', 'X-HTTP-Method: PUT', 'X-Method-Override: POST']],
    ['where it comes from', ['Origin: https://evil.example', 'Referer: https://evil.example/', 'X-Forwarded-For: 127.0.0.1', 'True-Client-IP: 127.0.0.1', 'CF-Connecting-IP: 127.0.0.1']],
    ['what is liked', [
      'Accept-Language: xx', 'Accept-Charset: utf-7', 'User-Agent: evil', 'Accept-Encoding: br', 'DPR: 9', 'Save-Data: on', 'Sec-Fetch-Mode: cors',
      'X-Requested-With: XMLHttpRequest',
    ]],
    ['debugging', ['X-Debug: 1', 'Pragma: akamai-x-get-cache-key', 'X-Cache-Key: other', 'Max-Forwards: 0', 'TE: trailers', 'Upgrade-Insecure-Requests: 1']],
    ['conditions and parts', ['If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT', 'If-None-Match: "x"', 'If-Unmodified-Since: Mon, 01 Jan 1990 00:00:00 GMT', 'Range: bytes=0-3', 'Range: items=0-3']],
    ['the hop to the origin', ['Connection: host', 'Connection: x-forwarded-for, close', 'Keep-Alive: timeout=1', 'Proxy-Connection: close', 'Trailer: Host']],
  ];
  for (const [title, fields] of families) {
    scene(`fields that are not in the key do not reach the origin: ${title}`, async (s) => {
      const c = await Cached.start(s, RULES, { answer: gullible });
      for (const [i, field] of fields.entries()) {
        const path = `/page?id=${i}`;
        await attack(s, c, `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${field}`);
        assert.deepEqual(await victim(s, c, { path }), { ...CLEAN, path }, field);
      }
    });
  }

  scene('fields that are in the key make an entry of their own', async (s) => {
    const c = await Cached.start(s, RULES, { answer: gullible });
    for (const field of ['Accept: text/evil', 'apikey: evil', 'Prefer: count=exact', 'Accept-Profile: evil']) {
      const [name, value] = field.split(': ');
      const { body } = await exchange(await s.connect(c.port), `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}\r\n${field}\r\n\r\n`);
      assert.equal(JSON.parse(body).told[name.toLowerCase()], value);
      assert.deepEqual(await victim(s, c), CLEAN);
    }
  });

  scene('a GET with a body, and a method in disguise', async (s) => {
    const c = await Cached.start(s, RULES, { answer: gullible });
    const fat = 'id=evil';
    await attack(s, c, `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: ${fat.length}\r\n\r\n${fat}`);
    await attack(s, c, `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n${fat}\r\n0\r\n\r\n`);
    const session = await h2Connect(s, `http://127.0.0.1:${c.port}`);
    await h2Ask(session, { path: CLEAN.path, headers: { ':authority': HOST }, body: fat });
    await attack(s, c, `POST ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}\r\nX-HTTP-Method-Override: GET\r\nContent-Length: 0\r\n\r\n`);
    for (const method of ['get', 'Get', 'HEAD ', 'GETS', 'OPTIONS', 'TRACE']) await attack(s, c, `${method} ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}`);
    assert.deepEqual(await victim(s, c), CLEAN);
  });

  scene('paths that mean another one to somebody', async (s) => {
    const c = await Cached.start(s, RULES, { answer: gullible });
    const [path, query] = CLEAN.path.split('?');
    const targets = [
      '//page', '/%70age', '/./page', '/x/../page', '/page/', '/page;a=b', '/page%2f', '/page%00', '/page%3Fid=1', '/PAGE', '/page.', '/page%20',
      '\\page', '/page#x', `http://${HOST}:80/page`, 'http://evil.example/page',
    ];
    for (const target of targets) {
      await attack(s, c, `GET ${target}?${query} HTTP/1.1\r\nHost: ${HOST}`);
      assert.deepEqual(await victim(s, c), CLEAN, target);
    }
    assert.equal((await victim(s, c, { path: `/%70age?${query}` })).path, `/%70age?${query}`, 'what is written otherwise is another thing');
    assert.equal((await victim(s, c, { path: `//page?${query}` })).path, `//page?${query}`);
    assert.equal((await victim(s, c, { path })).path, path);
  });

  scene('hosts: case, dots and the port of the scheme make no difference to anybody', async (s) => {
    const c = await Cached.start(s, RULES, { answer: gullible });
    for (const host of ['VICTIM.example', 'victim.example.', 'victim.example:80', 'Victim.Example.:80']) {
      await attack(s, c, `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${host}`);
      assert.deepEqual(await victim(s, c), CLEAN, host);
    }
    assert.equal(c.asked.length, 1, 'all are one');
    for (const host of ['victim.example:8080', 'victim.example@evil.example', 'evil.example', 'victim.example:80:80', 'victim.example,evil.example', '']) {
      await attack(s, c, `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${host}`);
      assert.deepEqual(await victim(s, c), CLEAN, host);
    }
    await attack(s, c, `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}\r\nHost: evil.example`);
    await attack(s, c, `GET http://evil.example${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}`);
    assert.deepEqual(await victim(s, c), CLEAN);
  });

  scene('what a trusted proxy says of host and scheme is believed, and in the key', async (s) => {
    const c = await Cached.start(s, RULES, { answer: gullible, trusted_proxies: ['127.0.0.1'] });
    for (const [name, value] of [['X-Forwarded-Host', 'evil.example'], ['X-Forwarded-Proto', 'https']]) {
      for (let i = 0; i < 2; i++) {
        const { body } = await exchange(await s.connect(c.port), `GET ${CLEAN.path} HTTP/1.1\r\nHost: ${HOST}\r\n${name}: ${value}\r\n\r\n`);
        const said = JSON.parse(body);
        assert.equal(name === 'X-Forwarded-Host' ? said.as : said.scheme, value);
      }
      assert.deepEqual(await victim(s, c), CLEAN);
    }
    assert.equal(c.asked.length, 3);
  });

  scene('queries: sorted; what is dropped reaches nobody; what merely looks the same is not', async (s) => {
    const c = await Cached.start(s, { ...RULES, query: { drop: ['utm_*', 'callback'] } }, { answer: gullible });
    const path = '/page?a=1&b=2';
    for (const query of ['b=2&a=1', 'utm_source=x&a=1&b=2', 'a=1&callback=evil&b=2', 'a=1&utm_=&b=2&%75tm_x=1']) {
      await attack(s, c, `GET /page?${query} HTTP/1.1\r\nHost: ${HOST}`);
    }
    assert.equal(c.asked.length, 1);
    assert.deepEqual(await victim(s, c, { path }), { ...CLEAN, path });
    for (const query of ['a=1;b=2', 'a=1&b=2&b=3', 'a=1&b=2&a=3', 'a=1&b=2%26callback=evil', 'a=1&b=2%00', 'a=1&&b=2', 'a=1&b=2&', 'A=1&b=2', 'a=1&b=%32', 'a=1&b=2+']) {
      await attack(s, c, `GET /page?${query} HTTP/1.1\r\nHost: ${HOST}`);
      assert.deepEqual(await victim(s, c, { path }), { ...CLEAN, path }, query);
    }
    for (const order of ['x=1&x=2', 'x=2&x=1']) assert.equal((await victim(s, c, { path: `/page?${order}` })).path, `/page?${order}`, 'the order of one name counts');
  });

  scene('queries of which some parameters are kept: the others are one to everybody, and reach nobody', async (s) => {
    const c = await Cached.start(s, { ...RULES, query: { keep: ['id', 'page'] } }, { answer: gullible });
    const path = '/page?id=1&page=2';
    for (const query of ['page=2&id=1', 'x=evil&id=1&page=2', 'id=1&callback=evil&page=2&', 'utm_source=y&id=1&page=2', 'Id=9&id=1&page=2', 'ids=9&id=1&page=2']) {
      await attack(s, c, `GET /page?${query} HTTP/1.1\r\nHost: ${HOST}`);
    }
    assert.deepEqual(c.asked.map((asked) => asked.path), [path]);
    assert.deepEqual(await victim(s, c, { path }), { ...CLEAN, path });
    for (const [query, seen] of [['id=2&page=2', '?id=2&page=2'], ['id=1&id=2&page=2', '?id=1&id=2&page=2'], ['x=1', ''], ['', '']]) {
      assert.equal((await victim(s, c, { path: `/page?${query}` })).path.replace('/page', '').replace(/\?$/, ''), seen, query);
    }
  });

  scene('queries that are not sorted: each order is its own, and comes to the origin as it was', async (s) => {
    const c = await Cached.start(s, { ...RULES, query: { sort: false } }, { answer: gullible });
    for (let i = 0; i < 2; i++) for (const query of ['b=2&a=1', 'a=1&b=2']) assert.equal((await victim(s, c, { path: `/page?${query}` })).path, `/page?${query}`);
    assert.equal(c.asked.length, 2);
  });

  scene('values that look like parts of a key', async (s) => {
    const c = await Cached.start(s, { ...RULES, headers: ['X-A', 'X-B'] }, { answer: gullible });
    const values = ['x-b:1:y', '1:a\t1:b', 'a,b', '4:GET ', '3:x-b1:y', '%00', 'a"b', '', ' ', '\x80\xff'];
    const seen = new Map();
    for (const a of values) {
      for (const b of values) {
        const raw = await s.connect(c.port);
        raw.write(Buffer.from(`GET /v HTTP/1.1\r\nHost: ${HOST}\r\nX-A: ${a}\r\nX-B: ${b}\r\n\r\n`, 'latin1'));
        const head = await raw.head();
        const { told } = JSON.parse(await raw.take(Number(head.headers['content-length'])));
        assert.deepEqual([told['x-a'], told['x-b']], [a.trim(), b.trim()].map((v) => Buffer.from(v, 'latin1').toString('latin1')));
        seen.set(JSON.stringify([a.trim(), b.trim()]), true);
        raw.destroy();
      }
    }
    const { body } = await exchange(await s.connect(c.port), `GET /v HTTP/1.1\r\nHost: ${HOST}\r\nX-A: a\r\nX-A: b\r\n\r\n`);
    assert.equal(JSON.parse(body).told['x-a'], 'a, b');
    assert.equal((await victim(s, c, { path: '/v' })).told['x-a'], undefined);
    assert.equal(c.asked.length, seen.size + 2);
  });

  scene('a part of an answer is not stored as the whole', async (s) => {
    const c = await Cached.start(s, RULES, {
      answer: ({ headers }) => (headers.range ? reply('part', { status: 206, headers: { 'Content-Range': 'bytes 0-3/9' } }) : reply('the whole')),
    });
    for (const range of ['bytes=0-3', 'bytes=0-0,2-2', 'bytes=-1', 'items=0-3', 'bytes=9-0']) {
      const attacked = await c.ask('/', { range });
      assert.ok([200, 206, 416].includes(attacked.status));
      assert.equal((await c.ask()).text, 'the whole');
    }
    const liar = await Cached.start(s, RULES, { answer: () => reply('part', { status: 206, headers: { 'Content-Range': 'bytes 0-3/9' } }) });
    for (let i = 0; i < 2; i++) assert.equal((await liar.ask()).told.hit, undefined);
  });

  scene('what the origin varies by is told apart, whoever came first', async (s) => {
    const c = await Cached.start(s, RULES, { answer: ({ headers }) => reply(headers['accept-language'] ?? 'none', { headers: { Vary: 'Accept-Language' } }) });
    const languages = ['de', 'fr', undefined, 'de, fr', 'fr, de'];
    for (let i = 0; i < 2; i++) for (const language of languages) assert.equal((await c.ask('/', language && { 'accept-language': language })).text, language ?? 'none');
    const count = c.asked.length;
    assert.ok(count <= languages.length + 1, `${count} requests`);
    for (const language of languages) assert.ok((await c.ask('/', language && { 'accept-language': language })).told.hit);
  });

  scene('an answer that varies by everything is not kept; one that varies by User-Agent takes no more memory than it may', async (s) => {
    const vary = { '/all': '*', '/many': 'a, b, c, d, e, f, g, h, i', '/cookie': 'Cookie', '/agent': 'User-Agent' };
    const c = await Cached.start(s, { ...RULES, ignore: ['cookie'] }, {
      cache: { memory: '1MiB' },
      answer: ({ path }) => reply(path.padEnd(20000), { headers: { Vary: vary[path] } }),
    });
    for (const path of ['/all', '/many']) for (let i = 0; i < 2; i++) assert.equal((await c.ask(path)).told.hit, undefined);
    const worker = (await c.gateway.processes())['worker-0'].pid;
    for (let i = 0; i < 50; i++) await c.ask('/agent', { 'user-agent': `warm ${i}` });
    const before = ownMemory(worker);
    for (let i = 0; i < 500; i++) await c.ask('/agent', { 'user-agent': `agent ${i} ${'x'.repeat(1000)}` });
    const metrics = await waitFor('room to be made', async () => {
      const now = await c.gateway.metrics();
      return now.sum('cache_evicted_total') > 450 && now;
    });
    assert.ok(metrics.sum('cache_bytes') <= 1 << 20);
    if (!isSanitized) assert.ok(ownMemory(worker) - before < 2 << 20, `${ownMemory(worker) - before} bytes more`);
  });

  scene('a query that is too long, or has too many parameters, is for the origin alone', async (s) => {
    const c = await Cached.start(s, RULES, { answer: ({ path }) => reply(String(path.length)) });
    const huge = [`/q?x=${'y'.repeat(7500)}`, `/q?${Array.from({ length: 300 }, (_, i) => `p${i}=1`).join('&')}`];
    for (const path of huge) {
      for (let i = 0; i < 2; i++) {
        const answer = await c.ask(path, { apikey: 'k', accept: 'z'.repeat(1000) });
        assert.deepEqual([answer.text, answer.told.fwd, answer.told.detail], [String(path.length), 'bypass', 'key']);
      }
    }
    assert.equal((await c.gateway.metrics()).sum('cache_entries'), 0);
  });

  scene('requests that are refused poison nothing: the refusal is not kept', async (s) => {
    const c = await Cached.start(s, { ...RULES, headers: ['X-Long'] }, {
      answer: ({ headers, path }) => (Object.keys(headers).some((name) => name.startsWith('x-oversize')) || headers['x-long']?.length > 100 ? reply('bad', { status: 400 }) : reply(path)),
    });
    await c.ask('/', { 'x-oversize': 'y'.repeat(3000) });
    assert.equal((await c.ask()).text, '/');
    assert.equal((await c.ask('/', { 'x-long': 'y'.repeat(200) })).status, 400);
    assert.equal((await c.ask()).text, '/');
    await attack(s, c, `GET /meta HTTP/1.1\r\nHost: ${HOST}\r\nX-Meta: a\x01b`);
    await attack(s, c, `GET /meta HTTP/1.1\r\nHost: ${HOST}\r\nX-Long: ${'y'.repeat(100000)}`);
    assert.equal((await c.ask('/meta', { host: HOST })).text, '/meta');
  });
});
