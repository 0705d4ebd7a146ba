// wss:// and https:// towards the servers: whom the gateway and its checker believe, and how they say who they are.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const https = require('node:https');
const path = require('node:path');
const { describe } = require('node:test');
const { WebSocketServer } = require('ws');
const { Authority, event, nginx, onePool, request, scene, servers, verdicts, visit, where } = require('./lib');

const NAME = 'rt.example.test';
const CHECK = { type: 'websocket', interval: '500ms', timeout: '500ms', rise: 1, fall: 2 };

// A WebSocket echo over TLS that also answers GET /health. It keeps the server names and client certificates it was shown.
async function backend(s, { cert, key }, { name = 'secure', clients } = {}) {
  const seen = { names: new Set(), clients: new Set(), upgrades: 0 };
  const web = https.createServer(
    {
      cert: fs.readFileSync(cert),
      key: fs.readFileSync(key),
      ...(clients && { requestCert: true, rejectUnauthorized: true, ca: fs.readFileSync(clients.file) }),
    },
    (request, response) => response.writeHead(request.url === '/health' ? 200 : 404).end(),
  );
  web.on('secureConnection', (socket) => {
    seen.names.add(socket.servername || '(none)');
    if (clients) seen.clients.add(socket.getPeerCertificate().subject.CN);
  });
  const sockets = new WebSocketServer({ server: web });
  sockets.on('headers', (headers) => headers.push(`X-Region: ${name}`));
  sockets.on('connection', (socket, request) => {
    if (request.url === '/echo') seen.upgrades++;
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  web.listen(0, '127.0.0.1');
  await event(web, 'listening');
  s.atEnd(() => {
    for (const socket of sockets.clients) socket.terminate();
    web.closeAllConnections();
    web.close();
  });
  return { name, seen, url: `wss://127.0.0.1:${web.address().port}` };
}

// The gateway in front of `server`, which is up; returns the session that was opened.
async function accepted(s, server, tls, check = CHECK) {
  const gateway = await s.gateway(onePool({ check, servers: servers([server], { tls }) }));
  await verdicts(gateway, { [server.name]: 'up' });
  const c = await visit(s, gateway);
  assert.equal(c.region, server.name);
  assert.equal(await c.ask('hello'), 'hello');
  const big = 'x'.repeat(300000);
  assert.equal(await c.ask(big), big);
  return c;
}

// The gateway in front of `server`, which is not believed: nobody gets through, neither before nor after the verdict.
async function refused(s, server, tls, why) {
  const pool = { circuit: { failures: 0 }, servers: servers([server], { tls }) };
  const gateway = await s.gateway(onePool({ ...pool, check: { type: 'none' } }));
  assert.equal(await where(s, gateway), 502);
  await gateway.process.line(new RegExp(`attempt failed.*server=p/secure phase=(connect|answer).*${why.source}`, 'i'));
  await gateway.reload(onePool({ ...pool, check: CHECK }));
  const { secure } = await verdicts(gateway, { secure: 'down' });
  assert.match(secure.cause, new RegExp(why, 'i'));
  assert.match((await gateway.health()).json.reasons.join(), new RegExp(`secure is down: .*${why.source}`, 'i'));
  assert.equal(await where(s, gateway), 503);
  assert.equal(server.seen.upgrades, 0);
}

describe('TLS to the servers', { concurrency: true }, () => {
  scene('a server is believed by its name and our own authority, and is told the name', async (s) => {
    const ca = await Authority.create(s);
    const server = await backend(s, await ca.issue('server', [NAME]));
    const c = await accepted(s, server, { ca: ca.file, server_name: NAME });
    assert.deepEqual([...server.seen.names], [NAME]); // of the checker and of the worker
    assert.deepEqual(await c.close(4000, 'bye'), { code: 4000, reason: 'bye' });
  });

  scene('without a name of its own the url’s host must be in the certificate, an address too', async (s) => {
    const ca = await Authority.create(s);
    const server = await backend(s, await ca.issue('server', ['IP:127.0.0.1']));
    await accepted(s, server, { ca: ca.file });
    const named = await backend(s, await ca.issue('named', ['localhost']), { name: 'named' });
    named.url = named.url.replace('127.0.0.1', 'localhost');
    await accepted(s, named, { ca: ca.file });
    assert.deepEqual([...named.seen.names], ['localhost']);
  });

  const wrong = {
    'a certificate for another name': [(ca) => ca.issue('server', ['other.example.test', 'IP:127.0.0.1']), true, /hostname mismatch/],
    'a certificate that has expired': [(ca) => ca.issue('server', [NAME], { days: -1 }), true, /expired/],
    'a certificate of an unknown authority': [(ca) => ca.issue('server', [NAME]), false, /unable to get local issuer|self.signed/],
    'a certificate of somebody else’s authority': [async (ca, s) => (await Authority.create(s, 'other')).issue('server', [NAME]), true, /unable to get local issuer|signature/],
  };
  for (const [what, [issue, isKnown, why]] of Object.entries(wrong)) {
    scene(`${what} is refused with 502, and the verdict is down with the cause`, async (s) => {
      const ca = await Authority.create(s);
      const server = await backend(s, await issue(ca, s));
      await refused(s, server, { ...(isKnown && { ca: ca.file }), server_name: NAME }, why);
    });

    scene(`${what} is good enough with verify: false`, async (s) => {
      const server = await backend(s, await issue(await Authority.create(s), s));
      await accepted(s, server, { verify: false, server_name: NAME });
      assert.deepEqual([...server.seen.names], [NAME]);
    });
  }

  scene('a server that wants to know us is shown our certificate', async (s) => {
    const ca = await Authority.create(s);
    const clients = await Authority.create(s, 'clients');
    const server = await backend(s, await ca.issue('server', [NAME]), { clients });
    const own = await clients.issue('gateway', ['gateway.example.test']);
    await accepted(s, server, { ca: ca.file, server_name: NAME, ...own });
    assert.deepEqual([...server.seen.clients], ['gateway']);
  });

  scene('and refuses us without it', async (s) => {
    const ca = await Authority.create(s);
    const server = await backend(s, await ca.issue('server', [NAME]), { clients: await Authority.create(s, 'clients') });
    await refused(s, server, { ca: ca.file, server_name: NAME }, /alert certificate required/);
  });

  scene('a server that does not speak TLS is one that fails, and the next one is tried', async (s) => {
    const ca = await Authority.create(s);
    const plain = await s.region();
    const server = await backend(s, await ca.issue('server', [NAME]));
    const tls = { ca: ca.file, server_name: NAME };
    const odd = { name: 'odd', url: plain.url.replace('ws:', 'wss:') };
    const gateway = await s.gateway(onePool({ check: { type: 'none' }, servers: servers([odd, server], {}, { tls, tier: 'backup' }) }));
    assert.equal(await where(s, gateway), 'secure');
  });

  scene('a TLS handshake that never ends costs the connect timeout', async (s) => {
    const ca = await Authority.create(s);
    const silent = { name: 'silent', url: `wss://127.0.0.1:${await s.server(() => {})}` };
    const server = await backend(s, await ca.issue('server', [NAME]));
    const tls = { ca: ca.file, server_name: NAME };
    const pool = { connect_timeout: '3s', upgrade_timeout: '20s', failover_timeout: '30s', check: CHECK };
    const gateway = await s.gateway(onePool({ ...pool, servers: servers([silent, server], { check: { type: 'none' } }, { tls, tier: 'backup' }) }));
    assert.equal(await where(s, gateway), 'secure');
    await gateway.process.line(/attempt failed.*server=p\/silent phase=connect cause=timeout/);
    await gateway.reload(onePool({ ...pool, servers: servers([silent, server], {}, { tls, tier: 'backup' }) }));
    const now = await verdicts(gateway, { silent: 'down', secure: 'up' });
    assert.match(now.silent.cause, /timeout: waiting for tls handshake/);
  });

  scene('https checks are asked over the same TLS', async (s) => {
    const ca = await Authority.create(s);
    const clients = await Authority.create(s, 'clients');
    const server = await backend(s, await ca.issue('server', [NAME]), { clients });
    const tls = { ca: ca.file, server_name: NAME, ...(await clients.issue('gateway', ['gateway.example.test'])) };
    const stranger = { name: 'stranger', url: server.url };
    const check = { ...CHECK, type: 'http', path: '/health' };
    const lost = { name: 'lost', url: server.url };
    const gateway = await s.gateway(
      onePool({ check, servers: servers([server, stranger, lost], { tls }, {}, { tls, check: { path: '/nowhere' } }) }),
    );
    const now = await verdicts(gateway, { secure: 'up', stranger: 'down', lost: 'down' });
    assert.match(now.stranger.cause, /unable to get local issuer|self.signed/);
    assert.match(now.lost.cause, /status 404/);
  });

  scene('a certificate and key that cannot be used are found before anybody is served', async (s) => {
    const ca = await Authority.create(s);
    const server = await backend(s, await ca.issue('server', [NAME]));
    const good = onePool({ check: { type: 'none' }, servers: servers([server], { tls: { ca: ca.file, server_name: NAME } }) });
    const gateway = await s.gateway(good);
    const c = await visit(s, gateway);
    const mixed = { cert: (await ca.issue('one', [NAME])).cert, key: (await ca.issue('two', [NAME])).key };
    await assert.rejects(gateway.reload(onePool({ servers: servers([server], { tls: mixed }) })), /reload failed/);
    assert.equal(await c.ask('still here'), 'still here');
    assert.equal(await where(s, gateway), 'secure');
  });

  scene('a renewed certificate of the server’s authority is taken with a reload', async (s) => {
    const [old, renewed] = await Promise.all(['old', 'renewed'].map((name) => Authority.create(s, name)));
    const ca = path.join(s.temp(), 'ca.crt');
    fs.copyFileSync(old.file, ca);
    const server = await backend(s, await renewed.issue('server', [NAME]));
    const config = onePool({ check: { type: 'none' }, circuit: { failures: 0 }, servers: servers([server], { tls: { ca, server_name: NAME } }) });
    const gateway = await s.gateway(config);
    assert.equal(await where(s, gateway), 502);
    fs.copyFileSync(renewed.file, ca);
    await gateway.reload(config);
    assert.equal(await where(s, gateway), 'secure');
  });

  scene('a pool of https:// servers is verified, and kept alive', async (s) => {
    const ca = await Authority.create(s);
    const { cert, key } = await ca.issue('server', ['api.example.test']);
    const tlsPort = await s.freePort();
    await nginx(s, `listen 127.0.0.1:${tlsPort} ssl; ssl_certificate ${cert}; ssl_certificate_key ${key};
      location / { add_header X-Connection $connection always; return 200 "$scheme $ssl_server_name"; }`);
    const gateway = await s.gateway({
      pools: {
        good: { check: { type: 'none' }, servers: [{ name: 'a', url: `https://127.0.0.1:${tlsPort}`, tls: { ca: ca.file, server_name: 'api.example.test' } }] },
        bad: { check: { type: 'none' }, servers: [{ name: 'a', url: `https://127.0.0.1:${tlsPort}`, tls: { ca: ca.file, server_name: 'other.example.test' } }] },
      },
      routes: [{ path: '/', pool: 'good' }, { path: '/bad', pool: 'bad' }],
    });
    const first = await request({ port: gateway.port });
    assert.equal(first.text, 'https api.example.test');
    const second = await request({ port: gateway.port });
    assert.equal(second.headers['x-connection'], first.headers['x-connection']);
    assert.equal((await request({ port: gateway.port, path: '/bad' })).status, 502);
  });
});
