// The handshake from both ends: what a server sees of a client, what a client hears when it is refused, by whom and how.
'use strict';

const assert = require('node:assert/strict');
const { describe } = require('node:test');
const { closeFrame, frame, get, request, scene, upgradeAnswer, upgradeRequest, waitFor, within } = require('./lib');

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const NO_CHECK = { type: 'none' };

// A server played by hand: `serve` gets each connection with its request's head; without it all are upgraded. `next()` resolves
// with the next head.
async function backend(s, serve = (raw, head) => raw.write(upgradeAnswer(head))) {
  const heads = [];
  const takers = [];
  const b = {
    count: 0,
    next: () => within(5000, 'a request at the server', heads.length > 0 ? Promise.resolve(heads.shift()) : new Promise((resolve) => takers.push(resolve))),
  };
  b.port = await s.server(async (raw) => {
    raw.socket.on('end', () => raw.finish());
    let head;
    try {
      head = await raw.head();
    } catch {
      return; // nothing was asked
    }
    b.count++;
    const taker = takers.shift();
    if (taker) taker({ ...head, raw });
    else heads.push({ ...head, raw });
    serve(raw, head);
  });
  b.url = `ws://127.0.0.1:${b.port}`;
  return b;
}

// A gateway with one pool and one route, and what differs from that.
function front(s, url, { pool, route, ...rest } = {}) {
  return s.gateway({
    pools: { p: { check: NO_CHECK, servers: [{ name: 'a', url }], ...pool } },
    routes: [{ path: '/', pool: 'p', ...route }],
    ...rest,
  });
}

// Sends text and returns the connection and the answer's head.
async function ask(s, gateway, text, options) {
  const raw = await s.connect(gateway.port, options);
  raw.write(text);
  return { raw, answer: await raw.head() };
}

// The answer's body, by its Content-Length.
async function body({ raw, answer }) {
  if (answer.headers['transfer-encoding'] !== 'chunked')
    return (await raw.take(Number(answer.headers['content-length']))).toString();
  const pieces = [];
  for (;;) {
    let line = '';
    while (!line.endsWith('\r\n')) line += await raw.take(1);
    const size = Number.parseInt(line, 16);
    const piece = await raw.take(size + 2);
    if (size === 0) return Buffer.concat(pieces).toString();
    pieces.push(piece.subarray(0, size));
  }
}

const names = (head) => head.text.split('\r\n').slice(1).map((line) => line.slice(0, line.indexOf(':')));

describe('handshake: what the server sees', { concurrency: true }, () => {
  scene('a client nobody vouches for: what it says about itself is replaced', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { trusted_proxies: ['127.0.0.9/32'] });
    const { answer } = await ask(s, gateway, upgradeRequest({
      path: '/chat',
      host: 'chat.example.com:8080',
      headers: {
        'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'evil.example.com', 'X-Forwarded-Anything': '1',
        'X_Forwarded_For': '192.0.2.2', Forwarded: 'for=192.0.2.3', 'X-Real-IP': '192.0.2.4', 'X-Request-Id': 'mine',
      },
    }));
    assert.equal(answer.status, 101);
    const seen = await b.next();
    assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(seen.headers['x-forwarded-proto'], 'http');
    assert.equal(seen.headers['x-forwarded-host'], 'chat.example.com:8080');
    assert.equal(seen.headers.forwarded, 'for=127.0.0.1;host="chat.example.com:8080";proto=http');
    assert.match(seen.headers['x-request-id'], /^[0-9a-f]{24}$/);
    assert.equal(answer.headers['x-request-id'], seen.headers['x-request-id']);
    assert.equal(seen.headers.host, 'chat.example.com:8080');
    assert.doesNotMatch(seen.text, /192\.0\.2|evil|mine|Anything/);
  });

  scene('a trusted proxy: what it says is continued', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { trusted_proxies: ['127.0.0.9/32'] });
    const { answer } = await ask(s, gateway, upgradeRequest({
      host: 'inner',
      headers: {
        'X-Forwarded-For': '192.0.2.1, 192.0.2.2', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'chat.example.com',
        Forwarded: 'for=192.0.2.1;proto=https', 'X-Real-IP': '192.0.2.1', 'X-Request-Id': 'edge-1:7',
      },
    }), { from: '127.0.0.9' });
    const { headers } = await b.next();
    assert.equal(headers['x-forwarded-for'], '192.0.2.1, 192.0.2.2, 127.0.0.9');
    assert.equal(headers['x-forwarded-proto'], 'https');
    assert.equal(headers['x-forwarded-host'], 'chat.example.com');
    assert.equal(headers.forwarded, 'for=192.0.2.1;proto=https, for=127.0.0.9;host="inner";proto=http');
    assert.equal(headers['x-real-ip'], '192.0.2.1');
    assert.equal(headers['x-request-id'], 'edge-1:7');
    assert.equal(answer.headers['x-request-id'], 'edge-1:7');
    const odd = await ask(s, gateway, upgradeRequest({ headers: { 'X-Request-Id': 'no spaces here' } }), { from: '127.0.0.9' });
    assert.match(odd.answer.headers['x-request-id'], /^[0-9a-f]{24}$/);
  });

  scene('end-to-end fields pass as they were written, hop-by-hop ones and extensions do not', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url);
    const head = [
      'GET /chat?room=%2f1&x HTTP/1.1', 'hOST: chat.example.com', 'Upgrade: h2c, WebSocket', 'connection: keep-alive, X-Private, Cookie, Host', 'Connection: UPGRADE',
      'Cookie: a=1; b="2"', 'Origin: https://app.example.com', 'X-Private: 1', 'Keep-Alive: timeout=5', 'TE: trailers', 'Proxy-Connection: keep-alive',
      'Proxy-Authorization: Basic eDp5', 'Proxy: http://evil.example.com', 'HTTP2-Settings: AAMAAABk', 'Authorization: Bearer t0ken', 'x-TwIce: 1', 'X-Twice: 2',
      `Sec-WebSocket-Key: ${KEY}`, 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits', 'User-Agent:   scene  ',
    ];
    const { answer } = await ask(s, gateway, `${head.join('\r\n')}\r\n\r\n`);
    assert.equal(answer.status, 101);
    assert.equal(answer.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    const seen = await b.next();
    assert.equal(seen.line, 'GET /chat?room=%2f1&x HTTP/1.1');
    assert.deepEqual(names(seen), [
      'Host', 'Cookie', 'Origin', 'Authorization', 'x-TwIce', 'X-Twice', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version', 'User-Agent',
      'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'Forwarded', 'X-Request-Id', 'Via', 'Upgrade', 'Connection',
    ]);
    assert.equal(seen.headers.cookie, 'a=1; b="2"');
    assert.equal(seen.headers.connection, 'Upgrade');
    assert.equal(seen.headers.upgrade, 'websocket');
    assert.equal(seen.headers['user-agent'], 'scene');
  });

  scene("the path of the server's url goes before the client's, whatever form the target has", async (s) => {
    const b = await backend(s);
    const gateway = await front(s, `${b.url}/base`);
    for (const [path, line] of [
      ['/', 'GET /base/ HTTP/1.1'],
      ['/a/b?x=1&y=%20', 'GET /base/a/b?x=1&y=%20 HTTP/1.1'],
      ['/a?', 'GET /base/a? HTTP/1.1'],
      ['/%61//b', 'GET /base/%61//b HTTP/1.1'],
      ['http://other.example.com/c?d', 'GET /base/c?d HTTP/1.1'],
    ]) {
      await ask(s, gateway, upgradeRequest({ path, host: 'h' }));
      const seen = await b.next();
      assert.equal(seen.line, line);
      assert.equal(seen.headers.host, path.startsWith('http') ? 'other.example.com' : 'h');
    }
  });

  scene('routes: the longest path, an exact host before a wildcard, a wildcard before any', async (s) => {
    const label = (name) => (raw, head) => raw.write(upgradeAnswer(head, { 'X-Server': name }));
    const servers = ['any', 'chat', 'deep', 'exact', 'wild', 'slash'];
    const backends = await Promise.all(servers.map((name) => backend(s, label(name))));
    const gateway = await s.gateway({
      pools: Object.fromEntries(servers.map((name, i) => [name, { check: NO_CHECK, servers: [{ name, url: backends[i].url }] }])),
      routes: [
        { path: '/', pool: 'any' },
        { path: '/chat', pool: 'chat' },
        { path: '/chat/deep/', pool: 'deep' },
        { path: '/chat', host: 'rt.example.com', pool: 'exact' },
        { path: '/chat', host: '*.example.com', pool: 'wild' },
        { path: '/only/', host: 'rt.example.com', pool: 'slash' },
      ],
    });
    for (const [host, path, server] of [
      ['h', '/', 'any'], ['h', '/chats', 'any'], ['h', '/chat', 'chat'], ['h', '/chat/', 'chat'], ['h', '/chat/1?x=/chat/deep/', 'chat'], ['h', '/%63hat/1', 'chat'],
      ['h', '/chat/deep', 'chat'], ['h', '/chat/deep/1', 'deep'], ['h', '/CHAT', 'any'], ['RT.Example.COM:8443', '/chat', 'exact'], ['rt.example.com.', '/chat/2', 'exact'],
      ['a.example.com', '/chat', 'wild'], ['a.b.example.com', '/chat', 'wild'], ['example.com', '/chat', 'chat'], ['rt.example.com', '/chat/deep/1', 'deep'],
      ['rt.example.com', '/only/1', 'slash'], ['h', '/only/1', 'any'],
    ]) {
      const { raw, answer } = await ask(s, gateway, upgradeRequest({ host, path }));
      assert.equal(answer.headers['x-server'], server, `${host}${path}`);
      raw.destroy();
    }
  });

  scene("the server's answer: its fields and subprotocol reach the client, its hop-by-hop fields do not", async (s) => {
    const b = await backend(s, (raw, head) => raw.write(upgradeAnswer(head, {
      'Set-Cookie': 'sid=1; HttpOnly', 'Sec-WebSocket-Protocol': 'chat.v2', 'Keep-Alive': 'timeout=5', 'X-Thing': 'yes', Connection: 'Upgrade, X-Thing',
    })));
    const gateway = await front(s, b.url);
    const { answer } = await ask(s, gateway, upgradeRequest({ headers: { 'Sec-WebSocket-Protocol': ['chat.v1, chat.v2', 'other'] } }));
    const seen = await b.next();
    assert.equal(seen.headers['sec-websocket-protocol'], 'chat.v1, chat.v2, other');
    assert.equal(answer.line, 'HTTP/1.1 101 Switching Protocols');
    assert.equal(answer.headers['set-cookie'], 'sid=1; HttpOnly');
    assert.equal(answer.headers['sec-websocket-protocol'], 'chat.v2');
    assert.equal(answer.headers.connection, 'Upgrade');
    assert.equal(answer.headers['x-thing'], undefined);
    assert.equal(answer.headers['keep-alive'], undefined);
  });

  scene('what either side says before the other is ready is kept, in order', async (s) => {
    const b = await backend(s, (raw, head) => raw.write(Buffer.concat([Buffer.from(upgradeAnswer(head)), frame({ payload: 'hello' })])));
    const gateway = await front(s, b.url);
    const early = frame({ payload: 'early', mask: true });
    const { raw, answer } = await ask(s, gateway, Buffer.concat([Buffer.from(upgradeRequest()), early]));
    assert.equal(answer.status, 101);
    assert.equal((await raw.frame()).payload.toString(), 'hello');
    const { raw: server } = await b.next();
    assert.equal((await server.frame()).payload.toString(), 'early');
  });
});

describe("handshake: the gateway's refusals", { concurrency: true }, () => {
  scene('400, 404, 405, 426: nothing of it reaches a server', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { route: { path: '/ws' } });
    const ws = (headers, options) => upgradeRequest({ path: '/ws', headers, ...options });
    for (const [what, text, status] of [
      ['no route', upgradeRequest({ path: '/elsewhere' }), 404],
      ['no route, plain', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n', 404],
      ['plain', 'GET /ws HTTP/1.1\r\nHost: h\r\n\r\n', 426],
      ['another protocol', ws({ Upgrade: 'h2c' }), 426],
      ['connection without upgrade', ws({ Connection: 'keep-alive' }), 426],
      ['version 8', ws({ 'Sec-WebSocket-Version': '8' }), 426],
      ['no version', ws({ 'Sec-WebSocket-Version': null }), 426],
      ['two versions', ws({ 'Sec-WebSocket-Version': ['13', '8'] }), 426],
      ['no key', ws({ 'Sec-WebSocket-Key': null }), 400],
      ['a short key', ws({ 'Sec-WebSocket-Key': 'c2hvcnQ=' }), 400],
      ['two keys', ws({ 'Sec-WebSocket-Key': [KEY, KEY] }), 400],
      ['no host', ws({ Host: null }), 400],
      ['another method', ws({}, { method: 'POST' }), 405],
      ['HTTP/1.0', ws({}, { version: 'HTTP/1.0' }), 400],
      ['dot segments', upgradeRequest({ path: '/ws/../x' }), 400],
      ['escaped dot segments', upgradeRequest({ path: '/ws/%2e%2e/x' }), 400],
    ]) {
      const { raw, answer } = await ask(s, gateway, text);
      assert.equal(answer.status, status, what);
      assert.equal(answer.headers['sec-websocket-version'], status === 426 ? '13' : undefined, what);
      if (status === 426) assert.match(answer.headers.upgrade, /websocket/);
      const told = JSON.parse(await body({ raw, answer }));
      assert.equal(told.status, status);
      assert.equal(told.request_id, answer.headers['x-request-id']);
      raw.destroy();
    }
    assert.equal(b.count, 0);
  });

  scene('502: nobody listens, or what listens does not speak WebSocket', async (s) => {
    const nobody = await front(s, `ws://127.0.0.1:${await s.freePort()}`, { pool: { circuit: { failures: 0 } } });
    assert.equal((await ask(s, nobody, upgradeRequest())).answer.status, 502);
    let reply;
    const b = await backend(s, (raw, head) => {
      if (reply) raw.write(reply(head));
      else raw.reset();
    });
    const gateway = await front(s, b.url, { pool: { max_retries: 0, circuit: { failures: 0 } } });
    for (const [what, each] of [
      ['a reset', undefined],
      ['not HTTP', () => 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
      ['a forged accept', (head) => upgradeAnswer(head, { 'Sec-WebSocket-Accept': 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=' })],
      ['no accept', (head) => upgradeAnswer(head, { 'Sec-WebSocket-Accept': null })],
      ['another protocol', (head) => upgradeAnswer(head, { Upgrade: 'h2c' })],
      ['a subprotocol nobody offered', (head) => upgradeAnswer(head, { 'Sec-WebSocket-Protocol': 'chat' })],
      ['an extension nobody offered', (head) => upgradeAnswer(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate' })],
      ['an endless head', () => `HTTP/1.1 101 Switching Protocols\r\nX: ${'x'.repeat(70000)}`],
      ['two framings', () => 'HTTP/1.1 403 No\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ]) {
      reply = each;
      const { raw, answer } = await ask(s, gateway, upgradeRequest());
      assert.equal(answer.status, 502, what);
      assert.doesNotMatch(await body({ raw, answer }), /SSH/);
      raw.destroy();
    }
  });

  scene('503 with Retry-After: no server to offer', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { pool: { servers: [{ name: 'a', url: b.url, drain: true }] } });
    const { answer } = await ask(s, gateway, upgradeRequest());
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers['retry-after']) > 0);
    assert.equal(b.count, 0);
  });

  scene("a server's own 500 or 503 reaches the client as it is, when no other server is left to ask", async (s) => {
    for (const line of ['500 Oops', '503 Service Unavailable']) {
      const b = await backend(s, (raw) => raw.write(`HTTP/1.1 ${line}\r\nContent-Length: 4\r\nX-Why: tired\r\n\r\noops`));
      const gateway = await front(s, b.url, { pool: { max_retries: 1 } });
      const { raw, answer } = await ask(s, gateway, upgradeRequest());
      assert.equal(answer.line, `HTTP/1.1 ${line}`);
      assert.equal(answer.headers['x-why'], 'tired');
      assert.equal(await body({ raw, answer }), 'oops');
    }
  });

  scene('504: the server takes the request and never answers', async (s) => {
    const b = await backend(s, () => {});
    const gateway = await front(s, b.url, { pool: { upgrade_timeout: '100ms', failover_timeout: '150ms' } });
    assert.equal((await ask(s, gateway, upgradeRequest())).answer.status, 504);
  });

  scene('requests two readers could read in two ways are refused, and nothing of them reaches a server', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url);
    const upgrade = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n`;
    const hidden = `GET /hidden HTTP/1.1\r\nHost: h\r\n${upgrade}\r\n`;
    const get_ = (fields) => `GET / HTTP/1.1\r\nHost: h\r\n${upgrade}${fields}\r\n`;
    for (const [what, text, status = 400] of [
      ['both framings', `${get_('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n')}0\r\n\r\n${hidden}`],
      ['two lengths', `${get_('Content-Length: 0\r\nContent-Length: 5\r\n')}${hidden}`],
      ['a list of lengths', `${get_('Content-Length: 0, 0\r\n')}${hidden}`],
      ['a signed length', `${get_('Content-Length: +5\r\n')}${hidden}`],
      ['a negative length', `${get_('Content-Length: -1\r\n')}${hidden}`],
      ['an endless length', `${get_('Content-Length: 99999999999999999999\r\n')}${hidden}`],
      ['chunked twice', `${get_('Transfer-Encoding: chunked, chunked\r\n')}${hidden}`],
      ['an unknown coding', `${get_('Transfer-Encoding: xchunked\r\n')}${hidden}`, 501],
      ['a space before the colon', `${get_('Content-Length : 5\r\n')}${hidden}`],
      ['a folded line', `${get_('X-A: 1\r\n  Content-Length: 5\r\n')}${hidden}`],
      ['a line feed alone', `GET / HTTP/1.1\nHost: h\n${upgrade}\n`],
      ['a carriage return alone', `${get_('X-A: 1\rContent-Length: 5\r\n')}${hidden}`],
      ['a NUL', `${get_('X-A: 1\0\r\n')}${hidden}`],
      ['a field without a colon', `${get_('Content-Length\r\n')}${hidden}`],
      ['two hosts', `${get_('Host: other\r\n')}${hidden}`],
      ['a host with a path', `GET / HTTP/1.1\r\nHost: h/x\r\n${upgrade}\r\n`],
      ['a space in the target', `GET /a b HTTP/1.1\r\nHost: h\r\n${upgrade}\r\n`],
      ['a fragment in the target', `GET /a#b HTTP/1.1\r\nHost: h\r\n${upgrade}\r\n`],
      ['CONNECT', 'CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n', 501],
      ['TLS', Buffer.from('16030100c8010000c40303', 'hex')],
    ]) {
      const { raw, answer } = await ask(s, gateway, text);
      assert.equal(answer.status, status, what);
      await body({ raw, answer });
      assert.equal(await raw.ended(), 'closed', what);
      assert.equal(raw.bytes.length, 0, `${what}: answered once`);
      raw.destroy();
    }
    assert.equal(b.count, 0);
  });

  scene('408: a head that does not come to its end; and one who says nothing is shown the door without a word', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { limits: { header_timeout: '1s' } });
    const silent = await s.connect(gateway.port);
    const slow = await ask(s, gateway, 'GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ');
    assert.equal(slow.answer.status, 408);
    assert.equal(slow.answer.headers.connection, 'close');
    assert.equal(await silent.ended(), 'closed');
    assert.equal(silent.bytes.length, 0);
  });

  scene('431 and 414: heads, fields and targets beyond their limits', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { limits: { header_bytes: '4KiB' } });
    const fields = (count) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-${i}`, '1']));
    for (const [what, text, status] of [
      ['as long as allowed', upgradeRequest({ headers: { 'X-Long': 'x'.repeat(3700) } }), 101],
      ['one long field', upgradeRequest({ headers: { 'X-Long': 'x'.repeat(4096) } }), 431],
      ['an endless field', `GET / HTTP/1.1\r\nHost: h\r\nX: ${'x'.repeat(100000)}`, 431],
      ['many fields', upgradeRequest({ headers: fields(101) }), 431],
      ['a long target', upgradeRequest({ path: `/${'x'.repeat(4096)}` }), 414],
    ]) {
      const { raw, answer } = await ask(s, gateway, text);
      assert.equal(answer.status, status, what);
      raw.destroy();
    }
  });

  scene('a refused client may ask again on the same connection, and ask ahead', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { route: { path: '/ws' }, health: { path: '/healthz' } });
    const nowhere = 'GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n';
    const { raw, answer } = await ask(s, gateway, nowhere);
    assert.equal(answer.headers.connection, undefined);
    await body({ raw, answer });
    const health = 'GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n';
    const more = [health, nowhere, `HEAD${health.slice(3)}`, upgradeRequest({ path: '/ws' })];
    raw.write(more.join(''));
    for (const [i, status] of [200, 404, 200].entries()) {
      const head = await raw.head();
      assert.equal(head.status, status);
      if (i < 2) await body({ raw, answer: head });
    }
    assert.equal((await raw.head()).status, 101);
    const { raw: server } = await b.next();
    raw.write(frame({ payload: 'through', mask: true }));
    assert.equal((await server.frame()).payload.toString(), 'through');
  });

  scene('a hundred requests in one write are answered one by one, and Connection: close is obeyed', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { route: { path: '/ws' } });
    const raw = await s.connect(gateway.port);
    const text = Array.from({ length: 100 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: h\r\n${i === 98 ? 'Connection: close\r\n' : ''}\r\n`).join('');
    raw.write(text);
    const ids = new Set();
    for (let i = 0; i < 99; i++) {
      const answer = await raw.head();
      assert.equal(answer.status, 404);
      ids.add(answer.headers['x-request-id']);
      await body({ raw, answer });
    }
    assert.equal(ids.size, 99);
    await raw.ended();
    assert.equal(raw.bytes.length, 0);
  });

  scene('the health path is answered on the listener, for any host and before any route', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { health: { path: '/healthz' } });
    const health = await get(gateway.port, '/healthz', { headers: { host: 'whatever.example.com' } });
    assert.equal(health.status, 200);
    assert.equal(health.json.status, 'ok');
    assert.equal((await get(gateway.port, '/healthz?verbose')).status, 200);
    const head = await request({ port: gateway.port, path: '/healthz', method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.text, '');
    assert.equal((await request({ port: gateway.port, path: '/healthz', method: 'POST', body: '{}' })).status, 405);
    assert.equal((await get(gateway.port, '/healthz/x')).status, 426);
    assert.equal(b.count, 0);
  });
});

describe("handshake: the server's refusals", { concurrency: true }, () => {
  scene('401, 403, 404, 429 reach the client with fields and body, and it may ask again', async (s) => {
    const replies = {
      '/401': 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 5\r\n\r\nsorry',
      '/403': 'HTTP/1.1 403 Nope\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nfor\r\n6\r\nbidden\r\n0\r\nX-Trailer: 1\r\n\r\n',
      '/404': 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nKeep-Alive: timeout=5\r\n\r\n',
      '/429': 'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow',
      '/302': 'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
    };
    const b = await backend(s, (raw, head) => {
      raw.write(replies[head.line.split(' ')[1]]);
      raw.finish();
    });
    const gateway = await front(s, b.url);
    const raw = await s.connect(gateway.port);
    const refused = async (path) => {
      raw.write(upgradeRequest({ path }));
      return raw.head();
    };
    let answer = await refused('/401');
    assert.equal(answer.line, 'HTTP/1.1 401 Unauthorized');
    assert.equal(answer.headers['www-authenticate'], 'Bearer');
    assert.equal(await body({ raw, answer }), 'sorry');
    answer = await refused('/403');
    assert.equal(answer.line, 'HTTP/1.1 403 Nope');
    assert.equal(answer.headers['transfer-encoding'], 'chunked');
    const chunks = '3\r\nfor\r\n6\r\nbidden\r\n0\r\n\r\n'; /* extensions and trailers end here */
    assert.equal((await raw.take(chunks.length)).toString(), chunks);
    answer = await refused('/404');
    assert.equal(answer.status, 404);
    assert.equal(answer.headers['keep-alive'], undefined);
    answer = await refused('/429');
    assert.equal(answer.headers['retry-after'], '7');
    assert.equal(await body({ raw, answer }), 'slow');
    assert.equal((await refused('/302')).headers.location, '/elsewhere');
  });

  scene('a body that ends with its connection comes whole, however slow it is read, and the client may ask again', async (s) => {
    const size = 3 << 20;
    const b = await backend(s, (raw) => {
      raw.write('HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\n');
      raw.write(Buffer.alloc(size, 'x'));
      raw.finish();
    });
    const gateway = await front(s, b.url);
    const raw = await s.connect(gateway.port);
    raw.pause();
    raw.write(upgradeRequest());
    await b.next();
    raw.resume();
    const answer = await raw.head();
    assert.equal(answer.status, 403);
    assert.equal(answer.headers['transfer-encoding'], 'chunked');
    assert.equal(await body({ raw, answer }), 'x'.repeat(size));
    raw.write(upgradeRequest());
    assert.equal((await raw.head()).status, 403);
  });

  scene('a body cut short is not passed off as whole', async (s) => {
    const b = await backend(s, (raw) => {
      raw.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nonly this');
      raw.finish();
    });
    const { raw, answer } = await ask(s, await front(s, b.url), upgradeRequest());
    assert.equal(answer.headers['content-length'], '100');
    await raw.ended();
    assert.equal(raw.bytes.toString(), 'only this');
  });

  scene('interim answers are not for a client who waits for an upgrade', async (s) => {
    const b = await backend(s, (raw, head) => raw.write(`HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${upgradeAnswer(head)}`));
    const { answer } = await ask(s, await front(s, b.url), upgradeRequest());
    assert.equal(answer.status, 101);
  });
});

describe('handshake: limits', { concurrency: true }, () => {
  scene('limits.connections: who comes too many is told 503 and when to come back', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { limits: { connections: 2 } });
    const first = await ask(s, gateway, upgradeRequest());
    await ask(s, gateway, upgradeRequest());
    const third = await s.connect(gateway.port);
    const answer = await third.head();
    assert.equal(answer.status, 503);
    assert.ok(Number(answer.headers['retry-after']) > 0);
    await third.ended();
    first.raw.write(closeFrame(1000, '', { mask: true }));
    const { raw: server } = await b.next();
    await server.closing();
    server.write(closeFrame(1000));
    await first.raw.closing();
    first.raw.finish();
    server.finish();
    await waitFor('a free place', async () => (await ask(s, gateway, upgradeRequest())).answer.status === 101);
  });

  scene('limits.per_client counts addresses', async (s) => {
    const b = await backend(s);
    const gateway = await front(s, b.url, { limits: { per_client: 2 } });
    for (const from of ['127.0.0.21', '127.0.0.22']) {
      for (let i = 0; i < 2; i++) assert.equal((await ask(s, gateway, upgradeRequest(), { from })).answer.status, 101);
      const raw = await s.connect(gateway.port, { from });
      assert.equal((await raw.head()).status, 503);
    }
  });

  scene('limits of a route: 503 for its WebSockets, 429 for one client of many', async (s) => {
    const b = await backend(s);
    const gateway = await s.gateway({
      pools: { p: { check: NO_CHECK, servers: [{ name: 'a', url: b.url }] } },
      routes: [
        { path: '/few', pool: 'p', limits: { connections: 2 } },
        { path: '/each', pool: 'p', limits: { per_client: 2 } },
        { path: '/', pool: 'p' },
      ],
    });
    const open = async (path, from) => (await ask(s, gateway, upgradeRequest({ path }), { from })).answer;
    for (let i = 0; i < 2; i++) assert.equal((await open('/few', `127.0.0.3${i}`)).status, 101);
    const full = await open('/few', '127.0.0.33');
    assert.equal(full.status, 503);
    assert.ok(Number(full.headers['retry-after']) > 0);
    assert.equal((await open('/', '127.0.0.33')).status, 101);
    for (let i = 0; i < 2; i++) assert.equal((await open('/each', '127.0.0.41')).status, 101);
    assert.equal((await open('/each', '127.0.0.41')).status, 429);
    assert.equal((await open('/each', '127.0.0.42')).status, 101);
    assert.equal((await open('/', '127.0.0.41')).status, 101);
    for (const path of ['/', '/', '/each']) assert.equal((await open(path, '127.0.0.43')).status, 101); // elsewhere does not count
  });
});
