// What can happen to a server, against what each kind of probe makes of it: slow, killed, paused, refusing, with a certificate at its end,
// and well again. One gateway watches everything at once.
//
// Of each kind there are two checks. One asks the server directly and comes to its verdict quickly. The other asks over a line that can be
// made long, is patient, and leaves a server that has been down too often alone until it is quiet; it is the one with "-b" in its name.
'use strict';

const dgram = require('node:dgram');
const fs = require('node:fs');
const path = require('node:path');
const { Authority, Cable, event, isSanitized, later, nginx, onePool, scene, standings, verdicts, waitFor } = require('./lib');

const ms = (count) => `${count * (isSanitized ? 3 : 1)}ms`;
const QUICK = { interval: ms(250), timeout: ms(250), jitter: '0%' };
const PATIENT = {
  ...{ interval: ms(800), interval_undecided: ms(200), timeout: ms(800), jitter: '0%', degraded_over: ms(160) },
  flap: { changes: 3, window: '60s', quiet: ms(2000) },
};
const LONG_MS = parseInt(ms(90), 10); // each way: every answer takes more than degraded_over, and several ways less than the timeout
const TOO_LONG_MS = parseInt(ms(900), 10);
const STEP_MS = 25000; // for one step, with everything else going on

const WEBSOCKET = '/socket/websocket?vsn=2.0.0';
const UNSEEN = undefined; // what this kind of probe cannot notice, by its nature

// Per server and kind: what is asked, and what is said about each fault.
const KINDS = {
  web: {
    tcp: {
      scheme: 'http', check: { type: 'tcp' },
      killed: /refused/, paused: UNSEEN, refusing: UNSEEN, expired: UNSEEN, isDirect: true,
    },
    tls: {
      scheme: 'https', check: { type: 'tls' },
      killed: /refused/, paused: /timeout: waiting for tls handshake/, refusing: UNSEEN, expired: /tls_verify: certificate has expired/,
    },
    http: {
      scheme: 'http', check: { type: 'http', path: '/health' },
      killed: /no connection/, paused: /timeout: waiting for response/, refusing: /status 503/, expired: UNSEEN,
    },
    https: {
      scheme: 'https', check: { type: 'http', http: '1.1', path: '/health' },
      killed: /no connection/, paused: /timeout: waiting for tls handshake/, refusing: /status 503/, expired: /tls_verify: certificate has expired/,
    },
    h2: {
      scheme: 'https', check: { type: 'http', http: '2', path: '/health' },
      killed: /refused/, paused: /timeout: waiting for tls handshake/, refusing: /status 503/, expired: /tls_verify: certificate has expired/,
    },
    wss: {
      scheme: 'wss', check: { type: 'websocket', path: WEBSOCKET, speak: 'nothing' },
      killed: /no connection/, paused: /timeout: waiting for tls handshake/, refusing: /status 503/, expired: /tls_verify: certificate has expired/,
    },
    command: {
      scheme: 'http',
      check: { type: 'command', command: ['/bin/sh', '-c', 'exec curl -sf -o /dev/null --noproxy "*" "http://$TIDEGATE_ADDRESS:$TIDEGATE_PORT/health"'] },
      killed: /exit status 7/, paused: /timeout: waiting for end of the program/, refusing: /exit status 22/, expired: UNSEEN,
    },
  },
  region: {
    ping: {
      scheme: 'ws', check: { type: 'websocket', path: WEBSOCKET, speak: 'ping' },
      killed: /no connection/, paused: /timeout: waiting for response/, refusing: /status 403/,
    },
    phoenix: {
      scheme: 'ws', check: { type: 'websocket', path: WEBSOCKET, speak: 'phoenix' },
      killed: /no connection/, paused: /timeout: waiting for response/, refusing: /status 403/,
    },
  },
  redis: {
    redis: {
      scheme: 'ws', check: { type: 'redis' },
      killed: /refused/, paused: /timeout: waiting for PONG/, refusing: /answered NOAUTH/,
    },
  },
  knot: {
    dns: {
      scheme: 'ws', check: { type: 'dns', dns: { name: 'edge.example.test' } },
      killed: /refused/, paused: /timeout: waiting for answer/, refusing: /answered (REFUSED|NXDOMAIN)/,
    },
  },
};

// A line for datagrams to the name server, as Cable is for connections.
async function datagramCable(s, to) {
  const c = { delayMs: 0 };
  const near = dgram.createSocket('udp4');
  near.on('message', (question, peer) => {
    const far = dgram.createSocket('udp4');
    far.on('error', () => {});
    setTimeout(() => far.close(), 5000).unref();
    far.on('message', async (answer) => {
      await later(2 * c.delayMs); // there and back
      near.send(answer, peer.port, peer.address, () => {});
    });
    far.send(question, to, '127.0.0.1', () => {});
  });
  near.bind(0, '127.0.0.1');
  await event(near, 'listening');
  s.atEnd(() => near.close());
  return Object.assign(c, { port: near.address().port });
}

// ---- the servers; each can be begun again, and made to refuse and to stop refusing ----

// nginx: HTTP/1.1 in clear text, both versions over TLS, and the way to a region's WebSockets.
async function web(s) {
  const [ca, backend, tlsPort] = await Promise.all([Authority.create(s), s.region({ name: 'backend' }), s.freePort()]);
  const names = ['IP:127.0.0.1'];
  const [good, soon, expired] = await Promise.all([ca.issue('good', names, { days: 30 }), ca.issue('soon', names, { days: 2 }), ca.issue('expired', names, { days: 0 })]);
  const shown = { cert: `${ca.folder}/shown.crt`, key: `${ca.folder}/shown.key` };
  const show = (identity) => Object.keys(shown).forEach((each) => fs.copyFileSync(identity[each], shown[each]));
  show(good);
  const server = await nginx(s, `
    listen 127.0.0.1:${tlsPort} ssl http2; ssl_certificate ${shown.cert}; ssl_certificate_key ${shown.key};
    if (-f $document_root/refuse) { return 503; }
    location /health { return 200 well; }
    location /socket/ { proxy_pass http://127.0.0.1:${backend.port}; proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`);
  const w = { process: server, ca: ca.file, ports: { http: server.port, https: tlsPort, wss: tlsPort } };
  w.begin = async (identity = good) => {
    show(identity);
    w.process = await s.start({ name: 'nginx', command: '/usr/sbin/nginx', args: ['-p', server.root, '-e', 'stderr', '-c', path.join(server.root, 'nginx.conf')], ready: /using the "epoll" event method/ });
  };
  w.beginSoon = () => w.begin(soon);
  w.beginExpired = () => w.begin(expired);
  w.refuse = (does) => (does ? fs.writeFileSync(`${server.root}/refuse`, '') : fs.rmSync(`${server.root}/refuse`));
  return w;
}

async function region(s) {
  const r = { port: await s.freePort() };
  r.begin = async () => {
    r.region = await s.region({ name: 'victim', port: r.port });
    r.process = r.region.process;
  };
  r.refuse = (does) => (does ? r.region.knobs({ upgrade_status: 403 }) : r.region.clearKnobs());
  await r.begin();
  return Object.assign(r, { ports: { ws: r.port } });
}

async function redis(s) {
  const r = await s.redis();
  r.refuse = async (does) => {
    await r.command('CONFIG', 'SET', 'requirepass', does ? 'sesame' : '');
    r.password = does ? 'sesame' : undefined;
  };
  return Object.assign(r, { ports: { ws: r.port } });
}

async function knot(s) {
  const port = await s.freePort();
  const folder = fs.mkdtempSync(path.join(s.temp(), 'knot-'));
  const file = path.join(folder, 'knot.conf');
  const write = (name) => fs.writeFileSync(path.join(folder, 'zone'), `@ 60 SOA ns.example.test. who.example.test. ${Date.now() % 1e9} 60 60 60 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n${name} 60 A 192.0.2.2\n`);
  write('edge');
  fs.writeFileSync(file, `server:\n  rundir: ${folder}\n  listen: 127.0.0.1@${port}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n` +
    `log:\n  - target: stderr\n    any: info\ndatabase:\n  storage: ${folder}\nzone:\n  - domain: example.test\n    file: ${folder}/zone\n    zonefile-load: whole\n    journal-content: none\n    zonefile-sync: -1\n`);
  const k = { ports: { ws: port } };
  k.begin = async () => {
    k.process = await s.start({ name: 'knot', command: '/usr/sbin/knotd', args: ['-c', file], ready: /server started/ });
  };
  k.refuse = (does) => {
    write(does ? 'elsewhere' : 'edge');
    k.process.signalled('SIGHUP');
  };
  await k.begin();
  return k;
}

const SERVERS = { web, region, redis, knot };

// ---- the gateway ----

// The two servers of a kind, as the configuration has them.
function entries(name, kind, server, cables) {
  const to = (port) => `${kind.scheme}://127.0.0.1:${port}`;
  const tls = /s$/.test(kind.scheme) && kind.scheme !== 'ws' ? { tls: { ca: server.ca } } : {};
  const direct = server.ports[kind.scheme];
  return [
    { name, url: to(direct), ...tls, check: { ...kind.check, ...QUICK, ...(tls.tls ? { expiry: { degraded: '10d' } } : {}) } },
    { name: `${name}-b`, url: to(kind.isDirect ? direct : cables[direct].port), ...tls, check: { ...kind.check, ...PATIENT, ...(kind.isDirect ? { flap: { ...PATIENT.flap, changes: 1 } } : {}) } },
  ];
}

const all = (names, state) => Object.fromEntries(names.map((name) => [name, state]));

// Everything that happens to one server.
async function play(gateway, kinds, server, cables) {
  const names = Object.keys(kinds);
  const slowNames = names.filter((name) => !kinds[name].isDirect).map((name) => `${name}-b`);
  const patientNames = names.map((name) => `${name}-b`);
  const seen = (wanted) => verdicts(gateway, wanted, STEP_MS);
  const degraded = (which, is) => waitFor(`${which} degraded: ${is}`, async () => {
    const now = await standings(gateway);
    const others = which.filter((name) => now[name].state !== 'up' || now[name].degraded_by_latency !== is);
    if (others.length > 0) throw new Error(others.map((name) => `${name} ${now[name].state} ${now[name].latency_mean_us}us ${now[name].cause}`).join());
    return true;
  }, STEP_MS);
  const delay = (each) => cables.forEach((cable) => { cable.delayMs = each; });
  // The verdicts after a fault, and the causes given for it.
  const after = (fault) => seen(Object.fromEntries(names.map((name) => [name, kinds[name][fault] ?? 'up'])));
  const well = () => seen(all(names, 'up'));

  await seen(all([...names, ...patientNames], 'up'));
  await degraded(slowNames, false);
  delay(LONG_MS);
  await degraded(slowNames, true);
  delay(TOO_LONG_MS);
  await seen(all(slowNames, /timeout: waiting for/));
  await well(); // the server itself was never touched
  delay(0);
  await seen(all(slowNames, 'up'));

  await server.process.kill();
  await after('killed');
  await seen(all(patientNames, 'down'));
  await server.begin();
  await well();
  await Promise.all(patientNames.map((name) => gateway.process.line(new RegExp(`has to wait server=p/${name} state=down cause=flapping`), STEP_MS)));
  await seen(all(patientNames, 'up')); // it has been quiet

  server.process.signalled('SIGSTOP');
  await after('paused');
  server.process.signalled('SIGCONT');
  await well();

  await server.refuse(true);
  await after('refusing');
  await server.refuse(false);
  await well();

  if (!server.beginExpired) return;
  const encrypted = names.filter((name) => kinds[name].expired);
  const certificates = async (is) => waitFor(`certificates at their end: ${is}`, async () => {
    const each = await standings(gateway);
    return encrypted.every((name) => each[name].state === 'up' && each[name].degraded_by_certificate === is);
  }, STEP_MS);
  await certificates(false);
  await server.process.kill();
  await server.beginSoon();
  await certificates(true);
  await server.process.kill();
  await server.beginExpired();
  await after('expired');
  await server.process.kill();
  await server.begin();
  await well();
  await certificates(false);
}

scene('every kind of probe finds every fault, says which it is, and sees the end of it', { timeout: 180000 }, async (s) => {
  const names = Object.keys(SERVERS);
  const found = await Promise.all(names.map((name) => SERVERS[name](s)));
  const servers = Object.fromEntries(names.map((name, i) => [name, found[i]]));
  const cables = {};
  for (const name of names) {
    cables[name] = {};
    for (const port of Object.values(servers[name].ports)) cables[name][port] ??= await (name === 'knot' ? datagramCable(s, port) : Cable.lay(s, port));
  }
  const list = names.flatMap((name) => Object.entries(KINDS[name]).flatMap(([kind, how]) => entries(kind, how, servers[name], cables[name])));
  const gateway = await s.gateway(onePool({ servers: list }));
  await Promise.all(names.map((name) => play(gateway, KINDS[name], servers[name], Object.values(cables[name]))));
});
