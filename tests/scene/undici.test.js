// undici, the HTTP client of node programs: requests sent ahead, HTTP/2 by agreement, trailers, every method, WebSockets.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const { describe } = require('node:test');
const { Agent, Client, Pool, WebSocket, fetch } = require('undici');
const { Authority, event, scene, within } = require('./lib');

const NAME = 'www.example.test';
const COUNT = 100;

// A web server that says what it was asked. Its answers are in chunks with a trailer behind.
async function mirror(s) {
  const m = { connectionCount: 0 };
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => {
      const { method, url, headers, trailers } = req;
      res.writeHead(200, { 'Content-Type': 'application/json', ...(method === 'HEAD' ? {} : { Trailer: 'X-Behind' }) });
      res.write(JSON.stringify({ method, url, headers, trailers, body: Buffer.concat(parts).toString() }));
      res.addTrailers({ 'X-Behind': '1' });
      res.end();
    });
  });
  server.on('connection', () => m.connectionCount++);
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => {
    server.close();
    server.closeAllConnections();
  });
  return Object.assign(m, { url: `http://127.0.0.1:${server.address().port}` });
}

// A gateway before `origin` with a listener in the clear (`url`) and one that speaks TLS (`tls`) with a certificate of `ca`.
async function front(s, origin) {
  const ca = await Authority.create(s);
  const { cert, key } = await ca.issue('gateway', [NAME, 'IP:127.0.0.1']);
  const tlsPort = await s.freePort();
  const gateway = await s.gateway((g) => ({
    listen: [{ address: `127.0.0.1:${g.port}` }, { address: `127.0.0.1:${tlsPort}`, tls: { certificates: [{ cert, key }] } }],
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'a', url: origin.url }] } },
    routes: [{ name: 'all', path: '/', pool: 'p' }],
  }));
  const http1 = `http://127.0.0.1:${gateway.port}`;
  return Object.assign(gateway, { http1, tls: `https://127.0.0.1:${tlsPort}`, ca: fs.readFileSync(ca.file) });
}

// Its connections end with the scene.
function kept(s, dispatcher) {
  s.atEnd(() => dispatcher.destroy());
  return dispatcher;
}

const metric = async (gateway, name) => (await gateway.metrics()).sum(name);

describe('undici', { concurrency: true }, () => {
  scene('requests sent ahead over one connection, whatever the method', async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, origin);
    const client = kept(s, new Client(gateway.http1, { pipelining: 10 }));
    const answers = await Promise.all(Array.from({ length: COUNT }, async (_, i) => (await client.request({ path: `/${i}`, method: 'GET' })).body.json()));
    assert.deepEqual(answers.map(({ url }) => url), Array.from({ length: COUNT }, (_, i) => `/${i}`));
    assert.equal(await metric(gateway, 'client_connections_accepted_total'), 1);
    assert.equal(origin.connectionCount, 1);
    for (const method of ['OPTIONS', 'PUT', 'PATCH', 'DELETE']) {
      const body = method === 'OPTIONS' ? undefined : 'a body';
      const answer = await client.request({ path: '/m', method, body });
      const told = await answer.body.json();
      assert.deepEqual([answer.statusCode, told.method, told.body], [200, method, body ?? '']);
    }
    const head = await client.request({ path: '/m', method: 'HEAD' });
    assert.equal(head.statusCode, 200);
    assert.equal(await head.body.text(), '');
    assert.equal((await (await client.request({ path: '/after', method: 'GET' })).body.json()).url, '/after');
  });

  scene('trailers end at the gateway', async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, origin);
    const direct = await kept(s, new Client(origin.url)).request({ path: '/', method: 'GET' });
    await direct.body.text();
    assert.deepEqual(direct.trailers, { 'x-behind': '1' }); // the server has one
    const client = kept(s, new Client(gateway.http1));
    const answer = await client.request({ path: '/', method: 'GET' });
    await answer.body.json();
    assert.deepEqual(answer.trailers, {});
    const raw = await s.connect(gateway.port);
    raw.write('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\nX-Late: 1\r\nHost: evil\r\n\r\n');
    assert.equal((await raw.head()).status, 200);
    await raw.ended();
    const told = JSON.parse(raw.bytes.toString().match(/\{.*\}/)[0]);
    assert.equal(told.body, 'abc');
    assert.deepEqual(told.trailers, {});
    assert.equal(told.headers.host, 'h');
  });

  scene('HTTP/2 when it is offered, HTTP/1.1 when it is not, verified either way', async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, origin);
    const connect = { ca: gateway.ca };
    const ask = async (dispatcher, i) => (await fetch(`${gateway.tls}/${i}`, { dispatcher, method: 'POST', body: `body ${i}` })).json();
    const h2 = kept(s, new Agent({ allowH2: true, connections: 1, connect }));
    const answers = await Promise.all(Array.from({ length: COUNT }, (_, i) => ask(h2, i)));
    answers.forEach(({ url, body }, i) => assert.deepEqual([url, body], [`/${i}`, `body ${i}`]));
    assert.equal(await metric(gateway, 'http2_requests_total'), COUNT);
    assert.equal(await metric(gateway, 'http1_requests_total'), 0);
    const h1 = kept(s, new Pool(gateway.tls, { connections: 4, connect }));
    await Promise.all(Array.from({ length: COUNT }, (_, i) => ask(h1, i)));
    assert.equal(await metric(gateway, 'http1_requests_total'), COUNT);
    assert.ok((await metric(gateway, 'client_connections_accepted_total')) <= 5);
    await assert.rejects(ask(kept(s, new Agent({ allowH2: true })), 0)); // without the authority
  });

  scene('its WebSockets, over TLS', async (s) => {
    const region = await s.region();
    const gateway = await front(s, region);
    const socket = new WebSocket(`${gateway.tls.replace('https', 'wss')}/echo`, { dispatcher: kept(s, new Agent({ connect: { ca: gateway.ca } })) });
    const next = (name) => within(5000, name, new Promise((resolve) => { socket.addEventListener(name, resolve, { once: true }); }));
    await next('open');
    socket.send('there and back');
    assert.equal((await next('message')).data, 'there and back');
    socket.close(4002, 'done');
    const { code, reason } = await next('close');
    assert.deepEqual({ code, reason }, { code: 4002, reason: 'done' });
  });
});
