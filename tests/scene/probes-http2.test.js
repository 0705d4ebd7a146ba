// The http probe over HTTP/2, against nginx, nghttpd and node: chosen over TLS, by prior knowledge without, and insisted on when it must be.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const { describe } = require('node:test');
const { Authority, event, h2Server, nghttpd, nginx, onePool, scene, verdicts, waitFor } = require('./lib');

const SOON = { interval: '400ms', timeout: '400ms', interval_undecided: '200ms', jitter: '0%', type: 'http' };

async function identity(s) {
  const ca = await Authority.create(s);
  const files = await ca.issue('server', ['IP:127.0.0.1']);
  const texts = { cert: fs.readFileSync(files.cert, 'utf8'), key: fs.readFileSync(files.key, 'utf8') };
  return { ca: ca.file, files, texts };
}

// An HTTP/1.1 server over TLS, which notes what it was offered, and over which connections it was asked.
async function http11(s, { cert, key }) {
  const server = https.createServer({ cert, key }, (request, response) => response.end('well'));
  const seen = { connections: 0, requests: [] };
  server.on('connection', () => seen.connections++);
  server.on('request', (request) => seen.requests.push(request.httpVersion));
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(seen, { url: `https://127.0.0.1:${server.address().port}` });
}

// Answers /health, and anything else wrongly in the way its path says.
function play(stream, headers) {
  const where = headers[':path'];
  if (where === '/reset') return stream.close(8);
  if (where === '/silent') return undefined;
  stream.respond({ ':status': where === '/ill' ? 503 : 200, 'x-region': 'us-east', 'content-type': 'application/json' });
  return where === '/open' ? stream.write('{"data') : stream.end(`{"padding":"${'x'.repeat(20000)}","database":"ok"}`);
}

describe('http probes over HTTP/2', { concurrency: 3 }, () => {
  scene('auto: what the server chooses over TLS; 1.1 and 2: that alone', async (s) => {
    const [{ ca, files, texts }, port] = await Promise.all([identity(s), s.freePort()]);
    const [h2, old, insisted] = await Promise.all([
      h2Server(s, play, { tls: texts }), // nothing but HTTP/2
      http11(s, texts),
      http11(s, texts),
      nginx(s, `listen 127.0.0.1:${port} ssl http2; ssl_certificate ${files.cert}; ssl_certificate_key ${files.key};
                location /health { add_header X-Region us-east; add_header X-Protocol $server_protocol; return 200 "ok"; }`),
    ]);
    const nginxUrl = `https://127.0.0.1:${port}`;
    const said = (version) => ({ expect: { headers: { 'X-Protocol': version } } });
    const all = [
      { name: 'node', url: h2.url },
      { name: 'node2', url: h2.url, check: { http: '2' } },
      { name: 'node1', url: h2.url, check: { http: '1.1' } },
      { name: 'nginx', url: nginxUrl, check: said('HTTP/2.0') },
      { name: 'nginx1', url: nginxUrl, check: { http: '1.1', ...said('HTTP/1.1') } },
      { name: 'old', url: old.url },
      { name: 'old2', url: insisted.url, check: { http: '2' } },
    ].map((each) => ({ ...each, tls: { ca } }));
    const gateway = await s.gateway(onePool({ check: { ...SOON, path: '/health' }, servers: all }));
    const now = await verdicts(gateway, {
      ...{ node: 'up', node2: 'up', node1: /^(tls|protocol|closed)/, nginx: 'up', nginx1: 'up', old: 'up' },
      old2: /protocol: the server does not choose HTTP\/2/,
    });
    assert.ok(Date.parse(now.node.certificate_ends) > Date.now());
    assert.ok(now.node.latency_us > 0);
    // The choice is remembered: else every request would need another connection to learn it anew.
    await waitFor('fewer connections than that', () => old.requests.length > 6 && old.connections < 1.5 * old.requests.length, 15000);
    assert.deepEqual(new Set(old.requests), new Set(['1.1']));
    assert.ok(h2.sessionCount >= 2 && h2.streamCount === h2.sessionCount, 'one request, one connection');
  });

  scene('without TLS: HTTP/2 by prior knowledge when it is asked for', async (s) => {
    const [plain, h2, web] = await Promise.all([nghttpd(s), h2Server(s, play), nginx(s, 'location /health { return 200 ok; }')]);
    fs.writeFileSync(path.join(plain.root, 'health'), 'well\n');
    const all = [
      { name: 'nghttpd', url: plain.url, check: { expect: { body: 'well', headers: { server: 'nghttpd' } } } },
      { name: 'absent', url: plain.url, check: { path: '/absent' } },
      { name: 'node', url: h2.url },
      { name: 'unasked', url: h2.url, check: { http: 'auto' } },
      { name: 'nginx', url: web.url }, // which speaks HTTP/1.1 there
    ];
    const gateway = await s.gateway(onePool({ check: { ...SOON, path: '/health', http: '2' }, servers: all }));
    await verdicts(gateway, { nghttpd: 'up', absent: /protocol: status 404/, node: 'up', unasked: 'down', nginx: /^(protocol|closed)/ });
  });

  scene('status, headers and body, resets and silence', async (s) => {
    const { ca, texts } = await identity(s);
    const h2 = await h2Server(s, play, { tls: texts });
    const check = { ...SOON, path: '/health', http: '2', expect: { headers: { 'X-Region': 'us', 'Content-Type': 'json' }, body: '"database":"ok"' } };
    const but = (name, change) => ({ name, url: h2.url, tls: { ca }, check: change });
    const all = [
      but('well', {}),
      but('status', { path: '/ill' }),
      but('header', { expect: { headers: { 'X-Region': 'eu' } } }),
      but('absent', { expect: { headers: { 'X-Other': '*' } } }),
      but('body', { expect: { body: '"database":"down"' } }),
      but('open', { path: '/open' }),
      but('reset', { path: '/reset' }),
      but('silent', { path: '/silent' }),
      { ...but('name', {}), tls: { ca, server_name: 'elsewhere.test' } },
    ];
    const gateway = await s.gateway(onePool({ check, servers: all }));
    await verdicts(gateway, {
      well: 'up', status: /status 503/, header: /header x-region is not as expected/, absent: /header x-other is not as expected/,
      body: /body without the text expected/, open: /timeout: waiting for body/, reset: /stream closed with CANCEL/,
      silent: /timeout: waiting for response/, name: /tls_verify: .*mismatch/,
    });
  });
});
