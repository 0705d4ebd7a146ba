// What becomes of heads on their way through, seen from both ends: paths, hosts, fields, traces, and the answers the gateway gives itself.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const { describe } = require('node:test');
const { Authority, get, request, scene } = require('./lib');

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

// An origin that answers with what it was asked: method, target and fields.
async function mirror(s, answer = {}) {
  const server = http.createServer((req, res) => {
    const text = JSON.stringify({ method: req.method, url: req.url, headers: req.headers });
    res.writeHead(200, { 'content-type': 'application/json', server: 'mirror/1', ...answer });
    res.end(text);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  s.atEnd(() => {
    server.closeAllConnections?.();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: server.address().port, url: `http://127.0.0.1:${server.address().port}` };
}

function front(s, url, routes, rest = {}) {
  return s.gateway({
    pools: { p: { check: { type: 'none' }, servers: [{ name: 'a', url }] } },
    routes: routes.map((route) => ({ pool: 'p', ...route })),
    ...rest,
  });
}

const seen = async (gateway, path, headers = {}) => (await get(gateway.port, path, { headers })).json;

describe('paths and hosts', { concurrency: 2 }, () => {
  scene('a prefix comes off, others go before, the query stays', async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, `${origin.url}/deep/`, [
      { path: '/api', rewrite: { strip_prefix: '/api', add_prefix: '/v1' } },
      { path: '/strip/', rewrite: { strip_prefix: '/strip/' } },
      { path: '/' },
    ]);
    assert.equal((await seen(gateway, '/api/cars?select=*&a=%2F')).url, '/deep/v1/cars?select=*&a=%2F');
    assert.equal((await seen(gateway, '/api')).url, '/deep/v1');
    assert.equal((await seen(gateway, '/apis?')).url, '/deep/apis?');
    assert.equal((await seen(gateway, '/strip/%61%2fb')).url, '/deep/%61%2fb');
    assert.equal((await seen(gateway, '/strip/')).url, '/deep/');
  });

  scene("the host is the client's, the server's or another", async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, origin.url, [
      { path: '/' },
      { path: '/own', host_header: 'upstream' },
      { path: '/other', host_header: 'app.internal:81' },
    ]);
    const host = 'public.example';
    assert.equal((await seen(gateway, '/', { host })).headers.host, host);
    assert.equal((await seen(gateway, '/own', { host })).headers.host, `127.0.0.1:${origin.port}`);
    const other = (await seen(gateway, '/other', { host })).headers;
    assert.equal(other.host, 'app.internal:81');
    assert.equal(other['x-forwarded-host'], host);
  });
});

describe('fields', { concurrency: 2 }, () => {
  scene('routes edit requests and answers', async (s) => {
    const origin = await mirror(s, { 'x-powered-by': 'mirror', 'x-frame-options': 'ALLOWALL' });
    const gateway = await front(s, origin.url, [
      {
        path: '/',
        request_headers: { remove: ['cookie'], set: { 'X-Client': '{client_ip} {scheme}://{host}' }, add: { 'X-Tag': ['a', 'b'] } },
        response_headers: { remove: ['X-Powered-By'], set: { 'X-Frame-Options': 'DENY', 'X-Id': '{request_id}' } },
      },
    ]);
    const answer = await get(gateway.port, '/', { headers: { host: 'a.example', cookie: 'a=b', 'x-client': 'mine', 'x-tag': 'own' } });
    assert.equal(answer.json.headers.cookie, undefined);
    assert.equal(answer.json.headers['x-client'], '127.0.0.1 http://a.example');
    assert.equal(answer.json.headers['x-tag'], 'own, a, b');
    assert.equal(answer.headers['x-powered-by'], undefined);
    assert.equal(answer.headers['x-frame-options'], 'DENY');
    assert.equal(answer.headers['x-id'], answer.headers['x-request-id']);
  });

  scene('hop-by-hop fields end at the gateway, on both sides', async (s) => {
    const origin = await mirror(s, { connection: 'x-hop', 'x-hop': '1', 'keep-alive': 'timeout=5', 'proxy-authenticate': 'Basic' });
    const gateway = await front(s, origin.url, [{ path: '/' }]);
    const sent = { connection: 'close, x-hop, authorization', 'x-hop': '1', te: 'trailers', 'proxy-authorization': 'Basic x', authorization: 'Bearer x' };
    const answer = await get(gateway.port, '/', { headers: sent });
    for (const name of ['x-hop', 'te', 'proxy-authorization', 'keep-alive']) assert.equal(answer.json.headers[name], undefined, name);
    assert.equal(answer.json.headers.authorization, 'Bearer x');
    for (const name of ['x-hop', 'proxy-authenticate']) assert.equal(answer.headers[name], undefined, name);
  });

  scene('Via and Server are as configured', async (s) => {
    const origin = await mirror(s);
    const usual = await front(s, origin.url, [{ path: '/' }]);
    const first = await get(usual.port, '/');
    assert.equal(first.json.headers.via, '1.1 tidegate');
    assert.equal(first.headers.via, undefined);
    assert.equal(first.headers.server, 'mirror/1');
    const own = await front(s, origin.url, [{ path: '/' }], { headers: { via: 'edge-1', via_answers: true, server: 'edge' } });
    const second = await get(own.port, '/', { headers: { via: '1.0 far' } });
    assert.equal(second.json.headers.via, '1.0 far, 1.1 edge-1');
    assert.equal(second.headers.via, '1.1 edge-1');
    assert.equal(second.headers.server, 'edge');
    const none = await front(s, origin.url, [{ path: '/' }], { headers: { via: 'off', server: 'off' } });
    const third = await get(none.port, '/');
    assert.equal(third.json.headers.via, undefined);
    assert.equal(third.headers.server, undefined);
  });
});

describe('who the client is', { concurrency: 2 }, () => {
  scene('a trusted proxy says it, nobody else may', async (s) => {
    const origin = await mirror(s);
    const claims = { 'x-forwarded-for': '198.51.100.1, 203.0.113.9', 'x-client-subject': 'CN=root', 'x-real-ip': '198.51.100.1' };
    const route = { path: '/', request_headers: { set: { 'X-Who': '{client_ip}' } } };
    const alone = await front(s, origin.url, [route]);
    const first = (await seen(alone, '/', claims)).headers;
    assert.equal(first['x-forwarded-for'], '127.0.0.1');
    assert.equal(first['x-client-subject'], undefined);
    assert.equal(first['x-real-ip'], undefined);
    assert.equal(first['x-who'], '127.0.0.1');
    const behind = await front(s, origin.url, [{ ...route, maintenance: { enabled: true, allow: ['203.0.113.0/24'] } }], { trusted_proxies: ['127.0.0.1'] });
    const second = (await seen(behind, '/', claims)).headers;
    assert.equal(second['x-forwarded-for'], '198.51.100.1, 203.0.113.9, 127.0.0.1');
    assert.equal(second['x-client-subject'], 'CN=root');
    assert.equal(second['x-who'], '203.0.113.9');
    await behind.process.line(/request answered .*client=203\.0\.113\.9 /);
    assert.equal((await get(behind.port, '/')).status, 503);
  });

  scene('its certificate says it', async (s) => {
    const origin = await mirror(s);
    const authority = await Authority.create(s);
    const own = await authority.issue('gateway', ['IP:127.0.0.1']);
    const theirs = await authority.issue('device-7', ['device-7.example']);
    const gateway = await s.gateway((g) => ({
      listen: [{ address: `127.0.0.1:${g.port}`, tls: { certificates: [own], client_ca: authority.file, client_certificate: 'optional' } }],
      pools: { p: { check: { type: 'none' }, servers: [{ name: 'a', url: origin.url }] } },
      routes: [{ path: '/', pool: 'p' }],
    }));
    const ask = (credentials) =>
      new Promise((resolve, reject) => {
        const options = { host: '127.0.0.1', port: gateway.port, ca: fs.readFileSync(authority.file), agent: false, ...credentials };
        const req = https.get({ ...options, headers: { 'x-client-subject': 'CN=root' } }, (res) => {
          let text = '';
          res.on('data', (part) => (text += part));
          res.on('end', () => resolve(JSON.parse(text).headers));
        });
        req.on('error', reject);
      });
    assert.equal((await ask({ cert: fs.readFileSync(theirs.cert), key: fs.readFileSync(theirs.key) }))['x-client-subject'], 'CN=device-7');
    assert.equal((await ask({}))['x-client-subject'], undefined);
  });
});

describe('traces', { concurrency: 2 }, () => {
  scene('a trace goes on under a span of the gateway, which the access log names', async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, origin.url, [{ path: '/' }]);
    const mark = gateway.process.mark();
    const sent = (await seen(gateway, '/', { traceparent: PARENT, tracestate: 'v=1' })).headers;
    const [, trace, span, flags] = /^00-(\w{32})-(\w{16})-(\w\w)$/.exec(sent.traceparent);
    assert.equal(trace, '0af7651916cd43dd8448eb211c80319c');
    assert.notEqual(span, 'b7ad6b7169203331');
    assert.equal(flags, '01');
    assert.equal(sent.tracestate, 'v=1');
    await gateway.process.line(new RegExp(`request answered .* trace_id=${trace} span_id=${span} parent_id=b7ad6b7169203331`), 5000, mark);
  });

  scene('what is no trace is dropped; one is begun where that is wanted', async (s) => {
    const origin = await mirror(s);
    const usual = await front(s, origin.url, [{ path: '/' }]);
    const dropped = (await seen(usual, '/', { traceparent: `${PARENT}-more`, tracestate: 'v=1' })).headers;
    assert.equal(dropped.traceparent, undefined);
    assert.equal(dropped.tracestate, undefined);
    const starting = await front(s, origin.url, [{ path: '/' }], { trace: { mode: 'start', from: 'trusted', sample: '0%' } });
    const begun = (await seen(starting, '/', { traceparent: PARENT, tracestate: 'v=1' })).headers;
    assert.match(begun.traceparent, /^00-(?!0af7)\w{32}-\w{16}-02$/);
    assert.equal(begun.tracestate, undefined);
    const off = await front(s, origin.url, [{ path: '/' }], { trace: { mode: 'off' } });
    assert.equal((await seen(off, '/', { traceparent: 'whatever' })).headers.traceparent, 'whatever');
  });
});

describe("the gateway's own answers", { concurrency: 2 }, () => {
  scene('come in the form the client likes', async (s) => {
    const gateway = await front(s, (await mirror(s)).url, [{ path: '/only' }]);
    const json = await get(gateway.port, '/nowhere');
    assert.equal(json.status, 404);
    assert.equal(json.headers['content-type'], 'application/json');
    assert.deepEqual(json.json, { error: 'no such route', status: 404, request_id: json.headers['x-request-id'] });
    assert.ok(Math.abs(Date.parse(json.headers.date) - Date.now()) < 60000);
    const page = await get(gateway.port, '/nowhere', { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } });
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.match(page.text, /^<!doctype html>[^]*<h1>404 Not Found<\/h1>[^]*no such route/);
    const text = await get(gateway.port, '/nowhere', { headers: { accept: 'text/plain' } });
    assert.match(text.text, /^404 no such route\nrequest \S+\n$/);
    const head = await request({ port: gateway.port, path: '/nowhere', method: 'HEAD' });
    assert.equal(head.status, 404);
    assert.equal(head.text, '');
    assert.equal(Number(head.headers['content-length']), Buffer.byteLength(json.text));
  });

  scene('a route in maintenance says so, but not to everybody', async (s) => {
    const origin = await mirror(s);
    const gateway = await front(s, origin.url, [
      { path: '/', maintenance: { enabled: true, retry_after: '5m' } },
      { path: '/page', maintenance: { enabled: true, status: 502, body: '<p>later</p>' } },
      { path: '/us', maintenance: { enabled: true, allow: ['127.0.0.0/8'] } },
    ]);
    const usual = await get(gateway.port, '/');
    assert.equal(usual.status, 503);
    assert.equal(usual.headers['retry-after'], '300');
    assert.equal(usual.json.status, 503);
    const page = await get(gateway.port, '/page');
    assert.equal(page.status, 502);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(page.text, '<p>later</p>');
    assert.equal((await get(gateway.port, '/us')).status, 200);
  });
});
