// TLS towards clients: who is shown which certificate, what is agreed on, what lasts over workers and reloads, and who has to say who
// they are.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const tls = require('node:tls');
const { execFile } = require('node:child_process');
const { promisify } = require('node:util');
const { describe } = require('node:test');
const { Authority, Client, event, get, onePool, scene, servers, waitFor, within } = require('./lib');

const run = promisify(execFile);

const NAME = 'edge.example.test';
const OTHER = 'other.example.test';
const DAY_MS = 24 * 3600 * 1000;

// A gateway whose only listener speaks TLS, in front of one region; `own(certificate)` adds to the listener, `rest` to the configuration.
class Edge {
  static async start(s, { names = [[NAME]], region, listen = {}, rest = {} } = {}) {
    const e = new Edge();
    e.scene = s;
    e.ca = await Authority.create(s);
    e.trust = fs.readFileSync(e.ca.file);
    e.region = region ?? (await s.region());
    e.certificates = await Promise.all(names.map((of, i) => e.ca.issue(`cert-${i}`, of)));
    e.listen = listen;
    e.rest = rest;
    e.gateway = await s.gateway((g) => e.config(g));
    return e;
  }

  config(g, { certificates = this.certificates, listen = this.listen, rest = this.rest } = {}) {
    const { tls: ours, ...others } = listen;
    return {
      ...onePool({ check: { type: 'none' }, servers: servers([{ name: 'region', url: this.region.url.replace('ws:', 'http:') }]) }),
      control: { path: g.control },
      node: { name: 'scene' },
      admin: { address: `127.0.0.1:${g.adminPort}` },
      log: { level: 'debug' },
      listen: [{ address: `127.0.0.1:${g.port}`, tls: { certificates, ...ours }, ...others }],
      ...rest,
    };
  }

  reload(change) {
    return this.gateway.reload((g) => JSON.stringify(this.config(g, change)));
  }

  // A finished handshake; rejects when it fails. `ask` sends a request and resolves with what came back until the end.
  async connect({ name = NAME, ...options } = {}) {
    const socket = tls.connect({ host: '127.0.0.1', port: this.gateway.port, servername: name, ca: this.trust, checkServerIdentity: () => undefined, ...options });
    this.scene.atEnd(() => socket.destroy());
    const failed = new Promise((_, reject) => socket.once('error', reject));
    failed.catch(() => {});
    await Promise.race([event(socket, 'secureConnect'), failed]);
    return socket;
  }

  // The session of a connection that has served a request, whether it was taken up again, and the answer.
  async visit({ head = '', ...options } = {}) {
    const socket = await this.connect(options);
    const cn = shown(socket);
    let session;
    socket.on('session', (s) => (session = s));
    socket.write(`GET /health HTTP/1.1\r\nHost: ${NAME}\r\n${head}Connection: close\r\n\r\n`);
    let text = '';
    socket.on('data', (data) => (text += data));
    await event(socket, 'end');
    assert.match(text, /^HTTP\/1\.1 200 /);
    return { session: session ?? socket.getSession(), isReused: socket.isSessionReused(), shown: cn, text };
  }

  websocket(options = {}) {
    const url = `wss://127.0.0.1:${this.gateway.port}/echo`;
    return Client.open(this.scene, url, { servername: NAME, ca: this.trust, checkServerIdentity: () => undefined, ...options });
  }

  curl(target, ...args) {
    const at = `${NAME}:${this.gateway.port}`;
    return run('curl', ['-sS', '--max-time', '10', '--cacert', this.ca.file, '--resolve', `${at}:127.0.0.1`, ...args, `https://${at}${target}`]);
  }
}

// Common name of the certificate that was shown.
const shown = (socket) => socket.getPeerCertificate().subject?.CN;

// From a failed handshake, whichever side noticed, and when.
async function failure(connecting) {
  try {
    const socket = await connecting;
    const [error] = await event(socket, 'error');
    return error;
  } catch (error) {
    return error;
  }
}

// How many records of TLS a text holds whole, and how many of them are ciphertext of TLS 1.3.
function records(text) {
  const found = { bytes: 0, secret: 0 };
  while (found.bytes + 5 <= text.length) {
    const length = 5 + text.readUInt16BE(found.bytes + 3);
    if (found.bytes + length > text.length) break;
    if (text[found.bytes] === 23) found.secret++;
    found.bytes += length;
  }
  return found;
}

// A port before the gateway's, from where the end of a client's handshake and its first request arrive in one piece.
async function inOnePiece(s, port) {
  const server = net.createServer((client) => {
    const gateway = net.connect(port, '127.0.0.1');
    let held = Buffer.alloc(0);
    gateway.pipe(client);
    for (const socket of [client, gateway]) {
      socket.on('error', () => {});
      s.atEnd(() => socket.destroy());
    }
    client.on('data', (data) => {
      held = Buffer.concat([held, data]);
      const { bytes, secret } = records(held);
      const isHello = held[0] === 22 && bytes === held.length;
      if (!isHello && secret < 2) return;
      gateway.write(held);
      held = Buffer.alloc(0);
    });
  });
  s.atEnd(() => server.close());
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  return server.address().port;
}

describe('TLS to the clients', { concurrency: true }, () => {
  scene('pages and WebSockets, over HTTP/1.1 and HTTP/2, by agreement', async (s) => {
    const e = await Edge.start(s);
    const version = (...args) => e.curl('/health', '-o', '/dev/null', '-w', '%{http_code} %{http_version}', ...args);
    assert.equal((await version()).stdout, '200 2');
    assert.equal((await version('--http1.1')).stdout, '200 1.1');
    assert.equal((await version('--no-alpn')).stdout, '200 1.1');
    const c = await e.websocket();
    assert.equal(await c.ask('over TLS'), 'over TLS');
    assert.deepEqual(await c.close(4001, 'bye'), { code: 4001, reason: 'bye' });
    await e.reload({ listen: { http2: false } });
    assert.equal((await version()).stdout, '200 1.1');
  });

  scene('a request that comes in one piece with the end of the handshake is answered', async (s) => {
    const e = await Edge.start(s);
    const port = await inOnePiece(s, e.gateway.port);
    const socket = tls.connect({ host: '127.0.0.1', port, servername: NAME, ca: e.trust, minVersion: 'TLSv1.3' });
    s.atEnd(() => socket.destroy());
    socket.write(`GET /health HTTP/1.1\r\nHost: ${NAME}\r\nConnection: close\r\n\r\n`);
    let text = '';
    socket.on('data', (data) => (text += data));
    await event(socket, 'end');
    assert.match(text, /^HTTP\/1\.1 200 /);
  });

  scene('the name a client asks for selects the certificate', async (s) => {
    const e = await Edge.start(s, { names: [[NAME], ['*.wild.example.test'], [OTHER]] });
    const seen = async (name) => shown(await e.connect({ name }));
    assert.equal(await seen(NAME), 'cert-0');
    assert.equal(await seen('a.wild.example.test'), 'cert-1');
    assert.equal(await seen(OTHER), 'cert-2');
    assert.equal(await seen('nobody.example.test'), 'cert-0');
    assert.equal(await seen(''), 'cert-0');
  });

  scene('old versions, plain text and unknown protocols are refused, and the log says why', async (s) => {
    const e = await Edge.start(s, { listen: { tls: { min_version: '1.3' } } });
    const refused = (why) => e.gateway.process.line(new RegExp(`tls handshake failed.*${why}`));
    await Promise.all([refused('unsupported protocol'), failure(e.connect({ maxVersion: 'TLSv1.2' }))]);
    await Promise.all([refused('no application protocol'), failure(e.connect({ ALPNProtocols: ['foo'] }))]);
    await Promise.all([refused('http request'), get(e.gateway.port, '/').catch(() => {})]);
    assert.equal((await e.connect()).getProtocol(), 'TLSv1.3');
    await e.reload({ listen: {} });
    assert.equal((await e.connect({ maxVersion: 'TLSv1.2' })).getProtocol(), 'TLSv1.2');
    assert.match((await failure(e.connect({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }))).message, /version/);
  });

  for (const version of ['TLSv1.2', 'TLSv1.3']) {
    scene(`a ${version} session resumes at every worker, after a reload, and at a worker that was restarted`, async (s) => {
      const e = await Edge.start(s, { rest: { workers: 2 } });
      const options = { minVersion: version, maxVersion: version };
      const { session, isReused } = await e.visit(options);
      assert.equal(isReused, false);
      const everywhere = async () => {
        const seen = new Set();
        for (let i = 0; i < 100 && seen.size < 2; i++) {
          const mark = e.gateway.process.mark();
          assert.equal((await e.visit({ ...options, session })).isReused, true);
          seen.add((await e.gateway.process.line(/(worker-\d) request answered/, 5000, mark))[1]);
        }
        assert.deepEqual([...seen].sort(), ['worker-0', 'worker-1']);
      };
      await everywhere();
      await e.reload({ certificates: [await e.ca.issue('renewed', [NAME])] });
      await everywhere();
      const { 'worker-0': worker } = await e.gateway.processes();
      process.kill(worker.pid, 'SIGKILL');
      await waitFor('another worker', async () => {
        const now = (await e.gateway.processes())['worker-0'];
        return now && now.pid !== worker.pid && now.state === 'ready';
      });
      await everywhere();
    });
  }

  scene('a certificate is renewed on HUP, and open connections do not notice', async (s) => {
    const e = await Edge.start(s, { rest: { workers: 2 } });
    const before = await e.connect();
    const c = await e.websocket();
    for (let i = 1; i <= 3; i++) {
      await e.reload({ certificates: [await e.ca.issue(`renewed-${i}`, [NAME])] });
      assert.equal(shown(await e.connect()), `renewed-${i}`);
      assert.equal(await c.ask(`round ${i}`), `round ${i}`);
    }
    before.write(`GET /health HTTP/1.1\r\nHost: ${NAME}\r\n\r\n`);
    assert.match(String((await event(before, 'data'))[0]), /^HTTP\/1\.1 200 /);
    assert.deepEqual(await c.close(), { code: 1000, reason: '' });
  });

  scene('certificates change under load, and no request of anybody fails', async (s) => {
    // Without a line for each request: the log drops lines when nobody reads as fast, and the reloads are told there.
    const e = await Edge.start(s, { rest: { workers: 2, log: { access: false } } });
    const load = (...args) => run('h2load', ['-n', '4000', '-c', '8', ...args, `https://127.0.0.1:${e.gateway.port}/health`]);
    const old = [load('-m', '8'), load('--h1')]; // connections from before
    let isOver = false;
    let visits = 0;
    const seen = new Set();
    const visitor = async () => {
      for (; !isOver; visits++) seen.add((await e.visit()).shown);
    };
    const visitors = [visitor(), visitor(), visitor()]; // a connection for each request
    for (let i = 1; i <= 8; i++) {
      await e.reload({ certificates: [await e.ca.issue(`renewed-${i}`, [NAME])] });
      await waitFor('a visitor who sees it', () => seen.has(`renewed-${i}`));
    }
    const loads = await Promise.all(old);
    isOver = true;
    await Promise.all(visitors);
    for (const { stdout } of loads) assert.match(stdout, /4000 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.ok(visits >= 8);
  });

  scene('a certificate that does not go with its key is named, refused, and changes nothing', async (s) => {
    const e = await Edge.start(s);
    const c = await e.websocket();
    const mixed = { cert: (await e.ca.issue('one', [OTHER])).cert, key: (await e.ca.issue('two', [OTHER])).key };
    await assert.rejects(e.reload({ certificates: [e.certificates[0], mixed] }), /reload failed/);
    assert.match(e.gateway.process.log(), /listen 127\.0\.0\.1:\d+: tls: certificate 2: key: does not belong to the certificate/);
    const check = await run(path.join(process.env.TIDEGATE_BUILD, 'tidegate'), ['-t', '-c', e.gateway.file]).catch((error) => error);
    assert.equal(check.code, 78);
    assert.match(check.stderr, /certificate 2: key: does not belong to the certificate/);
    assert.equal(shown(await e.connect()), 'cert-0');
    assert.equal(await c.ask('still here'), 'still here');
  });

  scene('clients may, or must, say who they are', async (s) => {
    const clients = await Authority.create(s, 'clients');
    const web = http.createServer((request, response) => {
      const seen = ['x-client-subject', 'x_client_subject'].map((name) => request.headers[name]).filter(Boolean);
      response.writeHead(200, { seen: seen.join() || 'none' }).end();
    });
    web.listen(0, '127.0.0.1');
    await event(web, 'listening');
    s.atEnd(() => web.close());
    s.atEnd(() => web.closeAllConnections());
    const region = { url: `http://127.0.0.1:${web.address().port}` };
    const e = await Edge.start(s, { region, listen: { tls: { client_ca: clients.file, client_certificate: 'optional' } } });
    const papers = async (ca, id) => {
      const { cert, key } = await ca.issue(id, ['client.example.test']);
      return { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
    };
    const ours = await papers(clients, 'somebody');
    const theirs = await papers(await Authority.create(s, 'elsewhere'), 'stranger');
    const subject = ({ text }) => text.match(/^seen: (.*)$/m)[1];
    const forged = 'X-Client-Subject: CN=admin\r\nx_client_subject: CN=admin\r\n';
    assert.equal(subject(await e.visit({ head: forged })), 'none');
    const first = await e.visit({ ...ours, head: forged });
    assert.equal(subject(first), 'CN=somebody');
    const again = await e.visit({ session: first.session, head: forged });
    assert.equal(again.isReused, true);
    assert.equal(subject(again), 'CN=somebody'); // the session remembers
    const { stdout } = await e.curl('/health', '-i', '--http2', '--cert', path.join(clients.folder, 'somebody.crt'), '--key', path.join(clients.folder, 'somebody.key'));
    assert.match(stdout, /^HTTP\/2 200/);
    assert.match(stdout, /^seen: CN=somebody\r$/m);
    await assert.rejects(e.visit(theirs));
    await e.gateway.process.line(/tls handshake failed.*cause=tls_verify.*(self.signed|unable to get)/);
    await e.reload({ listen: { tls: { client_ca: clients.file, client_certificate: 'required' } } });
    await e.visit(ours);
    await assert.rejects(e.visit());
    await e.gateway.process.line(/tls handshake failed.*peer did not return a certificate/);
  });

  scene('an OCSP response from a file is stapled', async (s) => {
    const e = await Edge.start(s);
    const staple = async () => {
      const socket = tls.connect({ host: '127.0.0.1', port: e.gateway.port, servername: NAME, ca: e.trust, requestOCSP: true });
      s.atEnd(() => socket.destroy());
      return (await event(socket, 'OCSPResponse'))[0];
    };
    assert.equal(await staple(), null);
    const [{ cert, key }] = e.certificates;
    const ocsp = await e.ca.ocsp(cert);
    await e.reload({ certificates: [{ cert, key, ocsp }] });
    assert.deepEqual(await staple(), fs.readFileSync(ocsp));
    await e.reload({ certificates: [{ cert, key, ocsp: await e.ca.ocsp(cert, { isRevoked: true }) }] });
    assert.equal(await staple(), null);
    await e.gateway.process.line(/ocsp response not stapled names=edge\.example\.test cause="it does not call the certificate good"/);
    const other = await e.ca.issue('another', [OTHER]);
    await assert.rejects(e.reload({ certificates: [{ ...other, ocsp }] }), /reload failed/);
    assert.match(e.gateway.process.log(), /ocsp: is about another certificate/);
  });

  scene('a certificate near its end shows in health, metrics, status and the log', async (s) => {
    const e = await Edge.start(s, { names: [[NAME, OTHER]] });
    const expiry = async () => {
      const line = (await e.gateway.admin('/metrics')).split('\n').find((l) => l.startsWith('tidegate_certificate_expiry_timestamp_seconds{'));
      assert.match(line, new RegExp(`listen="127\\.0\\.0\\.1:${e.gateway.port}",index="0",name="${NAME}`));
      return Number(line.split(' ').pop()) * 1000 - Date.now();
    };
    await e.gateway.process.line(/certificate is about to end.*names=edge\.example\.test,other\.example\.test/);
    const { status, json } = await e.gateway.health();
    assert.equal(status, 200);
    assert.equal(json.status, 'degraded');
    assert.match(json.reasons.join(), /certificate edge\.example\.test,other\.example\.test on 127\.0\.0\.1:\d+ ends in 1 day/);
    assert.ok(Math.abs((await expiry()) - 2 * DAY_MS) < 120000);
    await e.reload({ certificates: [await e.ca.issue('fresh', [NAME], { days: 90 })] });
    assert.equal((await e.gateway.health()).json.status, 'ok');
    assert.ok(Math.abs((await expiry()) - 90 * DAY_MS) < 120000);
    assert.equal((await e.gateway.status()).certificates[0].names, NAME);
    await e.reload({ certificates: [await e.ca.issue('gone', [NAME], { days: -1 })] }); // degraded, not refused: it must start again, too
    assert.match((await e.gateway.health()).json.reasons.join(), /certificate edge\.example\.test on .* has ended/);
  });

  scene('plain HTTP leads to HTTPS', async (s) => {
    const plain = await s.freePort();
    const e = await Edge.start(s, { rest: {} });
    const listen = (g) => [
      { address: `127.0.0.1:${g.port}`, tls: { certificates: e.certificates } },
      { address: `127.0.0.1:${plain}`, redirect_https: true, redirect_port: g.port },
    ];
    await e.reload({ rest: { listen: listen(e.gateway) } });
    const answer = await get(plain, '/a/b?c=d%20e', { headers: { host: `${NAME}:${plain}` } });
    assert.equal(answer.status, 301);
    assert.equal(answer.headers.location, `https://${NAME}:${e.gateway.port}/a/b?c=d%20e`);
    const { stdout } = await run('curl', [
      ...['-sS', '-L', '--cacert', e.ca.file, '--resolve', `${NAME}:${plain}:127.0.0.1`, '--resolve', `${NAME}:${e.gateway.port}:127.0.0.1`],
      ...['-o', '/dev/null', '-w', '%{http_code} %{scheme}', `http://${NAME}:${plain}/health`],
    ]);
    assert.equal(stdout, '200 HTTPS');
  });
});
