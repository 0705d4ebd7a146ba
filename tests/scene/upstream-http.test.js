// Towards the servers: connections that serve again, HTTP/2 sessions that many requests share, and WebSockets on them.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const path = require('node:path');
const { describe } = require('node:test');
const WebSocket = require('ws');
const { Authority, Client, event, h2Server, metric, onePool, request, scene, verdicts, waitFor } = require('./lib');

const BIG = crypto.randomBytes(8 << 20);
const digest = (data) => crypto.createHash('sha256').update(data).digest('hex');

// What every backend here answers: GET /big is large, everything else says what it got.
function answer(req, res) {
  if (req.url === '/big') {
    res.end(BIG);
    return;
  }
  const hash = crypto.createHash('sha256');
  let length = 0;
  req.on('data', (part) => {
    hash.update(part);
    length += part.length;
  });
  req.on('end', () => {
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ version: req.httpVersion, method: req.method, url: req.url, host: req.headers.host ?? req.headers[':authority'], length, digest: hash.digest('hex') }));
  });
}

// HTTP/2 and HTTP/1.1 over TLS, whatever the gateway asks for. `connect`: takes WebSockets over HTTP/2, and says so.
async function backend(s, ca, { connect = false, refuse = false, streams = 100 } = {}) {
  const { cert, key } = await ca.issue('server', ['IP:127.0.0.1']);
  const seen = { sessions: 0, connects: 0, upgrades: 0 };
  const server = http2.createSecureServer({
    cert: fs.readFileSync(cert),
    key: fs.readFileSync(key),
    allowHTTP1: true,
    maxSessionMemory: 1000, // MB; node resets new streams while its own answers wait in more than that
    settings: { enableConnectProtocol: connect, maxConcurrentStreams: streams },
  });
  const open = new Set();
  const wires = new Set();
  server.on('secureConnection', (wire) => wires.add(wire));
  server.on('session', (session) => {
    seen.sessions++;
    open.add(session);
    session.on('close', () => open.delete(session));
  });
  server.on('request', (req, res) => {
    if (req.method !== 'CONNECT') answer(req, res);
  });
  server.on('connect', ({ stream, headers }) => {
    seen.connects++;
    assert.equal(headers[':protocol'], 'websocket');
    assert.equal(headers['sec-websocket-key'], undefined);
    if (refuse) {
      stream.close(http2.constants.NGHTTP2_PROTOCOL_ERROR);
      return;
    }
    stream.on('error', () => {});
    stream.respond({ ':status': 200 });
    const socket = new WebSocket(null, undefined, {}); // the server's side of one
    socket.setSocket(stream, Buffer.alloc(0), { maxPayload: 1 << 24, skipUTF8Validation: false });
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const sockets = new WebSocket.Server({ noServer: true });
  server.on('upgrade', (req, socket, head) => {
    seen.upgrades++;
    sockets.handleUpgrade(req, socket, head, (ws) => ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary })));
  });
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => {
    for (const wire of wires) wire.destroy();
    server.close();
  });
  const port = server.address().port;
  return { name: 'h2', seen, open, url: `https://127.0.0.1:${port}`, server };
}

function config(b, ca, pool = {}, websocket = {}) {
  return {
    pools: { p: { check: { type: 'none' }, ...pool, servers: [{ name: b.name, url: b.url, ...(ca && { tls: { ca: ca.file } }) }] } },
    routes: [{ name: 'all', path: '/', pool: 'p', websocket }],
  };
}

const times = (count, fn) => Promise.all(Array.from({ length: count }, (_, i) => fn(i)));

describe('HTTP towards the servers', { concurrency: true }, () => {
  scene('requests follow each other on connections that are kept', async (s) => {
    const server = http.createServer(answer);
    let connections = 0;
    server.keepAliveTimeout = 60000; // a slow machine is no reason to hang up
    server.on('connection', () => connections++);
    server.listen(0, '127.0.0.1');
    await event(server, 'listening');
    s.atEnd(() => {
      server.closeAllConnections();
      server.close();
    });
    const b = { name: 'h1', url: `http://127.0.0.1:${server.address().port}` };
    const gateway = await s.gateway(config(b));
    for (let i = 0; i < 20; i++) {
      const { status, json } = await request({ port: gateway.port, path: `/${i}`, method: i % 2 ? 'PUT' : 'GET', body: i % 2 ? `body ${i}` : undefined });
      assert.equal(status, 200);
      assert.equal(json.url, `/${i}`);
      assert.equal(json.version, '1.1');
      assert.equal(json.length, i % 2 ? `body ${i}`.length : 0);
    }
    assert.equal(connections, 1);
    assert.equal(await metric(gateway, 'server_connections_opened_total'), 1);
    assert.equal(await metric(gateway, 'server_connections_reused_total'), 19);
    // The server hangs up while they are idle: nobody notices.
    server.closeIdleConnections();
    assert.equal((await request({ port: gateway.port })).status, 200);
    assert.equal(connections, 2);
  });

  scene('many requests share few connections when the server chooses HTTP/2', async (s) => {
    const ca = await Authority.create(s);
    const b = await backend(s, ca);
    const gateway = await s.gateway(config(b, ca));
    const answers = await times(60, (i) => request({ port: gateway.port, path: `/${i}`, method: 'POST', body: `body ${i}` }));
    answers.forEach(({ status, json }, i) => {
      assert.equal(status, 200);
      assert.equal(json.version, '2.0');
      assert.equal(json.url, `/${i}`);
      assert.equal(json.digest, digest(`body ${i}`));
    });
    assert.equal(b.seen.sessions, 1);
    // Large bodies both ways, side by side.
    const big = await times(4, (i) => request({ port: gateway.port, ...(i % 2 ? { path: '/big' } : { method: 'PUT', body: BIG }), ms: 20000 }));
    assert.equal(big[0].json.digest, digest(BIG));
    assert.equal(big[0].json.length, BIG.length);
    assert.equal(big[2].json.digest, digest(BIG));
    // The server says goodbye: new requests find a new session.
    for (const session of b.open) session.close();
    assert.equal((await request({ port: gateway.port })).status, 200);
    assert.equal(b.seen.sessions, 2);
  });

  scene('a server that allows few streams gets more connections, and then it is full', async (s) => {
    const ca = await Authority.create(s);
    const b = await backend(s, ca, { streams: 2 });
    const gateway = await s.gateway(config(b, ca));
    await request({ port: gateway.port }); /* its settings are known from now on */
    const answers = await times(12, () => request({ port: gateway.port, path: '/x' }));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.ok(b.seen.sessions <= 8);
  });

  scene('pool.http: h1 asks for nothing else', async (s) => {
    const ca = await Authority.create(s);
    const b = await backend(s, ca);
    const gateway = await s.gateway(config(b, ca, { http: 'h1' }));
    assert.equal((await request({ port: gateway.port })).json.version, '1.1');
    assert.equal(b.seen.sessions, 0);
  });

  scene('deadlines count for each request of a shared connection, and end it alone', async (s) => {
    const gone = [];
    const h2 = await h2Server(s, (stream, headers) => {
      const { ':path': target } = headers;
      stream.on('close', () => gone.push(target));
      if (target === '/late') return;
      stream.respond({ ':status': 200, ...(target === '/fine' ? {} : { 'content-length': '1000000' }) });
      if (target === '/fine') stream.end('fine');
      if (target === '/stops') stream.write('hello');
      if (target === '/drips') {
        const drip = setInterval(() => stream.write('x'), 20);
        stream.on('close', () => clearInterval(drip));
      }
    });
    const times_ = { first_byte_timeout: '300ms', between_bytes_timeout: '500ms', request_timeout: '1200ms', max_retries: 0, circuit: { failures: 0 } };
    const gateway = await s.gateway(config({ name: 'h2', url: h2.url }, undefined, { http: 'h2', ...times_ }));
    const cut = async (target) => {
      const raw = await s.connect(gateway.port);
      raw.write(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
      assert.equal((await raw.head()).status, 200, target);
      await raw.ended();
      assert.ok(raw.bytes.length < 1000000, target);
    };
    await Promise.all([
      request({ port: gateway.port, path: '/late' }).then(({ status }) => assert.equal(status, 504)),
      cut('/stops'),
      cut('/drips'),
      times(10, async () => assert.equal((await request({ port: gateway.port, path: '/fine' })).text, 'fine')),
    ]);
    await waitFor('the streams to end', () => ['/late', '/stops', '/drips'].every((target) => gone.includes(target)));
    assert.equal((await request({ port: gateway.port, path: '/fine' })).text, 'fine');
    assert.equal(h2.sessionCount, 1);
  });

  scene('a server that is down loses its shared connection, when what is under way on it is done', async (s) => {
    const held = [];
    let isHealthy = true;
    const h2 = await h2Server(s, (stream, headers) => {
      if (headers[':path'] === '/slow') held.push(stream);
      else stream.respond({ ':status': 200 }, { endStream: true });
    });
    const health = http.createServer((req, res) => res.writeHead(isHealthy ? 200 : 500).end());
    health.listen(0, '127.0.0.1');
    await event(health, 'listening');
    s.atEnd(() => {
      health.close();
      health.closeAllConnections();
    });
    const check = { type: 'http', port: health.address().port, interval: '1s', rise: 1, fall: 1 };
    const gateway = await s.gateway(config({ name: 'h2', url: h2.url }, undefined, { http: 'h2', check }));
    await verdicts(gateway, { h2: 'up' });
    const slow = request({ port: gateway.port, path: '/slow' });
    await waitFor('the request to be there', () => held.length === 1);
    assert.equal((await request({ port: gateway.port })).status, 200);
    isHealthy = false;
    await verdicts(gateway, { h2: 'down' });
    assert.equal((await request({ port: gateway.port })).status, 503);
    held[0].respond({ ':status': 200 });
    held[0].end('after all');
    assert.equal((await slow).text, 'after all');
    await waitFor('the connection to end', () => h2.sessions.size === 0);
    isHealthy = true;
    await verdicts(gateway, { h2: 'up' });
    assert.equal((await request({ port: gateway.port })).status, 200);
    assert.equal(h2.sessionCount, 2);
  });

  scene('nginx and nghttpd are good servers', async (s) => {
    const ca = await Authority.create(s);
    const { cert, key } = await ca.issue('server', ['IP:127.0.0.1']);
    const folder = s.temp();
    const root = path.join(folder, 'www');
    fs.mkdirSync(root, { recursive: true });
    fs.writeFileSync(path.join(root, 'big.bin'), BIG);
    const [plain, tls, nghttpd] = [await s.freePort(), await s.freePort(), await s.freePort()];
    fs.writeFileSync(
      path.join(folder, 'nginx.conf'),
      `daemon off; pid ${folder}/nginx.pid; error_log stderr; worker_processes 1; events {}
       http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fcgi;
         uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
         server { listen 127.0.0.1:${plain}; listen 127.0.0.1:${tls} ssl http2; ssl_certificate ${cert}; ssl_certificate_key ${key}; root ${root};
           location /version { return 200 $server_protocol; } } }`,
    );
    await s.start({ name: 'nginx', command: 'nginx', args: ['-p', folder, '-c', path.join(folder, 'nginx.conf'), '-e', 'stderr'] });
    await s.start({ name: 'nghttpd', command: 'nghttpd', args: ['-a', '127.0.0.1', '-d', root, String(nghttpd), key, cert] });
    const server = (name, url, more) => ({ check: { type: 'none' }, ...more, servers: [{ name, url, ...(url.startsWith('https') && { tls: { ca: ca.file } }) }] });
    const gateway = await s.gateway({
      pools: { h1: server('a', `http://127.0.0.1:${plain}`), h2: server('b', `https://127.0.0.1:${tls}`), ng: server('c', `https://127.0.0.1:${nghttpd}`, { http: 'h2' }) },
      routes: ['h1', 'h2', 'ng'].map((pool) => ({ name: pool, path: `/${pool}/`, pool, rewrite: { strip_prefix: `/${pool}` } })),
    });
    await waitFor('nginx', async () => (await request({ port: gateway.port, path: '/h1/version' })).status === 200, 5000);
    await waitFor('nghttpd', async () => (await request({ port: gateway.port, path: '/ng/big.bin' })).status === 200, 5000);
    assert.equal((await request({ port: gateway.port, path: '/h1/version' })).text, 'HTTP/1.1');
    assert.equal((await request({ port: gateway.port, path: '/h2/version' })).text, 'HTTP/2.0');
    const all = await times(30, (i) => request({ port: gateway.port, path: `/${['h1', 'h2', 'ng'][i % 3]}/nothing`, method: 'GET' }));
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [404]);
    for (const pool of ['h1', 'h2', 'ng']) {
      const { status, headers } = await request({ port: gateway.port, path: `/${pool}/big.bin`, ms: 20000 });
      assert.equal(status, 200);
      assert.equal(Number(headers['content-length']), BIG.length);
    }
  });
});

describe('WebSockets over HTTP/2 towards the servers', { concurrency: true }, () => {
  async function talks(s, gateway, text = 'hello') {
    const c = await Client.open(s, `${gateway.url}/ws`);
    assert.equal(await c.ask(text), text);
    const big = 'x'.repeat(300000);
    assert.equal(await c.ask(big), big);
    return c;
  }

  scene('many ride on one connection where the server announces it', async (s) => {
    const ca = await Authority.create(s);
    const b = await backend(s, ca, { connect: true });
    const gateway = await s.gateway(config(b, ca));
    const clients = await times(10, (i) => talks(s, gateway, `client ${i}`));
    assert.deepEqual({ ...b.seen }, { sessions: 1, connects: 10, upgrades: 0 });
    assert.deepEqual(await clients[0].close(4000, 'bye'), { code: 4000, reason: 'bye' });
    assert.equal(await clients[1].ask('still'), 'still');
    assert.equal((await request({ port: gateway.port, path: '/rest' })).json.version, '2.0'); // beside them
    for (const session of b.open) session.destroy();
    assert.equal((await clients[1].closed).code, 1012); // as when any server is lost
  });

  scene('a server that does not announce it, or refuses, gets HTTP/1.1, and that is remembered', async (s) => {
    const ca = await Authority.create(s);
    for (const refuse of [false, true]) {
      const b = await backend(s, ca, { connect: refuse, refuse });
      const gateway = await s.gateway(config(b, ca));
      await talks(s, gateway);
      await talks(s, gateway);
      assert.deepEqual({ ...b.seen }, { sessions: 1, connects: refuse ? 1 : 0, upgrades: 2 });
      assert.equal((await request({ port: gateway.port })).json.version, '2.0');
    }
  });

  scene('websocket.upstream: h1 does not ask', async (s) => {
    const ca = await Authority.create(s);
    const b = await backend(s, ca, { connect: true });
    const gateway = await s.gateway(config(b, ca, {}, { upstream: 'h1' }));
    await talks(s, gateway);
    assert.deepEqual({ ...b.seen }, { sessions: 0, connects: 0, upgrades: 1 });
  });
});
