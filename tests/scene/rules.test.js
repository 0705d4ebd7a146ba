// What a route demands of requests, with real clients: browsers' rules, rates, addresses, and tokens, whose life is that of the
// WebSockets opened with them.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { execFile } = require('node:child_process');
const http = require('node:http');
const path = require('node:path');
const fs = require('node:fs');
const { describe } = require('node:test');
const { promisify } = require('node:util');
const { Client, event, get, request, scene, waitFor } = require('./lib');
const { openPage } = require('./lib/browser');

const run = promisify(execFile);
const SECRET = 'a secret of the scene, longer than thirty-two bytes';
const APP = 'https://app.example.com';

// A web server that tells what it was asked; `answer` may do it instead and return true.
async function origin(s, answer = () => false) {
  const server = http.createServer((req, res) => {
    if (answer(req, res)) return;
    res.setHeader('access-control-allow-origin', 'https://of-the-server.example');
    res.setHeader('content-type', 'application/json');
    res.end(JSON.stringify({ method: req.method, url: req.url, headers: req.headers }));
  });
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => {
    server.close();
    server.closeAllConnections?.();
  });
  return { name: 'web', url: `http://127.0.0.1:${server.address().port}` };
}

const pools = (...servers) => ({ p: { servers: servers.map((one, i) => ({ name: `s${i}`, url: one.url })) } });

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

function signed(claims, { key, kid, header = {} } = {}) {
  const alg = key ? (key.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256') : 'HS256';
  const input = `${encode({ alg, typ: 'JWT', ...(kid ? { kid } : {}), ...header })}.${encode(claims)}`;
  const signature = key
    ? crypto.sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
    : crypto.createHmac('sha256', SECRET).update(input).digest();
  return `${input}.${signature.toString('base64url')}`;
}

const inSeconds = (s) => Math.floor(Date.now() / 1000) + s;
const bearer = (token) => ({ authorization: `Bearer ${token}` });
const jwk = (publicKey, kid) => ({ ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' });

// curl's own view: {status, headers (lower case)}.
async function curl(...args) {
  const { stdout } = await run('curl', ['-sS', '-i', '--max-time', '5', ...args]);
  const [head] = stdout.split('\r\n\r\n');
  const [first, ...lines] = head.split('\r\n');
  const headers = Object.fromEntries(lines.map((l) => [l.slice(0, l.indexOf(':')).toLowerCase(), l.slice(l.indexOf(':') + 1).trim()]));
  return { status: Number(first.split(' ')[1]), headers, body: stdout.slice(head.length + 4) };
}

describe('rules', { concurrency: 3 }, () => {
  scene('methods and addresses: 405 with Allow, 403, to curl and over either version of HTTP', async (s) => {
    const web = await origin(s);
    const gateway = await s.gateway({
      pools: pools(web),
      trusted_proxies: ['127.0.0.1'],
      routes: [
        { path: '/', pool: 'p', methods: ['GET', 'PUT'] },
        { path: '/inside', pool: 'p', allow: ['10.0.0.0/8'], deny: ['10.9.0.0/16'] },
      ],
    });
    const url = `http://127.0.0.1:${gateway.port}`;
    for (const version of ['--http1.1', '--http2-prior-knowledge']) {
      assert.equal((await curl(version, url)).status, 200);
      assert.equal((await curl(version, '-I', url)).status, 200, 'HEAD is part of GET');
      const refused = await curl(version, '-X', 'DELETE', url);
      assert.equal(refused.status, 405);
      assert.equal(refused.headers.allow, 'GET, PUT');
      assert.equal((await curl(version, `${url}/inside`)).status, 403);
      assert.equal((await curl(version, '-H', 'X-Forwarded-For: 10.1.2.3', `${url}/inside`)).status, 200);
      assert.equal((await curl(version, '-H', 'X-Forwarded-For: 10.9.2.3', `${url}/inside`)).status, 403);
      assert.equal((await curl(version, '-H', 'X-Forwarded-For: 10.1.2.3, 192.0.2.1', `${url}/inside`)).status, 403);
    }
  });

  scene('CORS: preflights are answered at the edge, and the server\'s own fields give way', async (s) => {
    let asked = 0;
    const web = await origin(s, () => {
      asked++;
      return false;
    });
    const gateway = await s.gateway({
      pools: pools(web),
      routes: [{ path: '/', pool: 'p', cors: { origins: [APP], headers: ['X-Own'], credentials: true, max_age: '1h' } }],
    });
    const url = `http://127.0.0.1:${gateway.port}/`;
    const preflight = await curl('-X', 'OPTIONS', '-H', `Origin: ${APP}`, '-H', 'Access-Control-Request-Method: PUT', url);
    assert.equal(preflight.status, 204);
    assert.equal(preflight.body, '');
    assert.equal(preflight.headers['access-control-allow-origin'], APP);
    assert.equal(preflight.headers['access-control-max-age'], '3600');
    assert.match(preflight.headers['access-control-allow-methods'], /\bPUT\b/);
    assert.equal((await curl('-X', 'OPTIONS', '-H', 'Origin: https://b.example', '-H', 'Access-Control-Request-Method: PUT', url)).status, 403);
    assert.equal(asked, 0);
    const answer = await curl('-H', `Origin: ${APP}`, url);
    assert.equal(answer.headers['access-control-allow-origin'], APP);
    assert.equal(answer.headers.vary, 'Origin');
    assert.equal((await curl('-H', 'Origin: https://b.example', url)).headers['access-control-allow-origin'], undefined);
    assert.equal(asked, 2);
  });

  scene('CORS as Chromium sees it: the page of an allowed origin reads the answer, another does not', async (s) => {
    const web = await origin(s);
    const { page, origin: site } = await openPage(s);
    const cors = (origins) => ({ origins, headers: ['X-Own'], expose: ['X-Told'] });
    const gateway = await s.gateway({
      pools: pools(web),
      routes: [{ path: '/yes', pool: 'p', cors: cors([site]) }, { path: '/no', pool: 'p', cors: cors([APP]) }],
    });
    const put = (path_) => page.evaluate(
      (url) => fetch(url, { method: 'PUT', headers: { 'X-Own': 'x' }, body: 'y' }).then((r) => r.json()).catch((e) => e.name),
      `http://127.0.0.1:${gateway.port}${path_}`,
    );
    const told = await put('/yes');
    assert.equal(told.method, 'PUT');
    assert.equal(told.headers['x-own'], 'x');
    assert.equal(await put('/no'), 'TypeError');
  });

  scene('a rate holds over all workers, and whoever waits as told is let in', async (s) => {
    const web = await origin(s);
    const gateway = await s.gateway({
      workers: 3,
      pools: pools(web),
      routes: [{ path: '/', pool: 'p', rate: { requests: 10, every: '200s', burst: 10 } }, { path: '/key', pool: 'p', rate: { per: 'header', name: 'X-Key', requests: 1, every: '3s' } }],
    });
    const answers = await Promise.all(Array.from({ length: 40 }, () => get(gateway.port, '/')));
    const passed = answers.filter((a) => a.status === 200).length;
    assert.ok(passed >= 10 && passed <= 11, `${passed} of 40 passed`); // one more comes in every twenty seconds
    const refused = answers.find((a) => a.status === 429);
    assert.ok(Number(refused.headers['retry-after']) >= 1 && Number(refused.headers['retry-after']) <= 20);
    const byKey = (key) => get(gateway.port, '/key', { headers: { 'x-key': key } });
    assert.equal((await byKey('a')).status, 200);
    const wait = await byKey('a');
    assert.equal(wait.status, 429);
    assert.equal((await byKey('b')).status, 200);
    assert.ok(Number(wait.headers['retry-after']) >= 1 && Number(wait.headers['retry-after']) <= 3);
    await waitFor('the bucket to have one again', async () => (await byKey('a')).status === 200);
  });

  scene('tokens: a secret, claims as headers, and what is refused', async (s) => {
    const web = await origin(s);
    const gateway = await s.gateway({
      pools: pools(web),
      routes: [{ path: '/', pool: 'p', jwt: { secret: SECRET, required: { role: ['admin', 'user'] }, forward: { sub: 'X-User' } } }],
    });
    const ask = (headers) => get(gateway.port, '/', { headers });
    const nobody = await ask({});
    assert.equal(nobody.status, 401);
    assert.equal(nobody.headers['www-authenticate'], 'Bearer');
    const good = await ask({ ...bearer(signed({ sub: 'u-1', role: 'user', exp: inSeconds(60) })), 'X-User': 'root', x_user: 'root' });
    assert.equal(good.status, 200);
    assert.equal(good.json.headers['x-user'], 'u-1');
    assert.equal(good.json.headers.x_user, undefined);
    for (const [token, reason] of [
      [signed({ role: 'user', exp: inSeconds(-60) }), /token expired/],
      [signed({ role: 'guest' }), /required claim/],
      [signed({ role: 'user' }, { header: { alg: 'none' } }), /algorithm not allowed/],
      [`${signed({ role: 'user' }).slice(0, -4)}AAAA`, /signature does not verify/],
      ['x', /malformed/],
    ]) {
      const refused = await ask(bearer(token));
      assert.equal(refused.status, 401);
      assert.match(refused.headers['www-authenticate'], /^Bearer error="invalid_token", error_description="/);
      assert.match(refused.headers['www-authenticate'], reason);
    }
  });

  scene('key sets from a file: RSA and EC, read again at a reload', async (s) => {
    const web = await origin(s);
    const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ec = crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const file = path.join(s.temp(), 'keys.json');
    const config = { pools: pools(web), routes: [{ path: '/', pool: 'p', jwt: { jwks: { file } } }] };
    const ask = async (key, kid) => (await get(gateway.port, '/', { headers: bearer(signed({ sub: 'u' }, { key, kid })) })).status;
    fs.writeFileSync(file, JSON.stringify({ keys: [jwk(rsa.publicKey, 'r')] }));
    const gateway = await s.gateway(config);
    assert.equal(await ask(rsa.privateKey, 'r'), 200);
    assert.equal(await ask(ec.privateKey, 'e'), 401);
    fs.writeFileSync(file, JSON.stringify({ keys: [jwk(ec.publicKey, 'e')] }));
    await gateway.reload(config);
    await waitFor('the new key', async () => (await ask(ec.privateKey, 'e')) === 200);
    assert.equal(await ask(rsa.privateKey, 'r'), 401);
    fs.writeFileSync(file, '{}');
    await assert.rejects(gateway.reload(config));
    await gateway.process.line(/route \/: jwt: the key is not a JSON Web Key Set/);
    assert.equal(await ask(ec.privateKey, 'e'), 200);
  });

  scene('key sets from a pool: waited for, kept while it is away, looked at again for a key nobody knows', async (s) => {
    const [one, two] = [1, 2].map(() => crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    let keys; // none yet
    const web = await origin(s);
    const auth = await origin(s, (req, res) => {
      assert.equal(req.url, '/realm/keys?v=1');
      res.statusCode = keys ? 200 : 503;
      res.end(JSON.stringify({ keys }));
      return true;
    });
    const gateway = await s.gateway({
      pools: { ...pools(web), auth: { servers: [{ name: 'a', url: `${auth.url}/realm` }] } },
      routes: [{ path: '/', pool: 'p', jwt: { jwks: { pool: 'auth', path: '/keys?v=1' } } }],
    });
    const ask = (key, kid) => get(gateway.port, '/', { headers: bearer(signed({ sub: 'u' }, { key, kid })) });
    const early = await ask(one.privateKey, 'one');
    assert.equal(early.status, 503);
    assert.equal(early.headers['retry-after'], '1');
    keys = [jwk(one.publicKey, 'one')];
    await waitFor('the keys', async () => (await ask(one.privateKey, 'one')).status === 200, 10000);
    keys = undefined;
    assert.equal((await ask(two.privateKey, 'two')).status, 401);
    assert.equal((await ask(one.privateKey, 'one')).status, 200);
    keys = [jwk(one.publicKey, 'one'), jwk(two.publicKey, 'two')];
    await waitFor('the new key', async () => (await ask(two.privateKey, 'two')).status === 200, 20000);
  });

  scene('a WebSocket lives as long as its token, and a grace beyond', async (s) => {
    const region = await s.region();
    const jwt = { secret: SECRET, query: 'token', leeway: 0 };
    const gateway = await s.gateway({
      pools: pools(region),
      routes: [{ path: '/', pool: 'p', jwt }, { host: 'graced.example', path: '/', pool: 'p', jwt: { ...jwt, grace: '2s' } }],
    });
    const refused = await Client.open(s, `${gateway.url}/echo`, { mayFail: true });
    assert.equal(refused.refused.status, 401);
    const exp = inSeconds(2);
    const token = signed({ sub: 'u', exp });
    const [plain, graced, endless] = await Promise.all([
      Client.open(s, `${gateway.url}/echo?token=${token}`),
      Client.open(s, `${gateway.url}/echo?token=${token}`, { headers: { host: 'graced.example' } }),
      Client.open(s, `${gateway.url}/echo?token=${signed({ sub: 'u' })}`),
    ]);
    assert.equal(await plain.ask('there'), 'there');
    assert.deepEqual(await plain.closing(), { code: 1008, reason: 'token expired' });
    assert.ok(Date.now() >= exp * 1000);
    assert.equal(await graced.ask('still'), 'still');
    assert.deepEqual(await graced.closing(), { code: 1008, reason: 'token expired' });
    assert.ok(Date.now() >= exp * 1000 + 2000);
    assert.equal(await endless.ask('always'), 'always');
  });

  scene('revoked tokens: refused, and their WebSockets closed at the reload', async (s) => {
    const region = await s.region();
    const file = path.join(s.temp(), 'revoked');
    const config = { pools: pools(region), routes: [{ path: '/', pool: 'p', jwt: { secret: SECRET, revoked: file } }] };
    fs.writeFileSync(file, '# nobody yet\n');
    const gateway = await s.gateway(config);
    const tokens = [{ sub: 'mallory' }, { sub: 'alice', jti: 'stolen' }, { sub: 'alice', jti: 'own' }].map((c) => signed({ ...c, exp: inSeconds(60) }));
    const open = (token, more) => Client.open(s, `${gateway.url}/echo`, { headers: bearer(token), ...more });
    const [mallory, stolen, own] = await Promise.all(tokens.map((t) => open(t)));
    fs.writeFileSync(file, 'sub:mallory\njti:stolen\n');
    await gateway.reload(config);
    assert.deepEqual(await mallory.closing(), { code: 1008, reason: 'token revoked' });
    assert.deepEqual(await stolen.closing(), { code: 1008, reason: 'token revoked' });
    assert.equal(await own.ask('still'), 'still');
    assert.equal((await open(tokens[0], { mayFail: true })).refused.status, 401);
  });

  scene('pages of other origins cannot open WebSockets where a list says who may', async (s) => {
    const region = await s.region();
    const gateway = await s.gateway({ pools: pools(region), routes: [{ path: '/', pool: 'p', websocket: { origins: ['https://*.example.com'] } }] });
    const open = (origin_) => Client.open(s, `${gateway.url}/echo`, { mayFail: true, ...(origin_ ? { origin: origin_ } : {}) });
    assert.equal((await open('https://evil.example')).refused.status, 403);
    assert.equal((await open('https://app.example.com')).refused, undefined);
    assert.equal((await open()).refused, undefined, 'no browser');
    const answer = await request({ port: gateway.port, path: '/_info', headers: { origin: 'https://evil.example' } });
    assert.notEqual(answer.status, 403, 'it is about WebSockets');
  });
});
