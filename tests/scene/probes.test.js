// Every kind of probe against a real server that is well, killed, paused, refusing, or saying the wrong thing.
'use strict';

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const fs = require('node:fs');
const { describe } = require('node:test');
const tls = require('node:tls');
const { Authority, event, nginx, onePool, scene, servers, standings, verdicts, waitFor } = require('./lib');

const SOON = { interval: '200ms', timeout: '200ms', jitter: '0%' };

// Anything with a port, as a server of the pool.
const at = (name, port, scheme = 'ws') => ({ name, url: `${scheme}://127.0.0.1:${port}` });

async function tlsServer(s, { cert, key }) {
  const server = tls.createServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key) }, (socket) => socket.on('error', () => {}));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => server.close());
  return server.address().port;
}

// A name server that answers with `rcode`, and with an address when there is none; silent for `rcode` undefined.
async function nameServer(s, rcode) {
  const server = dgram.createSocket('udp4');
  const state = { rcode, asked: [] };
  server.on('message', (question, peer) => {
    state.asked.push(question);
    if (state.rcode === undefined) return;
    const answer = Buffer.from(question);
    answer.writeUInt16BE(0x8400 | state.rcode, 2);
    answer.writeUInt16BE(state.rcode === 0 ? 1 : 0, 6);
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
    server.send(state.rcode === 0 ? Buffer.concat([answer, record]) : answer, peer.port, peer.address);
  });
  server.bind(0, '127.0.0.1');
  await event(server, 'listening');
  s.atEnd(() => server.close());
  return Object.assign(state, { port: server.address().port });
}

describe('probes', { concurrency: 3 }, () => {
  scene('tls: who vouches for whom, and for how long', async (s) => {
    const [ours, theirs] = await Promise.all([Authority.create(s, 'ours'), Authority.create(s, 'theirs')]);
    const [good, other, strange] = await Promise.all([ours.issue('good', ['IP:127.0.0.1']), ours.issue('other', ['elsewhere.test']), theirs.issue('strange', ['IP:127.0.0.1'])]);
    const port = await tlsServer(s, good);
    const silent = await s.server(() => {});
    const all = [
      at('good', port, 'wss'),
      { ...at('soon', port, 'wss'), check: { expiry: { degraded: '10d' } } }, // it holds for two days
      { ...at('toosoon', port, 'wss'), check: { expiry: { down: '10d' } } },
      at('other', await tlsServer(s, other), 'wss'),
      at('strange', await tlsServer(s, strange), 'wss'),
      at('silent', silent, 'wss'),
      at('nobody', await s.freePort(), 'wss'),
    ].map((each) => ({ ...each, tls: { ca: ours.file } }));
    const gateway = await s.gateway(onePool({ check: { ...SOON, type: 'tls' }, servers: all }));
    const now = await verdicts(gateway, {
      ...{ good: 'up', soon: 'up', silent: /timeout: waiting for tls handshake/, nobody: /refused/ },
      toosoon: /tls_verify: certificate ends in 47 hours/, other: /tls_verify: .*(mismatch|IP address)/, strange: /tls_verify: /,
    });
    assert.deepEqual([now.good.degraded, now.soon.degraded, now.soon.degraded_by_certificate], [false, true, true]);
    const left = Date.parse(now.good.certificate_ends) - Date.now();
    assert.ok(left > 47 * 3600e3 && left <= 48 * 3600e3, now.good.certificate_ends);
    assert.match(JSON.stringify((await gateway.health()).json.reasons), /certificate of server p\/soon ends in 47 hours/);
  });

  scene('redis: well, with a password, paused, killed', async (s) => {
    const [open, locked] = await Promise.all([s.redis(), s.redis({ name: 'locked', password: 'sesame' })]);
    const region = await s.region();
    const all = [at('open', open.port), { ...at('locked', locked.port), check: { redis: { password: 'sesame' } } }, at('keyless', locked.port), region].map(({ name, url, check }) => ({ name, url, check }));
    const gateway = await s.gateway(onePool({ check: { ...SOON, type: 'redis' }, servers: JSON.parse(JSON.stringify(all)) }));
    await verdicts(gateway, { open: 'up', locked: 'up', keyless: /protocol: answered NOAUTH/, region: /not an answer of Redis|timeout|closed/ });
    process.kill(open.pid, 'SIGSTOP');
    assert.match((await verdicts(gateway, { open: 'down' })).open.cause, /timeout: waiting for PONG/);
    process.kill(open.pid, 'SIGCONT');
    await verdicts(gateway, { open: 'up' });
    process.kill(open.pid, 'SIGKILL');
    assert.match((await verdicts(gateway, { open: 'down', locked: 'up' })).open.cause, /refused/);
  });

  scene('dns: a record, or what else is expected; silence is a timeout, a closed port a refusal', async (s) => {
    const [well, absent, silent] = await Promise.all([nameServer(s, 0), nameServer(s, 3), nameServer(s)]);
    const all = [at('well', well.port), at('absent', absent.port), { ...at('fine', absent.port), check: { dns: { expect: 'nxdomain' } } }, at('silent', silent.port), at('nobody', await s.freePort())];
    const gateway = await s.gateway(onePool({ check: { ...SOON, type: 'dns', dns: { name: 'edge.example.test' } }, servers: all }));
    await verdicts(gateway, { well: 'up', absent: /answered NXDOMAIN/, fine: 'up', silent: /timeout: waiting for answer/, nobody: /refused/ });
    assert.ok(well.asked[0].includes('\x04edge\x07example\x04test\x00\x00\x01\x00\x01', 12, 'latin1'));
    silent.rcode = 0;
    await verdicts(gateway, { silent: 'up' });
  });

  scene('http: statuses, headers and body of nginx', async (s) => {
    const web = await nginx(s, 'location /health { add_header X-Region us-east always; default_type application/json; return 203 "{\\"database\\":\\"ok\\"}"; }');
    const check = { ...SOON, type: 'http', path: '/health', expect: { status: '200, 203-204', headers: { 'Content-Type': 'json', 'X-Region': 'us' }, body: '"database":"ok"' } };
    const but = (expect) => ({ check: { expect } });
    const all = ['well', 'status', 'header', 'absent', 'body'].map((name) => ({ name, url: web.url }));
    const gateway = await s.gateway(
      onePool({ check, servers: servers(all, {}, but({ status: '200, 204' }), but({ headers: { 'X-Region': 'eu' } }), but({ headers: { 'X-Other': '*' } }), but({ body: '"database":"down"' })) }),
    );
    await verdicts(gateway, { well: 'up', status: /status 203/, header: /header x-region is not as expected/, absent: /header x-other is not as expected/, body: /body without the text expected/ });
  });

  scene('websocket: a heartbeat of Phoenix Channels that is answered', async (s) => {
    const [well, mute] = await Promise.all([s.region({ name: 'well' }), s.region({ name: 'mute', knobs: { hang: 'reply' } })]);
    const check = { ...SOON, type: 'websocket', speak: 'phoenix', path: '/socket/websocket?vsn=2.0.0' };
    const all = servers([well, mute]).concat({ name: 'echo', url: well.url, check: { path: '/echo' } }); // no reply at all
    const gateway = await s.gateway(onePool({ check, servers: all }));
    await verdicts(gateway, { well: 'up', mute: /timeout: waiting for heartbeat reply/, echo: 'down' });
    await well.kill();
    await verdicts(gateway, { well: 'down' });
  });

  scene('command: the exit status decides, and nothing is left behind', async (s) => {
    const dir = s.temp();
    fs.chmodSync(dir, 0o777); // the checker may be somebody else
    const region = await s.region();
    const sh = (text) => ({ name: 'x', url: region.url, check: { command: ['/bin/sh', '-c', text] } });
    const all = {
      well: sh(`env > ${dir}/new && mv ${dir}/new ${dir}/env; [ -n "$TIDEGATE_ADDRESS" ]`), // the next check writes it again
      ill: sh('exit 3'),
      slow: sh(`echo $$ >> ${dir}/pids; sleep 1000`),
      signal: sh('kill -9 $$'),
      absent: { name: 'x', url: region.url, check: { command: ['/nonexistent'] } },
    };
    const gateway = await s.gateway(onePool({ check: { ...SOON, type: 'command' }, servers: Object.entries(all).map(([name, each]) => ({ ...each, name })) }));
    await verdicts(gateway, { well: 'up', ill: /exit status 3/, slow: /timeout: waiting for end of the program/, signal: /ended by signal 9/, absent: /program cannot be started/ });
    const env = fs.readFileSync(`${dir}/env`, 'utf8');
    assert.match(env, /^TIDEGATE_SERVER=p\/well$/m);
    assert.match(env, /^TIDEGATE_ADDRESS=127\.0\.0\.1$/m);
    assert.match(env, new RegExp(`^TIDEGATE_PORT=${new URL(region.url).port}$`, 'm'));
    const pids = fs.readFileSync(`${dir}/pids`, 'utf8').trim().split('\n');
    await waitFor('the end of the programs that were slow', () => !fs.existsSync(`/proc/${pids[0]}`));
    const { checker } = await gateway.processes();
    await gateway.stop();
    assert.ok(!fs.existsSync(`/proc/${checker.pid}`));
    await waitFor('the end of all of them', () => fs.readFileSync(`${dir}/pids`, 'utf8').trim().split('\n').every((pid) => !fs.existsSync(`/proc/${pid}`)));
  });
});
